//! Signing in and out, what reaches the user, and how servers refuse.

use serde_json::{Value, json};

use super::desk::{Desk, granted, io, status};
use super::sim::{MS, SIGNIN, SUBSCRIBE, secs};
use crate::{Auth, ChannelStatus, Error, ErrorKind, State, UserAuth};

const LONG: std::time::Duration = secs(3600);

fn pending() -> Desk {
    let mut desk = Desk::connected();
    desk.signin();
    desk.present("9");
    desk.take();
    desk
}

fn failure(desk: &Desk) -> Option<Error> {
    desk.machine.signin_failure().cloned()
}

#[test]
fn a_sign_in_is_asked_for_sent_and_confirmed() {
    let mut desk = Desk::connected();
    desk.signin();
    desk.signin();
    desk.expect(&["authenticate 1"]);
    let data = r#"{ "id" : "9","n":"é\u00e9\/"}"#;
    desk.answer_user(Ok(UserAuth::new("key:\"s\"", data)));
    desk.expect(&[&format!("signin {data}")]);
    assert_eq!(desk.last_frame()["data"]["auth"], "key:\"s\"");
    assert_eq!(desk.last_frame()["data"].as_object().unwrap().len(), 2);
    desk.signin();
    desk.expect(&[]);
    assert!(desk.machine.signed_in().is_none());
    desk.server("pusher:signin_success", None, &json!({ "user_data": data, "auth": "x" }));
    desk.expect(&["signed in 9", "subscribe #server-to-user-9", "event - pusher:signin_success"]);
    assert_eq!(desk.machine.signed_in().unwrap().data(), data, "byte for byte");
    desk.signin();
    desk.confirm_user("9");
    desk.expect(&["event - pusher:signin_success"]);
    desk.advance(LONG);
    desk.expect(&[]);
}

#[test]
fn it_is_repeated_on_every_connection_until_signed_out() {
    let mut desk = Desk::new();
    desk.signin();
    desk.subscribe("room");
    desk.expect(&[]);
    desk.reconnect();
    desk.expect(&["authenticate 1", "subscribe room"]);
    desk.present("9");
    desk.lose();
    assert!(desk.machine.signed_in().is_none());
    desk.take();
    desk.reconnect();
    desk.expect(&["authenticate 1", "subscribe room"]);
    desk.present("9");
    desk.confirm_user("9");
    desk.disconnect();
    assert!(desk.machine.signed_in().is_none() && desk.machine.wants_signin());
    desk.signout();
    desk.take();
    desk.reconnect();
    desk.expect(&["subscribe room"]);
}

