//! The state machine of one client.

pub(crate) mod authorization;
pub(crate) mod channel;
pub(crate) mod channels;
pub(crate) mod connection;
#[cfg(feature = "encrypted")]
pub(crate) mod decrypt_queue;
mod dial;
mod ending;
mod heartbeat;
mod inbound;
mod journal;
mod mentions;
mod outbox;
mod refusals;
pub(crate) mod signin;
mod subscribe;
mod trigger;
mod turn;
pub(crate) mod window;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

#[cfg(test)]
pub(crate) use heartbeat::Ping;
pub(crate) use heartbeat::{Alarm, Cause};
pub(crate) use outbox::OutboxLimits;
pub(crate) use signin::CHANNEL_PREFIX as USER_CHANNEL_PREFIX;

use super::backoff::Policy;
use super::frame::{self, Established};
use super::{Notification, Now, Output};
use crate::binding::QueueLimits;
use crate::model::event::ChannelName;
use crate::util::give_back::GiveBack;
use crate::{ChannelStatus, Error, Members, State};
use channels::Channels;
use connection::{Due, Live, Phase, Step};
use journal::Journal;
use outbox::Outbox;
use signin::SignIn;
use trigger::Bucket;
use turn::Turn;

/// A jump of the wall clock by more than this against the monotonic one may be a suspend.
const SUSPEND_JUMP: Duration = Duration::from_secs(5);

/// Close code of a connection that the client ends.
const NORMAL_CLOSE: u16 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) activity_timeout: Duration,
    /// Replaces what the server sends and `activity_timeout`.
    pub(crate) override_activity_timeout: Option<Duration>,
    pub(crate) pong_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) subscribe_timeout: Duration,
    pub(crate) signin_timeout: Duration,
    pub(crate) policy: Policy,
    /// The number of client events a second that the user may send.
    pub(crate) client_event_limit: Option<u32>,
    pub(crate) outbox: Option<OutboxLimits>,
    /// The memory that the members of one channel may take, in bytes.
    pub(crate) max_members_bytes: usize,
    /// The number and the bytes of the events of an encrypted channel that may wait for its key.
    #[cfg_attr(not(feature = "encrypted"), expect(dead_code, reason = "nothing is decrypted"))]
    pub(crate) max_held: QueueLimits,
    /// The seed of the jitter.
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) config: Config,
    phase: Phase,
    /// The time of the last change of the state.
    state_since: Option<Now>,
    /// Counts the dials. The last one is current in `Opening` and `Live` only.
    generation: u64,
    /// The dial that has not returned.
    dialing: Turn,
    /// Counts the dials that were established.
    connections: u64,
    channels: Channels,
    user: SignIn,
    attempts: u32,
    /// Counts the requests to the user's policy.
    policy_calls: u64,
    /// The call of the user's policy that has not returned.
    deciding: Turn,
    /// Counts the requests to authorizers and authenticators.
    requests: u64,
    /// The deadlines of the calls of authorizers and authenticators that have not returned, with the ids of their
    /// requests. A call is waited for even where its response is of no use any more.
    calls: BTreeSet<(Duration, u64)>,
    bucket: Option<Bucket>,
    outbox: Option<Outbox>,
    pings: u64,
    /// The number of the last ping with a pong, and its round-trip time.
    last_pong: Option<(u64, Duration)>,
    /// Counts the calls of `disconnect`.
    disconnects: u64,
    last_seen: Option<Now>,
    pub(crate) journal: Journal,
    changed: bool,
    random: fastrand::Rng,
    outputs: VecDeque<Output>,
}

