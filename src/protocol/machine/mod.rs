//! The state machine of one client.

pub(crate) mod authorization;
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
pub(crate) use signin::CHANNEL_PREFIX as USER_CHANNEL_PREFIX;

use super::backoff::Policy;
use super::frame::{self, Established};
use super::{Notice, Now, Output};
use crate::binding::QueueLimits;
use crate::util::give_back::GiveBack;
use crate::{ChannelStatus, Error, Members, State};
use channels::Channels;
use connection::{Due, Live, Phase, Step};
use journal::Journal;
use signin::SignIn;
use trigger::Bucket;
use turn::Turn;

/// A jump of the wall clock by more than this against the monotonic one: the machine may have been
/// suspended.
const SUSPEND_JUMP: Duration = Duration::from_secs(5);

/// Close code of a connection that the client ends.
const NORMAL_CLOSE: u16 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) activity_timeout: Duration,
    /// Counts instead of what the server sends.
    pub(crate) override_activity_timeout: Option<Duration>,
    pub(crate) pong_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) subscribe_timeout: Duration,
    pub(crate) signin_timeout: Duration,
    pub(crate) policy: Policy,
    /// How many client events a second the user may send.
    pub(crate) client_event_limit: Option<u32>,
    /// How much the members of one channel may take.
    pub(crate) max_members_bytes: usize,
    /// How many events of an encrypted channel wait for its key, and how much they may take together.
    #[cfg_attr(not(feature = "encrypted"), expect(dead_code, reason = "nothing is decrypted"))]
    pub(crate) max_held: QueueLimits,
    /// What the jitter starts from.
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) config: Config,
    state: State,
    /// Since when.
    state_since: Option<Now>,
    phase: Phase,
    /// Counts the dials; the present one is current in `Opening` and `Live` only.
    generation: u64,
    /// The dial that runs.
    dialling: Turn,
    /// How many of them were established.
    connections: u64,
    channels: Channels,
    user: SignIn,
    attempts: u32,
    questions: u64,
    /// The question that the user's policy is asked.
    deciding: Turn,
    /// Counts the questions to authorizers.
    tickets: u64,
    /// By when those that are being asked are due, by ticket. An answer is awaited even where it is of
    /// no use any more.
    asked: BTreeSet<(Duration, u64)>,
    bucket: Option<Bucket>,
    /// When the last client event was sent on the present connection.
    triggered: Option<Duration>,
    pings: u64,
    answered: Option<(u64, Duration)>,
    /// Why the state is `Failed`, or what the user's policy is to decide about.
    failure: Option<Error>,
    last_failure: Option<Error>,
    /// How often the user has ended the connection.
    disconnects: u64,
    closed: bool,
    /// It has failed because nothing would tell when a deadline comes: not even a wait would end.
    untimed: bool,
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
            state: State::Initialized,
            state_since: None,
            phase: Phase::Idle,
            generation: 0,
            dialling: Turn::default(),
            connections: 0,
            channels: Channels::default(),
            user: SignIn::default(),
            attempts: 0,
            questions: 0,
            deciding: Turn::default(),
            tickets: 0,
            asked: BTreeSet::new(),
            bucket: config.client_event_limit.map(Bucket::new),
            triggered: None,
            pings: 0,
            answered: None,
            failure: None,
            last_failure: None,
            disconnects: 0,
            closed: false,
            untimed: false,
            last_seen: None,
            journal: Journal::default(),
            changed: false,
            config,
            outputs: VecDeque::new(),
        }
    }

    // ---- getters

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// For how long the state has been what it is; zero before the first change.
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
        match &self.phase {
            Phase::Live(live) => Some(&live.socket_id),
            Phase::Idle | Phase::Opening { .. } | Phase::Waiting { .. } | Phase::Asking { .. } => {
                None
            }
        }
    }

    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Why the last connection of this outage was lost, or its last dial failed. `None` while connected,
    /// and from `connect`, `disconnect` and `switch` to the next failure.
    pub(crate) fn last_failure(&self) -> Option<&Error> {
        self.last_failure.as_ref()
    }

    pub(crate) fn disconnects(&self) -> u64 {
        self.disconnects
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The last ping that was answered, and how long that took.
    pub(crate) fn answered(&self) -> Option<(u64, Duration)> {
        self.answered
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

    /// Whether this generation's dial or connection still counts.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        let present = match self.phase {
            Phase::Opening { step, .. } => step != Step::Held,
            Phase::Live(_) => true,
            Phase::Idle | Phase::Waiting { .. } | Phase::Asking { .. } => false,
        };
        present && generation == self.generation
    }

    // ---- what the user wants

    pub(crate) fn connect(&mut self, now: Now) {
        self.observe(now);
        if matches!(self.phase, Phase::Idle) && !self.closed {
            self.attempts = 0;
            self.last_failure = None;
            self.journal.end_outage();
            self.dial(now);
            self.set_state(State::Connecting, None, None);
        }
    }

    pub(crate) fn disconnect(&mut self, now: Now) {
        self.observe(now);
        self.disconnects += 1;
        self.changed = true;
        self.hang_up(now);
        self.phase = Phase::Idle;
        self.failure = None;
        self.last_failure = None;
        self.journal.end_outage();
        if self.state != State::Disconnected {
            self.set_state(State::Disconnected, None, None);
        }
    }

    pub(crate) fn reconnect(&mut self, now: Now) {
        self.observe(now);
        if self.closed {
            return;
        }
        if matches!(self.phase, Phase::Idle) {
            return self.connect(now);
        }
        self.hang_up(now);
        self.attempts = 0;
        self.dial(now);
        self.set_state(State::Reconnecting, None, Some(Duration::ZERO));
    }

    /// The server is another one from now on.
    pub(crate) fn switch(&mut self, now: Now) {
        self.observe(now);
        // It was about the server before.
        self.last_failure = None;
        if !matches!(self.phase, Phase::Idle) {
            self.reconnect(now);
        }
    }

    /// Ends everything, for good.
    pub(crate) fn close(&mut self, now: Now) {
        if !self.closed {
            self.disconnect(now);
            self.closed = true;
            self.asked.clear();
        }
    }

    pub(crate) fn subscribe(&mut self, name: &str, now: Now) {
        self.observe(now);
        if self.closed {
            return;
        }
        self.changed = true;
        if self.channels.want(name) && matches!(self.phase, Phase::Live(_)) {
            self.join(name, now);
        }
    }

    pub(crate) fn unsubscribe(&mut self, name: &str, now: Now) {
        self.observe(now);
        self.changed = true;
        if self.channels.unwant(name) && matches!(self.phase, Phase::Live(_)) {
            self.send(frame::unsubscribe(name), now);
        }
    }

    /// The last handle and binding of the channel are gone: forgets it, unless it is subscribed to.
    pub(crate) fn retire(&mut self, name: &str) {
        self.channels.retire(name);
    }

    // ---- what came in

    /// The deadline has come; earlier calls do nothing.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.observe(now);
        self.notice_held(now);
        match &self.phase {
            Phase::Opening { step, deadline } if *deadline <= now.mono => {
                let error = self.dial_overdue(*step, now);
                self.abandon(error, now);
            }
            Phase::Live(live) => match live.due(now) {
                Due::Nothing => {}
                // Only `ping` can fail to send one, and it has just been asked whether it is connected.
                Due::Ping => drop(self.ping(now)),
                Due::Dead => {
                    let error = live.pong_missing();
                    self.abandon(error, now);
                }
            },
            Phase::Waiting { until, .. } if *until <= now.mono => self.dial(now),
            Phase::Idle | Phase::Opening { .. } | Phase::Waiting { .. } | Phase::Asking { .. } => {}
        }
        self.give_up_asking(now);
        self.handle_user_deadline(now);
        while let Some(name) = self.channels.overdue(now.mono) {
            self.handle_channel_deadline(&name, now);
        }
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

    /// Whether anything that somebody may be waiting for has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    // ---- inside

    pub(super) fn establish(&mut self, established: Established, now: Now) {
        let configured = self.config.activity_timeout;
        let told = established.activity_timeout.map_or(configured, |told| told.min(configured));
        let activity = self.config.override_activity_timeout.unwrap_or(told);
        let socket_id = established.socket_id;
        let live = Live::new(socket_id.clone(), activity, self.config.pong_timeout, now);
        self.phase = Phase::Live(live);
        self.last_failure = None;
        self.connections += 1;
        self.set_state(State::Connected, None, None);
        self.log_connected(now);
        self.notify(Notice::Connected(socket_id));
        self.triggered = None;
        // Before the channels: some of them may be left to the user.
        self.sign_in_again(now);
        for name in self.channels.wanted() {
            self.join(&name, now);
        }
    }

    pub(super) fn send(&mut self, frame: String, now: Now) {
        if let Phase::Live(live) = &mut self.phase {
            live.sent(now);
        }
        self.outputs.push_back(Output::Send { generation: self.generation, frame });
    }

    /// Ends the present connection from this side, and goes on as if it were lost.
    pub(super) fn abandon(&mut self, error: Error, now: Now) {
        self.end_connection();
        self.lose(error, now);
    }

    /// Ends the dial or connection, if there is one, because the user wants it.
    fn hang_up(&mut self, now: Now) {
        self.end_connection();
        self.forget_connection(now);
    }

    fn end_connection(&mut self) {
        let generation = self.generation;
        if self.is_current(generation) {
            self.push(Output::HangUp { generation, code: NORMAL_CLOSE });
        }
    }

    fn forget_connection(&mut self, now: Now) {
        let last_sign = match &self.phase {
            Phase::Live(live) => live.last_received,
            Phase::Idle | Phase::Opening { .. } | Phase::Waiting { .. } | Phase::Asking { .. } => {
                now
            }
        };
        self.channels.connection_lost(last_sign);
        self.user.connection_lost();
        #[cfg(feature = "encrypted")]
        for name in self.channels.wanted() {
            self.unseal(&name, now);
        }
    }

    /// The dial has failed or the connection is gone: what next?
    fn lose(&mut self, error: Error, now: Now) {
        let (error, was_stable, lasted) = match &mut self.phase {
            Phase::Live(live) => {
                (live.explain(error, now), live.was_stable(now), Some(live.lasted(now)))
            }
            Phase::Idle | Phase::Opening { .. } | Phase::Waiting { .. } | Phase::Asking { .. } => {
                (error, false, None)
            }
        };
        self.last_failure = Some(error.clone());
        self.lose_user(&error);
        self.forget_connection(now);
        if was_stable {
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.log_lost(&error, lasted, now);
        if self.untimed {
            return self.settle(None, Some(error), now);
        }
        if let Policy::Ask = self.config.policy {
            self.questions += 1;
            self.phase = Phase::Asking { question: self.questions };
            self.failure = Some(error.clone());
            self.set_state(State::Reconnecting, Some(error), None);
            return self.ask_policy(now);
        }
        let random = self.random.f64();
        let wait = self.config.policy.wait(&error, self.attempts, was_stable, random);
        self.settle(wait, Some(error), now);
    }

    /// Something that somebody may be waiting for has changed.
    pub(super) fn mark_changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notify(notice));
    }
}
