//! Encrypted channels: nothing is shown but what was decrypted, in the order in which it came.

use serde_json::{Value, json};

use super::super::crypto::Key;
use super::harness::{Harness, MS, SUBSCRIBE, io, secret, secs, status};
use crate::{Auth, ChannelStatus, Error, ErrorKind, Queue};

const ROOM: &str = "private-encrypted-room";

/// The data of an event with this text, under the key of this number.
fn encrypted(number: u8, text: &str) -> Value {
    json!(Key::parse(&secret(number)).unwrap().encrypt([9; 24], text))
}

/// An event whose name and text are the same, under the key of this number.
fn event(harness: &mut Harness, number: u8, name: &str) {
    harness.server(name, Some(ROOM), encrypted(number, name));
}

fn key(number: u8) -> Result<Auth, Error> {
    Ok(Auth::new("key:s").shared_secret(secret(number)))
}

fn delivered(name: &str) -> String {
    format!("event {ROOM} {name} {name}")
}

/// The lines of so many events that could not be decrypted.
fn lost(count: usize) -> Vec<String> {
    let one = [format!("undecryptable {ROOM} Decryption"), format!("error {ROOM} Decryption")];
    one.iter().cycle().take(2 * count).cloned().collect()
}

#[test]
fn a_response_without_a_valid_key_fails() {
    use base64::Engine as _;
    let short = base64::engine::general_purpose::STANDARD.encode([1; 31]);
    let responses = [
        Auth::new("key:s"),
        Auth::new("key:s").shared_secret(""),
        Auth::new("key:s").shared_secret(short.clone()),
        Auth::new("key:s").shared_secret("no base64!"),
    ];
    for response in responses {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.take();
        harness.respond(ROOM, Ok(response));
        harness.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
        assert!(harness.frames.is_empty());
        assert!(!harness.errors[0].to_string().contains(&short));
    }
}

#[test]
fn the_key_is_not_sent_and_decrypts_events() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, key(1));
    let frame = r#"{"event":"pusher:subscribe","data":{"channel":"private-encrypted-room","auth":"key:s"}}"#;
    assert_eq!(harness.frames, [frame]);
    harness.confirm(ROOM);
    harness.take();
    event(&mut harness, 1, "e1");
    event(&mut harness, 1, "e2");
    harness.expect(&[&delivered("e1"), &delivered("e2")]);
}

#[test]
fn plaintext_is_reported_but_not_shown() {
    let mut harness = Harness::subscribed(&[ROOM]);
    for data in [json!({ "plain": 1 }), json!("plain"), json!(null), json!({ "nonce": "plain" })] {
        harness.server("e", Some(ROOM), &data);
        assert_eq!(harness.take().lines, lost(1), "{data}");
    }
    assert!(harness.errors.iter().all(|error| !format!("{error} {error:?}").contains("plain")));
    assert_eq!(harness.requests.len(), 1, "another key would not help");
    // Nor before there is a key, nor when it failed.
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.take();
    harness.server("e", Some(ROOM), json!("plain"));
    assert_eq!(harness.take().lines, lost(1));
    harness.respond(ROOM, Err(status(403)));
    harness.take();
    harness.server("e", Some(ROOM), json!("plain"));
    assert_eq!(harness.take().lines, lost(1));
}

#[test]
fn the_protocols_own_events_are_never_encrypted() {
    let mut harness = Harness::subscribed(&[ROOM]);
    harness.server("pusher:cache_miss", Some(ROOM), json!("{}"));
    harness.expect(&["event private-encrypted-room pusher:cache_miss"]);
}

#[test]
fn events_of_channels_that_are_not_wanted_are_not_shown() {
    let mut harness = Harness::subscribed(&[ROOM]);
    for name in ["e", "pusher:cache_miss"] {
        harness.server(name, Some("private-encrypted-other"), json!("plain"));
        harness.server(name, Some("private-encrypted-other"), encrypted(1, "text"));
    }
    harness.unsubscribe(ROOM);
    harness.take();
    event(&mut harness, 1, "e");
    harness.server("e", Some(ROOM), json!("plain"));
    harness.expect(&[]);
}

#[test]
fn a_flood_requests_the_new_key_once_and_is_decrypted_in_order() {
    let mut harness = Harness::subscribed(&[ROOM]);
    event(&mut harness, 1, "e0");
    let mut lines = vec![delivered("e0"), format!("authorize {ROOM} 1")];
    assert_eq!(harness.take().lines.len(), 1);
    lines.remove(0);
    for i in 1..=50 {
        event(&mut harness, 2, &format!("e{i}"));
    }
    assert_eq!(harness.take().lines, lines);
    let request = harness.request(ROOM);
    assert_eq!((&*request.socket_id, request.attempt), ("7.1", 1));
    let frames = harness.frames.len();
    harness.respond(ROOM, key(2));
    let all: Vec<_> = (1..=50).map(|i| delivered(&format!("e{i}"))).collect();
    assert_eq!(harness.take().lines, all);
    assert_eq!(harness.frames.len(), frames, "the channel is subscribed already");
    assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed);
    event(&mut harness, 2, "e");
    harness.expect(&[&delivered("e")]);
    // The response counts once.
    assert!(!harness.begin(&request));
    harness.respond_to(&request, key(3));
    event(&mut harness, 2, "e");
    harness.expect(&[&delivered("e")]);
}

