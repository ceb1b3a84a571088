//! One harness for the unit, property and fuzz tests: a machine with a simulated clock, and beside it what the user
//! wants and what the peer knows. After every input it checks what must always hold.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test panics when something does not hold"
)]

mod model;
mod outbox;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::{Backoff, Config, Machine, Now, Output, Policy};
use crate::{Auth, Error, ErrorKind, Event, Queue, State, UserAuth};

pub(crate) const ACTIVITY: Duration = secs(120);
pub(crate) const PONG: Duration = secs(30);
pub(crate) const CONNECT: Duration = secs(15);
pub(crate) const SUBSCRIBE: Duration = secs(20);
pub(crate) const SIGNIN: Duration = secs(25);

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn backoff(max_attempts: Option<u32>) -> Policy {
    Policy::Backoff(Backoff { max_attempts, ..Backoff::default() })
}

pub(crate) fn config() -> Config {
    Config {
        activity_timeout: ACTIVITY,
        override_activity_timeout: None,
        pong_timeout: PONG,
        connect_timeout: CONNECT,
        subscribe_timeout: SUBSCRIBE,
        signin_timeout: SIGNIN,
        policy: backoff(None),
        client_event_limit: Some(10),
        outbox: None,
        max_members_bytes: 16 * 1024 * 1024,
        max_held: Queue::default().limits(),
        seed: 7,
    }
}

/// The event and the channel of a frame that was sent: `subscribe room`, `ping`, ….
pub(crate) fn short(frame: &str) -> String {
    let value: Value = serde_json::from_str(frame).expect("a frame is JSON");
    let event = value["event"].as_str().expect("a frame has an event");
    let event = event.strip_prefix("pusher:").unwrap_or(event);
    match value["data"]["channel"].as_str() {
        Some(channel) => format!("{event} {channel}"),
        None => event.to_owned(),
    }
}

/// A request to an authorizer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) channel: String,
    pub(crate) socket_id: String,
    pub(crate) attempt: u32,
    /// The number of its connection.
    pub(crate) connection: u64,
    /// The `auth` of the response.
    auth: Option<String>,
}

/// A request to the authenticator.
#[derive(Clone, Debug)]
pub(crate) struct UserRequest {
    pub(crate) id: u64,
    pub(crate) socket_id: String,
    auth: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) machine: Machine,
    pub(crate) now: Now,
    /// What has come out since it was last taken.
    pub(crate) outputs: Vec<Output>,
    /// Of the last dial.
    pub(crate) generation: u64,
    /// `true` while that dial or its connection stands, as far as the machine knows.
    pub(crate) open: bool,
    /// Keeps what a dial calls from returning.
    pub(crate) blocks: bool,
    /// The dial that has not returned.
    running: Option<u64>,
    /// Approves requests to authorizers and the authenticator at once.
    pub(crate) approves: bool,
    /// Sends a pong for each ping.
    pub(crate) answers_pings: bool,
    pub(crate) state: State,
    pub(crate) socket_id: String,
    pub(crate) connections: u64,
    /// Counts the frames that establish a connection.
    establishments: u64,
    /// The number of the last request to the reconnect policy.
    pub(crate) policy_calls: u64,
    pub(crate) requests: Vec<Request>,
    pub(crate) user_requests: Vec<UserRequest>,
    /// The requests that were begun and have no response.
    running_requests: Vec<u64>,
    /// The request whose response is being handled.
    responding: Option<u64>,
    /// `true` once a response was so large that subscriptions may wait for others.
    has_large_responses: bool,
    /// What the user wants, in the order of the calls.
    pub(crate) wanted: Vec<String>,
    pub(crate) wants_signin: bool,
    /// What the user has unsubscribed from and still has handles of.
    silent: Vec<String>,
    /// For each channel, `true` if the last frame about it on this connection was a subscribe frame that the
    /// server has not refused.
    at_server: BTreeMap<String, bool>,
    /// The channels that the server has heard of on this connection, or has confirmed by itself.
    heard_of: BTreeSet<String>,
    /// Everything that came out, by its sort.
    pub(crate) frames: Vec<String>,
    pub(crate) errors: Vec<Error>,
    pub(crate) abandoned: Vec<u64>,
    pub(crate) log: Vec<String>,
    triggered: outbox::Triggered,
}

