//! Carries actions out with the lock released, and the user's code under guard.

use std::sync::Arc;

use super::Shared;
use super::actions::{Action, Patience, Performer};
use super::active::{close, trace_frame};
use super::timer;
use crate::util::guard::{self, call, guarded, write_log};
use crate::util::units;
use crate::{Error, ErrorKind, Timeout};

/// How many rounds of actions a thread carries out before it leaves the rest to the timer thread.
const USER_ROUNDS: u32 = 4;

impl Shared {
    /// Carries the actions out in order, unless another thread does. Actions that are added meanwhile, also by the
    /// user's code that runs here, are carried out by the same thread.
    pub(super) fn perform(self: &Arc<Self>) {
        let (performer, is_timer) = {
            let mut core = self.lock();
            let Some(performer) = core.actions.begin() else {
                return;
            };
            (performer, core.threads.is_current(timer::NAME))
        };
        if is_timer {
            self.perform_for_timer(performer);
        } else {
            self.carry_on(performer, Some(USER_ROUNDS));
        }
    }

    /// On the timer thread, which keeps no deadline while the user's code blocks it: starts another thread if it may.
    fn perform_for_timer(self: &Arc<Self>, performer: Performer) {
        let patience = self.patience();
        if self.with_core(|core| core.actions.may_block(patience) || core.actions.has_stuck()) {
            let started =
                self.spawn("pusher-actions", move |shared| shared.carry_on(performer, None));
            match started {
                Ok(()) => return,
                Err(error) => write_log!(Warn, "{error}; the timer thread carries on"),
            }
        }
        // Actions that are added meanwhile may block.
        self.carry_on(performer, Some(1));
    }

    /// Carries actions out until none is left, or for `max_rounds` rounds of the actions that were in the queue at
    /// their start. It leaves the rest to the timer thread: this may be the user's thread, and the supply endless.
    pub(super) fn carry_on(self: &Arc<Self>, performer: Performer, max_rounds: Option<u32>) {
        let (mut rounds, mut left) = (0, 0);
        loop {
            let action = {
                let mut core = self.lock();
                let is_closed = core.machine.is_closed();
                if is_closed {
                    // The timer thread ends when no actions are left.
                    self.timer.notify_one();
                }
                if left == 0 {
                    // A closed client has no endless supply, and perhaps no timer thread.
                    if Some(rounds) == max_rounds && !is_closed && !core.actions.is_empty() {
                        core.actions.leave(performer);
                        self.timer.notify_one();
                        return;
                    }
                    (rounds, left) = (rounds + 1, core.actions.len());
                }
                left = left.saturating_sub(1);
                let action = core.actions.next(performer, self.clock.now().mono);
                // The deadline of the call has changed. Or a replaced performer has returned, so that another one
                // may be replaced.
                self.set_alarm(&mut core);
                let Some(action) = action else {
                    return;
                };
                action
            };
            // The destructors of its parts are the user's code too.
            call("an action of the client", || self.carry_out(action));
        }
    }

    fn carry_out(self: &Arc<Self>, action: Action) {
        match action {
            Action::Dial(dial) => self.start_reader(*dial),
            Action::Close { active, code } => active.close(code),
            Action::Send { generation, connection, frame } => {
                trace_frame("out", &frame);
                self.counts.sent(frame.len());
                let sent = guarded(|| connection.send(&frame)).unwrap_or_else(|| {
                    Err(Error::message(ErrorKind::Internal, "the connection panicked in send"))
                });
                if let Err(error) = sent {
                    // The cause first: the reader may report the close at once.
                    self.act(|machine, now| machine.handle_lost(generation, error, now));
                    close(&*connection, 1000);
                }
            }
            Action::CallPolicy { request, attempt, error } => {
                self.start_policy(request, attempt, error)
            }
            Action::StartWorker => self.start_worker(),
            Action::Log(level, line) => {
                guard::write(level, "pusher_channels::protocol", format_args!("{line}"));
            }
        }
    }

    /// Lets another thread carry the actions out, since the present call has not returned in time. If the call sends,
    /// its connection is given up.
    pub(super) fn replace_performer(self: &Arc<Self>) {
        let (patience, now) = (self.patience(), self.clock.now().mono);
        let Some(generation) = self.with_core(|core| core.actions.replace(patience, now)) else {
            return;
        };
        let limit = units::words(patience.limit);
        let message = format!(
            "sending failed: the connection's `send` has not returned for {limit} (`pong_timeout`)"
        );
        let error = Error::timed_out(Timeout::Pong, message);
        self.act(|machine, now| machine.handle_blocked(generation, error, now));
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            limit: self.settings.machine.pong_timeout,
            own: !self.settings.built_in,
            traced: log::max_level() == log::LevelFilter::Trace,
        }
    }
}
