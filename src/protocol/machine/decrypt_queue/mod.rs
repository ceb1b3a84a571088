//! The key of one encrypted channel, and the events that wait for a new one.

use std::collections::VecDeque;
use std::time::Duration;
use std::{fmt, slice};

use crate::binding::QueueLimits;
use crate::protocol::crypto::{DecryptError, Key};
use crate::{Error, ErrorKind, Event};

/// The shortest time between two requests for a new key.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// Decrypts the user events of a channel on the present connection. Events of the protocol are never encrypted.
///
/// Every event that is received comes out of [`poll`](Self::poll) once, decrypted or as an error, in order. If the key
/// does not decrypt an event, a new key is requested, and the event and those after it wait for it. The next event that
/// the key decrypts proves the key right: then those before it have failed.
#[derive(Debug, Default)]
pub(crate) struct DecryptQueue {
    key: Option<Key>,
    refresh: Refresh,
    /// When the last refresh ended.
    refreshed_at: Option<Duration>,
    /// The first of them is refused: others need not wait.
    held: VecDeque<Held>,
    held_bytes: usize,
    out: VecDeque<Verdict>,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Deliver this to the bindings.
    Deliver(Event),
    /// An event is not delivered, for this reason.
    Failed(Error),
    /// Request a new authorization, and report with [`DecryptQueue::set_key`] or [`DecryptQueue::refresh_failed`]. Only its
    /// key is of use: the channel is subscribed already.
    Refresh,
}

#[derive(Debug, Default)]
enum Refresh {
    #[default]
    Idle,
    /// To be requested at that time.
    Due(Duration),
    Requested,
}

#[derive(Debug)]
enum Held {
    /// The present key does not decrypt it.
    Refused(Event),
    /// No key does. It waits for those before it.
    Failed(Error),
}

impl DecryptQueue {
    /// Decrypts what is held with a new key.
    pub(crate) fn set_key(&mut self, key: Key, now: Duration) {
        // The first key is no refresh: if it is out of date, the next one need not wait.
        if !matches!(self.refresh, Refresh::Idle) {
            self.refreshed(now);
        }
        self.release(|event| match key.decrypt(&event.ciphertext()) {
            Ok(plaintext) => Verdict::Deliver(event.decrypted(plaintext)),
            Err(why) => Verdict::Failed(failure(&event, why)),
        });
        self.key = Some(key);
    }

    /// Fails what is held, since there is no new key. The old one stays.
    pub(crate) fn refresh_failed(&mut self, error: &Error, now: Duration) {
        if matches!(self.refresh, Refresh::Requested) {
            self.refreshed(now);
            self.release(|event| {
                let why = "cannot be decrypted, and the channel's key could not be refreshed";
                Verdict::Failed(failure(&event, why).caused_by(error.clone()))
            });
        }
    }

    /// Decrypts a user event, or holds it within `limits`.
    pub(crate) fn receive(&mut self, event: Event, limits: QueueLimits, now: Duration) {
        let Some(key) = &self.key else {
            let error = failure(&event, "came before the channel's key");
            self.out.push_back(Verdict::Failed(error));
            return;
        };
        match key.decrypt(&event.ciphertext()) {
            Ok(plaintext) => {
                self.key_is_right();
                self.out.push_back(Verdict::Deliver(event.decrypted(plaintext)));
            }
            Err(DecryptError::Refused) => {
                self.want_refresh(now);
                self.hold(Held::Refused(event), limits);
            }
            Err(why) => {
                let error = failure(&event, why);
                match self.held.is_empty() {
                    true => self.out.push_back(Verdict::Failed(error)),
                    false => self.hold(Held::Failed(error), limits),
                }
            }
        }
    }

    /// The present key has decrypted an event, so another would not decrypt those before it.
    fn key_is_right(&mut self) {
        if matches!(self.refresh, Refresh::Due(_)) {
            self.refresh = Refresh::Idle;
        }
        self.release(|event| {
            let why = "cannot be decrypted with the channel's key, which decrypts a later one";
            Verdict::Failed(failure(&event, why))
        });
    }

    /// Fails what is held, since the connection is gone. The next one has a key of its own.
    pub(crate) fn reset(&mut self) {
        self.key = None;
        self.refresh = Refresh::Idle;
        self.release(|event| {
            Verdict::Failed(failure(&event, "waited for a key when the connection was lost"))
        });
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.refresh {
            Refresh::Due(at) => Some(at),
            Refresh::Idle | Refresh::Requested => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.refresh = Refresh::Requested;
            self.out.push_back(Verdict::Refresh);
        }
    }

    /// Must be called after each of the calls above until it returns `None`.
    pub(crate) fn poll(&mut self) -> Option<Verdict> {
        self.out.pop_front()
    }

    fn want_refresh(&mut self, now: Duration) {
        if matches!(self.refresh, Refresh::Idle) {
            let at = self.refreshed_at.map_or(now, |at| at.saturating_add(REFRESH_INTERVAL));
            self.refresh = Refresh::Due(at);
            self.handle_timeout(now);
        }
    }

    fn refreshed(&mut self, now: Duration) {
        self.refresh = Refresh::Idle;
        self.refreshed_at = Some(now);
    }

    /// Holds an event, and fails the oldest if there are too many. A single one is always held.
    fn hold(&mut self, held: Held, limits: QueueLimits) {
        let held = held.without_others();
        self.held_bytes += held.size();
        self.held.push_back(held);
        let is_too_much = |held: &VecDeque<Held>, bytes| {
            held.len() > 1 && (held.len() > limits.count || bytes > limits.bytes)
        };
        while is_too_much(&self.held, self.held_bytes)
            || matches!(self.held.front(), Some(Held::Failed(_)))
        {
            let Some(oldest) = self.held.pop_front() else { return };
            self.held_bytes -= oldest.size();
            self.out.push_back(oldest.decide(|event| {
                let why = "cannot be decrypted, and too many wait for another key of the channel";
                Verdict::Failed(failure(&event, why))
            }));
        }
    }

    /// Decides what is held.
    fn release(&mut self, decide: impl Fn(Event) -> Verdict) {
        self.held_bytes = 0;
        self.out.extend(self.held.drain(..).map(|held| held.decide(&decide)));
    }
}

impl Held {
    /// It may be held for long, so the rest of its batch is not kept with it.
    fn without_others(self) -> Self {
        match self {
            Self::Refused(event) => {
                let excerpt = Event::excerpts(slice::from_ref(&event));
                Self::Refused(excerpt.and_then(|mut excerpt| excerpt.pop()).unwrap_or(event))
            }
            Self::Failed(error) => Self::Failed(error),
        }
    }

    fn decide(self, refused: impl FnOnce(Event) -> Verdict) -> Verdict {
        match self {
            Self::Refused(event) => refused(event),
            Self::Failed(error) => Verdict::Failed(error),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Refused(event) => event.size(),
            Self::Failed(error) => error.size(),
        }
    }
}

fn failure(event: &Event, why: impl fmt::Display) -> Error {
    let message = format!("the event {:.200} {why}", event.name());
    let error = Error::message(ErrorKind::Decryption, message);
    match event.channel() {
        Some(channel) => error.on_channel(channel),
        None => error,
    }
}

#[cfg(test)]
mod tests;
