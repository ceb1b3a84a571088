//! Joins wanted channels, with an authorization where one is needed.
//!
//! Every request has an id. The response is dropped if the connection is gone or the channel is not wanted any more.

use super::channel::{PendingRequest, Status};
use super::refusals::with_cause;
use super::signin::ConnectionUser;
use super::subscribe::check_auth;
use crate::protocol::backoff::{QUEUE_PATIENCE, retry_wait};
use crate::protocol::{ChannelNotification, Machine, Notification, Now, Output, presence};
use crate::wire::ChannelKind;
use crate::{Auth, Error, ErrorKind, Timeout};

impl Machine {
    /// Does what is next for a channel that is wanted and not subscribed.
    pub(super) fn join(&mut self, name: &str, now: Now) {
        match self.channels.get(name).map(|channel| channel.kind) {
            None => {}
            Some(ChannelKind::Public) => {
                if let Err(error) = self.send_subscribe(name, None, now) {
                    self.fail_channel(name, error);
                }
            }
            Some(ChannelKind::Private | ChannelKind::PrivateEncrypted | ChannelKind::Presence) => {
                self.authorize(name, 1, now);
            }
        }
    }

    fn authorize(&mut self, name: &str, attempt: u32, now: Now) {
        if let Some(request) = self.new_request(name, attempt, now) {
            self.channels.set(name, Status::Authorizing(request));
        }
    }

    fn new_request(&mut self, name: &str, attempt: u32, now: Now) -> Option<PendingRequest> {
        let socket_id = self.phase.live()?.socket_id.clone();
        let channel = self.channels.name(name)?;
        self.requests += 1;
        let request_id = self.requests;
        self.push(Output::Authorize { request_id, channel, socket_id, attempt });
        let patience = self.config.subscribe_timeout.saturating_mul(QUEUE_PATIENCE);
        Some(PendingRequest { request_id, attempt, deadline: now.mono.saturating_add(patience) })
    }

    /// The authorizer of a channel was replaced: a subscription that failed is tried again.
    pub(crate) fn authorizer_changed(&mut self, name: &str, now: Now) {
        self.observe(now);
        let failed =
            |status: &Status| matches!(status, Status::Failed(_) | Status::Postponed { .. });
        if self.phase.is_live()
            && self.channels.get(name).is_some_and(|channel| failed(&channel.status))
        {
            self.join(name, now);
        }
    }

    /// The authorizer is about to be called: its time begins. Returns `true` if the response is still of use.
    pub(crate) fn begin_authorization(&mut self, name: &str, request_id: u64, now: Now) -> bool {
        let deadline = now.mono.saturating_add(self.config.subscribe_timeout);
        let Some(channel) = self.channels.get_mut(name) else {
            return false;
        };
        let current = match &mut channel.status {
            Status::Authorizing(request) if request.request_id == request_id => Some(request),
            _ => {
                #[cfg(feature = "encrypted")]
                let refresh =
                    channel.refresh.as_mut().filter(|request| request.request_id == request_id);
                #[cfg(not(feature = "encrypted"))]
                let refresh = None;
                refresh
            }
        };
        let Some(request) = current else {
            return false;
        };
        request.deadline = deadline;
        self.channels.note_deadline(name);
        self.calls.insert((deadline, request_id));
        true
    }

    /// The authorizer has responded.
    pub(crate) fn handle_authorization(
        &mut self,
        name: &str,
        request_id: u64,
        response: Result<Auth, Error>,
        now: Now,
    ) {
        self.observe(now);
        self.calls.retain(|&(_, id)| id != request_id);
        let Some(channel) = self.channels.get(name) else {
            return;
        };
        match &channel.status {
            Status::Authorizing(request) if request.request_id == request_id => {
                let attempt = request.attempt;
                match response.and_then(|auth| self.use_authorization(name, auth, now)) {
                    Ok(()) => {}
                    Err(error) => self.authorization_failed(name, attempt, error, now),
                }
            }
            _ => self.handle_refresh(name, request_id, response, now),
        }
    }

