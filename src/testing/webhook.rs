//! Webhooks: what the server reports to the app's backend.
//!
//! See [Pusher's documentation](https://pusher.com/docs/channels/server_api/webhooks/).

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use httparse::Status;
use serde_json::{Value, json};

use super::signature::sign;
use super::state::Shared;
use crate::transport::{Pipe, Resolver, Route};
use crate::util::clock;
use crate::util::guard::write_log;
use crate::util::url::{Url, authority};
use crate::{Error, Interrupt};

/// How often a request is sent until the backend accepts it, and the pauses between.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);

const MAX_HEAD: usize = 64 * 1024;

/// Checks the backend's URL.
pub(super) fn read_url(url: &str) -> io::Result<Url> {
    let wrong = |why: String| io::Error::new(ErrorKind::InvalidInput, why);
    let url = Url::parse("Settings::webhook: the URL", url, ["http", "https"]);
    let url = url.map_err(|error| wrong(error.to_string()))?;
    if url.secure {
        return Err(wrong("Settings::webhook: the URL must begin with `http://`".to_owned()));
    }
    Ok(url)
}

/// Starts the thread that sends the events. It ends when the state is stopping.
pub(super) fn start(url: Url, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let interrupt = Interrupt::default();
    // Before there is a thread that could miss the stop.
    let id = shared.act(|state| state.begin(interrupt.clone()));
    Builder::new().name("testing-webhook".to_owned()).spawn(move || {
        let sender = Sender { url, resolver: Resolver::default(), interrupt };
        while let Some((events, dropped)) = shared.next_webhook() {
            if dropped > 0 {
                write_log!(Warn, "the test server dropped {dropped} webhook events: too many wait");
            }
            sender.deliver(&shared, &events);
        }
        if let Some(id) = id {
            shared.act(|state| state.forget(id));
        }
    })
}

struct Sender {
    url: Url,
    resolver: Resolver,
    interrupt: Interrupt,
}

impl Sender {
    fn deliver(&self, shared: &Shared, events: &[Value]) {
        let time = u64::try_from(clock::wall().as_millis()).unwrap_or(u64::MAX);
        let body = json!({"time_ms": time, "events": events}).to_string();
        let request = self.request(&shared.settings.key, &shared.settings.secret, &body);
        for attempt in 0..ATTEMPTS {
            let why = match self.send(request.as_bytes()) {
                Ok(status) if (200..300).contains(&status) => return,
                Ok(status) => format!("HTTP status {status}"),
                Err(error) => error.to_string(),
            };
            let is_last = attempt + 1 == ATTEMPTS;
            let count = events.len();
            if is_last {
                return write_log!(Warn, "the test server dropped {count} webhook events: {why}");
            }
            write_log!(Debug, "the test server sends {count} webhook events again: {why}");
            if !shared.pause(FIRST_PAUSE * 2_u32.pow(attempt)) {
                return;
            }
        }
    }

    fn request(&self, key: &str, secret: &str, body: &str) -> String {
        let path = self.url.uri.path_and_query().map_or("/", |path| path.as_str());
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             X-Pusher-Key: {key}\r\nX-Pusher-Signature: {}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            authority(&self.url.host, self.url.port),
            sign(secret, body),
            body.len()
        )
    }

    /// Returns the status of the response.
    fn send(&self, request: &[u8]) -> Result<u16, Error> {
        let deadline = clock::now() + TIMEOUT;
        let route = Route { host: &self.url.host, port: self.url.port, proxy: None };
        let mut pipe = Pipe::open(&route, None, &self.resolver, deadline, &self.interrupt)?;
        pipe.write_all(request, deadline)?;
        let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let read = pipe.read(&mut chunk, deadline)?;
            received.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if let Some(status) = status_of(&received)? {
                return Ok(status);
            }
            if read == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// The status in the head of a response, if the head is whole. Interim responses are skipped.
fn status_of(received: &[u8]) -> io::Result<Option<u16>> {
    let mut rest = received;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Response::new(&mut fields);
        match (head.parse(rest), head.code) {
            (Ok(Status::Complete(length)), Some(100 | 102..=199)) => {
                rest = rest.get(length..).unwrap_or_default();
            }
            (Ok(Status::Complete(_)), status) => return Ok(status),
            (Ok(Status::Partial), _) if received.len() < MAX_HEAD => return Ok(None),
            _ => {
                let why = "the response is not valid HTTP";
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_from_a_whole_head() {
        let ok = b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n";
        assert_eq!(status_of(ok).unwrap(), Some(204));
        assert_eq!(status_of(&ok[..20]).unwrap(), None);
        assert!(status_of(b"nonsense\r\n").is_err());
        // Interim responses precede it.
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n";
        assert_eq!(status_of(interim).unwrap(), None);
        assert_eq!(status_of(&[&interim[..], ok].concat()).unwrap(), Some(204));
        assert!(status_of(&interim.repeat(MAX_HEAD / interim.len() + 1)).is_err());
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD));
        assert!(status_of(endless.as_bytes()).is_err());
    }

    #[test]
    fn urls_are_checked() {
        assert_eq!(read_url("http://127.0.0.1:8000/hooks?x=y").unwrap().port, 8000);
        for (url, expected) in [
            ("https://app.test/hooks", "Settings::webhook: the URL must begin with `http://`"),
            ("ftp://app.test/", "Settings::webhook: the URL must begin with"),
            ("", "Settings::webhook: the URL"),
        ] {
            let error = read_url(url).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
