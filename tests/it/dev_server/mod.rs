//! The in-process server as backends, browsers and Laravel use it: HTTP on the port of the WebSocket.

mod api;
mod http;
#[cfg(tls)]
mod tls;
mod watch;
mod webhook;

use std::io::{Read, Write};
use std::net::TcpStream;

use md5::Digest;
use pusher_channels::testing::Server;
use serde_json::Value;

use crate::server_channels::signature;
use crate::support::SOON;

/// A connection that sends requests and reads responses, one by one.
pub(crate) struct Http {
    stream: TcpStream,
    received: Vec<u8>,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value)
    }
}

impl Http {
    pub(crate) fn connect(server: &Server) -> Self {
        let address = ([127, 0, 0, 1], server.port()).into();
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    fn read_until(&mut self, mut end: impl FnMut(&[u8]) -> Option<usize>) -> String {
        loop {
            if let Some(length) = end(&self.received) {
                let rest = self.received.split_off(length);
                return String::from_utf8(std::mem::replace(&mut self.received, rest)).unwrap();
            }
            let mut chunk = [0; 4096];
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.received));
            self.received.extend_from_slice(&chunk[..read]);
        }
    }

    pub(crate) fn read_head(&mut self) -> String {
        self.read_until(|bytes| Some(bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4))
    }

    pub(crate) fn read(&mut self) -> Response {
        let head = self.read_head();
        let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
        let mut response = Response { status, head, body: String::new() };
        let length = response.header("content-length").unwrap().parse().unwrap();
        response.body = self.read_until(|bytes| (bytes.len() >= length).then_some(length));
        response
    }

    /// `head` is without the length of the body.
    pub(crate) fn exchange(&mut self, head: &str, body: &str) -> Response {
        let length = body.len();
        self.send(format!("{head}\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"));
        self.read()
    }

    pub(crate) fn ends(&mut self) -> bool {
        self.stream.read(&mut [0]).unwrap() == 0
    }
}

#[expect(clippy::disallowed_methods, reason = "the server compares it with the wall clock")]
fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// The target of a signed request; `params` are in the order of their names and need no encoding.
fn signed(method: &str, path: &str, params: &str, body: &str) -> String {
    let mut params: Vec<String> =
        params.split('&').filter(|param| !param.is_empty()).map(str::to_owned).collect();
    params.push("auth_key=app-key".to_owned());
    params.push(format!("auth_timestamp={}", seconds()));
    params.push("auth_version=1.0".to_owned());
    if !body.is_empty() {
        let md5: String = md5::Md5::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        params.push(format!("body_md5={md5}"));
    }
    params.sort();
    let query = params.join("&");
    let path = format!("/apps/app-id{path}");
    let signature = signature("app-secret", &format!("{method}\n{path}\n{query}"));
    format!("{path}?{query}&auth_signature={signature}")
}

pub(crate) fn post(server: &Server, path: &str, body: &Value) -> Response {
    let body = body.to_string();
    let target = signed("POST", path, "", &body);
    let head = format!("POST {target} HTTP/1.1\r\nContent-Type: application/json");
    Http::connect(server).exchange(&head, &body)
}

pub(crate) fn get(server: &Server, path: &str, params: &str) -> Response {
    let target = signed("GET", path, params, "");
    Http::connect(server).exchange(&format!("GET {target} HTTP/1.1"), "")
}
