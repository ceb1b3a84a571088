//! Presence channels: who this client is, and who else is there.

use serde_json::{Value, json};

use super::harness::{Harness, MS, SUBSCRIBE, granted, secs};
use crate::{Auth, ChannelStatus, ErrorKind};

const ROOM: &str = "presence-room";

/// The frame that confirms, with these members.
fn confirm(harness: &mut Harness, hash: &Value) {
    let ids: Vec<&String> = hash.as_object().unwrap().keys().collect();
    let presence = json!({ "presence": { "ids": ids, "hash": hash, "count": ids.len() } });
    let data = json!(presence.to_string());
    harness.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
}

fn added(harness: &mut Harness, data: &Value) {
    harness.server("pusher_internal:member_added", Some(ROOM), json!(data.to_string()));
}

fn removed(harness: &mut Harness, data: &Value) {
    harness.server("pusher_internal:member_removed", Some(ROOM), json!(data.to_string()));
}

#[test]
fn without_channel_data_the_signed_in_user_is_awaited_for_a_while() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.take();
    harness.advance(secs(5));
    harness.respond(ROOM, Ok(Auth::new("key:s")));
    harness.expect(&[]);
    harness.subscribe(ROOM);
    harness.advance(SUBSCRIBE - MS);
    harness.expect(&[]);
    assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
    harness.advance(MS);
    harness.expect_failure(ROOM, ErrorKind::Auth);
    assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
    harness.advance(secs(3600));
    harness.expect(&[]);
    harness.subscribe(ROOM);
    harness.expect(&["authorize presence-room 1"]);
}

#[test]
fn who_waits_for_a_user_may_be_unsubscribed_or_disconnected() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, Ok(Auth::new("key:s")));
    harness.take();
    harness.unsubscribe(ROOM);
    harness.advance(secs(3600));
    harness.expect(&[]);
    harness.subscribe(ROOM);
    harness.respond(ROOM, Ok(Auth::new("key:s")));
    harness.take();
    harness.disconnect();
    harness.advance(secs(3600));
    harness.expect(&[]);
    harness.reestablish();
    harness.expect(&["authorize presence-room 1"]);
}

#[test]
fn channel_data_that_says_not_who_this_is_fails() {
    for data in ["", "no JSON", "{}", "[]", r#"{"user_id":null}"#, r#"{"user_id":""}"#, r#""me""#] {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.take();
        harness.respond(ROOM, Ok(Auth::new("key:s").channel_data(data)));
        harness.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(harness.status(ROOM), ChannelStatus::Failed, "{data}");
        assert!(harness.frames.is_empty(), "{data}");
    }
}

#[test]
fn the_members_are_those_of_the_last_confirmation() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.grant(ROOM);
    // There are no members before it.
    added(&mut harness, &json!({ "user_id": "early" }));
    assert!(harness.members(ROOM).is_empty());
    harness.take();
    confirm(&mut harness, &json!({ "a": null, "b": null, "me": { "name": "M" } }));
    harness.expect(&["event presence-room pusher:subscription_succeeded"]);
    assert_eq!(harness.members(ROOM), ["a", "b", "me"]);
    let members = harness.machine.members(ROOM);
    assert_eq!(members.me().unwrap().info(), r#"{"name":"M"}"#);

    harness.lose();
    assert!(harness.members(ROOM).is_empty(), "the members are unknown");
    assert!(harness.machine.members(ROOM).me().is_none());
    assert_eq!(members.len(), 3, "what was taken stays");
    harness.reestablish();
    let request = harness.request(ROOM);
    let other = Auth { channel_data: Some(r#"{"user_id":7}"#.into()), ..granted(&request) };
    harness.respond(ROOM, Ok(other));
    harness.take();
    confirm(&mut harness, &json!({ "b": null, "c": null, "7": 1 }));
    // All at once, and not one by one.
    harness.expect(&["resumed presence-room", "event presence-room pusher:subscription_succeeded"]);
    assert_eq!(harness.members(ROOM), ["7", "b", "c"]);
    assert_eq!(harness.machine.members(ROOM).me().unwrap().id(), "7");
}

#[test]
fn members_are_cleared_by_whatever_ends_the_subscription() {
    type Step = fn(&mut Harness);
    let steps: [Step; 4] = [
        Harness::lose,
        Harness::disconnect,
        |harness| harness.unsubscribe(ROOM),
        |harness| harness.server("pusher:subscription_error", Some(ROOM), json!({ "status": 401 })),
    ];
    for step in steps {
        let mut harness = Harness::subscribed(&[ROOM]);
        confirm(&mut harness, &json!({ "a": null, "me": null }));
        assert_eq!(harness.members(ROOM).len(), 2);
        step(&mut harness);
        assert!(harness.members(ROOM).is_empty());
        harness.take();
        added(&mut harness, &json!({ "user_id": "late" }));
        removed(&mut harness, &json!({ "user_id": "a" }));
        harness.expect(&[]);
        assert!(harness.members(ROOM).is_empty());
    }
}

#[test]
fn members_are_added_and_removed_once() {
    let mut harness = Harness::subscribed(&[ROOM]);
    confirm(&mut harness, &json!({ "me": null }));
    harness.take();
    added(&mut harness, &json!({ "user_id": "a", "user_info": { "n": 1 } }));
    harness
        .expect(&[r#"added presence-room a {"n":1}"#, "event presence-room pusher:member_added"]);
    added(&mut harness, &json!({ "user_id": "a", "user_info": { "n": 2 } }));
    added(&mut harness, &json!({ "user_id": "me" }));
    harness.expect(&[]);
    assert_eq!(harness.members(ROOM), ["a", "me"]);
    removed(&mut harness, &json!({ "user_id": "b" }));
    harness.expect(&[]);
    removed(&mut harness, &json!({ "user_id": "a" }));
    harness.expect(&[
        r#"removed presence-room a {"n":2}"#,
        "event presence-room pusher:member_removed",
    ]);
    removed(&mut harness, &json!({ "user_id": "a" }));
    harness.expect(&[]);
    assert_eq!(harness.members(ROOM), ["me"]);
}

#[test]
fn an_id_that_is_a_number_is_its_text() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, Ok(Auth::new("key:s").channel_data(r#"{"user_id":7}"#)));
    let data = json!({ "presence": { "ids": [7, "8"], "hash": [], "count": 2 } });
    harness.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
    assert_eq!(harness.members(ROOM), ["7", "8"]);
    assert_eq!(harness.machine.members(ROOM).me().unwrap().id(), "7");
    harness.take();
    added(&mut harness, &json!({ "user_id": 9 }));
    added(&mut harness, &json!({ "user_id": "9" }));
    removed(&mut harness, &json!({ "user_id": 8 }));
    harness.expect(&[
        "added presence-room 9 null",
        "event presence-room pusher:member_added",
        "removed presence-room 8 null",
        "event presence-room pusher:member_removed",
    ]);
    assert_eq!(harness.members(ROOM), ["7", "9"]);
}

#[test]
fn members_of_no_shape_are_passed_over() {
    let mut harness = Harness::subscribed(&[ROOM, "private-c"]);
    confirm(&mut harness, &json!({ "me": null }));
    harness.take();
    for data in [json!({}), json!(null), json!([]), json!({ "user_id": {} })] {
        added(&mut harness, &data);
        removed(&mut harness, &data);
    }
    // Only presence channels have members.
    let data = json!({ "user_id": "a" });
    harness.server("pusher_internal:member_added", Some("private-c"), &data);
    harness.expect(&[]);
    assert_eq!(harness.members(ROOM), ["me"]);
    assert!(harness.members("private-c").is_empty());
}
