//! The whole machine under any inputs, in any order: whatever happens, it keeps its promises, ends no
//! wait late, and works afterwards.
//!
//! An input is a byte for the policy, and then a byte for each command, followed by what it takes. To
//! add a command, add a line at the end of `COMMANDS`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::frame::{CHANNELS, frame};
use crate::fuzzing::Input;
#[cfg(feature = "encrypted")]
use crate::protocol::ChannelNotice;
use crate::protocol::{Backoff, Config, Machine, Notice, Now, Output, Policy};
use crate::wire::ChannelKind;
use crate::{Auth, ChannelStatus, Error, ErrorKind, Event, Queue, State, UserAuth};

/// One input may fail all that is held on the encrypted channels, each with two notices.
const MAX_OUTPUTS: usize = 2 * 2 * 256 + 200;
/// Longer lives find nothing that shorter ones do not.
const MAX_COMMANDS: usize = 2000;
/// What the machine may look like at most, as text: what is queued somewhere would show.
const MAX_SHOWN: usize = 256 * 1024;

type Command = fn(&mut World, &mut Input<'_>);

const COMMANDS: &[Command] = &[
    |world, _| world.act(|machine, now| machine.connect(now)),
    |world, _| world.act(|machine, now| machine.disconnect(now)),
    |world, _| world.act(|machine, now| machine.reconnect(now)),
    |world, _| world.act(|machine, now| machine.network_changed(now)),
    |world, _| world.close(),
    |world, input| world.subscribe(input.pick(CHANNELS)),
    |world, input| world.unsubscribe(input.pick(CHANNELS)),
    |world, input| {
        let name = input.pick(CHANNELS);
        world.act(|machine, _| machine.retire(name));
    },
    |world, input| {
        let name = input.pick(CHANNELS);
        world.act(|machine, now| machine.authorizer_changed(name, now));
    },
    |world, _| world.ping(),
    |world, input| world.trigger(input),
    |world, _| world.on_present(|machine, generation, now| machine.handle_opened(generation, now)),
    |world, _| world.greet(),
    |world, input| world.confirm(input.pick(CHANNELS)),
    |world, input| {
        let frame = frame(input);
        world.frame(world.generation, frame);
    },
    |world, input| {
        let frame = frame(input);
        world.frame(world.generation.wrapping_sub(1), frame);
        assert_eq!(world.notices, 0, "told of what came on an older connection");
    },
    |world, input| world.flood(input),
    |world, input| world.lose(input),
    |world, input| world.closed_by_server(input),
    |world, input| world.begin(input),
    |world, input| world.answer(input),
    |world, input| world.decide(input),
    |world, input| world.pass(time(input)),
    |world, input| world.pass(Duration::from_millis(input.byte().into())),
    |world, input| world.skip(time(input)),
    |world, input| world.now.wall += time(input),
    |world, input| world.now.wall = world.now.wall.saturating_sub(time(input)),
    |world, _| world.wait(),
    |world, _| world.act(|machine, now| machine.handle_timeout(now)),
    |world, _| world.signin(true),
    |world, _| world.signin(false),
    |world, _| world.another_user(),
    |world, _| world.act(|machine, now| machine.switch(now)),
    |world, input| world.begin_user(input),
    |world, input| world.answer_user(input),
    |world, _| {
        let frame = r#"{"event":"pusher:signin_success","data":{"user_data":"{\"id\":\"7\"}"}}"#;
        world.frame(world.generation, frame.to_owned());
    },
    |world, input| {
        let time = time(input);
        world.now.suspended += time;
        world.now.wall += time;
    },
    |world, input| world.blocks = input.byte() % 2 == 1,
    |world, _| world.dial_returns(),
];

/// Plays one life.
pub(crate) fn machine(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    for _ in 0..MAX_COMMANDS {
        if input.is_empty() {
            break;
        }
        // What is not in the table yet is time that passes, so that kept inputs mean the same later.
        match COMMANDS.get(usize::from(input.byte() % 64)) {
            Some(command) => command(&mut world, &mut input),
            None => world.pass(Duration::from_secs(1)),
        }
        world.check();
    }
    world.end();
}

fn time(input: &mut Input<'_>) -> Duration {
    let unit = input.pick(&[1, 1000, 60_000, 3_600_000]);
    Duration::from_millis(input.number() % 100_000 * unit)
}

#[derive(Debug)]
struct Ask {
    ticket: u64,
    channel: String,
    socket_id: String,
    /// How many connections there had been.
    connections: u64,
}

struct World {
    machine: Machine,
    now: Now,
    state: State,
    /// Of the last dial.
    generation: u64,
    /// Whether that dial or its connection still stands.
    open: bool,
    /// Whether what a dial calls does not return.
    blocks: bool,
    /// The dial that has not returned.
    running: Option<u64>,
    socket_id: String,
    connections: u64,
    /// The number in the id of the socket that was greeted last.
    greetings: u64,
    /// The last question about a dial.
    question: u64,
    asks: Vec<Ask>,
    /// The answer that is being given now.
    answering: Option<u64>,
    wanted: BTreeSet<&'static str>,
    /// The questions to the authenticator: tickets, and socket ids.
    user_asks: Vec<(u64, String)>,
    wants_signin: bool,
    /// The events that were delivered by the last input, and all that was told.
    delivered: Vec<Event>,
    notices: u32,
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let backoff =
            |max_attempts| Policy::Backoff(Backoff { max_attempts, ..Backoff::default() });
        let policy = match input.byte() % 4 {
            0 => backoff(None),
            1 => backoff(Some(2)),
            2 => Policy::Ask,
            _ => Policy::Never,
        };
        let config = Config {
            activity_timeout: Duration::from_secs(120),
            override_activity_timeout: None,
            pong_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
            subscribe_timeout: Duration::from_secs(20),
            signin_timeout: Duration::from_secs(25),
            policy,
            client_event_limit: Some(10),
            max_members_bytes: 16 * 1024 * 1024,
            max_held: Queue::drop_oldest(256).limits(),
            seed: 7,
        };
        Self {
            machine: Machine::new(config),
            now: Now {
                mono: Duration::from_secs(1000),
                suspended: Duration::ZERO,
                wall: Duration::from_secs(1_700_000_000),
            },
            state: State::Initialized,
            generation: 0,
            open: false,
            blocks: false,
            running: None,
            socket_id: String::new(),
            connections: 0,
            greetings: 0,
            question: 0,
            asks: Vec::new(),
            answering: None,
            wanted: BTreeSet::new(),
            user_asks: Vec::new(),
            wants_signin: false,
            delivered: Vec::new(),
            notices: 0,
        }
    }

    // ---- what the user does

    fn close(&mut self) {
        self.act(|machine, now| machine.close(now));
        assert!(self.machine.is_closed());
    }

    fn subscribe(&mut self, name: &'static str) {
        if !self.machine.is_closed() {
            self.wanted.insert(name);
        }
        self.act(|machine, now| machine.subscribe(name, now));
    }

    fn unsubscribe(&mut self, name: &'static str) {
        self.wanted.remove(name);
        self.act(|machine, now| machine.unsubscribe(name, now));
    }

    fn signin(&mut self, wanted: bool) {
        self.wants_signin = wanted && (self.wants_signin || !self.machine.is_closed());
        self.act(|machine, now| match wanted {
            true => machine.signin(now),
            false => machine.signout(now),
        });
    }

    fn another_user(&mut self) {
        self.wants_signin |= !self.machine.is_closed();
        self.act(|machine, now| machine.authenticator_changed(now));
    }

    fn ping(&mut self) {
        let live = self.machine.socket_id().is_some();
        self.act(|machine, now| assert_eq!(machine.ping(now).is_ok(), live));
    }

    fn trigger(&mut self, input: &mut Input<'_>) {
        let (name, event) = (input.pick(CHANNELS), input.text());
        let data = Value::from(input.text()).to_string();
        self.act(|machine, now| {
            let ready = machine.channel_status(name) == ChannelStatus::Subscribed;
            let sent = machine.trigger(name, &event, &data, now);
            assert!(sent.is_err() || ready && event.starts_with("client-"), "{event:?}");
        });
    }

    // ---- what comes in

    fn on_present(&mut self, input: impl FnOnce(&mut Machine, u64, Now)) {
        let generation = self.generation;
        self.act(|machine, now| input(machine, generation, now));
    }

    fn greet(&mut self) {
        self.greetings += 1;
        let frame = format!(
            r#"{{"event":"pusher:connection_established","data":"{{\"socket_id\":\"7.{}\",\"activity_timeout\":120}}"}}"#,
            self.greetings
        );
        self.frame(self.generation, frame);
    }

    fn confirm(&mut self, name: &str) {
        let name = Value::from(name);
        let frame = format!(
            r#"{{"event":"pusher_internal:subscription_succeeded","channel":{name},"data":"{{}}"}}"#
        );
        self.frame(self.generation, frame);
    }

    fn frame(&mut self, generation: u64, frame: String) {
        self.act(|machine, now| match Event::parse(frame) {
            Ok(event) => machine.handle_event(generation, event, now),
            Err(error) => machine.handle_malformed(generation, error, now),
        });
    }

    /// The same frame many times.
    fn flood(&mut self, input: &mut Input<'_>) {
        let times = input.byte();
        let frame = frame(input);
        for _ in 0..times {
            self.frame(self.generation, frame.clone());
        }
    }

    fn lose(&mut self, input: &mut Input<'_>) {
        let kind = input.pick(&[ErrorKind::Io, ErrorKind::Timeout, ErrorKind::TooLarge]);
        let generation = self.generation + u64::from(input.byte() % 4 == 1);
        self.gone(generation, |machine, now| {
            machine.handle_lost(generation, Error::new(kind, "the connection broke"), now);
        });
    }

    fn closed_by_server(&mut self, input: &mut Input<'_>) {
        let code = match input.byte() % 4 {
            0 => None,
            1 => Some(input.number() as u16),
            _ => Some(4000 + input.number() as u16 % 400),
        };
        let (generation, reason) = (self.generation, input.text());
        self.gone(generation, |machine, now| {
            machine.handle_closed(generation, code, &reason, now);
        });
    }

    /// An input that tells that this connection is gone.
    fn gone(&mut self, generation: u64, input: impl FnOnce(&mut Machine, Now)) {
        self.act(input);
        self.open &= generation != self.generation;
    }

    // ---- what authorizers and policies do

    fn begin(&mut self, input: &mut Input<'_>) {
        let Some(at) = usize::from(input.byte()).checked_rem(self.asks.len()) else { return };
        let (ticket, name) = (self.asks[at].ticket, self.asks[at].channel.clone());
        let mut of_use = false;
        self.act(|machine, now| of_use = machine.begin_authorization(&name, ticket, now));
        let present = self.machine.socket_id() == Some(&*self.asks[at].socket_id);
        assert!(!of_use || present, "the question is of another connection");
    }

    /// Answers any question that was ever asked: the last, if nothing else is chosen.
    fn answer(&mut self, input: &mut Input<'_>) {
        let behind = usize::from(input.byte() / 8);
        let Some(at) = self.asks.len().checked_sub(behind + 1) else { return };
        let Ask { ticket, channel, socket_id, connections } = &self.asks[at];
        let (ticket, channel) = (*ticket, channel.clone());
        let stale = *connections != self.connections || !self.open;
        let auth = Auth::new(format!("{ticket}/{socket_id}"));
        let answer = match input.byte() % 8 {
            0..=2 => {
                let auth = auth.channel_data(r#"{"user_id":"me"}"#);
                Ok(auth.shared_secret("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="))
            }
            3 => {
                let auth = auth.channel_data(r#"{"user_id":7}"#);
                Ok(auth.shared_secret("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="))
            }
            4 => Ok(auth.channel_data(input.text()).shared_secret(input.text())),
            5 => Ok(auth),
            6 => Err(Error::new(ErrorKind::Auth, "refused").with_http_status(403)),
            _ => {
                let wait = time(input);
                let busy = Error::new(ErrorKind::Auth, "busy").with_http_status(503);
                Err(busy.with_retry_after(wait))
            }
        };
        self.answering = Some(ticket);
        self.act(|machine, now| machine.handle_authorization(&channel, ticket, answer, now));
        self.answering = None;
        assert!(
            !stale || self.notices == 0,
            "told of an answer to an earlier connection's question"
        );
    }

    fn begin_user(&mut self, input: &mut Input<'_>) {
        let Some(at) = usize::from(input.byte()).checked_rem(self.user_asks.len()) else { return };
        let (ticket, socket_id) = self.user_asks[at].clone();
        let mut of_use = false;
        self.act(|machine, now| of_use = machine.begin_authentication(ticket, now));
        let present = self.machine.socket_id() == Some(&*socket_id);
        assert!(!of_use || present, "the question is of another connection");
    }

    fn answer_user(&mut self, input: &mut Input<'_>) {
        let behind = usize::from(input.byte() / 8);
        let Some(at) = self.user_asks.len().checked_sub(behind + 1) else { return };
        let (ticket, socket_id) = self.user_asks[at].clone();
        let auth = format!("{ticket}/{socket_id}");
        let answer = match input.byte() % 4 {
            0 | 1 => Ok(UserAuth::new(auth, r#"{"id":"7"}"#)),
            2 => Ok(UserAuth::new(auth, input.text())),
            _ if input.byte() % 2 == 0 => Err(Error::new(ErrorKind::Auth, "refused")),
            _ => Err(Error::new(ErrorKind::Io, "broken")),
        };
        self.act(|machine, now| machine.handle_authentication(ticket, answer, now));
    }

    fn decide(&mut self, input: &mut Input<'_>) {
        let question = self.question.saturating_sub(u64::from(input.byte() % 4 == 1));
        let wait = match input.byte() % 3 {
            0 => Some(Duration::ZERO),
            1 => Some(time(input)),
            _ => None,
        };
        self.act(|machine, now| machine.handle_decision(question, wait, now));
    }

    fn dial_returns(&mut self) {
        if let Some(generation) = self.running.take() {
            self.act(|machine, now| machine.handle_dial_returned(generation, now));
        }
    }

    // ---- time

    /// Lets time pass without anybody telling the machine.
    fn skip(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    fn pass(&mut self, time: Duration) {
        self.skip(time);
        for _ in 0..4 {
            self.act(|machine, now| machine.handle_timeout(now));
            if self.machine.deadline().is_none_or(|deadline| deadline > self.now.mono) {
                return;
            }
        }
        panic!("it spins: {:?} is not past {:?}", self.machine.deadline(), self.now.mono);
    }

    fn wait(&mut self) {
        if let Some(deadline) = self.machine.deadline() {
            self.pass(deadline.saturating_sub(self.now.mono));
        }
    }

    // ---- what comes out

    fn act(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        input(&mut self.machine, self.now);
        self.delivered.clear();
        self.notices = 0;
        let mut count = 0;
        while let Some(output) = self.machine.poll_output() {
            self.note(output);
            count += 1;
            assert!(count <= MAX_OUTPUTS, "one input has {count} outputs");
        }
    }

    fn note(&mut self, output: Output) {
        match output {
            Output::Dial { generation, deadline } => {
                assert!(!self.open, "dialled while the last connection stands");
                assert!(generation > self.generation && deadline > self.now.mono);
                assert_eq!(self.running, None, "dialled while another dial has not returned");
                (self.generation, self.open) = (generation, true);
                if self.blocks {
                    self.running = Some(generation);
                } else {
                    self.machine.handle_dial_returned(generation, self.now);
                }
            }
            Output::HangUp { generation, .. } => {
                assert!(self.open && generation == self.generation, "hung up what is not there");
                self.open = false;
            }
            Output::Send { generation, frame } => {
                assert!(self.open && generation == self.generation, "sent {frame} to nobody");
                self.sent(&serde_json::from_str(&frame).expect("a frame is JSON"));
            }
            Output::Ask { question, .. } => {
                assert!(question > self.question, "questions are new");
                self.question = question;
            }
            Output::Authorize { ticket, channel, socket_id, .. } => {
                assert!(self.asks.last().is_none_or(|ask| ask.ticket < ticket), "tickets are new");
                assert_eq!(socket_id, self.socket_id);
                assert!(self.wanted.contains(&*channel), "asked for {channel}");
                let (channel, connections) = (channel.to_string(), self.connections);
                self.asks.push(Ask { ticket, channel, socket_id, connections });
            }
            Output::Authenticate { ticket, socket_id, .. } => {
                assert!(self.user_asks.last().is_none_or(|ask| ask.0 < ticket), "tickets are new");
                assert_eq!(socket_id, self.socket_id);
                assert!(self.wants_signin);
                self.user_asks.push((ticket, socket_id));
            }
            Output::Abandon { ticket } => {
                let of_channel = self.asks.iter().any(|ask| ask.ticket == ticket);
                let of_user = self.user_asks.iter().any(|ask| ask.0 == ticket);
                assert!(of_channel || of_user, "nobody was asked");
            }
            Output::Notify(notice) => self.told(notice),
            Output::Log(..) => {}
        }
    }

    /// What is sent is wanted, and has the answer that was given just now, for this connection.
    fn sent(&self, frame: &Value) {
        let name = frame["data"]["channel"].as_str().unwrap_or_default();
        match frame["event"].as_str().expect("an event") {
            "pusher:signin" => {
                let auth = frame["data"]["auth"].as_str().expect("an auth");
                let (ticket, socket_id) = auth.split_once('/').expect("one of ours");
                assert!(self.wants_signin);
                assert_eq!(socket_id, self.socket_id, "another connection's answer");
                let last = self.user_asks.last().expect("a question").0;
                assert_eq!(ticket, last.to_string(), "an old answer");
            }
            "pusher:subscribe" if name.starts_with("#server-to-user-") => {
                assert!(self.wants_signin && self.machine.signed_in().is_some());
            }
            "pusher:subscribe" => {
                assert!(self.wanted.contains(name), "subscribed to {name}");
                if ChannelKind::of(name) == ChannelKind::Public {
                    return assert!(frame["data"]["auth"].is_null());
                }
                let auth = frame["data"]["auth"].as_str().expect("an auth");
                let (ticket, socket_id) = auth.split_once('/').expect("one of ours");
                let asked = |ask: &&Ask| ask.channel == name && ask.ticket.to_string() == ticket;
                let ask = self.asks.iter().find(asked).expect("a question");
                let socket = (ask.connections, &*ask.socket_id);
                assert_eq!(
                    socket,
                    (self.connections, &*self.socket_id),
                    "{name} has an old answer"
                );
                assert_eq!(socket_id, self.socket_id);
                // One that is left to the signed-in user waits for them.
                let waited = ChannelKind::of(name) == ChannelKind::Presence;
                assert!(waited || self.answering == Some(ask.ticket));
                // A new key may be asked for meanwhile, but there is no more than one subscription.
                let later = self.asks.iter().any(|it| it.channel == name && it.ticket > ask.ticket);
                let sealed = ChannelKind::of(name) == ChannelKind::PrivateEncrypted;
                assert!(sealed || !later, "{name} has an old answer");
            }
            // A presence channel is subscribed anew where the server has it already.
            "pusher:unsubscribe" => assert!(
                !self.wanted.contains(name) || ChannelKind::of(name) == ChannelKind::Presence,
                "{name} is wanted"
            ),
            _ => {}
        }
    }

    fn told(&mut self, notice: Notice) {
        self.notices += 1;
        match notice {
            Notice::State(change) => {
                assert_eq!(change.previous, self.state, "changes chain");
                self.state = change.current;
            }
            Notice::Connected(socket_id) => {
                assert_eq!(self.state, State::Connected);
                self.socket_id = socket_id;
                self.connections += 1;
            }
            Notice::Error(error) => drop(format!("{error} {error:?}")),
            Notice::Event(event) => {
                assert!(!event.name().starts_with("pusher_internal:"), "{event:?}");
                let name = event.channel().unwrap_or_default();
                let sealed = ChannelKind::of(name) == ChannelKind::PrivateEncrypted;
                let clear = sealed && !event.name().starts_with("pusher:");
                assert!(!clear || event.data().starts_with("sealed:"), "{event:?} in the clear");
                self.delivered.push(event);
            }
            Notice::User(notice) => {
                let shown = format!("{notice:?}");
                assert!(self.wants_signin || shown.starts_with("Watchlist"), "told of {shown}");
            }
            Notice::Channel(name, notice) => {
                assert!(self.wanted.contains(&*name), "told of {name}: {notice:?}");
                #[cfg(feature = "encrypted")]
                if let ChannelNotice::Undecryptable(error) = notice {
                    assert_eq!(error.channel(), Some(&*name));
                }
            }
        }
    }

    fn check(&mut self) {
        assert_eq!(self.machine.state(), self.state, "every change is told");
        let live = self.state == State::Connected;
        assert_eq!(self.machine.socket_id().is_some(), live);
        assert_eq!(self.machine.is_current(self.generation), self.open);
        assert!(self.open || !live, "connected without a connection");
        let ended = matches!(self.state, State::Initialized | State::Disconnected | State::Failed);
        assert!(!(ended && self.open), "{:?} with a connection", self.state);
        let deadline = self.machine.deadline();
        // Whoever is being asked is awaited in any state.
        let asking = !self.asks.is_empty() || !self.user_asks.is_empty();
        assert!(!ended || asking || deadline.is_none(), "{:?} waits for {deadline:?}", self.state);
        assert_eq!(self.machine.wants_signin(), self.wants_signin);
        assert!(self.machine.signed_in().is_none() || (live && self.wants_signin));
        assert!(!live || deadline.is_some(), "nobody will see that the server is silent");
        for name in CHANNELS {
            let status = self.machine.channel_status(name);
            let known = !matches!(status, ChannelStatus::Idle | ChannelStatus::Unsubscribed);
            assert!(!known || self.wanted.contains(name), "{name} is {status:?}");
            assert!(live || status != ChannelStatus::Subscribed, "{name} offline");
            assert!(live || self.machine.members(name).is_empty(), "{name} offline");
        }
    }

    /// After all that it still works: it connects, subscribes, delivers, and ends when it is told to.
    fn end(&mut self) {
        let shown = format!("{:?}", self.machine);
        assert!(shown.len() <= MAX_SHOWN, "it has grown to {}", shown.len());
        let held = shown.matches("Refused(").count() + shown.matches("Decided(").count();
        assert!(held <= 2 * 256, "{held} events wait");
        if !self.machine.is_closed() {
            self.blocks = false;
            self.dial_returns();
            self.act(|machine, now| machine.reconnect(now));
            self.greet();
            self.subscribe("room");
            self.check();
            self.confirm("room");
            assert_eq!(self.machine.channel_status("room"), ChannelStatus::Subscribed);
            let raw = r#"{"event":"last","channel":"room","data":"words"}"#;
            self.frame(self.generation, raw.to_owned());
            let delivered: Vec<_> = self.delivered.iter().map(Event::raw).collect();
            assert_eq!(delivered, [raw]);
            self.close();
        }
        self.check();
        assert_eq!((self.state, self.machine.deadline()), (State::Disconnected, None));
    }
}
