//! The head of an HTTP response, as it comes in.

use std::time::Duration;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Response};

use crate::util::retry_after::retry_after;
use crate::{Error, ErrorKind};

/// The limit of all heads of a response together, those of informational responses included.
pub(super) const MAX_HEAD: usize = 16 * 1024;

const MAX_FIELDS: usize = 128;

/// Reads the head of the final response, and looks at no byte of it twice while it is incomplete.
pub(super) struct HeadReader {
    /// An upgrade was requested, so that 101 is final.
    upgrades: bool,
    /// Where the head begins, behind informational responses.
    start: usize,
    /// Up to here there is no end of it.
    searched: usize,
}

/// Why there is no head.
pub(super) enum Fault<'a> {
    /// The response begins with these bytes.
    NotHttp(&'a [u8]),
    TooLong,
    InvalidStatus,
}

pub(super) struct Head<'a> {
    pub(super) status: u16,
    /// The minor version of HTTP.
    pub(super) version: Option<u8>,
    /// All lines are valid. If not, `fields` has those that are.
    pub(super) is_valid: bool,
    fields: Vec<Header<'a>>,
    /// Where what follows the head begins.
    pub(super) end: usize,
}

impl HeadReader {
    pub(super) fn new(upgrades: bool) -> Self {
        Self { upgrades, start: 0, searched: 0 }
    }

    /// Returns the head once `input`, which is all that was received, has the whole of it.
    pub(super) fn read<'a>(&mut self, input: &'a [u8]) -> Result<Option<Head<'a>>, Fault<'a>> {
        loop {
            let begin = input.get(self.start..).unwrap_or_default();
            if begin.iter().zip(b"HTTP/1.").any(|(byte, expected)| byte != expected) {
                return Err(Fault::NotHttp(begin));
            }
            let end = self.find_end(input);
            if end.unwrap_or(input.len()) > MAX_HEAD {
                return Err(Fault::TooLong);
            }
            let Some(end) = end else { return Ok(None) };
            let bytes = input.get(self.start..end).unwrap_or_default();
            let head = Head::parse(bytes, end).ok_or(Fault::InvalidStatus)?;
            // An informational response, which the final one follows (RFC 9110, section 15.2).
            if !(100..=199).contains(&head.status) || self.upgrades && head.status == 101 {
                return Ok(Some(head));
            }
            (self.start, self.searched) = (end, end);
        }
    }

    /// Returns where the empty line ends that ends the head.
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
        self.searched = input.len().saturating_sub(3).max(self.start);
        None
    }
}

impl<'a> Head<'a> {
    /// Returns `None` if the status is invalid. Everything else may be.
    fn parse(bytes: &'a [u8], end: usize) -> Option<Self> {
        let parse = |ignore_invalid| {
            let mut fields = [EMPTY_HEADER; MAX_FIELDS];
            let mut response = Response::new(&mut fields);
            let is_valid = ParserConfig::default()
                .allow_obsolete_multiline_headers_in_responses(true)
                .ignore_invalid_headers_in_responses(ignore_invalid)
                .parse_response(&mut response, bytes)
                .is_ok_and(|parsed| parsed.is_complete());
            // It is known even if what follows is invalid, but then a fourth digit may follow.
            let is_status = matches!(bytes.get(12), Some(b' ' | b'\r' | b'\n'));
            let status = response.code.filter(|code| is_status && (100..=599).contains(code))?;
            let fields = if is_valid { response.headers.to_vec() } else { Vec::new() };
            Some(Self { status, version: response.version, is_valid, fields, end })
        };
        let strict = parse(false)?;
        if strict.is_valid {
            return Some(strict);
        }
        parse(true).map(|lenient| Self { is_valid: false, ..lenient })
    }

    /// Returns the values of the fields of this name, those of each line by themselves.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii())
    }

    /// Returns the items of lists in the fields of this name (RFC 9110, section 5.6.1), but no empty ones.
    pub(super) fn items(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let items = self.values(name).flat_map(|value| value.split(|byte| *byte == b','));
        items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
    }

    /// Returns the first value of this name, if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Returns how long the response requests to wait. `wall` is the time since 1970.
    pub(super) fn retry_after(&self, wall: Duration) -> Option<Duration> {
        retry_after(self.status, self.text("retry-after"), wall)
    }

    /// Returns the error of this response: `why`, the status, and how long it requests to wait.
    pub(super) fn refusal(&self, kind: ErrorKind, why: String, wall: Duration) -> Error {
        let error = Error::message(kind, why).with_http_status(self.status);
        match self.retry_after(wall) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}
