//! Subscriptions that are confirmed in odd ways, and those that fail for good.

use serde_json::{Value, json};

use super::desk::{Desk, io, status};
use super::sim::{SIGNIN, SUBSCRIBE, Sim, secs};
use crate::{Auth, ChannelStatus, Error, ErrorKind, UserAuth};

const KINDS: [&str; 4] = ["room", "private-a", "presence-a", "private-encrypted-a"];

/// Subscribes, and lets the authorizer agree if there is one.
fn send(desk: &mut Desk, name: &str) {
    desk.subscribe(name);
    if name != "room" {
        desk.grant(name);
    }
}

fn existing(desk: &mut Desk, code: Value, name: &str) {
    desk.error(code, &format!("Existing subscription to channel {name}"));
}

#[test]
fn a_confirmation_of_a_channel_that_is_not_wanted_is_answered_with_an_unsubscribe() {
    type Step = fn(&mut Desk, &str);
    let steps: [(&str, Step); 4] = [
        ("left while pending", |desk, name| {
            send(desk, name);
            desk.unsubscribe(name);
        }),
        ("left and forgotten", |desk, name| {
            send(desk, name);
            desk.unsubscribe(name);
            desk.input(|machine, _| machine.retire(name));
        }),
        ("refused and left", |desk, name| {
            send(desk, name);
            desk.server("pusher:subscription_error", Some(name), &json!({ "status": 403 }));
            desk.unsubscribe(name);
        }),
        ("never heard of", |_, _| {}),
    ];
    for name in KINDS {
        for (what, step) in steps {
            let mut desk = Desk::connected();
            step(&mut desk, name);
            let text =
                format!("No current subscription to channel {name}, or subscription in progress");
            desk.error(Value::Null, &text);
            for _ in 0..2 {
                desk.take();
                desk.confirm(name);
                let told = desk.take();
                assert_eq!(told[0], format!("unsubscribe {name}"), "{what}");
                assert!(told[1..].iter().all(|line| line.starts_with("event")), "{told:?}");
            }
            assert_ne!(desk.status(name), ChannelStatus::Subscribed);
            desk.advance(SUBSCRIBE);
            desk.expect(&[]);
        }
    }
}

#[test]
fn a_confirmation_that_was_not_asked_for_subscribes_nothing() {
    let mut sim = Sim::connected();
    sim.confirm("elsewhere");
    let news = sim.expect("Sv");
    assert_eq!(news.sent(), ["unsubscribe elsewhere"]);
    assert_eq!(news.event_names(), ["pusher:subscription_succeeded"]);
    assert_eq!(sim.status("elsewhere"), ChannelStatus::Idle);
    sim.server("pusher_internal:subscription_succeeded", None, "");
    sim.expect_nothing();
}

#[test]
fn a_confirmation_without_a_name_or_of_the_users_own_channel_is_not_answered() {
    let mut desk = Desk::signed_in("9");
    for name in ["", "#server-to-user-9"] {
        desk.confirm(name);
    }
    desk.server("pusher_internal:subscription_succeeded", None, &json!({}));
    assert!(!desk.take().iter().any(|line| line.starts_with("unsubscribe")));
}

#[test]
fn an_existing_subscription_counts_as_the_confirmation() {
    for code in [Value::Null, json!(4009), json!(4300), json!(4000)] {
        for name in ["room", "private-a", "private-encrypted-a"] {
            let mut desk = Desk::connected();
            desk.subscribe("private-other");
            desk.grant("private-other");
            send(&mut desk, name);
            desk.take();
            existing(&mut desk, code.clone(), name);
            desk.expect(&[
                &format!("event {name} pusher:subscription_succeeded"),
                "event - pusher:error",
            ]);
            assert_eq!(desk.status(name), ChannelStatus::Subscribed);
            if name == "private-a" {
                desk.trigger(name, "client-e", "1").unwrap();
            }
            desk.advance(SUBSCRIBE - secs(1));
            assert_eq!(desk.status(name), ChannelStatus::Subscribed);
            assert_eq!(desk.status("private-other"), ChannelStatus::Pending);
            // Nothing new: it is subscribed.
            existing(&mut desk, code.clone(), name);
            assert_eq!(desk.status(name), ChannelStatus::Subscribed);
        }
    }
}