impl Machine {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            random: fastrand::Rng::with_seed(config.seed),
            phase: Phase::Initialized,
            state_since: None,
            generation: 0,
            dialing: Turn::default(),
            connections: 0,
            channels: Channels::default(),
            user: SignIn::default(),
            attempts: 0,
            policy_calls: 0,
            deciding: Turn::default(),
            requests: 0,
            calls: BTreeSet::new(),
            bucket: config.client_event_limit.map(Bucket::new),
            outbox: config.outbox.map(Outbox::new),
            pings: 0,
            last_pong: None,
            disconnects: 0,
            last_seen: None,
            journal: Journal::default(),
            changed: false,
            config,
            outputs: VecDeque::new(),
        }
    }

    // ---- getters

    pub(crate) fn state(&self) -> State {
        self.phase.state()
    }

    /// Returns for how long the state has been what it is; zero before the first change.
    pub(crate) fn state_for(&self, now: Now) -> Duration {
        self.state_since.map(|since| now.since(since)).unwrap_or_default()
    }

    pub(crate) fn dials(&self) -> u64 {
        self.generation
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn socket_id(&self) -> Option<&str> {
        self.phase.live().map(|live| &*live.socket_id)
    }

    /// Returns why the state is `Failed`; `None` in any other state.
    pub(crate) fn failure(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Failed { cause, .. } => Some(cause),
            _ => None,
        }
    }

    pub(crate) fn last_failure(&self) -> Option<&Error> {
        self.phase.last_failure()
    }

    pub(crate) fn disconnects(&self) -> u64 {
        self.disconnects
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Returns the number of the last ping with a pong, and its round-trip time.
    pub(crate) fn last_pong(&self) -> Option<(u64, Duration)> {
        self.last_pong
    }

    /// Returns the channels that the user wants, sorted by name.
    pub(crate) fn wanted_channels(&self) -> Vec<ChannelName> {
        let mut wanted = self.channels.wanted();
        wanted.sort_unstable();
        wanted
    }

    pub(crate) fn channel_status(&self, name: &str) -> ChannelStatus {
        self.channels.status(name)
    }

    pub(crate) fn channel_failure(&self, name: &str) -> Option<Error> {
        self.channels.failure(name)
    }

    pub(crate) fn subscription_count(&self, name: &str) -> Option<u64> {
        self.channels.count(name)
    }

    pub(crate) fn members(&self, name: &str) -> Members {
        self.channels.members(name)
    }

    /// Returns `true` if the dial or connection of this generation is the present one.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        let is_present = match self.phase {
            Phase::Opening { step, .. } => step != Step::Held,
            _ => self.phase.is_live(),
        };
        is_present && generation == self.generation
    }

    // ---- what the user wants

    pub(crate) fn connect(&mut self, now: Now) {
        self.observe(now);
        if self.phase.is_idle() && !self.is_closed() {
            self.attempts = 0;
            self.journal.end_outage();
            let previous = self.state();
            self.dial(true, None, now);
            self.notify_state(previous, None, None);
        }
    }

    pub(crate) fn disconnect(&mut self, now: Now) {
        self.observe(now);
        self.disconnects += 1;
        self.changed = true;
        self.close_connection(now);
        self.journal.end_outage();
        if self.state() != State::Disconnected {
            self.enter(Phase::Disconnected, None, None);
        }
    }

    pub(crate) fn reconnect(&mut self, now: Now) {
        self.observe(now);
        if self.phase.is_idle() {
            return self.connect(now);
        }
        let cause = self.last_failure().cloned();
        self.dial_anew(cause, now);
    }

    /// Reconnects to another server, if there is a connection, or a dial, or a wait for the next one.
    pub(crate) fn switch(&mut self, now: Now) {
        self.observe(now);
        if !self.phase.is_idle() {
            // The last failure was about the server before.
            self.dial_anew(None, now);
        }
    }

    fn dial_anew(&mut self, cause: Option<Error>, now: Now) {
        self.close_connection(now);
        self.attempts = 0;
        let previous = self.state();
        self.dial(false, cause, now);
        self.notify_state(previous, None, Some(Duration::ZERO));
    }

    /// Disconnects for good.
    pub(crate) fn close(&mut self, now: Now) {
        if !self.is_closed() {
            self.disconnect(now);
            self.phase = Phase::Closed;
            self.calls.clear();
            self.discard_outbox();
        }
    }

    pub(crate) fn subscribe(&mut self, name: &str, now: Now) {
        self.observe(now);
        if self.is_closed() {
            return;
        }
        self.changed = true;
        if self.channels.want(name) && self.phase.is_live() {
            self.join(name, now);
        }
    }

    pub(crate) fn unsubscribe(&mut self, name: &str, now: Now) {
        self.observe(now);
        self.changed = true;
        self.discard_line(name);
        if self.channels.unwant(name) && self.phase.is_live() {
            self.send(frame::unsubscribe(name), now);
        }
    }

    /// Forgets the channel, unless it is wanted: its last handle and binding are gone.
    pub(crate) fn retire(&mut self, name: &str) {
        self.channels.retire(name);
    }

    // ---- what came in

    /// Does what is due. Calls before the deadline do nothing.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.observe(now);
        self.log_held(now);
        match &self.phase {
            Phase::Opening { step, deadline, .. } if *deadline <= now.mono => {
                let error = self.dial_overdue(*step, now);
                self.abandon(error, now);
            }
            Phase::Live(live) => match live.due(now) {
                Due::Nothing => {}
                // It fails only where there is no connection.
                Due::Ping => drop(self.ping(now)),
                Due::Dead => {
                    let error = live.pong_missing();
                    self.abandon(error, now);
                }
            },
            Phase::Waiting { until, cause, .. } if *until <= now.mono => {
                let cause = cause.clone();
                self.dial(false, Some(cause), now);
            }
            _ => {}
        }
        self.abandon_calls(now);
        self.handle_user_deadline(now);
        while let Some(name) = self.channels.overdue(now.mono) {
            self.handle_channel_deadline(&name, now);
        }
        self.send_outbox(now);
    }

    // ---- what to do next

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.send_waiting();
        }
        self.outputs.pop_front()
    }

    /// Gives back what a flood has left.
    pub(crate) fn give_back(&mut self) {
        self.outputs.give_back();
        self.channels.give_back();
    }

    /// Returns `true` if anything that a `wait_*` may be waiting for has changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    // ---- inside

    pub(super) fn establish(&mut self, established: Established, now: Now) {
        let configured = self.config.activity_timeout;
        let agreed = established.activity_timeout.map_or(configured, |sent| sent.min(configured));
        let activity = self.config.override_activity_timeout.unwrap_or(agreed);
        let socket_id = established.socket_id;
        let live = Live::new(socket_id.clone(), activity, self.config.pong_timeout, now);
        self.connections += 1;
        self.enter(Phase::Live(live), None, None);
        self.log_connected(now);
        self.notify(Notification::Connected(socket_id));
        // Before the channels: some of them may wait for the user.
        self.sign_in_again(now);
        for name in self.channels.wanted() {
            self.join(&name, now);
        }
    }

    pub(super) fn send(&mut self, frame: String, now: Now) {
        if let Some(live) = self.phase.live_mut() {
            live.sent(now);
        }
        self.outputs.push_back(Output::Send { generation: self.generation, frame });
    }

    /// Something that a `wait_*` may be waiting for has changed.
    pub(super) fn mark_changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn notify(&mut self, notification: Notification) {
        self.outputs.push_back(Output::Notify(notification));
    }
}
