//! Frames in the shapes that servers send, and in those that none should.

use super::harness::{ACTIVITY, Harness, SUBSCRIBE};
use crate::{ChannelStatus, ErrorKind, State};

/// The `data` of `pusher:connection_established` and so on: as an object and as a string that holds it.
fn both(object: &str) -> [String; 2] {
    [object.to_owned(), serde_json::Value::from(object).to_string()]
}

#[test]
fn the_establishment_is_read_as_string_and_as_object() {
    for data in both(r#"{"activity_timeout":60,"socket_id":"3.4","more":[{}]}"#) {
        let mut harness = Harness::quiet();
        harness.connect();
        harness.server("pusher:connection_established", None, &data);
        assert_eq!(harness.machine.socket_id(), Some("3.4"));
        assert_eq!(harness.due_in().as_secs(), 60);
    }
}

#[test]
fn a_field_that_cannot_be_read_takes_no_other_with_it() {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for odd in ["1e400", &"9".repeat(500), r#""\ud800""#, &deep] {
        for data in both(&format!(r#"{{"socket_id":"3.4","activity_timeout":{odd},"\ud800":1}}"#)) {
            let mut harness = Harness::quiet();
            harness.connect();
            harness.server("pusher:connection_established", None, &data);
            assert_eq!(harness.machine.socket_id(), Some("3.4"), "{data:.80}");
            assert_eq!(harness.due_in(), ACTIVITY);
        }
        for data in both(&format!(r#"{{"code":4301,"message":"slow down","more":{odd}}}"#)) {
            let mut harness = Harness::quiet_connected();
            harness.server("pusher:error", None, &data);
            let error = harness.expect_outputs("ev").error().to_string();
            assert!(error.ends_with("(4301): slow down"), "{error}");
        }
    }
}

#[test]
fn a_confirmation_needs_no_data() {
    let presence = both(r#"{"presence":{"ids":["1"],"hash":{"1":null},"count":1}}"#);
    let odd = ["", "null", "\"\"", "\"null\"", "{}", "\"{}\"", "[]", "7", "\"{\""];
    for data in odd.into_iter().chain(presence.iter().map(String::as_str)) {
        let mut harness = Harness::quiet_connected();
        harness.subscribe("presence-room");
        harness.take();
        harness.server("pusher_internal:subscription_succeeded", Some("presence-room"), data);
        let outputs = harness.expect_outputs("v");
        assert_eq!(outputs.event_names(), ["pusher:subscription_succeeded"]);
        assert_eq!(harness.status("presence-room"), ChannelStatus::Subscribed, "{data}");
    }
}

#[test]
fn an_error_frame_is_reported_in_every_shape() {
    let shapes = both(r#"{"code":4301,"message":"slow down"}"#);
    for data in &shapes {
        let mut harness = Harness::quiet_connected();
        harness.server("pusher:error", None, data);
        let outputs = harness.expect_outputs("ev");
        assert_eq!(outputs.error().close_code(), Some(4301));
        assert!(outputs.error().to_string().ends_with("(4301): slow down"), "{}", outputs.error());
        assert!(outputs.events[0].data().contains("slow down"));
    }
    for data in ["", "null", "\"\"", "\"text\"", "[]", "7", "{}", r#"{"code":"x","message":7}"#] {
        let mut harness = Harness::quiet_connected();
        harness.server("pusher:error", None, data);
        let outputs = harness.expect_outputs("ev");
        assert_eq!(
            (outputs.error().kind(), outputs.error().close_code()),
            (ErrorKind::Server, None)
        );
        assert_eq!(harness.state(), State::Connected);
    }
}

#[test]
fn a_servers_message_is_cut_in_an_error() {
    let mut harness = Harness::quiet_connected();
    let long = "é".repeat(5000);
    harness.server("pusher:error", None, format!(r#"{{"code":4301,"message":"{long}"}}"#));
    let text = harness.take().error().to_string();
    assert_eq!(text.matches('é').count(), 500);
}

#[test]
fn internal_events_are_never_shown_under_that_name() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    for name in [
        "pusher_internal:",
        "pusher_internal:member_added",
        "pusher_internal:member_removed",
        "pusher_internal:watchlist_events",
        "pusher_internal:invented",
    ] {
        harness.server(name, Some("room"), "{}");
        harness.server(name, None, "{}");
        harness.expect_nothing();
    }
}

#[test]
fn other_protocol_events_are_shown_as_they_are() {
    let mut harness = Harness::quiet_subscribed(&["cache-room"]);
    for data in ["", "null", "{}", "\"{}\"", "\"null\""] {
        harness.server("pusher:cache_miss", Some("cache-room"), data);
        assert_eq!(harness.expect_outputs("v").event_names(), ["pusher:cache_miss"]);
    }
    harness.server("pusher:signin_success", None, "{}");
    harness.server("pusher:invented", Some("cache-room"), "{}");
    let outputs = harness.expect_outputs("vv");
    assert_eq!(outputs.event_names(), ["pusher:signin_success", "pusher:invented"]);
}

#[test]
fn users_may_name_their_events_nearly_as_the_protocol_does() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
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
        harness.server(name, Some("room"), "{}");
        assert_eq!(harness.expect_outputs("v").event_names(), [name]);
    }
}

#[test]
fn an_event_of_the_users_is_delivered_with_any_data() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    for (data, text) in [
        ("", ""),
        ("null", "null"),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#""words""#, "words"),
        ("1.50", "1.50"),
    ] {
        harness.server("e", Some("room"), data);
        let outputs = harness.expect_outputs("v");
        assert_eq!(outputs.events[0].data(), text);
        assert_eq!(outputs.events[0].channel(), Some("room"));
    }
}

#[test]
fn what_is_no_event_is_reported_and_survived() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
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
        harness.frame(frame);
        let outputs = harness.expect_outputs("e");
        assert_eq!(outputs.error().kind(), ErrorKind::Protocol, "{frame}");
        assert!(outputs.error().is_retryable());
    }
    harness.server("e", Some("room"), "1");
    harness.expect_outputs("v");
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
                let mut harness = Harness::quiet_connected();
                harness.subscribe("room");
                harness.server(event, Some("room"), &data);
                harness.server(event, None, &data);
                assert_eq!(harness.state(), State::Connected, "{event}");
                harness.advance(SUBSCRIBE);

                let mut harness = Harness::quiet();
                harness.connect();
                harness.server(event, None, &data);
                assert_ne!(harness.state(), State::Connected, "{event}");
            }
        }
    }
}

#[test]
fn odd_types_in_the_envelope_are_survived() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    for frame in [
        r#"{"event":"e","channel":7}"#,
        r#"{"event":"e","channel":null,"data":1,"user_id":{}}"#,
        r#"{"event":"e","channel":["room"]}"#,
        r#"{"data":1,"event":"e","event":"f","channel":"room","user_id":12}"#,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":{"a":1}}"#,
        r#"{"event":"pusher_internal:subscription_count","channel":7,"data":{"subscription_count":1}}"#,
        r#"{"event":"pusher:subscription_error","channel":7,"data":{"channel":8}}"#,
    ] {
        harness.frame(frame);
        assert_eq!(harness.state(), State::Connected, "{frame}");
    }
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
    let outputs = harness.take();
    assert_eq!(outputs.event_names(), ["e", "e", "e", "f", "pusher:subscription_error"]);
}
