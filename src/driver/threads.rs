//! Starting, counting and ending the client's threads; the timer thread.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use super::Shared;
use crate::config::reconnect::Attempt;
use crate::protocol::{Alarm, Cause};
use crate::util::guard::{call, dispose, guarded, write_log};
use crate::{Error, ErrorKind, Timeout};

const TIMER: &str = "pusher-timer";

/// How long the timer thread pauses after a panic, so that one that comes again and again costs no more.
const PAUSE: Duration = Duration::from_secs(1);

/// The threads that were started and may still run.
#[derive(Default)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    running: Vec<Running>,
    /// Counts those that were started.
    started: u64,
    has_timer: bool,
    /// Threads of this name cannot be started.
    #[cfg(test)]
    pub(super) refused: Option<&'static str>,
    /// How often the timer thread has come to its head.
    #[cfg(test)]
    pub(super) turns: u64,
    /// What it has seen last before it went to sleep.
    #[cfg(test)]
    pub(super) slept_for: Option<Alarm>,
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
        let shared = Arc::clone(self);
        let work = move || {
            shared.read(|core| core.threads.runs(number));
            call(name, || run(&shared));
            shared.leave(number);
            // It may be the last that holds what is the user's.
            dispose(shared);
        };
        // Where it cannot be started, what it was to run is dropped, which may be the user's.
        let started = guarded(|| self.start(builder, name, work))
            .unwrap_or_else(|| Err(io::Error::other("a destructor panicked")));
        let handle = started.map_err(|error| {
            self.leave(number);
            let message = format!("starting the thread {name} failed");
            Error::message(ErrorKind::Io, message).caused_by(error)
        })?;
        self.read(|core| {
            core.threads.handles.retain(|handle| !handle.is_finished());
            core.threads.handles.push(handle);
        });
        Ok(())
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests have threads refused"))]
    fn start(
        &self,
        builder: thread::Builder,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        #[cfg(test)]
        if self.read(|core| core.threads.refused.is_some_and(|refused| name.starts_with(refused))) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let _ = name;
        builder.spawn(work)
    }

    /// Strikes the thread off the list.
    fn leave(&self, number: u64) {
        self.read(|core| core.threads.running.retain(|thread| thread.number != number));
        self.changed.notify_all();
    }

    /// Starts the timer thread, unless it runs.
    pub(super) fn start_timer(self: &Arc<Self>) -> Result<(), Error> {
        if std::mem::replace(&mut self.lock().threads.has_timer, true) {
            return Ok(());
        }
        self.spawn(TIMER, Self::keep_time).inspect_err(|_| {
            self.lock().threads.has_timer = false;
        })
    }

    /// The timer thread lives as long as the client, whatever happens in it: nobody else keeps the time.
    fn keep_time(self: &Arc<Self>) {
        while call(TIMER, || self.run_timer()).is_none() {
            let core = self.lock();
            drop(self.timer.wait_timeout(core, PAUSE).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Tells the machine when its deadlines come. It sleeps until the next one, and is woken only if
    /// that has changed: see [`Alarm::wakes`](crate::protocol::Alarm::wakes).
    fn run_timer(self: &Arc<Self>) {
        let mut core = self.lock();
        loop {
            #[cfg(test)]
            {
                core.threads.turns += 1;
            }
            if core.actions.is_waiting() {
                drop(core);
                self.perform();
                core = self.lock();
                continue;
            }
            // Whoever carries out the last actions may have to be replaced.
            if core.machine.is_closed() && core.actions.is_empty() {
                return;
            }
            let now = self.clock.now().mono;
            // Though every frame moves it, the time slept for comes: soon after a flood, and seldom in one.
            let is_over = |alarm: &mut Alarm| alarm.cause == Cause::Heartbeat && alarm.at <= now;
            if core.sleeping.take_if(is_over).is_some() {
                core.give_back();
            }
            core.sleeping = self.next_alarm(&mut core);
            #[cfg(test)]
            {
                core.threads.slept_for = core.sleeping;
            }
            core = match core.sleeping {
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

    /// Asks the user's reconnect policy, on a thread of its own since it may block.
    pub(super) fn start_policy(self: &Arc<Self>, question: u64, number: u32, error: Option<Error>) {
        let Some(decide) = self.settings.reconnect.decider() else {
            return;
        };
        let attempt = Attempt::new(number, error);
        let started = self.spawn("pusher-policy", move |shared| {
            // The closure owns what is the user's, so that it is dropped before the policy counts as returned.
            match guarded(move || decide(&attempt)) {
                Some(wait) => {
                    shared.act(|machine, now| machine.handle_decision(question, wait, now));
                }
                None => {
                    shared.act(|machine, now| machine.handle_no_decision(question, now));
                    write_log!(Error, "the reconnect policy panicked; the default decides");
                }
            }
        });
        if let Err(error) = started {
            self.act(|machine, now| machine.handle_no_decision(question, now));
            write_log!(Error, "{error}; the default reconnect policy decides");
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

    /// Returns `true` on the timer thread.
    pub(super) fn is_timer(&self) -> bool {
        let this = Some(thread::current().id());
        self.running.iter().any(|thread| thread.name == TIMER && thread.id == this)
    }

    fn runs(&mut self, number: u64) {
        let id = Some(thread::current().id());
        if let Some(thread) = self.running.iter_mut().find(|thread| thread.number == number) {
            thread.id = id;
        }
    }
}
