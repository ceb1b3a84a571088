//! The responses of endpoints, and what of them errors show.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::util::redact::{clean, shown_location};
use crate::wire::{pick, text};
use crate::{Error, ErrorKind};

/// Some servers send a byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Text that contains one of these is not shown.
const SECRET_MARKERS: [&str; 6] =
    ["\"auth\"", "shared_secret", "channel_data", "user_data", "token\":", "password"];

/// A response; of a refusal, its start.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// The server's time, as it wrote it.
    #[cfg(feature = "publisher")]
    pub(crate) date: Option<String>,
    /// The body's compression, by its header.
    pub(crate) encoding: Option<&'static str>,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The text of a 2xx response, for whoever reads it.
pub(crate) struct ResponseText<'a> {
    pub(crate) text: &'a str,
    /// Its compression, by the header or its first bytes.
    pub(crate) encoding: Option<&'static str>,
    /// What errors do not show.
    pub(crate) secrets: &'a [&'a str],
    /// The endpoint's name in errors.
    pub(crate) place: &'a str,
}

impl HttpResponse {
    /// Passes a 2xx response to `read`. `place` names the endpoint in messages.
    pub(crate) fn read<T>(
        self,
        place: &str,
        secrets: &[&str],
        read: impl FnOnce(&ResponseText<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let body = self.body.strip_prefix(BOM).unwrap_or(&self.body);
        let encoding = self.encoding.or_else(|| compressed(body));
        if is_success(self.status) {
            let text = std::str::from_utf8(body).map_err(|error| {
                let instead = match encoding {
                    Some(encoding) => compressed_text(encoding),
                    None => "is not UTF-8 text".to_owned(),
                };
                let message = format!("{place}: the response {instead}");
                Error::message(ErrorKind::Auth, message).caused_by(error)
            })?;
            return read(&ResponseText { text, encoding, secrets, place });
        }
        let location = self.location.as_deref().filter(|_| (300..400).contains(&self.status));
        let error = match (location, encoding) {
            (Some(location), _) => {
                let target = shown_location(location, secrets);
                let detail = format!(" to {target}; redirects are not followed");
                with_status(place, self.status, &detail)
            }
            (None, Some(_)) => refused(place, self.status, ""),
            (None, None) if matches!(self.status, 301 | 302 | 303 | 307 | 308) => {
                with_status(place, self.status, "; redirects are not followed")
            }
            (None, None) => {
                refused(place, self.status, &excerpt(&String::from_utf8_lossy(body), secrets))
            }
        };
        Err(match self.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }
}

impl ResponseText<'_> {
    /// Returns what came instead of JSON, if that can be named: the end of "the response …".
    pub(crate) fn instead_of_json(&self) -> Option<String> {
        let text = self.text.trim();
        if serde_json::from_str::<IgnoredAny>(text).is_ok() {
            return None;
        }
        if let Some(encoding) = self.encoding {
            return Some(compressed_text(encoding));
        }
        if text.is_empty() {
            return Some("is empty".to_owned());
        }
        let page = is_html(text).then(|| excerpt(text, self.secrets))?;
        Some(match page.as_str() {
            "" => "is an HTML page".to_owned(),
            title => format!("is an HTML page: `{title}`"),
        })
    }
}

/// Returns the last compression that the header names.
pub(crate) fn coding(header: &str) -> Option<&'static str> {
    let last = header.rsplit(',').next().unwrap_or_default().trim();
    let known = ["gzip", "br", "deflate", "zstd", "compress"];
    let last = if last.eq_ignore_ascii_case("x-gzip") { "gzip" } else { last };
    known.into_iter().find(|name| last.eq_ignore_ascii_case(name))
}

/// Returns the compression by the first bytes of the body, if the header does not name it.
pub(crate) fn compressed(body: &[u8]) -> Option<&'static str> {
    match body {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

fn compressed_text(encoding: &str) -> String {
    format!("is compressed ({encoding}), which was not requested")
}

pub(crate) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

pub(crate) fn refused(place: &str, status: u16, excerpt: &str) -> Error {
    let joint = if excerpt.is_empty() { "" } else { ": " };
    let hint = match status {
        401 => "; check the credentials in the request's headers",
        419 => "; if it is Laravel, its CSRF token is missing or has expired",
        _ => "",
    };
    with_status(place, status, &format!("{joint}{excerpt}{hint}"))
}

fn with_status(place: &str, status: u16, detail: &str) -> Error {
    Error::message(ErrorKind::Auth, format!("{place}: HTTP {status}{detail}"))
        .with_http_status(status)
}

/// Returns the part of a refusal that is meant for people: the `error` or `message` of JSON, the title of a page, or
/// the first line of the text.
pub(crate) fn excerpt(body: &str, secrets: &[&str]) -> String {
    let body = body.trim();
    let text = match serde_json::from_str::<&RawValue>(body) {
        Ok(json) => json_message(json.get()),
        Err(_) if is_html(body) => title(body).to_owned(),
        // JSON that was cut off, or another kind of page.
        Err(_) if body.starts_with(['{', '[', '<', '"']) => return String::new(),
        Err(_) => body.lines().next().unwrap_or_default().to_owned(),
    };
    if SECRET_MARKERS.iter().any(|marker| text.contains(marker)) {
        return String::new();
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "), ' ', secrets)
}

/// Returns `true` if the text begins as a page does, in upper or lower case, after comments. After `<?xml …?>` it must
/// name HTML.
fn is_html(text: &str) -> bool {
    let mut text = text;
    let mut parts = &["<head", "<title", "<body"][..];
    if let Some((_, rest)) = text.strip_prefix("<?xml").and_then(|it| it.split_once("?>")) {
        text = rest.trim_start();
        parts = &[];
    }
    while let Some((_, rest)) = text.strip_prefix("<!--").and_then(|it| it.split_once("-->")) {
        text = rest.trim_start();
    }
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    ["<!doctype html", "<html"].iter().chain(parts).any(|tag| begins(tag))
}

/// Returns the text of the first `<title>`, not unescaped.
fn title(page: &str) -> &str {
    // Lengths stay the same in ASCII.
    let lower = page.to_ascii_lowercase();
    let inside = |tag: &str, from: usize| Some(from + lower.get(from..)?.find(tag)? + tag.len());
    let found = inside("<title", 0).and_then(|tag| inside(">", tag)).and_then(|start| {
        let end = start + lower.get(start..)?.find("</title")?;
        page.get(start..end)
    });
    found.unwrap_or_default()
}

fn json_message(json: &str) -> String {
    let [error, message] = pick(json, ["error", "message"]);
    let inner = error.and_then(|error| pick(error, ["message"])[0]);
    [error, message, inner].into_iter().flatten().find_map(text).unwrap_or_default()
}
