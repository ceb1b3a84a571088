//! A client in bad weather: channels of every kind on a server behind a relay that misbehaves, on a
//! server that misbehaves, in the hands of a user who changes their mind.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use fastrand::Rng;
use pusher_channels::testing::{Server, Settings as ServerSettings};
use pusher_channels::{
    Binding, Client, Error, ErrorKind, Options, PrivateChannel, Queue, Reconnect, SecretAuthorizer,
    State, StateChange,
};
use serde_json::json;

use super::relay::{Relay, now};
use super::room::{EVENT, Room, SIGNAL, rooms, taken};
use super::time_scale::scaled;
use super::trail::Broken;

/// So long the driver rests at a time.
const TICK: Duration = Duration::from_millis(2);
const SOON: Duration = scaled(Duration::from_secs(20));
/// So many numbers each channel is sent when the weather is fine again.
const FINE: u64 = 25;

pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// Numbers a second, over all channels.
    pub(crate) rate: u32,
    /// Between two faults of the server's or whims of the user's, on average.
    pub(crate) fault_every: Duration,
    /// The relay's faults come within the first 2^reach bytes of a connection.
    pub(crate) reach: u32,
    /// For silence and for the pong.
    pub(crate) timeout: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) published: u64,
    pub(crate) received: u64,
    /// Of these, in bad weather.
    pub(crate) received_in_storm: u64,
    pub(crate) confirmations: u64,
    pub(crate) gaps: u64,
    pub(crate) connected: u64,
    pub(crate) dials: usize,
    /// By what the client reported.
    pub(crate) broken: Broken,
    pub(crate) faults: Vec<String>,
    pub(crate) weather: String,
}

pub(crate) struct Storm {
    settings: Settings,
    rng: Rng,
    rooms: Vec<Room>,
    signals: PrivateChannel,
    signalled: u64,
    states: Binding<StateChange>,
    ids: Binding<String>,
    errors: Binding<Error>,
    last_state: State,
    report: Report,
    client: Client,
    relay: Relay,
    server: Server,
}

impl Storm {
    /// Connected and subscribed, in fine weather.
    pub(crate) fn start(settings: Settings) -> Self {
        let server =
            Server::start_with(ServerSettings::default().client_event_limit(None)).unwrap();
        let target = ([127, 0, 0, 1], server.port()).into();
        let relay = Relay::start(target, settings.seed, settings.reach);
        let client = client(&server, &relay, &settings);
        let rooms = rooms(&client);
        let signals = client.private_channel("private-pinned").unwrap();
        let mut storm = Self {
            rng: Rng::with_seed(settings.seed),
            rooms,
            signals,
            signalled: 0,
            states: client.bind_states(),
            ids: client.bind_connected(),
            errors: client.bind_errors(),
            last_state: State::Initialized,
            report: Report::default(),
            client,
            relay,
            server,
            settings,
        };
        for index in 0..storm.rooms.len() {
            if storm.rooms[index].pinned {
                storm.want(index);
            }
        }
        storm.client.connect();
        storm
    }

    /// Bad weather for so long.
    pub(crate) fn rage(&mut self, time: Duration) {
        self.relay.storm();
        // To a connection that was made in fine weather the relay does nothing.
        self.server.drop_connections();
        let before = self.received();
        let until = now() + time;
        let mut last = now();
        let mut owed = 0.0;
        while now() < until {
            let passed = now() - last;
            last += passed;
            owed += passed.as_secs_f64() * f64::from(self.settings.rate);
            while owed >= 1.0 {
                owed -= 1.0;
                let index = self.rng.usize(..self.rooms.len());
                self.publish(index);
            }
            if self.strikes(passed, self.settings.fault_every) {
                self.misbehave();
            }
            if self.strikes(passed, self.settings.fault_every) {
                self.change_ones_mind();
            }
            if self.strikes(passed, self.settings.fault_every / 8) {
                self.roam();
            }
            if self.strikes(passed, Duration::from_millis(20)) {
                self.signal();
            }
            self.collect();
            thread::park_timeout(TICK);
        }
        self.report.received_in_storm += self.received() - before;
    }

    /// Returns `true` if every promise was kept so far.
    pub(crate) fn is_well(&self) -> bool {
        self.report.faults.is_empty() && self.rooms.iter().all(|room| room.trail.faults.is_empty())
    }

    fn received(&self) -> u64 {
        self.rooms.iter().map(|room| room.trail.received).sum()
    }

    /// Fine weather again: everything must arrive, and everything must be as it is wanted.
    pub(crate) fn clear_up(&mut self) {
        self.relay.calm();
        self.server.refuse(0);
        // The user may just have disconnected.
        self.client.connect();
        let deadline = now() + SOON;
        // A connection that is lost on a busy machine takes its events with it.
        let mut tries = 0;
        while !self.all_arrives(deadline) {
            tries += 1;
            if now() > deadline {
                let text =
                    format!("not all arrives in fine weather, after {tries} tries: {self:?}");
                self.report.faults.push(text);
                return;
            }
        }
        self.check_server();
    }

