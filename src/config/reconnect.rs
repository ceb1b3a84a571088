//! The reconnect policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::protocol::{Backoff, Policy};

type Decide = dyn Fn(&Attempt) -> Option<Duration> + Send + Sync;

/// The reconnect policy: what the client does after a lost connection or a failed dial.
///
/// The default retries without limit, also when the first dial fails. It waits a random time of up to 1 s, then up to
/// 2 s, 4 s … 30 s ("full jitter", so that many clients do not reconnect at once), and starts again from 1 s after a
/// connection that lasted 10 s. Close codes of the server have priority, see [the
/// protocol](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#connection-closure):
///
/// | close code | the client |
/// |---|---|
/// | 4000–4099, 4300 and above | stops in [`State::Failed`](crate::State::Failed) |
/// | 4100–4199, 1012, 1013 | waits, at least 1 s |
/// | 4200–4299 | dials at once if the connection had lasted 10 s, otherwise waits |
/// | any other, or none | waits |
///
/// If a server refuses the handshake with `Retry-After` (HTTP status 429 or 503), the client does not dial it again
/// before that time, at most an hour, even if the policy's own wait is shorter. The refusal counts as an attempt.
/// Neither this wait nor the 1 s of the table is cut short by
/// [`Client::network_changed`](crate::Client::network_changed) or by a resume from suspend, and a suspend does not
/// stop it. [`Client::reconnect`](crate::Client::reconnect) dials at once in any case.
///
/// # Example
///
/// ```
/// use pusher_channels::Reconnect;
/// use std::time::Duration;
///
/// // Waits of at most 15 s, and no more than 100 attempts.
/// let policy = Reconnect::default().max(Duration::from_secs(15)).max_attempts(100);
///
/// // A policy of your own is called every time, whatever the close code.
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

    /// Calls `decide` after every lost connection and failed dial. It returns how long to wait; `None` ends in
    /// [`State::Failed`](crate::State::Failed).
    ///
    /// `decide` is called for every close code, including those at which the default stops. Its wait applies whatever
    /// the server has requested: see [`Error::retry_after`] of [`Attempt::error`].
    ///
    /// It runs on a thread of its own, so it may block and may call the client. It is called once at a time: until it
    /// returns, only [`Client::connect`](crate::Client::connect), [`reconnect`](crate::Client::reconnect) and
    /// [`switch`](crate::Client::switch) dial, and it is not called for what fails in the meantime; then it is called
    /// for the last failure. If it panics, or no thread can be started for it, the default policy decides.
    #[doc(alias = "connectionErrorHandler")]
    pub fn with(decide: impl Fn(&Attempt) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self(Kind::With(Arc::new(decide)))
    }

    /// Sets the upper limit of the first wait. Default: 1 s. No effect on [`never`](Self::never) and
    /// [`with`](Self::with).
    pub fn initial(mut self, wait: Duration) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.initial = wait;
        }
        self
    }

    /// Sets the lower limit of every wait. Default: zero. No effect on [`never`](Self::never) and [`with`](Self::with).
    ///
    /// Waits are spread evenly between it and the upper limit. It has priority over [`initial`](Self::initial) and
    /// [`max`](Self::max): where an upper limit is not above it, the wait is exactly this long, without jitter. It
    /// also applies after close codes 4200–4299, after which the client would dial at once.
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

    /// Sets the upper limit of every wait. Default: 30 s. No effect on [`never`](Self::never) and [`with`](Self::with).
    #[doc(alias = "maxReconnectGap")]
    pub fn max(mut self, wait: Duration) -> Self {
        if let Kind::Backoff(backoff) = &mut self.0 {
            backoff.max = wait;
        }
        self
    }

    /// Sets how many retries in a row the client makes before it fails. Default: no limit. No effect on
    /// [`never`](Self::never) and [`with`](Self::with).
    #[doc(alias = "maxReconnectionAttempts")]
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
            Kind::With(_) => Policy::Custom,
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

/// The retry that a function given to [`Reconnect::with`] decides about.
#[derive(Clone, Debug)]
pub struct Attempt {
    number: u32,
    error: Option<Error>,
}

impl Attempt {
    pub(crate) fn new(number: u32, error: Option<Error>) -> Self {
        Self { number, error }
    }

    /// Returns the number of the retry, from 1. It starts again after a connection that lasted 10 s.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns why the connection was lost or the dial failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}
