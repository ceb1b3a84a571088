//! Many questions in one request.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::HttpAuthorizer;
use super::answer::{Reply, excerpt, is_good, refused};
use super::endpoint::explain;
use super::request::Field;
use crate::wire::{data_of, each_field, number, pick};
use crate::{Auth, AuthRequest, Error, ErrorKind};

/// One request for each endpoint, which is one unless they depend on the channel.
pub(crate) fn authorize(
    http: &HttpAuthorizer,
    requests: &[AuthRequest],
) -> Vec<Result<Auth, Error>> {
    let interruptions = http.endpoint.agents.interruptions();
    let mut groups: Vec<(String, &str, Vec<&str>)> = Vec::new();
    let mut places = Vec::with_capacity(requests.len());
    for request in requests {
        let url = http.endpoint.url(request);
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
    let mut answers: Vec<_> = groups
        .iter()
        .map(|(url, socket_id, channels)| {
            ask(http, url, interruptions, socket_id, channels).into_iter()
        })
        .collect();
    places
        .into_iter()
        .map(|group| {
            let next = answers.get_mut(group).and_then(Iterator::next);
            next.unwrap_or_else(|| Err(Error::message(ErrorKind::Internal, "an answer was lost")))
        })
        .collect()
}

fn ask(
    http: &HttpAuthorizer,
    url: &str,
    interruptions: u64,
    socket_id: &str,
    channels: &[&str],
) -> Vec<Result<Auth, Error>> {
    let fields = vec![
        ("socket_id", Field::Text(socket_id)),
        ("channel_name", Field::List(channels.to_vec())),
    ];
    let read = |reply: &Reply<'_>| read(http, reply, socket_id, channels);
    match http.endpoint.ask(url, interruptions, fields, read) {
        Ok(results) => results,
        Err(error) => channels.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// The answer about each channel.
pub(crate) fn read(
    http: &HttpAuthorizer,
    reply: &Reply<'_>,
    socket_id: &str,
    channels: &[&str],
) -> Result<Vec<Result<Auth, Error>>, Error> {
    if let Err(error) = serde_json::from_str::<&RawValue>(reply.text) {
        return Err(
            explain(reply, wrong("the answer is not JSON").caused_by(error)).at(reply.place)
        );
    }
    let Some(answer) = parts(reply.text) else {
        return Err(wrong("the answer is not a JSON object by channel").at(reply.place));
    };
    let answers = answer.get(socket_id).and_then(|under| parts(under)).unwrap_or(answer);
    Ok(channels.iter().map(|channel| one(http, answers.get(*channel).copied(), reply)).collect())
}

/// The JSON texts of an object's fields; `None` if it is no object.
fn parts(json: &str) -> Option<HashMap<Cow<'_, str>, &str>> {
    let mut parts = HashMap::new();
    let read = each_field(json, |name, part| {
        parts.insert(name, part);
    });
    read.ok().map(|()| parts)
}

fn one(http: &HttpAuthorizer, answer: Option<&str>, reply: &Reply<'_>) -> Result<Auth, Error> {
    let wrong = |message| wrong(message).at(reply.place);
    let Some(answer) = answer.filter(|answer| answer.starts_with('{')) else {
        return Err(wrong("the answer does not have the channel"));
    };
    let [data, status] = pick(answer, ["data", "status"]);
    // An object is taken as it stands, since it may hold what was signed.
    let data = data.map(data_of);
    let status = match status {
        None | Some("null") => 200,
        Some(status) => number(status)
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| wrong("the channel has a `status` that is not a number"))?,
    };
    if !is_good(status) {
        let excerpt = excerpt(&data.unwrap_or_default(), reply.secrets);
        return Err(refused(reply.place, status, &excerpt));
    }
    match data {
        // It was read, so it is not compressed.
        Some(text) => http.endpoint.parse(&Reply { text: &text, encoding: None, ..*reply }),
        None => Err(wrong("the channel has no `data`")),
    }
}

fn wrong(message: &str) -> Error {
    Error::message(ErrorKind::Auth, message)
}
