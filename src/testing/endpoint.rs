//! The endpoints that authorize subscriptions and sign-ins, as an app's own server would.

use serde_json::{Map, Value, json};

use super::http::{Request, Response};
use super::requests::AuthRecord;
use super::settings::Settings;
use super::signature::{channel_text, sign, user_text};
use super::state::{Shared, State};
use crate::util::clock;
use crate::wire::{ChannelKind, check_channel, is_socket_id};

/// Where subscriptions are authorized: as the client libraries expect it, and as Laravel has it.
pub(super) const PATHS: [&str; 2] = ["/pusher/auth", "/broadcasting/auth"];

/// Where sign-ins are authorized.
pub(super) const USER_PATHS: [&str; 2] = ["/pusher/user-auth", "/broadcasting/user-auth"];

pub(super) fn is_path(path: &str) -> bool {
    PATHS.contains(&path) || USER_PATHS.contains(&path)
}

pub(super) fn respond(shared: &Shared, request: &Request) -> Response {
    let start = clock::now();
    let parsed = AuthRequest::read(request);
    let (socket_id, channels) = match &parsed {
        Ok(parsed) => (Some(parsed.socket_id.clone()), parsed.channels().to_vec()),
        Err(_) => (None, Vec::new()),
    };
    let is_signin = USER_PATHS.contains(&request.path());
    let record = AuthRecord::new(request, socket_id, channels);
    let fault = shared.act(|state| state.auth.receive(record, is_signin));
    shared.delay_response(start);

    let result = match fault.status {
        Some(status) => Err((status, "the test server is set to fail")),
        None => parsed.and_then(|parsed| shared.read(|state| state.authorize(&parsed))),
    };
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err((status, why)) => (status, json!({"error": why})),
    };
    let mut response = Response::json(status, fault.body.unwrap_or_else(|| body.to_string()));
    if let Some(seconds) = fault.retry_after.filter(|_| status != 200) {
        response.headers.push(("Retry-After", seconds.to_string()));
    }
    response
}

/// A status with its reason.
type Refusal = (u16, &'static str);

/// A request to one of the endpoints.
struct AuthRequest {
    socket_id: String,
    subject: Subject,
    /// The user, if the parameters name one.
    user_id: Option<Value>,
    user_info: Option<Value>,
}

enum Subject {
    Channels {
        names: Vec<String>,
        /// The response has one entry per channel.
        batched: bool,
        /// The member is the user who has signed in.
        by_signin: bool,
    },
    User {
        watchlist: Option<Value>,
    },
}

impl AuthRequest {
    fn read(request: &Request) -> Result<Self, Refusal> {
        if !["POST", "GET"].contains(&&*request.method) {
            return Err((405, "the method must be POST or GET"));
        }
        let params = request.params().ok_or((400, "the body must be a JSON object"))?;
        let find = |name: &str| params.iter().find(|(given, _)| given == name);
        let value = |name: &str| find(name).map(|(_, value)| value.clone());
        let socket_id = value("socket_id").as_ref().and_then(Value::as_str).map(str::to_owned);
        let socket_id = socket_id
            .filter(|id| is_socket_id(id))
            .ok_or((400, "`socket_id` must be two numbers with a dot between them"))?;
        let subject = if USER_PATHS.contains(&request.path()) {
            Subject::User { watchlist: value("watchlist").map(watchlist) }
        } else {
            Subject::channels(&params)?
        };
        let user_info = value("user_info").map(|info| match info {
            // JSON in a form; anything else is a string.
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            info => info,
        });
        Ok(Self { socket_id, subject, user_id: value("user_id"), user_info })
    }

    /// The user's fields, with the id named `id`.
    fn user(&self, id: &str) -> Map<String, Value> {
        let mut user = Map::new();
        let default_id = || format!("user-{}", self.socket_id).into();
        user.insert(id.to_owned(), self.user_id.clone().unwrap_or_else(default_id));
        if let Some(info) = &self.user_info {
            user.insert("user_info".to_owned(), info.clone());
        }
        user
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
            return Err((400, "there must be one `channel_name`"));
        }
        Ok(Self::Channels { names, batched, by_signin })
    }
}

/// The ids in a form: a JSON array, or separated by commas.
fn watchlist(value: Value) -> Value {
    let Value::String(text) = value else {
        return value;
    };
    let array = serde_json::from_str(&text).ok().filter(Value::is_array);
    array.unwrap_or_else(|| {
        text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(Value::from).collect()
    })
}

impl State {
    fn authorize(&self, request: &AuthRequest) -> Result<Value, Refusal> {
        let (names, batched, by_signin) = match &request.subject {
            Subject::User { watchlist } => return Ok(self.authorize_user(request, watchlist)),
            Subject::Channels { names, batched, by_signin } => (names, *batched, *by_signin),
        };
        if !batched {
            let channel = names.first().map_or("", String::as_str);
            return self.authorize_channel(request, channel, by_signin);
        }
        let responses = names.iter().map(|channel| {
            let response = match self.authorize_channel(request, channel, by_signin) {
                Ok(data) => json!({"status": 200, "data": data}),
                Err((status, why)) => json!({"status": status, "data": {"error": why}}),
            };
            (channel.clone(), response)
        });
        Ok(Value::Object(responses.collect()))
    }

    fn authorize_user(&self, request: &AuthRequest, watchlist: &Option<Value>) -> Value {
        let mut user = request.user("id");
        if let Some(ids) = watchlist {
            user.insert("watchlist".to_owned(), ids.clone());
        }
        let user_data = Value::Object(user);
        let text = user_data.to_string();
        let auth = self.auth_of(&user_text(&request.socket_id, &text));
        let as_object = self.settings.user_data_as_object;
        json!({"auth": auth, "user_data": if as_object { user_data } else { text.into() }})
    }

    /// The app key and the signature of this text.
    fn auth_of(&self, text: &str) -> String {
        let Settings { key, secret, .. } = &*self.settings;
        format!("{key}:{}", sign(secret, text))
    }

    fn authorize_channel(
        &self,
        request: &AuthRequest,
        channel: &str,
        by_signin: bool,
    ) -> Result<Value, Refusal> {
        let kind = ChannelKind::of(channel);
        if kind == ChannelKind::Public || check_channel(channel, kind, true).is_err() {
            return Err((403, "this is not the name of a channel that needs authorization"));
        }
        let named =
            kind == ChannelKind::Presence && !by_signin && !self.settings.presence_by_signin;
        let channel_data = named.then(|| Value::Object(request.user("user_id")).to_string());
        let text = channel_text(&request.socket_id, channel, channel_data.as_deref());
        let mut response = Map::new();
        response.insert("auth".to_owned(), self.auth_of(&text).into());
        let shared_secret = self.keys.shared_secret(channel);
        for (name, value) in [("channel_data", channel_data), ("shared_secret", shared_secret)] {
            if let Some(value) = value {
                response.insert(name.to_owned(), value.into());
            }
        }
        Ok(response.into())
    }
}
