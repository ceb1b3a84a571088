//! The timer thread: calls the machine when its deadlines come, and replaces whoever does not return.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Core, Shared};
use crate::Error;
use crate::protocol::{Alarm, Cause};
use crate::util::guard::call;

pub(super) const NAME: &str = "pusher-timer";

/// How long the timer thread pauses after a panic, so that repeated ones use little CPU.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the timer thread, under the lock.
#[derive(Default)]
pub(super) struct Timer {
    is_running: bool,
    /// Until when it means to sleep.
    pub(super) alarm: Option<Alarm>,
    /// How often it has begun its loop.
    #[cfg(test)]
    pub(super) turns: u64,
    /// The alarm when it last went to sleep.
    #[cfg(test)]
    pub(super) slept_for: Option<Alarm>,
}

impl Shared {
    /// Starts the timer thread, unless it runs.
    pub(super) fn start_timer(self: &Arc<Self>) -> Result<(), Error> {
        if std::mem::replace(&mut self.lock().timer.is_running, true) {
            return Ok(());
        }
        self.spawn(NAME, Self::keep_time).inspect_err(|_| {
            self.lock().timer.is_running = false;
        })
    }

    /// Runs the timer thread as long as the client lives, also after a panic: no other thread keeps deadlines.
    fn keep_time(self: &Arc<Self>) {
        while call(NAME, || self.run_timer()).is_none() {
            let core = self.lock();
            drop(self.timer.wait_timeout(core, PAUSE).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Sleeps until the next deadline and calls the machine then. It is woken if that changes, see
    /// [`Alarm::wakes`].
    fn run_timer(self: &Arc<Self>) {
        let mut core = self.lock();
        loop {
            #[cfg(test)]
            {
                core.timer.turns += 1;
            }
            if core.actions.is_waiting() {
                drop(core);
                self.perform();
                core = self.lock();
                continue;
            }
            // Until then a performer may have to be replaced.
            if core.machine.is_closed() && core.actions.is_empty() {
                return;
            }
            let now = self.clock.now().mono;
            // Frames move the heartbeat, but not this wake-up: it comes soon after a flood, and seldom in one.
            let is_over = |alarm: &mut Alarm| alarm.cause == Cause::Heartbeat && alarm.at <= now;
            if core.timer.alarm.take_if(is_over).is_some() {
                core.give_back();
            }
            core.timer.alarm = self.next_alarm(&mut core);
            #[cfg(test)]
            {
                core.timer.slept_for = core.timer.alarm;
            }
            core = match core.timer.alarm {
                None => self.timer.wait(core).unwrap_or_else(PoisonError::into_inner),
                Some(Alarm { at, cause }) if at <= now => {
                    drop(core);
                    match cause {
                        Cause::Call => self.replace_performer(),
                        _ => self.act(|machine, now| machine.handle_timeout(now)),
                    }
                    self.lock()
                }
                Some(Alarm { at, .. }) => {
                    let left = at.saturating_sub(now);
                    self.timer.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Wakes the timer thread if it would sleep too long, or wake up for no reason.
    pub(super) fn set_alarm(&self, core: &mut Core) {
        let next = self.next_alarm(core);
        if Alarm::wakes(core.timer.alarm, next) {
            // It checks again before it sleeps. Until then it need not be woken for the same alarm.
            core.timer.alarm = next;
            self.timer.notify_one();
        }
    }

    fn next_alarm(&self, core: &mut Core) -> Option<Alarm> {
        let call = core.actions.overdue_at(self.patience());
        let call = call.map(|at| Alarm { at, cause: Cause::Call });
        [core.machine.alarm(), call].into_iter().flatten().min_by_key(|alarm| alarm.at)
    }
}
