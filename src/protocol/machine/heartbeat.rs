//! Pings that the client sends, and the next deadline.

use std::time::Duration;

use super::connection::Phase;
use super::{Machine, SUSPEND_JUMP};
use crate::protocol::{Now, frame};
use crate::{Error, ErrorKind};

/// A sleeper is woken if its deadline is void and the next one is at least so much later.
const SLACK: Duration = Duration::from_secs(1);

/// A ping that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ping {
    pub(crate) number: u64,
    /// The generation of the connection.
    generation: u64,
}

/// When [`Machine::handle_timeout`] is to be called, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) at: Duration,
    pub(crate) cause: Cause,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The next ping. Every frame moves it.
    Heartbeat,
    /// The pong. Every frame moves it.
    Pong,
    /// A call of the driver must return. Usually it does before anything else happens.
    Call,
    /// A step of the protocol, which happens once.
    Step,
}

impl Alarm {
    /// Returns `true` if a thread that sleeps until `sleeping` must be woken to sleep until `next` instead: because that
    /// is earlier, or so much later that it would wake up for nothing.
    ///
    /// A deadline that every frame moves wakes no thread before it passes.
    pub(crate) fn wakes(sleeping: Option<Self>, next: Option<Self>) -> bool {
        match (sleeping, next) {
            (None, None) => false,
            (None, Some(_)) => true,
            (Some(Self { cause: Cause::Call, .. }), None) => false,
            (Some(_), None) => true,
            (Some(sleeping), Some(next)) => {
                let later = next.at >= sleeping.at.saturating_add(SLACK);
                let over = match sleeping.cause {
                    Cause::Heartbeat | Cause::Pong => sleeping.cause != next.cause,
                    Cause::Call => false,
                    Cause::Step => true,
                };
                next.at < sleeping.at || (later && over)
            }
        }
    }
}

impl Machine {
    // ---- what the user wants

    /// Checks the connection now, or dials now if a dial is pending.
    pub(crate) fn network_changed(&mut self, now: Now) {
        self.observe(now);
        match self.phase {
            Phase::Failed { untimed: true, .. } => self.connect(now),
            _ => self.check_connection(now),
        }
    }

    /// Sends a ping, or returns the one without a pong yet. [`Self::ping_result`] has its result.
    pub(crate) fn ping(&mut self, now: Now) -> Result<Ping, Error> {
        self.observe(now);
        let generation = self.generation;
        let Phase::Live(live) = &mut self.phase else {
            return Err(Error::message(
                ErrorKind::NotConnected,
                "sending a ping failed: not connected",
            ));
        };
        if let Some(number) = live.pending_ping() {
            return Ok(Ping { number, generation });
        }
        self.pings += 1;
        let number = self.pings;
        live.pinged(number, now);
        self.send(frame::PING.to_owned(), now);
        Ok(Ping { number, generation })
    }

    /// Returns the round-trip time of the ping, or why there is none. `None` while the pong is pending.
    pub(crate) fn ping_result(&self, ping: Ping) -> Option<Result<Duration, Error>> {
        match self.last_pong {
            Some((number, took)) if number == ping.number => Some(Ok(took)),
            _ if !self.is_current(ping.generation) => {
                let message = "the connection was lost before the server responded to the ping";
                Some(Err(Error::message(ErrorKind::NotConnected, message)))
            }
            // A later one on the same connection: the pong to this one was lost.
            Some((number, took)) if number > ping.number => Some(Ok(took)),
            _ => None,
        }
    }

    // ---- what came in

    pub(in crate::protocol) fn ponged(&mut self, now: Now) {
        if let Some(pong) = self.phase.live_mut().and_then(|live| live.ponged(now)) {
            self.last_pong = Some(pong);
            self.changed = true;
        }
    }

    // ---- what to do next

    /// Returns when [`Self::handle_timeout`] is due.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn deadline(&mut self) -> Option<Duration> {
        self.alarm().map(|alarm| alarm.at)
    }

    /// Returns when [`Self::handle_timeout`] is due, and what for.
    pub(crate) fn alarm(&mut self) -> Option<Alarm> {
        let step = |at| Alarm { at, cause: Cause::Step };
        let connection = match &self.phase {
            Phase::Opening { deadline: at, .. } | Phase::Waiting { until: at, .. } => {
                Some(step(*at))
            }
            Phase::Live(live) => {
                let pinged = live.pending_ping().is_some();
                let cause = if pinged { Cause::Pong } else { Cause::Heartbeat };
                Some(Alarm { at: live.deadline(), cause })
            }
            _ => None,
        };
        let call = self.calls.first().map(|&(deadline, _)| deadline);
        let others = [
            call,
            self.held_deadline(),
            self.user.deadline(),
            self.channels.deadline(),
            self.outbox_deadline(),
        ];
        let others = others.into_iter().flatten().map(step);
        connection.into_iter().chain(others).min_by_key(|alarm| alarm.at)
    }

    // ---- inside

    /// Must be called first by every input: a jump of the clocks may be a suspend.
    pub(in crate::protocol) fn observe(&mut self, now: Now) {
        let Some(last) = self.last_seen.replace(now) else {
            return;
        };
        let by_wall = now.wall.saturating_sub(last.wall);
        let by_mono = now.mono.saturating_sub(last.mono);
        let suspended = now.suspended.saturating_sub(last.suspended);
        if suspended.max(by_wall.saturating_sub(by_mono)) > SUSPEND_JUMP {
            self.log(log::Level::Debug, || "the wall clock jumped: checking the connection".into());
            self.check_connection(now);
        }
    }

    fn check_connection(&mut self, now: Now) {
        match &mut self.phase {
            Phase::Live(_) => {
                drop(self.ping(now));
                if let Some(live) = self.phase.live_mut() {
                    live.doubt(now);
                }
            }
            Phase::Waiting { until, requested_until, .. } => {
                let requested = requested_until.saturating_sub(now.elapsed());
                *until = now.mono.saturating_add(requested);
            }
            _ => {}
        }
    }
}
