//! Signing in and out, what reaches the user, and how servers refuse.

use serde_json::{Value, json};

use super::harness::{Harness, MS, SIGNIN, SUBSCRIBE, granted, io, secs, status};
use crate::{ChannelStatus, Error, State, UserAuth};

const LONG: std::time::Duration = secs(3600);

pub(super) fn pending() -> Harness {
    let mut harness = Harness::connected();
    harness.signin();
    harness.present("9");
    harness.take();
    harness
}

fn failure(harness: &Harness) -> Option<Error> {
    harness.machine.signin_failure().cloned()
}

#[test]
fn a_sign_in_is_authenticated_sent_and_confirmed() {
    let mut harness = Harness::connected();
    harness.signin();
    harness.signin();
    harness.expect(&["authenticate 1"]);
    let data = r#"{ "id" : "9","n":"é\u00e9\/"}"#;
    harness.respond_user(Ok(UserAuth::new("key:\"s\"", data)));
    harness.expect(&[&format!("signin {data}")]);
    assert_eq!(harness.last_frame()["data"]["auth"], "key:\"s\"");
    assert_eq!(harness.last_frame()["data"].as_object().unwrap().len(), 2);
    harness.signin();
    harness.expect(&[]);
    assert!(harness.machine.signed_in().is_none());
    harness.server("pusher:signin_success", None, json!({ "user_data": data, "auth": "x" }));
    harness.expect(&[
        "signed in 9",
        "subscribe #server-to-user-9",
        "event - pusher:signin_success",
    ]);
    assert_eq!(harness.machine.signed_in().unwrap().as_str(), data, "byte for byte");
    harness.signin();
    harness.confirm_user("9");
    harness.expect(&["event - pusher:signin_success"]);
    harness.advance(LONG);
    harness.expect(&[]);
}

#[test]
fn it_is_repeated_on_every_connection_until_signed_out() {
    let mut harness = Harness::new();
    harness.signin();
    harness.subscribe("room");
    harness.expect(&[]);
    harness.reestablish();
    harness.expect(&["authenticate 1", "subscribe room"]);
    harness.present("9");
    harness.lose();
    assert!(harness.machine.signed_in().is_none());
    harness.take();
    harness.reestablish();
    harness.expect(&["authenticate 1", "subscribe room"]);
    harness.present("9");
    harness.confirm_user("9");
    harness.disconnect();
    assert!(harness.machine.signed_in().is_none() && harness.machine.wants_signin());
    harness.signout();
    harness.take();
    harness.reestablish();
    harness.expect(&["subscribe room"]);
}

