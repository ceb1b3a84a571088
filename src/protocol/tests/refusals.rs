//! The ways in which servers refuse a subscription, and which one is meant.

use serde_json::{Value, json};

use super::desk::Desk;
use super::sim::{MS, SUBSCRIBE, secs};
use crate::{ChannelStatus, ErrorKind};

/// On their way to the server, not answered yet.
fn pending(names: &[&str]) -> Desk {
    let mut desk = Desk::connected();
    for name in names {
        desk.subscribe(name);
        if *name != "room" {
            desk.grant(name);
        }
    }
    desk.take();
    desk
}

/// As Pusher words it.
fn invalid_signature(desk: &mut Desk, of: &str) {
    let socket_id = desk.socket_id();
    let message = format!(
        "Invalid signature: Expected HMAC SHA256 hex digest of {socket_id}:{of}, but got deadbeef"
    );
    desk.error(Value::Null, &message);
}

#[test]
fn an_error_frame_that_names_the_channel_fails_it_alone() {
    let names = ["pusher:subscription_error", "pusher_internal:subscription_error"];
    let refused = json!({ "type": "AuthError", "error": "not yours", "status": 401 });
    for frame in names {
        for data in [refused.clone(), json!(refused.to_string())] {
            let mut desk = pending(&["private-a", "private-b"]);
            desk.server(frame, Some("private-a"), &data);
            desk.expect(&[
                "failed private-a Auth",
                "error private-a Auth",
                "event private-a pusher:subscription_error",
            ]);
            assert_eq!(desk.status("private-a"), ChannelStatus::Failed);
            let error = desk.machine.channel_failure("private-a").unwrap();
            assert_eq!(error.http_status(), Some(401));
            assert!(error.to_string().contains("not yours"), "{error}");
            desk.confirm("private-b");
            assert_eq!(desk.status("private-b"), ChannelStatus::Subscribed);
            // Refused: the server has nothing to forget.
            desk.take();
            desk.unsubscribe("private-a");
            desk.expect(&[]);
            desk.subscribe("private-a");
            desk.expect(&["ask private-a 1"]);
        }
    }
}

#[test]
fn a_refusal_without_words_is_one() {
    let mut desk = pending(&["private-a"]);
    desk.server("pusher_internal:subscription_error", Some("private-a"), &json!("{}"));
    assert_eq!(desk.status("private-a"), ChannelStatus::Failed);
    assert_eq!(desk.errors.len(), 1);
}

#[test]
fn pushers_words_are_about_the_channel_that_they_quote() {
    let names = ["private-a", "private-ab", "private-a-b", "presence-a", "room"];
    for refused in ["private-a", "private-ab", "private-a-b", "presence-a"] {
        let mut desk = pending(&names);
        let quoted = match refused {
            "presence-a" => r#"presence-a:{"user_id":"me"}"#,
            name => name,
        };
        invalid_signature(&mut desk, quoted);
        assert_eq!(
            desk.take(),
            [
                format!("failed {refused} Server"),
                format!("error {refused} Server"),
                "event - pusher:error".to_owned(),
            ]
        );
        for name in names {
            let then = if name == refused { ChannelStatus::Failed } else { ChannelStatus::Pending };
            assert_eq!(desk.status(name), then, "{name} when {refused} was refused");
            desk.confirm(name);
        }
        assert_eq!(desk.socket_id(), "7.1", "the connection lives on");
    }
}

#[test]
fn pushers_words_about_others_are_nobodys_here() {
    let mut desk = pending(&["private-a"]);
    // Of a channel that is not wanted any more, and whose name begins like that of another.
    for other in ["private-abc", "private-a-b", "private-a.b", "private", "presence-a"] {
        invalid_signature(&mut desk, other);
        assert_eq!(desk.take(), ["error - Server", "event - pusher:error"], "{other}");
    }
    // Of another connection.
    desk.error(Value::Null, "Invalid signature: Expected HMAC SHA256 hex digest of 7.9:private-a");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-a"), ChannelStatus::Pending);
    // Of one that was answered already.
    desk.confirm("private-a");
    desk.take();
    invalid_signature(&mut desk, "private-a");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn an_error_with_a_channel_is_about_it_if_it_waits() {
    let mut desk = pending(&["private-a", "private-b"]);
    let data = json!({ "code": 4009, "message": "no", "channel": "private-b" });
    desk.server("pusher:error", None, &data);
    desk.expect(&["failed private-b Server", "error private-b Server", "event - pusher:error"]);
    assert_eq!(desk.machine.channel_failure("private-b").unwrap().close_code(), Some(4009));
    desk.confirm("private-a");
    desk.take();
    let data = json!({ "code": 4301, "message": "too fast", "channel": "private-a" });
    desk.server("pusher:error", None, &data);
    desk.expect(&["error private-a Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn a_bare_4009_is_about_the_only_one_that_waits() {
    let mut desk = pending(&["private-a", "room"]);
    desk.confirm("room");
    desk.subscribe("presence-asked");
    desk.take();
    desk.error(4009, "Connection is unauthorized");
    desk.expect(&["failed private-a Server", "error private-a Server", "event - pusher:error"]);
    assert_eq!(desk.status("room"), ChannelStatus::Subscribed);
    assert_eq!(desk.status("presence-asked"), ChannelStatus::Pending);
    desk.grant("presence-asked");
    desk.expect(&["subscribe presence-asked"]);
}

#[test]
fn a_bare_4009_that_may_be_about_several_is_left_to_the_deadline() {
    let mut desk = pending(&["private-a", "private-b"]);
    desk.error(4009, "Connection is unauthorized");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-a"), ChannelStatus::Pending);
    desk.confirm("private-a");
    desk.take();
    desk.advance(SUBSCRIBE - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect_failure("private-b", ErrorKind::Timeout);
    assert_eq!(desk.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn a_bare_4009_is_about_no_public_channel() {
    let mut desk = pending(&["room"]);
    desk.error(4009, "Connection is unauthorized");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("room"), ChannelStatus::Pending);
}

#[test]
fn another_bare_code_fails_no_channel_at_once() {
    for code in [json!(4200), json!(4301), json!(4000), Value::Null] {
        let mut desk = pending(&["private-a"]);
        desk.error(code.clone(), "Invalid message format");
        desk.expect(&["error - Server", "event - pusher:error"]);
        assert_eq!(desk.status("private-a"), ChannelStatus::Pending, "{code}");
    }
}

#[test]
fn a_bare_4009_may_be_about_a_client_event() {
    let mut desk = Desk::subscribed(&["private-a"]);
    desk.trigger("private-a", "client-e", "{}").unwrap();
    desk.subscribe("private-b");
    desk.grant("private-b");
    desk.take();
    desk.advance(secs(1));
    desk.error(4009, "Client events are not allowed");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-b"), ChannelStatus::Pending);
    // On the next connection none was sent.
    desk.reconnect();
    desk.grant("private-a");
    desk.confirm("private-a");
    desk.grant("private-b");
    desk.take();
    desk.error(4009, "Connection is unauthorized");
    assert_eq!(desk.status("private-b"), ChannelStatus::Failed);
    assert_eq!(desk.status("private-a"), ChannelStatus::Subscribed);
}
