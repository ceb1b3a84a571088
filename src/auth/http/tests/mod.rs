//! The HTTP authorizers against scripted servers on loopback.

mod attach;
mod batch;
mod dial;
mod json;
mod network;
mod not_json;
mod proxy;
#[cfg(all(target_os = "linux", tls))]
mod refusal;
mod responses;
#[cfg(tls)]
mod tls;
mod user;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use super::*;
use crate::ErrorKind;
use crate::util::clock;
use crate::util::testing::{AT_ONCE, LONG, listen, spawn};

const GOOD: &str = r#"{"auth":"key:signature"}"#;

/// A server that accepts one connection after the other.
fn peer(script: impl Fn(TcpStream) + Send + 'static) -> String {
    let (listener, address) = listen();
    spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.set_write_timeout(Some(LONG)).unwrap();
            script(stream);
        }
    });
    format!("http://{address}/auth")
}

/// A received request.
struct Seen {
    line: String,
    head: String,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn read_request(stream: &mut impl Read) -> Seen {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let mut seen = Seen { line, head, body: String::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    seen.body = String::from_utf8(body).unwrap();
    seen
}

fn reply(stream: &mut impl Write, status: &str, body: &str) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // The client may have closed the connection.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// A server that always sends the same response; `status` may have headers after it.
fn server(status: &'static str, body: &'static str) -> (String, mpsc::Receiver<Seen>) {
    let (to, seen) = mpsc::channel();
    let url = peer(move |mut stream| {
        let request = read_request(&mut stream);
        reply(&mut stream, status, body);
        let _ = to.send(request);
    });
    (url, seen)
}

/// Returns the error's text with `PORT` in place of local ports.
fn text_of(error: &Error) -> String {
    let text = error.to_string();
    let mut parts = text.split("127.0.0.1:");
    let mut said = parts.next().unwrap().to_owned();
    for part in parts {
        said.push_str("127.0.0.1:PORT");
        said.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    said
}

fn auth_request() -> AuthRequest {
    AuthRequest::new("1234.5678", "private-a")
}

fn authorize(http: &HttpAuthorizer) -> Result<Auth, Error> {
    http.authorize(&auth_request())
}

#[test]
fn form_is_posted_by_default() {
    let (url, seen) =
        server("200 OK", r#"{"auth":"k:s","channel_data":"{}","shared_secret":"c2U="}"#);
    let auth = authorize(&HttpAuthorizer::new(&url)).unwrap();
    assert_eq!(auth.auth, "k:s");
    assert_eq!(auth.channel_data.as_deref(), Some("{}"));
    assert_eq!(auth.shared_secret.unwrap().expose(), "c2U=");
    let seen = seen.recv_timeout(LONG).unwrap();
    assert_eq!(seen.line, "POST /auth HTTP/1.1");
    assert_eq!(seen.body, "socket_id=1234.5678&channel_name=private-a");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert!(seen.header("user-agent").unwrap().starts_with("pusher-channels/"));
    assert_eq!(seen.header("accept-encoding"), None);
    assert_eq!(seen.header("cookie"), None);
}

#[test]
fn json_is_posted_if_set() {
    let (url, seen) = server("201 Created", GOOD);
    authorize(&HttpAuthorizer::new(&url).json().param("a\"b", "ü\n")).unwrap();
    let seen = seen.recv_timeout(LONG).unwrap();
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let expected = r#"{"a\"b":"ü\n","channel_name":"private-a","socket_id":"1234.5678"}"#;
    assert_eq!(seen.body, expected);
}

#[test]
fn get_has_all_parameters_in_its_query() {
    let (url, seen) = server("200 OK", GOOD);
    authorize(&HttpAuthorizer::new(&url).get().param("x", "1")).unwrap();
    let line = seen.recv_timeout(LONG).unwrap().line;
    assert_eq!(line, "GET /auth?socket_id=1234.5678&channel_name=private-a&x=1 HTTP/1.1");
    authorize(&HttpAuthorizer::new(&format!("{url}?app=2#part")).get()).unwrap();
    let seen = seen.recv_timeout(LONG).unwrap();
    let line = "GET /auth?app=2&socket_id=1234.5678&channel_name=private-a HTTP/1.1";
    assert_eq!(seen.line, line);
    assert_eq!(seen.body, "");
    assert_eq!(seen.header("content-type"), None);
}

#[test]
fn special_characters_are_encoded() {
    let (url, seen) = server("200 OK", GOOD);
    let http = HttpAuthorizer::new(&url).param("a[b] &", "ä+/=?&\"\r\n~.");
    http.authorize(&AuthRequest::new("1.2", "presence-a=b@c,d;e")).unwrap();
    let body = "socket_id=1.2&channel_name=presence-a%3Db%40c%2Cd%3Be\
                &a%5Bb%5D%20%26=%C3%A4%2B%2F%3D%3F%26%22%0D%0A~.";
    assert_eq!(seen.recv_timeout(LONG).unwrap().body, body);
}

#[test]
fn headers_and_params_are_constant_or_made_by_functions() {
    let (url, seen) = server("200 OK", GOOD);
    let calls = Arc::new(AtomicU32::new(0));
    let number = {
        let calls = Arc::clone(&calls);
        move || calls.fetch_add(1, Ordering::SeqCst).to_string()
    };
    let header_number = number.clone();
    let http = HttpAuthorizer::new(&url)
        .header("x-fixed", "one")
        .header("X-Fixed", "two")
        .header("authorization", "old")
        .headers_with(move || vec![("Authorization".into(), format!("Bearer {}", header_number()))])
        .param("fixed", "f")
        .params_with(move || vec![("fresh".into(), number())]);
    for (header, param) in [("Bearer 0", 1), ("Bearer 2", 3)] {
        authorize(&http).unwrap();
        let seen = seen.recv_timeout(LONG).unwrap();
        assert_eq!(seen.header("authorization"), Some(header));
        assert_eq!(seen.header("x-fixed"), Some("two"));
        let body = format!("socket_id=1234.5678&channel_name=private-a&fixed=f&fresh={param}");
        assert_eq!(seen.body, body);
    }
}

#[test]
fn url_and_parser_may_be_functions() {
    let (url, seen) = server("200 OK", "signed: k:s");
    let http = HttpAuthorizer::new("")
        .url_with(move |request| format!("{url}/{}", request.channel()))
        .parser(|text| match text.strip_prefix("signed: ") {
            Some(auth) => Ok(Auth::new(auth)),
            None => Err(Error::new(ErrorKind::Auth, "not signed")),
        });
    http.check().unwrap();
    assert_eq!(authorize(&http).unwrap().auth, "k:s");
    assert_eq!(seen.recv_timeout(LONG).unwrap().line, "POST /auth/private-a HTTP/1.1");
}

#[test]
#[expect(deprecated, reason = "it works until it is removed")]
fn url_with_has_its_old_name() {
    let (url, _seen) = server("200 OK", GOOD);
    authorize(&HttpAuthorizer::new("").endpoint_with(move |_| url.clone())).unwrap();
}

#[test]
fn invalid_settings_are_config_errors() {
    let url = "http://127.0.0.1:1/";
    for http in [
        HttpAuthorizer::new(""),
        HttpAuthorizer::new("nonsense"),
        HttpAuthorizer::new("/auth"),
        HttpAuthorizer::new("ftp://host/"),
        HttpAuthorizer::new("http:///auth"),
        HttpAuthorizer::new("http://ho st/"),
        HttpAuthorizer::new("http://127.0.0.1:99999/"),
        HttpAuthorizer::new("http://[::1]:0/"),
        HttpAuthorizer::new("http://user:canary@127.0.0.1/"),
        HttpAuthorizer::new(url).header("a b", "canary"),
        HttpAuthorizer::new(url).header("a", "canary\r\nb: c"),
    ] {
        for error in [http.check().unwrap_err(), authorize(&http).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(!error.is_retryable());
            assert!(!format!("{error} {error:?} {http:?}").contains("canary"));
        }
    }
}

#[test]
fn valid_urls_are_accepted() {
    for url in ["http://h", "HTTP://H:80", "http://[::1]/a?b", "http://[::1]:65535", "http://h?x=1"]
    {
        HttpAuthorizer::new(url).check().unwrap();
    }
}

#[test]
#[cfg(not(tls))]
fn https_url_is_a_config_error_without_tls() {
    let http = HttpAuthorizer::new("https://127.0.0.1:1/");
    for error in [http.check().unwrap_err(), authorize(&http).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`rustls`"), "{error}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let echo = peer(|mut stream| {
        let request = read_request(&mut stream);
        let token = request.header("authorization").unwrap();
        let body = format!("bad {token} for {}", request.body);
        reply(&mut stream, "403 Forbidden", &body);
    });
    let http = HttpAuthorizer::new(&format!("{echo}?key=canary-u"))
        .header("authorization", "Bearer canary-h")
        .headers_with(|| vec![("x-token".into(), "canary-f".into())])
        .param("p", "canary-p")
        .tls(Tls::default())
        .batched(Duration::from_millis(5));
    let error = authorize(&http).unwrap_err();
    let shown = format!("{http:?} {error:?} {error} {:#?}", http);
    assert!(!shown.contains("canary"), "{shown}");
    assert!(error.to_string().contains("HTTP 403: bad"), "{error}");

    let (bad, _seen) = server("200 OK", r#"{"auth":7,"x":"canary-b"}"#);
    let error = authorize(&HttpAuthorizer::new(&bad)).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
}
