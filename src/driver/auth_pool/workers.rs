//! The worker threads. The user's code runs under guard.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::shares::{End, Turn};
use super::source::{AuthSource, Request};
use crate::driver::Shared;
use crate::model::event::ChannelName;
use crate::util::clock;
use crate::util::guard::{call, dispose, write_log};
use crate::{Authorizer, Error, UserAuthenticator};

impl Shared {
    /// Sets the authorizer of a channel.
    pub(crate) fn set_authorizer(
        self: &Arc<Self>,
        channel: &ChannelName,
        authorizer: Arc<dyn Authorizer>,
    ) {
        let new = AuthSource::new(authorizer, &self.settings.client);
        let old = self.with_core(|core| core.auth_pool.set_of_channel(channel.clone(), new));
        dispose(old);
        self.act(|machine, now| machine.authorizer_changed(channel, now));
    }

    /// Replaces the authenticator and signs in with it.
    pub(crate) fn sign_in_with(self: &Arc<Self>, authenticator: Arc<dyn UserAuthenticator>) {
        let new = AuthSource::of_user(authenticator, &self.settings.client);
        let old = self.act_on(|core, now| match core.auth_pool.set_of_user(new) {
            Ok(old) => {
                core.machine.authenticator_changed(now);
                old
            }
            Err(unused) => Some(unused),
        });
        dispose(old);
    }

    pub(in crate::driver) fn start_worker(self: &Arc<Self>) {
        if !self.with_core(|core| core.auth_pool.enter()) {
            return;
        }
        let started = self.spawn("pusher-auth", |shared| {
            let given_up = shared.run_worker();
            // One that was given up is not counted any more.
            if !given_up && shared.with_core(|core| core.auth_pool.leave()) {
                shared.start_worker();
            }
        });
        if let Err(error) = started {
            write_log!(Error, "{error}; authorizations wait");
            // With no worker left, the requests that wait would get no response.
            let sources = self.act_on(|core, now| {
                core.auth_pool.workers -= 1;
                if core.auth_pool.workers > 0 {
                    return Vec::new();
                }
                let waiting = std::mem::take(&mut core.auth_pool.waiting).into_iter();
                let fail = |(source, request)| {
                    core.respond(&request, Err(error.clone()), now);
                    source
                };
                waiting.map(fail).collect()
            });
            sources.into_iter().for_each(dispose);
        }
    }

    /// Returns `true` if the worker was given up.
    fn run_worker(self: &Arc<Self>) -> bool {
        while let Some((source, request, turn, more)) = self.with_core(|core| core.auth_pool.next())
        {
            if more {
                self.start_worker();
            }
            call("an authorization", || {
                let requests = match source.window() {
                    None => vec![request],
                    Some(window) => self.collect(turn, &source, request, window),
                };
                self.authorize(turn, &source, requests);
            });
            let given_up = self.with_core(|core| core.auth_pool.came_back(turn));
            dispose(source);
            if given_up {
                return true;
            }
        }
        false
    }

    /// Collects further requests to the same source for `window`.
    fn collect(
        &self,
        turn: Turn,
        source: &AuthSource,
        first: Request,
        window: Duration,
    ) -> Vec<Request> {
        let deadline = clock::now().checked_add(window);
        let mut core = self.lock();
        core.auth_pool.collect(turn, source, first);
        while !core.auth_pool.is_collected(turn) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
            let left = left.unwrap_or(window);
            if left.is_zero() {
                break;
            }
            core = self.changed.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        core.auth_pool.take_batch(turn)
    }

    fn authorize(self: &Arc<Self>, turn: Turn, source: &AuthSource, mut requests: Vec<Request>) {
        self.act_on(|core, now| core.begin(turn, source, &mut requests, now));
        // An interruption that came before the call would not end it.
        if requests.is_empty() || self.with_core(|core| core.auth_pool.closed) {
            return;
        }
        let start = clock::now();
        let responses = source.authorize(&requests);
        let took = clock::now().saturating_duration_since(start);
        let mut errors = responses.iter().filter_map(|response| response.as_ref().err());
        let end = match errors.any(Error::is_timeout) {
            true => End::TimedOut,
            false => End::Responded(took),
        };
        let responses = requests.into_iter().zip(responses).collect();
        self.act_on(|core, now| core.finish(turn, end, responses, now));
    }
}
