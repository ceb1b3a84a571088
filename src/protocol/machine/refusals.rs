//! Attributes the errors that a server reports on a live connection.
//!
//! Few of them name a channel in a field. An error is about the channel that its text names, or else the only one that
//! it can mean. Otherwise it is kept as the cause of what then times out.

use std::time::Duration;

use log::Level;

use super::Machine;
use super::inbound::is_users;
use super::mentions::{Mention, mentions, own_words};
use crate::model::event::ChannelName;
use crate::protocol::frame::Refusal;
use crate::protocol::{Notification, Now};
use crate::wire::ChannelKind;
use crate::{Error, Event};

/// After an error that may be about a request or about something else, the server has this long to confirm the
/// request all the same. A client event counts as pending for as long.
pub(super) const SUSPICION: Duration = Duration::from_secs(2);

/// Pusher's words for a channel that is subscribed already.
const EXISTING: &str = "existing subscription to channel";

/// Pusher's response to an unsubscribe frame, never to a subscribe frame.
const NOT_CURRENT: &str = "no current subscription to channel";

/// What an error is about, as far as the frame shows.
enum Subject {
    /// The subscription of this channel, which is pending.
    Pending(ChannelName),
    /// A channel that is not pending.
    Other,
    Unknown,
}

impl Machine {
    /// On a live connection an error frame decides nothing about the connection: servers send codes such as 4009
    /// and 4200 for a single request, and keep it.
    pub(super) fn handle_error(&mut self, event: Event, now: Now) {
        let refusal = Refusal::parse(&event);
        let error = refusal.error("the server reported an error");
        match self.subject(&refusal) {
            Subject::Pending(name) if says(&refusal, EXISTING) => {
                self.log(Level::Debug, || error.to_string());
                if !self.already_subscribed(&name, now) {
                    self.suspect(&name, error, now);
                }
            }
            subject => self.handle_refusal(subject, &refusal, error, now),
        }
        self.deliver(event);
    }

    fn handle_refusal(&mut self, subject: Subject, refusal: &Refusal, error: Error, now: Now) {
        match subject {
            Subject::Pending(name) => return self.fail_channel(&name, error),
            Subject::Other => {}
            Subject::Unknown if self.refuses_signin(refusal, &error, now) => return,
            Subject::Unknown => {
                if self.guess(refusal, &error, now) {
                    return;
                }
            }
        }
        // From 4300 on the frame is about one request and never announces a close.
        let may_end_it = matches!(refusal.code, Some(4000..=4299)) && refusal.channel.is_none();
        if let Some(live) = self.phase.live_mut().filter(|_| may_end_it) {
            live.remember_error(error.clone(), now);
        }
        self.log_report(&error);
        self.notify(Notification::Error(error.permanent()));
    }

    /// It is about a subscription, even if it does not name the channel.
    pub(super) fn handle_subscription_error(&mut self, event: Event, now: Now) {
        let refusal = Refusal::parse(&event);
        let error = refusal.error("the server refused the subscription");
        match (&refusal.channel, self.subject(&refusal)) {
            (Some(name), _) if self.channels.is_unsent(name) => return,
            (Some(name), _) if !is_users(name) => self.fail_channel(name, error),
            (None, Subject::Pending(name)) => self.fail_channel(&name, error),
            (None, Subject::Unknown) if self.guess(&refusal, &error, now) => {}
            _ => self.notify(Notification::Error(error.permanent())),
        }
        self.deliver(event.renamed("pusher:subscription_error"));
    }

    /// Finds the channel of an error that names none, or keeps the error. Returns `true` if it has failed the channel.
    fn guess(&mut self, refusal: &Refusal, error: &Error, now: Now) -> bool {
        match self.only_meant(now) {
            // Reverb and sockudo refuse any authorization with just this code.
            Some(name) if refusal.code == Some(4009) => {
                self.fail_channel(&name, error.clone());
                return true;
            }
            Some(name) => self.suspect(&name, error.clone(), now),
            None => self.keep_unexplained(error.clone(), now),
        }
        false
    }

    fn suspect(&mut self, name: &str, error: Error, now: Now) {
        self.channels.suspect(name, error, now.mono.saturating_add(SUSPICION));
    }

    fn keep_unexplained(&mut self, error: Error, now: Now) {
        if let Some(live) = self.phase.live_mut() {
            live.unexplained = Some((now.mono, error));
        }
    }

    /// Returns the last error that was not attributed, if it came after `sent`.
    pub(super) fn unexplained_since(&self, sent: Duration) -> Option<Error> {
        let unexplained = self.phase.live()?.unexplained.as_ref();
        unexplained.filter(|(at, _)| *at >= sent).map(|(_, error)| error.clone())
    }

    pub(super) fn is_trigger_pending(&self, now: Now) -> bool {
        let triggered = self.phase.live().and_then(|live| live.triggered);
        triggered.is_some_and(|at| now.mono.saturating_sub(at) < SUSPICION)
    }

    /// Returns the channel of an error that names none, if no other request can be meant.
    fn only_meant(&self, now: Now) -> Option<ChannelName> {
        if self.user.is_pending() || self.is_trigger_pending(now) {
            return None;
        }
        self.channels.only_pending_authorized()
    }

    fn subject(&self, refusal: &Refusal) -> Subject {
        if says(refusal, NOT_CURRENT) {
            // The channel may be pending all the same: unsubscribed and subscribed again.
            return Subject::Other;
        }
        if let Some(name) = &refusal.channel {
            let pending = self.channels.pending(name).and_then(|_| self.channels.name(name));
            return pending.map_or(Subject::Other, Subject::Pending);
        }
        let text = own_words(&refusal.message);
        if text.contains("::user::") {
            // It quotes what a sign-in signs.
            return Subject::Unknown;
        }
        let clear = || mentions(text).filter(Mention::is_clear);
        let own = |mention: &Mention<'_>| {
            mention.socket_id().is_none_or(|id| Some(id) == self.socket_id())
        };
        // Of each run only the longest name is meant: the rest is the beginning of it.
        let pending = clear()
            .filter(|mention| own(mention) && self.channels.pending(mention.name).is_some())
            .max_by_key(|mention| mention.name.len())
            .and_then(|mention| self.channels.name(mention.name));
        if let Some(name) = pending.or_else(|| self.channels.odd_pending_in(text)) {
            return Subject::Pending(name);
        }
        let is_other = |mention: Mention<'_>| {
            let prefixed = ChannelKind::of(mention.name) != ChannelKind::Public;
            self.channels.is_known(mention.name) || (prefixed && mention.is_introduced())
        };
        if clear().any(is_other) { Subject::Other } else { Subject::Unknown }
    }
}

pub(super) fn with_cause(error: Error, cause: Option<Error>) -> Error {
    match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

fn says(refusal: &Refusal, words: &str) -> bool {
    refusal.message.to_ascii_lowercase().contains(words)
}
