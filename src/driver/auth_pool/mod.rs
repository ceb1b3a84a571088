//! The pool of worker threads that call the user's authorizers and authenticator. A worker is started when a
//! request waits for one, and ends when none does.

mod shares;
mod source;
#[cfg(test)]
mod tests;
mod waiting;
mod workers;

use std::collections::{HashMap, HashSet};

use super::Core;
use crate::model::event::ChannelName;
use crate::protocol::Now;
use crate::{Auth, Error, ErrorKind};
use shares::{End, EndpointId, Shares, Turn};

pub(crate) use source::AuthSource;
pub(super) use source::{Request, Subject};
use waiting::{Waiting, fits};

/// The largest number of hanging workers, which are replaced and do not count as workers any more.
const MAX_HANGING: usize = 16;

/// The sources, the requests to them and the workers, under the lock.
pub(super) struct AuthPool {
    default: Option<AuthSource>,
    by_channel: HashMap<ChannelName, AuthSource>,
    user: Option<AuthSource>,
    waiting: Waiting,
    /// The batches that workers are collecting.
    collecting: Vec<(Turn, AuthSource, Vec<Request>)>,
    running: Vec<Running>,
    shares: Shares,
    /// Workers that run or are being started, without those that hang.
    workers: usize,
    max_workers: usize,
    closed: bool,
    /// How many requests were made, and how many of the responses were errors.
    pub(super) requests: u64,
    pub(super) failures: u64,
}

/// The requests that a worker waits for.
struct Running {
    turn: Turn,
    /// The worker has a clone, so the last one is never dropped here.
    source: AuthSource,
    ids: Vec<u64>,
    /// The worker hangs and has been replaced.
    given_up: bool,
}

impl AuthPool {
    pub(super) fn new(
        default: Option<AuthSource>,
        user: Option<AuthSource>,
        max_workers: usize,
    ) -> Self {
        let max_workers = max_workers.max(1);
        let mut shares = Shares::new(max_workers);
        default.iter().chain(&user).for_each(|source| shares.enter(source.endpoint()));
        Self {
            default,
            by_channel: HashMap::new(),
            user,
            waiting: Waiting::default(),
            collecting: Vec::new(),
            running: Vec::new(),
            shares,
            workers: 0,
            max_workers,
            closed: false,
            requests: 0,
            failures: 0,
        }
    }

    /// Queues a request. Returns `true` if another worker must be started.
    pub(super) fn submit(&mut self, request: Request) -> Result<bool, (Request, Error)> {
        let (source, missing) = match &request.subject {
            Subject::Channel(name) => (
                self.by_channel.get(name).or(self.default.as_ref()),
                "no authorizer is set: set one with ClientBuilder::authorizer, or for one channel with \
                 private_channel_with and its like",
            ),
            Subject::User => (
                self.user.as_ref(),
                "no user authenticator is set: set one with ClientBuilder::user_authenticator or \
                 Client::signin_with",
            ),
        };
        let Some(source) = source else {
            return Err((request, Error::message(ErrorKind::Config, missing)));
        };
        let mut batches = self.collecting.iter_mut();
        let joins =
            |other: &AuthSource, batch: &[Request]| other.is(source) && fits(batch, &request);
        if let Some((.., batch)) = batches.find(|(_, other, batch)| joins(other, batch)) {
            batch.push(request);
            return Ok(false);
        }
        let admitted = self.shares.admits(source.endpoint());
        self.waiting.push(source.clone(), request);
        Ok(admitted && self.workers < self.max_workers)
    }

    /// Returns `true` if a request waits for another worker, and one may be started.
    fn wants_worker(&self) -> bool {
        self.workers < self.max_workers && self.next_endpoint().is_some()
    }

    fn next_endpoint(&self) -> Option<EndpointId> {
        self.waiting.next(|endpoint| self.shares.admits(endpoint))
    }

    /// Counts a worker that is started now, unless none is needed any more.
    fn enter(&mut self) -> bool {
        let is_needed = self.wants_worker();
        self.workers += usize::from(is_needed);
        is_needed
    }

    /// Counts a worker that ends. Returns `true` if another must be started, for requests that came meanwhile.
    fn leave(&mut self) -> bool {
        self.workers -= 1;
        self.wants_worker()
    }

    /// Returns the next request that may be made, and `true` if another worker must be started for one more.
    fn next(&mut self) -> Option<(AuthSource, Request, Turn, bool)> {
        let (source, request) = self.waiting.pop(self.next_endpoint()?)?;
        let turn = self.shares.begin(source.endpoint());
        Some((source, request, turn, self.wants_worker()))
    }

    /// Starts a batch with the requests that wait. It grows until [`Self::take_batch`].
    fn collect(&mut self, turn: Turn, source: &AuthSource, first: Request) {
        let mut batch = vec![first];
        self.waiting.fill(source, &mut batch);
        self.collecting.push((turn, source.clone(), batch));
    }

