//! Subscriptions that are confirmed in odd ways, and those that fail for good.

use serde_json::{Value, json};

use super::harness::{Harness, SIGNIN, SUBSCRIBE, io, secs, status};
use crate::{Auth, ChannelStatus, Error, ErrorKind, UserAuth};

const KINDS: [&str; 4] = ["room", "private-a", "presence-a", "private-encrypted-a"];

/// Subscribes, and lets the authorizer agree if there is one.
fn send(harness: &mut Harness, name: &str) {
    harness.subscribe(name);
    if name != "room" {
        harness.grant(name);
    }
}

fn existing(harness: &mut Harness, code: Value, name: &str) {
    harness.error(code, &format!("Existing subscription to channel {name}"));
}

#[test]
fn a_confirmation_of_an_unwanted_channel_is_followed_by_an_unsubscribe() {
    type Step = fn(&mut Harness, &str);
    let steps: [(&str, Step); 4] = [
        ("left while pending", |harness, name| {
            send(harness, name);
            harness.unsubscribe(name);
        }),
        ("left and forgotten", |harness, name| {
            send(harness, name);
            harness.unsubscribe(name);
            harness.retire(name);
        }),
        ("refused and left", |harness, name| {
            send(harness, name);
            harness.server("pusher:subscription_error", Some(name), json!({ "status": 403 }));
            harness.unsubscribe(name);
        }),
        ("never heard of", |_, _| {}),
    ];
    for name in KINDS {
        for (what, step) in steps {
            let mut harness = Harness::connected();
            step(&mut harness, name);
            let text =
                format!("No current subscription to channel {name}, or subscription in progress");
            harness.error(Value::Null, &text);
            for _ in 0..2 {
                harness.take();
                harness.confirm(name);
                let lines = harness.take().lines;
                assert_eq!(lines[0], format!("unsubscribe {name}"), "{what}");
                assert!(lines[1..].iter().all(|line| line.starts_with("event")), "{lines:?}");
            }
            assert_ne!(harness.status(name), ChannelStatus::Subscribed);
            harness.advance(SUBSCRIBE);
            harness.expect(&[]);
        }
    }
}

#[test]
fn a_confirmation_without_a_request_subscribes_nothing() {
    let mut harness = Harness::quiet_connected();
    harness.confirm("elsewhere");
    let outputs = harness.expect_outputs("Sv");
    assert_eq!(outputs.sent(), ["unsubscribe elsewhere"]);
    assert_eq!(outputs.event_names(), ["pusher:subscription_succeeded"]);
    assert_eq!(harness.status("elsewhere"), ChannelStatus::Idle);
    harness.server("pusher_internal:subscription_succeeded", None, "");
    harness.expect_nothing();
}

#[test]
fn a_confirmation_without_a_name_or_of_the_users_own_channel_sends_nothing() {
    let mut harness = Harness::signed_in("9");
    for name in ["", "#server-to-user-9"] {
        harness.confirm(name);
    }
    harness.server("pusher_internal:subscription_succeeded", None, json!({}));
    assert!(!harness.take().lines.iter().any(|line| line.starts_with("unsubscribe")));
}

#[test]
fn an_existing_subscription_counts_as_the_confirmation() {
    for code in [Value::Null, json!(4009), json!(4300), json!(4000)] {
        for name in ["room", "private-a", "private-encrypted-a"] {
            let mut harness = Harness::connected();
            harness.subscribe("private-other");
            harness.grant("private-other");
            send(&mut harness, name);
            harness.take();
            existing(&mut harness, code.clone(), name);
            harness.expect(&[
                &format!("event {name} pusher:subscription_succeeded"),
                "event - pusher:error",
            ]);
            assert_eq!(harness.status(name), ChannelStatus::Subscribed);
            if name == "private-a" {
                harness.trigger(name, "client-e", "1").unwrap();
            }
            harness.advance(SUBSCRIBE - secs(1));
            assert_eq!(harness.status(name), ChannelStatus::Subscribed);
            assert_eq!(harness.status("private-other"), ChannelStatus::Pending);
            // Nothing new: it is subscribed.
            existing(&mut harness, code.clone(), name);
            assert_eq!(harness.status(name), ChannelStatus::Subscribed);
        }
    }
}

#[test]
fn an_existing_subscription_ends_a_gap() {
    let mut harness = Harness::subscribed(&["private-a"]);
    harness.reestablish();
    harness.grant("private-a");
    harness.take();
    existing(&mut harness, Value::Null, "private-a");
    assert_eq!(
        harness.take().lines[..2],
        ["resumed private-a", "event private-a pusher:subscription_succeeded"]
    );
}

