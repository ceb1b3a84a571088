//! Frames in the shapes that servers send, and in those that none should.

use super::sim::{ACTIVITY, SUBSCRIBE, Sim};
use crate::{ChannelStatus, ErrorKind, State};

/// The `data` of the greeting and so on: as an object and as a string that holds it.
fn both(object: &str) -> [String; 2] {
    [object.to_owned(), serde_json::Value::from(object).to_string()]
}

#[test]
fn the_greeting_is_understood_as_string_and_as_object() {
    for data in both(r#"{"activity_timeout":60,"socket_id":"3.4","more":[{}]}"#) {
        let mut sim = Sim::new();
        sim.connect();
        sim.server("pusher:connection_established", None, &data);
        assert_eq!(sim.machine.socket_id(), Some("3.4"));
        assert_eq!(sim.due_in().as_secs(), 60);
    }
}

#[test]
fn a_field_that_cannot_be_read_takes_no_other_with_it() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for odd in ["1e400", &"9".repeat(500), r#""\ud800""#, &deep] {
        for data in both(&format!(r#"{{"socket_id":"3.4","activity_timeout":{odd},"\ud800":1}}"#)) {
            let mut sim = Sim::new();
            sim.connect();
            sim.server("pusher:connection_established", None, &data);
            assert_eq!(sim.machine.socket_id(), Some("3.4"), "{data:.80}");
            assert_eq!(sim.due_in(), ACTIVITY);
        }
        for data in both(&format!(r#"{{"code":4301,"message":"slow down","more":{odd}}}"#)) {
            let mut sim = Sim::connected();
            sim.server("pusher:error", None, &data);
            let error = sim.expect("ev").error().to_string();
            assert!(error.ends_with("(4301): slow down"), "{error}");
        }
    }
}

#[test]
fn a_confirmation_needs_no_data() {
    let presence = both(r#"{"presence":{"ids":["1"],"hash":{"1":null},"count":1}}"#);
    let odd = ["", "null", "\"\"", "\"null\"", "{}", "\"{}\"", "[]", "7", "\"{\""];
    for data in odd.into_iter().chain(presence.iter().map(String::as_str)) {
        let mut sim = Sim::connected();
        sim.subscribe("presence-room");
        sim.take();
        sim.server("pusher_internal:subscription_succeeded", Some("presence-room"), data);
        let news = sim.expect("v");
        assert_eq!(news.event_names(), ["pusher:subscription_succeeded"]);
        assert_eq!(sim.status("presence-room"), ChannelStatus::Subscribed, "{data}");
    }
}

#[test]
fn an_error_frame_is_reported_in_every_shape() {
    let shapes = both(r#"{"code":4301,"message":"slow down"}"#);
    for data in &shapes {
        let mut sim = Sim::connected();
        sim.server("pusher:error", None, data);
        let news = sim.expect("ev");
        assert_eq!(news.error().close_code(), Some(4301));
        assert!(news.error().to_string().ends_with("(4301): slow down"), "{}", news.error());
        assert!(news.events[0].data().contains("slow down"));
    }
    for data in ["", "null", "\"\"", "\"text\"", "[]", "7", "{}", r#"{"code":"x","message":7}"#] {
        let mut sim = Sim::connected();
        sim.server("pusher:error", None, data);
        let news = sim.expect("ev");
        assert_eq!((news.error().kind(), news.error().close_code()), (ErrorKind::Server, None));
        assert_eq!(sim.state(), State::Connected);
    }
}

#[test]
fn a_servers_message_is_cut_in_an_error() {
    let mut sim = Sim::connected();
    let long = "é".repeat(5000);
    sim.server("pusher:error", None, &format!(r#"{{"code":4301,"message":"{long}"}}"#));
    let text = sim.take().error().to_string();
    assert_eq!(text.matches('é').count(), 500);
}

#[test]
fn internal_events_are_never_shown_under_that_name() {
    let mut sim = Sim::subscribed(&["room"]);
    for name in [
        "pusher_internal:",
        "pusher_internal:member_added",
        "pusher_internal:member_removed",
        "pusher_internal:watchlist_events",
        "pusher_internal:invented",
    ] {
        sim.server(name, Some("room"), "{}");
        sim.server(name, None, "{}");
        sim.expect_nothing();
    }
}

#[test]
fn other_protocol_events_are_shown_as_they_are() {
    let mut sim = Sim::subscribed(&["cache-room"]);
    for data in ["", "null", "{}", "\"{}\"", "\"null\""] {
        sim.server("pusher:cache_miss", Some("cache-room"), data);
        assert_eq!(sim.expect("v").event_names(), ["pusher:cache_miss"]);
    }
    sim.server("pusher:signin_success", None, "{}");
    sim.server("pusher:invented", Some("cache-room"), "{}");
    let news = sim.expect("vv");
    assert_eq!(news.event_names(), ["pusher:signin_success", "pusher:invented"]);
}

#[test]
fn users_may_name_their_events_nearly_as_the_protocol_does() {
    let mut sim = Sim::subscribed(&["room"]);
    for name in [
        "my-pusher_internal:event",
        " pusher_internal:x",
        "pusherx",
        "pusher",
        "pusher_internal",
        "Pusher:ping",
        "PUSHER_INTERNAL:x",
        "client-pusher:error",
        "",
        "x\u{0}\n\"",
    ] {
        sim.server(name, Some("room"), "{}");
        assert_eq!(sim.expect("v").event_names(), [name]);
    }
}

#[test]
fn an_event_of_the_users_is_delivered_with_any_data() {
    let mut sim = Sim::subscribed(&["room"]);
    for (data, text) in [
        ("", ""),
        ("null", "null"),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#""words""#, "words"),
        ("1.50", "1.50"),
    ] {
        sim.server("e", Some("room"), data);
        let news = sim.expect("v");
        assert_eq!(news.events[0].data(), text);
        assert_eq!(news.events[0].channel(), Some("room"));
    }
}

#[test]
fn what_is_no_event_is_reported_and_survived() {
    let mut sim = Sim::subscribed(&["room"]);
    for frame in [
        "",
        "null",
        "{}",
        "[]",
        "7",
        "hello",
        r#"{"event":7}"#,
        r#"{"event":null}"#,
        "{\"event\":\"e\"",
    ] {
        sim.frame(frame);
        let news = sim.expect("e");
        assert_eq!(news.error().kind(), ErrorKind::Protocol, "{frame}");
        assert!(news.error().is_retryable());
    }
    sim.server("e", Some("room"), "1");
    sim.expect("v");
}

#[test]
fn deep_nesting_and_huge_numbers_are_survived_in_every_protocol_event() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deeper = format!(r#"{{"channel":{deep},"code":{deep},"socket_id":{deep}}}"#);
    let digits = "9".repeat(5000);
    let huge = format!(
        r#"{{"code":{digits},"status":1e999999,"activity_timeout":{digits},"subscription_count":{digits}}}"#
    );
    for data in [&deep, &deeper, &digits, &huge] {
        for event in [
            "pusher:connection_established",
            "pusher:error",
            "pusher:ping",
            "pusher:pong",
            "pusher:subscription_error",
            "pusher:signin_success",
            "pusher_internal:subscription_succeeded",
            "pusher_internal:subscription_count",
            "pusher_internal:subscription_error",
            "pusher_internal:member_added",
            "e",
        ] {
            for data in both(data) {
                let mut sim = Sim::connected();
                sim.subscribe("room");
                sim.server(event, Some("room"), &data);
                sim.server(event, None, &data);
                assert_eq!(sim.state(), State::Connected, "{event}");
                sim.advance(SUBSCRIBE);

                let mut sim = Sim::new();
                sim.connect();
                sim.server(event, None, &data);
                assert_ne!(sim.state(), State::Connected, "{event}");
            }
        }
    }
}

#[test]
fn odd_types_in_the_envelope_are_survived() {
    let mut sim = Sim::subscribed(&["room"]);
    for frame in [
        r#"{"event":"e","channel":7}"#,
        r#"{"event":"e","channel":null,"data":1,"user_id":{}}"#,
        r#"{"event":"e","channel":["room"]}"#,
        r#"{"data":1,"event":"e","event":"f","channel":"room","user_id":12}"#,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":{"a":1}}"#,
        r#"{"event":"pusher_internal:subscription_count","channel":7,"data":{"subscription_count":1}}"#,
        r#"{"event":"pusher:subscription_error","channel":7,"data":{"channel":8}}"#,
    ] {
        sim.frame(frame);
        assert_eq!(sim.state(), State::Connected, "{frame}");
    }
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
    let news = sim.take();
    assert_eq!(news.event_names(), ["e", "e", "e", "f", "pusher:subscription_error"]);
}
