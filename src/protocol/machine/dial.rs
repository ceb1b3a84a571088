//! Dials and calls of the user's policy: one at a time, whatever the user does meanwhile.
//!
//! Both run user code (`Options::custom`, a connector, the policy), which cannot be made to return. So the next call
//! waits until the driver reports that the last one has returned. Only the newest waits: [`Phase`] holds one.

use std::time::Duration;

use log::Level;

use super::connection::{Phase, Step};
use super::turn::Turn;
use crate::protocol::backoff::{Backoff, Wait};
use crate::protocol::{Machine, Now, Output};
use crate::util::units;
use crate::{Error, Timeout};

/// A dial reports its own time-out, which says more. So much later it is given up all the same.
const DIAL_GRACE: Duration = Duration::from_millis(250);

const CONNECTOR: &str = "the connector";
const POLICY: &str = "the function given to `Reconnect::with`";

impl Machine {
    // ---- what came in

    /// The dial of this generation is about to call this code, or the connector. Returns `false` if it has been given
    /// up, and must not: its interruption may still wait behind other outputs.
    pub(crate) fn handle_calling(
        &mut self,
        generation: u64,
        code: Option<&'static str>,
        now: Now,
    ) -> bool {
        self.observe(now);
        let is_current = self.is_current(generation);
        if is_current {
            self.dialing.go_on(generation, code.unwrap_or(CONNECTOR), now.mono);
        }
        is_current
    }

    /// All code that the dial of this generation calls has returned. The result of the dial is reported apart. A dial
    /// that has waited for it gets its whole time.
    pub(crate) fn handle_dial_returned(&mut self, generation: u64, now: Now) {
        self.observe(now);
        let returned = self.dialing.end(generation);
        if let (true, Phase::Opening { step: Step::Held, is_first, cause, .. }) =
            (returned, &self.phase)
        {
            let (is_first, cause) = (*is_first, cause.clone());
            self.dial(is_first, cause, now);
        }
    }

    /// The connection is open, but not established.
    pub(crate) fn handle_opened(&mut self, generation: u64, now: Now) {
        self.observe(now);
        let current = self.is_current(generation);
        if let (true, Phase::Opening { step, .. }) = (current, &mut self.phase) {
            *step = Step::Opened;
        }
    }

    /// The user's reconnect policy has decided.
    pub(crate) fn handle_decision(&mut self, call: u64, wait: Option<Duration>, now: Now) {
        self.observe(now);
        if let Some(cause) = self.policy_returned(call, now) {
            let wait = wait.map(|time| Wait { time, requested: Duration::ZERO });
            self.retry_or_give_up(wait, cause, now);
        }
    }

    /// The user's reconnect policy has panicked or could not be called: the default decides.
    pub(crate) fn handle_no_decision(&mut self, call: u64, now: Now) {
        self.observe(now);
        if let Some(cause) = self.policy_returned(call, now) {
            let random = self.random.f64();
            let wait = Backoff::default().wait(&cause, self.attempts, false, random);
            self.retry_or_give_up(wait, cause, now);
        }
    }

    // ---- getters

    /// Describes the calls that have not returned.
    pub(crate) fn not_returned(&self, now: Now) -> Vec<String> {
        [&self.dialing, &self.deciding]
            .into_iter()
            .flat_map(|turn| turn.describe(now.mono))
            .collect()
    }

    // ---- inside

    /// Dials, or waits for an earlier dial to return first. `cause` is the last failure of this outage.
    pub(super) fn dial(&mut self, is_first: bool, cause: Option<Error>, now: Now) {
        self.journal.dialing();
        let deadline = now.mono.saturating_add(self.config.connect_timeout);
        let step = if self.dialing.is_free() { Step::Connecting } else { Step::Held };
        let given_up = deadline.saturating_add(DIAL_GRACE);
        self.phase = Phase::Opening { step, deadline: given_up, is_first, cause };
        if step == Step::Connecting {
            self.generation += 1;
            self.dialing.begin(self.generation, CONNECTOR, now.mono);
            self.push(Output::Dial { generation: self.generation, deadline });
        }
    }

    pub(super) fn call_policy(&mut self, now: Now) {
        let Phase::Deciding { call, cause } = &self.phase else {
            return;
        };
        if self.deciding.is_free() {
            let (call, attempt, error) = (*call, self.attempts, Some(cause.clone()));
            self.deciding.begin(call, POLICY, now.mono);
            self.push(Output::CallPolicy { call, attempt, error });
        }
    }

    /// Returns the failure that the policy has decided about, if that is still to be decided. If another one
    /// is, it calls the policy again.
    fn policy_returned(&mut self, call: u64, now: Now) -> Option<Error> {
        if !self.deciding.end(call) {
            return None;
        }
        match &self.phase {
            Phase::Deciding { call: current, cause } if *current == call => Some(cause.clone()),
            _ => {
                self.call_policy(now);
                None
            }
        }
    }

    /// Returns the call that the next dial waits for.
    fn held_by(&mut self) -> Option<&mut Turn> {
        match self.phase {
            Phase::Opening { step: Step::Held, .. } => Some(&mut self.dialing),
            Phase::Deciding { call, .. } if !self.deciding.is(call) => Some(&mut self.deciding),
            _ => None,
        }
    }

    pub(super) fn held_deadline(&mut self) -> Option<Duration> {
        self.held_by()?.report_at()
    }

    pub(super) fn log_held(&mut self, now: Now) {
        if let Some(text) = self.held_by().and_then(|turn| turn.report(now.mono)) {
            self.log(Level::Warn, || format!("the next dial waits: {text}"));
        }
    }

    /// Returns why a dial that is given up now has failed.
    pub(super) fn dial_overdue(&self, step: Step, now: Now) -> Error {
        let (missing, why) = match step {
            Step::Held | Step::Connecting => ("the connection", self.dialing.describe(now.mono)),
            Step::Opened => ("pusher:connection_established", None),
        };
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let limit = units::words(self.config.connect_timeout);
        let message = format!("timed out waiting for {missing}{why} (connect_timeout is {limit})");
        Error::timed_out(Timeout::Connect, message)
    }
}
