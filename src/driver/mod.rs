//! The threads, and the only lock around the protocol's [`Machine`].
//!
//! Every input goes through [`Shared::act`]. Under the lock it calls the machine, polls the machine's outputs and
//! queues the notifications for the bindings, which neither waits nor runs the user's code. Frames, dials and
//! closes are carried out with the lock released. Both keep the order of the outputs.

mod actions;
mod active;
mod auth_pool;
mod perform;
mod policy;
mod reader;
mod routes;

mod stats;
#[cfg(test)]
mod tests;
mod threads;
mod timer;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::binding::{Binding, Queue};
use crate::model::event::ChannelName;
use crate::protocol::{Config, Machine, Now, Output};
use crate::util::clock;
use crate::util::clock::Clock;
use crate::util::guard::{call, dispose, keeping, write_log};
use crate::{ChannelStatus, ClientSettings, Connector, Error, ErrorKind, Options, Reconnect};

use actions::{Action, Actions, MAX_BYTES};
use active::{ActiveConnection, Dial};
pub(crate) use auth_pool::AuthSource;
use auth_pool::{AuthPool, Request, Subject};
pub(crate) use routes::{ChannelList, Selector};
use routes::{Delivered, Routes};
use stats::Counts;
use threads::Threads;
use timer::Timer;

/// What never changes.
pub(crate) struct Settings {
    pub(crate) machine: Config,
    pub(crate) reconnect: Reconnect,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) queue: Queue,
    pub(crate) stack_size: Option<usize>,
    pub(crate) max_authorizations: usize,
    pub(crate) client: ClientSettings,
    /// Channel names must follow Pusher's rules.
    pub(crate) check_names: bool,
    /// The connector is the built-in WebSocket, which takes `ws` and `wss` URLs only.
    pub(crate) built_in: bool,
    /// Describes the user's code that the built-in connector runs.
    pub(crate) dial_code: Option<&'static str>,
}

/// What the client starts with and may replace. All of it is dropped when the client is closed, since the user's
/// code may hold the client.
pub(crate) struct Initial {
    pub(crate) options: Options,
    /// For channels without one of their own.
    pub(crate) authorizer: Option<AuthSource>,
    pub(crate) authenticator: Option<AuthSource>,
}

/// What the client's handles and threads share.
pub(crate) struct Shared {
    /// Locked until all notifications of an input are queued, so that all bindings get them in one order.
    core: Mutex<Core>,
    /// Wakes those who wait for a change of state.
    changed: Condvar,
    /// Wakes the timer thread.
    timer: Condvar,
    counts: Counts,
    pub(crate) settings: Settings,
    clock: Clock,
}

/// What the lock protects.
pub(crate) struct Core {
    pub(crate) machine: Machine,
    /// Where the next dial goes.
    options: Options,
    routes: Routes,
    active: Option<ActiveConnection>,
    actions: Actions,
    timer: Timer,
    threads: Threads,
    auth_pool: AuthPool,
}

impl Shared {
    pub(crate) fn new(initial: Initial, settings: Settings) -> Arc<Self> {
        let Initial { options, authorizer, authenticator } = initial;
        let core = Core {
            machine: Machine::new(settings.machine.clone()),
            options,
            routes: Routes::default(),
            active: None,
            actions: Actions::default(),
            timer: Timer::default(),
            threads: Threads::default(),
            auth_pool: AuthPool::new(authorizer, authenticator, settings.max_authorizations),
        };
        Arc::new(Self {
            core: Mutex::new(core),
            changed: Condvar::new(),
            timer: Condvar::new(),
            counts: Counts::default(),
            settings,
            clock: Clock::start(),
        })
    }

    /// A poisoned lock is safe to enter: every critical section leaves the state consistent.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs this under the lock and leaves the machine's outputs alone. Values of the user's that are dropped
    /// meanwhile are dropped after it.
    pub(crate) fn with_core<R>(&self, run: impl FnOnce(&mut Core) -> R) -> R {
        keeping(|| run(&mut self.lock())).0
    }

    /// Passes an input to the machine and carries out its outputs.
    pub(crate) fn act<R>(self: &Arc<Self>, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        self.act_on(|core, now| input(&mut core.machine, now))
    }

    /// As [`Self::act`], for an input that also changes the rest of the state.
    fn act_on<R>(self: &Arc<Self>, input: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut delivered = Delivered::default();
        self.clock.notice_suspends();
        let ((result, idle), kept) = keeping(|| {
            let mut core = self.lock();
            let now = self.clock.now();
            let result = input(&mut core, now);
            core.route_outputs(&mut delivered, now);
            // Still locked, so that `stats()` counts all that a consumer has received before.
            self.counts.delivered(delivered.queued, delivered.dropped);
            self.wake(&mut core);
            (result, core.actions.is_empty())
        });
        for what in delivered.overflowing {
            write_log!(
                Warn,
                "a binding to {what} is full: values are dropped until its consumer catches up"
            );
        }
        if !idle {
            self.perform();
        }
        // Last, since the user's destructors run here.
        drop(kept);
        result
    }

    /// Wakes the waiters and the timer thread, if this input has changed what they wait for.
    fn wake(&self, core: &mut Core) {
        if core.machine.take_changed() {
            self.changed.notify_all();
        }
        self.set_alarm(core);
    }

