//! What the server knows: its connections, channels, and what it was told to do wrong.

mod channels;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::auth::AuthState;
use super::bucket::Bucket;
use super::encryption::Keys;
use super::lock;
use super::peer::{Peer, Step};
use super::settings::{ChannelRefusal, CloseStyle, Settings, SigninRefusal};
use super::signin::User;
use crate::Interrupt;
use crate::util::clock;
use channels::Channel;

/// So many frames of clients are kept,
const MAX_RECORDED: usize = 100_000;

/// and no more than these bytes of them.
const MAX_RECORDED_BYTES: usize = 64 * 1024 * 1024;

/// What all the server's threads share.
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let state = Mutex::new(State::new(Arc::clone(&settings)));
        Self { settings, state, changed: Condvar::new() }
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock(&self.state))
    }

    /// Changes the state, then sends what follows from it: the one lock is not held for that.
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

    /// Waits until `delay` has passed since `start`, whatever it is by then, or the server stops.
    pub(super) fn delay_answer(&self, start: Instant) {
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

    /// Waits until `check`, which is called without the lock, says yes.
    pub(super) fn wait(&self, timeout: Duration, mut check: impl FnMut() -> bool) -> bool {
        let deadline = clock::now().checked_add(timeout);
        let left = || match deadline {
            Some(deadline) => deadline.saturating_duration_since(clock::now()),
            // Longer than the clock can count is for ever.
            None => Duration::MAX,
        };
        loop {
            let seen = self.read(|state| state.changes);
            if check() {
                return true;
            }
            // Also if the check itself changes something, for ever anew.
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
struct Link {
    peer: Arc<Peer>,
    /// Empty until the server has greeted it.
    socket_id: String,
    channels: BTreeSet<String>,
    /// Who has signed in.
    user: Option<User>,
    /// Of client events.
    bucket: Option<Bucket>,
}

impl Link {
    fn is_established(&self) -> bool {
        !self.socket_id.is_empty()
    }
}

pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    /// Counts the calls of [`Shared::act`].
    changes: u64,
    /// Has steps to take.
    busy: HashMap<u64, Arc<Peer>>,
    /// Handshakes and HTTP requests under way.
    opening: HashMap<u64, Interrupt>,
    next_id: u64,
    links: BTreeMap<u64, Link>,
    channels: HashMap<String, Channel>,
    refused_channels: HashMap<String, ChannelRefusal>,
    /// Of all sign-ins.
    pub(super) refused_signin: Option<SigninRefusal>,
    pub(super) keys: Keys,
    pub(super) auth: AuthState,
    recorded: VecDeque<String>,
    recorded_bytes: usize,
    dials: u64,
    refuse: usize,
    silent: bool,
    stopping: bool,
}

/// Connections.
impl State {
    fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            changes: 0,
            busy: HashMap::new(),
            opening: HashMap::new(),
            next_id: 0,
            links: BTreeMap::new(),
            channels: HashMap::new(),
            refused_channels: HashMap::new(),
            refused_signin: None,
            keys: Keys::new(),
            auth: AuthState::default(),
            recorded: VecDeque::new(),
            recorded_bytes: 0,
            dials: 0,
            refuse: 0,
            silent: false,
            stopping: false,
        }
    }

    /// A client has connected; its handshake or request can be interrupted from now on. It gets a
    /// number if it is wanted.
    pub(super) fn begin(&mut self, interrupt: Interrupt) -> Option<u64> {
        if self.stopping {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.opening.insert(id, interrupt);
        Some(id)
    }

    /// A client asks for the WebSocket protocol. Tells whether it may have it.
    pub(super) fn dialled(&mut self) -> bool {
        self.dials += 1;
        let refused = self.refuse > 0;
        self.refuse = self.refuse.saturating_sub(1);
        !refused
    }

    /// The handshake is done: greets the client. Tells whether the connection is wanted.
    pub(super) fn open(&mut self, id: u64, peer: Arc<Peer>, right_key: bool) -> bool {
        self.opening.remove(&id);
        if self.stopping {
            return false;
        }
        let bucket = self.settings.client_event_limit.map(|limit| Bucket::new(limit, clock::now()));
        let (socket_id, channels) = (String::new(), BTreeSet::new());
        self.links.insert(id, Link { peer, socket_id, channels, user: None, bucket });
        if self.silent {
            return true;
        }
        if right_key {
            let socket_id = format!("{}.{}", fastrand::u32(1..), fastrand::u32(1..));
            self.send(id, self.settings.established(&socket_id));
            if let Some(link) = self.links.get_mut(&id) {
                link.socket_id = socket_id;
            }
        } else {
            self.close_with_error(id, 4001, "Could not find app by the key of the URL");
        }
        true
    }

    /// The connection has ended, its handshake has failed, or its request is answered.
    pub(super) fn forget(&mut self, id: u64) {
        self.opening.remove(&id);
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        for name in link.channels {
            self.leave(id, &name);
        }
        if let Some(user) = link.user {
            self.tell_if_gone(&user);
        }
    }

    /// As [`close`](Self::close), but after an error frame in any case.
    pub(super) fn close_with_error(&mut self, id: u64, code: u16, message: &str) {
        if self.settings.close == CloseStyle::Code {
            self.send(id, self.settings.error(Some(code), message));
        }
        self.close(id, code, message);
    }

    /// Ends a connection as the settings say, and counts it out now.
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

    /// Lets all connections and handshakes end, and takes no new ones.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for interrupt in self.opening.values() {
            interrupt.interrupt();
        }
        self.drop_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
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
            for (id, link) in self.links.iter().filter(|(_, link)| link.is_established()) {
                link.peer.queue(Step::Send(Arc::clone(&ping)));
                self.busy.insert(*id, Arc::clone(&link.peer));
            }
        }
    }

    fn ids(&self) -> Vec<u64> {
        self.links.keys().copied().collect()
    }

    pub(super) fn send(&mut self, id: u64, frame: impl Into<Arc<str>>) {
        self.step(id, Step::Send(frame.into()));
    }

    fn step(&mut self, id: u64, step: Step) {
        if let Some(link) = self.links.get(&id) {
            link.peer.queue(step);
            self.busy.insert(id, Arc::clone(&link.peer));
        }
    }
}

/// By RFC 6455 this stands for a close frame without a code.
const NO_CODE: u16 = 1005;

/// What it was told, and what it tells.
impl State {
    pub(super) fn refuse(&mut self, dials: usize) {
        self.refuse = dials;
    }

    pub(super) fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Whether a frame of this connection is to be answered.
    pub(super) fn answers(&self, id: u64) -> bool {
        !self.silent && self.links.get(&id).is_some_and(|link| link.is_established())
    }

    /// Empty if it has none.
    pub(super) fn socket_id(&self, id: u64) -> &str {
        self.links.get(&id).map_or("", |link| &link.socket_id)
    }

    pub(super) fn established(&self) -> usize {
        self.links.values().filter(|link| link.is_established()).count()
    }

    pub(super) fn dials(&self) -> u64 {
        self.dials
    }

    pub(super) fn recorded(&self) -> Vec<String> {
        self.recorded.iter().cloned().collect()
    }

    pub(super) fn record(&mut self, frame: &str) {
        self.recorded_bytes += frame.len();
        self.recorded.push_back(frame.to_owned());
        while self.recorded.len() > MAX_RECORDED || self.recorded_bytes > MAX_RECORDED_BYTES {
            let Some(oldest) = self.recorded.pop_front() else {
                return;
            };
            self.recorded_bytes -= oldest.len();
        }
    }
}
