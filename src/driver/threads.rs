//! Starting, counting and ending the client's threads; the timer thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use super::Shared;
use crate::reconnect::Attempt;
use crate::{Error, ErrorKind, Timeout};

/// The threads that were started and may still run.
#[derive(Default)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    running: Vec<Running>,
    /// Counts those that were started.
    started: u64,
    has_timer: bool,
}

struct Running {
    number: u64,
    name: &'static str,
    /// From when it runs.
    id: Option<ThreadId>,
}

impl Shared {
    /// Starts a thread that counts until `run` has returned, or panicked.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        run: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Result<(), Error> {
        let mut builder = thread::Builder::new().name(name.to_owned());
        if let Some(size) = self.settings.stack_size {
            builder = builder.stack_size(size);
        }
        // It counts from now on, and is started with the lock released: that may take its time.
        let number = self.read(|core| core.threads.enter(name));
        let leave = Leave { shared: Arc::clone(self), number };
        let started = builder.spawn(move || {
            let leave = leave;
            leave.shared.read(|core| core.threads.runs(number));
            run(&leave.shared);
        });
        // Where it could not be started, it has left already: what it was to run is dropped.
        let handle = started.map_err(|error| {
            let message = format!("could not start the thread {name}");
            Error::message(ErrorKind::Io, message).caused_by(error)
        })?;
        self.read(|core| {
            core.threads.handles.retain(|handle| !handle.is_finished());
            core.threads.handles.push(handle);
        });
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
            let left = deadline.map(|deadline| deadline.saturating_sub(self.clock.now().mono));
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
            // The closure owns what is the user's, so that it is dropped before the policy counts as returned.
            let decision = catch_unwind(AssertUnwindSafe(move || decide(&attempt)));
            match decision {
                Ok(wait) => shared.act(|machine, now| machine.handle_decision(question, wait, now)),
                Err(_) => {
                    shared.act(|machine, now| machine.handle_no_decision(question, now));
                    log::error!("the reconnect policy panicked; the default decides");
                }
            }
        });
        if let Err(error) = started {
            self.act(|machine, now| machine.handle_no_decision(question, now));
            log::error!("{error}; the default reconnect policy decides");
        }
    }

    /// Waits until every thread has ended.
    pub(crate) fn join(&self, timeout: Duration) -> Result<(), Error> {
        let this = thread::current().id();
        self.wait(
            timeout,
            |core| match &core.threads.running {
                running if running.is_empty() => Some(Ok(())),
                running if running.iter().any(|thread| thread.id == Some(this)) => {
                    Some(Err(Error::message(
                        ErrorKind::Config,
                        "close() was called on a thread of the client's own, which cannot wait for itself; \
                         the client closes all the same",
                    )))
                }
                _ => None,
            },
            |core| {
                let names: Vec<_> = core.threads.running.iter().map(|thread| thread.name).collect();
                let names = names.join(", ");
                let why = match core.machine.not_returned(self.clock.now()) {
                    calls if calls.is_empty() => String::new(),
                    calls => format!(" ({})", calls.join(", ")),
                };
                let message = format!(
                    "threads of the client still run: {names}{why}; they end by themselves"
                );
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

impl Threads {
    fn enter(&mut self, name: &'static str) -> u64 {
        self.started += 1;
        self.running.push(Running { number: self.started, name, id: None });
        self.started
    }

    fn runs(&mut self, number: u64) {
        let id = Some(thread::current().id());
        if let Some(thread) = self.running.iter_mut().find(|thread| thread.number == number) {
            thread.id = id;
        }
    }
}

/// Strikes the thread off the list, however it ends.
struct Leave {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.read(|core| {
            core.threads.running.retain(|thread| thread.number != self.number);
        });
        self.shared.changed.notify_all();
    }
}
