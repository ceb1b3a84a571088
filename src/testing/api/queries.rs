//! What a backend asks about channels.

use serde_json::{Map, Value, json};

use super::{Info, Query, Refusal};
use crate::testing::state::State;
use crate::wire::ChannelKind;

fn is_presence(name: &str) -> bool {
    ChannelKind::of(name) == ChannelKind::Presence
}

/// The attributes that this channel has, of those that are wanted.
pub(super) fn attributes(state: &State, name: &str, info: &Info) -> Map<String, Value> {
    let mut attributes = Map::new();
    if info.user_count && is_presence(name) {
        attributes.insert("user_count".to_owned(), state.members(name).len().into());
    }
    if info.subscription_count {
        attributes.insert("subscription_count".to_owned(), state.subscribers(name).into());
    }
    if let Some((data, seconds)) = state.cached(name).filter(|_| info.cache) {
        attributes.insert("cache".to_owned(), json!({"data": data, "ttl": seconds}));
    }
    attributes
}

/// `GET /channels`
pub(super) fn channels(state: &State, query: &Query) -> Result<Value, Refusal> {
    if query.info.user_count && !is_presence(&query.prefix) {
        return Err(Refusal::new(
            400,
            "user_count may only be requested for presence channels - please supply \
             filter_by_prefix begining with presence-",
        ));
    }
    let names = state.occupied().filter(|name| name.starts_with(&query.prefix));
    let channels: Map<String, Value> =
        names.map(|name| (name.to_owned(), attributes(state, name, &query.info).into())).collect();
    Ok(json!({"channels": channels}))
}

/// `GET /channels/NAME`
pub(super) fn channel(state: &State, name: &str, query: &Query) -> Result<Value, Refusal> {
    if query.info.user_count && !is_presence(name) {
        let why = "Cannot retrieve the user count unless the channel is a presence channel";
        return Err(Refusal::new(400, why));
    }
    let mut channel = attributes(state, name, &query.info);
    channel.insert("occupied".to_owned(), (state.subscribers(name) > 0).into());
    Ok(channel.into())
}

/// `GET /channels/NAME/users`
pub(super) fn users(state: &State, name: &str) -> Result<Value, Refusal> {
    if !is_presence(name) {
        let why = "Users can only be retrieved for presence channels";
        return Err(Refusal::new(400, why));
    }
    let users = state.members(name).into_iter().map(|id| json!({"id": id}));
    Ok(json!({"users": users.collect::<Vec<Value>>()}))
}
