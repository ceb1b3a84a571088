//! The endpoints that authorize subscriptions and sign users in, as an app's own server would.

use std::collections::VecDeque;
use std::fmt;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::http::{self, Parsed, Request};
use super::listener::Service;
use super::settings::Settings;
use super::signature::{channel_text, sign, user_text};
use super::state::{Shared, State};
use crate::Error;
use crate::Interrupt;
use crate::transport::Exchange;
use crate::util::clock;
use crate::util::guard::write_log;
use crate::wire::{ChannelKind, check_channel};

pub(super) const SERVICE: Service =
    Service { accepting: "testing-auth", serving: "testing-request", serve };

pub(super) const PATH: &str = "/pusher/auth";

pub(super) const USER_PATH: &str = "/pusher/user-auth";

/// For a request to come in, and again for its answer to be taken.
const TIMEOUT: Duration = Duration::from_secs(10);

/// So many requests are kept,
const MAX_RECORDED: usize = 10_000;

/// and no more than these bytes of their bodies.
const MAX_RECORDED_BYTES: usize = 64 * 1024 * 1024;

/// A request to one of the server's auth endpoints, which [`target`](Self::target) tells; see
/// [`Server::auth_requests`](super::Server::auth_requests).
#[derive(Clone)]
pub struct AuthRecord {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    socket_id: Option<String>,
    channels: Vec<String>,
}

impl AuthRecord {
    /// Such as `POST`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path with its query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The headers in their order, as they were given.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The value of the first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::find_header(&self.headers, name)
    }

    /// The body as it was sent; empty if there was none.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The connection that was asked for.
    pub fn socket_id(&self) -> Option<&str> {
        self.socket_id.as_deref()
    }

    /// The channels that were asked for: several, if they were asked for together; none, if a user was
    /// to be signed in.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }
}

/// Without the headers and the body, which may carry secrets of the app.
impl fmt::Debug for AuthRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRecord")
            .field("method", &self.method)
            .field("socket_id", &self.socket_id)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// What was asked, and what is to go wrong.
#[derive(Default)]
pub(super) struct AuthState {
    pub(super) delay: Duration,
    /// Instead of 200, for ever,
    pub(super) status: Option<u16>,
    /// and for so many requests.
    pub(super) next: Option<(usize, u16)>,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Option<String>,
    recorded: VecDeque<AuthRecord>,
    recorded_bytes: usize,
    count: usize,
    /// Of these, those that were for users.
    user_count: usize,
}

/// What goes wrong with one request.
struct Fault {
    status: Option<u16>,
    retry_after: Option<u64>,
    body: Option<String>,
}

impl AuthState {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn user_count(&self) -> usize {
        self.user_count
    }

    pub(super) fn recorded(&self) -> Vec<AuthRecord> {
        self.recorded.iter().cloned().collect()
    }

    fn receive(&mut self, record: AuthRecord) -> Fault {
        self.count += 1;
        self.user_count += usize::from(http::path(&record.target) == USER_PATH);
        self.recorded_bytes += record.body.len();
        self.recorded.push_back(record);
        while self.recorded.len() > MAX_RECORDED || self.recorded_bytes > MAX_RECORDED_BYTES {
            let Some(oldest) = self.recorded.pop_front() else {
                break;
            };
            self.recorded_bytes -= oldest.body.len();
        }
        let next = self.next.as_mut().filter(|(left, _)| *left > 0);
        let next = next.map(|(left, status)| {
            *left -= 1;
            *status
        });
        let status = next.or(self.status).filter(|status| *status != 200);
        Fault { status, retry_after: self.retry_after, body: self.body.clone() }
    }
}

fn serve(shared: &Shared, _id: u64, stream: TcpStream, interrupt: &Interrupt) {
    if let Err(error) = exchange(shared, stream, interrupt) {
        write_log!(Debug, "the test server's auth endpoint: {error}");
    }
}

fn exchange(shared: &Shared, stream: TcpStream, interrupt: &Interrupt) -> Result<(), Error> {
    let mut exchange = Exchange::new(stream, clock::now() + TIMEOUT, interrupt)?;
    let mut bytes = Vec::new();
    let response = loop {
        let more = exchange.receive(&mut bytes)?;
        match http::parse(&bytes) {
            Parsed::Request(request) => break answer(shared, request),
            Parsed::Wrong(status) => break http::response(status, None, ""),
            Parsed::Incomplete if more => {}
            Parsed::Incomplete => return Ok(()),
        }
    };
    exchange.reply(&response, clock::now() + TIMEOUT)
}

fn answer(shared: &Shared, request: Request) -> Vec<u8> {
    let start = clock::now();
    let question = Question::read(&request);
    let (socket_id, channels) = match &question {
        Ok(question) => (Some(question.socket_id.clone()), question.channels().to_vec()),
        Err(_) => (None, Vec::new()),
    };
    let Request { method, target, headers, body } = request;
    let record = AuthRecord { method, target, headers, body, socket_id, channels };
    let fault = shared.act(|state| state.auth.receive(record));
    shared.delay_answer(start);

    let result = match fault.status {
        Some(status) => Err((status, "the test server was told to fail")),
        None => question.and_then(|question| shared.read(|state| state.authorize(&question))),
    };
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err((status, why)) => (status, json!({"error": why})),
    };
    let retry_after = fault.retry_after.filter(|_| status != 200);
    http::response(status, retry_after, &fault.body.unwrap_or_else(|| body.to_string()))
}

