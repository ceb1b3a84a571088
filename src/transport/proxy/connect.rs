//! HTTP's CONNECT (RFC 9110, section 9.3.6).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Progress, Refusal};
use crate::config::proxy::Credentials;
use crate::transport::head::{MAX_HEAD, Search, may_be_http, status, values, wait_of};
use crate::util::url::authority;

pub(super) struct Connect {
    target: String,
    has_credentials: bool,
    search: Search,
}

impl Connect {
    pub(super) fn new(host: &str, port: u16, credentials: Option<&Credentials>) -> (Self, Vec<u8>) {
        let target = authority(host, port);
        let mut request = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: pusher-channels/{}\r\n",
            env!("CARGO_PKG_VERSION")
        );
        if let Some(Credentials { user, password }) = credentials {
            let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
            request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
        }
        request.push_str("\r\n");
        let has_credentials = credentials.is_some();
        (Self { target, has_credentials, search: Search::default() }, request.into_bytes())
    }

    /// `wall` is the wall clock, as time since 1970.
    pub(super) fn advance(&mut self, input: &[u8], wall: Duration) -> Result<Progress, Refusal> {
        if !may_be_http(input) {
            return Err(Refusal::new("does not answer with HTTP: is it another kind of proxy?"));
        }
        let end = self.search.find_end(input).map_err(|_| {
            Refusal::new(format!("answers with a head of more than {MAX_HEAD} bytes"))
        })?;
        let Some(end) = end else {
            return Ok(Progress::Wait);
        };
        let head = input.get(..end).unwrap_or_default();
        match status(head) {
            None => Err(Refusal::new("answers with an HTTP status that is none")),
            // Told in between; the answer follows.
            Some(100..=199) => {
                self.search.skip(end);
                Ok(Progress::Send(end, Vec::new()))
            }
            // A length that such an answer tells counts for nothing.
            Some(200..=299) => Ok(Progress::Done(end)),
            Some(status) => {
                Err(Refusal { wait: wait_of(head, status, wall), ..self.refused(status, head) })
            }
        }
    }

    fn refused(&self, status: u16, head: &[u8]) -> Refusal {
        let target = &self.target;
        let why = match status {
            407 if !takes_basic(head) => {
                "wants credentials by another scheme than Basic: HTTP 407".to_owned()
            }
            // tinyproxy says 401 to credentials that are wrong.
            401 | 407 if self.has_credentials => {
                format!("does not accept these credentials: HTTP {status}")
            }
            401 | 407 => format!("wants credentials: HTTP {status}"),
            403 => format!("does not allow connections to {target}: HTTP 403"),
            502..=504 => format!("cannot connect to {target}: HTTP {status}"),
            _ => format!("refuses CONNECT {target} with HTTP {status}"),
        };
        Refusal { status: Some(status), ..Refusal::new(why) }
    }
}

/// Whether the answer offers the scheme Basic, or none at all.
fn takes_basic(head: &[u8]) -> bool {
    let mut schemes = values(head, "proxy-authenticate");
    let basic = |value: &[u8]| value.windows(5).any(|part| part.eq_ignore_ascii_case(b"basic"));
    match schemes.next() {
        None => true,
        Some(first) => basic(first) || schemes.any(basic),
    }
}
