//! Starts, counts and joins the client's threads.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use super::Shared;
use crate::util::guard::{call, dispose, guarded};
use crate::{Error, ErrorKind, Timeout};

/// The threads that were started and may still run.
#[derive(Default)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    running: Vec<Running>,
    started: u64,
    /// Tests: threads whose names begin with this cannot be started.
    #[cfg(test)]
    pub(super) refused: Option<&'static str>,
}

struct Running {
    number: u64,
    name: &'static str,
    /// Set once it runs.
    id: Option<ThreadId>,
}

impl Shared {
    /// Starts a thread that counts as running until `run` has returned or panicked.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        run: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Result<(), Error> {
        let mut builder = thread::Builder::new().name(name.to_owned());
        if let Some(size) = self.settings.stack_size {
            builder = builder.stack_size(size);
        }
        // It counts from now on, and is started with the lock released, since that may take long.
        let number = self.with_core(|core| core.threads.enter(name));
        let shared = Arc::clone(self);
        let work = move || {
            shared.with_core(|core| core.threads.runs(number));
            call(name, || run(&shared));
            shared.leave(number);
            // This may drop the last copy of the user's values.
            dispose(shared);
        };
        // A thread that cannot be started drops `work`, which may hold values of the user's.
        let started = guarded(|| {
            #[cfg(test)]
            self.with_core(|core| core.threads.may_start(name))?;
            builder.spawn(work)
        });
        let started = started.unwrap_or_else(|| Err(io::Error::other("a destructor panicked")));
        let handle = started.map_err(|error| {
            self.leave(number);
            let message = format!("starting the thread {name} failed");
            Error::message(ErrorKind::Io, message).caused_by(error)
        })?;
        self.with_core(|core| {
            core.threads.handles.retain(|handle| !handle.is_finished());
            core.threads.handles.push(handle);
        });
        Ok(())
    }

    /// Removes the thread from the list.
    fn leave(&self, number: u64) {
        self.with_core(|core| core.threads.running.retain(|thread| thread.number != number));
        self.changed.notify_all();
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
                        ErrorKind::Deadlock,
                        "waiting for the client's threads failed: close() was called on one of them; \
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
        // All have left `run`, so this takes no time.
        let handles = std::mem::take(&mut self.lock().threads.handles);
        for handle in handles {
            // A panic was logged where it happened.
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

    #[cfg(test)]
    fn may_start(&self, name: &str) -> io::Result<()> {
        match self.refused {
            Some(refused) if name.starts_with(refused) => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }

    /// Returns `true` on a thread of this name.
    pub(super) fn is_current(&self, name: &str) -> bool {
        let this = Some(thread::current().id());
        self.running.iter().any(|thread| thread.name == name && thread.id == this)
    }

    fn runs(&mut self, number: u64) {
        let id = Some(thread::current().id());
        if let Some(thread) = self.running.iter_mut().find(|thread| thread.number == number) {
            thread.id = id;
        }
    }
}
