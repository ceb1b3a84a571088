//! The phases of the connection, and whether the peer of an established one is still there.

use std::time::Duration;

use crate::protocol::Now;
use crate::protocol::close_code::CloseClass;
use crate::util::units;
use crate::{Error, State, Timeout};

/// After a connection that lasted this long the attempts are counted from the beginning.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// For how long an error frame explains a close without a code: some servers send the code in a frame and then
/// drop the connection.
const ERROR_EXPLAINS_FOR: Duration = Duration::from_secs(2);

/// The longest wait for a pong where the connection is in doubt.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of the connection, of which [`State`] is what the user sees.
#[derive(Debug)]
pub(super) enum Phase {
    Initialized,
    Disconnected,
    /// As `Disconnected`, for good.
    Closed,
    /// Only the user can dial again.
    Failed {
        cause: Error,
        /// No thread could be started that waits for deadlines.
        untimed: bool,
    },
    /// Dialing, and then waiting for `pusher:connection_established`.
    Opening {
        step: Step,
        deadline: Duration,
        /// The first dial since `connect()`.
        is_first: bool,
        /// The last failure of this outage.
        cause: Option<Error>,
    },
    Live(Live),
    /// Waiting to dial again.
    Waiting {
        until: Duration,
        /// The end of the wait that the server has requested, by [`Now::elapsed`].
        requested_until: Duration,
        cause: Error,
    },
    /// Waiting for the user's policy to decide about this failure.
    Deciding {
        call: u64,
        cause: Error,
    },
}

/// What a dial waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An earlier dial that has not returned. This one has no generation of its own yet.
    Held,
    /// The connection.
    Connecting,
    /// `pusher:connection_established`.
    Opened,
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Self::Initialized => State::Initialized,
            Self::Disconnected | Self::Closed => State::Disconnected,
            Self::Failed { .. } => State::Failed,
            Self::Opening { is_first: true, .. } => State::Connecting,
            Self::Opening { .. } | Self::Waiting { .. } | Self::Deciding { .. } => {
                State::Reconnecting
            }
            Self::Live(_) => State::Connected,
        }
    }

    /// Returns `true` if only the user can start a dial.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Initialized | Self::Disconnected | Self::Closed | Self::Failed { .. })
    }

    pub(super) fn is_live(&self) -> bool {
        self.live().is_some()
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }

    /// Why the last connection of this outage was lost, or its last dial failed. `None` while connected, and from
    /// `connect`, `disconnect` and `switch` to the next failure.
    pub(super) fn last_failure(&self) -> Option<&Error> {
        match self {
            Self::Opening { cause, .. } => cause.as_ref(),
            Self::Failed { cause, .. }
            | Self::Waiting { cause, .. }
            | Self::Deciding { cause, .. } => Some(cause),
            Self::Initialized | Self::Disconnected | Self::Closed | Self::Live(_) => None,
        }
    }
}

/// An established connection.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) socket_id: String,
    pub(super) last_received: Now,
    since: Duration,
    last_sent: Duration,
    activity_timeout: Duration,
    pong_timeout: Duration,
    ping: Option<Ping>,
    last_error: Option<(Duration, Error)>,
    /// When the last client event was sent.
    pub(super) triggered: Option<Duration>,
    /// The last error that could not be attributed to a request, and when it came.
    pub(super) unexplained: Option<(Duration, Error)>,
}

/// A ping without a pong yet.
#[derive(Debug)]
struct Ping {
    number: u64,
    sent: Duration,
    /// `None` if its pong did not come in time, but other frames did. It may still come; after the next ping it counts
    /// for that one.
    deadline: Option<Duration>,
}

/// What keeps the connection alive, or ends it.
pub(super) enum Due {
    Nothing,
    Ping,
    /// No pong came in time.
    Dead,
}

