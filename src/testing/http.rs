//! The part of HTTP/1.1 that the server needs. It knows no socket.

use httparse::{Header, Status};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tungstenite::http::StatusCode;

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;
/// The most that a chunked body may take, with the sizes of its chunks.
const MAX_CHUNKED: usize = 4 * MAX_BODY;
const MAX_FIELDS: usize = 128;

pub(super) struct Request {
    pub(super) method: String,
    /// The path with its query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Another request may follow on the connection.
    pub(super) keeps_alive: bool,
}

/// What the bytes so far are.
pub(super) enum Progress {
    /// Not yet a whole head.
    Head,
    /// A head, and not yet a whole body.
    Body { expects_continue: bool },
    /// A request, and the bytes that it takes.
    Done(Request, usize),
    /// The status that refuses it.
    Refused(u16),
}

/// Reads a request at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Progress {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Progress::Head,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Progress::Refused(431),
        Err(_) => return Progress::Refused(400),
    };
    let header = |field: &Header<'_>| {
        (field.name.to_owned(), String::from_utf8_lossy(field.value).trim().to_owned())
    };
    let headers: Vec<_> = head.headers.iter().map(header).collect();
    let rest = bytes.get(length..).unwrap_or_default();
    let body = match find_header(&headers, "transfer-encoding") {
        None => plain(rest, find_header(&headers, "content-length")),
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => chunked(rest),
        Some(_) => Err(501),
    };
    match body {
        Err(status) => Progress::Refused(status),
        Ok(None) => Progress::Body {
            expects_continue: has_token(&headers, "expect", "100-continue") && rest.is_empty(),
        },
        Ok(Some((body, taken))) => {
            let keeps_alive =
                head.version == Some(1) && !has_token(&headers, "connection", "close");
            let method = head.method.unwrap_or_default().to_owned();
            let target = head.path.unwrap_or_default().to_owned();
            Progress::Done(Request { method, target, headers, body, keeps_alive }, length + taken)
        }
    }
}

/// A body and the bytes that it takes, if it is there, or the status that refuses it.
type Body = Result<Option<(Vec<u8>, usize)>, u16>;

fn plain(bytes: &[u8], length: Option<&str>) -> Body {
    let length = length.unwrap_or("0");
    // The standard library accepts a plus sign.
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse().ok().filter(|_| digits) {
        None => Err(400),
        Some(length) if length > MAX_BODY => Err(413),
        Some(length) => Ok(bytes.get(..length).map(|body| (body.to_vec(), length))),
    }
}

fn chunked(bytes: &[u8]) -> Body {
    match dechunk(bytes) {
        Ok(None) if bytes.len() > MAX_CHUNKED => Err(413),
        body => body,
    }
}

fn dechunk(bytes: &[u8]) -> Body {
    let (mut body, mut taken) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(taken..).unwrap_or_default();
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Err(_) => return Err(400),
            Ok(Status::Partial) => return Ok(None),
            Ok(Status::Complete((start, size))) => (start, usize::try_from(size)),
        };
        let size = size.ok().filter(|size| body.len().saturating_add(*size) <= MAX_BODY);
        let size = size.ok_or(413_u16)?;
        if size == 0 {
            let trailers = rest.get(start..).unwrap_or_default();
            return Ok(end_of_trailers(trailers)?.map(|end| (body, taken + start + end)));
        }
        let Some(chunk) = rest.get(start..start + size + 2) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk.strip_suffix(b"\r\n").ok_or(400_u16)?);
        taken += start + size + 2;
    }
}

fn end_of_trailers(bytes: &[u8]) -> Result<Option<usize>, u16> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(Status::Complete((end, _))) => Ok(Some(end)),
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => Ok(None),
        _ => Err(400),
    }
}

impl Request {
    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Returns `true` if a header that is a list has this element.
    pub(super) fn has_token(&self, header: &str, token: &str) -> bool {
        has_token(&self.headers, header, token)
    }

    /// The parameters of the query.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        parse_form(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// The parameters of the query, then those of the body: a form or a JSON object. `None` if a JSON body
    /// is no object.
    pub(super) fn params(&self) -> Option<Vec<(String, Value)>> {
        let value = |(name, value): (String, String)| (name, value.into());
        let mut params: Vec<_> = self.query().into_iter().map(value).collect();
        let content_type = self.header("content-type");
        if content_type.is_some_and(|kind| kind.starts_with("application/json")) {
            params.extend(serde_json::from_slice::<Map<String, Value>>(&self.body).ok()?);
        } else {
            let body = String::from_utf8_lossy(&self.body);
            params.extend(parse_form(body.trim()).into_iter().map(value));
        }
        Some(params)
    }
}

pub(super) fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn has_token(headers: &[(String, String)], header: &str, token: &str) -> bool {
    headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(header))
        .flat_map(|(_, value)| value.split(','))
        .any(|element| element.trim().eq_ignore_ascii_case(token))
}

