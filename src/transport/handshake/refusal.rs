//! Why a handshake did not succeed, in words that say what to do.

use std::time::Duration;

use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::head::{values, wait_of};
use crate::util::redact::shown_location;
use crate::util::units::words;
use crate::{Error, ErrorKind};

/// What to do where TLS is spoken.
pub(in crate::transport) const USE_TLS: &str =
    "if this port speaks TLS, use `.tls(true)` or `wss://`";
/// What to do where it is not.
pub(in crate::transport) const USE_PLAIN: &str =
    "if this port does not speak TLS, use `.tls(false)` or `ws://`";

/// What servers write on the page about a plain request on their TLS port: nginx, Apache, Go, Tomcat.
const TLS_PAGES: [&str; 4] = [
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
    "sent an http request to an https server",
    "host and port requires tls",
];

/// A location that is longer is not shown.
const MAX_LOCATION: usize = 200;

/// Why the server did not let this client in: the end of a sentence that begins with the step.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    pub(super) status: Option<u16>,
    /// How long it asks to wait.
    pub(super) wait: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), status: None, wait: None }
    }

    /// `input` is not empty, and does not begin as HTTP/1 does. Nothing of it is shown: an echo has the app key.
    pub(super) fn not_http(input: &[u8], encrypted: bool) -> Self {
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        let what = match input {
            // The first byte of a record (RFC 8446, section 5.1): an alert, or a greeting.
            [0x15 | 0x16, ..] if !encrypted => {
                return Self::new(format!("the server answered in TLS; {USE_TLS}"));
            }
            [b'S', b'S', b'H', b'-', ..] => "in SSH",
            [b'H', b'T', b'T', b'P', b'/', ..] => "in another version of HTTP",
            [b'2', b'2', b'0', b' ' | b'-', ..] => "with the greeting of a mail or FTP server",
            [b'G', b'E', b'T', b' ', ..] => "with the request itself",
            [b'<', ..] | [0xef, 0xbb, 0xbf, b'<', ..] => "with a page without an HTTP head",
            _ if input.iter().all(is_text) => "with text that is not HTTP",
            _ => "with bytes that are not HTTP",
        };
        Self::new(format!("the server answered {what}; is this the right port?"))
    }

    pub(super) fn by_http(
        status: u16,
        head: &[u8],
        body: &[u8],
        encrypted: bool,
        wall: Duration,
    ) -> Self {
        let wait = wait_of(head, status, wall);
        let hint = match status {
            300..=399 => redirect(head, encrypted),
            400 if !encrypted && is_tls_page(body) => {
                "; this port speaks TLS, use `.tls(true)` or `wss://`".to_owned()
            }
            401 | 403 => {
                "; check host, path and key, and whether the server wants a header, such as \
                    `Origin` or a token: see `ClientBuilder::header`"
                    .to_owned()
            }
            // It is not the request that is wrong.
            408 | 429 | 500..=599 => wait
                .map_or_else(String::new, |wait| format!("; it asks to wait for {}", words(wait))),
            _ => "; check host, path and key".to_owned(),
        };
        let why = format!("the server answered with HTTP {status}{hint}");
        Self { why, status: Some(status), wait }
    }

    pub(super) fn into_error(self, peer: &HandshakeStream) -> Error {
        let mut error = peer.dial.failed_because(ErrorKind::Handshake, &self.why);
        if let Some(status) = self.status {
            error = error.with_http_status(status);
        }
        match self.wait {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

/// Where a redirect leads, without what may be a token.
fn redirect(head: &[u8], encrypted: bool) -> String {
    let location = values(head, "location").next().and_then(|it| std::str::from_utf8(it).ok());
    let is_plain_text = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let location = location.filter(|it| is_plain_text(it) && it.len() <= MAX_LOCATION);
    let location = location.map(|location| shown_location(location, &[]));
    let told = "; redirects are not followed";
    match location.filter(|it| !it.is_empty()) {
        Some(location) => {
            let scheme = location.split("://").next().unwrap_or_default().to_ascii_lowercase();
            match scheme.as_str() {
                "https" | "wss" if !encrypted => {
                    format!("{told}: `{location}` speaks TLS, use `.tls(true)` or `wss://`")
                }
                _ => format!("{told}: connect to `{location}` if that is right"),
            }
        }
        None => told.to_owned(),
    }
}

/// Whether the page of a refusal is one of those that tell of a plain request on a TLS port.
pub(super) fn is_tls_page(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body).to_ascii_lowercase();
    TLS_PAGES.iter().any(|page| body.contains(page))
}
