//! What the unit and property tests do with the harness, and expect of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::harness::{Request, UserRequest};
use super::super::{Config, Ping};
use super::outputs::Outputs;
use crate::wire::ChannelKind;
use crate::{Auth, ChannelStatus, Error, ErrorKind, State, UserAuth};

pub(super) use super::super::harness::{
    ACTIVITY, CONNECT, Harness, PONG, SIGNIN, SUBSCRIBE, backoff, config, secs, short,
};

/// So long after `CONNECT` a dial that reports nothing is given up.
pub(super) const GRACE: Duration = Duration::from_millis(250);
pub(super) const MS: Duration = Duration::from_millis(1);

/// The key of this number, as an authorizer returns it.
pub(super) fn secret(number: u8) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode([number; 32])
}

/// What a server would grant to this request, signed with its id and the socket id.
pub(super) fn granted(request: &Request) -> Auth {
    let auth = Auth::new(format!("{}/{}", request.socket_id, request.id));
    match ChannelKind::of(&request.channel) {
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

/// With a peer that sends pongs, and authorizers that wait for the test.
impl Harness {
    pub(super) fn new() -> Self {
        let mut harness = Self::with(|_| {});
        harness.answers_pings = true;
        harness
    }

    pub(super) fn connected() -> Self {
        let mut harness = Self::new();
        harness.connect();
        harness.establish();
        harness
    }

    /// Connected, with these channels granted and confirmed.
    pub(super) fn subscribed(names: &[&str]) -> Self {
        let mut harness = Self::connected();
        for name in names {
            harness.subscribe(name);
            if ChannelKind::of(name) != ChannelKind::Public {
                harness.grant(name);
            }
            harness.confirm(name);
        }
        harness.take();
        harness
    }

    /// Connected, and signed in as this user.
    pub(super) fn signed_in(id: &str) -> Self {
        let mut harness = Self::connected();
        harness.signin();
        harness.present(id);
        harness.confirm_user(id);
        harness.take();
        harness
    }
}

/// With a peer that sends nothing by itself, not even pongs, and authorizers that approve at once.
impl Harness {
    pub(super) fn quiet() -> Self {
        Self::quiet_with(|_| {})
    }

    pub(super) fn quiet_with(edit: impl FnOnce(&mut Config)) -> Self {
        let mut harness = Self::with(edit);
        harness.approves = true;
        harness
    }

    pub(super) fn quiet_connected() -> Self {
        Self::quiet_connected_with(|_| {})
    }

    pub(super) fn quiet_connected_with(edit: impl FnOnce(&mut Config)) -> Self {
        let mut harness = Self::quiet_with(edit);
        harness.connect();
        harness.establish();
        assert_eq!(harness.state(), State::Connected);
        harness.take();
        harness
    }

    pub(super) fn quiet_subscribed(names: &[&str]) -> Self {
        let mut harness = Self::quiet_connected();
        for name in names {
            harness.subscribe(name);
            harness.confirm(name);
        }
        harness.take();
        harness
    }
}

impl Harness {
    // ---- what the user wants

    pub(super) fn ping(&mut self) -> Result<Ping, Error> {
        self.input(|machine, now| machine.ping(now))
    }

    pub(super) fn trigger(&mut self, name: &str, event: &str, data: &str) -> Result<(), ErrorKind> {
        let result = self.trigger_event(name, event, data);
        result.map_err(|error| {
            assert_eq!(error.channel(), Some(name));
            error.kind()
        })
    }

    /// The user dials again, or for the first time, and the server establishes the connection.
    pub(super) fn reestablish(&mut self) {
        self.reconnect();
        if self.open {
            self.establish();
        }
    }

    // ---- the authorizer

    /// The last request about the channel.
    #[track_caller]
    pub(super) fn request(&self, name: &str) -> Request {
        let last = self.requests.iter().rfind(|request| request.channel == name);
        last.expect("a request").clone()
    }

    /// Begins the last request about the channel, and responds to it.
    #[track_caller]
    pub(super) fn respond(&mut self, name: &str, response: Result<Auth, Error>) {
        let request = self.request(name);
        assert!(self.begin(&request), "{request:?} is current");
        self.respond_to(&request, response);
    }

    #[track_caller]
    pub(super) fn grant(&mut self, name: &str) {
        let auth = granted(&self.request(name));
        self.respond(name, Ok(auth));
    }

    // ---- the authenticator

    #[track_caller]
    pub(super) fn user_request(&self) -> UserRequest {
        self.user_requests.last().expect("a request").clone()
    }

    /// Begins the last request to the authenticator, and responds to it.
    #[track_caller]
    pub(super) fn respond_user(&mut self, response: Result<UserAuth, Error>) {
        let request = self.user_request();
        assert!(self.begin_user(&request), "it is current");
        self.respond_to_user(&request, response);
    }

    /// The authenticator says that it is this user.
    #[track_caller]
    pub(super) fn present(&mut self, id: &str) {
        self.respond_user(Ok(UserAuth::new("key:s", json!({ "id": id }).to_string())));
    }

    // ---- the server

    /// The server confirms the sign-in, as Pusher does.
    pub(super) fn confirm_user(&mut self, id: &str) {
        let data = json!({ "user_data": json!({ "id": id }).to_string() });
        self.server("pusher:signin_success", None, json!(data.to_string()));
    }

    /// A `pusher:error` that names no channel.
    pub(super) fn error(&mut self, code: impl Into<Value>, message: &str) {
        let data = json!({ "code": code.into(), "message": message });
        self.server("pusher:error", None, &data);
    }

    pub(super) fn lose(&mut self) {
        self.lose_with(Error::new(ErrorKind::Io, "connection reset"));
    }

    pub(super) fn closed(&mut self, code: Option<u16>) {
        self.closed_with(code, "");
    }

    // ---- time

    /// How long from now until the deadline.
    #[track_caller]
    pub(super) fn due_in(&mut self) -> Duration {
        let deadline = self.deadline().expect("a deadline");
        deadline.saturating_sub(self.now.mono)
    }

    /// Lets the time pass, and calls the machine at each of its deadlines.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(deadline) = self.deadline().filter(|&deadline| deadline <= end) {
            self.skip(deadline.saturating_sub(self.now.mono));
            self.catch_up();
        }
        self.skip(end - self.now.mono);
    }

    /// Goes to the next deadline, and calls the machine.
    #[track_caller]
    pub(super) fn advance_to_deadline(&mut self) {
        let wait = self.due_in();
        self.advance(wait);
    }

    // ---- results

    pub(super) fn state(&self) -> State {
        self.machine.state()
    }

    pub(super) fn status(&self, name: &str) -> ChannelStatus {
        self.machine.channel_status(name)
    }

    pub(super) fn members(&self, name: &str) -> Vec<String> {
        self.machine.members(name).iter().map(|member| member.id().to_owned()).collect()
    }

    pub(super) fn take(&mut self) -> Outputs {
        let mut taken = Outputs::default();
        for output in std::mem::take(&mut self.outputs) {
            taken.add(output, self.now.mono);
        }
        taken
    }

    /// The outputs by their lines; see [`Outputs::lines`].
    #[track_caller]
    pub(super) fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.take().lines, lines);
    }

    /// The outputs by their letters; see [`Outputs::order`].
    #[track_caller]
    pub(super) fn expect_outputs(&mut self, order: &str) -> Outputs {
        let outputs = self.take();
        assert_eq!(outputs.order, order, "{outputs:?}");
        outputs
    }

    #[track_caller]
    pub(super) fn expect_nothing(&mut self) {
        self.expect_outputs("");
    }

    /// This failure is all that is notified, on the channel and on the client.
    #[track_caller]
    pub(super) fn expect_failure(&mut self, name: &str, kind: ErrorKind) {
        self.expect(&[&format!("failed {name} {kind:?}"), &format!("error {name} {kind:?}")]);
    }

    #[track_caller]
    pub(super) fn last_frame(&self) -> Value {
        serde_json::from_str(self.frames.last().expect("a frame")).expect("JSON")
    }
}
