//! Encrypted channels: nothing is shown but what was decrypted, in the order in which it came.

use serde_json::{Value, json};

use super::super::crypto::Key;
use super::desk::{Desk, io, secret, status};
use super::sim::{MS, SUBSCRIBE, secs};
use crate::{Auth, ChannelStatus, Error, ErrorKind, Queue};

const ROOM: &str = "private-encrypted-room";

/// The data of an event with this text, under the key of this number.
fn sealed(number: u8, text: &str) -> Value {
    json!(Key::parse(&secret(number)).unwrap().seal([9; 24], text))
}

/// An event whose name and text are the same, under the key of this number.
fn event(desk: &mut Desk, number: u8, name: &str) {
    desk.server(name, Some(ROOM), &sealed(number, name));
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
fn an_answer_without_a_proper_key_fails() {
    use base64::Engine as _;
    let short = base64::engine::general_purpose::STANDARD.encode([1; 31]);
    let answers = [
        Auth::new("key:s"),
        Auth::new("key:s").shared_secret(""),
        Auth::new("key:s").shared_secret(short.clone()),
        Auth::new("key:s").shared_secret("no base64!"),
    ];
    for answer in answers {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.take();
        desk.answer(ROOM, Ok(answer));
        desk.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(desk.status(ROOM), ChannelStatus::Failed);
        assert!(desk.frames.is_empty());
        assert!(!desk.errors[0].to_string().contains(&short));
    }
}

#[test]
fn the_key_is_not_sent_and_opens_what_comes() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, key(1));
    let frame = r#"{"event":"pusher:subscribe","data":{"channel":"private-encrypted-room","auth":"key:s"}}"#;
    assert_eq!(desk.frames, [frame]);
    desk.confirm(ROOM);
    desk.take();
    event(&mut desk, 1, "e1");
    event(&mut desk, 1, "e2");
    desk.expect(&[&delivered("e1"), &delivered("e2")]);
}

#[test]
fn plaintext_is_told_of_but_not_shown() {
    let mut desk = Desk::subscribed(&[ROOM]);
    for data in [json!({ "plain": 1 }), json!("plain"), json!(null), json!({ "nonce": "plain" })] {
        desk.server("e", Some(ROOM), &data);
        assert_eq!(desk.take(), lost(1), "{data}");
    }
    assert!(desk.errors.iter().all(|error| !format!("{error} {error:?}").contains("plain")));
    assert_eq!(desk.asks.len(), 1, "another key would not help");
    // Nor before there is a key, nor when it failed.
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.take();
    desk.server("e", Some(ROOM), &json!("plain"));
    assert_eq!(desk.take(), lost(1));
    desk.answer(ROOM, Err(status(403)));
    desk.take();
    desk.server("e", Some(ROOM), &json!("plain"));
    assert_eq!(desk.take(), lost(1));
}

#[test]
fn the_protocols_own_events_are_never_encrypted() {
    let mut desk = Desk::subscribed(&[ROOM]);
    desk.server("pusher:cache_miss", Some(ROOM), &json!("{}"));
    desk.expect(&["event private-encrypted-room pusher:cache_miss"]);
}

#[test]
fn events_of_channels_that_are_not_wanted_are_not_shown() {
    let mut desk = Desk::subscribed(&[ROOM]);
    for name in ["e", "pusher:cache_miss"] {
        desk.server(name, Some("private-encrypted-other"), &json!("plain"));
        desk.server(name, Some("private-encrypted-other"), &sealed(1, "text"));
    }
    desk.unsubscribe(ROOM);
    desk.take();
    event(&mut desk, 1, "e");
    desk.server("e", Some(ROOM), &json!("plain"));
    desk.expect(&[]);
}

#[test]
fn a_storm_asks_for_the_new_key_once_and_opens_all_in_order() {
    let mut desk = Desk::subscribed(&[ROOM]);
    event(&mut desk, 1, "e0");
    let mut lines = vec![delivered("e0"), format!("ask {ROOM} 1")];
    assert_eq!(desk.take().len(), 1);
    lines.remove(0);
    for i in 1..=50 {
        event(&mut desk, 2, &format!("e{i}"));
    }
    assert_eq!(desk.take(), lines);
    let ask = desk.ask(ROOM);
    assert_eq!((&*ask.socket_id, ask.attempt), ("7.1", 1));
    let frames = desk.frames.len();
    desk.answer(ROOM, key(2));
    let all: Vec<_> = (1..=50).map(|i| delivered(&format!("e{i}"))).collect();
    assert_eq!(desk.take(), all);
    assert_eq!(desk.frames.len(), frames, "the channel is subscribed already");
    assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed);
    event(&mut desk, 2, "e");
    desk.expect(&[&delivered("e")]);
    // The answer counts once.
    assert!(!desk.begin(&ask));
    desk.reply(&ask, key(3));
    event(&mut desk, 2, "e");
    desk.expect(&[&delivered("e")]);
}

