//! A machine whose channels need an authorization, with a clock of its own: it keeps what came out,
//! and checks that no subscription is sent with an answer that is not for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{ChannelNotice, Machine, Notice, Now, Output, UserNotice};
use super::sim::{config, secs};
use crate::wire::ChannelKind;
use crate::{Auth, ChannelStatus, Error, ErrorKind, Event, UserAuth};

/// A question to the authorizer.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) ticket: u64,
    pub(super) channel: String,
    pub(super) socket_id: String,
    pub(super) attempt: u32,
}

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) machine: Machine,
    pub(super) now: Now,
    generation: u64,
    dialling: bool,
    connections: u64,
    /// What came out since it was last expected, a line each; see [`Desk::note`].
    log: Vec<String>,
    /// Everything that came out, from the beginning.
    pub(super) frames: Vec<String>,
    pub(super) asks: Vec<Ask>,
    /// The tickets of the questions to the authenticator.
    pub(super) user_asks: Vec<u64>,
    /// The tickets of those that are not awaited any more.
    pub(super) abandoned: Vec<u64>,
    pub(super) errors: Vec<Error>,
    /// What was logged; nothing unless the machine's journal takes it.
    pub(super) lines: Vec<String>,
}

/// A frame that was sent: `subscribe room`, `ping`, ….
pub(super) fn short(frame: &str) -> String {
    let value: Value = serde_json::from_str(frame).expect("a frame is JSON");
    let event = value["event"].as_str().expect("a frame has an event");
    let event = event.strip_prefix("pusher:").unwrap_or(event);
    match value["data"]["channel"].as_str() {
        Some(channel) => format!("{event} {channel}"),
        None => event.to_owned(),
    }
}

/// The key of this number, as an authorizer tells it.
pub(super) fn secret(number: u8) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode([number; 32])
}

