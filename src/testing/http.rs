//! The part of HTTP that the server's endpoints need.

use httparse::{Header, Status};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tungstenite::http::StatusCode;

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;
const MAX_FIELDS: usize = 128;

pub(super) struct Request {
    pub(super) method: String,
    /// The path with its query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Reads a request from the bytes so far: `None` if they are incomplete, a status if they are refused.
pub(super) fn parse(bytes: &[u8]) -> Option<Result<Request, u16>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return None,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Some(Err(431)),
        Err(_) => return Some(Err(400)),
    };
    let header = |field: &Header<'_>| {
        (field.name.to_owned(), String::from_utf8_lossy(field.value).trim().to_owned())
    };
    let headers: Vec<_> = head.headers.iter().map(header).collect();
    if find_header(&headers, "transfer-encoding").is_some() {
        return Some(Err(411));
    }
    let body = match find_header(&headers, "content-length").map_or(Ok(0), str::parse) {
        Err(_) => return Some(Err(400)),
        Ok(length) if length > MAX_BODY => return Some(Err(413)),
        Ok(body) => bytes.get(length..)?.get(..body)?,
    };
    Some(Ok(Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
        headers,
    }))
}

impl Request {
    /// The parameters of the query, then those of the body: a form or a JSON object. `None` if a JSON body
    /// is no object.
    pub(super) fn params(&self) -> Option<Vec<(String, Value)>> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut params = parse_form(query);
        let content_type = find_header(&self.headers, "content-type");
        if content_type.is_some_and(|kind| kind.starts_with("application/json")) {
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
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value).into()))
        .collect()
}

/// A response after which the connection is closed.
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

    #[test]
    fn requests_are_complete_incomplete_or_refused_with_a_status() {
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
            // Empty lines before a request are skipped (RFC 9112, section 2.2).
            ("\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\n\r\n", Some(200)),
            ("\0", Some(400)),
            (&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1)), Some(431)),
            (&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(MAX_HEAD)), Some(431)),
            (&"x".repeat(MAX_HEAD), Some(431)),
        ] {
            let status = parse(text.as_bytes()).map(|request| request.err().unwrap_or(200));
            assert_eq!(status, expected, "{text:.100}");
        }
    }

    #[test]
    fn parameters_come_from_the_query_and_the_form() {
        let text = "POST /p?a=1&b HTTP/1.1\r\nContent-Length: 13\r\n\r\nc=%C3%A4+%zz&";
        let request = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(path(&request.target), "/p");
        let expected = [("a", "1"), ("b", ""), ("c", "ä %zz")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(request.params().unwrap(), expected);
    }
}
