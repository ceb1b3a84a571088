//! The threads that ask the user's authorizers and authenticator: few, started when there is something
//! to ask, and gone when there is not.

#[cfg(test)]
mod tests;
mod workers;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::shares::{End, EndpointId, Shares, Turn, endpoint_id};
use super::{Settings, Shared};
use crate::model::event::ChannelName;
use crate::util::clock;
use crate::util::guard::{dispose, guarded};
use crate::{
    Auth, AuthRequest, Authorizer, Error, ErrorKind, Proxy, Tls, UserAuth, UserAuthRequest,
    UserAuthenticator,
};

/// So many questions are asked in one batch at the most.
const MAX_BATCH: usize = 100;

/// So many threads may hang in authorizers that do not come back, beside those that work.
const MAX_HANGING: usize = 16;

/// Somebody who is asked, and what they have told about themselves.
#[derive(Clone)]
pub(crate) enum Answerer {
    Authorizer {
        authorizer: Arc<dyn Authorizer>,
        /// For how long it wants its questions collected.
        window: Option<Duration>,
        endpoint: EndpointId,
    },
    Authenticator {
        authenticator: Arc<dyn UserAuthenticator>,
        endpoint: EndpointId,
    },
}

impl Answerer {
    pub(crate) fn authorizer(authorizer: Arc<dyn Authorizer>, tls: &Tls, proxy: &Proxy) -> Self {
        authorizer.use_tls(tls);
        authorizer.use_proxy(proxy);
        let window = authorizer.batch_window();
        let endpoint = endpoint_id(authorizer.endpoint(), Arc::as_ptr(&authorizer).cast());
        Self::Authorizer { authorizer, window, endpoint }
    }

    pub(crate) fn authenticator(
        authenticator: Arc<dyn UserAuthenticator>,
        tls: &Tls,
        proxy: &Proxy,
    ) -> Self {
        authenticator.use_tls(tls);
        authenticator.use_proxy(proxy);
        let endpoint = endpoint_id(authenticator.endpoint(), Arc::as_ptr(&authenticator).cast());
        Self::Authenticator { authenticator, endpoint }
    }

    pub(super) fn interrupt(&self) {
        match self {
            Self::Authorizer { authorizer, .. } => authorizer.interrupt(),
            Self::Authenticator { authenticator, .. } => authenticator.interrupt(),
        }
    }

    fn endpoint(&self) -> EndpointId {
        match self {
            Self::Authorizer { endpoint, .. } | Self::Authenticator { endpoint, .. } => *endpoint,
        }
    }

    fn window(&self) -> Option<Duration> {
        match self {
            Self::Authorizer { window, .. } => *window,
            Self::Authenticator { .. } => None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Authorizer { authorizer: one, .. },
                Self::Authorizer { authorizer: other, .. },
            ) => Arc::ptr_eq(one, other),
            (
                Self::Authenticator { authenticator: one, .. },
                Self::Authenticator { authenticator: other, .. },
            ) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Runs the user's code, for as long as it takes.
    fn ask(&self, jobs: &[Job]) -> Vec<Answer> {
        match self {
            Self::Authenticator { authenticator, .. } => jobs
                .iter()
                .map(|job| UserAuthRequest::attempt_number(&job.socket_id, job.attempt))
                .map(|request| Answer::User(authenticator.authenticate(&request)))
                .collect(),
            Self::Authorizer { authorizer, window, .. } => {
                let requests: Vec<_> = jobs.iter().map(Job::auth_request).collect();
                let answers = match (window, requests.as_slice()) {
                    (None, [request]) => vec![authorizer.authorize(request)],
                    (_, requests) => authorizer.authorize_many(requests),
                };
                answers.into_iter().map(Answer::Channel).collect()
            }
        }
    }
}

/// A question to be asked.
pub(super) struct Job {
    pub(super) ticket: u64,
    pub(super) subject: Subject,
    pub(super) socket_id: String,
    pub(super) attempt: u32,
}

/// What is asked about.
#[derive(Clone)]
pub(super) enum Subject {
    Channel(ChannelName),
    User,
}

enum Answer {
    Channel(Result<Auth, Error>),
    User(Result<UserAuth, Error>),
}

impl Job {
    fn failed(&self, error: Error) -> Answer {
        match self.subject {
            Subject::Channel(_) => Answer::Channel(Err(error)),
            Subject::User => Answer::User(Err(error)),
        }
    }

