//! Carrying actions out, with the lock released. What of them is the user's runs under guard.

use std::sync::Arc;

use super::Shared;
use super::actions::{Action, Patience, Performer};
use super::active::{close, trace_frame};
use super::timer;
use crate::util::guard::{self, call, guarded, write_log};
use crate::util::units;
use crate::{Error, ErrorKind, Timeout};

/// How many rounds of actions a thread of the user's carries out before the timer thread takes over.
const USER_ROUNDS: u32 = 4;

impl Shared {
    /// Carries out the actions in order. One thread at a time does so; what is added meanwhile, be it
    /// by the user's code that runs here, is carried out by that thread too.
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

    /// While the timer thread is held up in the user's code, no deadline is kept: where that may be, another
    /// thread is started.
    fn perform_for_timer(self: &Arc<Self>, performer: Performer) {
        let patience = self.patience();
        if self.with_core(|core| core.actions.may_block(patience) || core.actions.is_held_up()) {
            let started =
                self.spawn("pusher-actions", move |shared| shared.carry_on(performer, None));
            match started {
                Ok(()) => return,
                Err(error) => write_log!(Warn, "{error}; the timer thread carries on"),
            }
        }
        // What comes meanwhile may be another matter.
        self.carry_on(performer, Some(1));
    }

    /// Leaves the rest to the timer thread after so many rounds: a thread of the user's, an endless supply.
    fn carry_on(self: &Arc<Self>, performer: Performer, max_rounds: Option<u32>) {
        let (mut rounds, mut left) = (0, 0);
        loop {
            let action = {
                let mut core = self.lock();
                let is_closed = core.machine.is_closed();
                if is_closed {
                    // The timer thread ends once there is nothing more to take over.
                    self.timer.notify_one();
                }
                if left == 0 {
                    // A closed client has no further supply, and perhaps no timer thread.
                    if Some(rounds) == max_rounds && !is_closed && !core.actions.is_empty() {
                        core.actions.leave(performer);
                        self.timer.notify_one();
                        return;
                    }
                    (rounds, left) = (rounds + 1, core.actions.len());
                }
                left = left.saturating_sub(1);
                let action = core.actions.next(performer, self.clock.now().mono);
                // The timer is to know by when this call must return. Or one that had been replaced has returned,
                // so that another one may be.
                self.set_alarm(&mut core);
                let Some(action) = action else {
                    return;
                };
                action
            };
            // What it is made of is the user's too, down to the destructors.
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
                    // The cause first: the reader may tell of the closing at once.
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

    /// The call that actions wait for has not returned in time: another thread carries them out. If it sends, its
    /// connection is given up.
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