/// What a server would grant for this question, signed with the ticket and the socket's id.
pub(super) fn granted(ask: &Ask) -> Auth {
    let auth = Auth::new(format!("{}/{}", ask.socket_id, ask.ticket));
    match ChannelKind::of(&ask.channel) {
        ChannelKind::Public | ChannelKind::Private => auth,
        ChannelKind::Presence => auth.channel_data(r#"{"user_id":"me"}"#),
        ChannelKind::PrivateEncrypted => auth.shared_secret(secret(1)),
    }
}

pub(super) fn status(code: u16) -> Error {
    Error::message(ErrorKind::Auth, "the endpoint refused").with_http_status(code)
}

pub(super) fn io() -> Error {
    Error::new(ErrorKind::Io, "connection refused")
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::new(config()),
            now: Now { mono: secs(1000), suspended: secs(7), wall: secs(1_700_000_000) },
            generation: 0,
            dialling: false,
            connections: 0,
            log: Vec::new(),
            frames: Vec::new(),
            asks: Vec::new(),
            user_asks: Vec::new(),
            abandoned: Vec::new(),
            errors: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(super) fn connected() -> Self {
        let mut desk = Self::new();
        desk.input(|machine, now| machine.connect(now));
        desk.establish();
        desk
    }

    /// Connected, with these channels granted and confirmed.
    pub(super) fn subscribed(names: &[&str]) -> Self {
        let mut desk = Self::connected();
        for name in names {
            desk.subscribe(name);
            desk.grant(name);
            desk.confirm(name);
        }
        desk.log.clear();
        desk
    }

    // ---- what the user wants

    pub(super) fn subscribe(&mut self, name: &str) {
        self.input(|machine, now| machine.subscribe(name, now));
    }

    pub(super) fn unsubscribe(&mut self, name: &str) {
        self.input(|machine, now| machine.unsubscribe(name, now));
    }

    pub(super) fn disconnect(&mut self) {
        self.input(|machine, now| machine.disconnect(now));
    }

    pub(super) fn trigger(&mut self, name: &str, event: &str, data: &str) -> Result<(), ErrorKind> {
        let result = self.input(|machine, now| machine.trigger(name, event, data, now));
        result.map_err(|error| {
            assert_eq!(error.channel(), Some(name));
            error.kind()
        })
    }

    pub(super) fn signin(&mut self) {
        self.input(|machine, now| machine.signin(now));
    }

    pub(super) fn signout(&mut self) {
        self.input(|machine, now| machine.signout(now));
    }

    // ---- the connection

    /// The connection breaks; the next one is not dialled yet.
    pub(super) fn lose(&mut self) {
        let generation = self.generation;
        self.input(|machine, now| machine.handle_lost(generation, io(), now));
    }

    /// The user dials again, or for the first time, and the server greets.
    pub(super) fn reconnect(&mut self) {
        self.input(|machine, now| machine.reconnect(now));
        self.establish();
    }

    /// The server greets whoever dials.
    pub(super) fn establish(&mut self) {
        if std::mem::take(&mut self.dialling) {
            self.connections += 1;
            let data = json!({ "socket_id": self.socket_id(), "activity_timeout": 120 });
            self.server("pusher:connection_established", None, &data);
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The id of the present connection, as the server knows it.
    pub(super) fn socket_id(&self) -> String {
        format!("7.{}", self.connections)
    }

    // ---- the authorizer

    /// The last question about the channel.
    #[track_caller]
    pub(super) fn ask(&self, name: &str) -> Ask {
        self.asks.iter().rfind(|ask| ask.channel == name).expect("a question").clone()
    }

    pub(super) fn begin(&mut self, ask: &Ask) -> bool {
        self.input(|machine, now| machine.begin_authorization(&ask.channel, ask.ticket, now))
    }

    pub(super) fn reply(&mut self, ask: &Ask, answer: Result<Auth, Error>) {
        let ticket = ask.ticket;
        self.input(|machine, now| machine.handle_authorization(&ask.channel, ticket, answer, now));
    }

    /// Asks and answers the last question about the channel.
    #[track_caller]
    pub(super) fn answer(&mut self, name: &str, answer: Result<Auth, Error>) {
        let ask = self.ask(name);
        assert!(self.begin(&ask), "{ask:?} is current");
        self.reply(&ask, answer);
    }

    #[track_caller]
    pub(super) fn grant(&mut self, name: &str) {
        let auth = granted(&self.ask(name));
        self.answer(name, Ok(auth));
    }

    // ---- the authenticator

    /// Asks and answers the last question to the authenticator.
    #[track_caller]
    pub(super) fn answer_user(&mut self, answer: Result<UserAuth, Error>) {
        let ticket = *self.user_asks.last().expect("a question");
        assert!(
            self.input(|machine, now| machine.begin_authentication(ticket, now)),
            "it is current"
        );
        self.input(|machine, now| machine.handle_authentication(ticket, answer, now));
    }

    /// The authenticator says that it is this user.
    #[track_caller]
    pub(super) fn present(&mut self, id: &str) {
        self.answer_user(Ok(UserAuth::new("key:s", json!({ "id": id }).to_string())));
    }

    /// The server confirms the sign-in, as Pusher does.
    pub(super) fn confirm_user(&mut self, id: &str) {
        let data = json!({ "user_data": json!({ "id": id }).to_string() });
        self.server("pusher:signin_success", None, &json!(data.to_string()));
    }

    /// Connected, and signed in as this user.
    pub(super) fn signed_in(id: &str) -> Self {
        let mut desk = Self::connected();
        desk.signin();
        desk.present(id);
        desk.confirm_user(id);
        desk.take();
        desk
    }

    // ---- the server

    pub(super) fn confirm(&mut self, name: &str) {
        self.server("pusher_internal:subscription_succeeded", Some(name), &json!("{}"));
    }

    pub(super) fn server(&mut self, event: &str, channel: Option<&str>, data: &Value) {
        let mut frame = json!({ "event": event, "data": data });
        if let Some(channel) = channel {
            frame["channel"] = channel.into();
        }
        let event = Event::parse(frame.to_string()).expect("an event");
        let generation = self.generation;
        self.input(|machine, now| machine.handle_event(generation, event, now));
    }

    /// A `pusher:error` that names no channel.
    pub(super) fn error(&mut self, code: impl Into<Value>, message: &str) {
        let data = json!({ "code": code.into(), "message": message });
        self.server("pusher:error", None, &data);
    }

    // ---- time

    fn skip(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    /// Lets the time pass, and tells the machine at each of its deadlines; the server answers pings.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end) {
            self.skip(deadline.saturating_sub(self.now.mono));
            let mut calls = 0;
            while self.machine.deadline().is_some_and(|deadline| deadline <= self.now.mono) {
                self.input(|machine, now| machine.handle_timeout(now));
                calls += 1;
                assert!(calls < 4, "the deadline stays: {:?}", self.machine);
            }
        }
        self.skip(end - self.now.mono);
    }

    // ---- results

    pub(super) fn status(&self, name: &str) -> ChannelStatus {
        self.machine.channel_status(name)
    }

    pub(super) fn members(&self, name: &str) -> Vec<String> {
        self.machine.members(name).iter().map(|member| member.id().to_owned()).collect()
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    #[track_caller]
    pub(super) fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.take(), lines);
    }

    #[track_caller]
    pub(super) fn last_frame(&self) -> Value {
        serde_json::from_str(self.frames.last().expect("a frame")).expect("JSON")
    }

    /// That this failure is all that was told, on the channel and on the client.
    #[track_caller]
    pub(super) fn expect_failure(&mut self, name: &str, kind: ErrorKind) {
        self.expect(&[&format!("failed {name} {kind:?}"), &format!("error {name} {kind:?}")]);
    }

    // ---- inside

    pub(super) fn input<R>(&mut self, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        let result = input(&mut self.machine, self.now);
        let mut pinged = false;
        while let Some(output) = self.machine.poll_output() {
            pinged |= self.note(output);
        }
        if pinged {
            self.server("pusher:pong", None, &json!("{}"));
        }
        result
    }

    /// Takes down an output; tells whether it is a ping.
    fn note(&mut self, output: Output) -> bool {
        let line = match output {
            Output::Dial { generation, .. } => {
                self.machine.handle_dial_returned(generation, self.now);
                (self.generation, self.dialling) = (generation, true);
                return false;
            }
            Output::HangUp { .. } => return false,
            Output::Send { generation, frame } => {
                assert_eq!(generation, self.generation, "sent {frame} to another connection");
                let value: Value = serde_json::from_str(&frame).expect("a frame is JSON");
                let (event, channel) = (value["event"].as_str(), value["data"]["channel"].as_str());
                let line = match (event, channel) {
                    (Some("pusher:ping"), _) => return true,
                    (Some("pusher:subscribe"), Some(name)) => {
                        self.check(name, &value["data"]["auth"]);
                        format!("subscribe {name}")
                    }
                    (Some("pusher:unsubscribe"), Some(name)) => format!("unsubscribe {name}"),
                    (Some("pusher:signin"), _) => {
                        format!("signin {}", value["data"]["user_data"].as_str().expect("text"))
                    }
                    _ => frame.clone(),
                };
                self.frames.push(frame);
                line
            }
            Output::Ask { .. } => panic!("nobody decides about dials"),
            Output::Authorize { ticket, channel, socket_id, attempt } => {
                assert!(self.asks.iter().all(|ask| ask.ticket < ticket), "tickets are new");
                assert_eq!(socket_id, self.socket_id());
                let line = format!("ask {channel} {attempt}");
                let channel = channel.to_string();
                self.asks.push(Ask { ticket, channel, socket_id, attempt });
                line
            }
            Output::Authenticate { ticket, socket_id, attempt } => {
                assert!(self.user_asks.iter().all(|&asked| asked < ticket), "tickets are new");
                assert_eq!(socket_id, self.socket_id());
                self.user_asks.push(ticket);
                format!("authenticate {attempt}")
            }
            Output::Abandon { ticket } => {
                self.abandoned.push(ticket);
                return false;
            }
            Output::Log(level, line) => {
                self.lines.push(format!("{level} {line}"));
                return false;
            }
            Output::Notify(notice) => match notice {
                Notice::State(_) | Notice::Connected(_) => return false,
                Notice::Error(error) => {
                    let line =
                        format!("error {} {:?}", error.channel().unwrap_or("-"), error.kind());
                    self.errors.push(error);
                    line
                }
                Notice::Event(event) => {
                    let (name, channel) = (event.name(), event.channel().unwrap_or("-"));
                    if name.contains(':') {
                        format!("event {channel} {name}")
                    } else {
                        format!("event {channel} {name} {}", event.data())
                    }
                }
                Notice::User(UserNotice::SignedIn(user)) => format!("signed in {}", user.id()),
                Notice::User(UserNotice::Failed(error)) => {
                    format!("signin failed {:?}", error.kind())
                }
                Notice::User(UserNotice::Watchlist(event)) => {
                    format!("watchlist {} {:?}", event.name(), event.user_ids())
                }
                Notice::Channel(name, notice) => match notice {
                    ChannelNotice::Failed(error) => {
                        assert_eq!(error.channel(), Some(&*name));
                        format!("failed {name} {:?}", error.kind())
                    }
                    ChannelNotice::Count(count) => format!("count {name} {count}"),
                    ChannelNotice::Resumed(_) => format!("resumed {name}"),
                    ChannelNotice::MemberAdded(member) => {
                        format!("added {name} {} {}", member.id(), member.info())
                    }
                    ChannelNotice::MemberRemoved(member) => {
                        format!("removed {name} {} {}", member.id(), member.info())
                    }
                    #[cfg(feature = "encrypted")]
                    ChannelNotice::Undecryptable(error) => {
                        assert_eq!(error.channel(), Some(&*name));
                        format!("undecryptable {name} {:?}", error.kind())
                    }
                },
            },
        };
        self.log.push(line);
        false
    }

    /// What is sent is the answer to the last question about the channel, on this connection.
    fn check(&self, name: &str, auth: &Value) {
        assert_ne!(self.status(name), ChannelStatus::Unsubscribed, "{name} is not wanted");
        if ChannelKind::of(name) == ChannelKind::Public {
            return assert!(auth.is_null());
        }
        let auth = auth.as_str().expect("an auth");
        // Other signatures are those of a test that looks at them itself.
        if let Some((socket_id, ticket)) = auth.split_once('/') {
            let ask = self.ask(name);
            assert_eq!(Some(socket_id), self.machine.socket_id(), "{name} has another's answer");
            assert_eq!(ticket, ask.ticket.to_string(), "{name} has an old answer");
        }
    }
}
