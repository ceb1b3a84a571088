//! Many requests for authorization in one HTTP request.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::endpoint::{Endpoint, explain};
use super::request::Field;
use super::response::{ResponseText, excerpt, is_success, refused};
use crate::auth::invalid;
use crate::wire::{data_of, each_field, number, pick};
use crate::{Auth, AuthRequest, Error, ErrorKind};

type AuthEndpoint = Endpoint<AuthRequest, Auth>;

/// Sends one HTTP request for each URL and socket id. Those after more interruptions than these fail.
pub(super) fn authorize(
    endpoint: &AuthEndpoint,
    requests: &[AuthRequest],
    interruptions: u64,
) -> Vec<Result<Auth, Error>> {
    let mut groups: Vec<(String, &str, Vec<&str>)> = Vec::new();
    let mut places = Vec::with_capacity(requests.len());
    for request in requests {
        let url = endpoint.url(request);
        let socket_id = request.socket_id();
        let known = groups.iter().position(|(u, s, _)| *u == url && *s == socket_id);
        let group = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push((url, socket_id, Vec::new()));
        }
        if let Some((_, _, channels)) = groups.get_mut(group) {
            channels.push(request.channel());
        }
        places.push(group);
    }
    let send = |(url, socket_id, channels): &(String, &str, Vec<&str>)| {
        let fields = vec![
            ("socket_id", Field::Text(socket_id)),
            ("channel_name", Field::List(channels.clone())),
        ];
        let read = |text: &ResponseText<'_>| read(endpoint, text, socket_id, channels);
        let responses = endpoint.send(url, interruptions, fields, read);
        responses
            .unwrap_or_else(|error| channels.iter().map(|_| Err(error.clone())).collect())
            .into_iter()
    };
    let mut responses: Vec<_> = groups.iter().map(send).collect();
    let next = |group| {
        let next = responses.get_mut(group).and_then(Iterator::next);
        next.unwrap_or_else(|| Err(Error::message(ErrorKind::Internal, "a response was lost")))
    };
    places.into_iter().map(next).collect()
}

/// Reads the response for each channel.
pub(super) fn read(
    endpoint: &AuthEndpoint,
    text: &ResponseText<'_>,
    socket_id: &str,
    channels: &[&str],
) -> Result<Vec<Result<Auth, Error>>, Error> {
    if let Err(error) = serde_json::from_str::<&RawValue>(text.text) {
        return Err(explain(text, invalid("is not JSON").caused_by(error)).at(text.place));
    }
    let Some(all) = parts(text.text) else {
        return Err(invalid("is not a JSON object by channel").at(text.place));
    };
    let all = all.get(socket_id).and_then(|under| parts(under)).unwrap_or(all);
    let read = |channel: &&str| read_part(endpoint, all.get(*channel).copied(), text);
    Ok(channels.iter().map(read).collect())
}

/// Returns the JSON texts of an object's fields; `None` if it is not an object.
fn parts(json: &str) -> Option<HashMap<Cow<'_, str>, &str>> {
    let mut parts = HashMap::new();
    let read = each_field(json, |name, part| {
        parts.insert(name, part);
    });
    read.ok().map(|()| parts)
}

/// Reads one channel's part of the response.
fn read_part(
    endpoint: &AuthEndpoint,
    part: Option<&str>,
    text: &ResponseText<'_>,
) -> Result<Auth, Error> {
    let wrong = |message| Error::message(ErrorKind::Auth, message).at(text.place);
    let Some(part) = part.filter(|part| part.starts_with('{')) else {
        return Err(invalid("does not have the channel").at(text.place));
    };
    let [data, status] = pick(part, ["data", "status"]);
    // The text of an object is not changed, since it may contain what was signed.
    let data = data.map(data_of);
    let status = match status {
        None | Some("null") => 200,
        Some(status) => number(status)
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| wrong("the channel has a `status` that is not a number"))?,
    };
    if !is_success(status) {
        let excerpt = excerpt(&data.unwrap_or_default(), text.secrets);
        return Err(refused(text.place, status, &excerpt));
    }
    match data {
        // The text around it was read, so it is not compressed.
        Some(data) => endpoint.parse(&ResponseText { text: &data, encoding: None, ..*text }),
        None => Err(wrong("the channel has no `data`")),
    }
}