    /// Waits until `check` returns a result, for at most `timeout`.
    pub(crate) fn wait<T>(
        &self,
        timeout: Duration,
        mut check: impl FnMut(&mut Core) -> Option<Result<T, Error>>,
        late: impl FnOnce(&mut Core) -> Error,
    ) -> Result<T, Error> {
        let deadline = clock::now().checked_add(timeout);
        let mut core = self.lock();
        loop {
            if let Some(result) = check(&mut core) {
                return result;
            }
            core = match deadline {
                // Longer than the clock can count is for ever.
                None => self.changed.wait(core).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(clock::now());
                    if left.is_zero() {
                        return Err(late(&mut core));
                    }
                    self.changed.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Replaces the options: dials again at once if connected or dialing.
    pub(crate) fn switch(self: &Arc<Self>, options: Options) {
        let old = self.act_on(|core, now| {
            if core.machine.is_closed() {
                return options;
            }
            let old = std::mem::replace(&mut core.options, options);
            core.machine.switch(now);
            old
        });
        // They may hold a function of the user's.
        dispose(old);
    }

    /// Makes a binding. `event` is for selectors that select by name.
    pub(crate) fn bind<T: Clone + Send + 'static>(
        self: &Arc<Self>,
        selector: Selector<T>,
        event: &str,
        queue: Option<Queue>,
    ) -> Binding<T> {
        let queue = queue.unwrap_or(self.settings.queue);
        let shared = Arc::downgrade(self);
        let (to_unbind, name) = (selector.clone(), Box::<str>::from(event));
        let (binding, sink) = Binding::new(queue, move |counter| {
            if let Some(shared) = shared.upgrade() {
                shared.release(|routes| routes.unbind(&to_unbind, &name, counter));
            }
        });
        self.lock().routes.bind(&selector, event, sink);
        binding
    }

    pub(crate) fn add_handle(&self, channel: &ChannelName) {
        self.lock().routes.add_handle(channel);
    }

    pub(crate) fn remove_handle(&self, channel: &ChannelName) {
        self.release(|routes| routes.remove_handle(channel));
    }

    /// Runs what may leave a channel unused, and forgets the channel and its authorizer in that case.
    fn release(&self, release: impl FnOnce(&mut Routes) -> Option<ChannelName>) {
        let source = self.with_core(|core| {
            let unused = release(&mut core.routes)?;
            core.machine.retire(&unused);
            let is_idle = core.machine.channel_status(&unused) == ChannelStatus::Idle;
            is_idle.then(|| core.auth_pool.remove(&unused)).flatten()
        });
        dispose(source);
    }

    /// Closes the client without waiting for its threads. Every binding is disconnected.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.act(|machine, now| machine.close(now));
        let (options, (sources, waiting)) = self.with_core(|core| {
            core.routes.close();
            (std::mem::replace(&mut core.options, Options::url("")), core.auth_pool.close())
        });
        self.timer.notify_one();
        // For a worker that collects requests.
        self.changed.notify_all();
        for source in sources {
            call("the authorizer's `interrupt`", move || source.interrupt());
        }
        waiting.into_iter().for_each(|(source, _)| dispose(source));
        dispose(options);
    }
}

impl Core {
    /// Releases the memory that a flood has left. Not after each input: the next one of the flood needs it.
    fn give_back(&mut self) {
        self.machine.give_back();
        self.routes.give_back();
    }

    fn active(&mut self, generation: u64) -> Option<&mut ActiveConnection> {
        self.active.as_mut().filter(|active| active.generation == generation)
    }

    fn take_active(&mut self, generation: u64) -> Option<ActiveConnection> {
        self.active.take_if(|active| active.generation == generation)
    }

    fn send(&mut self, generation: u64, frame: String, now: Now) {
        let Some(connection) = self.active(generation).and_then(|it| it.connection.clone()) else {
            return;
        };
        if self.actions.fits(&frame) {
            return self.actions.push(Action::Send { generation, connection, frame });
        }
        self.actions.remove_frames(generation);
        let message = format!(
            "sending failed: more than {MAX_BYTES} bytes wait for the connection to take them"
        );
        let error = Error::message(ErrorKind::TooLarge, message);
        self.machine.handle_blocked(generation, error, now);
    }

    fn submit(&mut self, request: Request, now: Now) {
        match self.auth_pool.submit(request) {
            Ok(true) => self.actions.push(Action::StartWorker),
            Ok(false) => {}
            Err((request, error)) => self.respond(&request, Err(error), now),
        }
    }

    /// Queues the machine's notifications and turns its other outputs into actions, in order.
    fn route_outputs(&mut self, delivered: &mut Delivered, now: Now) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Notify(notification) => self.routes.deliver(notification, delivered),
                Output::Dial { generation, deadline } => {
                    let options = self.options.clone();
                    let (dial, active) = Dial::new(generation, deadline, options);
                    // Its reader has not ended yet.
                    if let Some(active) = self.active.replace(active) {
                        self.actions.push(Action::Close { active, code: 1000 });
                    }
                    self.actions.push(Action::Dial(Box::new(dial)));
                }
                Output::Close { generation, code } => {
                    if let Some(active) = self.take_active(generation) {
                        self.actions.push(Action::Close { active, code });
                    }
                }
                Output::Send { generation, frame } => self.send(generation, frame, now),
                Output::CallPolicy { call, attempt, error } => {
                    self.actions.push(Action::CallPolicy { request: call, attempt, error });
                }
                Output::Authorize { request_id, channel, socket_id, attempt } => {
                    let subject = Subject::Channel(channel);
                    self.submit(Request { id: request_id, subject, socket_id, attempt }, now);
                }
                Output::Authenticate { request_id, socket_id, attempt } => {
                    let subject = Subject::User;
                    self.submit(Request { id: request_id, subject, socket_id, attempt }, now);
                }
                Output::Abandon { request_id } => {
                    if self.auth_pool.abandon(request_id) {
                        self.actions.push(Action::StartWorker);
                    }
                }
                Output::Log(level, line) => self.actions.push(Action::Log(level, line)),
            }
        }
        self.routes.flush(delivered);
    }
}