impl Harness {
    pub(crate) fn with(edit: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        edit(&mut config);
        Self {
            machine: Machine::new(config),
            now: Now { mono: secs(1000), suspended: secs(7), wall: secs(1_700_000_000) },
            outputs: Vec::new(),
            generation: 0,
            open: false,
            blocks: false,
            running: None,
            approves: false,
            answers_pings: false,
            state: State::Initialized,
            socket_id: String::new(),
            connections: 0,
            establishments: 0,
            policy_calls: 0,
            requests: Vec::new(),
            user_requests: Vec::new(),
            running_requests: Vec::new(),
            responding: None,
            has_large_responses: false,
            wanted: Vec::new(),
            wants_signin: false,
            silent: Vec::new(),
            at_server: BTreeMap::new(),
            heard_of: BTreeSet::new(),
            frames: Vec::new(),
            errors: Vec::new(),
            abandoned: Vec::new(),
            log: Vec::new(),
            triggered: outbox::Triggered::default(),
        }
    }

    // ---- what the user wants

    pub(crate) fn connect(&mut self) {
        self.input(|machine, now| machine.connect(now));
    }

    pub(crate) fn disconnect(&mut self) {
        self.input(|machine, now| machine.disconnect(now));
    }

    pub(crate) fn reconnect(&mut self) {
        self.input(|machine, now| machine.reconnect(now));
    }

    pub(crate) fn switch(&mut self) {
        self.input(|machine, now| machine.switch(now));
    }

    pub(crate) fn close(&mut self) {
        self.running_requests.clear();
        self.input(|machine, now| machine.close(now));
        assert!(self.machine.is_closed());
    }

    pub(crate) fn network_changed(&mut self) {
        self.input(|machine, now| machine.network_changed(now));
    }

    pub(crate) fn subscribe(&mut self, name: &str) {
        if !self.machine.is_closed() {
            self.silent.retain(|silent| silent != name);
            if !self.wants(name) {
                self.wanted.push(name.to_owned());
            }
        }
        self.input(|machine, now| machine.subscribe(name, now));
    }

    pub(crate) fn unsubscribe(&mut self, name: &str) {
        // The clocks may put the connection in doubt, but do not end it: what the server has refused it need not
        // hear of again.
        if self.machine.channel_failure(name).is_some_and(|error| !error.is_timeout()) {
            self.at_server.remove(name);
        }
        if let Some(at) = self.wanted.iter().position(|wanted| wanted == name) {
            self.wanted.remove(at);
            self.silent.push(name.to_owned());
        }
        self.input(|machine, now| machine.unsubscribe(name, now));
    }

    pub(crate) fn retire(&mut self, name: &str) {
        self.silent.retain(|silent| silent != name);
        self.input(|machine, _| machine.retire(name));
    }

    pub(crate) fn signin(&mut self) {
        self.wants_signin |= !self.machine.is_closed();
        self.input(|machine, now| machine.signin(now));
    }

    pub(crate) fn signout(&mut self) {
        self.wants_signin = false;
        self.input(|machine, now| machine.signout(now));
    }

    pub(crate) fn change_authenticator(&mut self) {
        self.wants_signin |= !self.machine.is_closed();
        self.input(|machine, now| machine.authenticator_changed(now));
    }

    // ---- authorizers, the authenticator and the policy

    /// Begins the call of an authorizer. Returns `true` if its response is of use.
    pub(crate) fn begin(&mut self, request: &Request) -> bool {
        let (name, id) = (&request.channel, request.id);
        let is_of_use = self.input(|machine, now| machine.begin_authorization(name, id, now));
        self.begun(id, &request.socket_id, is_of_use)
    }

