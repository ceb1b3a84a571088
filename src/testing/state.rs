//! What the server knows: its connections, channels, and what it was told to do wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::frames;
use super::lock;
use super::peer::{Peer, Step};
use super::settings::{ChannelRefusal, CloseStyle, Settings};
use crate::clock;
use crate::transport::Interrupt;

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
    /// The server has greeted it.
    established: bool,
    channels: BTreeSet<String>,
}

#[derive(Default)]
struct Channel {
    subscribers: BTreeSet<u64>,
    /// The last event, of a cache channel.
    cached: Option<Arc<str>>,
}

pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    /// Counts the calls of [`Shared::act`].
    changes: u64,
    /// Has steps to take.
    busy: HashMap<u64, Arc<Peer>>,
    /// Handshakes under way.
    opening: HashMap<u64, Interrupt>,
    links: BTreeMap<u64, Link>,
    channels: HashMap<String, Channel>,
    refused_channels: HashMap<String, ChannelRefusal>,
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
            links: BTreeMap::new(),
            channels: HashMap::new(),
            refused_channels: HashMap::new(),
            recorded: VecDeque::new(),
            recorded_bytes: 0,
            dials: 0,
            refuse: 0,
            silent: false,
            stopping: false,
        }
    }

    /// A client has connected; its handshake can be interrupted from now on. Tells whether it is wanted.
    pub(super) fn begin(&mut self, id: u64, interrupt: Interrupt) -> bool {
        self.opening.insert(id, interrupt);
        !self.stopping
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
        self.links.insert(id, Link { peer, established: false, channels: BTreeSet::new() });
        if self.silent {
            return true;
        }
        if right_key {
            if let Some(link) = self.links.get_mut(&id) {
                link.established = true;
            }
            let socket_id = format!("{}.{}", fastrand::u32(1..), fastrand::u32(1..));
            self.send(id, self.settings.established(&socket_id));
        } else {
            let message = "Could not find app by the key of the URL";
            if self.settings.close == CloseStyle::Code {
                self.send(id, self.settings.error(Some(4001), message));
            }
            self.close(id, 4001, message);
        }
        true
    }

    /// The connection has ended, or its handshake has failed.
    pub(super) fn forget(&mut self, id: u64) {
        self.opening.remove(&id);
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        for name in link.channels {
            self.leave(id, &name);
        }
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
            for (id, link) in self.links.iter().filter(|(_, link)| link.established) {
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

/// Channels.
impl State {
    /// `false`: it was subscribed already.
    pub(super) fn subscribe(&mut self, id: u64, name: &str) -> bool {
        let Some(link) = self.links.get_mut(&id) else {
            return true;
        };
        if !link.channels.insert(name.to_owned()) {
            return false;
        }
        let channel = self.channels.entry(name.to_owned()).or_default();
        channel.subscribers.insert(id);
        let cached = channel.cached.clone();
        self.send(id, self.settings.subscription_succeeded(name));
        match cached {
            Some(event) => self.send(id, event),
            None if is_cache(name) => self.send(id, self.settings.cache_miss(name)),
            None => {}
        }
        self.tell_count(name);
        true
    }

    /// `false`: it was not subscribed.
    pub(super) fn unsubscribe(&mut self, id: u64, name: &str) -> bool {
        let subscribed = self.links.get_mut(&id).is_some_and(|link| link.channels.remove(name));
        if subscribed {
            self.leave(id, name);
        }
        subscribed
    }

    fn leave(&mut self, id: u64, name: &str) {
        if let Some(channel) = self.channels.get_mut(name) {
            channel.subscribers.remove(&id);
            if channel.subscribers.is_empty() && channel.cached.is_none() {
                self.channels.remove(name);
            } else {
                self.tell_count(name);
            }
        }
    }

    fn tell_count(&mut self, name: &str) {
        if self.settings.subscription_counts {
            self.send_count(name, self.subscribers(name).try_into().unwrap_or(u64::MAX));
        }
    }

    pub(super) fn send_count(&mut self, name: &str, count: u64) {
        let frame = self.settings.subscription_count(name, count);
        self.broadcast(name, &frame.into());
    }

    /// Tells how many connections it goes to.
    pub(super) fn publish(&mut self, name: &str, event: &str, text: &str) -> usize {
        if self.silent {
            return 0;
        }
        let frame: Arc<str> = frames::published(name, event, text).into();
        if is_cache(name) {
            self.channels.entry(name.to_owned()).or_default().cached = Some(Arc::clone(&frame));
        }
        self.broadcast(name, &frame)
    }

    fn broadcast(&mut self, name: &str, frame: &Arc<str>) -> usize {
        let Some(channel) = self.channels.get(name) else {
            return 0;
        };
        if self.silent {
            return 0;
        }
        let links = channel.subscribers.iter().filter_map(|id| Some((id, self.links.get(id)?)));
        let mut count = 0;
        for (id, link) in links {
            link.peer.queue(Step::Send(Arc::clone(frame)));
            self.busy.insert(*id, Arc::clone(&link.peer));
            count += 1;
        }
        count
    }

    pub(super) fn set_refusal(&mut self, name: &str, refusal: Option<ChannelRefusal>) {
        match refusal {
            Some(refusal) => self.refused_channels.insert(name.to_owned(), refusal),
            None => self.refused_channels.remove(name),
        };
    }

    pub(super) fn refusal(&self, name: &str) -> Option<ChannelRefusal> {
        self.refused_channels.get(name).copied()
    }

    pub(super) fn subscribers(&self, name: &str) -> usize {
        self.channels.get(name).map_or(0, |channel| channel.subscribers.len())
    }
}

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
        !self.silent && self.links.get(&id).is_some_and(|link| link.established)
    }

    pub(super) fn established(&self) -> usize {
        self.links.values().filter(|link| link.established).count()
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

fn is_cache(name: &str) -> bool {
    ["cache-", "private-cache-", "private-encrypted-cache-", "presence-cache-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