    /// Ends it. What was promised and not kept is in the report.
    pub(crate) fn finish(mut self) -> Report {
        // Nothing comes after this.
        self.client.disconnect();
        self.collect();
        for room in &mut self.rooms {
            room.trail.period_ends(room.pinned);
        }
        self.check_signals();
        if let Err(error) = self.client.close(SOON) {
            self.report.faults.push(format!("it does not close: {error}"));
        }
        self.check_ended();
        let mut report = self.report;
        let counts = self.relay.counts();
        report.weather = format!("{counts:?}");
        report.dials = counts.connections.load(Ordering::Relaxed);
        for room in self.rooms {
            let Broken { lost, duplicated, reordered, gaps } = room.trail.broken;
            report.broken.lost += lost;
            report.broken.duplicated += duplicated;
            report.broken.reordered += reordered;
            report.broken.gaps += gaps;
            report.published += room.published;
            report.received += room.trail.received;
            report.confirmations += room.trail.all_confirmations;
            report.gaps += room.trail.all_resumed;
            report.faults.extend(room.trail.faults);
        }
        report
    }

    /// Returns `true` if something that comes every so often comes now.
    fn strikes(&mut self, passed: Duration, every: Duration) -> bool {
        self.rng.f64() < passed.as_secs_f64() / every.as_secs_f64()
    }

    fn publish(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        room.published += 1;
        let pad = match self.rng.u32(..20) {
            0 => self.rng.usize(..20_000),
            _ => self.rng.usize(..200),
        };
        let data = json!({ "n": room.published, "pad": "\"".repeat(pad) });
        self.server.publish(room.channel.name(), EVENT, &data);
    }

