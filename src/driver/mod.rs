//! The threads, and the only lock around the protocol's [`Machine`].
//!
//! Every input goes through [`Shared::act`]: it locks, tells the machine, takes the machine's outputs,
//! queues the news for the bindings, which neither waits nor runs code of the user's, and unlocks. Frames,
//! dials and hang-ups are carried out with the lock released. Both are done in the order in which the machine
//! gave them.

mod authorizers;
mod reader;
mod routes;
mod shares;
mod stats;
#[cfg(test)]
mod tests;
mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::Level;

use crate::Interrupt;
use crate::binding::{Binding, Queue};
use crate::clock::Clock;
use crate::event::ChannelName;
use crate::protocol::{Config, LogLine, Machine, Now, Output};
use crate::{
    ChannelStatus, Connection, Connector, Error, ErrorKind, Options, Proxy, Reconnect, Tls, clock,
};

pub(crate) use authorizers::Answerer;
use authorizers::{Authorizers, Job, Subject};
pub(crate) use routes::{ChannelList, Selector};
use routes::{Delivered, Routes};
use stats::Counts;
use threads::Threads;

/// How many rounds of actions a thread of the user's carries out before the timer thread takes over.
const USER_ROUNDS: u32 = 4;

/// What the threads need to know and never change.
pub(crate) struct Settings {
    pub(crate) machine: Config,
    pub(crate) reconnect: Reconnect,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) queue: Queue,
    pub(crate) stack_size: Option<usize>,
    pub(crate) max_authorizations: usize,
    pub(crate) tls: Tls,
    pub(crate) proxy: Proxy,
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
    pub(crate) authorizer: Option<Answerer>,
    pub(crate) authenticator: Option<Answerer>,
}

/// What the client's handles and threads share.
pub(crate) struct Shared {
    /// Held until all news of an input are delivered, so that all bindings see all news in one order.
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
    actions: Vec<Action>,
    /// A thread is carrying out actions; it will take the new ones too.
    performing: bool,
    /// Until when the timer thread means to sleep.
    timer_until: Option<Duration>,
    threads: Threads,
    authorizers: Authorizers,
}

/// The dial or connection of one generation.
struct Link {
    generation: u64,
    interrupt: Interrupt,
    connection: Option<Arc<dyn Connection>>,
}

/// What to do with the lock released. It may run code of the user's.
enum Action {
    Dial { generation: u64, deadline: Duration, interrupt: Interrupt, options: Box<Options> },
    HangUp { link: Link, code: u16 },
    Send { generation: u64, connection: Arc<dyn Connection>, frame: String },
    Ask { question: u64, attempt: u32, error: Option<Error> },
    StartWorker,
    Log(Level, LogLine),
}

