//! The errors of a handshake that the server refuses, with what to do about them.

use std::time::Duration;

use crate::transport::head::Head;
use crate::util::redact::shown_location;
use crate::util::units::words;
use crate::{Error, ErrorKind};

/// The hint where TLS is spoken.
pub(in crate::transport) const USE_TLS: &str =
    "if this port speaks TLS, use `.tls(true)` or `wss://`";
/// The hint where it is not.
pub(in crate::transport) const USE_PLAIN: &str =
    "if this port does not speak TLS, use `.tls(false)` or `ws://`";

/// Pages about a plain request on a TLS port, of nginx, Apache, Go and Tomcat.
const TLS_PAGES: [&str; 4] = [
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
    "sent an http request to an https server",
    "host and port requires tls",
];

/// A location that is longer is not shown.
const MAX_LOCATION: usize = 200;

pub(super) fn refused(why: impl Into<String>) -> Error {
    Error::message(ErrorKind::Handshake, why)
}

/// `input` is not empty, and does not begin as HTTP/1 does. Nothing of it is shown: an echo has the app key.
pub(super) fn not_http(input: &[u8], encrypted: bool) -> Error {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let what = match input {
        // The first byte of a record (RFC 8446, section 5.1): an alert, or a part of a handshake.
        [0x15 | 0x16, ..] if !encrypted => {
            return refused(format!("the server responded in TLS; {USE_TLS}"));
        }
        [b'S', b'S', b'H', b'-', ..] => "in SSH",
        [b'H', b'T', b'T', b'P', b'/', ..] => "in another version of HTTP",
        [b'2', b'2', b'0', b' ' | b'-', ..] => "with the greeting of a mail or FTP server",
        [b'G', b'E', b'T', b' ', ..] => "with the request itself",
        [b'<', ..] | [0xef, 0xbb, 0xbf, b'<', ..] => "with a page without an HTTP head",
        _ if input.iter().all(is_text) => "with text that is not HTTP",
        _ => "with bytes that are not HTTP",
    };
    refused(format!("the server responded {what}; is this the right port?"))
}

/// Returns the error of an HTTP response that does not switch protocols.
pub(super) fn refusal(head: &Head<'_>, body: &[u8], encrypted: bool, wall: Duration) -> Error {
    let hint = match head.status {
        300..=399 => redirect(head, encrypted),
        400 if !encrypted && is_tls_page(body) => {
            "; this port speaks TLS, use `.tls(true)` or `wss://`".to_owned()
        }
        401 | 403 => "; check host, path and key, and whether the server wants a header, such as \
                      `Origin` or a token: see `ClientBuilder::header`"
            .to_owned(),
        // The request is not to blame.
        408 | 429 | 500..=599 => head
            .retry_after(wall)
            .map_or_else(String::new, |wait| format!("; it requests a wait of {}", words(wait))),
        _ => "; check host, path and key".to_owned(),
    };
    let why = format!("the server responded with HTTP {}{hint}", head.status);
    head.refusal(ErrorKind::Handshake, why, wall)
}

/// Returns where a redirect leads, without what may be a token.
fn redirect(head: &Head<'_>, encrypted: bool) -> String {
    let is_plain_text = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let location = head.text("location").filter(|it| is_plain_text(it) && it.len() <= MAX_LOCATION);
    let location = location.map(|location| shown_location(location, &[]));
    let refused = "; redirects are not followed";
    let Some(location) = location.filter(|it| !it.is_empty()) else { return refused.to_owned() };
    let scheme = location.split("://").next().unwrap_or_default().to_ascii_lowercase();
    if matches!(&*scheme, "https" | "wss") && !encrypted {
        return format!("{refused}: `{location}` speaks TLS, use `.tls(true)` or `wss://`");
    }
    format!("{refused}: connect to `{location}` if that is right")
}

/// Returns `true` if the page is about a plain request on a TLS port.
pub(super) fn is_tls_page(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    TLS_PAGES.iter().any(|page| body.contains(page))
}