    /// Faults of the server's.
    fn misbehave(&mut self) {
        match self.rng.u32(..8) {
            0 | 1 => self.server.drop_connections(),
            2 => self.server.close_all(4200, "again"),
            3 => self.server.close_all([1000, 1001, 1005, 1011, 4201][self.rng.usize(..5)], ""),
            4 => self.server.refuse(self.rng.usize(1..3)),
            5 => self.server.ping_clients(),
            6 => self.server.send_raw(r#"{"event":"pusher:error","data":{"code":4301}}"#),
            _ => self.server.send_raw("no JSON"),
        }
    }

    /// Whims of the user's.
    fn change_ones_mind(&mut self) {
        match self.rng.u32(..8) {
            0 => self.client.reconnect(),
            1 => self.client.disconnect(),
            2..4 => self.client.network_changed(),
            // Sends one without waiting for the pong.
            4..6 => drop(self.client.ping(Duration::ZERO)),
            _ => {}
        }
        self.client.connect();
    }

    /// Subscribes to a channel, or unsubscribes.
    fn roam(&mut self) {
        let index = self.rng.usize(..self.rooms.len());
        match (self.rooms[index].pinned, self.rooms[index].wanted) {
            (true, _) => {}
            (false, false) => self.want(index),
            (false, true) => {
                let room = &mut self.rooms[index];
                room.channel.unsubscribe();
                room.wanted = false;
                room.collect();
                room.trail.period_ends(false);
                // Some go straight back.
                if self.rng.u32(..4) == 0 {
                    self.want(index);
                }
            }
        }
    }

    fn want(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        // Nothing has come since it was given up.
        if !room.events.is_empty() || !room.gaps.is_empty() {
            room.trail.fault("something came while it was not wanted");
        }
        room.events = room.channel.bind_all();
        room.gaps = room.channel.bind_resumed();
        room.channel.subscribe();
        room.wanted = true;
    }

    /// An event of the client's own.
    fn signal(&mut self) {
        match self.signals.trigger(SIGNAL, &json!({ "s": self.signalled + 1 })) {
            Ok(()) => self.signalled += 1,
            Err(error) => {
                let kind = error.kind();
                if !matches!(kind, ErrorKind::NotConnected | ErrorKind::NotSubscribed) {
                    self.report.faults.push(format!("trigger: {error}"));
                }
            }
        }
    }

    /// Takes in what has come.
    fn collect(&mut self) {
        for room in &mut self.rooms {
            room.collect();
        }
        for change in taken(&self.states, "states", &mut self.report.faults) {
            if change.previous != self.last_state {
                let text = format!("{:?} is not followed by {change:?}", self.last_state);
                self.report.faults.push(text);
            }
            self.last_state = change.current;
            self.report.connected += u64::from(change.current == State::Connected);
        }
        taken(&self.errors, "errors", &mut self.report.faults);
    }

    /// On a connection that lasts, everything arrives.
    fn all_arrives(&mut self, deadline: Instant) -> bool {
        let left = |limit: Duration| deadline.saturating_duration_since(now()).min(limit);
        let Ok(id) = self.client.wait_connected(left(SOON)) else {
            return false;
        };
        for room in self.rooms.iter().filter(|room| room.wanted) {
            if room.channel.wait_subscribed(left(SOON)).is_err() {
                return false;
            }
        }
        if self.client.socket_id() != Some(id.clone()) {
            return false;
        }
        let first: Vec<_> = self.rooms.iter().map(|room| room.published + 1).collect();
        for index in 0..self.rooms.len() {
            (0..FINE).for_each(|_| self.publish(index));
        }
        let patience = now() + left(SOON / 4);
        loop {
            self.collect();
            let arrived =
                |(room, &first): (&Room, _)| !room.wanted || room.trail.has(first, room.published);
            if self.rooms.iter().zip(&first).all(arrived) {
                return true;
            }
            let lasts = self.client.socket_id() == Some(id.clone());
            if now() > patience {
                if lasts {
                    let text = "a connection lasted, but not everything arrived on it".to_owned();
                    self.report.faults.push(text);
                }
                return false;
            }
            if !lasts {
                return false;
            }
            thread::park_timeout(TICK);
        }
    }

    /// The server has the client subscribed to what it wants, and to nothing else.
    fn check_server(&mut self) {
        let right = |rooms: &[Room], server: &Server| {
            let right =
                |room: &Room| server.subscribers(room.channel.name()) == usize::from(room.wanted);
            server.connections() == 1 && rooms.iter().all(right)
        };
        if !self.server.wait_for(SOON, |server| right(&self.rooms, server)) {
            let text = format!("the server has other subscriptions: {self:?}");
            self.report.faults.push(text);
        }
        for room in &self.rooms {
            if room.channel.is_subscribed() != room.wanted {
                let (name, status) = (room.channel.name(), room.channel.status());
                self.report.faults.push(format!("{name} is {status:?}"));
            }
        }
        if self.client.state() != State::Connected {
            self.report.faults.push(format!("it is {:?}", self.client.state()));
        }
    }

    /// What the client sent came once, if it came.
    fn check_signals(&mut self) {
        let recorded = self.server.recorded();
        let mut seen = std::collections::HashSet::new();
        for frame in recorded.iter().filter(|frame| frame.contains(SIGNAL)) {
            let number = frame.split(r#""s":"#).nth(1).and_then(|rest| rest.split('}').next());
            let number: u64 = number.and_then(|number| number.parse().ok()).unwrap_or_default();
            if number == 0 || number > self.signalled || !seen.insert(number) {
                self.report.faults.push(format!("the server got {frame}"));
            }
        }
    }

    /// Every receiver has lived until the client was closed.
    fn check_ended(&mut self) {
        let ids = self.ids.try_iter().count() as u64;
        if self.last_state != State::Disconnected || ids != self.report.connected {
            let (state, connected) = (self.last_state, self.report.connected);
            let text = format!("{state:?} in the end; connected {connected} times, {ids} ids");
            self.report.faults.push(text);
        }
        for room in &self.rooms {
            if !matches!(room.events.try_recv(), Err(TryRecvError::Disconnected)) {
                self.report.faults.push(format!("{} still receives", room.channel.name()));
            }
        }
    }
}

/// How far it is.
impl std::fmt::Display for Storm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let published: u64 = self.rooms.iter().map(|room| room.published).sum();
        let (received, connected) = (self.received(), self.report.connected);
        write!(f, "{published} published, {received} received, connected {connected} times")
    }
}

impl std::fmt::Debug for Storm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rooms = self.rooms.iter().map(|room| {
            let name = room.channel.name();
            let (wanted, status) = (room.wanted, room.channel.status());
            let (last, published) = (room.trail.last(), room.published);
            let subscribers = self.server.subscribers(name);
            format!("{name} wanted {wanted} {status:?} {last}/{published} x{subscribers}")
        });
        write!(f, "{:?}, {} connections, ", self.client.state(), self.server.connections())?;
        f.debug_list().entries(rooms).finish()
    }
}

fn client(server: &Server, relay: &Relay, settings: &Settings) -> Client {
    let authorizer = SecretAuthorizer::new(server.key(), server.secret()).member("me", &json!({}));
    #[cfg(feature = "encrypted")]
    let authorizer = authorizer.encryption_master_key(&server.encryption_master_key());
    let options = Options::host("127.0.0.1", server.key()).port(relay.address().port()).tls(false);
    let policy = Reconnect::default().initial(Duration::from_millis(5));
    Client::builder(options)
        .authorizer(authorizer)
        .activity_timeout(settings.timeout)
        .pong_timeout(settings.timeout)
        .connect_timeout(settings.timeout * 2)
        .subscribe_timeout(SOON)
        .reconnect(policy.max(Duration::from_millis(20)))
        .queue(Queue::unbounded())
        .client_event_limit(None)
        .build()
        .unwrap()
}
