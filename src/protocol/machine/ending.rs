//! The end of dials and connections, and what follows it.

use std::time::Duration;

use log::Level;

use super::connection::{Live, Phase, Step};
use super::{Machine, NORMAL_CLOSE};
use crate::protocol::backoff::{Policy, Wait};
use crate::protocol::{LogLine, Notification, Now, Output, frame};
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

    /// The dial cannot be made, and nothing would wait for the time of the next one: no thread can be started. So
    /// only the user can dial again.
    pub(crate) fn handle_untimed(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if self.is_current(generation) {
            let (error, _) = self.forget_lost(error, now);
            self.give_up(error, true);
        }
        self.handle_dial_returned(generation, now);
    }

    /// The connection takes nothing more, so the client closes it.
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

    /// Returns why there is no connection: the last failure of this outage, or that the dial has no result yet.
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

    /// Closes the present dial or connection, and goes on as if it were lost.
    pub(super) fn abandon(&mut self, error: Error, now: Now) {
        self.end_connection();
        self.lose(error, now);
    }

    /// Closes the present dial or connection, if there is one, because the user wants it.
    pub(super) fn close_connection(&mut self, now: Now) {
        self.end_connection();
        self.forget_connection(now);
    }

    fn end_connection(&mut self) {
        let generation = self.generation;
        if self.is_current(generation) {
            self.push(Output::Close { generation, code: NORMAL_CLOSE });
        }
    }

    fn forget_connection(&mut self, now: Now) {
        let last_sign = self.phase.live().map_or(now, |live| live.last_received);
        self.channels.connection_lost(last_sign);
        self.hold_outbox();
        self.user.connection_lost();
        #[cfg(feature = "encrypted")]
        for name in self.channels.wanted() {
            self.deliver_decrypted(&name, now);
        }
    }

    /// The dial has failed or the connection is gone. Dials again, or calls the user's policy, or gives up.
    fn lose(&mut self, error: Error, now: Now) {
        let (error, was_stable) = self.forget_lost(error, now);
        if let Policy::Custom = self.config.policy {
            self.policy_calls += 1;
            let phase = Phase::Deciding { call: self.policy_calls, cause: error.clone() };
            self.enter(phase, Some(error), None);
            return self.call_policy(now);
        }
        let random = self.random.f64();
        let wait = self.config.policy.wait(&error, self.attempts, was_stable, random);
        self.retry_or_give_up(wait, error, now);
    }

    /// Returns why it is lost, and `true` if the connection had been stable.
    fn forget_lost(&mut self, error: Error, now: Now) -> (Error, bool) {
        let lasted = self.phase.live().map(|live| live.lasted(now));
        let was_stable = lasted.is_some_and(Live::is_stable);
        let error = match self.phase.live_mut() {
            Some(live) => live.explain(error, now),
            None => error,
        };
        self.lose_user(&error);
        self.forget_connection(now);
        if was_stable {
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.log_lost(&error, lasted, now);
        (error, was_stable)
    }

    /// Dials again after this wait, or never.
    pub(super) fn retry_or_give_up(&mut self, wait: Option<Wait>, cause: Error, now: Now) {
        let Some(Wait { time, requested }) = wait else {
            return self.give_up(cause, false);
        };
        self.log_retry(time, &cause, now);
        let phase = Phase::Waiting {
            until: now.mono.saturating_add(time),
            requested_until: now.elapsed().saturating_add(requested),
            cause: cause.clone(),
        };
        self.enter(phase, Some(cause), Some(time));
    }

    fn give_up(&mut self, cause: Error, untimed: bool) {
        self.log_given_up(&cause, untimed);
        self.enter(Phase::Failed { cause: cause.clone(), untimed }, Some(cause), None);
    }

    pub(super) fn enter(&mut self, phase: Phase, cause: Option<Error>, retry_in: Option<Duration>) {
        let previous = std::mem::replace(&mut self.phase, phase).state();
        self.notify_state(previous, cause, retry_in);
    }

    /// Notifies of the present state, which may be what it was before.
    pub(super) fn notify_state(
        &mut self,
        previous: State,
        cause: Option<Error>,
        retry_in: Option<Duration>,
    ) {
        let current = self.state();
        if previous != current {
            // Every input has passed by `observe` with its time.
            self.state_since = self.last_seen;
        }
        self.changed = true;
        let attempt = self.attempts;
        self.log_line(Level::Debug, || {
            let line = LogLine::from(format!("{previous:?} -> {current:?}"));
            let line = cause.iter().fold(line, LogLine::because);
            let retry = retry_in.map(|wait| format!("; next attempt in {}", units::words(wait)));
            line.and(retry.unwrap_or_default())
        });
        let change = StateChange { previous, current, cause, retry_in, attempt };
        self.notify(Notification::State(change));
    }
}
