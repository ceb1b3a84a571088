//! The sign-in, and the events of the signed-in user.
//!
//! The protocol has no sign-out and cannot replace a user: both need a new connection.
//!
//! See [user authentication](https://pusher.com/docs/channels/using_channels/user-authentication/).

use std::time::Duration;

use log::Level;

use super::channel::PendingRequest;
use super::refusals::{SUSPICION, with_cause};
use super::subscribe::{check_auth, check_request, is_keyless};
use crate::protocol::backoff::{QUEUE_PATIENCE, retry_wait};
use crate::protocol::close_code::CloseClass;
use crate::protocol::frame;
use crate::protocol::frame::Refusal;
use crate::protocol::{Machine, Notification, Now, Output, UserNotification};
use crate::util::units;
use crate::wire::{each_element, id, pick};
use crate::{Error, ErrorKind, Event, Timeout, UserAuth, UserData, WatchlistEvent};

/// The channels on which servers send to one user.
pub(crate) const CHANNEL_PREFIX: &str = "#server-to-user-";

const KEYLESS: &str = "the `auth` of the authenticator has no `key:` before the signature";

#[derive(Debug, Default)]
pub(super) struct SignIn {
    /// What the user wants, whatever the status is.
    wanted: bool,
    status: Status,
    /// The user that was sent to the server on the present connection, confirmed or not.
    presented: Option<UserData>,
    /// Why the last attempt on the present connection failed, even if it is retried.
    last_failure: Option<Error>,
}

/// The status of the sign-in on the present connection.
#[derive(Debug, Default)]
enum Status {
    /// Nothing has been done.
    #[default]
    Idle,
    Authenticating(PendingRequest),
    /// The authenticator is called again at that time, as this attempt.
    Postponed {
        until: Duration,
        attempt: u32,
    },
    /// The frame is sent. The response is due at the deadline; the suspect may have been it.
    Sent {
        deadline: Duration,
        suspect: Option<Error>,
        keyless: bool,
    },
    SignedIn,
    Failed(Error),
}

impl SignIn {
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.status {
            Status::Authenticating(request) => Some(request.deadline),
            Status::Postponed { until: at, .. } | Status::Sent { deadline: at, .. } => Some(*at),
            Status::Idle | Status::SignedIn | Status::Failed(_) => None,
        }
    }

    /// Returns `true` if a response of the server is due.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.status, Status::Sent { .. })
    }

    /// Returns `true` if the connection may belong to a user at the server.
    pub(super) fn is_presented(&self) -> bool {
        self.presented.is_some()
    }

    /// Nothing of the present connection counts any more.
    pub(super) fn connection_lost(&mut self) {
        (self.status, self.presented, self.last_failure) = (Status::Idle, None, None);
    }
}

/// The user of the connection, for presence channels that are left to the user.
pub(super) enum ConnectionUser {
    SignedIn(String),
    Pending,
    Failed(Error),
}

impl Machine {
    // ---- getters

