//! Who carries actions out: `Shared::perform`, `carry_on` and `replace_performer` with their `Actions`, and the
//! head of `run_timer`'s loop, in `src/driver`.
//!
//! Two users' threads and one that closes the client, whose actions lead to further ones; the timer
//! thread, to whom the others leave what does not end, and which replaces one that is held up.

use super::{Model, check};

/// Which line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    None,
    /// `is_waiting` in `Actions::begin` requires a performer too.
    PerformedTwice,
    /// `Actions::next` is called until it returns `None`, not for one round only.
    LooksOnce,
    /// `self.timer.notify_one()` where a thread leaves the rest.
    NoNotify,
    /// The timer thread looks at the actions before it waits.
    TimerDoesNotLook,
    /// A thread leaves nothing once the client is closed: the timer thread may be gone.
    LeavesToNobody,
    /// `Actions::next` returns `None` to whoever was replaced.
    ComesBack,
}

/// `USER_ROUNDS`, made small.
const ROUNDS: usize = 1;

/// Threads 0 and 1 are users', 2 closes; the last is the timer's.
const CLOSER: usize = 2;
const TIMER: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    /// A user's: passes the machine an input. The timer's: at the head of its loop, with the lock.
    Start,
    /// In `perform`, before `begin`.
    Begin,
    /// Before `next`.
    Perform(Turn),
    /// Runs the user's code, which leads to so many further actions, one from each.
    CarryOut {
        turn: Turn,
        followers: usize,
        /// It was replaced meanwhile.
        held_up: bool,
    },
    /// Only the timer's.
    Waiting,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Turn {
    performer: usize,
    rounds: usize,
    left: usize,
}

/// Which one it is, and how many more follow from it, one from each.
type Action = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Performing {
    fault: Fault,
    at: [At; 4],
    actions: Vec<Action>,
    performer: Option<usize>,
    performers: usize,
    closed: bool,
    pushed: usize,
    /// In the order in which they were begun.
    done: Vec<usize>,
    replaced: bool,
}

impl Performing {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            at: [At::Start, At::Start, At::Start, At::Start],
            actions: Vec::new(),
            performer: None,
            performers: 0,
            closed: false,
            pushed: 0,
            done: Vec::new(),
            replaced: false,
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

    fn begin(&mut self, thread: usize) -> At {
        let is_taken = self.performer.is_some() && self.fault != Fault::PerformedTwice;
        if self.actions.is_empty() || is_taken {
            return Self::back(thread);
        }
        self.performers += 1;
        self.performer = Some(self.performers);
        At::Perform(Turn { performer: self.performers, rounds: 0, left: 0 })
    }

    /// One turn of the lock in `carry_on`.
    fn perform(&mut self, thread: usize, mut turn: Turn) -> At {
        if self.closed {
            self.notify();
        }
        let is_performer = self.performer == Some(turn.performer);
        if turn.left == 0 {
            let may_leave = !self.closed || self.fault == Fault::LeavesToNobody;
            if turn.rounds == ROUNDS && thread != TIMER && may_leave && !self.actions.is_empty() {
                if is_performer {
                    self.performer = None;
                }
                if self.fault != Fault::NoNotify {
                    self.notify();
                }
                return At::Done;
            }
            if turn.rounds > 0 && self.fault == Fault::LooksOnce {
                self.performer = None;
                return Self::back(thread);
            }
            (turn.rounds, turn.left) = (turn.rounds + 1, self.actions.len());
        }
        turn.left = turn.left.saturating_sub(1);
        // More rounds make no difference to the timer thread, only more states.
        turn.rounds = turn.rounds.min(ROUNDS);
        if !is_performer && !matches!(self.fault, Fault::ComesBack | Fault::PerformedTwice) {
            return Self::back(thread);
        }
        if self.actions.is_empty() {
            self.performer = None;
            return Self::back(thread);
        }
        let (action, followers) = self.actions.remove(0);
        self.done.push(action);
        At::CarryOut { turn, followers, held_up: false }
    }

    fn step(&self, thread: usize) -> Option<Self> {
        let mut next = self.clone();
        next.at[thread] = match self.at[thread] {
            At::Start if thread == TIMER => {
                let looks = self.fault != Fault::TimerDoesNotLook;
                if looks && !self.actions.is_empty() && self.performer.is_none() {
                    At::Begin
                } else if self.closed && self.actions.is_empty() {
                    At::Done
                } else {
                    At::Waiting
                }
            }
            At::Start if self.closed => At::Done,
            At::Start => {
                next.closed = thread == CLOSER;
                next.push(if thread == CLOSER { 0 } else { 2 });
                At::Begin
            }
            At::Begin => {
                // `shut_down` wakes the timer thread when it has performed; before is worse.
                if thread == CLOSER {
                    next.notify();
                }
                next.begin(thread)
            }
            At::Perform(turn) => next.perform(thread, turn),
            At::CarryOut { turn, followers, held_up } => {
                // The user's code runs here, with calls of its own: their `perform` returns at once, unless the
                // thread was replaced. Then there is nothing for it to come back to.
                if followers > 0 {
                    next.push(followers - 1);
                }
                if held_up && self.fault != Fault::ComesBack {
                    At::Begin
                } else {
                    At::Perform(turn)
                }
            }
            At::Waiting | At::Done => return None,
        };
        Some(next)
    }

    /// The timer thread replaces the one that is carrying out an action while others wait, once.
    fn replace(&self) -> Option<Self> {
        let held_up = |at: &At| match at {
            At::CarryOut { turn, .. } => self.performer == Some(turn.performer),
            _ => false,
        };
        let thread = self.at.iter().position(held_up)?;
        if self.replaced || self.at[TIMER] != At::Waiting || self.actions.is_empty() {
            return None;
        }
        let mut next = self.clone();
        if let At::CarryOut { held_up, .. } = &mut next.at[thread] {
            *held_up = true;
        }
        (next.performer, next.replaced) = (None, true);
        next.at[TIMER] = At::Start;
        Some(next)
    }
}

impl Model for Performing {
    fn steps(&self) -> Vec<Self> {
        let mut next: Vec<_> = (0..self.at.len()).filter_map(|thread| self.step(thread)).collect();
        next.extend(self.replace());
        if self.at[CLOSER] == At::Start {
            // Nobody closes it.
            let mut open = self.clone();
            open.at[CLOSER] = At::Done;
            next.push(open);
        }
        next
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_busy = |at: &&At| matches!(at, At::CarryOut { held_up: false, .. });
        if self.at.iter().filter(is_busy).count() > 1 {
            return Err("two at a time");
        }
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
        (Fault::PerformedTwice, "two at a time"),
        (Fault::LooksOnce, "an action is left"),
        (Fault::NoNotify, "an action is left"),
        (Fault::TimerDoesNotLook, "an action is left"),
        (Fault::LeavesToNobody, "an action is left"),
        (Fault::ComesBack, "two at a time"),
    ];
    check(Fault::None, &faults, Performing::new);
}
