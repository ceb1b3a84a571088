//! A machine with a clock of its own and a model of what the other side knows, which checks after
//! every input what must always hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::super::{
    Backoff, ChannelNotice, Config, Machine, Notice, Now, Output, Ping, Policy, UserNotice,
};
use super::desk::short;
use crate::{
    Auth, ChannelStatus, Error, ErrorKind, Event, Gap, Queue, State, StateChange, UserAuth,
};

pub(super) const ACTIVITY: Duration = secs(120);
pub(super) const PONG: Duration = secs(30);
pub(super) const CONNECT: Duration = secs(15);
pub(super) const SUBSCRIBE: Duration = secs(20);
pub(super) const SIGNIN: Duration = secs(25);
/// How long after `CONNECT` a dial that says nothing is given up.
pub(super) const GRACE: Duration = Duration::from_millis(250);
pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn backoff(max_attempts: Option<u32>) -> Policy {
    Policy::Backoff(Backoff { max_attempts, ..Backoff::default() })
}

pub(super) fn config() -> Config {
    Config {
        activity_timeout: ACTIVITY,
        override_activity_timeout: None,
        pong_timeout: PONG,
        connect_timeout: CONNECT,
        subscribe_timeout: SUBSCRIBE,
        signin_timeout: SIGNIN,
        policy: backoff(None),
        client_event_limit: Some(10),
        max_members_bytes: 16 * 1024 * 1024,
        max_held: Queue::default().limits(),
        seed: 7,
    }
}

/// What has come out since it was last taken.
#[derive(Debug, Default)]
pub(super) struct News {
    /// One letter for each output: Dial, Hangup, Send, Question (Ask); state, connected, error,
    /// event as `v`, failed channel as `f`, number (a channel's count), resumed, another notice, of the user.
    pub(super) order: String,
    pub(super) dials: Vec<(u64, Duration)>,
    pub(super) hangups: Vec<(u64, u16)>,
    pub(super) sends: Vec<String>,
    pub(super) asks: Vec<(u64, u32, Option<Error>)>,
    pub(super) states: Vec<StateChange>,
    pub(super) connected: Vec<String>,
    pub(super) errors: Vec<Error>,
    pub(super) events: Vec<Event>,
    pub(super) failed: Vec<(String, Error)>,
    pub(super) counts: Vec<(String, u64)>,
    pub(super) resumed: Vec<(String, Gap)>,
    pub(super) others: Vec<(String, ChannelNotice)>,
    pub(super) users: Vec<UserNotice>,
}

impl News {
    /// The frames that were sent: `subscribe room`, `ping`, ….
    pub(super) fn sent(&self) -> Vec<String> {
        self.sends.iter().map(|frame| short(frame)).collect()
    }

    pub(super) fn event_names(&self) -> Vec<&str> {
        self.events.iter().map(Event::name).collect()
    }

    #[track_caller]
    pub(super) fn state(&self) -> &StateChange {
        assert_eq!(self.states.len(), 1, "one change of state: {:?}", self.states);
        &self.states[0]
    }

    #[track_caller]
    pub(super) fn error(&self) -> &Error {
        assert_eq!(self.errors.len(), 1, "one error: {:?}", self.errors);
        &self.errors[0]
    }
}

#[derive(Debug)]
pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) now: Now,
    news: News,
    /// The generation of the last dial.
    pub(super) generation: u64,
    /// Whether its dial or connection still stands, as far as the machine knows.
    open: bool,
    /// Whether what a dial calls does not return.
    pub(super) blocks: bool,
    /// The dial that has not returned.
    running: Option<u64>,
    /// The last question that the user was asked.
    pub(super) questions: u64,
    /// Whether the user decides about every dial.
    asks: bool,
    state: State,
    /// What the user wants, in the order of asking.
    wanted: Vec<String>,
    /// Whether the user wants to be signed in.
    wants_signin: bool,
    /// What the user has given up, but still has handles of.
    silent: Vec<String>,
    /// For each channel, whether the last frame about it on this connection was a subscribe that the
    /// server has not refused.
    at_server: BTreeMap<String, bool>,
}

