//! Errors without a channel: which subscription they are about, and what becomes of those about which nobody
//! knows.

use std::error::Error as _;

use serde_json::{Value, json};

use super::harness::{Harness, MS, SIGNIN, SUBSCRIBE, secs};
use crate::{Auth, ChannelStatus, Error, ErrorKind};

/// Pending at the server, each with an authorization if it needs one.
fn pending(names: &[&str]) -> Harness {
    let mut harness = Harness::connected();
    for name in names {
        harness.subscribe(name);
        if harness.requests.last().is_some_and(|request| request.channel == *name) {
            harness.grant(name);
        }
    }
    harness.take();
    harness
}

fn cause(error: &Error) -> Option<String> {
    error.source().map(ToString::to_string)
}

#[test]
fn the_channel_that_the_text_names_fails_at_once() {
    let cases: [(&str, &[&str], &str); 12] = [
        (
            "presence-5",
            &["presence-55", "presence-5", "presence-5-5"],
            "Auth value for subscription to presence-5 is invalid: should be of format 'key:signature'",
        ),
        ("presence-55", &["presence-5", "presence-55"], "refused: presence-55."),
        (
            "private-ci-received-1",
            &["private-ci", "private-ci-received-1"],
            "Auth info required to subscribe to private-ci-received-1",
        ),
        ("private-a.b", &["private-a", "private-a.b"], "no access to private-a.b, sorry"),
        ("private-a", &["private-a", "private-a.b"], "no access to private-a. Sorry"),
        ("private-a", &["private-a", "private-b"], "'private-a' is not yours"),
        (
            "presence-a",
            &["presence-a", "private-b"],
            r#"of 7.1:presence-a:{"user_id":"private-b"}, but got x"#,
        ),
        ("room", &["room", "private-b"], "Subscription to room is not allowed"),
        ("room-1", &["room-1", "private-b"], "room-1 is full"),
        ("room", &["room", "format"], "Invalid format of channel room"),
        ("private-encrypted-a", &["private-a", "private-encrypted-a"], "\"private-encrypted-a\""),
        ("cache-a,b;c=d@e", &["cache-a", "cache-a,b;c=d@e"], "no cache-a,b;c=d@e;"),
    ];
    for code in [Value::Null, json!(4300), json!(4009), json!(4000), json!(4301)] {
        for (refused, names, text) in cases {
            let mut harness = pending(names);
            harness.error(code.clone(), text);
            harness.expect(&[
                &format!("failed {refused} Server"),
                &format!("error {refused} Server"),
                "event - pusher:error",
            ]);
            let shown = harness.machine.channel_failure(refused).unwrap().to_string();
            assert!(shown.contains(text.split('{').next().unwrap()), "{shown}");
            for name in names.iter().filter(|name| **name != refused) {
                assert_eq!(harness.status(name), ChannelStatus::Pending, "{text}");
            }
        }
    }
}

#[test]
fn the_response_to_an_unsubscribe_refuses_no_later_subscription() {
    for name in ["room", "private-a", "presence-a"] {
        let text =
            format!("No current subscription to channel {name}, or subscription in progress");
        let mut harness = pending(&[name]);
        harness.unsubscribe(name);
        harness.subscribe(name);
        if name != "room" {
            harness.grant(name);
        }
        harness.take();
        harness.error(Value::Null, &text);
        harness.expect(&["error - Server", "event - pusher:error"]);
        harness.advance(secs(3));
        assert_eq!(harness.status(name), ChannelStatus::Pending);
    }
    // The client itself leaves a presence channel that the server has already.
    let mut harness = pending(&["presence-a"]);
    harness.error(Value::Null, "Existing subscription to channel presence-a");
    harness.error(Value::Null, "No current subscription to channel presence-a");
    harness.advance(secs(3));
    assert_eq!(harness.status("presence-a"), ChannelStatus::Pending);
}

