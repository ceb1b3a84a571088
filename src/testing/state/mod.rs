//! What the server knows: its connections, channels, users, and the faults that it simulates.

mod channels;
mod inbound;
mod signin;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::activity::{Activity, Watch};
use super::bucket::Bucket;
use super::encryption::Keys;
use super::peer::{NO_CODE, Peer, Step};
use super::presence::Members;
use super::recording::Recording;
use super::requests::Requests;
use super::settings::{ChannelRefusal, CloseStyle, Settings, SigninRefusal};
use super::tls::Acceptor;
use super::user::User;
use super::webhook_events::Events;
use crate::Interrupt;
use crate::util::clock;
use crate::util::sync::lock;

/// How many frames of clients are kept.
const MAX_RECORDED: usize = 100_000;

/// With so many channels, a new cache channel replaces the one without subscribers whose event is the oldest.
pub(super) const MAX_CHANNELS: usize = 10_000;

/// What the server's threads share.
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Acceptor>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// Fails if the certificate of the settings cannot be used.
    pub(super) fn new(settings: Settings) -> io::Result<Self> {
        let settings = Arc::new(settings);
        let tls = settings.acceptor()?;
        let state = Mutex::new(State::new(Arc::clone(&settings)));
        Ok(Self { settings, tls, state, changed: Condvar::new() })
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock(&self.state))
    }

    /// Changes the state, then sends the frames that follow from it, without the lock.
    pub(super) fn act<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, busy) = {
            let mut state = lock(&self.state);
            let result = change(&mut state);
            state.changes += 1;
            (result, mem::take(&mut state.busy))
        };
        for peer in busy.values() {
            peer.take_steps();
        }
        self.changed.notify_all();
        result
    }

    /// Waits until the endpoints' delay, which may change meanwhile, has passed since `start`, or the server stops.
    pub(super) fn delay_response(&self, start: Instant) {
        let mut state = lock(&self.state);
        loop {
            let left = state.auth.delay.saturating_sub(clock::now().duration_since(start));
            if left.is_zero() || state.stopping {
                return;
            }
            let seen = state.changes;
            let waited =
                self.changed.wait_timeout_while(state, left, |state| state.changes == seen);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for webhook events, and takes them with the number of those dropped before. Returns `None` when the server
    /// stops.
    pub(super) fn next_webhook(&self) -> Option<(Vec<Value>, usize)> {
        let state = lock(&self.state);
        let idle = |state: &mut State| state.webhook.is_empty() && !state.stopping;
        let mut state =
            self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        (!state.stopping).then(|| state.webhook.take())
    }

    /// Waits this long. Returns `false` when the server stops.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waited =
            self.changed.wait_timeout_while(lock(&self.state), time, |state| !state.stopping);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }

    /// Waits until `check`, which is called without the lock, returns `true`.
    pub(super) fn wait(&self, timeout: Duration, mut check: impl FnMut() -> bool) -> bool {
        let deadline = clock::now().checked_add(timeout);
        let left = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(clock::now()),
            // Later than the clock can represent.
            None => Duration::MAX,
        };
        loop {
            let seen = self.read(|state| state.changes);
            if check() {
                return true;
            }
            // Before the wait, which does not time out if the check itself changes something each time.
            if left().is_zero() {
                return false;
            }
            let state = lock(&self.state);
            let waited =
                self.changed.wait_timeout_while(state, left(), |state| state.changes == seen);
            drop(waited);
        }
    }
}

/// A connection whose WebSocket handshake is done.
struct Connection {
    peer: Arc<Peer>,
    /// Empty until the connection is established.
    socket_id: String,
    channels: BTreeSet<String>,
    /// The user who has signed in.
    user: Option<User>,
    /// The limit of client events.
    bucket: Option<Bucket>,
}

#[derive(Default)]
struct Channel {
    subscribers: BTreeSet<u64>,
    /// The last event of a cache channel.
    cached: Option<Cached>,
    /// The members of a presence channel.
    members: Members,
}

struct Cached {
    frame: Arc<str>,
    data: String,
    at: Instant,
}

impl Connection {
    fn is_established(&self) -> bool {
        !self.socket_id.is_empty()
    }
}

pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    /// Counts the calls of [`Shared::act`].
    changes: u64,
    /// Peers with queued steps.
    busy: HashMap<u64, Arc<Peer>>,
    /// Handshakes and HTTP requests under way.
    opening: HashMap<u64, Interrupt>,
    next_id: u64,
    connections: BTreeMap<u64, Connection>,
    channels: HashMap<String, Channel>,
    pub(super) refused_channels: HashMap<String, ChannelRefusal>,
    /// How all sign-ins are refused.
    pub(super) refused_signin: Option<SigninRefusal>,
    pub(super) keys: Keys,
    pub(super) auth: Requests,
    /// What is reported to the app's backend.
    webhook: Events,
    /// What is reported to the program.
    pub(super) watch: Watch,
    /// The frames of clients.
    pub(super) recorded: Recording<String>,
    pub(super) dials: u64,
    /// How many of the next dials are refused.
    pub(super) refuse: usize,
    pub(super) silent: bool,
    pub(super) stopping: bool,
}

