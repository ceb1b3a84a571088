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

/// A byte for the part that is tested, then its input.
pub(crate) fn encrypted(data: &[u8]) {
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

/// Whatever is decrypted is what this key has encrypted.
fn payloads(data: &str) {
    let key = key(1);
    let Ok(text) = key.decrypt(data) else { return };
    let value: Value = serde_json::from_str(data).expect("JSON");
    let nonce = STANDARD.decode(value["nonce"].as_str().expect("a nonce")).expect("base64");
    let again = key.encrypt(nonce.try_into().expect("24 bytes"), &text);
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(value["ciphertext"], again["ciphertext"]);
}

/// An altered payload is decrypted to the same text or not at all.
fn alterations(input: &mut Input<'_>) {
    let text = input.text();
    let key = key(input.byte() % 2);
    let mut payload = key.encrypt([input.byte(); 24], &text).into_bytes();
    assert_eq!(
        key.decrypt(std::str::from_utf8(&payload).expect("text")),
        Ok(text.clone().into_bytes())
    );
    while !input.is_empty() {
        let at = input.number() as usize % payload.len();
        payload[at] = input.byte();
    }
    if let Ok(decrypted) = key.decrypt(&String::from_utf8_lossy(&payload)) {
        assert_eq!(decrypted, text.as_bytes());
    }
}

/// Each event comes out once and in order; in the clear it never does.
fn lives(input: &mut Input<'_>) {
    let mut life = Life::new();
    while !input.is_empty() {
        life.step(input);
        while let Some(verdict) = life.queue.poll() {
            life.check(verdict);
        }
        life.check_waiting();
    }
    life.queue.reset();
    let waiting = life.sent - life.done;
    assert_eq!(std::iter::from_fn(|| life.queue.poll()).count(), waiting);
}

struct Life {
    queue: DecryptQueue,
    now: Duration,
    sent: usize,
    done: usize,
    /// A key is requested.
    requested: bool,
    refreshed: Option<Duration>,
}

impl Life {
    fn new() -> Self {
        let (queue, now) = (DecryptQueue::default(), Duration::from_secs(1000));
        Self { queue, now, sent: 0, done: 0, requested: false, refreshed: None }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            command @ 0..=3 => self.receive(command, input),
            command @ (4 | 5) => {
                self.queue.set_key(key(command - 3), self.now);
                self.refreshed();
            }
            6 => {
                self.queue.refresh_failed(&Error::message(ErrorKind::Auth, "no"), self.now);
                self.refreshed();
            }
            _ => match input.byte() {
                255 => {
                    self.queue.reset();
                    self.requested = false;
                }
                passed => {
                    self.now += Duration::from_millis(u64::from(passed) * 100);
                    self.queue.handle_timeout(self.now);
                }
            },
        }
    }

    fn receive(&mut self, command: u8, input: &mut Input<'_>) {
        let sent = self.sent;
        let text = format!("encrypted:{sent}");
        let data = match command {
            0 => key(1).encrypt([sent as u8; 24], &text),
            1 => key(2).encrypt([sent as u8; 24], &text),
            2 => input.text(),
            _ => json!({ "nonce": input.text(), "ciphertext": input.text() }).to_string(),
        };
        let frame =
            json!({ "event": sent.to_string(), "channel": "private-encrypted-c", "data": data });
        let event = Event::parse(frame.to_string()).expect("an event");
        self.queue.receive(event, MAX_HELD, self.now);
        self.sent += 1;
    }

    fn refreshed(&mut self) {
        if self.requested {
            self.refreshed = Some(self.now);
        }
        self.requested = false;
    }

    fn check(&mut self, verdict: Verdict) {
        let (now, done, refreshed) = (self.now, self.done, self.refreshed);
        match verdict {
            Verdict::Deliver(event) => {
                let text = format!("encrypted:{done}");
                assert_eq!((event.name(), event.data()), (&*done.to_string(), &*text));
                assert_eq!(event.bytes(), text.as_bytes());
                self.done += 1;
            }
            Verdict::Failed(error) => {
                assert_eq!(error.kind(), ErrorKind::Decryption);
                let first = format!("the event {done} ");
                assert!(error.to_string().starts_with(&first), "{error}, not of {done}");
                self.done += 1;
            }
            Verdict::Refresh => {
                assert!(!self.requested, "one at a time");
                let early = refreshed.is_some_and(|at| now < at + Duration::from_secs(5));
                assert!(!early, "refreshed at {refreshed:?}, and at {now:?}");
                self.requested = true;
            }
        }
    }

    fn check_waiting(&self) {
        let (waiting, deadline) = (self.sent - self.done, self.queue.deadline());
        assert!(waiting <= MAX_HELD.count, "{waiting} wait");
        assert!(waiting == 0 || self.requested || deadline.is_some(), "nothing will wake it");
        assert!(deadline.is_none_or(|at| at > self.now), "it spins");
    }
}
