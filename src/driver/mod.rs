//! The threads, and the only lock around the protocol's [`Machine`].
//!
//! Every input goes through [`Shared::act`]: it locks, tells the machine, takes the machine's outputs,
//! queues the notifications for the bindings, which neither waits nor runs code of the user's, and unlocks. Frames,
//! dials and hang-ups are carried out with the lock released. Both are done in the order in which the machine
//! gave them.

mod actions;
mod authorizers;
mod perform;
mod reader;
mod routes;
mod shares;
mod stats;
#[cfg(test)]
mod tests;
mod threads;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Interrupt;
use crate::binding::{Binding, Queue};
use crate::model::event::ChannelName;
use crate::protocol::{Alarm, Cause, Config, Machine, Now, Output};
use crate::util::clock;
use crate::util::clock::Clock;
use crate::util::guard::{call, dispose, keeping, write_log};
use crate::{
    ChannelStatus, ClientSettings, Connection, Connector, Error, ErrorKind, Options, Reconnect,
};

use actions::{Action, Actions, MAX_BYTES, Patience};
pub(crate) use authorizers::AuthSource;
use authorizers::{Authorizers, Request, Subject};
pub(crate) use routes::{ChannelList, Selector};
use routes::{Delivered, Routes};
use stats::Counts;
use threads::Threads;

/// What the threads need to know and never change.
pub(crate) struct Settings {
    pub(crate) machine: Config,
    pub(crate) reconnect: Reconnect,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) queue: Queue,
    pub(crate) stack_size: Option<usize>,
    pub(crate) max_authorizations: usize,
    pub(crate) client: ClientSettings,
    /// Whether channels' names must be as Pusher wants them.
    pub(crate) check_names: bool,
    /// Whether the connector is the built-in WebSocket, which takes its own URLs only.
    pub(crate) built_in: bool,
    /// The user's code that the built-in connector runs, for people to read.
    pub(crate) dial_code: Option<&'static str>,
}

/// What the client begins with. It is not kept: some of it may be replaced, and all that is the user's
/// is let go of when the client is closed, since it may hold the client.
pub(crate) struct Initial {
    pub(crate) options: Options,
    /// For every channel that has none of its own.
    pub(crate) authorizer: Option<AuthSource>,
    pub(crate) authenticator: Option<AuthSource>,
}

/// What the client's handles and threads share.
pub(crate) struct Shared {
    /// Held until all notifications of an input are delivered, so that all bindings see them in one order.
    core: Mutex<Core>,
    /// Something that a `wait_*` may be waiting for has changed.
    changed: Condvar,
    /// The timer thread has something to do earlier than it thought.
    timer: Condvar,
    counts: Counts,
    settings: Settings,
    clock: Clock,
}

/// What the lock protects.
pub(crate) struct Core {
    pub(crate) machine: Machine,
    /// Where the next dial goes.
    options: Options,
    routes: Routes,
    link: Option<Link>,
    actions: Actions,
    /// Until when the timer thread means to sleep.
    sleeping: Option<Alarm>,
    threads: Threads,
    authorizers: Authorizers,
}

/// The dial or connection of one generation.
struct Link {
    generation: u64,
    interrupt: Interrupt,
    connection: Option<Arc<dyn Connection>>,
}

