//! How dials and connections end, and what state that leaves.

use std::time::Duration;

use log::Level;

use super::Machine;
use super::connection::{Phase, Step};
use crate::protocol::backoff::Wait;
use crate::protocol::{LogLine, Notice, Now, frame};
use crate::util::units;
use crate::{Error, State, StateChange, Timeout};

impl Machine {
    /// The dial has failed, or the connection broke.
    pub(crate) fn handle_lost(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if self.is_current(generation) {
            let upgraded = matches!(self.phase, Phase::Opening { step: Step::Opened, .. });
            let error = if upgraded { frame::unestablished(error) } else { error };
            self.lose(error, now);
        }
    }

    /// The dial cannot be made, and nothing would tell when the time for the next one has come: no thread can be
    /// started. So only the user can dial again.
    pub(crate) fn handle_untimed(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if self.is_current(generation) {
            self.untimed = true;
            self.lose(error, now);
        }
        self.handle_dial_returned(generation, now);
    }

    /// The connection takes nothing more: it is ended from this side.
    pub(crate) fn handle_blocked(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if self.is_current(generation) {
            self.abandon(error, now);
        }
    }

    /// The server has closed the connection.
    pub(crate) fn handle_closed(
        &mut self,
        generation: u64,
        code: Option<u16>,
        reason: &str,
        now: Now,
    ) {
        self.handle_lost(generation, frame::close_error(code, reason), now);
    }

    /// Why there is no connection: the last failure of this outage, or else the dial that has no result yet.
    pub(crate) fn why_not_connected(&self) -> Option<Error> {
        self.last_failure().cloned().or_else(|| match &self.phase {
            Phase::Opening { .. } => {
                let (place, limit) =
                    (self.journal.place(), units::words(self.config.connect_timeout));
                let message =
                    format!("connecting to {place} has no result yet (connect_timeout is {limit})");
                Some(Error::timed_out(Timeout::Connect, message))
            }
            _ => None,
        })
    }

    /// The next dial is after this wait, or there is none.
    pub(in crate::protocol) fn settle(
        &mut self,
        wait: Option<Wait>,
        cause: Option<Error>,
        now: Now,
    ) {
        match (wait, &cause) {
            (Some(wait), Some(cause)) => self.log_retry(wait.time, cause, now),
            (None, Some(cause)) => self.log_given_up(cause),
            (_, None) => {}
        }
        match wait {
            Some(Wait { time, asked }) => {
                self.phase = Phase::Waiting {
                    until: now.mono.saturating_add(time),
                    asked_until: now.elapsed().saturating_add(asked),
                };
                self.set_state(State::Reconnecting, cause, Some(time));
            }
            None => {
                self.phase = Phase::Idle;
                self.failure = cause.clone();
                self.set_state(State::Failed, cause, None);
            }
        }
    }

    pub(super) fn set_state(
        &mut self,
        current: State,
        cause: Option<Error>,
        retry_in: Option<Duration>,
    ) {
        let previous = std::mem::replace(&mut self.state, current);
        if previous != current {
            // Every input has passed by `observe` with its time.
            self.state_since = self.last_seen;
        }
        self.changed = true;
        self.untimed &= current == State::Failed;
        if !matches!(current, State::Failed | State::Reconnecting) {
            self.failure = None;
        }
        let attempt = self.attempts;
        self.log_line(Level::Debug, || {
            let line = LogLine::from(format!("{previous:?} -> {current:?}"));
            let line = cause.iter().fold(line, LogLine::because);
            let retry = retry_in.map(|wait| format!("; next attempt in {}", units::words(wait)));
            line.and(retry.unwrap_or_default())
        });
        let change = StateChange { previous, current, cause, retry_in, attempt };
        self.notify(Notice::State(change));
    }
}
