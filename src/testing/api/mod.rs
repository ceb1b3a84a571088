//! The HTTP API, as an app's backend uses it: it publishes events, queries channels, and ends users' connections.
//!
//! Requests are signed, and limited, as Pusher does it. Errors have Pusher's status and text.
//! See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/).

mod events;
mod queries;
mod signed;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::http::{Request, Response};
use super::state::{Shared, State};
use crate::util::clock;

/// The longest text of an error, in characters.
const MAX_TEXT: usize = 1000;

/// A status, and the text that says why.
struct Refusal(u16, String);

impl Refusal {
    fn new(status: u16, why: impl Into<String>) -> Self {
        Self(status, why.into())
    }
}

/// The response to a request whose path begins with `/apps/`; `None` to any other.
pub(super) fn respond(shared: &Shared, request: &Request) -> Option<Response> {
    let path = request.path().strip_prefix("/apps/")?;
    let decode = |part| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let parts: Vec<String> = path.split('/').map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Some(match route(shared, request, &parts) {
        Ok(body) => Response::json(200, body),
        Err(Refusal(status, why)) => Response::text(status, format!("{why:.MAX_TEXT$}\n")),
    })
}

fn route(shared: &Shared, request: &Request, path: &[&str]) -> Result<Value, Refusal> {
    let Some((app_id, rest)) = path.split_first() else {
        return Err(nothing(request));
    };
    if *app_id != shared.settings.app_id {
        return Err(Refusal::new(404, format!("Unknown app id {app_id:.100}")));
    }
    signed::check(&shared.settings, request, clock::wall().as_secs())?;
    let query = || Query::read(request);
    match (&*request.method, rest) {
        ("POST", ["events"]) => events::trigger(shared, &json_of(request)?),
        ("POST", ["batch_events"]) => events::trigger_batch(shared, &json_of(request)?),
        ("GET", ["channels"]) => shared.read(|state| queries::channels(state, &query())),
        ("GET", ["channels", name]) => shared.read(|state| queries::channel(state, name, &query())),
        ("GET", ["channels", name, "users"]) => shared.read(|state| queries::users(state, name)),
        ("POST", ["users", id, "events"]) => events::send_to_user(shared, id, &json_of(request)?),
        ("POST", ["users", id, "terminate_connections"]) => {
            shared.act(|state: &mut State| state.terminate(id));
            Ok(json!({}))
        }
        _ => Err(nothing(request)),
    }
}

fn nothing(request: &Request) -> Refusal {
    let (method, path) = (&request.method, request.path());
    Refusal::new(404, format!("There is no {method:.20} {path:.200}"))
}

fn json_of(request: &Request) -> Result<Value, Refusal> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(400, format!("Invalid JSON in the body: {error}")))
}

/// What a query wants to know.
struct Query {
    prefix: String,
    info: Info,
}

impl Query {
    fn read(request: &Request) -> Self {
        let query = request.query();
        let value = |name: &str| query.iter().find(|(given, _)| given == name);
        let value = |name| value(name).map_or("", |(_, value)| value);
        Self { prefix: value("filter_by_prefix").to_owned(), info: Info::read(value("info")) }
    }
}

/// The attributes of channels in a response.
struct Info {
    user_count: bool,
    subscription_count: bool,
    cache: bool,
}

impl Info {
    /// Reads a list separated by commas; unknown ones are ignored.
    fn read(list: &str) -> Self {
        let has = |name: &str| list.split(',').any(|element| element.trim() == name);
        Self {
            user_count: has("user_count"),
            subscription_count: has("subscription_count"),
            cache: has("cache"),
        }
    }

    fn is_empty(&self) -> bool {
        !(self.user_count || self.subscription_count || self.cache)
    }
}
