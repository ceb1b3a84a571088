//! The threads that ask the user's authorizers: few, started when there is something to ask, and gone
//! when there is not.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::event::ChannelName;
use crate::{Auth, AuthRequest, Authorizer, Error, ErrorKind, Proxy, Tls, clock};

/// So many questions are asked in one batch at the most.
const MAX_BATCH: usize = 100;

/// So many threads may hang in authorizers that do not come back, beside those that work.
const MAX_HANGING: usize = 16;

/// An authorizer, and what it has told about itself.
#[derive(Clone)]
pub(crate) struct ChannelAuthorizer {
    authorizer: Arc<dyn Authorizer>,
    /// For how long it wants its questions collected.
    window: Option<Duration>,
}

impl ChannelAuthorizer {
    pub(crate) fn new(authorizer: Arc<dyn Authorizer>, tls: &Tls, proxy: &Proxy) -> Self {
        authorizer.use_tls(tls);
        authorizer.use_proxy(proxy);
        let window = authorizer.batch_window();
        Self { authorizer, window }
    }

    pub(super) fn interrupt(&self) {
        self.authorizer.interrupt();
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.authorizer, &other.authorizer)
    }
}

/// A question to be asked.
pub(super) struct Job {
    pub(super) ticket: u64,
    pub(super) channel: ChannelName,
    pub(super) socket_id: String,
    pub(super) attempt: u32,
}

/// Under the lock: who is to be asked, and what.
pub(super) struct Authorizers {
    default: Option<ChannelAuthorizer>,
    by_channel: HashMap<ChannelName, ChannelAuthorizer>,
    waiting: VecDeque<(ChannelAuthorizer, Job)>,
    /// A worker collects their questions; no other takes them.
    collecting: Vec<ChannelAuthorizer>,
    /// The questions that are being asked, by worker.
    asking: Vec<Vec<u64>>,
    /// Those that do not hang.
    workers: usize,
    max_workers: usize,
    /// Workers whose authorizer does not come back.
    hanging: usize,
    closed: bool,
}

impl Authorizers {
    pub(super) fn new(default: Option<ChannelAuthorizer>, max_workers: usize) -> Self {
        Self {
            default,
            by_channel: HashMap::new(),
            waiting: VecDeque::new(),
            collecting: Vec::new(),
            asking: Vec::new(),
            workers: 0,
            hanging: 0,
            max_workers: max_workers.max(1),
            closed: false,
        }
    }

    /// Queues a question. Tells whether another worker is to be started.
    pub(super) fn submit(&mut self, job: Job) -> Result<bool, (Job, Error)> {
        let Some(authorizer) = self.by_channel.get(&job.channel).or(self.default.as_ref()) else {
            let message = "no authorizer is set: give the client one with ClientBuilder::authorizer, \
                           or the channel with private_channel_with and its like";
            return Err((job, Error::message(ErrorKind::Config, message)));
        };
        self.waiting.push_back((authorizer.clone(), job));
        let more = self.workers < self.max_workers;
        if more {
            self.workers += 1;
        }
        Ok(more)
    }

    /// The worker that asks this question hangs in it: it does not count any more. Tells whether
    /// another one is to be started in its place.
    pub(super) fn abandon(&mut self, ticket: u64) -> bool {
        let position = self.asking.iter().position(|tickets| tickets.contains(&ticket));
        let Some(position) = position.filter(|_| self.hanging < MAX_HANGING) else {
            return false;
        };
        self.asking.swap_remove(position);
        self.hanging += 1;
        self.workers -= 1;
        let replace = self.next_index().is_some();
        if replace {
            self.workers += 1;
        }
        replace
    }

    /// The worker that asked these has come back. Tells whether it had been given up.
    fn came_back(&mut self, tickets: &[u64]) -> bool {
        match self.asking.iter().position(|asked| asked == tickets) {
            Some(position) => {
                self.asking.swap_remove(position);
                false
            }
            None => {
                self.hanging -= 1;
                true
            }
        }
    }

    pub(super) fn remove(&mut self, channel: &str) -> Option<ChannelAuthorizer> {
        self.by_channel.remove(channel)
    }

    /// Takes no more questions. Gives all authorizers, to be interrupted.
    pub(super) fn close(&mut self) -> Vec<ChannelAuthorizer> {
        self.closed = true;
        let own = std::mem::take(&mut self.by_channel).into_values();
        let asked = std::mem::take(&mut self.waiting).into_iter().map(|(authorizer, _)| authorizer);
        self.default.take().into_iter().chain(own).chain(asked).collect()
    }

    /// The next question that no worker is collecting.
    fn next(&mut self) -> Option<(ChannelAuthorizer, Job)> {
        let index = self.next_index()?;
        self.waiting.remove(index)
    }

    fn next_index(&self) -> Option<usize> {
        self.waiting.iter().position(|(authorizer, _)| {
            !self.collecting.iter().any(|collecting| collecting.is(authorizer))
        })
    }