/// A status, and why.
type Refusal = (u16, &'static str);

/// What a client asks of the endpoints.
struct Question {
    socket_id: String,
    subject: Subject,
    /// Who asks, if the parameters say so.
    user_id: Option<Value>,
    user_info: Option<Value>,
}

enum Subject {
    Channels {
        names: Vec<String>,
        /// They are asked for together.
        batched: bool,
        /// Who joins is known to the server.
        by_signin: bool,
    },
    User {
        watchlist: Option<Value>,
    },
}

impl Question {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let path = http::path(&request.target);
        if ![PATH, USER_PATH].contains(&path) {
            return Err((404, "there is nothing at this path"));
        }
        if !["POST", "GET"].contains(&&*request.method) {
            return Err((405, "only POST and GET are taken"));
        }
        let params = request.params().ok_or((400, "the body is no JSON object"))?;
        let find = |name: &str| params.iter().find(|(given, _)| given == name);
        let value = |name: &str| find(name).map(|(_, value)| value.clone());
        let socket_id = value("socket_id").as_ref().and_then(Value::as_str).map(str::to_owned);
        let socket_id = socket_id
            .filter(|id| is_socket_id(id))
            .ok_or((400, "there is no socket_id of two numbers and a dot"))?;
        let subject = if path == USER_PATH {
            Subject::User { watchlist: value("watchlist").map(watchlist) }
        } else {
            Subject::channels(&params)?
        };
        let user_info = value("user_info").map(|info| match info {
            // JSON in a form; what is none is taken as it is.
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            info => info,
        });
        Ok(Self { socket_id, subject, user_id: value("user_id"), user_info })
    }

    fn channels(&self) -> &[String] {
        match &self.subject {
            Subject::Channels { names, .. } => names,
            Subject::User { .. } => &[],
        }
    }
}

impl Subject {
    fn channels(params: &[(String, Value)]) -> Result<Self, Refusal> {
        let (mut names, mut batched, mut by_signin) = (Vec::new(), false, false);
        for (name, value) in params {
            batched |=
                name.starts_with("channel_name[") || (name == "channel_name" && value.is_array());
            if name == "channel_name" || name.starts_with("channel_name[") {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                names.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            by_signin |= name == "signed_in_user" && (value == "true" || value == true);
        }
        if names.is_empty() || (names.len() > 1 && !batched) {
            return Err((400, "there is not one channel_name"));
        }
        Ok(Self::Channels { names, batched, by_signin })
    }
}

/// Ids in a form: an array in JSON, or with commas between them.
fn watchlist(value: Value) -> Value {
    let Value::String(text) = value else {
        return value;
    };
    let array = serde_json::from_str(&text).ok().filter(Value::is_array);
    array.unwrap_or_else(|| {
        text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(Value::from).collect()
    })
}

fn is_socket_id(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(left, right)| digits(left) && digits(right))
}

impl State {
    fn authorize(&self, question: &Question) -> Result<Value, Refusal> {
        let (names, batched, by_signin) = match &question.subject {
            Subject::User { watchlist } => return Ok(self.authorize_user(question, watchlist)),
            Subject::Channels { names, batched, by_signin } => (names, *batched, *by_signin),
        };
        if !batched {
            let channel = names.first().map_or("", String::as_str);
            return self.authorize_channel(question, channel, by_signin);
        }
        let answers = names.iter().map(|channel| {
            let answer = match self.authorize_channel(question, channel, by_signin) {
                Ok(data) => json!({"status": 200, "data": data}),
                Err((status, why)) => json!({"status": status, "data": {"error": why}}),
            };
            (channel.clone(), answer)
        });
        Ok(Value::Object(answers.collect()))
    }

    fn authorize_user(&self, question: &Question, watchlist: &Option<Value>) -> Value {
        let mut user = question.who("id");
        if let Some(ids) = watchlist {
            user.insert("watchlist".to_owned(), ids.clone());
        }
        let user_data = Value::Object(user);
        let text = user_data.to_string();
        let auth = self.auth_of(&user_text(&question.socket_id, &text));
        let as_object = self.settings.user_data_as_object;
        json!({"auth": auth, "user_data": if as_object { user_data } else { text.into() }})
    }

    /// The key with the signature of this text.
    fn auth_of(&self, text: &str) -> String {
        let Settings { key, secret, .. } = &*self.settings;
        format!("{key}:{}", sign(secret, text))
    }

    fn authorize_channel(
        &self,
        question: &Question,
        channel: &str,
        by_signin: bool,
    ) -> Result<Value, Refusal> {
        let kind = ChannelKind::of(channel);
        if kind == ChannelKind::Public || check_channel(channel, kind, true).is_err() {
            return Err((403, "this is not the name of a channel that needs authorization"));
        }
        let named =
            kind == ChannelKind::Presence && !by_signin && !self.settings.presence_by_signin;
        let channel_data = named.then(|| Value::Object(question.who("user_id")).to_string());
        let text = channel_text(&question.socket_id, channel, channel_data.as_deref());
        let mut answer = Map::new();
        answer.insert("auth".to_owned(), self.auth_of(&text).into());
        let shared_secret = self.keys.shared_secret(channel);
        for (name, value) in [("channel_data", channel_data), ("shared_secret", shared_secret)] {
            if let Some(value) = value {
                answer.insert(name.to_owned(), value.into());
            }
        }
        Ok(answer.into())
    }
}

impl Question {
    fn who(&self, id: &str) -> Map<String, Value> {
        let mut who = Map::new();
        let made_up = || format!("user-{}", self.socket_id).into();
        who.insert(id.to_owned(), self.user_id.clone().unwrap_or_else(made_up));
        if let Some(info) = &self.user_info {
            who.insert("user_info".to_owned(), info.clone());
        }
        who
    }
}
