//! When to dial again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::protocol::{Backoff, Policy};

type Decide = dyn Fn(&Attempt) -> Option<Duration> + Send + Sync;

/// What the client does after a lost connection or a failed dial.
///
/// The default never gives up, not even when the very first dial fails: it waits a random time of up
/// to 1 s, then up to 2 s, 4 s … 30 s ("full jitter", so that many clients do not come back at once),
/// and starts again from 1 s after a connection that lasted 10 s. What the server says comes first,
/// by [the protocol's close codes](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#connection-closure):
///
/// | close code | what happens |
/// |---|---|
/// | 4000–4099, 4300 and above | the client stops in [`State::Failed`](crate::State::Failed) |
/// | 4100–4199, 1012, 1013 | it waits, at least 1 s |
/// | 4200–4299 | it dials at once if the connection had lasted 10 s, else it waits |
/// | any other, or none | it waits |
///
/// A server that refuses the handshake with `Retry-After` (HTTP status 429 or 503) is not dialled again
/// before that time, at most an hour, even if the policy's own wait is shorter; the refusal counts as an
/// attempt. Neither this wait nor the 1 s of the table is cut short by
/// [`Client::network_changed`](crate::Client::network_changed) or by a resume from suspend, during which it
/// goes on. [`Client::reconnect`](crate::Client::reconnect) dials at once all the same.
///
/// # Example
///
/// ```
/// use pusher_channels::Reconnect;
/// use std::time::Duration;
///
/// // Half as patient as the default, and not for ever.
/// let policy = Reconnect::default().max(Duration::from_secs(15)).max_attempts(100);
///
/// // One of your own: it is asked every time, whatever the close code.
/// let policy = Reconnect::with(|attempt| {
///     let refused = attempt.error().and_then(|error| error.close_code()) == Some(4001);
///     (!refused).then(|| Duration::from_secs(attempt.number().min(10).into()))
/// });
/// ```
#[derive(Clone)]
pub struct Reconnect(Kind);

#[derive(Clone)]
enum Kind {
    Never,
    Backoff(Backoff),
    With(Arc<Decide>),
}

impl Default for Reconnect {
    fn default() -> Self {
        Self(Kind::Backoff(Backoff::default()))
    }
}

impl Reconnect {
    /// Never dials again: the client ends in [`State::Failed`](crate::State::Failed).
    pub fn never() -> Self {
        Self(Kind::Never)
    }

    /// Asks `decide` after every lost connection and failed dial how long to wait; `None` ends in
    /// [`State::Failed`](crate::State::Failed).
    ///
    /// It is asked for every close code, those included at which the default stops, and its wait counts
    /// whatever the server has asked for: see [`Error::retry_after`] of [`Attempt::error`].
    ///
    /// It runs on a thread of its own, so it may block and may call the client. It is called once at a
    /// time: until it returns, nothing is dialled but by
    /// [`Client::connect`](crate::Client::connect), [`reconnect`](crate::Client::reconnect) and
    /// [`switch`](crate::Client::switch), and it is not asked about what fails meanwhile; then it is asked
    /// about the last failure. If it panics, or no thread can be started for it, the default decides.
    pub fn with(decide: impl Fn(&Attempt) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self(Kind::With(Arc::new(decide)))
    }

    /// The upper end of the first wait. Default: 1 s. No effect on [`never`](Self::never) and [`with`](Self::with).
    pub fn initial(mut self, wait: Duration) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.initial = wait;
        }
        self
    }

    /// The lower end of every wait. Default: zero. No effect on [`never`](Self::never) and [`with`](Self::with).
    ///
    /// Waits are spread evenly from it to the upper end. It counts for more than [`initial`](Self::initial) and
    /// [`max`](Self::max): where an upper end is not above it, the wait is exactly this long, without a
    /// spread. It also holds after close codes 4200–4299, after which the client would dial at once.
    /// [`Client::reconnect`](crate::Client::reconnect) and
    /// [`Client::network_changed`](crate::Client::network_changed) dial without this wait.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::Reconnect;
    /// use std::time::Duration;
    ///
    /// // First 0.5 s to 1 s, then 0.5 s to 2 s, and at last 0.5 s to 30 s.
    /// let policy = Reconnect::default().min(Duration::from_millis(500));
    /// ```
    pub fn min(mut self, wait: Duration) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.min = wait;
        }
        self
    }

    /// The upper end of every wait. Default: 30 s. No effect on [`never`](Self::never) and [`with`](Self::with).
    pub fn max(mut self, wait: Duration) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.max = wait;
        }
        self
    }

    /// How many retries in a row before the client gives up. Default: no limit. No effect on
    /// [`never`](Self::never) and [`with`](Self::with).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.max_attempts = Some(attempts);
        }
        self
    }

    pub(crate) fn policy(&self) -> Policy {
        match &self.0 {
            Kind::Never => Policy::Never,
            Kind::Backoff(backoff) => Policy::Backoff(*backoff),
            Kind::With(_) => Policy::Ask,
        }
    }

    pub(crate) fn decider(&self) -> Option<Arc<Decide>> {
        match &self.0 {
            Kind::With(decide) => Some(Arc::clone(decide)),
            Kind::Never | Kind::Backoff(_) => None,
        }
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Never => f.write_str("Reconnect::never()"),
            Kind::Backoff(Backoff { initial, min, max, max_attempts }) => f
                .debug_struct("Reconnect")
                .field("initial", initial)
                .field("min", min)
                .field("max", max)
                .field("max_attempts", max_attempts)
                .finish(),
            Kind::With(_) => f.write_str("Reconnect::with(..)"),
        }
    }
}

/// What a policy made by [`Reconnect::with`] decides about.
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    error: Option<Error>,
}

impl Attempt {
    pub(crate) fn new(number: u32, error: Option<Error>) -> Self {
        Self { number, error }
    }

    /// Which retry in a row it would be, from 1. It starts again after a connection that lasted 10 s.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Why the connection was lost or the dial failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}