    /// All questions for this authorizer about this connection, up to a limit.
    fn take_batch(&mut self, authorizer: &ChannelAuthorizer, first: Job) -> Vec<Job> {
        let mut batch = vec![first];
        let mut rest = VecDeque::new();
        for (theirs, job) in self.waiting.drain(..) {
            let belongs = batch.first().is_some_and(|first| first.socket_id == job.socket_id);
            if belongs && theirs.is(authorizer) && batch.len() < MAX_BATCH {
                batch.push(job);
            } else {
                rest.push_back((theirs, job));
            }
        }
        self.waiting = rest;
        batch
    }
}

impl Shared {
    /// Gives a channel an authorizer of its own.
    pub(crate) fn set_authorizer(
        self: &Arc<Self>,
        channel: &ChannelName,
        authorizer: Arc<dyn Authorizer>,
    ) {
        let new = ChannelAuthorizer::new(authorizer, &self.settings.tls, &self.settings.proxy);
        let old = self.read(|core| match core.authorizers.closed {
            true => Some(new),
            false => core.authorizers.by_channel.insert(channel.clone(), new),
        });
        // It is the user's, and so is what happens when it is dropped.
        drop(old);
        self.act(|machine, now| machine.authorizer_changed(channel, now));
    }

    pub(super) fn start_worker(self: &Arc<Self>) {
        let started = self.spawn("pusher-auth", |shared| {
            let mut leave = LeavePool { shared, given_up: false };
            leave.given_up = shared.run_worker();
        });
        if let Err(error) = started {
            log::error!("{error}; authorizations wait");
            self.read(|core| core.authorizers.workers -= 1);
            // With no worker left, nobody else would ever answer.
            let waiting = self.read(|core| match core.authorizers.workers {
                0 => std::mem::take(&mut core.authorizers.waiting),
                _ => VecDeque::new(),
            });
            for (_, job) in waiting {
                self.answer(&job, Err(error.clone()));
            }
        }
    }

    /// Tells whether it was given up.
    fn run_worker(self: &Arc<Self>) -> bool {
        while let Some((authorizer, job)) = self.read(|core| core.authorizers.next()) {
            let jobs = match authorizer.window {
                None => vec![job],
                Some(window) => self.collect(&authorizer, job, window),
            };
            if self.authorize(&authorizer, jobs) {
                return true;
            }
        }
        false
    }

    /// Waits for further questions to the same authorizer.
    fn collect(&self, authorizer: &ChannelAuthorizer, first: Job, window: Duration) -> Vec<Job> {
        let deadline = clock::now().checked_add(window);
        let mut core = self.lock();
        core.authorizers.collecting.push(authorizer.clone());
        while !core.authorizers.closed {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
            let left = left.unwrap_or(window);
            if left.is_zero() {
                break;
            }
            core = self.changed.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        core.authorizers.collecting.retain(|collecting| !collecting.is(authorizer));
        core.authorizers.take_batch(authorizer, first)
    }

    /// Tells whether it took so long that this worker was given up.
    fn authorize(self: &Arc<Self>, authorizer: &ChannelAuthorizer, mut jobs: Vec<Job>) -> bool {
        // What was given up while it waited need not be asked.
        self.act(|machine, now| {
            jobs.retain(|job| machine.begin_authorization(&job.channel, job.ticket, now));
        });
        let request =
            |job: &Job| AuthRequest::attempt_number(&job.socket_id, &job.channel, job.attempt);
        let requests: Vec<_> = jobs.iter().map(request).collect();
        if requests.is_empty() {
            return false;
        }
        let tickets: Vec<_> = jobs.iter().map(|job| job.ticket).collect();
        self.read(|core| core.authorizers.asking.push(tickets.clone()));
        let ask = || match (authorizer.window, requests.as_slice()) {
            (None, [request]) => vec![authorizer.authorizer.authorize(request)],
            (_, requests) => authorizer.authorizer.authorize_many(requests),
        };
        let answers = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
            let message = "the authorizer panicked";
            jobs.iter().map(|_| Err(Error::message(ErrorKind::Auth, message))).collect()
        });
        let given_up = self.read(|core| core.authorizers.came_back(&tickets));
        let mut answers = answers.into_iter();
        for job in &jobs {
            self.answer(
                job,
                answers.next().unwrap_or_else(|| {
                    let message = "the authorizer's authorize_many gave too few answers";
                    Err(Error::message(ErrorKind::Auth, message))
                }),
            );
        }
        given_up
    }

    fn answer(self: &Arc<Self>, job: &Job, answer: Result<Auth, Error>) {
        self.act(|machine, now| {
            machine.handle_authorization(&job.channel, job.ticket, answer, now);
        });
    }
}

/// Counts the worker out, however it ends. If questions have come meanwhile, another one starts.
struct LeavePool<'a> {
    shared: &'a Arc<Shared>,
    given_up: bool,
}

impl Drop for LeavePool<'_> {
    fn drop(&mut self) {
        if self.given_up {
            // It was counted out when that happened.
            return;
        }
        let again = self.shared.read(|core| {
            let pool = &mut core.authorizers;
            let again = pool.next_index().is_some();
            if !again {
                pool.workers -= 1;
            }
            again
        });
        if again {
            self.shared.start_worker();
        }
    }
}
