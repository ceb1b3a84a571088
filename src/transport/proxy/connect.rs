//! HTTP's CONNECT (RFC 9110, section 9.3.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Progress, Refusal};
use crate::proxy::{Credentials, authority};

/// So much may all the heads of the answer take together.
const MAX_HEAD: usize = 16 * 1024;

pub(super) struct Connect {
    target: String,
    has_credentials: bool,
    /// So much of the head under way holds no end of it.
    searched: usize,
    /// What the heads before it took.
    skipped: usize,
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
        (Self { target, has_credentials, searched: 0, skipped: 0 }, request.into_bytes())
    }

    pub(super) fn advance(&mut self, input: &[u8]) -> Result<Progress, Refusal> {
        if !may_be_http(input) {
            return Err(Refusal::new("does not answer with HTTP: is it another kind of proxy?"));
        }
        let end = self.find_end(input);
        if self.skipped + end.unwrap_or(input.len()) > MAX_HEAD {
            let why = format!("answers with a head of more than {MAX_HEAD} bytes");
            return Err(Refusal::new(why));
        }
        let Some(end) = end else {
            return Ok(Progress::Wait);
        };
        let head = input.get(..end).unwrap_or_default();
        match status(head) {
            None => Err(Refusal::new("answers with an HTTP status that is none")),
            // Told in between; the answer follows.
            Some(100..=199) => {
                self.skipped += end;
                self.searched = 0;
                Ok(Progress::Send(end, Vec::new()))
            }
            // A length that such an answer tells counts for nothing.
            Some(200..=299) => Ok(Progress::Done(end)),
            Some(status) => Err(self.refused(status, head)),
        }
    }

    /// Where the empty line that ends the head ends.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let rest = input.get(self.searched..).unwrap_or_default();
        for (index, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let line = self.searched + index + 1;
            match input.get(line..).unwrap_or_default() {
                [b'\n', ..] => return Some(line + 1),
                [b'\r', b'\n', ..] => return Some(line + 2),
                _ => {}
            }
        }
        // Three bytes may be the beginning of the end.
        self.searched = input.len().saturating_sub(3);
        None
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

/// Whether it begins as an answer does, as far as it goes.
fn may_be_http(input: &[u8]) -> bool {
    input.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Of `HTTP/1.1 200 Connection established`, and of the same without a reason.
fn status(head: &[u8]) -> Option<u16> {
    match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', digits @ ..] => {
            let (digits, rest) = digits.split_at_checked(3)?;
            let ends = matches!(rest, [b' ' | b'\r' | b'\n', ..]);
            let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
            (ends && (100..=599).contains(&status)).then_some(status)
        }
        _ => None,
    }
}

/// Whether the answer offers the scheme Basic, or none at all.
fn takes_basic(head: &[u8]) -> bool {
    let mut schemes = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        name.eq_ignore_ascii_case(b"proxy-authenticate").then_some(value)
    });
    let basic = |value: &[u8]| value.windows(5).any(|part| part.eq_ignore_ascii_case(b"basic"));
    match schemes.next() {
        None => true,
        Some(first) => basic(first) || schemes.any(basic),
    }
}