impl Live {
    pub(super) fn new(
        socket_id: String,
        activity_timeout: Duration,
        pong_timeout: Duration,
        now: Now,
    ) -> Self {
        Self {
            socket_id,
            last_received: now,
            since: now.mono,
            last_sent: now.mono,
            activity_timeout,
            pong_timeout,
            ping: None,
            last_error: None,
            triggered: None,
            unexplained: None,
        }
    }

    /// Whatever comes in shows that the peer is there.
    pub(super) fn received(&mut self, now: Now) {
        self.last_received = now;
        let overdue = |ping: &Ping| now.mono.saturating_sub(ping.sent) > self.pong_timeout;
        if let Some(ping) = &mut self.ping {
            // While it is pending, no other ping is sent.
            let is_pending = ping.deadline.is_some() && !overdue(ping);
            ping.deadline = is_pending.then(|| now.mono.saturating_add(self.pong_timeout));
        }
    }

    pub(super) fn sent(&mut self, now: Now) {
        self.last_sent = now.mono;
    }

    /// Returns the number of the ping that has no pong yet.
    pub(super) fn pending_ping(&self) -> Option<u64> {
        let pending = self.ping.as_ref().filter(|ping| ping.deadline.is_some());
        pending.map(|ping| ping.number)
    }

    pub(super) fn pinged(&mut self, number: u64, now: Now) {
        let deadline = Some(now.mono.saturating_add(self.pong_timeout));
        self.ping = Some(Ping { number, sent: now.mono, deadline });
        self.sent(now);
    }

    /// Returns the number of the ping that this is the pong to, and the round-trip time.
    pub(super) fn ponged(&mut self, now: Now) -> Option<(u64, Duration)> {
        let ping = self.ping.take()?;
        Some((ping.number, now.mono.saturating_sub(ping.sent)))
    }

    /// Shortens the wait for the pong, since the connection is in doubt.
    pub(super) fn doubt(&mut self, now: Now) {
        if let Some(deadline) = self.ping.as_mut().and_then(|ping| ping.deadline.as_mut()) {
            *deadline = (*deadline).min(now.mono.saturating_add(DOUBT_TIMEOUT));
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        if let Some(deadline) = self.ping.as_ref().and_then(|ping| ping.deadline) {
            return deadline;
        }
        let silent = self.last_received.mono.saturating_add(self.activity_timeout);
        // Some servers close connections on which the client sends nothing.
        let mute = self.last_sent.saturating_add(self.activity_timeout.saturating_mul(2));
        silent.min(mute)
    }

    pub(super) fn due(&self, now: Now) -> Due {
        match self.pending_ping() {
            _ if self.deadline() > now.mono => Due::Nothing,
            Some(_) => Due::Dead,
            None => Due::Ping,
        }
    }

    pub(super) fn pong_missing(&self) -> Error {
        let limit = units::words(self.pong_timeout);
        let message = format!("the server did not respond to a ping (pong_timeout is {limit})");
        Error::timed_out(Timeout::Pong, message)
    }

    pub(super) fn remember_error(&mut self, error: Error, now: Now) {
        self.last_error = Some((now.mono, error));
    }

    /// Returns the error frame that came shortly before, where the end of the connection has no code.
    pub(super) fn explain(&mut self, error: Error, now: Now) -> Error {
        let coded = CloseClass::of(error.close_code()) != CloseClass::Plain;
        // The client has found a time-out itself: the server has ended nothing.
        let explained = coded || error.is_timeout();
        match self.last_error.take() {
            Some((at, frame))
                if !explained && now.mono.saturating_sub(at) <= ERROR_EXPLAINS_FOR =>
            {
                frame
            }
            _ => error,
        }
    }

    pub(super) fn lasted(&self, now: Now) -> Duration {
        now.mono.saturating_sub(self.since)
    }

    /// Returns `true` if a connection is stable that lasted so long.
    pub(super) fn is_stable(lasted: Duration) -> bool {
        lasted >= STABLE_AFTER
    }
}