impl Shared {
    pub(crate) fn new(initial: Initial, settings: Settings) -> Arc<Self> {
        let Initial { options, authorizer, authenticator } = initial;
        let core = Core {
            machine: Machine::new(settings.machine.clone()),
            options,
            routes: Routes::default(),
            link: None,
            actions: Actions::default(),
            sleeping: None,
            threads: Threads::default(),
            authorizers: Authorizers::new(authorizer, authenticator, settings.max_authorizations),
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

    /// A panic elsewhere leaves nothing half done that matters more than going on.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the present state.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&mut Core) -> R) -> R {
        // What is kept is the user's, and dropped with the lock released.
        keeping(|| look(&mut self.lock())).0
    }

    /// Gives the machine an input, and sees to all that follows from it.
    pub(crate) fn act<R>(self: &Arc<Self>, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        self.act_on(|core, now| input(&mut core.machine, now))
    }

    /// As [`Self::act`], for what the machine and the rest must learn at once.
    fn act_on<R>(self: &Arc<Self>, input: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut delivered = Delivered::default();
        self.clock.notice_suspends();
        let ((result, idle), kept) = keeping(|| {
            let mut core = self.lock();
            let now = self.clock.now();
            let result = input(&mut core, now);
            core.settle(&mut delivered, now);
            // Still locked, so that `stats()` counts what a consumer has received before it was called.
            self.counts.delivered(&delivered.events);
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
        // Last, since it is the user's.
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

    /// Wakes the timer thread if it would sleep too long, or wake up for nothing.
    fn set_alarm(&self, core: &mut Core) {
        let next = self.next_alarm(core);
        if Alarm::wakes(core.sleeping, next) {
            // It looks again before it sleeps. Until then nobody needs to wake it for the same.
            core.sleeping = next;
            self.timer.notify_one();
        }
    }

    fn next_alarm(&self, core: &mut Core) -> Option<Alarm> {
        let call = core.actions.overdue_at(self.patience());
        let call = call.map(|at| Alarm { at, cause: Cause::Call });
        [core.machine.alarm(), call].into_iter().flatten().min_by_key(|alarm| alarm.at)
    }

    fn patience(&self) -> Patience {
        Patience {
            limit: self.settings.machine.pong_timeout,
            own: !self.settings.built_in,
            traced: log::max_level() == log::LevelFilter::Trace,
        }
    }

    /// Waits until `check` has an answer, or for `timeout`.
    pub(crate) fn wait<T>(
        &self,
        timeout: Duration,
        mut check: impl FnMut(&mut Core) -> Option<Result<T, Error>>,
        late: impl FnOnce(&mut Core) -> Error,
    ) -> Result<T, Error> {
        let deadline = clock::now().checked_add(timeout);
        let mut core = self.lock();
        loop {
            if let Some(answer) = check(&mut core) {
                return answer;
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

    /// The next dial, which is at once if there is a connection, goes where these options say.
    pub(crate) fn switch(self: &Arc<Self>, options: Options) {
        let old = self.act_on(|core, now| {
            let old = std::mem::replace(&mut core.options, options);
            core.machine.switch(now);
            old
        });
        // A function in them is the user's, and so is what happens when it is dropped.
        dispose(old);
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes a binding. The name is of an event, for the selectors that look at it.
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
                let retired = shared.read(|core| {
                    let unused = core.routes.unbind(&to_unbind, &name, counter);
                    unused.and_then(|channel| core.retire(&channel))
                });
                dispose(retired);
            }
        });
        self.lock().routes.bind(&selector, event, sink);
        binding
    }

    pub(crate) fn add_handle(&self, channel: &ChannelName) {
        self.lock().routes.add_handle(channel);
    }

    pub(crate) fn remove_handle(&self, channel: &ChannelName) {
        let retired = self.read(|core| {
            let unused = core.routes.remove_handle(channel);
            unused.and_then(|channel| core.retire(&channel))
        });
        // It is the user's, and so is what happens when it is dropped.
        dispose(retired);
    }

    /// Ends everything without waiting: the threads end soon, and every binding is disconnected.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.act(|machine, now| machine.close(now));
        let (sources, waiting) = self.read(|core| {
            core.routes.close();
            core.authorizers.close()
        });
        self.timer.notify_one();
        // A worker that collects requests is to see that there will be no more.
        self.changed.notify_all();
        for source in sources {
            call("the authorizer's `interrupt`", move || source.interrupt());
        }
        waiting.into_iter().for_each(|(source, _)| dispose(source));
    }
}

impl Core {
    /// Nobody has the channel in hand any more. Gives the authorizer that was only its own.
    fn retire(&mut self, channel: &str) -> Option<AuthSource> {
        self.machine.retire(channel);
        match self.machine.channel_status(channel) {
            ChannelStatus::Idle => self.authorizers.remove(channel),
            _ => None,
        }
    }

    /// Gives back the memory that a flood has left. Not after each turn: the next one of the flood needs as much.
    fn give_back(&mut self) {
        self.machine.give_back();
        self.routes.give_back();
    }

    fn send(&mut self, generation: u64, frame: String, now: Now) {
        let link = self.link.as_ref().filter(|link| link.generation == generation);
        let Some(connection) = link.and_then(|link| link.connection.clone()) else {
            return;
        };
        if self.actions.fits(&frame) {
            return self.actions.push(Action::Send { generation, connection, frame });
        }
        self.actions.forget_frames(generation);
        let message = format!(
            "sending failed: more than {MAX_BYTES} bytes wait for the connection to take them"
        );
        let error = Error::message(ErrorKind::TooLarge, message);
        self.machine.handle_blocked(generation, error, now);
    }

    fn submit(&mut self, request: Request, now: Now) {
        match self.authorizers.submit(request) {
            Ok(true) => self.actions.push(Action::StartWorker),
            Ok(false) => {}
            Err((request, error)) => self.respond(&request, Err(error), now),
        }
    }

    /// Delivers the machine's notifications, and turns its other outputs into actions, in order.
    fn settle(&mut self, delivered: &mut Delivered, now: Now) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Notify(notice) => self.routes.deliver(notice, delivered),
                Output::Dial { generation, deadline } => {
                    let interrupt = Interrupt::default();
                    let link = Link { generation, interrupt: interrupt.clone(), connection: None };
                    // Left by a reader that ends otherwise. It is the user's, and so is its drop.
                    if let Some(link) = self.link.replace(link) {
                        self.actions.push(Action::HangUp { link, code: 1000 });
                    }
                    let options = Box::new(self.options.clone());
                    self.actions.push(Action::Dial { generation, deadline, interrupt, options });
                }
                Output::HangUp { generation, code } => {
                    if let Some(link) = self.link.take_if(|link| link.generation == generation) {
                        self.actions.push(Action::HangUp { link, code });
                    }
                }
                Output::Send { generation, frame } => self.send(generation, frame, now),
                Output::Ask { question, attempt, error } => {
                    self.actions.push(Action::Ask { question, attempt, error });
                }
                Output::Authorize { ticket, channel, socket_id, attempt } => {
                    let subject = Subject::Channel(channel);
                    self.submit(Request { id: ticket, subject, socket_id, attempt }, now);
                }
                Output::Authenticate { ticket, socket_id, attempt } => {
                    let subject = Subject::User;
                    self.submit(Request { id: ticket, subject, socket_id, attempt }, now);
                }
                Output::Abandon { ticket } => {
                    if self.authorizers.abandon(ticket) {
                        self.actions.push(Action::StartWorker);
                    }
                }
                Output::Log(level, line) => self.actions.push(Action::Log(level, line)),
            }
        }
        self.routes.flush(delivered);
    }
}