    fn is_collected(&self, turn: Turn) -> bool {
        let mut batches = self.collecting.iter();
        let batch = batches.find(|(other, ..)| *other == turn);
        self.closed || batch.is_none_or(|(.., batch)| batch.len() >= waiting::MAX_BATCH)
    }

    fn take_batch(&mut self, turn: Turn) -> Vec<Request> {
        let position = self.collecting.iter().position(|(other, ..)| *other == turn);
        position.map(|position| self.collecting.swap_remove(position).2).unwrap_or_default()
    }

    /// Gives up the worker that hangs in this request. Returns `true` if another must be started in its place.
    pub(super) fn abandon(&mut self, id: u64) -> bool {
        let hanging = self.hanging();
        let mut running = self.running.iter_mut();
        let running = running.find(|running| !running.given_up && running.ids.contains(&id));
        let Some(running) = running.filter(|_| hanging < MAX_HANGING) else {
            return false;
        };
        running.given_up = true;
        self.shares.end(running.turn, End::TimedOut);
        self.workers -= 1;
        self.wants_worker()
    }

    fn hanging(&self) -> usize {
        self.running.iter().filter(|running| running.given_up).count()
    }

    /// Ends the turn of a worker that has returned. Returns `true` if it had been given up.
    fn came_back(&mut self, turn: Turn) -> bool {
        // Does nothing if the turn ended with responses.
        self.shares.end(turn, End::NotRequested);
        let position = self.running.iter().position(|running| running.turn == turn);
        position.is_some_and(|position| self.running.swap_remove(position).given_up)
    }

    /// Returns the replaced source, or the new one if the client is closed.
    fn set_of_channel(&mut self, channel: ChannelName, new: AuthSource) -> Option<AuthSource> {
        if self.closed {
            return Some(new);
        }
        self.shares.enter(new.endpoint());
        let old = self.by_channel.insert(channel, new);
        self.left(old)
    }

    /// Returns the replaced source, or the new one as an error if the client is closed.
    fn set_of_user(&mut self, new: AuthSource) -> Result<Option<AuthSource>, AuthSource> {
        if self.closed {
            return Err(new);
        }
        self.shares.enter(new.endpoint());
        let old = self.user.replace(new);
        Ok(self.left(old))
    }

    pub(super) fn remove(&mut self, channel: &str) -> Option<AuthSource> {
        let old = self.by_channel.remove(channel);
        self.left(old)
    }

    fn left(&mut self, old: Option<AuthSource>) -> Option<AuthSource> {
        old.inspect(|old| self.shares.leave(old.endpoint()))
    }

    /// Takes no more requests. Returns the sources, to be interrupted, and the requests that wait.
    pub(super) fn close(&mut self) -> (Vec<AuthSource>, Waiting) {
        self.closed = true;
        let own = std::mem::take(&mut self.by_channel).into_values();
        let mut sources: Vec<_> =
            [self.default.take(), self.user.take()].into_iter().flatten().chain(own).collect();
        // A worker may still wait for the source of a channel that was removed or has another source now.
        let known: HashSet<_> = sources.iter().map(AuthSource::address).collect();
        let running = self.running.iter().map(|running| &running.source);
        sources.extend(running.filter(|source| !known.contains(&source.address())).cloned());
        (sources, std::mem::take(&mut self.waiting))
    }
}

impl Core {
    /// Begins a turn: the time-outs of its requests start. Requests that were given up while they waited are
    /// removed.
    fn begin(&mut self, turn: Turn, source: &AuthSource, requests: &mut Vec<Request>, now: Now) {
        requests.retain(|request| match &request.subject {
            Subject::Channel(name) => self.machine.begin_authorization(name, request.id, now),
            Subject::User => self.machine.begin_authentication(request.id, now),
        });
        if requests.is_empty() {
            return;
        }
        let ids = requests.iter().map(|request| request.id).collect();
        let running = Running { turn, source: source.clone(), ids, given_up: false };
        self.auth_pool.running.push(running);
    }

    /// Ends a turn with its responses.
    fn finish(&mut self, turn: Turn, end: End, responses: Responses, now: Now) {
        self.auth_pool.shares.end(turn, end);
        self.auth_pool.requests += responses.len() as u64;
        for (request, response) in responses {
            self.auth_pool.failures += u64::from(response.is_err());
            self.respond(&request, response, now);
        }
    }

    /// Passes a response to the machine.
    pub(super) fn respond(&mut self, request: &Request, response: Result<Auth, Error>, now: Now) {
        match &request.subject {
            Subject::Channel(name) => {
                self.machine.handle_authorization(name, request.id, response, now);
            }
            Subject::User => {
                let response = response.map(source::user_auth);
                self.machine.handle_authentication(request.id, response, now);
            }
        }
    }
}

type Responses = Vec<(Request, Result<Auth, Error>)>;
