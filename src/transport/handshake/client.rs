//! The client's side of the handshake (RFC 6455, section 4.1), without a socket: it takes bytes and returns bytes.
//!
//! The message of an error is the end of a sentence that begins with the step of the dial.

use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

use super::refusal::{is_tls_page, not_http, refusal, refused};
use crate::Error;
use crate::config::headers::Header;

use crate::transport::head::{Fault, Head, HeadReader, MAX_HEAD};
use crate::util::url::{Url, default_port};

/// How much of the text behind a refusal is looked at.
const MAX_BODY: usize = 4 * 1024;

pub(super) struct Handshake {
    /// The expected `Sec-WebSocket-Accept`.
    accept: String,
    encrypted: bool,
    head: HeadReader,
}

/// What the handshake makes of the bytes that were received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed.
    Wait,
    /// They suffice, but those that follow soon may add detail.
    WaitBriefly,
    /// It is done with so many bytes, and the rest is WebSocket.
    Done(usize),
}

/// What was received.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) bytes: &'a [u8],
    /// No more will come, or is waited for.
    pub(super) is_all: bool,
    /// The wall clock, as time since 1970.
    pub(super) wall: Duration,
}

impl Handshake {
    /// Returns the handshake with `key`, and its request.
    pub(super) fn new(url: &Url, headers: &[Header], key: &str) -> (Self, Vec<u8>) {
        let accept = derive_accept_key(key.as_bytes());
        let this = Self { accept, encrypted: url.secure, head: HeadReader::new(true) };
        (this, request(url, headers, key))
    }

    pub(super) fn advance(&mut self, input: Input<'_>) -> Result<Progress, Error> {
        let head = self.head.read(input.bytes).map_err(|fault| match fault {
            Fault::NotHttp(bytes) => not_http(bytes, self.encrypted),
            Fault::TooLong => {
                refused(format!("the server responded with a head of more than {MAX_HEAD} bytes"))
            }
            Fault::InvalidStatus => refused("the server responded with an invalid HTTP status"),
        })?;
        let Some(head) = head else { return Ok(Progress::Wait) };
        if head.status == 101 {
            return self.check(&head).map(|()| Progress::Done(head.end));
        }
        // The page that follows may show that the port speaks TLS.
        let body = input.bytes.get(head.end..).unwrap_or_default();
        let body = body.get(..MAX_BODY).unwrap_or(body);
        let may_explain = head.status == 400 && !self.encrypted && !is_tls_page(body);
        if may_explain && !input.is_all && body.len() < MAX_BODY {
            return Ok(Progress::WaitBriefly);
        }
        Err(refusal(&head, body, self.encrypted, input.wall))
    }

    /// Fails if the server has switched to something else than WebSocket, or to more than was offered.
    fn check(&self, head: &Head<'_>) -> Result<(), Error> {
        if !head.is_valid {
            return Err(refused("the server responded with a head that is not HTTP"));
        }
        if head.version != Some(1) {
            return Err(refused(
                "the server switched protocols in HTTP/1.0, which cannot; is a proxy in between?",
            ));
        }
        let switched = |how: &str| refused(format!("the server switched protocols {how}"));
        if !head.items("Upgrade").any(|item| item.eq_ignore_ascii_case(b"websocket")) {
            return Err(switched("without `Upgrade: websocket`"));
        }
        if !head.items("Connection").any(|item| item.eq_ignore_ascii_case(b"upgrade")) {
            return Err(switched("without `Connection: Upgrade`"));
        }
        let mut accepts = head.values("Sec-WebSocket-Accept");
        if accepts.next() != Some(self.accept.as_bytes()) || accepts.next().is_some() {
            return Err(switched(
                "without the `Sec-WebSocket-Accept` that belongs to the request; is a cache in between?",
            ));
        }
        for (name, what) in
            [("Sec-WebSocket-Extensions", "extension"), ("Sec-WebSocket-Protocol", "subprotocol")]
        {
            if let Some(item) = head.items(name).next() {
                let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
                let item = item.trim_ascii().escape_ascii().to_string();
                return Err(switched(&format!(
                    "with the {what} `{item:.40}`, which was not offered"
                )));
            }
        }
        Ok(())
    }
}

fn request(url: &Url, headers: &[Header], key: &str) -> Vec<u8> {
    let host = url.uri.host().unwrap_or_default();
    // Proxies that compare the whole value do not know the one with the scheme's own port.
    let host = match url.uri.port_u16() {
        Some(port) if port != default_port(url.secure) => format!("{host}:{port}"),
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
    let path = url.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in lines {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}
