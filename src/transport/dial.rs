//! The deadline, the interrupt and the current step of a dial.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::poller::{Poller, wake};
use crate::util::clock;
use crate::{Error, ErrorKind, Interrupt, Timeout};

/// What all steps of a dial share. Its errors name the step.
pub(super) struct DialContext {
    pub(super) poller: Poller,
    deadline: Instant,
    interrupt: Interrupt,
    step: String,
}

impl DialContext {
    pub(super) fn new(deadline: Instant, interrupt: &Interrupt) -> Result<Self, Error> {
        let poller = Poller::new().map_err(|error| {
            Error::message(ErrorKind::Io, "creating a poller for a socket failed").caused_by(error)
        })?;
        // Weak, so that an interrupt that is kept does not keep the poller.
        let waker = Arc::downgrade(poller.waker());
        interrupt.on_interrupt(move || {
            if let Some(waker) = waker.upgrade() {
                wake(&waker);
            }
        });
        Ok(Self { poller, deadline, interrupt: interrupt.clone(), step: String::new() })
    }

    /// Begins a step.
    pub(super) fn begin(&mut self, step: String) -> Result<(), Error> {
        self.step = step;
        self.check()
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Waits until something happens, at most until `until` and the deadline.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Result<(), Error> {
        self.check()?;
        let until = until.map_or(self.deadline, |until| until.min(self.deadline));
        self.poller
            .wait(Some(until))
            .map_err(|error| self.failed(ErrorKind::Io).caused_by(error))?;
        self.check()
    }

    /// Waits until `poll` returns something.
    pub(super) fn wait_for<T>(
        &mut self,
        mut poll: impl FnMut(&Self) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        loop {
            match poll(self)? {
                Some(value) => return Ok(value),
                None => self.wait(None)?,
            }
        }
    }

    /// Fails if the dial was interrupted or its deadline has passed.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.interrupt.is_interrupted() {
            let message = format!("{}: interrupted by disconnect", self.step);
            return Err(Error::message(ErrorKind::Closed, message));
        }
        if clock::now() >= self.deadline {
            return Err(Error::timed_out(Timeout::Connect, format!("{} timed out", self.step)));
        }
        Ok(())
    }

    pub(super) fn failed(&self, kind: ErrorKind) -> Error {
        Error::message(kind, format!("{} failed", self.step))
    }

    /// Puts the step in front of a message that is the end of a sentence.
    pub(super) fn failed_by(&self, error: Error) -> Error {
        error.at(&format!("{} failed", self.step))
    }

    pub(super) fn failed_because(&self, kind: ErrorKind, why: &str) -> Error {
        Error::message(kind, format!("{} failed: {why}", self.step))
    }

    /// Returns the error of a socket. The system's own timeout is a [`Timeout::Connect`].
    pub(super) fn broken(&self, detail: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Io,
        };
        Error::message(kind, format!("{} failed{detail}", self.step))
            .with_timeout(Timeout::Connect)
            .caused_by(error)
    }
}