#[test]
fn a_name_behind_an_equals_sign_is_meant_and_no_other() {
    for text in
        ["refused (channel=private-a)", "code=1;channel=private-a,user=9", "channel=private-a."]
    {
        let mut harness = pending(&["private-a", "private-b"]);
        harness.error(Value::Null, text);
        assert_eq!(harness.status("private-a"), ChannelStatus::Failed, "{text}");
        let mut harness = pending(&["private-a", "private-b"]);
        harness.confirm("private-a");
        harness.error(Value::Null, text);
        harness.advance(secs(3));
        assert_eq!(harness.status("private-b"), ChannelStatus::Pending, "{text}");
    }
}

#[test]
fn a_name_that_breaks_the_rules_is_found_in_the_text_too() {
    let mut harness = pending(&["chat:1", "chat:12", "é b"]);
    harness.error(Value::Null, "no access to chat:12");
    assert_eq!(harness.status("chat:12"), ChannelStatus::Failed);
    assert_eq!(harness.status("chat:1"), ChannelStatus::Pending);
    harness.error(Value::Null, "no access to é b!");
    assert_eq!(harness.status("é b"), ChannelStatus::Failed);
}

#[test]
fn a_text_without_a_name_fails_the_only_authorized_one_within_two_seconds() {
    let texts = [
        "user_info supplied to presence subscription is invalid - if supplied it must be a type of hash",
        r#"Invalid key in subscription auth data: '{"auth"'"#,
        "Channel error: Missing user_id in channel_data",
    ];
    for code in [Value::Null, json!(4300), json!(4200), json!(4301)] {
        for text in texts {
            let mut harness = pending(&["presence-a", "room", "other"]);
            harness.confirm("other");
            harness.subscribe("private-pending");
            harness.take();
            harness.error(code.clone(), text);
            harness.expect(&["error - Server", "event - pusher:error"]);
            harness.advance(secs(2) - MS);
            harness.expect(&[]);
            harness.advance(MS);
            harness.expect_failure("presence-a", ErrorKind::Server);
            let error = harness.machine.channel_failure("presence-a").unwrap();
            assert_eq!(error.close_code(), code.as_u64().map(|code| code as u16));
            for name in ["room", "private-pending"] {
                assert_eq!(harness.status(name), ChannelStatus::Pending);
            }
        }
    }
}

#[test]
fn a_confirmation_wins_over_an_error_without_a_name_before_and_after_the_two_seconds() {
    for wait in [secs(1), secs(3)] {
        let mut harness = pending(&["private-a"]);
        harness.error(Value::Null, "odd");
        harness.advance(wait);
        harness.confirm("private-a");
        assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
        harness.take();
        harness.advance(SUBSCRIBE);
        harness.expect(&[]);
    }
}

#[test]
fn while_another_request_is_pending_the_text_becomes_the_cause_of_the_time_out() {
    type Step = fn(&mut Harness);
    let steps: [(&str, Step); 3] = [
        ("a client event", |harness| harness.trigger("private-b", "client-e", "1").unwrap()),
        ("a sign-in", |harness| {
            harness.signin();
            harness.present("9");
        }),
        ("another channel", |harness| {
            harness.subscribe("private-c");
            harness.grant("private-c");
        }),
    ];
    for (what, step) in steps {
        let mut harness = pending(&["private-a", "private-b"]);
        harness.confirm("private-b");
        step(&mut harness);
        // From 4300 on it is not the response to a sign-in.
        harness.error(4300, "odd");
        harness.advance(SUBSCRIBE - MS);
        assert_eq!(harness.status("private-a"), ChannelStatus::Pending, "{what}");
        harness.advance(MS);
        let error = harness.machine.channel_failure("private-a").unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(cause(&error).unwrap().contains("odd"), "{what}");
    }
    // Two seconds after it a client event has its response.
    let mut harness = pending(&["private-a", "private-b"]);
    harness.confirm("private-b");
    harness.trigger("private-b", "client-e", "1").unwrap();
    harness.advance(secs(2));
    harness.error(4300, "odd");
    harness.advance(secs(2));
    assert_eq!(harness.machine.channel_failure("private-a").unwrap().close_code(), Some(4300));
}

