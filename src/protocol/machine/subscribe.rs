//! Subscribe frames: sent as fast as the server reads them, then confirmed or failed.

use super::channel::{Sent, Status};
use super::window::Request;
use crate::protocol::{ChannelNotification, Machine, Notification, Now, frame};
use crate::util::units;
use crate::wire::ChannelKind;
use crate::{Auth, Error, ErrorKind, Event, Gap, Timeout};

/// The longest subscribe or sign-in frame, in bytes: a fraction of what the transport holds for a peer that does
/// not read. No server takes as much.
const MAX_REQUEST: usize = 1024 * 1024;

const KEYLESS: &str = "the `auth` of the authorizer has no `key:` before the signature";

/// Checks the size of a frame that carries what an authorizer or authenticator returned.
pub(super) fn check_request(frame: &str, what: &str) -> Result<(), Error> {
    if frame.len() <= MAX_REQUEST {
        return Ok(());
    }
    let bytes = frame.len();
    let message = format!("{what} must take at most {MAX_REQUEST} bytes, but takes {bytes}");
    Err(Error::message(ErrorKind::TooLarge, message))
}

/// Checks that there is a signature.
pub(super) fn check_auth(auth: &str, whose: &str) -> Result<(), Error> {
    if !auth.trim().is_empty() {
        return Ok(());
    }
    Err(Error::message(ErrorKind::Auth, format!("the `auth` of the {whose} must not be empty")))
}

/// Returns `true` if there is no `key:` before the signature. No known server accepts that.
pub(super) fn is_keyless(auth: &str) -> bool {
    auth.split_once(':').is_none_or(|(key, _)| key.is_empty())
}

impl Machine {
    pub(super) fn send_subscribe(
        &mut self,
        name: &str,
        auth: Option<&Auth>,
        now: Now,
    ) -> Result<(), Error> {
        let frame = frame::subscribe(name, auth);
        check_request(&frame, "the subscription")?;
        let keyless = auth.is_some_and(|auth| is_keyless(&auth.auth));
        let request = Request { frame, keyless };
        if self.channels.has_room(request.frame.len()) {
            self.send_request(name, request, now);
        } else {
            self.channels.wait(name, request);
        }
        Ok(())
    }

    fn send_request(&mut self, name: &str, request: Request, now: Now) {
        let deadline = now.mono.saturating_add(self.config.subscribe_timeout);
        let sent = Sent::new(&request, deadline);
        let sent = match self.channels.get(name).map(|channel| channel.kind) {
            Some(ChannelKind::Presence) => sent.keeping(request.clone()),
            _ => sent,
        };
        self.channels.set(name, Status::Sent(sent));
        self.send(request.frame, now);
    }

    /// Sends the subscribe frame that has waited longest, if there is room for it by now.
    pub(super) fn send_waiting(&mut self) {
        let (true, Some(now)) = (self.phase.is_live(), self.last_seen) else {
            return;
        };
        if let Some((name, request)) = self.channels.next_waiting() {
            self.send_request(&name, request, now);
        }
    }

    /// Unsubscribes from a channel that is not wanted, but confirmed: its subscription was withdrawn before the
    /// response, or the server has made it by itself.
    pub(super) fn drop_unwanted(&mut self, name: &str, now: Now) {
        if !name.is_empty() {
            self.send(frame::unsubscribe(name), now);
        }
    }

    /// The server reports that a pending channel is subscribed already. That confirms it, but has no members: those
    /// need a new subscription. Returns `false` if one was made already.
    pub(super) fn already_subscribed(&mut self, name: &str, now: Now) -> bool {
        let kind = self.channels.get(name).map(|channel| channel.kind);
        if kind == Some(ChannelKind::Presence) {
            let Some(request) = self.channels.take_again(name) else {
                return false;
            };
            self.send(frame::unsubscribe(name), now);
            let deadline = now.mono.saturating_add(self.config.subscribe_timeout);
            self.channels.set(name, Status::Sent(Sent::new(&request, deadline)));
            self.send(request.frame, now);
            return true;
        }
        // The server sends no confirmation here.
        if let Ok(event) = Event::parse(frame::confirmation(name)) {
            self.handle_confirmation(event, now);
        }
        true
    }

    pub(super) fn confirm_channel(&mut self, name: &str, now: Now) -> bool {
        let Some(confirmed) = self.channels.confirm(name) else {
            return false;
        };
        self.mark_changed();
        let gap = confirmed.lost_at.map(|lost_at| Gap::new(now.since(lost_at)));
        self.log_subscribed(name, gap);
        if let Some(gap) = gap {
            self.notify(Notification::Channel(name.into(), ChannelNotification::Resumed(gap)));
        }
        self.open_outbox(name, now);
        true
    }

    /// The subscription has failed. It is not retried on this connection, so the error is permanent.
    pub(super) fn fail_channel(&mut self, name: &str, error: Error) {
        let keyless = self.channels.pending(name).is_some_and(|sent| sent.keyless);
        let error = if keyless { error.with_hint(KEYLESS) } else { error };
        let error = error.on_channel(name).permanent();
        if self.channels.fail(name, &error) {
            self.mark_changed();
            self.notify_failure(name, error.clone());
            self.refuse_line(name, &error);
        }
    }

    /// Returns why a subscription is still pending: its last failure on this connection, or that of the sign-in that it
    /// waits for, or an error that may be one, or what it waits for; else why there is no connection.
    pub(crate) fn pending_cause(&self, name: &str) -> Option<Error> {
        if !self.phase.is_live() {
            return self.why_not_connected();
        }
        match self.channels.get(name).map(|channel| &channel.status) {
            Some(Status::Sent(sent)) => self.suspect_of(sent),
            Some(Status::AwaitingUser { .. }) => self.last_signin_failure().cloned(),
            _ => None,
        }
        .or_else(|| self.channels.last_failure(name))
        .or_else(|| self.under_way(name))
    }

    /// Returns what a pending subscription waits for.
    fn under_way(&self, name: &str) -> Option<Error> {
        let (timeout, what) = match self.channels.get(name)?.status {
            Status::Authorizing(_) => (Timeout::Auth, "the authorizer has not responded yet"),
            Status::Sent(_) => (Timeout::Subscribe, "the server has not responded yet"),
            _ => return None,
        };
        Some(self.subscribe_late(timeout, what))
    }

    pub(super) fn subscribe_late(&self, which: Timeout, what: &str) -> Error {
        let limit = units::words(self.config.subscribe_timeout);
        Error::timed_out(which, format!("{what} (subscribe_timeout is {limit})"))
    }

    /// Returns the error that may have been the response to this subscribe frame.
    pub(super) fn suspect_of(&self, sent: &Sent) -> Option<Error> {
        let since = sent.deadline.saturating_sub(self.config.subscribe_timeout);
        sent.suspect.clone().or_else(|| self.unexplained_since(since))
    }
}