    fn auth_request(&self) -> AuthRequest {
        let channel = match &self.subject {
            Subject::Channel(name) => name,
            Subject::User => "",
        };
        AuthRequest::attempt_number(&self.socket_id, channel, self.attempt)
    }
}

impl Answer {
    fn error(&self) -> Option<&Error> {
        match self {
            Self::Channel(answer) => answer.as_ref().err(),
            Self::User(answer) => answer.as_ref().err(),
        }
    }
}

/// Under the lock: who is to be asked, and what.
pub(super) struct Authorizers {
    default: Option<Answerer>,
    by_channel: HashMap<ChannelName, Answerer>,
    user: Option<Answerer>,
    waiting: VecDeque<(Answerer, Job)>,
    /// A worker collects their questions; no other takes them.
    collecting: Vec<Answerer>,
    /// The questions that are being asked, by worker.
    asking: Vec<(Turn, Vec<u64>)>,
    shares: Shares,
    /// Those that run, or are just being started, and do not hang.
    workers: usize,
    max_workers: usize,
    /// Workers whose authorizer does not come back.
    hanging: usize,
    closed: bool,
    /// How many questions were asked, and how many of the answers were errors.
    pub(super) asked: u64,
    pub(super) failed: u64,
}

impl Authorizers {
    pub(super) fn new(
        default: Option<Answerer>,
        user: Option<Answerer>,
        max_workers: usize,
    ) -> Self {
        let max_workers = max_workers.max(1);
        let mut shares = Shares::new(max_workers);
        default.iter().chain(&user).for_each(|answerer| shares.enter(answerer.endpoint()));
        Self {
            default,
            by_channel: HashMap::new(),
            user,
            waiting: VecDeque::new(),
            collecting: Vec::new(),
            asking: Vec::new(),
            shares,
            workers: 0,
            hanging: 0,
            max_workers,
            closed: false,
            asked: 0,
            failed: 0,
        }
    }

    /// Queues a question. Tells whether another worker is to be started.
    pub(super) fn submit(&mut self, job: Job) -> Result<bool, (Job, Error)> {
        let (answerer, missing) = match &job.subject {
            Subject::Channel(name) => (
                self.by_channel.get(name).or(self.default.as_ref()),
                "no authorizer is set: give the client one with ClientBuilder::authorizer, \
                 or the channel with private_channel_with and its like",
            ),
            Subject::User => (
                self.user.as_ref(),
                "no user authenticator is set: give the client one with \
                 ClientBuilder::user_authenticator, or with Client::signin_with",
            ),
        };
        let Some(answerer) = answerer else {
            return Err((job, Error::message(ErrorKind::Config, missing)));
        };
        let admitted = self.shares.admits(answerer.endpoint());
        self.waiting.push_back((answerer.clone(), job));
        Ok(admitted && self.workers < self.max_workers)
    }

    /// Returns `true` if another worker has something to ask, and may be started.
    fn wants_worker(&self) -> bool {
        self.workers < self.max_workers && self.next_index().is_some()
    }

    /// Counts a worker that is started now, if it is wanted: the wish for it may be an old one.
    fn enter(&mut self) -> bool {
        let wanted = self.wants_worker();
        self.workers += usize::from(wanted);
        wanted
    }

    /// The worker that asks this question hangs in it: it does not count any more. Tells whether
    /// another one is to be started in its place.
    pub(super) fn abandon(&mut self, ticket: u64) -> bool {
        let position = self.asking.iter().position(|(_, tickets)| tickets.contains(&ticket));
        let Some(position) = position.filter(|_| self.hanging < MAX_HANGING) else {
            return false;
        };
        let (turn, _) = self.asking.swap_remove(position);
        self.shares.end(turn, End::TimedOut);
        self.hanging += 1;
        self.workers -= 1;
        self.wants_worker()
    }