    fn use_authorization(&mut self, name: &str, auth: Auth, now: Now) -> Result<(), Error> {
        check_auth(&auth.auth, "authorizer")?;
        let user = self.connection_user();
        let Some(channel) = self.channels.get_mut(name) else {
            return Ok(());
        };
        match channel.kind {
            ChannelKind::Public | ChannelKind::Private => {}
            ChannelKind::Presence => {
                channel.me = Some(match (&auth.channel_data, user) {
                    (Some(channel_data), _) => presence::own_id(channel_data).ok_or_else(|| {
                        let message = "the authorizer's channel_data must be JSON with a user_id";
                        Error::message(ErrorKind::Auth, message)
                    })?,
                    (None, ConnectionUser::SignedIn(id)) => id,
                    (None, ConnectionUser::Failed(error)) => {
                        return Err(no_user_to_join_as(&error));
                    }
                    (None, ConnectionUser::Pending) => {
                        let until = now.mono.saturating_add(self.config.subscribe_timeout);
                        let auth = Box::new(auth);
                        self.channels.set(name, Status::AwaitingUser { until, auth });
                        return Ok(());
                    }
                });
            }
            #[cfg(not(feature = "encrypted"))]
            ChannelKind::PrivateEncrypted => {}
            #[cfg(feature = "encrypted")]
            ChannelKind::PrivateEncrypted => {
                channel.decrypt_queue.set_key(key(&auth)?, now.mono);
                self.deliver_decrypted(name, now);
            }
        }
        self.send_subscribe(name, Some(&auth), now)
    }

    /// The user is signed in: goes on with the presence channels whose authorizer leaves it to that.
    pub(super) fn join_as_user(&mut self, now: Now) {
        for (name, auth) in self.channels.left_to_the_user() {
            if let Err(error) = self.use_authorization(&name, auth, now) {
                self.fail_channel(&name, error);
            }
        }
    }

    pub(super) fn fail_channels_left_to_the_user(&mut self, why: &Error) {
        for (name, _) in self.channels.left_to_the_user() {
            self.fail_channel(&name, no_user_to_join_as(why));
        }
    }

    /// Abandons the calls that take too long, even if their responses are of no use any more: they keep others from
    /// being called.
    pub(super) fn abandon_calls(&mut self, now: Now) {
        while let Some(&(deadline, request_id)) = self.calls.first() {
            if deadline > now.mono {
                return;
            }
            self.calls.pop_first();
            self.push(Output::Abandon { request_id });
        }
    }

    /// Retries after a transient error, and waits for the user after a permanent one.
    fn authorization_failed(&mut self, name: &str, attempt: u32, error: Error, now: Now) {
        if !error.is_retryable() {
            return self.fail_channel(name, error);
        }
        let wait = retry_wait(attempt, &error, self.random.f64());
        let until = now.mono.saturating_add(wait);
        let attempt = attempt.saturating_add(1);
        self.channels.set(name, Status::Postponed { until, attempt });
        self.notify_failure(name, error.on_channel(name));
    }

    pub(super) fn notify_failure(&mut self, name: &str, error: Error) {
        if let Some(name) = self.channels.name(name) {
            self.log_subscription_failure(&name, &error);
            self.channels.note_failure(&name, &error);
            self.notify(Notification::Channel(name, ChannelNotification::Failed(error.clone())));
            self.notify(Notification::Error(error));
        }
    }

    /// Something of a channel is due.
    pub(super) fn handle_channel_deadline(&mut self, name: &str, now: Now) {
        let Some(channel) = self.channels.get(name) else {
            return;
        };
        match &channel.status {
            Status::Sent(sent) if sent.deadline <= now.mono => {
                let timed_out = || {
                    let what = "the server did not respond to the subscription";
                    with_cause(self.subscribe_late(Timeout::Subscribe, what), self.suspect_of(sent))
                };
                let error = sent.suspect.clone().unwrap_or_else(timed_out);
                self.fail_channel(name, error);
            }
            Status::Authorizing(PendingRequest { deadline, .. }) if *deadline <= now.mono => {
                let error = self.subscribe_late(Timeout::Auth, "the authorizer did not respond");
                self.fail_channel(name, error);
            }
            Status::AwaitingUser { until, .. } if *until <= now.mono => {
                let message = match self.wants_signin() {
                    true => {
                        "the authorizer returned no channel_data, and the sign-in is not done yet"
                    }
                    false => {
                        "the authorizer returned no channel_data, and no user is signed in: call signin()"
                    }
                };
                let error = Error::message(ErrorKind::Auth, message);
                self.fail_channel(name, with_cause(error, self.last_signin_failure().cloned()));
            }
            Status::Postponed { until, attempt } if *until <= now.mono => {
                let attempt = *attempt;
                self.authorize(name, attempt, now);
            }
            _ => self.handle_decrypt_deadline(name, now),
        }
        self.channels.note_deadline(name);
    }
}

