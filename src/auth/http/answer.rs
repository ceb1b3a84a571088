//! What an endpoint answers, and what of it may be shown.

use std::time::Duration;

use serde_json::Value;

use crate::{Error, ErrorKind};

/// What is shown of a refusal, in characters.
const EXCERPT: usize = 200;
/// Shorter texts are no secrets, and would tear holes into words.
const SHORTEST_SECRET: usize = 6;
/// Words from this length on that have a digit are taken for tokens.
const TOKEN: usize = 24;
/// Text that speaks of these is not shown at all.
const TELLTALES: [&str; 6] =
    ["\"auth\"", "shared_secret", "channel_data", "user_data", "token\":", "password"];

/// The endpoint's answer: of a refusal, its start.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The text of the answer, if it is a good one. `place` names the endpoint in messages.
    pub(super) fn into_text(self, place: &str, secrets: &[&str]) -> Result<String, Error> {
        if is_good(self.status) {
            return String::from_utf8(self.body).map_err(|error| {
                let message = format!("{place}: the answer is not text");
                Error::message(ErrorKind::Auth, message).caused_by(error.utf8_error())
            });
        }
        let excerpt = excerpt(&String::from_utf8_lossy(&self.body), secrets);
        let error = refused(place, self.status, &excerpt);
        Err(match self.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }
}

pub(super) fn is_good(status: u16) -> bool {
    (200..300).contains(&status)
}

pub(super) fn refused(what: &str, status: u16, excerpt: &str) -> Error {
    let joint = if excerpt.is_empty() { "" } else { ": " };
    Error::message(ErrorKind::Auth, format!("{what}: HTTP {status}{joint}{excerpt}"))
        .with_http_status(status)
}

/// What a refusal says for people: JSON's `error` or `message`, else the first line of the text.
pub(super) fn excerpt(body: &str, secrets: &[&str]) -> String {
    let body = body.trim();
    let said = match serde_json::from_str::<Value>(body) {
        Ok(json) => told(&json),
        // JSON that was cut, or a page for browsers.
        Err(_) if body.starts_with(['{', '[', '<', '"']) => return String::new(),
        Err(_) => body.lines().next().unwrap_or_default().to_owned(),
    };
    if TELLTALES.iter().any(|telltale| said.contains(telltale)) {
        return String::new();
    }
    let mut said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        said = said.replace(secret, "[redacted]");
    }
    let words: Vec<&str> = said
        .split_whitespace()
        .map(|word| if is_token(word) { "[redacted]" } else { word })
        .collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

fn told(json: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let error = json.get("error");
    text(error)
        .or_else(|| text(json.get("message")))
        .or_else(|| text(error.and_then(|error| error.get("message"))))
        .unwrap_or_default()
}

fn is_token(word: &str) -> bool {
    word.len() >= TOKEN && word.bytes().any(|byte| byte.is_ascii_digit())
}