#[test]
fn a_public_channel_and_a_sign_in_that_time_out_have_the_kept_text_as_their_cause() {
    let mut harness = pending(&["room"]);
    harness.error(Value::Null, "first");
    harness.error(4301, "odd");
    harness.advance(SUBSCRIBE);
    let error = harness.machine.channel_failure("room").unwrap();
    assert!(error.is_timeout() && cause(&error).unwrap().contains("odd"), "the last one is kept");

    let mut harness = Harness::connected();
    harness.signin();
    harness.present("9");
    harness.error(4301, "odd");
    harness.advance(SIGNIN);
    let error = harness.machine.signin_failure().unwrap();
    assert!(error.is_timeout() && cause(error).unwrap().contains("odd"));
}

#[test]
fn a_subscription_error_without_a_channel_is_attributed_in_the_same_way() {
    let refuse = |harness: &mut Harness, text: &str| {
        let data = json!({ "status": 4009, "error": text });
        harness.server("pusher:subscription_error", None, &data);
    };
    let mut harness = pending(&["private-a", "private-b"]);
    refuse(&mut harness, "not allowed: private-b");
    assert_eq!(harness.status("private-b"), ChannelStatus::Failed);
    refuse(&mut harness, "not allowed");
    assert_eq!(harness.status("private-a"), ChannelStatus::Failed);

    // It is about no sign-in.
    let mut harness = pending(&["room"]);
    harness.signin();
    harness.present("9");
    refuse(&mut harness, "not allowed");
    harness.advance(secs(3));
    assert!(harness.machine.signin_failure().is_none());

    let mut harness = pending(&["room"]);
    refuse(&mut harness, "not allowed");
    harness.advance(SUBSCRIBE);
    let error = harness.machine.channel_failure("room").unwrap();
    assert!(cause(&error).unwrap().contains("not allowed"));
}