    /// The worker whose turn it was has come back. Tells whether it had been given up.
    fn came_back(&mut self, turn: Turn, end: End) -> bool {
        self.shares.end(turn, end);
        match self.asking.iter().position(|(asking, _)| *asking == turn) {
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

    /// Returns the one that it replaces, or the new one if the client is closed.
    fn set_of_channel(&mut self, channel: ChannelName, new: Answerer) -> Option<Answerer> {
        if self.closed {
            return Some(new);
        }
        self.shares.enter(new.endpoint());
        let old = self.by_channel.insert(channel, new);
        self.left(old)
    }

    /// As [`Self::set_of_channel`].
    fn set_of_user(&mut self, new: Answerer) -> Result<Option<Answerer>, Answerer> {
        if self.closed {
            return Err(new);
        }
        self.shares.enter(new.endpoint());
        let old = self.user.replace(new);
        Ok(self.left(old))
    }

    /// Counts the worker out. Tells whether questions have come meanwhile, for another one.
    fn leave(&mut self) -> bool {
        self.workers -= 1;
        self.wants_worker()
    }

    pub(super) fn remove(&mut self, channel: &str) -> Option<Answerer> {
        let old = self.by_channel.remove(channel);
        self.left(old)
    }

    fn left(&mut self, old: Option<Answerer>) -> Option<Answerer> {
        old.inspect(|old| self.shares.leave(old.endpoint()))
    }

    /// Takes no more questions. Gives all who may be asked, to be interrupted.
    pub(super) fn close(&mut self) -> Vec<Answerer> {
        self.closed = true;
        let own = std::mem::take(&mut self.by_channel).into_values();
        let asked = std::mem::take(&mut self.waiting).into_iter().map(|(answerer, _)| answerer);
        [self.default.take(), self.user.take()]
            .into_iter()
            .flatten()
            .chain(own)
            .chain(asked)
            .collect()
    }

    /// The next question that may be asked, and whether another worker is to be started for one more.
    fn next(&mut self) -> Option<(Answerer, Job, Turn, bool)> {
        let (answerer, job) = self.waiting.remove(self.next_index()?)?;
        let turn = self.shares.begin(answerer.endpoint());
        Some((answerer, job, turn, self.wants_worker()))
    }

    /// That of the next question that no worker is collecting, and whose endpoint may use a worker.
    fn next_index(&self) -> Option<usize> {
        // Many in a row are for the same.
        let mut refused = None;
        self.waiting.iter().position(|(answerer, _)| {
            let endpoint = answerer.endpoint();
            if refused == Some(endpoint) {
                return false;
            }
            if !self.shares.admits(endpoint) {
                refused = Some(endpoint);
                return false;
            }
            !self.collecting.iter().any(|collecting| collecting.is(answerer))
        })
    }

    /// All questions for this authorizer about this connection, up to a limit.
    fn take_batch(&mut self, authorizer: &Answerer, first: Job) -> Vec<Job> {
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
        let new = Answerer::authorizer(authorizer, &self.settings.tls, &self.settings.proxy);
        let old = self.read(|core| core.authorizers.set_of_channel(channel.clone(), new));
        // It is the user's, and so is what happens when it is dropped.
        dispose(old);
        self.act(|machine, now| machine.authorizer_changed(channel, now));
    }

    /// Replaces the authenticator, and signs in with it.
    pub(crate) fn sign_in_with(self: &Arc<Self>, authenticator: Arc<dyn UserAuthenticator>) {
        let Settings { tls, proxy, .. } = &self.settings;
        let new = Answerer::authenticator(authenticator, tls, proxy);
        let old = self.act_on(|core, now| match core.authorizers.set_of_user(new) {
            Ok(old) => {
                core.machine.authenticator_changed(now);
                old
            }
            Err(unused) => Some(unused),
        });
        // It is the user's, and so is what happens when it is dropped.
        dispose(old);
    }

    /// Waits for further questions to the same authorizer.
    fn collect(&self, authorizer: &Answerer, first: Job, window: Duration) -> Vec<Job> {
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
    fn authorize(self: &Arc<Self>, answerer: &Answerer, mut jobs: Vec<Job>, turn: Turn) -> bool {
        // What was given up while it waited need not be asked.
        self.act(|machine, now| {
            jobs.retain(|job| match &job.subject {
                Subject::Channel(name) => machine.begin_authorization(name, job.ticket, now),
                Subject::User => machine.begin_authentication(job.ticket, now),
            });
        });
        if jobs.is_empty() {
            return false;
        }
        let tickets = jobs.iter().map(|job| job.ticket).collect();
        self.read(|core| core.authorizers.asking.push((turn, tickets)));
        let start = clock::now();
        let answers = guarded(|| answerer.ask(&jobs)).unwrap_or_else(|| {
            let error = Error::message(ErrorKind::Auth, "the authorizer panicked");
            jobs.iter().map(|job| job.failed(error.clone())).collect()
        });
        let took = clock::now().saturating_duration_since(start);
        let mut answers = answers.into_iter();
        let answers: Vec<_> = jobs
            .iter()
            .map(|job| {
                answers.next().unwrap_or_else(|| {
                    let message = "the authorizer's authorize_many gave too few answers";
                    job.failed(Error::message(ErrorKind::Auth, message))
                })
            })
            .collect();
        let failed = answers.iter().filter(|answer| answer.error().is_some()).count();
        let timed_out = answers.iter().filter_map(Answer::error).any(Error::is_timeout);
        let end = if timed_out { End::TimedOut } else { End::Responded(took) };
        let given_up = self.read(|core| {
            core.authorizers.asked += jobs.len() as u64;
            core.authorizers.failed += failed as u64;
            core.authorizers.came_back(turn, end)
        });
        for (job, answer) in jobs.iter().zip(answers) {
            self.answer(job, answer);
        }
        given_up
    }

    fn answer(self: &Arc<Self>, job: &Job, answer: Answer) {
        self.act(|machine, now| match (&job.subject, answer) {
            (Subject::Channel(name), Answer::Channel(answer)) => {
                machine.handle_authorization(name, job.ticket, answer, now);
            }
            (Subject::User, Answer::User(answer)) => {
                machine.handle_authentication(job.ticket, answer, now);
            }
            // Answers have the subject of their question.
            (Subject::Channel(_), Answer::User(_)) | (Subject::User, Answer::Channel(_)) => {}
        });
    }
}
