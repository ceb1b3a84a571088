//! The ways in which servers refuse a subscription, and which one is meant.

use serde_json::{Value, json};

use super::harness::{Harness, MS, SUBSCRIBE, secs};
use crate::{ChannelStatus, ErrorKind};

/// Sent to the server, without a response yet.
fn pending(names: &[&str]) -> Harness {
    let mut harness = Harness::connected();
    for name in names {
        harness.subscribe(name);
        if *name != "room" {
            harness.grant(name);
        }
    }
    harness.take();
    harness
}

/// The text of Pusher.
fn invalid_signature(harness: &mut Harness, of: &str) {
    let socket_id = harness.socket_id.clone();
    let message = format!(
        "Invalid signature: Expected HMAC SHA256 hex digest of {socket_id}:{of}, but got deadbeef"
    );
    harness.error(Value::Null, &message);
}

#[test]
fn an_error_frame_that_names_the_channel_fails_it_alone() {
    let names = ["pusher:subscription_error", "pusher_internal:subscription_error"];
    let refused = json!({ "type": "AuthError", "error": "not yours", "status": 401 });
    for frame in names {
        for data in [refused.clone(), json!(refused.to_string())] {
            let mut harness = pending(&["private-a", "private-b"]);
            harness.server(frame, Some("private-a"), &data);
            harness.expect(&[
                "failed private-a Auth",
                "error private-a Auth",
                "event private-a pusher:subscription_error",
            ]);
            assert_eq!(harness.status("private-a"), ChannelStatus::Failed);
            let error = harness.machine.channel_failure("private-a").unwrap();
            assert_eq!(error.http_status(), Some(401));
            assert!(error.to_string().contains("not yours"), "{error}");
            harness.confirm("private-b");
            assert_eq!(harness.status("private-b"), ChannelStatus::Subscribed);
            // Refused: the server has nothing to forget.
            harness.take();
            harness.unsubscribe("private-a");
            harness.expect(&[]);
            harness.subscribe("private-a");
            harness.expect(&["authorize private-a 1"]);
        }
    }
}

#[test]
fn a_refusal_without_text_is_one() {
    let mut harness = pending(&["private-a"]);
    harness.server("pusher_internal:subscription_error", Some("private-a"), json!("{}"));
    assert_eq!(harness.status("private-a"), ChannelStatus::Failed);
    assert_eq!(harness.errors.len(), 1);
}

#[test]
fn pushers_text_is_about_the_channel_that_it_quotes() {
    let names = ["private-a", "private-ab", "private-a-b", "presence-a", "room"];
    for refused in ["private-a", "private-ab", "private-a-b", "presence-a"] {
        let mut harness = pending(&names);
        let quoted = match refused {
            "presence-a" => r#"presence-a:{"user_id":"me"}"#,
            name => name,
        };
        invalid_signature(&mut harness, quoted);
        assert_eq!(
            harness.take().lines,
            [
                format!("failed {refused} Server"),
                format!("error {refused} Server"),
                "event - pusher:error".to_owned(),
            ]
        );
        for name in names {
            let then = if name == refused { ChannelStatus::Failed } else { ChannelStatus::Pending };
            assert_eq!(harness.status(name), then, "{name} when {refused} was refused");
            harness.confirm(name);
        }
        assert_eq!(harness.socket_id, "7.1", "the connection lives on");
    }
}

#[test]
fn pushers_text_about_other_channels_has_no_effect() {
    let mut harness = pending(&["private-a"]);
    // Of a channel that is not wanted any more, and whose name begins like that of another.
    for other in ["private-abc", "private-a-b", "private-a.b", "private", "presence-a"] {
        invalid_signature(&mut harness, other);
        assert_eq!(harness.take().lines, ["error - Server", "event - pusher:error"], "{other}");
    }
    // Of another connection.
    harness
        .error(Value::Null, "Invalid signature: Expected HMAC SHA256 hex digest of 7.9:private-a");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-a"), ChannelStatus::Pending);
    // Of one that has its response.
    harness.confirm("private-a");
    harness.take();
    invalid_signature(&mut harness, "private-a");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn an_error_with_a_channel_is_about_it_if_it_waits() {
    let mut harness = pending(&["private-a", "private-b"]);
    let data = json!({ "code": 4009, "message": "no", "channel": "private-b" });
    harness.server("pusher:error", None, &data);
    harness.expect(&["failed private-b Server", "error private-b Server", "event - pusher:error"]);
    assert_eq!(harness.machine.channel_failure("private-b").unwrap().close_code(), Some(4009));
    harness.confirm("private-a");
    harness.take();
    let data = json!({ "code": 4301, "message": "too fast", "channel": "private-a" });
    harness.server("pusher:error", None, &data);
    harness.expect(&["error private-a Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn a_bare_4009_is_about_the_only_one_that_waits() {
    let mut harness = pending(&["private-a", "room"]);
    harness.confirm("room");
    harness.subscribe("presence-pending");
    harness.take();
    harness.error(4009, "Connection is unauthorized");
    harness.expect(&["failed private-a Server", "error private-a Server", "event - pusher:error"]);
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
    assert_eq!(harness.status("presence-pending"), ChannelStatus::Pending);
    harness.grant("presence-pending");
    harness.expect(&["subscribe presence-pending"]);
}

#[test]
fn a_bare_4009_that_may_be_about_several_is_left_to_the_deadline() {
    let mut harness = pending(&["private-a", "private-b"]);
    harness.error(4009, "Connection is unauthorized");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-a"), ChannelStatus::Pending);
    harness.confirm("private-a");
    harness.take();
    harness.advance(SUBSCRIBE - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect_failure("private-b", ErrorKind::Timeout);
    assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn a_bare_4009_is_about_no_public_channel() {
    let mut harness = pending(&["room"]);
    harness.error(4009, "Connection is unauthorized");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("room"), ChannelStatus::Pending);
}

#[test]
fn another_bare_code_fails_no_channel_at_once() {
    for code in [json!(4200), json!(4301), json!(4000), Value::Null] {
        let mut harness = pending(&["private-a"]);
        harness.error(code.clone(), "Invalid message format");
        harness.expect(&["error - Server", "event - pusher:error"]);
        assert_eq!(harness.status("private-a"), ChannelStatus::Pending, "{code}");
    }
}

#[test]
fn a_bare_4009_may_be_about_a_client_event() {
    let mut harness = Harness::subscribed(&["private-a"]);
    harness.trigger("private-a", "client-e", "{}").unwrap();
    harness.subscribe("private-b");
    harness.grant("private-b");
    harness.take();
    harness.advance(secs(1));
    harness.error(4009, "Client events are not allowed");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-b"), ChannelStatus::Pending);
    // On the next connection none was sent.
    harness.reestablish();
    harness.grant("private-a");
    harness.confirm("private-a");
    harness.grant("private-b");
    harness.take();
    harness.error(4009, "Connection is unauthorized");
    assert_eq!(harness.status("private-b"), ChannelStatus::Failed);
    assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
}