impl Sim {
    pub(super) fn with(edit: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        edit(&mut config);
        Self {
            asks: matches!(config.policy, Policy::Ask),
            machine: Machine::new(config),
            now: Now { mono: secs(1000), suspended: secs(7), wall: secs(1_700_000_000) },
            news: News::default(),
            generation: 0,
            questions: 0,
            open: false,
            blocks: false,
            running: None,
            state: State::Initialized,
            wanted: Vec::new(),
            wants_signin: false,
            silent: Vec::new(),
            at_server: BTreeMap::new(),
        }
    }

    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Connected, with nothing to take.
    pub(super) fn connected() -> Self {
        Self::connected_with(|_| {})
    }

    pub(super) fn connected_with(edit: impl FnOnce(&mut Config)) -> Self {
        let mut sim = Self::with(edit);
        sim.connect();
        sim.established();
        assert_eq!(sim.machine.state(), State::Connected);
        sim.take();
        sim
    }

    /// As `connected`, with these channels confirmed.
    pub(super) fn subscribed(names: &[&str]) -> Self {
        let mut sim = Self::connected();
        for name in names {
            sim.subscribe(name);
            sim.confirm(name);
        }
        sim.take();
        sim
    }

    // ---- what the user wants

    pub(super) fn connect(&mut self) {
        self.input(|machine, now| machine.connect(now));
    }

    pub(super) fn disconnect(&mut self) {
        self.input(|machine, now| machine.disconnect(now));
    }

    pub(super) fn reconnect(&mut self) {
        self.input(|machine, now| machine.reconnect(now));
    }

    pub(super) fn close(&mut self) {
        self.input(|machine, now| machine.close(now));
    }

    pub(super) fn network_changed(&mut self) {
        self.input(|machine, now| machine.network_changed(now));
    }

    pub(super) fn ping(&mut self) -> Result<Ping, Error> {
        let mut result = None;
        self.input(|machine, now| result = Some(machine.ping(now)));
        result.unwrap()
    }

    pub(super) fn subscribe(&mut self, name: &str) {
        if !self.machine.is_closed() {
            self.silent.retain(|silent| silent != name);
            if !self.wanted.iter().any(|wanted| wanted == name) {
                self.wanted.push(name.to_owned());
            }
        }
        self.input(|machine, now| machine.subscribe(name, now));
    }

    pub(super) fn unsubscribe(&mut self, name: &str) {
        // The clocks may tell that the connection is in doubt, but not that it is gone: what the
        // server has refused it does not need to hear of again.
        if self.machine.channel_failure(name).is_some_and(|error| !error.is_timeout()) {
            self.at_server.remove(name);
        }
        if let Some(at) = self.wanted.iter().position(|wanted| wanted == name) {
            self.wanted.remove(at);
            self.silent.push(name.to_owned());
        }
        self.input(|machine, now| machine.unsubscribe(name, now));
    }

    pub(super) fn signin(&mut self) {
        self.wants_signin |= !self.machine.is_closed();
        self.input(|machine, now| machine.signin(now));
    }

    pub(super) fn signout(&mut self) {
        self.wants_signin = false;
        self.input(|machine, now| machine.signout(now));
    }

    pub(super) fn switch(&mut self) {
        self.input(|machine, now| machine.switch(now));
    }

    pub(super) fn retire(&mut self, name: &str) {
        self.silent.retain(|silent| silent != name);
        self.input(|machine, _| machine.retire(name));
    }

    // ---- what comes in, on the present generation

    pub(super) fn opened(&mut self) {
        let generation = self.generation;
        self.input(|machine, now| machine.handle_opened(generation, now));
    }