    pub(crate) fn begin_user(&mut self, request: &UserRequest) -> bool {
        let id = request.id;
        let is_of_use = self.input(|machine, now| machine.begin_authentication(id, now));
        self.begun(id, &request.socket_id, is_of_use)
    }

    fn begun(&mut self, id: u64, socket_id: &str, is_of_use: bool) -> bool {
        if is_of_use {
            assert_eq!(self.machine.socket_id(), Some(socket_id), "of another connection");
            self.running_requests.push(id);
        }
        is_of_use
    }

    pub(crate) fn respond_to(&mut self, request: &Request, response: Result<Auth, Error>) {
        let id = request.id;
        let auth = response.as_ref().ok().map(|auth| auth.auth.clone());
        self.has_large_responses |= auth.as_ref().is_some_and(|auth| auth.len() > 4096);
        let known = self.requests.iter_mut().find(|known| known.id == id);
        known.expect("a request that was made").auth = auth;
        self.running_requests.retain(|running| *running != id);
        self.responding = Some(id);
        self.input(|machine, now| {
            machine.handle_authorization(&request.channel, id, response, now);
        });
        self.responding = None;
    }

    pub(crate) fn respond_to_user(
        &mut self,
        request: &UserRequest,
        response: Result<UserAuth, Error>,
    ) {
        let id = request.id;
        let known = self.user_requests.iter_mut().find(|known| known.id == id);
        known.expect("a request that was made").auth =
            response.as_ref().ok().map(|auth| auth.auth.clone());
        self.running_requests.retain(|running| *running != id);
        self.input(|machine, now| machine.handle_authentication(id, response, now));
    }

    pub(crate) fn decide(&mut self, call: u64, wait: Option<Duration>) {
        self.input(|machine, now| machine.handle_decision(call, wait, now));
    }

    // ---- the connection

    pub(crate) fn opened(&mut self) {
        let generation = self.generation;
        self.input(|machine, now| machine.handle_opened(generation, now));
    }

