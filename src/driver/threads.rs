//! Starting, counting and ending the client's threads; the timer thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use super::Shared;
use crate::reconnect::Attempt;
use crate::{Error, ErrorKind, Reconnect, Timeout};

/// The threads that were started and may still run.
#[derive(Default)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    running: Vec<ThreadId>,
    has_timer: bool,
}

impl Shared {
    /// Starts a thread that counts until `run` has returned, or panicked.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        run: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Result<(), Error> {
        let mut builder = thread::Builder::new().name(name.to_owned());
        if let Some(size) = self.settings.stack_size {
            builder = builder.stack_size(size);
        }
        let shared = Arc::clone(self);
        // The new thread enters itself under the lock, so it cannot leave before it is entered.
        let mut core = self.lock();
        let handle = builder
            .spawn(move || {
                let _leave = Leave(&shared);
                run(&shared);
            })
            .map_err(|error| {
                let message = format!("could not start the thread {name}");
                Error::message(ErrorKind::Io, message).caused_by(error)
            })?;
        core.threads.handles.retain(|handle| !handle.is_finished());
        core.threads.running.push(handle.thread().id());
        core.threads.handles.push(handle);
        Ok(())
    }

    /// Starts the timer thread, unless it runs.
    pub(super) fn start_timer(self: &Arc<Self>) -> Result<(), Error> {
        if std::mem::replace(&mut self.lock().threads.has_timer, true) {
            return Ok(());
        }
        self.spawn("pusher-timer", Self::run_timer).inspect_err(|_| {
            self.lock().threads.has_timer = false;
        })
    }

    /// Tells the machine when its deadlines come. It sleeps until the next one, and is woken only
    /// for an earlier one.
    fn run_timer(self: &Arc<Self>) {
        let mut core = self.lock();
        loop {
            if !core.actions.is_empty() && !core.performing {
                drop(core);
                self.perform(true);
                core = self.lock();
                continue;
            }
            if core.machine.is_closed() {
                return;
            }
            let deadline = core.machine.deadline();
            core.timer_until = deadline;
            let left = deadline.map(|deadline| deadline.saturating_sub(self.now().mono));
            core = match left {
                None => self.timer.wait(core).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    drop(core);
                    self.act(|machine, now| machine.handle_timeout(now));
                    self.lock()
                }
                Some(left) => {
                    self.timer.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Asks the user's reconnect policy, on a thread of its own since it may block.
    pub(super) fn start_policy(self: &Arc<Self>, question: u64, number: u32, error: Option<Error>) {
        let Some(decide) = self.settings.reconnect.decider() else {
            return;
        };
        let attempt = Attempt::new(number, error);
        let started = self.spawn("pusher-policy", move |shared| {
            let decision =
                catch_unwind(AssertUnwindSafe(|| decide(&attempt))).unwrap_or_else(|_| {
                    log::error!("the reconnect policy panicked; waiting as the default does");
                    shared.default_wait(number)
                });
            shared.act(|machine, now| machine.handle_decision(question, decision, now));
        });
        if let Err(error) = started {
            log::error!("{error}; waiting as the default does");
            let wait = self.default_wait(number);
            self.act(|machine, now| machine.handle_decision(question, wait, now));
        }
    }

    fn default_wait(&self, attempt: u32) -> Option<Duration> {
        Reconnect::default().policy().plain_wait(attempt, fastrand::f64())
    }

    /// Waits until every thread has ended.
    pub(crate) fn join(&self, timeout: Duration) -> Result<(), Error> {
        let this = thread::current().id();
        self.wait(
            timeout,
            |core| match &core.threads.running {
                running if running.is_empty() => Some(Ok(())),
                running if running.contains(&this) => Some(Err(Error::message(
                    ErrorKind::Config,
                    "close() was called on a thread of the client's own, which cannot wait for itself; \
                     the client closes all the same",
                ))),
                _ => None,
            },
            |core| {
                let left = core.threads.running.len();
                let message = format!("{left} threads of the client still run; they end by themselves");
                Error::timed_out(Timeout::Wait, message)
            },
        )?;
        // All have left their work, so this takes no time.
        let handles = std::mem::take(&mut self.lock().threads.handles);
        for handle in handles {
            // A panic of one has been reported where it happened.
            let _ = handle.join();
        }
        Ok(())
    }
}

/// Strikes the thread off the list, however it ends.
struct Leave<'a>(&'a Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let this = thread::current().id();
        self.0.lock().threads.running.retain(|&id| id != this);
        self.0.changed.notify_all();
    }
}
