//! When the timer thread is woken: `Shared::set_alarm` and `run_timer`, in `src/driver`, with `Alarm::wakes`, of
//! which what is only saved wake-ups is left out: what comes later wakes here, or not.
//!
//! A user's thread that moves the deadline, or takes it away; the clock; the timer thread, which sets the
//! next deadline itself when one has come.

use super::{Model, check};

/// Which line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    None,
    /// `self.timer.notify_one()` in `set_alarm`.
    NoNotify,
    /// `(None, Some(_)) => true` in `Alarm::wakes`: out of a sleep without an end.
    NoNotifyFromIdle,
    /// `core.sleeping = self.next_alarm(…)` before every sleep, not only before the first.
    UntilSetOnce,
    /// From the look at the deadline to the sleep the lock is never released.
    ReleasedBeforeSleep,
}

/// The clock stops here; every deadline is earlier.
const END: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// At the head of the loop, with the lock.
    Head,
    /// Only by a fault: not asleep yet, and without the lock.
    FallingAsleep {
        until: Option<u8>,
    },
    /// Has released the lock to notify the machine of its deadline.
    Telling,
    Asleep {
        until: Option<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Timer {
    fault: Fault,
    at: At,
    now: u8,
    deadline: Option<u8>,
    sleeping: Option<u8>,
    /// How many inputs the user's thread has left.
    inputs: u8,
    slept: bool,
}

impl Timer {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            at: At::Head,
            now: 0,
            deadline: None,
            sleeping: None,
            inputs: 4,
            slept: false,
        }
    }

    /// Whatever deadline an input leads to.
    fn deadlines(&self) -> impl Iterator<Item = Option<u8>> + use<> {
        (self.now..END).map(Some).chain([None])
    }

    fn with_deadline(&self, deadline: Option<u8>) -> Self {
        let mut next = Self { deadline, ..self.clone() };
        let earlier = match (deadline, self.sleeping) {
            (Some(deadline), Some(until)) => deadline < until,
            (Some(_), None) => self.fault != Fault::NoNotifyFromIdle,
            (None, _) => false,
        };
        let asleep = matches!(self.at, At::Asleep { .. });
        if earlier {
            next.sleeping = deadline;
        }
        if earlier && asleep && self.fault != Fault::NoNotify {
            next.at = At::Head;
        }
        next
    }

    fn step_user(&self) -> Vec<Self> {
        let Some(inputs) = self.inputs.checked_sub(1) else {
            return Vec::new();
        };
        let next = self.deadlines().map(|deadline| self.with_deadline(deadline));
        next.map(|next| Self { inputs, ..next }).collect()
    }

    fn step_timer(&self) -> Vec<Self> {
        let mut next = self.clone();
        match self.at {
            At::Head => {
                if !self.slept || self.fault != Fault::UntilSetOnce {
                    next.sleeping = self.deadline;
                }
                if self.deadline.is_some_and(|deadline| deadline <= self.now) {
                    next.at = At::Telling;
                } else {
                    next.slept = true;
                    let until = self.deadline;
                    next.at = match self.fault {
                        Fault::ReleasedBeforeSleep => At::FallingAsleep { until },
                        _ => At::Asleep { until },
                    };
                }
                vec![next]
            }
            At::FallingAsleep { until } => {
                next.at = At::Asleep { until };
                vec![next]
            }
            At::Telling => {
                // The machine does nothing if the deadline has moved; else it may set another.
                let due = self.deadline.is_some_and(|deadline| deadline <= self.now);
                let later = self.deadlines().filter(|next| next.is_none_or(|at| at > self.now));
                let after: Vec<_> = match due {
                    true => later.map(|deadline| self.with_deadline(deadline)).collect(),
                    false => vec![next],
                };
                after.into_iter().map(|next| Self { at: At::Head, ..next }).collect()
            }
            At::Asleep { until: Some(until) } if until <= self.now => {
                next.at = At::Head;
                vec![next]
            }
            At::Asleep { .. } => Vec::new(),
        }
    }

    fn step_clock(&self) -> Option<Self> {
        (self.now < END).then(|| Self { now: self.now + 1, ..self.clone() })
    }
}

impl Model for Timer {
    fn steps(&self) -> Vec<Self> {
        let mut next = self.step_user();
        next.extend(self.step_timer());
        next.extend(self.step_clock());
        next
    }

    fn check(&self) -> Result<(), &'static str> {
        match (self.at, self.deadline) {
            (At::Asleep { until }, Some(deadline))
                if until.is_none_or(|until| until > deadline) =>
            {
                Err("it oversleeps")
            }
            _ => Ok(()),
        }
    }

    fn check_at_rest(&self) -> Result<(), &'static str> {
        match self.deadline {
            None => Ok(()),
            Some(_) => Err("a deadline is left"),
        }
    }
}

#[test]
fn no_deadline_is_overslept() {
    let faults = [
        (Fault::NoNotify, "it oversleeps"),
        (Fault::NoNotifyFromIdle, "it oversleeps"),
        (Fault::UntilSetOnce, "it oversleeps"),
        (Fault::ReleasedBeforeSleep, "it oversleeps"),
    ];
    check(Fault::None, &faults, Timer::new);
}
