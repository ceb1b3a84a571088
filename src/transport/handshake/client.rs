//! The client's side of the handshake (RFC 6455, section 4.1), without a socket: it takes bytes and returns bytes.

use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

use super::refusal::{Refusal, is_tls_page};
use crate::config::headers::Header;
use crate::transport::Target;
use crate::transport::head::{MAX_HEAD, Search, may_be_http, status};

/// Heads with more fields are refused.
const MAX_FIELDS: usize = 128;
/// So much of the text that follows a refusal is looked at.
const MAX_BODY: usize = 4 * 1024;

pub(super) struct Handshake {
    /// What `Sec-WebSocket-Accept` must be.
    accept: String,
    encrypted: bool,
    search: Search,
}

/// What the handshake makes of the bytes that have come in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// They are not enough.
    Wait,
    /// They are enough, but what follows soon may tell more.
    WaitBriefly,
    /// So many are done with, and there is more to come.
    Skip(usize),
    /// So many are done with, and the rest is WebSocket.
    Done(usize),
}

/// What the bytes that have come in are judged by.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    /// No more will come, or is waited for.
    pub(super) is_all: bool,
    /// The wall clock, as time since 1970.
    pub(super) wall: Duration,
}

impl Handshake {
    /// The handshake with `key`, and the bytes that it begins with.
    pub(super) fn new(target: &Target, headers: &[Header], key: &str) -> (Self, Vec<u8>) {
        let accept = derive_accept_key(key.as_bytes());
        let this = Self { accept, encrypted: target.tls, search: Search::default() };
        (this, request(target, headers, key))
    }

    pub(super) fn advance(&mut self, input: Input<'_>) -> Result<Progress, Refusal> {
        if !may_be_http(input.bytes) {
            return Err(Refusal::not_http(input.bytes, self.encrypted));
        }
        let end = self.search.find_end(input.bytes).map_err(|_| {
            Refusal::new(format!("the server answered with a head of more than {MAX_HEAD} bytes"))
        })?;
        let Some((head, rest)) = end.and_then(|end| input.bytes.split_at_checked(end)) else {
            return Ok(Progress::Wait);
        };
        match status(head) {
            Some(101) => self.check(head).map(|()| Progress::Done(head.len())),
            // Told in between; the answer follows (RFC 9110, section 15.2).
            Some(100..=199) => {
                self.search.skip(head.len());
                Ok(Progress::Skip(head.len()))
            }
            Some(status) => {
                // The page that follows may tell that the port speaks TLS.
                let body = rest.get(..MAX_BODY).unwrap_or(rest);
                let may_tell = status == 400 && !self.encrypted && !is_tls_page(body);
                if may_tell && !input.is_all && body.len() < MAX_BODY {
                    return Ok(Progress::WaitBriefly);
                }
                Err(Refusal::by_http(status, head, body, self.encrypted, input.wall))
            }
            None => Err(Refusal::new("the server answered with an HTTP status that is none")),
        }
    }

    /// Whether it is WebSocket that the server has switched to, and nothing that was not offered.
    fn check(&self, head: &[u8]) -> Result<(), Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = httparse::ParserConfig::default()
            .allow_obsolete_multiline_headers_in_responses(true)
            .parse_response(&mut response, head);
        if !parsed.is_ok_and(|parsed| parsed.is_complete()) {
            return Err(Refusal::new("the server answered with a head that is not HTTP"));
        }
        if response.version != Some(1) {
            return Err(Refusal::new(
                "the server switched protocols in HTTP/1.0, which cannot; is a proxy in between?",
            ));
        }
        let fields: &[httparse::Header<'_>] = response.headers;
        let refused = |why: &str| Refusal::new(format!("the server switched protocols {why}"));
        if !lists(fields, "Upgrade").any(|item| item.eq_ignore_ascii_case(b"websocket")) {
            return Err(refused("without `Upgrade: websocket`"));
        }
        if !lists(fields, "Connection").any(|item| item.eq_ignore_ascii_case(b"upgrade")) {
            return Err(refused("without `Connection: Upgrade`"));
        }
        let mut accepts = values(fields, "Sec-WebSocket-Accept");
        if accepts.next() != Some(self.accept.as_bytes()) || accepts.next().is_some() {
            return Err(refused(
                "without the `Sec-WebSocket-Accept` that belongs to the request; does a cache answer?",
            ));
        }
        for (name, what) in
            [("Sec-WebSocket-Extensions", "extension"), ("Sec-WebSocket-Protocol", "subprotocol")]
        {
            if let Some(item) = lists(fields, name).next() {
                let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
                let item = item.trim_ascii().escape_ascii().to_string();
                let why = format!("with the {what} `{item:.40}`, which was not offered");
                return Err(refused(&why));
            }
        }
        Ok(())
    }
}

fn request(target: &Target, headers: &[Header], key: &str) -> Vec<u8> {
    let host = target.uri.host().unwrap_or_default();
    // Proxies that compare the whole value do not know the one with the scheme's own port.
    let host = match target.uri.port_u16() {
        Some(port) if port != target.default_port() => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    let agent = concat!("pusher-channels/", env!("CARGO_PKG_VERSION"));
    let mut lines: Vec<(&str, &str)> = vec![
        ("Host", &host),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
        ("User-Agent", agent),
    ];
    for (name, value) in headers {
        let line = (name.as_str(), value.expose());
        match lines.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some(earlier) => *earlier = line,
            None => lines.push(line),
        }
    }
    // `Display` begins with a slash, also if there is only a query.
    let path = target.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in lines {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// The values of the fields of this name, each line's by itself.
fn values<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    let fields = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    fields.map(|field| field.value.trim_ascii())
}

/// The items of lists in the fields of this name (RFC 9110, section 5.6.1); empty ones do not count.
fn lists<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    let items = values(fields, name).flat_map(|value| value.split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}
