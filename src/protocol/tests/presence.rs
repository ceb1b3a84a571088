//! Presence channels: who this client is, and who else is there.

use serde_json::{Value, json};

use super::desk::{Desk, granted};
use super::sim::{MS, SUBSCRIBE, secs};
use crate::{Auth, ChannelStatus, ErrorKind};

const ROOM: &str = "presence-room";

/// The frame that confirms, with these members.
fn confirm(desk: &mut Desk, hash: &Value) {
    let ids: Vec<&String> = hash.as_object().unwrap().keys().collect();
    let presence = json!({ "presence": { "ids": ids, "hash": hash, "count": ids.len() } });
    let data = json!(presence.to_string());
    desk.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
}

fn added(desk: &mut Desk, data: &Value) {
    desk.server("pusher_internal:member_added", Some(ROOM), &json!(data.to_string()));
}

fn removed(desk: &mut Desk, data: &Value) {
    desk.server("pusher_internal:member_removed", Some(ROOM), &json!(data.to_string()));
}

#[test]
fn without_channel_data_the_signed_in_user_is_awaited_for_a_while() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.take();
    desk.advance(secs(5));
    desk.answer(ROOM, Ok(Auth::new("key:s")));
    desk.expect(&[]);
    desk.subscribe(ROOM);
    desk.advance(SUBSCRIBE - MS);
    desk.expect(&[]);
    assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
    desk.advance(MS);
    desk.expect_failure(ROOM, ErrorKind::Auth);
    assert_eq!(desk.status(ROOM), ChannelStatus::Failed);
    desk.advance(secs(3600));
    desk.expect(&[]);
    desk.subscribe(ROOM);
    desk.expect(&["ask presence-room 1"]);
}

#[test]
fn who_waits_for_a_user_may_be_unsubscribed_or_disconnected() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, Ok(Auth::new("key:s")));
    desk.take();
    desk.unsubscribe(ROOM);
    desk.advance(secs(3600));
    desk.expect(&[]);
    desk.subscribe(ROOM);
    desk.answer(ROOM, Ok(Auth::new("key:s")));
    desk.take();
    desk.disconnect();
    desk.advance(secs(3600));
    desk.expect(&[]);
    desk.reconnect();
    desk.expect(&["ask presence-room 1"]);
}

#[test]
fn channel_data_that_says_not_who_this_is_fails() {
    for data in ["", "no JSON", "{}", "[]", r#"{"user_id":null}"#, r#"{"user_id":""}"#, r#""me""#] {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.take();
        desk.answer(ROOM, Ok(Auth::new("key:s").channel_data(data)));
        desk.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(desk.status(ROOM), ChannelStatus::Failed, "{data}");
        assert!(desk.frames.is_empty(), "{data}");
    }
}