#[test]
fn an_error_about_something_else_is_not_said_of_a_subscription() {
    // It came before the subscription was sent.
    let mut harness = pending(&["room"]);
    harness.error(Value::Null, "odd");
    harness.confirm("room");
    harness.advance(MS);
    harness.subscribe("later");
    harness.advance(SUBSCRIBE);
    assert_eq!(cause(&harness.machine.channel_failure("later").unwrap()), None);
    // It came on another connection.
    let mut harness = pending(&["room"]);
    harness.error(Value::Null, "odd");
    harness.reestablish();
    harness.advance(SUBSCRIBE);
    assert_eq!(cause(&harness.machine.channel_failure("room").unwrap()), None);
    // It names another channel: one that is subscribed, one that was left, one that is unknown here.
    for text in [
        "No current subscription to channel left, or subscription in progress",
        "Existing subscription to channel private-here",
        "Auth value for subscription to presence-5 is invalid",
        "Invalid signature: Expected HMAC SHA256 hex digest of 7.1:private-gone, but got x",
        "Invalid signature: Expected HMAC SHA256 hex digest of 7.9:private-a, but got x",
    ] {
        let mut harness = pending(&["private-a", "private-here", "left"]);
        harness.confirm("private-here");
        harness.unsubscribe("left");
        harness.take();
        harness.error(Value::Null, text);
        harness.expect(&["error - Server", "event - pusher:error"]);
        harness.advance(SUBSCRIBE);
        let error = harness.machine.channel_failure("private-a").unwrap();
        assert_eq!((error.kind(), cause(&error)), (ErrorKind::Timeout, None), "{text}");
        assert_eq!(harness.status("private-here"), ChannelStatus::Subscribed);
    }
    // It quotes what a sign-in should have signed.
    let mut harness = pending(&["user"]);
    harness.signin();
    harness.present("9");
    harness.error(
        Value::Null,
        r#"Expected HMAC SHA256 hex digest of 7.1::user::{"id":"9"}, but got x"#,
    );
    assert_eq!(harness.status("user"), ChannelStatus::Pending);
    assert!(harness.machine.signin_failure().is_some());
    // It quotes what the user has said.
    let mut harness = pending(&["private-a", "private-b"]);
    harness.error(Value::Null, r#"Invalid data {"note":"private-a"}"#);
    assert_eq!(harness.status("private-a"), ChannelStatus::Pending);
}

#[test]
fn a_wait_for_a_subscription_returns_what_is_known_by_then() {
    let shown =
        |harness: &Harness| harness.machine.pending_cause("private-a").map(|e| e.to_string());
    let mut harness = Harness::connected();
    harness.subscribe("private-a");
    let authorizing = "the authorizer has not responded yet (subscribe_timeout is 20 s)";
    assert_eq!(shown(&harness).as_deref(), Some(authorizing));
    // The authorizer is to be called again, and is being called again.
    let busy = || Err(Error::new(ErrorKind::Io, "the endpoint is busy"));
    harness.respond("private-a", busy());
    assert!(shown(&harness).unwrap().contains("busy"));
    harness.advance(secs(1));
    assert!(shown(&harness).unwrap().contains("busy"));
    harness.grant("private-a");
    harness.error(4301, "odd");
    assert!(shown(&harness).unwrap().contains("odd"));
    // Without a connection, that is why.
    harness.lose();
    assert!(shown(&harness).unwrap().contains("reset"), "{:?}", shown(&harness));
    harness.reestablish();
    assert_eq!(shown(&harness).as_deref(), Some(authorizing));
    harness.grant("private-a");
    let sent = "the server has not responded yet (subscribe_timeout is 20 s)";
    assert_eq!(shown(&harness).as_deref(), Some(sent));
    harness.confirm("private-a");
    assert_eq!(shown(&harness), None);
}

#[test]
fn a_refusal_shows_no_signature_and_a_missing_key_is_reported() {
    let signature = "5".repeat(64);
    let mut harness = pending(&["room-1"]);
    harness.subscribe("private-a");
    harness.respond("private-a", Ok(Auth::new(signature.clone())));
    let text =
        format!("Received invalid JSON {}278d425bdf160c739803:{signature}", "x ".repeat(190));
    harness.error(Value::Null, &text);
    harness.error(Value::Null, &format!("room-1: KEY:{}", signature.to_uppercase()));
    harness.advance(secs(2));
    let error = harness.machine.channel_failure("private-a").unwrap();
    assert!(error.to_string().contains("has no `key:` before the signature"), "{error}");
    let keyed = harness.machine.channel_failure("room-1").unwrap().to_string();
    assert!(keyed.contains("KEY:[redacted]") && !keyed.contains("no `key:`"), "{keyed}");
    for error in &harness.errors {
        assert!(!format!("{error} {error:?}").contains("55555"), "{error:?}");
    }
    let reason = format!("got KEY:{}", &signature[..40]);
    harness.closed_with(Some(4009), &reason);
    let shown = format!("{:?}", harness.machine.failure());
    assert!(shown.contains("KEY:[redacted]") && !shown.contains("55555"), "{shown}");
}

#[test]
fn an_auth_that_a_server_quotes_is_not_shown() {
    let mut harness = pending(&["private-a"]);
    harness.error(Value::Null, "Invalid key in subscription auth data: 'canary'");
    harness.advance(secs(2));
    let error = harness.machine.channel_failure("private-a").unwrap();
    let shown = format!("{error:?} {error:#}");
    assert!(shown.contains("Invalid key in subscription auth data"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    let frame = r#"{"event":"pusher:error","data":{"message":"Invalid key in subscription auth data: 'canary'"}}"#;
    assert!(!crate::util::redact::redact(frame).contains("canary"));
}