#[test]
fn after_a_time_out_the_server_may_say_that_it_has_the_channel() {
    for name in KINDS {
        // By a late confirmation.
        let mut harness = Harness::connected();
        send(&mut harness, name);
        harness.advance(SUBSCRIBE);
        assert_eq!(harness.status(name), ChannelStatus::Failed);
        harness.confirm(name);
        assert_eq!(harness.status(name), ChannelStatus::Subscribed);
    }
    // By refusing the next subscription.
    let mut harness = Harness::connected();
    send(&mut harness, "private-a");
    harness.advance(SUBSCRIBE);
    send(&mut harness, "private-a");
    existing(&mut harness, Value::Null, "private-a");
    assert_eq!(harness.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn an_existing_presence_channel_is_subscribed_anew_once() {
    let mut harness = Harness::connected();
    send(&mut harness, "presence-a");
    let frame = harness.frames[0].clone();
    harness.take();
    harness.advance(secs(1));
    existing(&mut harness, Value::Null, "presence-a");
    harness.expect(&["unsubscribe presence-a", "subscribe presence-a", "event - pusher:error"]);
    assert_eq!(harness.frames[2], frame);
    // It has the whole time, and its members come with the confirmation.
    harness.advance(SUBSCRIBE - secs(1));
    assert_eq!(harness.status("presence-a"), ChannelStatus::Pending);
    let data = json!(r#"{"presence":{"ids":["me","b"],"hash":{"me":null,"b":null},"count":2}}"#);
    harness.server("pusher_internal:subscription_succeeded", Some("presence-a"), &data);
    assert_eq!(harness.status("presence-a"), ChannelStatus::Subscribed);
    assert_eq!(harness.members("presence-a").len(), 2);

    let mut harness = Harness::connected();
    send(&mut harness, "presence-a");
    existing(&mut harness, Value::Null, "presence-a");
    harness.take();
    existing(&mut harness, Value::Null, "presence-a");
    harness.expect(&["event - pusher:error"]);
    harness.advance(SUBSCRIBE);
    assert_eq!(harness.status("presence-a"), ChannelStatus::Failed);
    let error = harness.machine.channel_failure("presence-a").unwrap();
    assert!(error.to_string().contains("Existing subscription"), "{error}");
    // For the next subscription it counts anew.
    send(&mut harness, "presence-a");
    harness.take();
    existing(&mut harness, Value::Null, "presence-a");
    harness.expect(&["unsubscribe presence-a", "subscribe presence-a", "event - pusher:error"]);
}

#[test]
fn an_error_is_retryable_if_the_client_tries_again() {
    type Step = fn(&mut Harness);
    let permanent: [(&str, Step); 7] = [
        ("refused", |harness| {
            harness.server(
                "pusher:subscription_error",
                Some("private-a"),
                json!({ "status": 4100 }),
            );
        }),
        ("refused with HTTP 503", |harness| {
            harness.server(
                "pusher:subscription_error",
                Some("private-a"),
                json!({ "status": 503 }),
            );
        }),
        ("named", |harness| harness.error(Value::Null, "no private-a")),
        ("meant", |harness| harness.error(4200, "odd")),
        ("4009", |harness| harness.error(4009, "odd")),
        ("silence", |_| {}),
        ("reported", |harness| {
            harness.confirm("private-a");
            harness.error(Value::Null, "odd");
        }),
    ];
    for (what, step) in permanent {
        let mut harness = Harness::connected();
        send(&mut harness, "private-a");
        step(&mut harness);
        harness.advance(SUBSCRIBE);
        assert!(!harness.errors.is_empty(), "{what}");
        for error in &harness.errors {
            assert!(!error.is_retryable(), "{what}: {error:?}");
        }
        let failure = harness.machine.channel_failure("private-a");
        assert!(failure.is_none_or(|error| !error.is_retryable()), "{what}");
    }
    // The authorizer is slow: it is not called again.
    let mut harness = Harness::connected();
    harness.subscribe("private-a");
    harness.advance(SUBSCRIBE * 10);
    assert!(!harness.errors[0].is_retryable());
    // It is to be called again.
    for error in [io(), status(503)] {
        let mut harness = Harness::connected();
        harness.subscribe("private-a");
        harness.respond("private-a", Err(error));
        assert!(harness.errors[0].is_retryable());
    }
}

#[test]
fn an_error_of_the_sign_in_is_retryable_if_the_client_tries_again() {
    for code in [json!(4009), json!(4200), Value::Null] {
        let mut harness = Harness::connected();
        harness.signin();
        harness.present("9");
        harness.error(code, "odd");
        harness.advance(SIGNIN);
        assert!(!harness.machine.signin_failure().unwrap().is_retryable());
        assert!(harness.errors.iter().all(|error| !error.is_retryable()));
    }
    let mut harness = Harness::connected();
    harness.signin();
    harness.respond_user(Err(status(503)));
    assert!(harness.errors[0].is_retryable());
}

#[test]
fn an_error_frame_before_a_close_still_says_whether_the_client_dials_again() {
    let mut harness = Harness::connected();
    harness.error(4200, "restarting");
    harness.lose();
    assert!(harness.machine.last_failure().unwrap().is_retryable());
}

#[test]
fn an_authorization_without_a_signature_is_refused_before_anything_is_sent() {
    for auth in ["", " ", "\n"] {
        for name in &KINDS[1..] {
            let mut harness = Harness::connected();
            harness.subscribe(name);
            harness.take();
            let granted = super::harness::granted(&harness.request(name));
            harness.respond(name, Ok(Auth { auth: auth.into(), ..granted }));
            harness.expect_failure(name, ErrorKind::Auth);
            assert!(harness.errors[0].to_string().contains("must not be empty"));
            assert!(harness.frames.is_empty());
        }
        let mut harness = Harness::connected();
        harness.signin();
        harness.respond_user(Ok(UserAuth::new(auth, r#"{"id":"9"}"#)));
        harness.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
        assert!(harness.frames.is_empty());
    }
}

#[test]
fn a_missing_key_is_reported_if_the_server_refuses_or_does_not_respond() {
    let hints = |error: &Error| error.to_string().contains("has no `key:` before the signature");
    for (auth, keyless) in [("abc", true), (":abc", true), ("key:abc", false)] {
        for code in [json!(4009), Value::Null, Value::Bool(true)] {
            let mut harness = Harness::connected();
            harness.subscribe("private-a");
            harness.respond("private-a", Ok(Auth::new(auth)));
            assert_eq!(harness.frames.len(), 1, "it is sent");
            if code != true {
                harness.error(code.clone(), "odd");
            }
            harness.advance(SUBSCRIBE);
            let error = harness.machine.channel_failure("private-a").unwrap();
            assert_eq!(hints(&error), keyless, "{error}");

            harness.signin();
            harness.respond_user(Ok(UserAuth::new(auth, r#"{"id":"9"}"#)));
            if code != true {
                harness.error(code, "odd");
            }
            harness.advance(SIGNIN);
            let error = harness.machine.signin_failure().unwrap();
            assert_eq!(hints(error), keyless, "{error}");
        }
    }
}

#[test]
fn what_is_too_large_for_any_server_fails_alone_and_is_not_sent() {
    const MIB: usize = 1024 * 1024;
    let large = || "x".repeat(MIB);
    let quotes = || "\"".repeat(MIB / 2);
    let data =
        |text: String| Auth::new("key:s").channel_data(json!({ "user_id": text }).to_string());
    let mut harness = Harness::subscribed(&["private-b"]);
    let frames = harness.frames.len();
    for auth in [Auth::new(large()), Auth::new(quotes()), data(large()), data(quotes())] {
        harness.subscribe("presence-a");
        harness.take();
        let auth = Auth {
            channel_data: Some(auth.channel_data.unwrap_or(r#"{"user_id":"1"}"#.into())),
            ..auth
        };
        harness.respond("presence-a", Ok(auth));
        harness.expect_failure("presence-a", ErrorKind::TooLarge);
        assert!(!harness.errors[0].is_retryable());
    }
    harness.signin();
    harness.respond_user(Ok(UserAuth::new("key:s", json!({ "id": large() }).to_string())));
    assert_eq!(harness.machine.signin_failure().unwrap().kind(), ErrorKind::TooLarge);
    assert_eq!(harness.frames.len(), frames);
    assert_eq!(harness.status("private-b"), ChannelStatus::Subscribed);
    // What is long, but not too long, is sent.
    harness.subscribe("private-c");
    harness.respond("private-c", Ok(Auth::new("x".repeat(MIB - 100))));
    assert_eq!(harness.frames.len(), frames + 1);
}

#[test]
fn wanted_channels_are_sorted_and_do_not_depend_on_the_connection() {
    let mut harness = Harness::quiet();
    let wanted = |harness: &Harness| {
        harness.machine.wanted_channels().iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    for name in ["room-2", "private-a", "room", "presence-a", "room-2"] {
        harness.subscribe(name);
    }
    harness.unsubscribe("room");
    harness.unsubscribe("never");
    let expected = ["presence-a", "private-a", "room-2"];
    assert_eq!(wanted(&harness), expected);
    harness.approves = false;
    harness.connect();
    harness.opened();
    harness.establish();
    let failure = Error::message(ErrorKind::Auth, "refused");
    harness.respond("private-a", Err(failure));
    assert_eq!(harness.status("private-a"), ChannelStatus::Failed);
    assert_eq!(wanted(&harness), expected);
    harness.lose();
    assert_eq!(wanted(&harness), expected);
    harness.unsubscribe("presence-a");
    harness.subscribe("room");
    harness.advance_to_deadline();
    harness.establish();
    assert_eq!(wanted(&harness), ["private-a", "room", "room-2"]);
    harness.disconnect();
    harness.retire("room");
    assert_eq!(wanted(&harness), ["private-a", "room", "room-2"]);
    harness.unsubscribe("room");
    harness.close();
    assert_eq!(wanted(&harness), ["private-a", "room-2"]);
}
