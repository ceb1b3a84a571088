//! Dialling, and asking the user's policy about it: one at a time, whatever the user does meanwhile.
//!
//! A dial runs code of the user's (`Options::custom`, a connector), and so does the policy. Neither can
//! be made to return. So the next one waits until the driver reports that the last one has returned, and
//! only the newest waits: it stands in [`Phase`], which holds one.

use std::time::Duration;

use log::Level;

use super::connection::{Phase, Step};
use super::turn::Turn;
use crate::protocol::backoff::{Backoff, Wait};
use crate::protocol::{Machine, Now, Output};
use crate::util::units;
use crate::{Error, Timeout};

/// A dial reports its own time-out, which says more; this much later it is given up all the same.
const DIAL_GRACE: Duration = Duration::from_millis(250);

const CONNECTOR: &str = "the connector";
const POLICY: &str = "the function given to `Reconnect::with`";

impl Machine {
    // ---- what came in

    /// The dial of this generation calls this code now. It is the connector unless given.
    pub(crate) fn handle_calling(&mut self, generation: u64, code: Option<&'static str>, now: Now) {
        self.observe(now);
        self.dialling.go_on(generation, code.unwrap_or(CONNECTOR), now.mono);
    }

    /// The code that the dial of this generation has called, the last of it included, has returned; how
    /// the dial has ended is reported apart from it. The one that waits for it has all its time.
    pub(crate) fn handle_dial_returned(&mut self, generation: u64, now: Now) {
        self.observe(now);
        let returned = self.dialling.end(generation);
        if returned && matches!(self.phase, Phase::Opening { step: Step::Held, .. }) {
            self.dial(now);
        }
    }

    /// The connection is open; what is missing is the establishment.
    pub(crate) fn handle_opened(&mut self, generation: u64, now: Now) {
        self.observe(now);
        let current = self.is_current(generation);
        if let (true, Phase::Opening { step, .. }) = (current, &mut self.phase) {
            *step = Step::Opened;
        }
    }

    /// The user's reconnect policy has decided.
    pub(crate) fn handle_decision(&mut self, question: u64, wait: Option<Duration>, now: Now) {
        self.observe(now);
        if self.policy_returned(question, now) {
            let cause = self.failure.take();
            self.settle(wait.map(|time| Wait { time, asked: Duration::ZERO }), cause, now);
        }
    }

    /// The user's reconnect policy could not decide: the default does.
    pub(crate) fn handle_no_decision(&mut self, question: u64, now: Now) {
        self.observe(now);
        if self.policy_returned(question, now) {
            let cause = self.failure.take();
            let random = self.random.f64();
            let wait = cause
                .as_ref()
                .and_then(|error| Backoff::default().wait(error, self.attempts, false, random));
            self.settle(wait, cause, now);
        }
    }

    // ---- getters

    /// What has been called and has not returned, for people to read.
    pub(crate) fn not_returned(&self, now: Now) -> Vec<String> {
        [&self.dialling, &self.deciding]
            .into_iter()
            .flat_map(|turn| turn.describe(now.mono))
            .collect()
    }

    // ---- inside

    pub(super) fn dial(&mut self, now: Now) {
        self.journal.dialing();
        let deadline = now.mono.saturating_add(self.config.connect_timeout);
        let given_up = deadline.saturating_add(DIAL_GRACE);
        if !self.dialling.is_free() {
            self.phase = Phase::Opening { step: Step::Held, deadline: given_up };
            return;
        }
        self.generation += 1;
        self.dialling.begin(self.generation, CONNECTOR, now.mono);
        self.phase = Phase::Opening { step: Step::Connecting, deadline: given_up };
        self.push(Output::Dial { generation: self.generation, deadline });
    }

    pub(super) fn ask_policy(&mut self, now: Now) {
        let Phase::Asking { question } = self.phase else {
            return;
        };
        if self.deciding.is_free() {
            self.deciding.begin(question, POLICY, now.mono);
            let (attempt, error) = (self.attempts, self.failure.clone());
            self.push(Output::Ask { question, attempt, error });
        }
    }

    /// Returns `true` if it was asked about what is still to be decided. What waits is asked now.
    fn policy_returned(&mut self, question: u64, now: Now) -> bool {
        let returned = self.deciding.end(question);
        let current = matches!(self.phase, Phase::Asking { question: asked } if asked == question);
        if returned && !current {
            self.ask_policy(now);
        }
        returned && current
    }

    /// Whose return the next dial waits for, if it does.
    fn held_by(&mut self) -> Option<&mut Turn> {
        match self.phase {
            Phase::Opening { step: Step::Held, .. } => Some(&mut self.dialling),
            Phase::Asking { question } if !self.deciding.is(question) => Some(&mut self.deciding),
            _ => None,
        }
    }

    pub(super) fn held_deadline(&mut self) -> Option<Duration> {
        self.held_by()?.notice_at()
    }

    pub(super) fn notice_held(&mut self, now: Now) {
        if let Some(text) = self.held_by().and_then(|turn| turn.notice(now.mono)) {
            self.log(Level::Warn, || format!("the next dial waits: {text}"));
        }
    }

    /// Why a dial that is given up now has failed.
    pub(super) fn dial_overdue(&self, step: Step, now: Now) -> Error {
        let missing = match step {
            Step::Held | Step::Connecting => "the connection",
            Step::Opened => "pusher:connection_established",
        };
        let why = match step {
            Step::Held | Step::Connecting => self.dialling.describe(now.mono),
            Step::Opened => None,
        };
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let limit = units::words(self.config.connect_timeout);
        let message = format!("timed out waiting for {missing}{why} (connect_timeout is {limit})");
        Error::timed_out(Timeout::Connect, message)
    }
}
