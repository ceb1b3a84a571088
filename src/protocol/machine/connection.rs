//! One connection's life: where it is in it, and whether the other side is still there.

use std::time::Duration;

use crate::protocol::Now;
use crate::protocol::backoff::CloseClass;
use crate::util::units;
use crate::{Error, Timeout};

/// A connection that lasted this long was a good one: the attempts are counted anew after it.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// How long an error frame explains a close that has no code of its own: some servers tell the code
/// in a frame and then just drop the connection.
const ERROR_EXPLAINS_FOR: Duration = Duration::from_secs(2);

/// The longest wait for a pong when there is reason to doubt the connection.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// Dialling, and then waiting for the server's `pusher:connection_established`.
    Opening {
        step: Step,
        deadline: Duration,
    },
    Live(Live),
    /// Waiting to dial again.
    Waiting {
        until: Duration,
        /// Until when the server has asked to wait, by [`Now::elapsed`].
        asked_until: Duration,
    },
    /// Waiting for the user's policy.
    Asking {
        question: u64,
    },
}

/// What a dial waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// For an earlier dial to return. It has no generation of its own yet.
    Held,
    /// For the connection.
    Connecting,
    /// For the server's `pusher:connection_established`.
    Opened,
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
    /// The last error that could not be attributed to a request, and when it came.
    pub(super) unexplained: Option<(Duration, Error)>,
}

/// A ping that is not answered yet.
#[derive(Debug)]
struct Ping {
    number: u64,
    sent: Duration,
    deadline: Duration,
}

/// What keeping the connection alive asks for.
pub(super) enum Due {
    Nothing,
    Ping,
    /// The ping was not answered in time.
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
            unexplained: None,
        }
    }

    /// Whatever came in shows that the other side is there.
    pub(super) fn received(&mut self, now: Now) {
        self.last_received = now;
        let overdue = |ping: &Ping| now.mono.saturating_sub(ping.sent) > self.pong_timeout;
        if self.ping.as_ref().is_some_and(overdue) {
            // Its answer is lost while others arrive: with it pending, no other ping would be sent.
            self.ping = None;
        } else if let Some(ping) = &mut self.ping {
            ping.deadline = now.mono.saturating_add(self.pong_timeout);
        }
    }

    pub(super) fn sent(&mut self, now: Now) {
        self.last_sent = now.mono;
    }

    /// The number of the ping that is on its way already, if there is one.
    pub(super) fn pending_ping(&self) -> Option<u64> {
        self.ping.as_ref().map(|ping| ping.number)
    }

    pub(super) fn pinged(&mut self, number: u64, now: Now) {
        let deadline = now.mono.saturating_add(self.pong_timeout);
        self.ping = Some(Ping { number, sent: now.mono, deadline });
        self.sent(now);
    }

    /// The number of the ping that this answers, and how long it took.
    pub(super) fn ponged(&mut self, now: Now) -> Option<(u64, Duration)> {
        let ping = self.ping.take()?;
        Some((ping.number, now.mono.saturating_sub(ping.sent)))
    }

    /// There is reason to doubt the connection: wait less long for the pong.
    pub(super) fn doubt(&mut self, now: Now) {
        if let Some(ping) = &mut self.ping {
            ping.deadline = ping.deadline.min(now.mono.saturating_add(DOUBT_TIMEOUT));
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        if let Some(ping) = &self.ping {
            return ping.deadline;
        }
        let silent = self.last_received.mono.saturating_add(self.activity_timeout);
        // Some servers judge by what the client sends: a client that only receives pings too.
        let mute = self.last_sent.saturating_add(self.activity_timeout.saturating_mul(2));
        silent.min(mute)
    }

    pub(super) fn due(&self, now: Now) -> Due {
        match &self.ping {
            _ if self.deadline() > now.mono => Due::Nothing,
            Some(_) => Due::Dead,
            None => Due::Ping,
        }
    }

    pub(super) fn pong_missing(&self) -> Error {
        let limit = units::words(self.pong_timeout);
        let message = format!("the server did not answer a ping (pong_timeout is {limit})");
        Error::timed_out(Timeout::Pong, message)
    }

    pub(super) fn remember_error(&mut self, error: Error, now: Now) {
        self.last_error = Some((now.mono, error));
    }

    /// Why the connection really ended, where an error frame told it shortly before.
    pub(super) fn explain(&mut self, error: Error, now: Now) -> Error {
        let coded = CloseClass::of(error.close_code()) != CloseClass::Plain;
        // A time-out is what this side has found: the server has not ended anything.
        let explained = coded || error.is_timeout();
        match self.last_error.take() {
            Some((at, told)) if !explained && now.mono.saturating_sub(at) <= ERROR_EXPLAINS_FOR => {
                told
            }
            _ => error,
        }
    }

    pub(super) fn lasted(&self, now: Now) -> Duration {
        now.mono.saturating_sub(self.since)
    }

    pub(super) fn was_stable(&self, now: Now) -> bool {
        self.lasted(now) >= STABLE_AFTER
    }
}