#[test]
fn an_answer_for_another_connection_is_dropped() {
    type Step = fn(&mut Desk);
    let steps: [(&str, Step, &[&str]); 4] = [
        ("lost", Desk::lose, &[]),
        ("reconnected", Desk::reconnect, &["authenticate 1"]),
        ("signed out", Desk::signout, &[]),
        (
            "another authenticator",
            |desk| desk.input(|machine, now| machine.authenticator_changed(now)),
            &["authenticate 1"],
        ),
    ];
    for (what, step, lines) in steps {
        for answer in [Ok(UserAuth::new("key:s", r#"{"id":"9"}"#)), Err(status(403)), Err(io())] {
            let mut desk = Desk::connected();
            desk.signin();
            let stale = desk.user_asks[0];
            desk.take();
            step(&mut desk);
            assert_eq!(desk.take(), lines, "{what}");
            let begun = desk.input(|machine, now| machine.begin_authentication(stale, now));
            assert!(!begun, "{what}: nobody waits for the answer");
            desk.input(|machine, now| machine.handle_authentication(stale, answer, now));
            assert!(desk.take().is_empty(), "{what}");
            assert!(failure(&desk).is_none(), "{what}");
        }
    }
}

#[test]
fn signing_out_takes_a_new_connection_only_where_the_server_knows_the_user() {
    let mut desk = Desk::connected();
    desk.signin();
    desk.signout();
    assert_eq!(desk.machine.state(), State::Connected);
    // The frame is out, so the server may know.
    for mut desk in [pending(), Desk::signed_in("9")] {
        desk.subscribe("room");
        desk.confirm("room");
        desk.take();
        desk.signout();
        assert_eq!(desk.machine.state(), State::Reconnecting);
        desk.establish();
        desk.expect(&["subscribe room"]);
        desk.confirm("room");
        assert_eq!(desk.status("room"), ChannelStatus::Subscribed);
        desk.signout();
        assert_eq!(desk.machine.state(), State::Connected, "nobody is signed in");
    }
}

#[test]
fn another_authenticator_signs_in_on_another_connection() {
    let mut desk = Desk::signed_in("9");
    desk.input(|machine, now| machine.authenticator_changed(now));
    assert!(desk.machine.signed_in().is_none());
    desk.server("note", Some("#server-to-user-9"), &json!("{}"));
    desk.expect(&[]);
    desk.establish();
    desk.expect(&["authenticate 1"]);
    desk.present("10");
    desk.confirm_user("10");
    assert_eq!(desk.machine.signed_in().unwrap().id(), "10");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_waits_for_the_user() {
    let mut desk = Desk::connected();
    desk.signin();
    desk.answer_user(Err(status(503).with_retry_after(secs(40))));
    desk.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
    assert!(failure(&desk).is_none(), "it goes on");
    desk.advance(secs(40) - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect(&["authenticate 2"]);
    desk.answer_user(Err(io()));
    desk.take();
    desk.signin();
    desk.expect(&["authenticate 1"]);
    desk.answer_user(Err(status(403)));
    desk.expect(&["signin failed Auth", "error - Auth"]);
    assert_eq!(failure(&desk).unwrap().http_status(), Some(403));
    desk.advance(LONG);
    desk.expect(&[]);
    desk.signin();
    desk.present("9");
    desk.confirm_user("9");
    assert!(desk.machine.signed_in().is_some(), "on the same connection");
    assert_eq!(desk.socket_id(), "7.1");
}

#[test]
fn an_authenticator_must_say_who_and_in_time() {
    for data in ["", "{}", "no JSON", r#"{"id":null}"#] {
        let mut desk = Desk::connected();
        desk.signin();
        desk.answer_user(Ok(UserAuth::new("key:s", data)));
        desk.expect(&["authenticate 1", "signin failed Auth", "error - Auth"]);
        assert!(desk.frames.is_empty());
    }
    // Queued, it has ten times the time.
    let mut desk = Desk::connected();
    desk.signin();
    desk.take();
    desk.advance(SIGNIN * 10 - MS);
    desk.expect(&[]);
    let ticket = desk.user_asks[0];
    assert!(desk.input(|machine, now| machine.begin_authentication(ticket, now)));
    desk.advance(SIGNIN - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect(&["signin failed Timeout", "error - Timeout"]);
}

#[test]
fn silence_ends_at_the_deadline_and_a_late_success_counts() {
    let mut desk = pending();
    desk.advance(SIGNIN - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect(&["signin failed Timeout", "error - Timeout"]);
    assert!(failure(&desk).unwrap().to_string().contains("signin_timeout"));
    desk.confirm_user("9");
    assert!(desk.machine.signed_in().is_some() && failure(&desk).is_none());
}

#[test]
fn an_error_frame_that_can_mean_nothing_else_is_the_refusal() {
    let refusals = [
        (json!(4009), "Unauthorized"),
        (Value::Null, r#"of 7.1::user::{"id":{"canary":1}}, but got x"#),
    ];
    for (code, message) in refusals {
        let mut desk = pending();
        desk.error(code.clone(), message);
        desk.expect(&["signin failed Server", "error - Server", "event - pusher:error"]);
        let error = failure(&desk).unwrap();
        assert_eq!(error.close_code(), code.as_u64().map(|code| code as u16));
        assert!(error.to_string().contains(message.split('{').next().unwrap()), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        // It says nothing about how the connection ends.
        desk.lose();
        assert_eq!(desk.machine.state(), State::Reconnecting);
    }
}

#[test]
fn an_error_frame_that_may_mean_something_else_leaves_the_server_two_seconds() {
    // Reverb's way of not knowing it.
    let mut desk = pending();
    desk.error(4200, "Invalid message format");
    desk.expect(&["error - Server", "event - pusher:error"]);
    desk.advance(secs(2) - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect(&["signin failed Server", "error - Server"]);
    assert_eq!(failure(&desk).unwrap().close_code(), Some(4200));
    assert_eq!(desk.machine.state(), State::Connected);

    // A channel's refusal looks the same.
    let mut desk = pending();
    desk.subscribe("private-room");
    desk.grant("private-room");
    desk.take();
    desk.error(4009, "Connection is unauthorized");
    desk.expect(&["error - Server", "event - pusher:error"]);
    assert_eq!(desk.status("private-room"), ChannelStatus::Pending);
    desk.confirm_user("9");
    desk.advance(SUBSCRIBE);
    assert_eq!(desk.status("private-room"), ChannelStatus::Failed);
    assert!(desk.machine.signed_in().is_some());

    // So may a client event's.
    let mut desk = Desk::subscribed(&["private-room"]);
    desk.trigger("private-room", "client-e", "1").unwrap();
    desk.signin();
    desk.present("9");
    desk.error(4009, "not allowed");
    assert!(failure(&desk).is_none());
    desk.advance(secs(2));
    assert_eq!(failure(&desk).unwrap().close_code(), Some(4009));
}

#[test]
fn errors_beside_a_success_change_nothing() {
    for code in [4301, 4302] {
        let mut desk = pending();
        desk.error(code, "The watchlist is too long");
        desk.advance(secs(10));
        assert!(failure(&desk).is_none());
        desk.confirm_user("9");
        assert!(desk.machine.signed_in().is_some());
        desk.error(code, "The watchlist is too long");
        desk.error(4009, "about something else");
        assert!(desk.machine.signed_in().is_some());
    }
    // One that names a channel is about that.
    let mut desk = pending();
    let data = json!({ "code": 4009, "message": "no", "channel": "private-x" });
    desk.server("pusher:error", None, &data);
    desk.advance(secs(10));
    assert!(failure(&desk).is_none());
}

#[test]
fn a_close_with_4009_is_a_refusal_too() {
    let close = |desk: &mut Desk, code| {
        let generation = desk.generation();
        desk.input(|machine, now| machine.handle_closed(generation, Some(code), "no", now));
    };
    let mut desk = pending();
    close(&mut desk, 4009);
    desk.expect(&["signin failed Server", "error - Server"]);
    assert_eq!(desk.machine.state(), State::Failed);
    assert_eq!(desk.machine.failure().unwrap().close_code(), Some(4009));
    desk.reconnect();
    desk.expect(&["authenticate 1"]);
    // Another end is none.
    let mut desk = pending();
    close(&mut desk, 4200);
    desk.expect(&[]);
    // The server has ended a user who was in.
    let mut desk = Desk::signed_in("9");
    close(&mut desk, 4009);
    desk.expect(&[]);
    assert_eq!(desk.machine.state(), State::Failed);
    desk.advance(LONG);
    assert_eq!(desk.machine.state(), State::Failed);
}

#[test]
fn events_to_the_user_arrive_whatever_has_become_of_the_channel() {
    let mut desk = Desk::connected();
    let note = |desk: &mut Desk| desk.server("note", Some("#server-to-user-9"), &json!("{}"));
    desk.signin();
    desk.present("9");
    desk.take();
    // Servers may send before they confirm, or never confirm.
    note(&mut desk);
    desk.expect(&["event #server-to-user-9 note {}"]);
    desk.advance(SIGNIN);
    desk.take();
    note(&mut desk);
    desk.expect(&["event #server-to-user-9 note {}"]);
    desk.confirm_user("9");
    desk.take();
    desk.server("pusher_internal:subscription_succeeded", Some("#server-to-user-9"), &json!("{}"));
    desk.expect(&[]);
    desk.server("pusher:subscription_error", Some("#server-to-user-9"), &json!({ "status": 401 }));
    desk.expect(&[
        "error #server-to-user-9 Auth",
        "event #server-to-user-9 pusher:subscription_error",
    ]);
    note(&mut desk);
    desk.expect(&["event #server-to-user-9 note {}"]);
}

#[test]
fn a_success_that_nobody_asked_for_is_nothing() {
    let mut desk = Desk::connected();
    desk.confirm_user("9");
    assert!(desk.machine.signed_in().is_none());
    assert!(desk.frames.is_empty());
    desk.signin();
    desk.confirm_user("9");
    assert!(desk.machine.signed_in().is_none(), "not sent yet");
}

#[test]
fn a_success_without_the_user_is_about_whom_was_sent() {
    for data in [json!({}), json!({ "id": "17" }), json!("odd"), json!({ "user_data": "{}" })] {
        let mut desk = pending();
        desk.server("pusher:signin_success", None, &data);
        assert_eq!(desk.machine.signed_in().unwrap().id(), "9", "{data}");
    }
    let mut desk = pending();
    desk.confirm_user("nine");
    desk.expect(&[
        "signed in nine",
        "subscribe #server-to-user-nine",
        "event - pusher:signin_success",
    ]);
}

#[test]
fn watchlists_of_both_kinds() {
    let official = |desk: &mut Desk, events: Value| {
        let data = json!({ "events": events }).to_string();
        desk.server("pusher_internal:watchlist_events", None, &json!(data));
    };
    let mut desk = Desk::connected();
    desk.server("online", None, &json!({ "user_ids": ["2"] }));
    desk.expect(&[r#"event - online {"user_ids":["2"]}"#]);
    let mut desk = pending();
    let bare = json!({ "user_ids": ["2", 3] });
    desk.server("offline", None, &bare);
    desk.expect(&[r#"watchlist offline ["2", "3"]"#, &format!("event - offline {bare}")]);
    desk.confirm_user("9");
    desk.take();
    official(
        &mut desk,
        json!([
            { "name": "online", "user_ids": ["2", "3"] },
            { "name": "busy", "user_ids": [], "channel_name": "x" },
            { "user_ids": ["4"] },
            7,
            { "name": "offline" },
        ]),
    );
    desk.expect(&[r#"watchlist online ["2", "3"]"#, "watchlist busy []", "watchlist offline []"]);
    for odd in [json!(null), json!({}), json!("events"), json!([])] {
        official(&mut desk, odd);
    }
    desk.expect(&[]);
    // Not sockudo's: of a channel, of another name, without users.
    desk.subscribe("room");
    desk.take();
    desk.server("online", Some("room"), &bare);
    desk.server("note", None, &bare);
    desk.server("online", None, &json!({}));
    assert!(desk.take().iter().all(|line| line.starts_with("event ")));
}

const LOBBY: &str = "presence-lobby";

fn left_to_the_user(desk: &mut Desk) {
    desk.subscribe(LOBBY);
    let ask = desk.ask(LOBBY);
    desk.answer(LOBBY, Ok(Auth { channel_data: None, ..granted(&ask) }));
}

#[test]
fn a_presence_channel_may_be_left_to_the_user() {
    // Before, while and after the user signs in.
    let mut desk = Desk::connected();
    left_to_the_user(&mut desk);
    desk.signin();
    desk.present("9");
    desk.expect(&["ask presence-lobby 1", "authenticate 1", "signin {\"id\":\"9\"}"]);
    desk.confirm_user("9");
    desk.expect(&[
        "signed in 9",
        "subscribe #server-to-user-9",
        "subscribe presence-lobby",
        "event - pusher:signin_success",
    ]);
    assert!(desk.last_frame()["data"]["channel_data"].is_null());
    let presence = json!({ "presence": { "ids": ["9"], "hash": { "9": {} }, "count": 1 } });
    let succeeded = "pusher_internal:subscription_succeeded";
    desk.server(succeeded, Some(LOBBY), &json!(presence.to_string()));
    assert_eq!(desk.machine.members(LOBBY).me().unwrap().id(), "9");
    desk.advance(SUBSCRIBE);
    assert_eq!(desk.status(LOBBY), ChannelStatus::Subscribed);

    let mut desk = Desk::signed_in("9");
    left_to_the_user(&mut desk);
    desk.expect(&["ask presence-lobby 1", "subscribe presence-lobby"]);
}

#[test]
fn without_a_user_a_channel_left_to_them_fails() {
    // Nobody signs in.
    let mut desk = Desk::connected();
    left_to_the_user(&mut desk);
    desk.take();
    desk.advance(SUBSCRIBE - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect_failure(LOBBY, ErrorKind::Auth);
    assert!(desk.errors[0].to_string().contains("signin()"));
    // The sign-in fails while the channel waits, or has failed before.
    let mut desk = pending();
    left_to_the_user(&mut desk);
    desk.take();
    desk.error(Value::Null, "expected 7.1::user::x");
    assert_eq!(desk.status(LOBBY), ChannelStatus::Failed);
    let error = desk.machine.channel_failure(LOBBY).unwrap();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("::user::"));
    left_to_the_user(&mut desk);
    assert_eq!(desk.status(LOBBY), ChannelStatus::Failed);
    // What is not wanted any more stays so.
    let mut desk = pending();
    left_to_the_user(&mut desk);
    desk.unsubscribe(LOBBY);
    desk.take();
    desk.confirm_user("9");
    assert!(!desk.take().iter().any(|line| line.contains(LOBBY)));
}

#[test]
fn another_server_is_dialled_at_once_and_gets_what_is_wanted() {
    let mut desk = Desk::signed_in("9");
    desk.subscribe("room");
    desk.confirm("room");
    desk.subscribe("private-x");
    let stale = desk.ask("private-x");
    desk.take();
    desk.input(|machine, now| machine.switch(now));
    assert_eq!(desk.machine.state(), State::Reconnecting);
    assert_eq!(desk.machine.attempt(), 0);
    desk.reply(&stale, Ok(granted(&stale)));
    desk.expect(&[]);
    desk.establish();
    desk.expect(&["authenticate 1", "subscribe room", "ask private-x 1"]);
    desk.confirm("room");
    desk.expect(&["resumed room", "event room pusher:subscription_succeeded"]);
}

#[test]
fn without_a_connection_or_a_dial_another_server_waits_for_connect() {
    let mut desk = Desk::new();
    desk.input(|machine, now| machine.switch(now));
    assert_eq!((desk.machine.state(), desk.machine.dials()), (State::Initialized, 0));
    let mut desk = Desk::connected();
    desk.disconnect();
    desk.input(|machine, now| machine.switch(now));
    assert_eq!((desk.machine.state(), desk.machine.dials()), (State::Disconnected, 1));
    // A wait for the next dial ends.
    let mut desk = Desk::connected();
    desk.lose();
    desk.input(|machine, now| machine.switch(now));
    assert_eq!(desk.machine.dials(), 2);
    desk.establish();
    assert_eq!(desk.machine.state(), State::Connected);
}

#[test]
fn a_closed_client_signs_nobody_in() {
    let mut desk = Desk::signed_in("9");
    desk.input(|machine, now| machine.close(now));
    desk.take();
    desk.signout();
    desk.signin();
    desk.input(|machine, now| machine.authenticator_changed(now));
    desk.input(|machine, now| machine.switch(now));
    desk.expect(&[]);
    assert!(!desk.machine.wants_signin());
    assert_eq!(desk.machine.dials(), 1);
}
