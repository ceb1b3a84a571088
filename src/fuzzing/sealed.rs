//! Encrypted channels: keys, payloads, and events that wait for a key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::binding::QueueLimits;
use crate::fuzzing::Input;
use crate::protocol::crypto::Key;
use crate::protocol::machine::decrypt_queue::{DecryptQueue, Verdict};
use crate::{Error, ErrorKind, Event};

/// So much may wait for a key: few enough events to come near it.
const MAX_HELD: QueueLimits = QueueLimits { count: 16, bytes: 8 * 1024 };

fn key(number: u8) -> Key {
    Key::parse(&STANDARD.encode([number; 32])).expect("32 bytes")
}

/// A byte that selects one of the three, then its input.
pub(crate) fn sealed(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => keys(&input.text()),
        1 => payloads(&input.text()),
        2 => alterations(&mut input),
        _ => lives(&mut input),
    }
}

fn keys(secret: &str) {
    let expected = STANDARD.decode(secret).ok().filter(|bytes| bytes.len() == 32);
    match Key::parse(secret) {
        Ok(_) => assert!(expected.is_some(), "{secret:?}"),
        Err(error) => {
            assert!(expected.is_none() && error.kind() == ErrorKind::Auth, "{secret:?}");
            let shown = format!("{error} {error:?}");
            assert!(secret.len() < 16 || !shown.contains(secret), "{shown}");
        }
    }
}

/// What decrypts is what this key has encrypted.
fn payloads(data: &str) {
    let key = key(1);
    let Ok(text) = key.open(data) else { return };
    let value: Value = serde_json::from_str(data).expect("JSON");
    let nonce = STANDARD.decode(value["nonce"].as_str().expect("a nonce")).expect("base64");
    let again = key.seal(nonce.try_into().expect("24 bytes"), &text);
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(value["ciphertext"], again["ciphertext"]);
}

/// A payload of which some bytes are others opens to the same text or not at all.
fn alterations(input: &mut Input<'_>) {
    let text = input.text();
    let key = key(input.byte() % 2);
    let mut payload = key.seal([input.byte(); 24], &text).into_bytes();
    assert_eq!(
        key.open(std::str::from_utf8(&payload).expect("text")),
        Ok(text.clone().into_bytes())
    );
    while !input.is_empty() {
        let at = input.number() as usize % payload.len();
        payload[at] = input.byte();
    }
    if let Ok(opened) = key.open(&String::from_utf8_lossy(&payload)) {
        assert_eq!(opened, text.as_bytes());
    }
}

/// Each event comes out once and in order; in the clear it never does.
fn lives(input: &mut Input<'_>) {
    let mut sealed = DecryptQueue::default();
    let mut now = Duration::from_secs(1000);
    let (mut sent, mut done) = (0, 0);
    let (mut asked, mut refreshed) = (false, None::<Duration>);
    while !input.is_empty() {
        match input.byte() % 8 {
            command @ 0..=3 => {
                let text = format!("sealed:{sent}");
                let data = match command {
                    0 => key(1).seal([sent as u8; 24], &text),
                    1 => key(2).seal([sent as u8; 24], &text),
                    2 => input.text(),
                    _ => json!({ "nonce": input.text(), "ciphertext": input.text() }).to_string(),
                };
                let frame = json!({ "event": sent.to_string(), "channel": "private-encrypted-c", "data": data });
                sealed.receive(Event::parse(frame.to_string()).expect("an event"), MAX_HELD, now);
                sent += 1;
            }
            command @ (4 | 5) => {
                sealed.set_key(key(command - 3), now);
                refreshed = if asked { Some(now) } else { refreshed };
                asked = false;
            }
            6 => {
                sealed.refresh_failed(&Error::message(ErrorKind::Auth, "no"), now);
                refreshed = if asked { Some(now) } else { refreshed };
                asked = false;
            }
            _ => match input.byte() {
                255 => {
                    sealed.reset();
                    asked = false;
                }
                passed => {
                    now += Duration::from_millis(u64::from(passed) * 100);
                    sealed.handle_timeout(now);
                }
            },
        }
        while let Some(verdict) = sealed.poll() {
            match verdict {
                Verdict::Deliver(event) => {
                    let text = format!("sealed:{done}");
                    assert_eq!((event.name(), event.data()), (&*done.to_string(), &*text));
                    assert_eq!(event.bytes(), text.as_bytes());
                    done += 1;
                }
                Verdict::Failed(error) => {
                    assert_eq!(error.kind(), ErrorKind::Decryption);
                    let first = format!("the event {done} ");
                    assert!(error.to_string().starts_with(&first), "{error}, not of {done}");
                    done += 1;
                }
                Verdict::Refresh => {
                    assert!(!asked, "one at a time");
                    let early = refreshed.is_some_and(|at| now < at + Duration::from_secs(5));
                    assert!(!early, "refreshed at {refreshed:?}, and at {now:?}");
                    asked = true;
                }
            }
        }
        assert!(sent - done <= MAX_HELD.count, "{} wait", sent - done);
        assert!(sent == done || asked || sealed.deadline().is_some(), "nothing will wake it");
        assert!(sealed.deadline().is_none_or(|at| at > now), "it spins");
    }
    sealed.reset();
    assert_eq!(std::iter::from_fn(|| sealed.poll()).count(), sent - done);
}