fn parse_form(text: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// A response without what depends on the connection.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// Besides those that every response has. The values come from no user, or from a header of the request, which
    /// has no line breaks.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Response {
    pub(super) fn json(status: u16, body: impl ToString) -> Self {
        let body = body.to_string();
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    pub(super) fn text(status: u16, body: String) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", headers: Vec::new(), body }
    }

    /// The response to a request with this method. `last` says that the connection is closed after it.
    pub(super) fn encode(&self, method: &str, last: bool) -> Vec<u8> {
        let reason = StatusCode::from_u16(self.status).ok();
        let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Status");
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        // Others have no body (RFC 9112, section 6.3): the client would take it for the next response.
        let may_have_body = !matches!(self.status, 100..=199 | 204 | 304);
        if may_have_body {
            let (content_type, length) = (self.content_type, self.body.len());
            text.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n"));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(if last { "Connection: close\r\n\r\n" } else { "\r\n" });
        if may_have_body && method != "HEAD" {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Option<u16> {
        match parse(text.as_bytes()) {
            Progress::Head | Progress::Body { .. } => None,
            Progress::Done(..) => Some(200),
            Progress::Refused(status) => Some(status),
        }
    }

    fn done(text: &str) -> (Request, usize) {
        match parse(text.as_bytes()) {
            Progress::Done(request, length) => (request, length),
            _ => panic!("{text:.100}"),
        }
    }

    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn requests_are_complete_incomplete_or_refused_with_a_status() {
        for (text, expected) in [
            ("", None),
            ("GET / HTTP/1.1\r\nA: b\r\n", None),
            ("GET / HTTP/1.1\r\n\r\n", Some(200)),
            ("POST / HTTP/1.1\r\nContent-length: 3\r\n\r\nab", None),
            ("POST / HTTP/1.1\r\nContent-length: 3\r\n\r\nabc", Some(200)),
            ("POST / HTTP/1.1\r\nContent-length: -3\r\n\r\nabc", Some(400)),
            ("POST / HTTP/1.1\r\nContent-length: +3\r\n\r\nabc", Some(400)),
            ("POST / HTTP/1.1\r\nContent-length: 1048577\r\n\r\n", Some(413)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", Some(501)),
            (&format!("{CHUNKED}3\r\nabc\r\n"), None),
            (&format!("{CHUNKED}0\r\n"), None),
            (&format!("{CHUNKED}0\r\n\r\n"), Some(200)),
            (&format!("{CHUNKED}0\r\nA: b\r\n"), None),
            (&format!("{CHUNKED}0\r\nA: b\r\n\r\n"), Some(200)),
            (&format!("{CHUNKED}x\r\n"), Some(400)),
            (&format!("{CHUNKED}3\r\nabcd\r\n"), Some(400)),
            (&format!("{CHUNKED}100001\r\n"), Some(413)),
            (&format!("{CHUNKED}ffffffffffffffff\r\n"), Some(413)),
            (&format!("{CHUNKED}1;{}", "x".repeat(MAX_CHUNKED)), Some(413)),
            (
                &format!("{CHUNKED}{}1\r\na", "1;xxxxxxx\r\na\r\n".repeat(MAX_CHUNKED / 14 + 1)),
                Some(413),
            ),
            (&format!("{CHUNKED}0\r\n{}", "a: b\r\n".repeat(MAX_FIELDS + 1)), Some(400)),
            ("GET / HTTP/2\r\n\r\n", Some(400)),
            ("GET /\r\n\r\n", Some(400)),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", Some(400)),
            // Empty lines before a request are skipped (RFC 9112, section 2.2).
            ("\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\n\r\n", Some(200)),
            ("\0", Some(400)),
            (&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1)), Some(431)),
            (&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(MAX_HEAD)), Some(431)),
            (&"x".repeat(MAX_HEAD), Some(431)),
        ] {
            assert_eq!(status(text), expected, "{text:.100}");
        }
    }

    #[test]
    fn body_ends_where_the_next_request_begins() {
        let next = "GET /next HTTP/1.1\r\n\r\n";
        for (text, body) in [
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_owned(), "abc"),
            (format!("{CHUNKED}2;x=y\r\nab\r\n01\r\nc\r\n0\r\nA: b\r\n\r\n"), "abc"),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), ""),
        ] {
            let (request, length) = done(&format!("{text}{next}"));
            assert_eq!((request.body, length), (body.as_bytes().to_vec(), text.len()));
        }
    }

    #[test]
    fn connection_is_kept_unless_the_client_says_otherwise() {
        for (text, keeps) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            assert_eq!(done(text).0.keeps_alive, keeps, "{text}");
        }
    }

    #[test]
    fn continue_is_expected_until_the_body_begins() {
        let head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
        for (text, expected) in [(head.to_owned(), true), (format!("{head}a"), false)] {
            let Progress::Body { expects_continue } = parse(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!(expects_continue, expected, "{text}");
        }
    }

    #[test]
    fn parameters_come_from_the_query_and_the_form() {
        let text = "POST /p?a=1&b HTTP/1.1\r\nContent-Length: 13\r\n\r\nc=%C3%A4+%zz&";
        let (request, _) = done(text);
        assert_eq!(request.path(), "/p");
        let expected = [("a", "1"), ("b", ""), ("c", "ä %zz")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(request.params().unwrap(), expected);
    }
}