impl Shared {
    pub(crate) fn new(initial: Initial, settings: Settings) -> Arc<Self> {
        let Initial { options, authorizer, authenticator } = initial;
        let core = Core {
            machine: Machine::new(settings.machine.clone()),
            options,
            routes: Routes::default(),
            link: None,
            actions: Vec::new(),
            performing: false,
            timer_until: None,
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
        look(&mut self.lock())
    }

    /// Gives the machine an input, and sees to all that follows from it.
    pub(crate) fn act<R>(self: &Arc<Self>, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        self.act_on(|core, now| input(&mut core.machine, now))
    }

    /// As [`Self::act`], for what the machine and the rest must learn at once.
    fn act_on<R>(self: &Arc<Self>, input: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut delivered = Delivered::default();
        self.clock.notice_suspends();
        let (result, idle) = {
            let mut core = self.lock();
            let now = self.clock.now();
            let result = input(&mut core, now);
            core.settle(&mut delivered, now);
            self.wake(&mut core);
            (result, core.actions.is_empty())
        };
        self.counts.delivered(&delivered.events);
        for what in delivered.overflowing {
            log::warn!(
                "a binding to {what} is full: values are dropped until its consumer catches up"
            );
        }
        if !idle {
            self.perform(false);
        }
        // Last, since their causes may be the user's.
        drop(delivered.discarded);
        result
    }

    /// Wakes the waiters and the timer thread, if this input has changed what they wait for.
    fn wake(&self, core: &mut Core) {
        if core.machine.take_changed() {
            self.changed.notify_all();
        }
        let earlier = match (core.machine.deadline(), core.timer_until) {
            (Some(deadline), Some(until)) => deadline < until,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            self.timer.notify_one();
        }
    }

    /// Carries out the actions in order. One thread at a time does so; what is added meanwhile, be it
    /// by the user's code that runs here, is carried out by that thread too. A thread of the user's
    /// leaves an endless supply to the timer thread.
    fn perform(self: &Arc<Self>, for_ever: bool) {
        let mut rounds = 0;
        loop {
            let batch = {
                let mut core = self.lock();
                if rounds == 0 && core.performing {
                    return;
                }
                core.performing = !core.actions.is_empty();
                if !core.performing {
                    return;
                }
                // A closed client has no further supply, and perhaps no timer thread.
                if rounds == USER_ROUNDS && !for_ever && !core.machine.is_closed() {
                    core.performing = false;
                    self.timer.notify_one();
                    return;
                }
                std::mem::take(&mut core.actions)
            };
            rounds += 1;
            let _guard = Performing(self);
            for action in batch {
                // Some of it is the user's. Its panic must not cost what follows: a dial that is lost
                // here would be waited for for ever.
                if catch_unwind(AssertUnwindSafe(|| self.carry_out(action))).is_err() {
                    let text =
                        "the connector, the connection or the logger panicked; the client goes on";
                    write_log(Level::Error, &text.to_owned().into());
                }
            }
        }
    }

    fn carry_out(self: &Arc<Self>, action: Action) {
        match action {
            Action::Dial { generation, deadline, interrupt, options } => {
                self.start_reader(generation, deadline, interrupt, options);
            }
            Action::HangUp { link, code } => {
                contain("the function given to `Interrupt::on_interrupt`", || {
                    link.interrupt.interrupt();
                });
                if let Some(connection) = link.connection {
                    close(&*connection, code);
                }
            }
            Action::Send { generation, connection, frame } => {
                reader::trace_frame("out", &frame);
                self.counts.sent(frame.len());
                let sent = catch_unwind(AssertUnwindSafe(|| connection.send(&frame)))
                    .unwrap_or_else(|_| {
                        Err(Error::message(ErrorKind::Internal, "the connection panicked in send"))
                    });
                if let Err(error) = sent {
                    // The cause first: the reader may tell of the closing at once.
                    self.act(|machine, now| machine.handle_lost(generation, error, now));
                    close(&*connection, 1000);
                }
            }
            Action::Ask { question, attempt, error } => self.start_policy(question, attempt, error),
            Action::StartWorker => self.start_worker(),
            Action::Log(level, line) => write_log(level, &line),
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
        drop(old);
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
                let mut core = shared.lock();
                let unused = core.routes.unbind(&to_unbind, &name, counter);
                let retired = unused.and_then(|channel| core.retire(&channel));
                drop(core);
                drop(retired);
            }
        });
        self.lock().routes.bind(&selector, event, sink);
        binding
    }

    pub(crate) fn add_handle(&self, channel: &ChannelName) {
        self.lock().routes.add_handle(channel);
    }

    pub(crate) fn remove_handle(&self, channel: &ChannelName) {
        let retired = {
            let mut core = self.lock();
            let unused = core.routes.remove_handle(channel);
            unused.and_then(|channel| core.retire(&channel))
        };
        // It is the user's, and so is what happens when it is dropped.
        drop(retired);
    }

    /// Ends everything without waiting: the threads end soon, and every binding is disconnected.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.act(|machine, now| machine.close(now));
        let mut core = self.lock();
        core.routes.close();
        let authorizers = core.authorizers.close();
        drop(core);
        self.timer.notify_one();
        // A worker that collects questions is to see that there will be no more.
        self.changed.notify_all();
        for authorizer in authorizers {
            contain("the authorizer's `interrupt`", || authorizer.interrupt());
        }
    }
}

/// The logger is the user's, and so may be what its line shows of an error's causes.
fn write_log(level: Level, line: &LogLine) {
    let write = || log::log!(target: "pusher_channels::protocol", level, "{line}");
    // There is no other place to report it; the panic hook has.
    let _ = catch_unwind(AssertUnwindSafe(write));
}

/// Runs code of the user's whose panic must neither end a thread that others need nor keep back what follows.
fn contain(what: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        log::error!("{what} panicked");
    }
}

fn close(connection: &dyn Connection, code: u16) {
    contain("the connection's `close`", || connection.close(code));
}

/// Lets others carry out actions again if a panic of the user's code ends this thread.
struct Performing<'a>(&'a Arc<Shared>);

impl Drop for Performing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().performing = false;
        }
    }
}

impl Core {
    /// Nobody has the channel in hand any more. Gives the authorizer that was only its own.
    fn retire(&mut self, channel: &str) -> Option<Answerer> {
        self.machine.retire(channel);
        match self.machine.channel_status(channel) {
            ChannelStatus::Idle => self.authorizers.remove(channel),
            _ => None,
        }
    }

    fn submit(&mut self, job: Job, now: Now) {
        match self.authorizers.submit(job) {
            Ok(true) => self.actions.push(Action::StartWorker),
            Ok(false) => {}
            Err((Job { subject: Subject::Channel(name), ticket, .. }, error)) => {
                self.machine.handle_authorization(&name, ticket, Err(error), now);
            }
            Err((Job { subject: Subject::User, ticket, .. }, error)) => {
                self.machine.handle_authentication(ticket, Err(error), now);
            }
        }
    }

    /// Delivers the machine's news, and turns its other outputs into actions, in order.
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
                Output::Send { generation, frame } => {
                    let link = self.link.as_ref().filter(|link| link.generation == generation);
                    if let Some(connection) = link.and_then(|link| link.connection.clone()) {
                        self.actions.push(Action::Send { generation, connection, frame });
                    }
                }
                Output::Ask { question, attempt, error } => {
                    self.actions.push(Action::Ask { question, attempt, error });
                }
                Output::Authorize { ticket, channel, socket_id, attempt } => {
                    let subject = Subject::Channel(channel);
                    self.submit(Job { ticket, subject, socket_id, attempt }, now);
                }
                Output::Authenticate { ticket, socket_id, attempt } => {
                    self.submit(Job { ticket, subject: Subject::User, socket_id, attempt }, now);
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