#[test]
fn the_members_are_those_of_the_last_confirmation() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.grant(ROOM);
    // Nobody is there before it.
    added(&mut desk, &json!({ "user_id": "early" }));
    assert!(desk.members(ROOM).is_empty());
    desk.take();
    confirm(&mut desk, &json!({ "a": null, "b": null, "me": { "name": "M" } }));
    desk.expect(&["event presence-room pusher:subscription_succeeded"]);
    assert_eq!(desk.members(ROOM), ["a", "b", "me"]);
    let members = desk.machine.members(ROOM);
    assert_eq!(members.me().unwrap().info(), r#"{"name":"M"}"#);

    desk.lose();
    assert!(desk.members(ROOM).is_empty(), "nobody knows");
    assert!(desk.machine.members(ROOM).me().is_none());
    assert_eq!(members.len(), 3, "what was taken stays");
    desk.reconnect();
    let ask = desk.ask(ROOM);
    let other = Auth { channel_data: Some(r#"{"user_id":7}"#.into()), ..granted(&ask) };
    desk.answer(ROOM, Ok(other));
    desk.take();
    confirm(&mut desk, &json!({ "b": null, "c": null, "7": 1 }));
    // All at once, and not one by one.
    desk.expect(&["resumed presence-room", "event presence-room pusher:subscription_succeeded"]);
    assert_eq!(desk.members(ROOM), ["7", "b", "c"]);
    assert_eq!(desk.machine.members(ROOM).me().unwrap().id(), "7");
}

#[test]
fn members_are_cleared_by_whatever_ends_the_subscription() {
    type Step = fn(&mut Desk);
    let steps: [Step; 4] = [
        Desk::lose,
        Desk::disconnect,
        |desk| desk.unsubscribe(ROOM),
        |desk| desk.server("pusher:subscription_error", Some(ROOM), &json!({ "status": 401 })),
    ];
    for step in steps {
        let mut desk = Desk::subscribed(&[ROOM]);
        confirm(&mut desk, &json!({ "a": null, "me": null }));
        assert_eq!(desk.members(ROOM).len(), 2);
        step(&mut desk);
        assert!(desk.members(ROOM).is_empty());
        desk.take();
        added(&mut desk, &json!({ "user_id": "late" }));
        removed(&mut desk, &json!({ "user_id": "a" }));
        desk.expect(&[]);
        assert!(desk.members(ROOM).is_empty());
    }
}

#[test]
fn who_comes_and_who_goes_is_told_once() {
    let mut desk = Desk::subscribed(&[ROOM]);
    confirm(&mut desk, &json!({ "me": null }));
    desk.take();
    added(&mut desk, &json!({ "user_id": "a", "user_info": { "n": 1 } }));
    desk.expect(&[r#"added presence-room a {"n":1}"#, "event presence-room pusher:member_added"]);
    added(&mut desk, &json!({ "user_id": "a", "user_info": { "n": 2 } }));
    added(&mut desk, &json!({ "user_id": "me" }));
    desk.expect(&[]);
    assert_eq!(desk.members(ROOM), ["a", "me"]);
    removed(&mut desk, &json!({ "user_id": "b" }));
    desk.expect(&[]);
    removed(&mut desk, &json!({ "user_id": "a" }));
    desk.expect(&[
        r#"removed presence-room a {"n":2}"#,
        "event presence-room pusher:member_removed",
    ]);
    removed(&mut desk, &json!({ "user_id": "a" }));
    desk.expect(&[]);
    assert_eq!(desk.members(ROOM), ["me"]);
}

#[test]
fn an_id_that_is_a_number_is_its_text() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, Ok(Auth::new("key:s").channel_data(r#"{"user_id":7}"#)));
    let data = json!({ "presence": { "ids": [7, "8"], "hash": [], "count": 2 } });
    desk.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
    assert_eq!(desk.members(ROOM), ["7", "8"]);
    assert_eq!(desk.machine.members(ROOM).me().unwrap().id(), "7");
    desk.take();
    added(&mut desk, &json!({ "user_id": 9 }));
    added(&mut desk, &json!({ "user_id": "9" }));
    removed(&mut desk, &json!({ "user_id": 8 }));
    desk.expect(&[
        "added presence-room 9 null",
        "event presence-room pusher:member_added",
        "removed presence-room 8 null",
        "event presence-room pusher:member_removed",
    ]);
    assert_eq!(desk.members(ROOM), ["7", "9"]);
}

#[test]
fn members_of_no_shape_are_passed_over() {
    let mut desk = Desk::subscribed(&[ROOM, "private-c"]);
    confirm(&mut desk, &json!({ "me": null }));
    desk.take();
    for data in [json!({}), json!(null), json!([]), json!({ "user_id": {} })] {
        added(&mut desk, &data);
        removed(&mut desk, &data);
    }
    // Only presence channels have members.
    let data = json!({ "user_id": "a" });
    desk.server("pusher_internal:member_added", Some("private-c"), &data);
    desk.expect(&[]);
    assert_eq!(desk.members(ROOM), ["me"]);
    assert!(desk.members("private-c").is_empty());
}
