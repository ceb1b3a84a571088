//! Events that a backend publishes.

use serde_json::{Map, Value, json};

use super::queries::attributes;
use super::{Info, Refusal};
use crate::testing::state::{Shared, State};
use crate::testing::user::user_of;
use crate::wire::{
    ChannelKind, MAX_BATCH, MAX_EVENT_CHANNELS, MAX_EVENT_DATA, MAX_EVENT_NAME, check_channel,
    is_socket_id,
};

/// An event, checked.
struct Event<'a> {
    name: &'a str,
    data: String,
    /// The connection that does not receive it.
    except: Option<&'a str>,
}

impl<'a> Event<'a> {
    fn read(body: &'a Value) -> Result<Self, Refusal> {
        let name = body.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Refusal::new(400, "Missing required parameter: name"))?;
        if name.is_empty() || name.chars().count() > MAX_EVENT_NAME {
            let why = format!("Invalid event name: it must have 1 to {MAX_EVENT_NAME} characters");
            return Err(Refusal::new(400, why));
        }
        let data = match body.get("data") {
            None | Some(Value::Null) => {
                return Err(Refusal::new(400, "Missing required parameter: data"));
            }
            Some(Value::String(text)) => text.clone(),
            Some(json) => json.to_string(),
        };
        if data.len() > MAX_EVENT_DATA {
            let why = format!(
                "The data content of this event exceeds the allowed maximum ({MAX_EVENT_DATA} bytes). See \
                 https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info"
            );
            return Err(Refusal::new(413, why));
        }
        let except = match body.get("socket_id") {
            None | Some(Value::Null) => None,
            Some(id) => Some(id.as_str().filter(|id| is_socket_id(id)).ok_or_else(|| {
                Refusal::new(400, format!("Invalid socket id {:.100}", id.to_string()))
            })?),
        };
        Ok(Self { name, data, except })
    }

    fn publish(&self, state: &mut State, channel: &str) {
        match user_of(channel) {
            Some(user) => state.send_to_user(user, self.name, &self.data),
            None => state.publish_plain(channel, self.name, &self.data, self.except),
        };
    }
}

fn check_name(name: &str) -> Result<&str, Refusal> {
    let checked = match user_of(name) {
        Some(user) => !user.is_empty(),
        None => check_channel(name, ChannelKind::of(name), true).is_ok(),
    };
    checked
        .then_some(name)
        .ok_or_else(|| Refusal::new(400, format!("Invalid channel name: {name:.200}")))
}

fn info_of(body: &Value) -> Info {
    Info::read(body.get("info").and_then(Value::as_str).unwrap_or_default())
}

/// `POST /events`
pub(super) fn trigger(shared: &Shared, body: &Value) -> Result<Value, Refusal> {
    let event = Event::read(body)?;
    let names = match (body.get("channels"), body.get("channel")) {
        (Some(Value::Array(names)), _) => names.iter().collect(),
        (None, Some(name)) => vec![name],
        _ => return Err(Refusal::new(400, "Missing required parameter: channels")),
    };
    if !(1..=MAX_EVENT_CHANNELS).contains(&names.len()) {
        let why = format!(
            "An event can be triggered on 1 to {MAX_EVENT_CHANNELS} channels, not {}",
            names.len()
        );
        return Err(Refusal::new(400, why));
    }
    let names: Result<Vec<&str>, Refusal> =
        names.iter().map(|name| check_name(name.as_str().unwrap_or_default())).collect();
    let (names, info) = (names?, info_of(body));
    shared.act(|state| {
        for name in &names {
            event.publish(state, name);
        }
        if info.is_empty() {
            return Ok(json!({}));
        }
        let of = |name: &&str| ((*name).to_owned(), attributes(state, name, &info).into());
        Ok(json!({"channels": names.iter().map(of).collect::<Map<String, Value>>()}))
    })
}

/// `POST /batch_events`
pub(super) fn trigger_batch(shared: &Shared, body: &Value) -> Result<Value, Refusal> {
    let batch = body.get("batch").and_then(Value::as_array);
    let batch = batch.ok_or_else(|| Refusal::new(400, "Missing required parameter: batch"))?;
    if batch.len() > MAX_BATCH {
        let why =
            format!("Batch too large: {} events, at most {MAX_BATCH} are allowed", batch.len());
        return Err(Refusal::new(400, why));
    }
    // All are checked before the first is sent.
    let mut events = Vec::new();
    for one in batch {
        let name = one.get("channel").and_then(Value::as_str);
        let name = name.ok_or_else(|| Refusal::new(400, "Missing required parameter: channel"))?;
        events.push((Event::read(one)?, check_name(name)?, info_of(one)));
    }
    shared.act(|state| {
        for (event, name, _) in &events {
            event.publish(state, name);
        }
        if events.iter().all(|(_, _, info)| info.is_empty()) {
            return Ok(json!({}));
        }
        let infos = events.iter().map(|(_, name, info)| Value::from(attributes(state, name, info)));
        Ok(json!({"batch": infos.collect::<Vec<Value>>()}))
    })
}

/// `POST /users/ID/events`
pub(super) fn send_to_user(shared: &Shared, id: &str, body: &Value) -> Result<Value, Refusal> {
    let event = Event::read(body)?;
    shared.act(|state| state.send_to_user(id, event.name, &event.data));
    Ok(json!({}))
}
