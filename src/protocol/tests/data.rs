//! What servers send as data: values of other types than usual, and more of them than fits.

use serde_json::{Value, json};

use super::harness::Harness;
use crate::{ChannelStatus, ErrorKind, State};

const ROOM: &str = "presence-room";
/// How much the members may take.
const LIMIT: usize = 256 * 1024;
/// Of these 15 fit, with some members without.
const INFO: usize = LIMIT / 16;

#[test]
fn a_socket_id_may_be_a_number() {
    for (json, socket_id) in [("7", "7"), ("1234.10", "1234.10"), ("\"1234.10\"", "1234.10")] {
        let mut harness = Harness::quiet();
        harness.connect();
        harness.establish_with(&format!(r#"{{"socket_id":{json}}}"#));
        assert_eq!(harness.machine.socket_id(), Some(socket_id));
    }
}

#[test]
fn a_code_may_be_a_float_or_a_text() {
    for code in [json!(4001), json!(4001.0), json!("4001"), json!(" 4.001e3 ")] {
        for field in ["code", "status"] {
            let mut harness = Harness::quiet();
            harness.connect();
            harness.opened();
            harness.take();
            harness.server("pusher:error", None, json!({ field: code, "message": 17 }).to_string());
            let outputs = harness.take();
            assert_eq!(outputs.state().current, State::Failed, "{field} {code}");
            let error = outputs.error();
            assert_eq!(error.close_code(), Some(4001));
            assert!(error.to_string().contains("(4001): 17"), "{error}");
        }
    }
    let mut harness = Harness::connected();
    harness.subscribe("private-7");
    harness.grant("private-7");
    harness.server("pusher:subscription_error", Some("private-7"), json!({ "status": "403" }));
    assert_eq!(harness.errors.last().unwrap().http_status(), Some(403));
}

#[test]
fn a_count_may_be_a_float_or_a_text() {
    for (count, expected) in [(json!("3"), 3), (json!(5.0), 5), (json!("2e2"), 200)] {
        let mut harness = Harness::subscribed(&["private-room"]);
        let data = json!({ "subscription_count": count });
        harness.server("pusher_internal:subscription_count", Some("private-room"), &data);
        assert_eq!(harness.machine.subscription_count("private-room"), Some(expected));
    }
}

#[test]
fn a_channel_may_be_a_number() {
    let mut harness = Harness::connected();
    harness.subscribe("7");
    let event = crate::Event::parse(
        r#"{"event":"pusher_internal:subscription_succeeded","channel":7}"#.to_owned(),
    );
    assert_eq!(event.unwrap().channel(), Some("7"));
    let data = json!({ "channel": 7, "message": "no", "status": 400 });
    harness.server("pusher:subscription_error", None, &data);
    assert_eq!(harness.status("7"), ChannelStatus::Failed);
}

fn subscribed() -> Harness {
    let mut harness = Harness::subscribed(&[ROOM]);
    harness.machine.config.max_members_bytes = LIMIT;
    harness
}

fn confirm(harness: &mut Harness, ids: &[String], hash: &Value) {
    let data = json!({ "presence": { "ids": ids, "hash": hash } });
    harness.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
}

fn added(harness: &mut Harness, id: &str, info: &Value) {
    let data = json!({ "user_id": id, "user_info": info });
    harness.server("pusher_internal:member_added", Some(ROOM), &data);
}

/// The members whose info was left out, and how much all of them take.
fn cut(harness: &Harness) -> (usize, usize) {
    let members = harness.machine.members(ROOM);
    let cut = members.iter().filter(|member| member.info() == "null").count();
    (cut, members.iter().map(|member| member.size()).sum())
}

fn too_large(harness: &Harness) -> usize {
    let reported = harness.errors.iter().filter(|error| error.kind() == ErrorKind::TooLarge);
    reported.inspect(|error| assert_eq!(error.channel(), Some(ROOM))).count()
}

#[test]
fn members_that_come_are_bounded_by_their_bytes() {
    let mut harness = subscribed();
    confirm(&mut harness, &["me".into()], &json!({ "me": {} }));
    let info = json!("x".repeat(INFO));
    for id in 0..40 {
        added(&mut harness, &id.to_string(), &info);
    }
    assert_eq!(harness.machine.members(ROOM).len(), 41, "infos are left out first");
    let (without_info, bytes) = cut(&harness);
    assert_eq!(without_info, 25);
    assert!(bytes <= LIMIT);
    assert_eq!(too_large(&harness), 1);
    // Then members. What is left of the limit holds no such id.
    harness.take();
    let long = "y".repeat(INFO);
    added(&mut harness, &long, &json!(null));
    let data = json!({ "user_id": long });
    harness.server("pusher_internal:member_removed", Some(ROOM), &data);
    harness.expect(&[]);
    // What leaves makes room.
    harness.server("pusher_internal:member_removed", Some(ROOM), json!({ "user_id": "0" }));
    assert_eq!(harness.take().lines.len(), 2);
    added(&mut harness, &long[1..], &json!(null));
    assert_eq!(harness.take().lines.len(), 2);
    assert_eq!(too_large(&harness), 1, "once for each subscription");
}

#[test]
fn members_of_a_confirmation_are_bounded_by_their_bytes() {
    let mut harness = subscribed();
    let ids: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    let info = "x".repeat(INFO);
    let hash: Value = ids.iter().map(|id| (id.clone(), json!(info))).collect();
    for _ in 0..2 {
        confirm(&mut harness, &ids, &hash);
        assert_eq!(harness.machine.members(ROOM).len(), 40);
        let (without_info, bytes) = cut(&harness);
        assert_eq!((without_info, bytes <= LIMIT), (25, true));
        assert_eq!(too_large(&harness), 1);
    }
    // More ids than fit, however short.
    let many: Vec<String> = (0..3_000).map(|id| id.to_string()).collect();
    confirm(&mut harness, &many, &json!({}));
    let (_, bytes) = cut(&harness);
    assert!((LIMIT - INFO..=LIMIT).contains(&bytes), "{bytes}");
    harness.lose();
    harness.reestablish();
    harness.grant(ROOM);
    confirm(&mut harness, &many, &json!({}));
    assert_eq!(too_large(&harness), 2, "once for each subscription");
}
