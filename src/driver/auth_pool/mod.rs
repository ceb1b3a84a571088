//! The threads that call the user's authorizers and authenticator: few, started when there is something
//! to request, and gone when there is not.

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

/// So many threads may hang in authorizers that do not come back, beside those that work.
const MAX_HANGING: usize = 16;

/// Under the lock: who is to be asked, and what.
pub(super) struct AuthPool {
    default: Option<AuthSource>,
    by_channel: HashMap<ChannelName, AuthSource>,
    user: Option<AuthSource>,
    waiting: Waiting,
    /// The batches that workers collect.
    collecting: Vec<(Turn, AuthSource, Vec<Request>)>,
    running: Vec<Running>,
    shares: Shares,
    /// Those that run, or are just being started, and do not hang.
    workers: usize,
    max_workers: usize,
    closed: bool,
    /// How many requests were made, and how many of the responses were errors.
    pub(super) asked: u64,
    pub(super) failed: u64,
}

/// What one worker waits for.
struct Running {
    turn: Turn,
    /// The worker has it too, so that it is never dropped here.
    source: AuthSource,
    ids: Vec<u64>,
    /// The worker hangs, and does not count any more.
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
            asked: 0,
            failed: 0,
        }
    }

    /// Takes a request in. Returns `true` if another worker is to be started.
    pub(super) fn submit(&mut self, request: Request) -> Result<bool, (Request, Error)> {
        let (source, missing) = match &request.subject {
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

    /// Returns `true` if another worker has something to request, and may be started.
    fn wants_worker(&self) -> bool {
        self.workers < self.max_workers && self.next_endpoint().is_some()
    }

    fn next_endpoint(&self) -> Option<EndpointId> {
        self.waiting.next(|endpoint| self.shares.admits(endpoint))
    }

    /// Counts a worker that is started now, if it is wanted: the wish for it may be an old one.
    fn enter(&mut self) -> bool {
        let wanted = self.wants_worker();
        self.workers += usize::from(wanted);
        wanted
    }

    /// Counts the worker out. Returns `true` if requests have come meanwhile, for another one.
    fn leave(&mut self) -> bool {
        self.workers -= 1;
        self.wants_worker()
    }

    /// The next request that may be made, and whether another worker is to be started for one more.
    fn next(&mut self) -> Option<(AuthSource, Request, Turn, bool)> {
        let (source, request) = self.waiting.pop(self.next_endpoint()?)?;
        let turn = self.shares.begin(source.endpoint());
        Some((source, request, turn, self.wants_worker()))
    }

    /// A batch begins with what waits already. It grows until it is taken back with the same turn.
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

    /// The worker that has made this request hangs in it: it does not count any more. Returns `true` if another
    /// one is to be started in its place.
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

    /// The worker whose turn it was has come back. Returns `true` if it had been given up.
    fn came_back(&mut self, turn: Turn) -> bool {
        // Unless it has ended with responses.
        self.shares.end(turn, End::NotAsked);
        let position = self.running.iter().position(|running| running.turn == turn);
        position.is_some_and(|position| self.running.swap_remove(position).given_up)
    }

    /// Returns the one that it replaces, or the new one if the client is closed.
    fn set_of_channel(&mut self, channel: ChannelName, new: AuthSource) -> Option<AuthSource> {
        if self.closed {
            return Some(new);
        }
        self.shares.enter(new.endpoint());
        let old = self.by_channel.insert(channel, new);
        self.left(old)
    }

    /// As [`Self::set_of_channel`].
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

    /// Takes no more requests. Returns all that may be asked, to be interrupted, and what else holds some of them.
    pub(super) fn close(&mut self) -> (Vec<AuthSource>, Waiting) {
        self.closed = true;
        let own = std::mem::take(&mut self.by_channel).into_values();
        let mut sources: Vec<_> =
            [self.default.take(), self.user.take()].into_iter().flatten().chain(own).collect();
        // That of a channel that is gone, or that has another one now, may still be waited for.
        let known: HashSet<_> = sources.iter().map(AuthSource::address).collect();
        let running = self.running.iter().map(|running| &running.source);
        sources.extend(running.filter(|source| !known.contains(&source.address())).cloned());
        (sources, std::mem::take(&mut self.waiting))
    }
}

impl Core {
    /// Begins a turn: from now on the requests' time counts, so that a deadline finds them running. Those that were
    /// given up while they waited are taken out.
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

    /// Ends a turn with all its responses.
    fn finish(&mut self, turn: Turn, end: End, responses: Responses, now: Now) {
        self.auth_pool.shares.end(turn, end);
        self.auth_pool.asked += responses.len() as u64;
        for (request, response) in responses {
            self.auth_pool.failed += u64::from(response.is_err());
            self.respond(&request, response, now);
        }
    }

    /// Hands a response over.
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