/// For a presence channel without `channel_data`.
fn no_user_to_join_as(why: &Error) -> Error {
    let message = "the authorizer returned no channel_data, and the sign-in failed";
    Error::message(ErrorKind::Auth, message).caused_by(why.clone())
}

#[cfg(feature = "encrypted")]
mod encrypted {
    use super::{Auth, ChannelNotification, Error, ErrorKind, Machine, Notification, Now, Timeout};
    use crate::Event;
    use crate::protocol::crypto::Key;
    use crate::protocol::machine::decrypt_queue::Verdict;

    pub(super) fn key(auth: &Auth) -> Result<Key, Error> {
        let secret = auth.shared_secret.as_ref().ok_or_else(|| {
            let message = "the authorizer must return a shared_secret for an encrypted channel";
            Error::message(ErrorKind::Auth, message)
        })?;
        Key::parse(secret.expose())
    }

    impl Machine {
        /// The response to a request for a new key. The channel is subscribed already.
        pub(super) fn handle_refresh(
            &mut self,
            name: &str,
            request_id: u64,
            response: Result<Auth, Error>,
            now: Now,
        ) {
            let Some(channel) = self.channels.get_mut(name) else {
                return;
            };
            if channel.refresh.take_if(|request| request.request_id == request_id).is_none() {
                return;
            }
            match response.and_then(|auth| key(&auth)) {
                Ok(key) => channel.decrypt_queue.set_key(key, now.mono),
                Err(error) => channel.decrypt_queue.refresh_failed(&error, now.mono),
            }
            self.deliver_decrypted(name, now);
        }

        pub(super) fn handle_decrypt_deadline(&mut self, name: &str, now: Now) {
            let Some(channel) = self.channels.get_mut(name) else {
                return;
            };
            let late = channel.refresh.take_if(|request| request.deadline <= now.mono);
            if late.is_some() {
                let error = Error::timed_out(Timeout::Auth, "the authorizer did not respond");
                channel.decrypt_queue.refresh_failed(&error, now.mono);
            }
            channel.decrypt_queue.handle_timeout(now.mono);
            self.deliver_decrypted(name, now);
        }

        /// An event of an encrypted channel. The user sees nothing of it before it is decrypted.
        pub(in crate::protocol) fn decrypt_event(&mut self, name: &str, event: Event, now: Now) {
            let limits = self.config.max_held;
            if let Some(channel) = self.channels.get_mut(name) {
                channel.decrypt_queue.receive(event, limits, now.mono);
                self.deliver_decrypted(name, now);
            }
        }

        /// Delivers what is decrypted, and does what else the queue requires.
        pub(in crate::protocol) fn deliver_decrypted(&mut self, name: &str, now: Now) {
            while let Some(verdict) =
                self.channels.get_mut(name).and_then(|channel| channel.decrypt_queue.poll())
            {
                match verdict {
                    Verdict::Deliver(event) => self.notify(Notification::Event(event)),
                    Verdict::Failed(error) => {
                        let error = error.on_channel(name);
                        let notification = ChannelNotification::Undecryptable(error.clone());
                        self.notify(Notification::Channel(name.into(), notification));
                        self.notify(Notification::Error(error));
                    }
                    Verdict::Refresh => {
                        let request = self.new_request(name, 1, now);
                        if let Some(channel) = self.channels.get_mut(name) {
                            channel.refresh = request;
                        }
                    }
                }
            }
            self.channels.note_deadline(name);
        }
    }
}
#[cfg(feature = "encrypted")]
use encrypted::key;

#[cfg(not(feature = "encrypted"))]
#[expect(clippy::needless_pass_by_ref_mut, reason = "with the feature they change the machine")]
impl Machine {
    fn handle_refresh(&mut self, _: &str, _: u64, _: Result<Auth, Error>, _: Now) {}

    fn handle_decrypt_deadline(&mut self, _: &str, _: Now) {}
}
