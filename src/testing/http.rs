//! As much of HTTP as an endpoint for authorizations needs.

use serde_json::{Map, Value};
use tungstenite::http::StatusCode;

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;

pub(super) struct Request {
    pub(super) method: String,
    /// The path with its query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

pub(super) enum Parsed {
    Incomplete,
    /// To be answered with this status.
    Wrong(u16),
    Request(Request),
}

/// Reads a request from what has come in so far.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let end = bytes.windows(4).take(MAX_HEAD).position(|window| window == b"\r\n\r\n");
    let Some((head, body)) = end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 4..)?)))
    else {
        return if bytes.len() < MAX_HEAD { Parsed::Incomplete } else { Parsed::Wrong(431) };
    };
    let Some(mut request) = parse_head(&String::from_utf8_lossy(head)) else {
        return Parsed::Wrong(400);
    };
    if request.header("transfer-encoding").is_some() {
        return Parsed::Wrong(411);
    }
    match request.header("content-length").map_or(Ok(0), str::parse::<usize>) {
        Err(_) => Parsed::Wrong(400),
        Ok(length) if length > MAX_BODY => Parsed::Wrong(413),
        Ok(length) => match body.get(..length) {
            None => Parsed::Incomplete,
            Some(body) => {
                request.body = String::from_utf8_lossy(body).into_owned();
                Parsed::Request(request)
            }
        },
    }
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if method.is_empty() || !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: lines.map(header).collect::<Option<_>>()?,
        body: String::new(),
    })
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// The parameters of the query, then those of the body: a form or a JSON object. `None` if the
    /// body should be JSON and is none.
    pub(super) fn params(&self) -> Option<Vec<(String, Value)>> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut params = parse_form(query);
        if self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            params.extend(serde_json::from_str::<Map<String, Value>>(&self.body).ok()?);
        } else {
            params.extend(parse_form(self.body.trim()));
        }
        Some(params)
    }
}

/// A target without its query.
pub(super) fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

pub(super) fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn parse_form(text: &str) -> Vec<(String, Value)> {
    let decode =
        |text: &str| String::from_utf8_lossy(&percent_decode(&text.replace('+', " "))).into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value).into()))
        .collect()
}

pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

/// An answer, after which the connection is closed.
pub(super) fn response(status: u16, retry_after: Option<u64>, body: &str) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let retry_after =
        retry_after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\n{retry_after}\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        reason.unwrap_or("Status"),
        body.len()
    );
    (head + body).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Option<u16> {
        match parse(text.as_bytes()) {
            Parsed::Wrong(status) => Some(status),
            Parsed::Incomplete => None,
            Parsed::Request(_) => Some(200),
        }
    }

    #[test]
    fn what_is_a_request() {
        for (text, expected) in [
            ("", None),
            ("GET / HTTP/1.1\r\nA: b\r\n", None),
            ("GET / HTTP/1.1\r\n\r\n", Some(200)),
            ("POST / HTTP/1.1\r\nContent-length: 3\r\n\r\nab", None),
            ("POST / HTTP/1.1\r\nContent-length: 3\r\n\r\nabc", Some(200)),
            ("POST / HTTP/1.1\r\nContent-length: -3\r\n\r\nabc", Some(400)),
            ("POST / HTTP/1.1\r\nContent-length: 1048577\r\n\r\n", Some(413)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Some(411)),
            ("GET / HTTP/2\r\n\r\n", Some(400)),
            ("GET /\r\n\r\n", Some(400)),
            ("GET / HTTP/1.1\r\nno header\r\n\r\n", Some(400)),
            ("\r\n\r\n", Some(400)),
            (&"x".repeat(MAX_HEAD), Some(431)),
        ] {
            assert_eq!(status(text), expected, "{text:.100}");
        }
    }

    #[test]
    fn parameters() {
        let text = "POST /p?a=1&b HTTP/1.1\r\nContent-Length: 13\r\n\r\nc=%C3%A4+%zz&";
        let Parsed::Request(request) = parse(text.as_bytes()) else { panic!("no request") };
        assert_eq!(path(&request.target), "/p");
        let expected = [("a", "1"), ("b", ""), ("c", "ä %zz")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(request.params().unwrap(), expected);
    }
}
