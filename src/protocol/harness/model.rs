//! What must hold of every output, and after every input.

use serde_json::Value;

use super::{Harness, Request, UserRequest, short};
use crate::protocol::{ChannelNotification, Notification, Output, Policy, UserNotification};
use crate::wire::ChannelKind;
use crate::{ChannelStatus, Error, Event, State, StateChange};

/// Of more channels than these the state is not compared after every input: that takes the square of their number.
const MAX_CHECKED: usize = 64;

fn is_public(name: &str) -> bool {
    ChannelKind::of(name) == ChannelKind::Public
}

fn is_users(name: &str) -> bool {
    name.starts_with("#server-to-user-")
}

impl Harness {
    pub(super) fn wants(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted == name)
    }

    /// Returns `true` if it shows without the test's responses what the server has subscribed.
    fn is_followed(&self, name: &str) -> bool {
        let is_sent_at_once = is_public(name) && !self.has_large_responses;
        !is_users(name) && (self.approves || is_sent_at_once)
    }

    /// Whatever went before, the server has the channel subscribed that it confirms.
    pub(super) fn expect_confirmed(&mut self, generation: u64, event: &Event) {
        let confirms = event.name() == "pusher_internal:subscription_succeeded"
            && (generation, self.state) == (self.generation, State::Connected);
        let name = event.channel().filter(|name| confirms && !name.is_empty());
        if let Some(name) = name {
            self.note_subscribed(name);
        }
    }

    fn note_subscribed(&mut self, name: &str) {
        self.heard_of.insert(name.to_owned());
        if self.is_followed(name) {
            self.at_server.insert(name.to_owned(), true);
        }
    }

    /// On a new connection exactly what is wanted is done, in order.
    pub(super) fn check_establishment(&self, first: usize) {
        let outputs = self.outputs.iter().skip(first);
        let is_connected =
            |output: &&Output| matches!(output, Output::Notify(Notification::Connected(_)));
        if !outputs.clone().any(|output| is_connected(&output)) {
            return;
        }
        let joined: Vec<String> = (outputs.clone())
            .filter_map(|output| match output {
                Output::Authorize { channel, .. } => Some(channel.to_string()),
                Output::Send { frame, .. } => {
                    let sent = short(frame);
                    let name = sent.strip_prefix("subscribe ")?;
                    (is_public(name) && !is_users(name)).then(|| name.to_owned())
                }
                _ => None,
            })
            .collect();
        assert_eq!(joined, self.wanted, "exactly what is wanted, in order");
        let signins = outputs.filter(|output| matches!(output, Output::Authenticate { .. }));
        assert_eq!(signins.count(), usize::from(self.wants_signin));
    }

    /// An approved sign-in is sent at once.
    pub(super) fn check_signins(&self, first: usize) {
        let outputs = self.outputs.iter().skip(first);
        let is_request = |output: &&Output| matches!(output, Output::Authenticate { .. });
        let is_signin = |output: &&Output| match output {
            Output::Send { frame, .. } => short(frame) == "signin",
            _ => false,
        };
        let (requests, sent) = (outputs.clone().filter(is_request), outputs.filter(is_signin));
        assert!(!self.approves || requests.count() == sent.count(), "an approved sign-in is sent");
    }

    pub(super) fn note(&mut self, output: &Output) {
        match output {
            Output::Dial { generation, deadline } => {
                assert!(!self.open, "dialed while the last connection stands");
                let before = self.running.replace(*generation);
                assert_eq!(before, None, "dialed while another dial has not returned");
                assert_eq!(*generation, self.generation + 1, "generations count the dials");
                assert!(*deadline > self.now.mono, "a dial has time");
                (self.generation, self.open) = (*generation, true);
                self.at_server.clear();
                self.heard_of.clear();
            }
            Output::Close { generation, .. } => {
                assert!(self.open, "closed what is not there");
                assert_eq!(*generation, self.generation, "closed another connection");
                self.open = false;
            }
            Output::Send { generation, frame } => {
                assert!(self.open, "sent {frame} without a connection");
                assert_eq!(*generation, self.generation, "sent {frame} to another connection");
                self.note_sent(frame);
            }
            Output::CallPolicy { call, .. } => {
                assert!(matches!(self.machine.config.policy, Policy::Custom));
                assert!(*call > self.policy_calls, "its number is new");
                self.policy_calls = *call;
            }
            Output::Authorize { request_id, channel, socket_id, attempt } => {
                assert!(
                    self.requests.last().is_none_or(|last| last.id < *request_id),
                    "ids are new"
                );
                assert_eq!(*socket_id, self.socket_id);
                assert!(self.wants(channel), "a request for {channel}");
                let is_before =
                    |it: &&Request| it.channel == **channel && it.connection == self.connections;
                let before = self.requests.iter().rfind(is_before);
                let is_retry = before.is_some_and(|before| before.attempt + 1 == *attempt);
                assert!(*attempt == 1 || is_retry, "attempts count: {attempt}");
                self.requests.push(Request {
                    id: *request_id,
                    channel: channel.to_string(),
                    socket_id: socket_id.clone(),
                    attempt: *attempt,
                    connection: self.connections,
                    auth: None,
                });
            }
            Output::Authenticate { request_id, socket_id, .. } => {
                self.note_user_request(*request_id, socket_id);
            }
            Output::Abandon { request_id } => {
                let at = self.running_requests.iter().position(|id| id == request_id);
                self.running_requests.swap_remove(at.expect("it runs"));
                self.abandoned.push(*request_id);
            }
            Output::Log(level, line) => self.log.push(format!("{level} {line}")),
            Output::Notify(notification) => self.note_notification(notification),
        }
    }

    fn note_user_request(&mut self, id: u64, socket_id: &str) {
        assert!(self.user_requests.last().is_none_or(|last| last.id < id), "ids are new");
        assert_eq!(socket_id, self.socket_id);
        assert!(self.wants_signin);
        self.user_requests.push(UserRequest { id, socket_id: socket_id.to_owned(), auth: None });
    }

    fn note_sent(&mut self, frame: &str) {
        let value: Value = serde_json::from_str(frame).expect("a frame is JSON");
        let name = value["data"]["channel"].as_str().unwrap_or_default();
        let auth = value["data"]["auth"].as_str();
        match value["event"].as_str().expect("an event") {
            "pusher:signin" => {
                let last = self.user_requests.last().expect("a request");
                assert!(self.wants_signin);
                assert_eq!(last.socket_id, self.socket_id, "of another connection");
                assert_eq!(auth, last.auth.as_deref(), "an old response");
            }
            "pusher:subscribe" if is_users(name) => {
                let id =
                    self.machine.signed_in().map(|user| format!("#server-to-user-{}", user.id()));
                assert!(self.wants_signin);
                assert_eq!(id.as_deref(), Some(name));
            }
            "pusher:subscribe" => {
                assert!(self.wants(name), "subscribed to {name}");
                match auth {
                    None => assert!(is_public(name), "{name} without an authorization"),
                    Some(auth) => self.check_response(name, auth),
                }
                self.note_subscribed(name);
            }
            "pusher:unsubscribe" => {
                // A presence channel is subscribed anew where the server has it already.
                let again = ChannelKind::of(name) == ChannelKind::Presence;
                assert!(again || !self.wants(name), "{name} is wanted");
                assert!(self.heard_of.contains(name), "the server has not heard of {name}");
                if self.is_followed(name) {
                    let was = self.at_server.insert(name.to_owned(), false);
                    assert_eq!(was, Some(true), "unsubscribed {name}, which the server has not");
                }
            }
            "pusher:ping" => return,
            event if event.starts_with("client-") => self.note_client_event(&value),
            _ => {}
        }
        self.frames.push(frame.to_owned());
    }

    /// What is sent is the response to the last request for the channel, on this connection.
    fn check_response(&self, name: &str, auth: &str) {
        let kind = ChannelKind::of(name);
        assert_ne!(kind, ChannelKind::Public);
        let responded =
            |request: &&Request| request.channel == name && request.auth.as_deref() == Some(auth);
        let request = self.requests.iter().rfind(responded).expect("a response");
        let connection = (request.connection, &request.socket_id);
        assert_eq!(connection, (self.connections, &self.socket_id), "{name} has an old response");
        // One that is left to the signed-in user waits for them, and large ones wait for each other.
        let may_wait = kind == ChannelKind::Presence || self.has_large_responses || self.approves;
        assert!(may_wait || self.responding == Some(request.id), "{name} has an old response");
        // Another key may be requested meanwhile, but there is no more than one subscription.
        let is_later = |it: &Request| it.channel == name && it.id > request.id;
        let later = self.requests.iter().any(is_later);
        assert!(kind == ChannelKind::PrivateEncrypted || !later, "{name} has an old response");
    }

    fn note_notification(&mut self, notification: &Notification) {
        match notification {
            Notification::State(change) => self.note_state(change),
            Notification::Connected(socket_id) => {
                assert_eq!(self.state, State::Connected);
                self.socket_id.clone_from(socket_id);
                self.connections += 1;
            }
            Notification::Error(error) => {
                let _ = format!("{error} {error:?}");
                self.errors.push(error.clone());
            }
            Notification::Event(event) => {
                assert!(!event.name().starts_with("pusher_internal:"), "{event:?}");
                let is_silent = |name: &str| self.silent.iter().any(|silent| silent == name);
                assert!(!event.channel().is_some_and(is_silent), "{event:?} was unsubscribed");
            }
            Notification::User(notification) => {
                let is_watchlist = matches!(notification, UserNotification::Watchlist(_));
                assert!(self.wants_signin || is_watchlist, "notified of {notification:?}");
            }
            Notification::Channel(name, notification) => {
                assert!(self.wants(name), "notified of {name}: {notification:?}");
                let error = match notification {
                    ChannelNotification::Failed(error) => Some(error),
                    #[cfg(feature = "encrypted")]
                    ChannelNotification::Undecryptable(error) => Some(error),
                    _ => None,
                };
                assert!(error.is_none_or(|error| error.channel() == Some(name)), "{error:?}");
            }
        }
    }

    fn note_state(&mut self, change: &StateChange) {
        assert_eq!(change.previous, self.state, "changes chain");
        let waits = change.current == State::Reconnecting;
        assert!(waits || change.current != change.previous, "{change:?}");
        assert!(waits || change.retry_in.is_none(), "{change:?}");
        assert!(change.current != State::Failed || change.cause.is_some());
        self.state = change.current;
    }

    pub(super) fn check(&mut self) {
        let machine = &mut self.machine;
        assert_eq!(machine.state(), self.state, "every change is notified");
        let live = self.state == State::Connected;
        assert_eq!(machine.socket_id().is_some(), live);
        assert_eq!(machine.is_current(self.generation), self.open);
        let ended = matches!(self.state, State::Initialized | State::Disconnected | State::Failed);
        assert!(!(ended && self.open), "{:?} with a connection", self.state);
        assert!(self.open || !live, "connected without a connection");
        assert_eq!(machine.failure().is_some(), self.state == State::Failed);
        assert_eq!(machine.wants_signin(), self.wants_signin);
        assert!(machine.signed_in().is_none() || (live && self.wants_signin));
        assert!(machine.signin_failure().is_none() || (live && self.wants_signin));
        let deadline = machine.deadline();
        // A call that runs is waited for in any state.
        let calls = !self.running_requests.is_empty();
        assert!(!ended || calls || deadline.is_none(), "{:?} waits: {deadline:?}", self.state);
        let decides = matches!(machine.config.policy, Policy::Custom) && !self.open;
        assert!(ended || decides || deadline.is_some(), "nothing will ever happen");
        self.check_outbox();
        if self.wanted.len() <= MAX_CHECKED {
            self.check_channels(live);
        }
    }

    fn check_channels(&self, live: bool) {
        if live && !self.has_large_responses {
            let followed = |name: &&String| self.is_followed(name);
            let mut wanted: Vec<_> = self.wanted.iter().filter(followed).collect();
            wanted.sort_unstable();
            let has = self.at_server.iter().filter(|&(_, &subscribed)| subscribed);
            let at_server: Vec<_> = has.map(|(name, _)| name).collect();
            assert_eq!(at_server, wanted, "what was subscribed is what is wanted");
        }
        for name in self.wanted.iter().chain(&self.silent) {
            let status = self.machine.channel_status(name);
            let is_wanted = self.wants(name);
            assert_eq!(status == ChannelStatus::Unsubscribed, !is_wanted, "{name}: {status:?}");
            assert!(live || status != ChannelStatus::Subscribed, "{name} offline");
            assert!(live || self.machine.subscription_count(name).is_none(), "{name} offline");
            assert!(live || self.machine.members(name).is_empty(), "{name} offline");
            let failure: Option<Error> = self.machine.channel_failure(name);
            let is_failed = status == ChannelStatus::Failed;
            assert_eq!(failure.is_some(), is_failed, "{name}: {status:?}");
        }
    }
}