#[test]
fn an_existing_subscription_ends_a_gap() {
    let mut desk = Desk::subscribed(&["private-a"]);
    desk.reconnect();
    desk.grant("private-a");
    desk.take();
    existing(&mut desk, Value::Null, "private-a");
    assert_eq!(
        desk.take()[..2],
        ["resumed private-a", "event private-a pusher:subscription_succeeded"]
    );
}

#[test]
fn after_a_time_out_the_server_may_say_that_it_has_the_channel() {
    for name in KINDS {
        // By a late confirmation.
        let mut desk = Desk::connected();
        send(&mut desk, name);
        desk.advance(SUBSCRIBE);
        assert_eq!(desk.status(name), ChannelStatus::Failed);
        desk.confirm(name);
        assert_eq!(desk.status(name), ChannelStatus::Subscribed);
    }
    // By refusing the next subscription.
    let mut desk = Desk::connected();
    send(&mut desk, "private-a");
    desk.advance(SUBSCRIBE);
    send(&mut desk, "private-a");
    existing(&mut desk, Value::Null, "private-a");
    assert_eq!(desk.status("private-a"), ChannelStatus::Subscribed);
}

#[test]
fn an_existing_presence_channel_is_subscribed_anew_once() {
    let mut desk = Desk::connected();
    send(&mut desk, "presence-a");
    let frame = desk.frames[0].clone();
    desk.take();
    desk.advance(secs(1));
    existing(&mut desk, Value::Null, "presence-a");
    desk.expect(&["unsubscribe presence-a", "subscribe presence-a", "event - pusher:error"]);
    assert_eq!(desk.frames[2], frame);
    // It has the whole time, and its members come with the confirmation.
    desk.advance(SUBSCRIBE - secs(1));
    assert_eq!(desk.status("presence-a"), ChannelStatus::Pending);
    let data = json!(r#"{"presence":{"ids":["me","b"],"hash":{"me":null,"b":null},"count":2}}"#);
    desk.server("pusher_internal:subscription_succeeded", Some("presence-a"), &data);
    assert_eq!(desk.status("presence-a"), ChannelStatus::Subscribed);
    assert_eq!(desk.members("presence-a").len(), 2);

    let mut desk = Desk::connected();
    send(&mut desk, "presence-a");
    existing(&mut desk, Value::Null, "presence-a");
    desk.take();
    existing(&mut desk, Value::Null, "presence-a");
    desk.expect(&["event - pusher:error"]);
    desk.advance(SUBSCRIBE);
    assert_eq!(desk.status("presence-a"), ChannelStatus::Failed);
    let error = desk.machine.channel_failure("presence-a").unwrap();
    assert!(error.to_string().contains("Existing subscription"), "{error}");
    // For the next subscription it counts anew.
    send(&mut desk, "presence-a");
    desk.take();
    existing(&mut desk, Value::Null, "presence-a");
    desk.expect(&["unsubscribe presence-a", "subscribe presence-a", "event - pusher:error"]);
}

#[test]
fn an_error_is_retryable_if_the_client_tries_again() {
    type Step = fn(&mut Desk);
    let lasting: [(&str, Step); 7] = [
        ("refused", |desk| {
            desk.server("pusher:subscription_error", Some("private-a"), &json!({ "status": 4100 }));
        }),
        ("refused with HTTP 503", |desk| {
            desk.server("pusher:subscription_error", Some("private-a"), &json!({ "status": 503 }));
        }),
        ("named", |desk| desk.error(Value::Null, "no private-a")),
        ("meant", |desk| desk.error(4200, "odd")),
        ("4009", |desk| desk.error(4009, "odd")),
        ("silence", |_| {}),
        ("reported", |desk| {
            desk.confirm("private-a");
            desk.error(Value::Null, "odd");
        }),
    ];
    for (what, step) in lasting {
        let mut desk = Desk::connected();
        send(&mut desk, "private-a");
        step(&mut desk);
        desk.advance(SUBSCRIBE);
        assert!(!desk.errors.is_empty(), "{what}");
        for error in &desk.errors {
            assert!(!error.is_retryable(), "{what}: {error:?}");
        }
        let failure = desk.machine.channel_failure("private-a");
        assert!(failure.is_none_or(|error| !error.is_retryable()), "{what}");
    }
    // The authorizer is slow: it is not asked again.
    let mut desk = Desk::connected();
    desk.subscribe("private-a");
    desk.advance(SUBSCRIBE * 10);
    assert!(!desk.errors[0].is_retryable());
    // It will be asked again.
    for error in [io(), status(503)] {
        let mut desk = Desk::connected();
        desk.subscribe("private-a");
        desk.answer("private-a", Err(error));
        assert!(desk.errors[0].is_retryable());
    }
}

#[test]
fn an_error_of_the_sign_in_is_retryable_if_the_client_tries_again() {
    for code in [json!(4009), json!(4200), Value::Null] {
        let mut desk = Desk::connected();
        desk.signin();
        desk.present("9");
        desk.error(code, "odd");
        desk.advance(SIGNIN);
        assert!(!desk.machine.signin_failure().unwrap().is_retryable());
        assert!(desk.errors.iter().all(|error| !error.is_retryable()));
    }
    let mut desk = Desk::connected();
    desk.signin();
    desk.answer_user(Err(status(503)));
    assert!(desk.errors[0].is_retryable());
}

#[test]
fn an_error_frame_before_a_close_still_says_whether_the_client_dials_again() {
    let mut desk = Desk::connected();
    desk.error(4200, "restarting");
    desk.lose();
    assert!(desk.machine.last_failure().unwrap().is_retryable());
}

#[test]
fn an_authorization_without_a_signature_is_refused_before_anything_is_sent() {
    for auth in ["", " ", "\n"] {
        for name in &KINDS[1..] {
            let mut desk = Desk::connected();
            desk.subscribe(name);
            desk.take();
            let granted = super::desk::granted(&desk.ask(name));
            desk.answer(name, Ok(Auth { auth: auth.into(), ..granted }));
            desk.expect_failure(name, ErrorKind::Auth);
            assert!(desk.errors[0].to_string().contains("must not be empty"));
            assert!(desk.frames.is_empty());
        }
        let mut desk = Desk::connected();
        desk.signin();
        desk.answer_user(Ok(UserAuth::new(auth, r#"{"id":"9"}"#)));
        desk.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
        assert!(desk.frames.is_empty());
    }
}

#[test]
fn a_missing_key_is_told_where_the_server_refuses_or_keeps_silent() {
    let told = |error: &Error| error.to_string().contains("has no `key:` before the signature");
    for (auth, keyless) in [("abc", true), (":abc", true), ("key:abc", false)] {
        for code in [json!(4009), Value::Null, Value::Bool(true)] {
            let mut desk = Desk::connected();
            desk.subscribe("private-a");
            desk.answer("private-a", Ok(Auth::new(auth)));
            assert_eq!(desk.frames.len(), 1, "it is sent");
            if code != true {
                desk.error(code.clone(), "odd");
            }
            desk.advance(SUBSCRIBE);
            let error = desk.machine.channel_failure("private-a").unwrap();
            assert_eq!(told(&error), keyless, "{error}");

            desk.signin();
            desk.answer_user(Ok(UserAuth::new(auth, r#"{"id":"9"}"#)));
            if code != true {
                desk.error(code, "odd");
            }
            desk.advance(SIGNIN);
            let error = desk.machine.signin_failure().unwrap();
            assert_eq!(told(error), keyless, "{error}");
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
    let mut desk = Desk::subscribed(&["private-b"]);
    let frames = desk.frames.len();
    for auth in [Auth::new(large()), Auth::new(quotes()), data(large()), data(quotes())] {
        desk.subscribe("presence-a");
        desk.take();
        let auth = Auth {
            channel_data: Some(auth.channel_data.unwrap_or(r#"{"user_id":"1"}"#.into())),
            ..auth
        };
        desk.answer("presence-a", Ok(auth));
        desk.expect_failure("presence-a", ErrorKind::TooLarge);
        assert!(!desk.errors[0].is_retryable());
    }
    desk.signin();
    desk.answer_user(Ok(UserAuth::new("key:s", json!({ "id": large() }).to_string())));
    assert_eq!(desk.machine.signin_failure().unwrap().kind(), ErrorKind::TooLarge);
    assert_eq!(desk.frames.len(), frames);
    assert_eq!(desk.status("private-b"), ChannelStatus::Subscribed);
    // What is long, but not too long, is sent.
    desk.subscribe("private-c");
    desk.answer("private-c", Ok(Auth::new("x".repeat(MIB - 100))));
    assert_eq!(desk.frames.len(), frames + 1);
}