    /// The server establishes the connection, whatever the machine is waiting for.
    pub(crate) fn establish(&mut self) {
        self.establishments += 1;
        let id = self.establishments;
        self.establish_with(&format!(r#"{{"socket_id":"7.{id}","activity_timeout":120}}"#));
    }

    /// As `establish`. `data` is sent as a string, as servers do.
    pub(crate) fn establish_with(&mut self, data: &str) {
        self.server("pusher:connection_established", None, Value::from(data));
    }

    pub(crate) fn confirm(&mut self, channel: &str) {
        self.server("pusher_internal:subscription_succeeded", Some(channel), r#""{}""#);
    }

    /// An event of the server; `data` is JSON, or empty to leave it out.
    pub(crate) fn server(
        &mut self,
        event: &str,
        channel: Option<&str>,
        data: impl std::fmt::Display,
    ) {
        let mut frame = format!(r#"{{"event":{}"#, Value::from(event));
        if let Some(channel) = channel {
            frame.push_str(&format!(r#","channel":{}"#, Value::from(channel)));
        }
        let data = data.to_string();
        if !data.is_empty() {
            frame.push_str(&format!(r#","data":{data}"#));
        }
        self.frame(frame + "}");
    }

    /// Any frame, on the present connection.
    pub(crate) fn frame(&mut self, raw: impl Into<String>) {
        self.frame_on(self.generation, raw);
    }

    pub(crate) fn frame_on(&mut self, generation: u64, raw: impl Into<String>) {
        match Event::parse(raw.into()) {
            Ok(event) => {
                self.expect_confirmed(generation, &event);
                self.input(|machine, now| machine.handle_event(generation, event, now));
            }
            Err(error) => {
                self.input(|machine, now| machine.handle_malformed(generation, error, now));
            }
        }
    }

    pub(crate) fn lose_with(&mut self, error: Error) {
        let generation = self.generation;
        self.ending(|machine, now| machine.handle_lost(generation, error, now));
    }

    /// As `lose_with`, of a connection that is not the present one.
    pub(crate) fn lose_on(&mut self, generation: u64) {
        assert_ne!(generation, self.generation);
        let error = Error::new(ErrorKind::Io, "connection reset");
        self.input(|machine, now| machine.handle_lost(generation, error, now));
    }

    pub(crate) fn closed_with(&mut self, code: Option<u16>, reason: &str) {
        let generation = self.generation;
        self.ending(|machine, now| machine.handle_closed(generation, code, reason, now));
    }

    /// What the last dial has called returns.
    pub(crate) fn return_dial(&mut self) {
        if let Some(generation) = self.running.take() {
            self.input(|machine, now| machine.handle_dial_returned(generation, now));
        }
    }

    // ---- time

    pub(crate) fn timeout(&mut self) {
        self.input(|machine, now| machine.handle_timeout(now));
    }

    /// Lets the time pass without a call of `handle_timeout`, as a busy machine may.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
    }

    /// Lets the clocks go on as after a suspend, during which the monotonic one stands still.
    pub(crate) fn suspend(&mut self, time: Duration) {
        self.now.suspended += time;
        self.now.wall += time;
    }

    pub(crate) fn deadline(&mut self) -> Option<Duration> {
        self.machine.deadline()
    }

    /// Calls `handle_timeout` until the deadline is ahead, which must not take more than a few calls.
    pub(crate) fn catch_up(&mut self) {
        for _ in 0..3 {
            self.timeout();
            if self.deadline().is_none_or(|deadline| deadline > self.now.mono) {
                return;
            }
        }
        panic!("the deadline stays at {:?}: {:?}", self.deadline(), self.machine);
    }

    // ---- inputs

    pub(crate) fn input<R>(&mut self, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        let result = self.drain(input);
        self.check();
        result
    }

    /// An input that ends the present connection. What the clocks call for comes before it.
    pub(crate) fn ending(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        let closes = |outputs: &[Output]| {
            outputs.iter().filter(|output| matches!(output, Output::Close { .. })).count()
        };
        let before = closes(&self.outputs);
        self.drain(input);
        assert_eq!(closes(&self.outputs), before, "closed what is gone");
        self.open = false;
        self.check();
    }

    fn drain<R>(&mut self, input: impl FnOnce(&mut Machine, Now) -> R) -> R {
        let result = input(&mut self.machine, self.now);
        let first = self.outputs.len();
        let mut pinged = false;
        while let Some(output) = self.machine.poll_output() {
            self.note(&output);
            pinged |= matches!(&output, Output::Send { frame, .. } if short(frame) == "ping");
            self.respond_at_once(&output);
            self.outputs.push(output);
        }
        self.check_establishment(first);
        self.check_signins(first);
        if pinged && self.answers_pings {
            self.server("pusher:pong", None, "{}");
        }
        result
    }

    fn respond_at_once(&mut self, output: &Output) {
        match output {
            Output::Dial { generation, .. } if !self.blocks => {
                self.running = None;
                self.machine.handle_dial_returned(*generation, self.now);
            }
            Output::Authorize { request_id, channel, .. } if self.approves => {
                let auth = Auth::new("key:signature").channel_data(r#"{"user_id":"1"}"#);
                let auth = auth.shared_secret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
                self.requests.last_mut().expect("it was noted").auth = Some(auth.auth.clone());
                self.responding = Some(*request_id);
                self.machine.handle_authorization(channel, *request_id, Ok(auth), self.now);
            }
            Output::Authenticate { request_id, .. } if self.approves => {
                let auth = UserAuth::new("key:signature", r#"{"id":"bob"}"#);
                self.user_requests.last_mut().expect("it was noted").auth = Some(auth.auth.clone());
                self.machine.handle_authentication(*request_id, Ok(auth), self.now);
            }
            _ => {}
        }
    }
}
