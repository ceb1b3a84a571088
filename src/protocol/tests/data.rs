//! What servers send as data: values of other types than usual, and more of them than fits.

use serde_json::{Value, json};

use super::desk::Desk;
use super::sim::Sim;
use crate::{ChannelStatus, ErrorKind, State};

const ROOM: &str = "presence-room";
/// How much the members may take.
const LIMIT: usize = 256 * 1024;
/// Of these 15 fit, with some members without.
const INFO: usize = LIMIT / 16;

#[test]
fn a_socket_id_may_be_a_number() {
    for (told, socket_id) in [("7", "7"), ("1234.10", "1234.10"), ("\"1234.10\"", "1234.10")] {
        let mut sim = Sim::new();
        sim.connect();
        sim.established_with(&format!(r#"{{"socket_id":{told}}}"#));
        assert_eq!(sim.machine.socket_id(), Some(socket_id));
    }
}

#[test]
fn a_code_may_be_a_float_or_a_text() {
    for code in [json!(4001), json!(4001.0), json!("4001"), json!(" 4.001e3 ")] {
        for field in ["code", "status"] {
            let mut sim = Sim::new();
            sim.connect();
            sim.opened();
            sim.take();
            sim.server("pusher:error", None, &json!({ field: code, "message": 17 }).to_string());
            let news = sim.take();
            assert_eq!(news.state().current, State::Failed, "{field} {code}");
            let error = news.error();
            assert_eq!(error.close_code(), Some(4001));
            assert!(error.to_string().contains("(4001): 17"), "{error}");
        }
    }
    let mut desk = Desk::connected();
    desk.subscribe("private-7");
    desk.grant("private-7");
    desk.server("pusher:subscription_error", Some("private-7"), &json!({ "status": "403" }));
    assert_eq!(desk.errors.last().unwrap().http_status(), Some(403));
}

#[test]
fn a_count_may_be_a_float_or_a_text() {
    for (count, expected) in [(json!("3"), 3), (json!(5.0), 5), (json!("2e2"), 200)] {
        let mut desk = Desk::subscribed(&["private-room"]);
        let data = json!({ "subscription_count": count });
        desk.server("pusher_internal:subscription_count", Some("private-room"), &data);
        assert_eq!(desk.machine.subscription_count("private-room"), Some(expected));
    }
}

#[test]
fn a_channel_may_be_a_number() {
    let mut desk = Desk::connected();
    desk.subscribe("7");
    let event = crate::Event::parse(
        r#"{"event":"pusher_internal:subscription_succeeded","channel":7}"#.to_owned(),
    );
    assert_eq!(event.unwrap().channel(), Some("7"));
    let data = json!({ "channel": 7, "message": "no", "status": 400 });
    desk.server("pusher:subscription_error", None, &data);
    assert_eq!(desk.status("7"), ChannelStatus::Failed);
}

fn subscribed() -> Desk {
    let mut desk = Desk::subscribed(&[ROOM]);
    desk.machine.config.max_members_bytes = LIMIT;
    desk
}

fn confirm(desk: &mut Desk, ids: &[String], hash: &Value) {
    let data = json!({ "presence": { "ids": ids, "hash": hash } });
    desk.server("pusher_internal:subscription_succeeded", Some(ROOM), &data);
}

fn added(desk: &mut Desk, id: &str, info: &Value) {
    let data = json!({ "user_id": id, "user_info": info });
    desk.server("pusher_internal:member_added", Some(ROOM), &data);
}

/// The members whose info was left out, and how much all of them take.
fn cut(desk: &Desk) -> (usize, usize) {
    let members = desk.machine.members(ROOM);
    let cut = members.iter().filter(|member| member.info() == "null").count();
    (cut, members.iter().map(|member| member.size()).sum())
}

fn too_large(desk: &Desk) -> usize {
    let told = desk.errors.iter().filter(|error| error.kind() == ErrorKind::TooLarge);
    told.inspect(|error| assert_eq!(error.channel(), Some(ROOM))).count()
}

#[test]
fn members_that_come_are_bounded_by_their_bytes() {
    let mut desk = subscribed();
    confirm(&mut desk, &["me".into()], &json!({ "me": {} }));
    let info = json!("x".repeat(INFO));
    for id in 0..40 {
        added(&mut desk, &id.to_string(), &info);
    }
    assert_eq!(desk.machine.members(ROOM).len(), 41, "infos are left out first");
    let (without_info, bytes) = cut(&desk);
    assert_eq!(without_info, 25);
    assert!(bytes <= LIMIT);
    assert_eq!(too_large(&desk), 1);
    // Then members. What is left of the limit holds no such id.
    desk.take();
    let long = "y".repeat(INFO);
    added(&mut desk, &long, &json!(null));
    let data = json!({ "user_id": long });
    desk.server("pusher_internal:member_removed", Some(ROOM), &data);
    desk.expect(&[]);
    // What leaves makes room.
    desk.server("pusher_internal:member_removed", Some(ROOM), &json!({ "user_id": "0" }));
    assert_eq!(desk.take().len(), 2);
    added(&mut desk, &long[1..], &json!(null));
    assert_eq!(desk.take().len(), 2);
    assert_eq!(too_large(&desk), 1, "once for each subscription");
}

#[test]
fn members_of_a_confirmation_are_bounded_by_their_bytes() {
    let mut desk = subscribed();
    let ids: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    let info = "x".repeat(INFO);
    let hash: Value = ids.iter().map(|id| (id.clone(), json!(info))).collect();
    for _ in 0..2 {
        confirm(&mut desk, &ids, &hash);
        assert_eq!(desk.machine.members(ROOM).len(), 40);
        let (without_info, bytes) = cut(&desk);
        assert_eq!((without_info, bytes <= LIMIT), (25, true));
        assert_eq!(too_large(&desk), 1);
    }
    // More ids than fit, however short.
    let many: Vec<String> = (0..3_000).map(|id| id.to_string()).collect();
    confirm(&mut desk, &many, &json!({}));
    let (_, bytes) = cut(&desk);
    assert!((LIMIT - INFO..=LIMIT).contains(&bytes), "{bytes}");
    desk.lose();
    desk.reconnect();
    desk.grant(ROOM);
    confirm(&mut desk, &many, &json!({}));
    assert_eq!(too_large(&desk), 2, "once for each subscription");
}