    pub(super) fn established(&mut self) {
        self.established_with(r#"{"socket_id":"1.1","activity_timeout":120}"#);
    }

    /// `data` is sent as a string, as servers do.
    pub(super) fn established_with(&mut self, data: &str) {
        self.server("pusher:connection_established", None, &Value::from(data).to_string());
    }

    pub(super) fn confirm(&mut self, channel: &str) {
        self.server("pusher_internal:subscription_succeeded", Some(channel), r#""{}""#);
    }

    pub(super) fn signin_success(&mut self) {
        let data = r#""{\"user_data\":\"{\\\"id\\\":\\\"bob\\\"}\"}""#;
        self.server("pusher:signin_success", None, data);
    }

    /// An event of the server's; `data` is JSON, or empty to leave it out.
    pub(super) fn server(&mut self, event: &str, channel: Option<&str>, data: &str) {
        let mut frame = format!(r#"{{"event":{}"#, Value::from(event));
        if let Some(channel) = channel {
            frame.push_str(&format!(r#","channel":{}"#, Value::from(channel)));
        }
        if !data.is_empty() {
            frame.push_str(&format!(r#","data":{data}"#));
        }
        self.frame(frame + "}");
    }

    /// Any frame, as the driver hands it over.
    pub(super) fn frame(&mut self, raw: impl Into<String>) {
        let generation = self.generation;
        self.frame_on(generation, raw);
    }

    pub(super) fn frame_on(&mut self, generation: u64, raw: impl Into<String>) {
        match Event::parse(raw.into()) {
            Ok(event) => {
                let is_users = |name: &str| name.is_empty() || name.starts_with("#server-to-user-");
                let confirms = event.name() == "pusher_internal:subscription_succeeded"
                    && (generation, self.state) == (self.generation, State::Connected);
                if let Some(name) = event.channel().filter(|name| confirms && !is_users(name)) {
                    // Whatever went before, the server has it now.
                    self.at_server.insert(name.to_owned(), true);
                }
                self.input(|machine, now| machine.handle_event(generation, event, now));
            }
            Err(error) => {
                self.input(|machine, now| machine.handle_malformed(generation, error, now));
            }
        }
    }

    pub(super) fn closed(&mut self, code: Option<u16>) {
        self.closed_with(code, "");
    }

    pub(super) fn closed_with(&mut self, code: Option<u16>, reason: &str) {
        let generation = self.generation;
        self.ending(|machine, now| machine.handle_closed(generation, code, reason, now));
    }

    pub(super) fn lost(&mut self) {
        let error = Error::new(ErrorKind::Io, "connection reset");
        let generation = self.generation;
        self.ending(|machine, now| machine.handle_lost(generation, error, now));
    }

    /// As `lost`, but of a connection that is not the present one.
    pub(super) fn lost_on(&mut self, generation: u64) {
        assert_ne!(generation, self.generation);
        let error = Error::new(ErrorKind::Io, "connection reset");
        self.input(|machine, now| machine.handle_lost(generation, error, now));
    }

    /// What the last dial has called returns.
    pub(super) fn returned(&mut self) {
        if let Some(generation) = self.running.take() {
            self.input(|machine, now| machine.handle_dial_returned(generation, now));
        }
    }

    pub(super) fn decide(&mut self, question: u64, wait: Option<Duration>) {
        self.input(|machine, now| machine.handle_decision(question, wait, now));
    }

    // ---- time

    pub(super) fn timeout(&mut self) {
        self.input(|machine, now| machine.handle_timeout(now));
    }

    /// Lets the time pass without a call of `handle_timeout`, as a busy machine may.
    pub(super) fn skip(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    pub(super) fn deadline(&mut self) -> Option<Duration> {
        self.machine.deadline()
    }

    /// How long from now until the deadline.
    #[track_caller]
    pub(super) fn due_in(&mut self) -> Duration {
        let deadline = self.deadline().expect("a deadline");
        deadline.saturating_sub(self.now.mono)
    }

    /// Lets the time pass, and tells the machine at each of its deadlines.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(deadline) = self.deadline().filter(|&deadline| deadline <= end) {
            self.skip(deadline.saturating_sub(self.now.mono));
            self.settle();
        }
        self.skip(end - self.now.mono);
    }

    /// Goes to the next deadline, and tells the machine.
    #[track_caller]
    pub(super) fn advance_to_deadline(&mut self) {
        let wait = self.due_in();
        self.advance(wait);
    }

    /// Calls `handle_timeout` until the deadline is ahead, which must not take more than a few calls.
    pub(super) fn settle(&mut self) {
        for _ in 0..3 {
            self.timeout();
            if self.machine.deadline().is_none_or(|deadline| deadline > self.now.mono) {
                return;
            }
        }
        panic!("the deadline stays at {:?}: {:?}", self.deadline(), self.machine);
    }

    /// What happens to the clocks when a machine sleeps whose monotonic clock stands still.
    pub(super) fn suspend(&mut self, time: Duration) {
        self.now.suspended += time;
        self.now.wall += time;
    }

    // ---- results

    pub(super) fn take(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    pub(super) fn status(&self, name: &str) -> ChannelStatus {
        self.machine.channel_status(name)
    }

    #[track_caller]
    pub(super) fn expect_nothing(&mut self) {
        let news = self.take();
        assert_eq!(news.order, "", "{news:?}");
    }

    /// The outputs by their letters; see [`News::order`].
    #[track_caller]
    pub(super) fn expect(&mut self, order: &str) -> News {
        let news = self.take();
        assert_eq!(news.order, order, "{news:?}");
        news
    }

    // ---- what must always hold

    fn input(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        self.drain(input);
        self.check();
    }

    /// An input that tells that the connection is gone. What the clocks call for comes before it.
    pub(super) fn ending(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        let hangups = self.news.hangups.len();
        self.drain(input);
        assert_eq!(self.news.hangups.len(), hangups, "hung up what is gone");
        self.open = false;
        self.check();
    }

    fn drain(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        input(&mut self.machine, self.now);
        let mut connected = false;
        let mut subscribed = Vec::new();
        let mut signins = 0;
        while let Some(output) = self.machine.poll_output() {
            if let Output::Send { frame, .. } = &output {
                subscribed.extend(short(frame).strip_prefix("subscribe ").map(str::to_owned));
                signins += usize::from(short(frame) == "signin");
            }
            if let Output::Authorize { ticket, channel, .. } = &output {
                // Authorizers are not what is tried here: they say yes at once.
                let auth = Auth::new("key:signature").channel_data(r#"{"user_id":"1"}"#);
                let auth = auth.shared_secret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
                self.machine.handle_authorization(channel, *ticket, Ok(auth), self.now);
                continue;
            }
            if let Output::Authenticate { ticket, .. } = &output {
                let auth = UserAuth::new("key:signature", r#"{"id":"bob"}"#);
                self.machine.handle_authentication(*ticket, Ok(auth), self.now);
                continue;
            }
            connected |= matches!(output, Output::Notify(Notice::Connected(_)));
            let dialled = matches!(output, Output::Dial { .. });
            self.note(output);
            if let Some(generation) = self.running.take_if(|_| dialled && !self.blocks) {
                self.machine.handle_dial_returned(generation, self.now);
            }
        }
        if connected {
            assert_eq!(subscribed, self.wanted, "exactly what is wanted, in order");
            assert_eq!(signins, usize::from(self.wants_signin));
        }
    }

    fn note(&mut self, output: Output) {
        let news = &mut self.news;
        let letter = match output {
            Output::Dial { generation, deadline } => {
                assert!(!self.open, "dialled while the last connection stands");
                let before = self.running.replace(generation);
                assert_eq!(before, None, "dialled while another dial has not returned");
                assert_eq!(generation, self.generation + 1, "generations count the dials");
                assert!(deadline > self.now.mono, "a dial has time");
                (self.generation, self.open) = (generation, true);
                self.at_server.clear();
                news.dials.push((generation, deadline - self.now.mono));
                'D'
            }
            Output::HangUp { generation, code } => {
                assert!(self.open, "hung up what is not there");
                assert_eq!(generation, self.generation, "hung up another connection");
                self.open = false;
                news.hangups.push((generation, code));
                'H'
            }
            Output::Send { generation, frame } => {
                assert!(self.open, "sent {frame} to nobody");
                assert_eq!(generation, self.generation, "sent {frame} to another connection");
                let sent = short(&frame);
                if let Some(name) = sent.strip_prefix("subscribe #server-to-user-") {
                    assert_eq!(self.machine.signed_in().map(|user| user.id()), Some(name));
                } else if let Some(name) = sent.strip_prefix("subscribe ") {
                    self.at_server.insert(name.to_owned(), true);
                } else if let Some(name) = sent.strip_prefix("unsubscribe ") {
                    let was = self.at_server.insert(name.to_owned(), false);
                    assert_eq!(was, Some(true), "unsubscribed {name}, which the server has not");
                }
                news.sends.push(frame);
                'S'
            }
            Output::Ask { question, attempt, error } => {
                assert!(self.asks && question > self.questions);
                self.questions = question;
                news.asks.push((question, attempt, error));
                'Q'
            }
            Output::Authorize { .. } | Output::Authenticate { .. } | Output::Abandon { .. } => {
                panic!("not for the driver")
            }
            Output::Log(level, text) => panic!("no log was asked for: {level} {text}"),
            Output::Notify(notice) => match notice {
                Notice::State(change) => {
                    assert_eq!(change.previous, self.state, "changes chain");
                    let may_repeat = change.current == State::Reconnecting;
                    assert!(may_repeat || change.current != change.previous, "{change:?}");
                    let waits = change.current == State::Reconnecting;
                    assert!(waits || change.retry_in.is_none(), "{change:?}");
                    assert!(change.current != State::Failed || change.cause.is_some());
                    self.state = change.current;
                    news.states.push(change);
                    's'
                }
                Notice::Connected(socket_id) => {
                    assert_eq!(self.state, State::Connected);
                    news.connected.push(socket_id);
                    'c'
                }
                Notice::Error(error) => {
                    news.errors.push(error);
                    'e'
                }
                Notice::Event(event) => {
                    assert!(!event.name().starts_with("pusher_internal:"), "{event:?}");
                    let silent = |name: &str| self.silent.iter().any(|silent| silent == name);
                    assert!(!event.channel().is_some_and(silent), "{event:?} was unsubscribed");
                    news.events.push(event);
                    'v'
                }
                Notice::User(notice) => {
                    news.users.push(notice);
                    'u'
                }
                Notice::Channel(name, notice) => {
                    let name = name.to_string();
                    assert!(self.wanted.contains(&name), "told of {name}: {notice:?}");
                    match notice {
                        ChannelNotice::Failed(error) => {
                            assert_eq!(error.channel(), Some(&*name));
                            news.failed.push((name, error));
                            'f'
                        }
                        ChannelNotice::Count(count) => {
                            news.counts.push((name, count));
                            'n'
                        }
                        ChannelNotice::Resumed(gap) => {
                            news.resumed.push((name, gap));
                            'r'
                        }
                        other => {
                            news.others.push((name, other));
                            'o'
                        }
                    }
                }
            },
        };
        news.order.push(letter);
    }

    fn check(&mut self) {
        let machine = &mut self.machine;
        assert_eq!(machine.state(), self.state, "every change is told");
        let live = self.state == State::Connected;
        assert_eq!(machine.socket_id().is_some(), live);
        assert_eq!(machine.is_current(self.generation), self.open);
        let ended = matches!(self.state, State::Initialized | State::Disconnected | State::Failed);
        assert!(!(ended && self.open), "{:?} with a connection", self.state);
        assert!(self.open || !live, "Connected without a connection");
        assert_eq!(machine.failure().is_some() && ended, self.state == State::Failed);
        assert_eq!(machine.wants_signin(), self.wants_signin);
        assert!(machine.signed_in().is_none() || (live && self.wants_signin));
        assert!(machine.signin_failure().is_none() || (live && self.wants_signin));
        let asking = self.asks && !self.open;
        let deadline = machine.deadline();
        assert!(!ended || deadline.is_none(), "{:?} waits for {deadline:?}", self.state);
        assert!(ended || asking || deadline.is_some(), "nothing will ever happen");
        if live {
            let mut wanted = self.wanted.clone();
            wanted.sort_unstable();
            let at_server: Vec<_> = (self.at_server.iter())
                .filter(|&(_, &subscribed)| subscribed)
                .map(|(name, _)| name.clone())
                .collect();
            assert_eq!(at_server, wanted, "what was subscribed is what is wanted");
        }
        for name in self.wanted.iter().chain(&self.silent) {
            let status = machine.channel_status(name);
            let wanted = self.wanted.contains(name);
            assert_eq!(status == ChannelStatus::Unsubscribed, !wanted, "{name}: {status:?}");
            assert!(live || status != ChannelStatus::Subscribed, "{name} offline");
            assert!(live || machine.subscription_count(name).is_none(), "{name} offline");
            let failed = machine.channel_failure(name).is_some();
            assert_eq!(failed, status == ChannelStatus::Failed, "{name}: {status:?}");
        }
    }
}
