//! HTTP's CONNECT (RFC 9110, section 9.3.6).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Progress, refused};
use crate::config::proxy::Credentials;
use crate::transport::head::{Fault, Head, HeadReader, MAX_HEAD};
use crate::util::url::authority;
use crate::{Error, ErrorKind};

pub(super) struct Connect {
    target: String,
    has_credentials: bool,
    head: HeadReader,
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
        (Self { target, has_credentials, head: HeadReader::new(false) }, request.into_bytes())
    }

    /// `wall` is the wall clock, as time since 1970.
    pub(super) fn advance(&mut self, input: &[u8], wall: Duration) -> Result<Progress, Error> {
        let head = self.head.read(input).map_err(|fault| match fault {
            Fault::NotHttp(_) => {
                refused("does not respond with HTTP; is it another kind of proxy?")
            }
            Fault::TooLong => {
                refused(format!("responds with a head of more than {MAX_HEAD} bytes"))
            }
            Fault::InvalidStatus => refused("responds with an invalid HTTP status"),
        })?;
        match head {
            None => Ok(Progress::Wait),
            // A length in such a response counts for nothing.
            Some(head) if (200..=299).contains(&head.status) => Ok(Progress::Done(head.end)),
            Some(head) => Err(head.refusal(ErrorKind::Proxy, self.why(&head), wall)),
        }
    }

    fn why(&self, head: &Head<'_>) -> String {
        let target = &self.target;
        match head.status {
            407 if !takes_basic(head) => {
                "requires credentials of another scheme than Basic: HTTP 407".to_owned()
            }
            // tinyproxy sends 401 for wrong credentials.
            status @ (401 | 407) if self.has_credentials => {
                format!("does not accept these credentials: HTTP {status}")
            }
            status @ (401 | 407) => format!("requires credentials: HTTP {status}"),
            403 => format!("does not allow connections to {target}: HTTP 403"),
            status @ 502..=504 => format!("cannot connect to {target}: HTTP {status}"),
            status => format!("refuses CONNECT {target} with HTTP {status}"),
        }
    }
}

/// Returns `true` if the response offers the scheme Basic, or none at all.
fn takes_basic(head: &Head<'_>) -> bool {
    let mut schemes = head.values("proxy-authenticate").peekable();
    let basic = |value: &[u8]| value.windows(5).any(|part| part.eq_ignore_ascii_case(b"basic"));
    schemes.peek().is_none() || schemes.any(basic)
}