    pub(crate) fn signed_in(&self) -> Option<&UserData> {
        match self.user.status {
            Status::SignedIn => self.user.presented.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn wants_signin(&self) -> bool {
        self.user.wanted
    }

    /// Returns why the sign-in has failed.
    pub(crate) fn signin_failure(&self) -> Option<&Error> {
        match &self.user.status {
            Status::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Returns why the last attempt on this connection failed, or the error that may have been the response to it.
    pub(crate) fn last_signin_failure(&self) -> Option<&Error> {
        match &self.user.status {
            Status::Sent { suspect: Some(error), .. } => Some(error),
            _ => self.user.last_failure.as_ref(),
        }
    }

    pub(super) fn connection_user(&self) -> ConnectionUser {
        match (&self.user.status, self.signed_in()) {
            (_, Some(user)) => ConnectionUser::SignedIn(user.id().to_owned()),
            (Status::Failed(error), None) => ConnectionUser::Failed(error.clone()),
            _ => ConnectionUser::Pending,
        }
    }

    // ---- what the user wants

    pub(crate) fn signin(&mut self, now: Now) {
        self.observe(now);
        if self.is_closed() {
            return;
        }
        self.user.wanted = true;
        self.mark_changed();
        if matches!(self.user.status, Status::Idle | Status::Postponed { .. } | Status::Failed(_)) {
            self.authenticate(1, now);
        }
    }

    pub(crate) fn signout(&mut self, now: Now) {
        self.observe(now);
        self.user.wanted = false;
        self.mark_changed();
        self.forget_user(now);
    }

    /// Signs in again with another authenticator.
    pub(crate) fn authenticator_changed(&mut self, now: Now) {
        self.observe(now);
        self.forget_user(now);
        self.signin(now);
    }

    /// Makes sure that the connection belongs to no user.
    fn forget_user(&mut self, now: Now) {
        let presented = self.user.is_presented();
        self.user.connection_lost();
        if presented && self.phase.is_live() {
            self.reconnect(now);
        }
    }

    // ---- the authenticator

    /// Signs in on the new connection, if that is wanted.
    pub(super) fn sign_in_again(&mut self, now: Now) {
        if self.user.wanted {
            self.authenticate(1, now);
        }
    }

    fn authenticate(&mut self, attempt: u32, now: Now) {
        let Some(socket_id) = self.socket_id().map(str::to_owned) else {
            return;
        };
        self.requests += 1;
        let request_id = self.requests;
        self.push(Output::Authenticate { request_id, socket_id, attempt });
        let patience = self.config.signin_timeout.saturating_mul(QUEUE_PATIENCE);
        let deadline = now.mono.saturating_add(patience);
        self.user.status = Status::Authenticating(PendingRequest { request_id, attempt, deadline });
    }

    /// The authenticator is about to be called: its time begins. Returns `true` if the response is still of use.
    pub(crate) fn begin_authentication(&mut self, request_id: u64, now: Now) -> bool {
        match &mut self.user.status {
            Status::Authenticating(request) if request.request_id == request_id => {
                request.deadline = now.mono.saturating_add(self.config.signin_timeout);
                self.calls.insert((request.deadline, request_id));
                true
            }
            _ => false,
        }
    }

    /// The authenticator has responded.
    pub(crate) fn handle_authentication(
        &mut self,
        request_id: u64,
        response: Result<UserAuth, Error>,
        now: Now,
    ) {
        self.observe(now);
        self.calls.retain(|&(_, id)| id != request_id);
        let attempt = match &self.user.status {
            Status::Authenticating(request) if request.request_id == request_id => request.attempt,
            _ => return,
        };
        match response.and_then(|auth| self.present(&auth, now)) {
            Ok(()) => {}
            Err(error) if error.is_retryable() => {
                let wait = retry_wait(attempt, &error, self.random.f64());
                let until = now.mono.saturating_add(wait);
                let attempt = attempt.saturating_add(1);
                self.user.status = Status::Postponed { until, attempt };
                self.notify_signin_failure(error);
            }
            Err(error) => self.fail_signin(error),
        }
    }

    fn present(&mut self, auth: &UserAuth, now: Now) -> Result<(), Error> {
        check_auth(&auth.auth, "authenticator")?;
        let user = UserData::parse(&auth.user_data).ok_or_else(|| {
            let message = "the authenticator's user_data must be a JSON object with an id";
            Error::message(ErrorKind::Auth, message)
        })?;
        let frame = frame::signin(auth);
        check_request(&frame, "the sign-in")?;
        let deadline = now.mono.saturating_add(self.config.signin_timeout);
        let keyless = is_keyless(&auth.auth);
        self.user.status = Status::Sent { deadline, suspect: None, keyless };
        self.user.presented = Some(user);
        self.send(frame, now);
        Ok(())
    }

    // ---- the server

    pub(super) fn handle_signin_success(&mut self, event: &Event, now: Now) {
        let Some(presented) = &self.user.presented else {
            return self.log(Level::Debug, || {
                "ignored pusher:signin_success: no sign-in was requested".into()
            });
        };
        if matches!(self.user.status, Status::SignedIn) {
            return;
        }
        // Some servers send no user, or in another form.
        let user = UserData::of_success(event.data()).unwrap_or_else(|| presented.clone());
        let channel = format!("{CHANNEL_PREFIX}{}", user.id());
        self.user.status = Status::SignedIn;
        self.user.last_failure = None;
        self.user.presented = Some(user.clone());
        self.mark_changed();
        self.log_signed_in();
        self.notify(Notification::User(UserNotification::SignedIn(user)));
        // Pusher's own servers send to the user through this channel; others do so in any case, so
        // nothing depends on its confirmation.
        self.send(frame::subscribe(&channel, None), now);
        self.join_as_user(now);
    }

    /// Fails the sign-in if the error frame is about it. Returns `true` if it is.
    pub(super) fn refuses_signin(&mut self, refusal: &Refusal, error: &Error, now: Now) -> bool {
        let trigger = self.is_trigger_pending(now);
        let (Some(live), Status::Sent { deadline, suspect, .. }, None) =
            (self.phase.live(), &mut self.user.status, &refusal.channel)
        else {
            return false;
        };
        // Pusher quotes what should have been signed.
        let quoted = refusal.message.contains(&format!("{}::user::", live.socket_id));
        // soketi and sockudo refuse with this code, which they use for channels and client events too.
        let nothing_else_pending = !trigger && !self.channels.has_pending_authorized();
        if quoted || (refusal.code == Some(4009) && nothing_else_pending) {
            self.fail_signin(error.clone());
            return true;
        }
        // Reverb responds with 4200 to what it does not know. A close follows at once, if at all.
        if refusal.code.is_none_or(|code| code < 4300) {
            *deadline = (*deadline).min(now.mono.saturating_add(SUSPICION));
            *suspect = Some(error.clone());
        }
        false
    }

    pub(super) fn handle_watchlist(&mut self, event: &Event) {
        let [events] = pick(event.data(), ["events"]);
        each_element(events.unwrap_or_default(), |event| {
            let [name] = pick(event, ["name"]);
            if let Some(name) = name.and_then(id) {
                self.notify_watchlist(WatchlistEvent::new(&name, event));
            }
        });
    }

    /// sockudo sends them without the frame around them.
    pub(super) fn handle_bare_watchlist(&mut self, event: &Event) {
        let may_be = matches!(event.name(), "online" | "offline") && event.channel().is_none();
        if !may_be || !self.user.is_presented() {
            return;
        }
        let [user_ids] = pick(event.data(), ["user_ids"]);
        if user_ids.is_some_and(|ids| ids.starts_with('[')) {
            self.notify_watchlist(WatchlistEvent::new(event.name(), event.data()));
        }
    }

    fn notify_watchlist(&mut self, event: WatchlistEvent) {
        self.notify(Notification::User(UserNotification::Watchlist(event)));
    }

    /// Fails the sign-in if the close may be its refusal.
    pub(super) fn lose_user(&mut self, error: &Error) {
        if self.user.is_pending() && CloseClass::of(error.close_code()) == CloseClass::Stop {
            self.fail_signin(error.clone());
        }
    }

    // ---- time

    pub(super) fn handle_user_deadline(&mut self, now: Now) {
        if self.user.deadline().is_none_or(|deadline| deadline > now.mono) {
            return;
        }
        let limit = self.config.signin_timeout;
        let late = |which, what: &str| {
            let message = format!("{what} (signin_timeout is {})", units::words(limit));
            Error::timed_out(which, message)
        };
        match &mut self.user.status {
            Status::Idle | Status::SignedIn | Status::Failed(_) => {}
            Status::Authenticating(_) => {
                self.fail_signin(late(Timeout::Auth, "the user authenticator did not respond"));
            }
            Status::Postponed { attempt, .. } => {
                let attempt = *attempt;
                self.authenticate(attempt, now);
            }
            Status::Sent { suspect: Some(error), .. } => {
                let error = error.clone();
                self.fail_signin(error);
            }
            Status::Sent { deadline, .. } => {
                let sent = deadline.saturating_sub(limit);
                let error = late(Timeout::SignIn, "the server did not respond to the sign-in")
                    .with_hint("it may not be enabled for the app");
                self.fail_signin(with_cause(error, self.unexplained_since(sent)));
            }
        }
    }

    // ---- inside

    /// It is not retried on this connection, so the error is permanent.
    fn fail_signin(&mut self, error: Error) {
        let keyless = matches!(self.user.status, Status::Sent { keyless: true, .. });
        let error = if keyless { error.with_hint(KEYLESS) } else { error };
        let error = error.permanent();
        self.user.status = Status::Failed(error.clone());
        self.mark_changed();
        self.fail_channels_left_to_the_user(&error);
        self.notify_signin_failure(error);
    }

    fn notify_signin_failure(&mut self, error: Error) {
        self.user.last_failure = Some(error.clone());
        let next = match &self.user.status {
            Status::Postponed { until, .. } => Some(*until),
            _ => None,
        };
        self.log_signin_failure(&error, next);
        self.notify(Notification::User(UserNotification::Failed(error.clone())));
        self.notify(Notification::Error(error));
    }
}