#[test]
fn a_response_for_another_connection_is_dropped() {
    type Step = fn(&mut Harness);
    let steps: [(&str, Step, &[&str]); 4] = [
        ("lost", Harness::lose, &[]),
        ("reconnected", Harness::reestablish, &["authenticate 1"]),
        ("signed out", Harness::signout, &[]),
        ("another authenticator", |harness| harness.change_authenticator(), &["authenticate 1"]),
    ];
    for (what, step, lines) in steps {
        for response in [Ok(UserAuth::new("key:s", r#"{"id":"9"}"#)), Err(status(403)), Err(io())] {
            let mut harness = Harness::connected();
            harness.signin();
            let stale = harness.user_request();
            harness.take();
            step(&mut harness);
            assert_eq!(harness.take().lines, lines, "{what}");
            assert!(!harness.begin_user(&stale), "{what}: nothing waits for the response");
            harness.respond_to_user(&stale, response);
            assert!(harness.take().lines.is_empty(), "{what}");
            assert!(failure(&harness).is_none(), "{what}");
        }
    }
}

#[test]
fn signing_out_takes_a_new_connection_only_where_the_server_knows_the_user() {
    let mut harness = Harness::connected();
    harness.signin();
    harness.signout();
    assert_eq!(harness.machine.state(), State::Connected);
    // The frame is out, so the server may know.
    for mut harness in [pending(), Harness::signed_in("9")] {
        harness.subscribe("room");
        harness.confirm("room");
        harness.take();
        harness.signout();
        assert_eq!(harness.machine.state(), State::Reconnecting);
        harness.establish();
        harness.expect(&["subscribe room"]);
        harness.confirm("room");
        assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
        harness.signout();
        assert_eq!(harness.machine.state(), State::Connected, "no user is signed in");
    }
}

#[test]
fn another_authenticator_signs_in_on_another_connection() {
    let mut harness = Harness::signed_in("9");
    harness.change_authenticator();
    assert!(harness.machine.signed_in().is_none());
    harness.server("note", Some("#server-to-user-9"), json!("{}"));
    harness.expect(&[]);
    harness.establish();
    harness.expect(&["authenticate 1"]);
    harness.present("10");
    harness.confirm_user("10");
    assert_eq!(harness.machine.signed_in().unwrap().id(), "10");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_waits_for_the_user() {
    let mut harness = Harness::connected();
    harness.signin();
    harness.respond_user(Err(status(503).with_retry_after(secs(40))));
    harness.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
    assert!(failure(&harness).is_none(), "it goes on");
    harness.advance(secs(40) - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect(&["authenticate 2"]);
    harness.respond_user(Err(io()));
    harness.take();
    harness.signin();
    harness.expect(&["authenticate 1"]);
    harness.respond_user(Err(status(403)));
    harness.expect(&["signin failed Auth", "error - Auth"]);
    assert_eq!(failure(&harness).unwrap().http_status(), Some(403));
    harness.advance(LONG);
    harness.expect(&[]);
    harness.signin();
    harness.present("9");
    harness.confirm_user("9");
    assert!(harness.machine.signed_in().is_some(), "on the same connection");
    assert_eq!(harness.socket_id, "7.1");
}

#[test]
fn an_authenticator_must_say_who_and_in_time() {
    for data in ["", "{}", "no JSON", r#"{"id":null}"#] {
        let mut harness = Harness::connected();
        harness.signin();
        harness.respond_user(Ok(UserAuth::new("key:s", data)));
        harness.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
        assert!(harness.frames.is_empty());
    }
    // Queued, it has ten times the time.
    let mut harness = Harness::connected();
    harness.signin();
    harness.take();
    harness.advance(SIGNIN * 10 - MS);
    harness.expect(&[]);
    assert!(harness.begin_user(&harness.user_request()));
    harness.advance(SIGNIN - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect(&["signin failed Timeout", "error - Timeout"]);
}

#[test]
fn silence_ends_at_the_deadline_and_a_late_success_counts() {
    let mut harness = pending();
    harness.advance(SIGNIN - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect(&["signin failed Timeout", "error - Timeout"]);
    assert!(failure(&harness).unwrap().to_string().contains("signin_timeout"));
    harness.confirm_user("9");
    assert!(harness.machine.signed_in().is_some() && failure(&harness).is_none());
}

#[test]
fn an_error_frame_that_can_mean_nothing_else_is_the_refusal() {
    let refusals = [
        (json!(4009), "Unauthorized"),
        (Value::Null, r#"of 7.1::user::{"id":{"canary":1}}, but got x"#),
    ];
    for (code, message) in refusals {
        let mut harness = pending();
        harness.error(code.clone(), message);
        harness.expect(&["signin failed Server", "error - Server", "event - pusher:error"]);
        let error = failure(&harness).unwrap();
        assert_eq!(error.close_code(), code.as_u64().map(|code| code as u16));
        assert!(error.to_string().contains(message.split('{').next().unwrap()), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        // It says nothing about how the connection ends.
        harness.lose();
        assert_eq!(harness.machine.state(), State::Reconnecting);
    }
}

#[test]
fn an_error_frame_that_may_mean_something_else_leaves_the_server_two_seconds() {
    // Reverb's way of not knowing it.
    let mut harness = pending();
    harness.error(4200, "Invalid message format");
    harness.expect(&["error - Server", "event - pusher:error"]);
    harness.advance(secs(2) - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect(&["signin failed Server", "error - Server"]);
    assert_eq!(failure(&harness).unwrap().close_code(), Some(4200));
    assert_eq!(harness.machine.state(), State::Connected);

    // A channel's refusal looks the same.
    let mut harness = pending();
    harness.subscribe("private-room");
    harness.grant("private-room");
    harness.take();
    harness.error(4009, "Connection is unauthorized");
    harness.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(harness.status("private-room"), ChannelStatus::Pending);
    harness.confirm_user("9");
    harness.advance(SUBSCRIBE);
    assert_eq!(harness.status("private-room"), ChannelStatus::Failed);
    assert!(harness.machine.signed_in().is_some());

    // So may a client event's.
    let mut harness = Harness::subscribed(&["private-room"]);
    harness.trigger("private-room", "client-e", "1").unwrap();
    harness.signin();
    harness.present("9");
    harness.error(4009, "not allowed");
    assert!(failure(&harness).is_none());
    harness.advance(secs(2));
    assert_eq!(failure(&harness).unwrap().close_code(), Some(4009));
}

#[test]
fn errors_beside_a_success_change_nothing() {
    for code in [4301, 4302] {
        let mut harness = pending();
        harness.error(code, "The watchlist is too long");
        harness.advance(secs(10));
        assert!(failure(&harness).is_none());
        harness.confirm_user("9");
        assert!(harness.machine.signed_in().is_some());
        harness.error(code, "The watchlist is too long");
        harness.error(4009, "about something else");
        assert!(harness.machine.signed_in().is_some());
    }
    // One that names a channel is about that.
    let mut harness = pending();
    let data = json!({ "code": 4009, "message": "no", "channel": "private-x" });
    harness.server("pusher:error", None, &data);
    harness.advance(secs(10));
    assert!(failure(&harness).is_none());
}

#[test]
fn a_close_with_4009_is_a_refusal_too() {
    let close = |harness: &mut Harness, code| {
        harness.closed_with(Some(code), "no");
    };
    let mut harness = pending();
    close(&mut harness, 4009);
    harness.expect(&["signin failed Server", "error - Server"]);
    assert_eq!(harness.machine.state(), State::Failed);
    assert_eq!(harness.machine.failure().unwrap().close_code(), Some(4009));
    harness.reestablish();
    harness.expect(&["authenticate 1"]);
    // Another end is none.
    let mut harness = pending();
    close(&mut harness, 4200);
    harness.expect(&[]);
    // The server has ended a user who was in.
    let mut harness = Harness::signed_in("9");
    close(&mut harness, 4009);
    harness.expect(&[]);
    assert_eq!(harness.machine.state(), State::Failed);
    harness.advance(LONG);
    assert_eq!(harness.machine.state(), State::Failed);
}

#[test]
fn events_to_the_user_arrive_whatever_has_become_of_the_channel() {
    let mut harness = Harness::connected();
    let note =
        |harness: &mut Harness| harness.server("note", Some("#server-to-user-9"), json!("{}"));
    harness.signin();
    harness.present("9");
    harness.take();
    // Servers may send before they confirm, or never confirm.
    note(&mut harness);
    harness.expect(&["event #server-to-user-9 note {}"]);
    harness.advance(SIGNIN);
    harness.take();
    note(&mut harness);
    harness.expect(&["event #server-to-user-9 note {}"]);
    harness.confirm_user("9");
    harness.take();
    harness.server(
        "pusher_internal:subscription_succeeded",
        Some("#server-to-user-9"),
        json!("{}"),
    );
    harness.expect(&[]);
    harness.server(
        "pusher:subscription_error",
        Some("#server-to-user-9"),
        json!({ "status": 401 }),
    );
    harness.expect(&[
        "error #server-to-user-9 Auth",
        "event #server-to-user-9 pusher:subscription_error",
    ]);
    note(&mut harness);
    harness.expect(&["event #server-to-user-9 note {}"]);
}

#[test]
fn a_success_without_a_request_has_no_effect() {
    let mut harness = Harness::connected();
    harness.confirm_user("9");
    assert!(harness.machine.signed_in().is_none());
    assert!(harness.frames.is_empty());
    harness.signin();
    harness.confirm_user("9");
    assert!(harness.machine.signed_in().is_none(), "not sent yet");
}

#[test]
fn a_success_without_the_user_is_about_whom_was_sent() {
    for data in [json!({}), json!({ "id": "17" }), json!("odd"), json!({ "user_data": "{}" })] {
        let mut harness = pending();
        harness.server("pusher:signin_success", None, &data);
        assert_eq!(harness.machine.signed_in().unwrap().id(), "9", "{data}");
    }
    let mut harness = pending();
    harness.confirm_user("nine");
    harness.expect(&[
        "signed in nine",
        "subscribe #server-to-user-nine",
        "event - pusher:signin_success",
    ]);
}

#[test]
fn watchlists_of_both_kinds() {
    let official = |harness: &mut Harness, events: Value| {
        let data = json!({ "events": events }).to_string();
        harness.server("pusher_internal:watchlist_events", None, json!(data));
    };
    let mut harness = Harness::connected();
    harness.server("online", None, json!({ "user_ids": ["2"] }));
    harness.expect(&[r#"event - online {"user_ids":["2"]}"#]);
    let mut harness = pending();
    let bare = json!({ "user_ids": ["2", 3] });
    harness.server("offline", None, &bare);
    harness.expect(&[r#"watchlist offline ["2", "3"]"#, &format!("event - offline {bare}")]);
    harness.confirm_user("9");
    harness.take();
    official(
        &mut harness,
        json!([
            { "name": "online", "user_ids": ["2", "3"] },
            { "name": "busy", "user_ids": [], "channel_name": "x" },
            { "user_ids": ["4"] },
            7,
            { "name": "offline" },
        ]),
    );
    harness.expect(&[
        r#"watchlist online ["2", "3"]"#,
        "watchlist busy []",
        "watchlist offline []",
    ]);
    for odd in [json!(null), json!({}), json!("events"), json!([])] {
        official(&mut harness, odd);
    }
    harness.expect(&[]);
    // Not sockudo's: of a channel, of another name, without users.
    harness.subscribe("room");
    harness.take();
    harness.server("online", Some("room"), &bare);
    harness.server("note", None, &bare);
    harness.server("online", None, json!({}));
    assert!(harness.take().lines.iter().all(|line| line.starts_with("event ")));
}

#[test]
fn another_server_is_dialled_at_once_and_gets_what_is_wanted() {
    let mut harness = Harness::signed_in("9");
    harness.subscribe("room");
    harness.confirm("room");
    harness.subscribe("private-x");
    let stale = harness.request("private-x");
    harness.take();
    harness.switch();
    assert_eq!(harness.machine.state(), State::Reconnecting);
    assert_eq!(harness.machine.attempt(), 0);
    harness.respond_to(&stale, Ok(granted(&stale)));
    harness.expect(&[]);
    harness.establish();
    harness.expect(&["authenticate 1", "subscribe room", "authorize private-x 1"]);
    harness.confirm("room");
    harness.expect(&["resumed room", "event room pusher:subscription_succeeded"]);
}

#[test]
fn without_a_connection_or_a_dial_another_server_waits_for_connect() {
    let mut harness = Harness::new();
    harness.switch();
    assert_eq!((harness.machine.state(), harness.machine.dials()), (State::Initialized, 0));
    let mut harness = Harness::connected();
    harness.disconnect();
    harness.switch();
    assert_eq!((harness.machine.state(), harness.machine.dials()), (State::Disconnected, 1));
    // A wait for the next dial ends.
    let mut harness = Harness::connected();
    harness.lose();
    harness.switch();
    assert_eq!(harness.machine.dials(), 2);
    harness.establish();
    assert_eq!(harness.machine.state(), State::Connected);
}

#[test]
fn a_closed_client_signs_no_user_in() {
    let mut harness = Harness::signed_in("9");
    harness.close();
    harness.take();
    harness.signout();
    harness.signin();
    harness.change_authenticator();
    harness.switch();
    harness.expect(&[]);
    assert!(!harness.machine.wants_signin());
    assert_eq!(harness.machine.dials(), 1);
}