#[test]
fn without_a_new_key_what_waits_is_lost_and_the_old_key_stays() {
    let responses: [fn() -> Result<Auth, Error>; 4] =
        [|| Err(status(403)), || Err(io()), || Ok(Auth::new("key:s")), || key(3)];
    for (i, response) in responses.into_iter().enumerate() {
        let mut harness = Harness::subscribed(&[ROOM]);
        event(&mut harness, 2, "e1");
        event(&mut harness, 2, "e2");
        harness.take();
        harness.respond(ROOM, response());
        assert_eq!(harness.take().lines, lost(2), "response {i}");
        assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed, "response {i}");
        if i < 3 {
            event(&mut harness, 1, "e3");
            harness.expect(&[&delivered("e3")]);
        }
        // The next request waits a while.
        event(&mut harness, 2, "e4");
        harness.advance(secs(5) - MS);
        harness.expect(&[]);
        harness.advance(MS);
        harness.expect(&[&format!("authorize {ROOM} 1")]);
        harness.respond(ROOM, key(2));
        harness.expect(&[&delivered("e4")]);
    }
}

#[test]
fn a_refresh_without_a_response_fails_waiting_events() {
    let mut harness = Harness::subscribed(&[ROOM]);
    event(&mut harness, 2, "e1");
    let request = harness.request(ROOM);
    harness.take();
    // Queued, it has ten times the time.
    harness.advance(SUBSCRIBE * 10 - MS);
    harness.expect(&[]);
    assert!(harness.begin(&request));
    event(&mut harness, 2, "e2");
    harness.advance(SUBSCRIBE - MS);
    harness.expect(&[]);
    harness.advance(MS);
    assert_eq!(harness.take().lines, lost(2));
    assert!(!harness.begin(&request));
    harness.respond_to(&request, key(2));
    event(&mut harness, 1, "e3");
    harness.expect(&[&delivered("e3")]);
    assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed);
}

#[test]
fn a_late_key_of_another_connection_is_dropped() {
    type Step = fn(&mut Harness);
    let steps: [Step; 3] = [
        |_| {},
        Harness::disconnect,
        |harness| {
            harness.unsubscribe(ROOM);
            harness.subscribe(ROOM);
        },
    ];
    for (i, step) in steps.into_iter().enumerate() {
        let mut harness = Harness::subscribed(&[ROOM]);
        event(&mut harness, 2, "e1");
        let stale = harness.request(ROOM);
        assert!(harness.begin(&stale));
        harness.take();
        step(&mut harness);
        harness.reestablish();
        let shown =
            harness.take().lines.iter().filter(|line| line.starts_with("undecryptable")).count();
        assert_eq!(
            shown,
            usize::from(i != 2),
            "what waited is lost; what is unsubscribed is silent"
        );
        assert!(!harness.begin(&stale));
        harness.respond_to(&stale, key(2));
        harness.expect(&[]);
        harness.respond(ROOM, key(1));
        harness.confirm(ROOM);
        harness.take();
        harness.respond_to(&stale, key(2));
        event(&mut harness, 1, "e2");
        harness.expect(&[&delivered("e2")]);
    }
}

#[test]
fn a_new_subscription_brings_the_key_that_is_waited_for() {
    let mut harness = Harness::subscribed(&[ROOM]);
    event(&mut harness, 2, "e1");
    harness.server("pusher:subscription_error", Some(ROOM), json!({ "status": 401 }));
    harness.take();
    harness.subscribe(ROOM);
    harness.expect(&[&format!("authorize {ROOM} 1")]);
    harness.respond(ROOM, key(2));
    let mut lines = harness.take().lines;
    lines.sort_unstable();
    assert_eq!(lines, [delivered("e1"), format!("subscribe {ROOM}")]);
    harness.confirm(ROOM);
    harness.take();
    harness.advance(secs(3600));
    harness.expect(&[]);
}

#[test]
fn bad_events_among_good_ones_delay_none() {
    let mut harness = Harness::subscribed(&[ROOM]);
    for i in 0..12 {
        event(&mut harness, 2, "bad");
        harness.take();
        event(&mut harness, 1, &format!("e{i}"));
        let mut lines = lost(1);
        lines.push(delivered(&format!("e{i}")));
        assert_eq!(harness.take().lines, lines);
    }
    assert_eq!(harness.requests.len(), 2, "one request beside that of the subscription");
    // The key is changed after all.
    harness.respond(ROOM, key(1));
    event(&mut harness, 2, "new");
    harness.advance(secs(5));
    harness.respond(ROOM, key(2));
    assert_eq!(harness.take().lines.last(), Some(&delivered("new")));
}

#[test]
fn as_many_events_wait_for_a_key_as_the_queue_holds() {
    let count = Queue::default().limits().count;
    let mut harness = Harness::subscribed(&[ROOM]);
    for i in 0..count {
        event(&mut harness, 2, &format!("e{i}"));
    }
    assert_eq!(harness.take().lines, [format!("authorize {ROOM} 1")]);
    event(&mut harness, 2, "last");
    assert_eq!(harness.take().lines, lost(1));
    harness.respond(ROOM, key(2));
    assert_eq!(harness.take().lines.len(), count);
}
