//! One encrypted channel: its key, and the events that wait for another.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::binding::QueueLimits;
use crate::protocol::crypto::{Key, Unopened};
use crate::{Error, ErrorKind, Event};

/// An event that cannot be opened is no reason to ask for the key more often than this.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// The state of an encrypted channel on the present connection. It is for user events only: those
/// of the protocol are never encrypted.
///
/// Every event that goes in comes out of [`poll`](Self::poll) once, decrypted or as an error, in the
/// order in which it came. One that the key does not open asks for the key again and waits for it, and so
/// do those that come after it. The next one that the key does open proves the key good: then they have failed.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    key: Option<Key>,
    refresh: Refresh,
    /// When a refresh last came to its end.
    refreshed_at: Option<Duration>,
    /// The first of them, if there is one, is refused: else it need not wait.
    held: VecDeque<Held>,
    held_bytes: usize,
    out: VecDeque<Verdict>,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Give this to the bindings.
    Deliver(Event),
    /// An event is lost, for this reason.
    Failed(Error),
    /// Ask for the authorization again, and answer with [`Sealed::set_key`] or
    /// [`Sealed::refresh_failed`]. Only its key is of use: the channel is subscribed already.
    Refresh,
}

#[derive(Debug, Default)]
enum Refresh {
    #[default]
    Idle,
    /// To be asked for at that time.
    Due(Duration),
    Asked,
}

#[derive(Debug)]
enum Held {
    /// The present key does not open it.
    Refused(Event),
    /// No key would; it only waits for its turn.
    Failed(Error),
}

impl Sealed {
    /// An authorization brought a key: what is held is opened with it, or fails.
    pub(crate) fn set_key(&mut self, key: Key, now: Duration) {
        // The first key is no refresh: if it is out of date, the next one need not wait.
        if !matches!(self.refresh, Refresh::Idle) {
            self.refreshed(now);
        }
        self.release(|event| match key.open(&event.ciphertext()) {
            Ok(plaintext) => Verdict::Deliver(event.decrypted(plaintext)),
            Err(why) => Verdict::Failed(failure(&event, why)),
        });
        self.key = Some(key);
    }

    /// The key that was asked for does not come. All that waited for it fails; the old one stays.
    pub(crate) fn refresh_failed(&mut self, error: &Error, now: Duration) {
        if matches!(self.refresh, Refresh::Asked) {
            self.refreshed(now);
            self.release(|event| {
                let why = "does not open, and the channel's key could not be refreshed";
                Verdict::Failed(failure(&event, why).caused_by(error.clone()))
            });
        }
    }

    /// A user event came. What waits for a key keeps to `limits`.
    pub(crate) fn receive(&mut self, event: Event, limits: QueueLimits, now: Duration) {
        let Some(key) = &self.key else {
            let error = failure(&event, "came before the channel's key");
            self.out.push_back(Verdict::Failed(error));
            return;
        };
        match key.open(&event.ciphertext()) {
            Ok(plaintext) => {
                self.key_is_good();
                self.out.push_back(Verdict::Deliver(event.decrypted(plaintext)));
            }
            Err(Unopened::Refused) => {
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

    /// The present key has opened an event, so another would not open those before it.
    fn key_is_good(&mut self) {
        if matches!(self.refresh, Refresh::Due(_)) {
            self.refresh = Refresh::Idle;
        }
        self.release(|event| {
            let why = "does not open with the channel's key, which opens a later one";
            Verdict::Failed(failure(&event, why))
        });
    }

    /// The connection is gone. What it brought will not be opened any more, and the next one has a
    /// key of its own.
    pub(crate) fn reset(&mut self) {
        self.key = None;
        self.refresh = Refresh::Idle;
        self.release(|event| {
            Verdict::Failed(failure(&event, "waited for a key when the connection was lost"))
        });
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.refresh {
            Refresh::Due(at) => Some(at),
            Refresh::Idle | Refresh::Asked => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.refresh = Refresh::Asked;
            self.out.push_back(Verdict::Refresh);
        }
    }

    /// To be called until there is nothing more, after each of the calls above.
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

    /// Keeps an event, and gives up the oldest if there are too many; a single one waits always.
    fn hold(&mut self, held: Held, limits: QueueLimits) {
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
                let why = "does not open, and too many wait for another key of the channel";
                Verdict::Failed(failure(&event, why))
            }));
        }
    }

    /// Decides all that is held.
    fn release(&mut self, decide: impl Fn(Event) -> Verdict) {
        self.held_bytes = 0;
        self.out.extend(self.held.drain(..).map(|held| held.decide(&decide)));
    }
}

impl Held {
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