/// Connections.
impl State {
    fn new(settings: Arc<Settings>) -> Self {
        Self {
            changes: 0,
            busy: HashMap::new(),
            opening: HashMap::new(),
            next_id: 0,
            connections: BTreeMap::new(),
            channels: HashMap::new(),
            refused_channels: HashMap::new(),
            refused_signin: None,
            keys: Keys::new(),
            auth: Requests::new(),
            webhook: Events::new(settings.webhook.is_some()),
            watch: Watch::default(),
            recorded: Recording::new(MAX_RECORDED),
            dials: 0,
            refuse: 0,
            silent: false,
            stopping: false,
            settings,
        }
    }

    /// Returns a number for an accepted connection, whose handshake or request `interrupt` ends; `None` if the
    /// server stops.
    pub(super) fn begin(&mut self, interrupt: Interrupt) -> Option<u64> {
        if self.stopping {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.opening.insert(id, interrupt);
        Some(id)
    }

    /// Counts a WebSocket handshake. Returns `true` if it is to be accepted.
    pub(super) fn dialled(&mut self) -> bool {
        self.dials += 1;
        let refused = self.refuse > 0;
        self.refuse = self.refuse.saturating_sub(1);
        !refused
    }

    /// Establishes a connection after its handshake. Returns `false` if the server stops.
    pub(super) fn open(&mut self, id: u64, peer: Arc<Peer>, right_key: bool) -> bool {
        self.opening.remove(&id);
        if self.stopping {
            return false;
        }
        let bucket = self.settings.client_event_limit.map(|limit| Bucket::new(limit, clock::now()));
        let (socket_id, channels) = (String::new(), BTreeSet::new());
        self.connections.insert(id, Connection { peer, socket_id, channels, user: None, bucket });
        if self.silent {
            return true;
        }
        if right_key {
            let socket_id = format!("{}.{}", fastrand::u32(1..), fastrand::u32(1..));
            self.send(id, self.settings.established(&socket_id));
            self.watch.push(|| Activity::Connected { socket_id: socket_id.clone() });
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.socket_id = socket_id;
            }
        } else {
            self.close_with_error(id, 4001, "Could not find app by the key of the URL");
        }
        true
    }

    /// Removes a connection that has ended, whose handshake has failed, or whose request is done.
    pub(super) fn forget(&mut self, id: u64) {
        self.opening.remove(&id);
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if connection.is_established() {
            self.watch.push(|| Activity::Disconnected { socket_id: connection.socket_id.clone() });
        }
        for name in connection.channels {
            self.leave(id, &name);
        }
        if let Some(user) = connection.user {
            self.notify_if_offline(&user);
        }
    }

    /// As [`close`](Self::close), but with an error frame first in every style.
    fn close_with_error(&mut self, id: u64, code: u16, message: &str) {
        if self.settings.close == CloseStyle::Code {
            self.send(id, self.settings.error(Some(code), message));
        }
        self.close(id, code, message);
    }

    /// Ends a connection as the settings say, and removes it immediately.
    fn close(&mut self, id: u64, code: u16, reason: &str) {
        let style = self.settings.close;
        if style != CloseStyle::Code {
            self.send(id, self.settings.error(Some(code), reason));
        }
        let step = match style {
            CloseStyle::Code => Step::Close(code, reason.to_owned()),
            CloseStyle::Empty => Step::Close(NO_CODE, String::new()),
            CloseStyle::Drop => Step::Drop,
            CloseStyle::Open => return,
        };
        self.step(id, step);
        self.forget(id);
    }

    pub(super) fn close_all(&mut self, code: u16, reason: &str) {
        for id in self.ids() {
            self.close(id, code, reason);
        }
    }

    pub(super) fn drop_all(&mut self) {
        for id in self.ids() {
            self.step(id, Step::Drop);
            self.forget(id);
        }
    }

    /// Ends all connections, handshakes and requests, and accepts no new ones.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for interrupt in self.opening.values() {
            interrupt.interrupt();
        }
        self.drop_all();
    }

    pub(super) fn send_raw(&mut self, text: &str) {
        let text: Arc<str> = text.into();
        for id in self.ids() {
            self.step(id, Step::Send(Arc::clone(&text)));
        }
    }

    pub(super) fn ping_all(&mut self) {
        if !self.silent {
            let ping: Arc<str> = self.settings.ping().into();
            for id in self.ids() {
                if self.answers(id) {
                    self.step(id, Step::Send(Arc::clone(&ping)));
                }
            }
        }
    }

    fn ids(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    fn send(&mut self, id: u64, frame: impl Into<Arc<str>>) {
        self.step(id, Step::Send(frame.into()));
    }

    fn step(&mut self, id: u64, step: Step) {
        if let Some(connection) = self.connections.get(&id) {
            connection.peer.queue(step);
            self.busy.insert(id, Arc::clone(&connection.peer));
        }
    }
}

/// Queries.
impl State {
    /// Returns `true` if the server responds to frames of this connection.
    fn answers(&self, id: u64) -> bool {
        !self.silent && self.connections.get(&id).is_some_and(Connection::is_established)
    }

    /// Empty if it has none.
    fn socket_id(&self, id: u64) -> &str {
        self.connections.get(&id).map_or("", |connection| &connection.socket_id)
    }

    /// The number of the connection with this socket id.
    fn id_of(&self, socket_id: &str) -> Option<u64> {
        let mut all = self.connections.iter();
        all.find(|(_, connection)| connection.socket_id == socket_id).map(|(id, _)| *id)
    }

    pub(super) fn established(&self) -> usize {
        self.connections.values().filter(|connection| connection.is_established()).count()
    }
}
