//! Who carries actions out: `Shared::perform` and the head of `run_timer`'s loop, in `src/driver`.
//!
//! Two users' threads and one that closes the client, whose actions lead to further ones; the timer
//! thread, to whom the others leave what does not end.

use super::{Model, check};

/// Which line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    None,
    /// `if rounds == 0 && core.performing { return; }`.
    PerformedTwice,
    /// `core.performing = !core.actions.is_empty()` looks again after every batch.
    LooksOnce,
    /// `self.timer.notify_one()` where a thread leaves the rest.
    NoNotify,
    /// The timer thread looks at the actions before it waits.
    TimerDoesNotLook,
    /// A thread leaves nothing once the client is closed: the timer thread may be gone.
    LeavesToNobody,
}

/// `USER_ROUNDS`, made small.
const ROUNDS: usize = 1;

/// Threads 0 and 1 are users', 2 closes; the last is the timer's.
const CLOSER: usize = 2;
const TIMER: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    /// A user's: gives the machine an input. The timer's: at the head of its loop, with the lock.
    Start,
    Perform {
        rounds: usize,
    },
    CarryOut {
        rounds: usize,
        batch: Vec<Action>,
    },
    /// Only the timer's.
    Waiting,
    Done,
}

/// Which one it is, and how many more follow from it, one from each.
type Action = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Performing {
    fault: Fault,
    at: [At; 4],
    actions: Vec<Action>,
    performing: bool,
    closed: bool,
    pushed: usize,
    done: Vec<usize>,
}

impl Performing {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            at: [At::Start, At::Start, At::Start, At::Start],
            actions: Vec::new(),
            performing: false,
            closed: false,
            pushed: 0,
            done: Vec::new(),
        }
    }

    fn push(&mut self, followers: usize) {
        self.actions.push((self.pushed, followers));
        self.pushed += 1;
    }

    fn notify(&mut self) {
        if self.at[TIMER] == At::Waiting {
            self.at[TIMER] = At::Start;
        }
    }

    /// Where a thread goes when it has nothing more to carry out.
    fn back(thread: usize) -> At {
        if thread == TIMER { At::Start } else { At::Done }
    }

    /// One turn of the lock in `perform`.
    fn perform(&mut self, thread: usize, rounds: usize) -> At {
        if rounds == 0 && self.performing && self.fault != Fault::PerformedTwice {
            return Self::back(thread);
        }
        if rounds > 0 && self.fault == Fault::LooksOnce {
            self.performing = false;
            return Self::back(thread);
        }
        self.performing = !self.actions.is_empty();
        if !self.performing {
            return Self::back(thread);
        }
        let may_leave = !self.closed || self.fault == Fault::LeavesToNobody;
        if rounds == ROUNDS && thread != TIMER && may_leave {
            self.performing = false;
            if self.fault != Fault::NoNotify {
                self.notify();
            }
            return At::Done;
        }
        At::CarryOut { rounds: rounds + 1, batch: std::mem::take(&mut self.actions) }
    }

    fn step(&self, thread: usize) -> Option<Self> {
        let mut next = self.clone();
        next.at[thread] = match &self.at[thread] {
            At::Start if thread == TIMER => {
                let looks = self.fault != Fault::TimerDoesNotLook;
                if looks && !self.actions.is_empty() && !self.performing {
                    At::Perform { rounds: 0 }
                } else if self.closed {
                    At::Done
                } else {
                    At::Waiting
                }
            }
            At::Start if self.closed => At::Done,
            At::Start => {
                next.closed = thread == CLOSER;
                next.push(if thread == CLOSER { 0 } else { 2 });
                At::Perform { rounds: 0 }
            }
            At::Perform { rounds } => {
                // `shut_down` wakes the timer thread when it has performed; before is worse.
                if thread == CLOSER {
                    next.notify();
                }
                next.perform(thread, *rounds)
            }
            At::CarryOut { rounds, batch } => {
                let mut batch = batch.clone();
                if batch.is_empty() {
                    At::Perform { rounds: *rounds }
                } else {
                    let (action, followers) = batch.remove(0);
                    next.done.push(action);
                    // The user's code runs here, with calls of its own: their `perform` returns at once.
                    if followers > 0 {
                        next.push(followers - 1);
                    }
                    At::CarryOut { rounds: *rounds, batch }
                }
            }
            At::Waiting | At::Done => return None,
        };
        Some(next)
    }
}

impl Model for Performing {
    fn steps(&self) -> Vec<Self> {
        let mut next: Vec<_> = (0..self.at.len()).filter_map(|thread| self.step(thread)).collect();
        if self.at[CLOSER] == At::Start {
            // Nobody closes it.
            let mut open = self.clone();
            open.at[CLOSER] = At::Done;
            next.push(open);
        }
        next
    }

    fn check(&self) -> Result<(), &'static str> {
        match self.done.iter().copied().eq(0..self.done.len()) {
            true => Ok(()),
            false => Err("out of order"),
        }
    }

    fn check_at_rest(&self) -> Result<(), &'static str> {
        if self.done.len() < self.pushed {
            return Err("an action is left");
        }
        let timer = if self.closed { At::Done } else { At::Waiting };
        match self.at == [At::Done, At::Done, At::Done, timer] {
            true => Ok(()),
            false => Err("a thread is stuck"),
        }
    }
}

#[test]
fn every_action_is_carried_out_once_and_in_order() {
    let faults = [
        (Fault::PerformedTwice, "out of order"),
        (Fault::LooksOnce, "an action is left"),
        (Fault::NoNotify, "an action is left"),
        (Fault::TimerDoesNotLook, "an action is left"),
        (Fault::LeavesToNobody, "an action is left"),
    ];
    check(Fault::None, &faults, Performing::new);
}