#[test]
fn without_a_new_key_what_waits_is_lost_and_the_old_key_stays() {
    let answers: [fn() -> Result<Auth, Error>; 4] =
        [|| Err(status(403)), || Err(io()), || Ok(Auth::new("key:s")), || key(3)];
    for (i, answer) in answers.into_iter().enumerate() {
        let mut desk = Desk::subscribed(&[ROOM]);
        event(&mut desk, 2, "e1");
        event(&mut desk, 2, "e2");
        desk.take();
        desk.answer(ROOM, answer());
        assert_eq!(desk.take(), lost(2), "answer {i}");
        assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed, "answer {i}");
        if i < 3 {
            event(&mut desk, 1, "e3");
            desk.expect(&[&delivered("e3")]);
        }
        // The next question waits a while.
        event(&mut desk, 2, "e4");
        desk.advance(secs(5) - MS);
        desk.expect(&[]);
        desk.advance(MS);
        desk.expect(&[&format!("ask {ROOM} 1")]);
        desk.answer(ROOM, key(2));
        desk.expect(&[&delivered("e4")]);
    }
}

#[test]
fn a_refresh_that_is_never_answered_fails_what_waits() {
    let mut desk = Desk::subscribed(&[ROOM]);
    event(&mut desk, 2, "e1");
    let ask = desk.ask(ROOM);
    desk.take();
    // Queued, it has ten times the time.
    desk.advance(SUBSCRIBE * 10 - MS);
    desk.expect(&[]);
    assert!(desk.begin(&ask));
    event(&mut desk, 2, "e2");
    desk.advance(SUBSCRIBE - MS);
    desk.expect(&[]);
    desk.advance(MS);
    assert_eq!(desk.take(), lost(2));
    assert!(!desk.begin(&ask));
    desk.reply(&ask, key(2));
    event(&mut desk, 1, "e3");
    desk.expect(&[&delivered("e3")]);
    assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed);
}

#[test]
fn a_late_key_of_another_connection_is_dropped() {
    type Step = fn(&mut Desk);
    let steps: [Step; 3] = [
        |_| {},
        Desk::disconnect,
        |desk| {
            desk.unsubscribe(ROOM);
            desk.subscribe(ROOM);
        },
    ];
    for (i, step) in steps.into_iter().enumerate() {
        let mut desk = Desk::subscribed(&[ROOM]);
        event(&mut desk, 2, "e1");
        let stale = desk.ask(ROOM);
        assert!(desk.begin(&stale));
        desk.take();
        step(&mut desk);
        desk.reconnect();
        let told = desk.take().iter().filter(|line| line.starts_with("undecryptable")).count();
        assert_eq!(
            told,
            usize::from(i != 2),
            "what waited is lost; what is unsubscribed is silent"
        );
        assert!(!desk.begin(&stale));
        desk.reply(&stale, key(2));
        desk.expect(&[]);
        desk.answer(ROOM, key(1));
        desk.confirm(ROOM);
        desk.take();
        desk.reply(&stale, key(2));
        event(&mut desk, 1, "e2");
        desk.expect(&[&delivered("e2")]);
    }
}

#[test]
fn a_new_subscription_brings_the_key_that_is_waited_for() {
    let mut desk = Desk::subscribed(&[ROOM]);
    event(&mut desk, 2, "e1");
    desk.server("pusher:subscription_error", Some(ROOM), &json!({ "status": 401 }));
    desk.take();
    desk.subscribe(ROOM);
    desk.expect(&[&format!("ask {ROOM} 1")]);
    desk.answer(ROOM, key(2));
    let mut lines = desk.take();
    lines.sort_unstable();
    assert_eq!(lines, [delivered("e1"), format!("subscribe {ROOM}")]);
    desk.confirm(ROOM);
    desk.take();
    desk.advance(secs(3600));
    desk.expect(&[]);
}

#[test]
fn bad_events_among_good_ones_delay_none() {
    let mut desk = Desk::subscribed(&[ROOM]);
    for i in 0..12 {
        event(&mut desk, 2, "bad");
        desk.take();
        event(&mut desk, 1, &format!("e{i}"));
        let mut lines = lost(1);
        lines.push(delivered(&format!("e{i}")));
        assert_eq!(desk.take(), lines);
    }
    assert_eq!(desk.asks.len(), 2, "one question beside that of the subscription");
    // The key is changed after all.
    desk.answer(ROOM, key(1));
    event(&mut desk, 2, "new");
    desk.advance(secs(5));
    desk.answer(ROOM, key(2));
    assert_eq!(desk.take().last(), Some(&delivered("new")));
}

#[test]
fn as_many_events_wait_for_a_key_as_the_queue_holds() {
    let count = Queue::default().limits().count;
    let mut desk = Desk::subscribed(&[ROOM]);
    for i in 0..count {
        event(&mut desk, 2, &format!("e{i}"));
    }
    assert_eq!(desk.take(), [format!("ask {ROOM} 1")]);
    event(&mut desk, 2, "last");
    assert_eq!(desk.take(), lost(1));
    desk.answer(ROOM, key(2));
    assert_eq!(desk.take().len(), count);
}
