//! The in-process server's endpoint for authorizations, in raw HTTP.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use pusher_channels::testing::{Server, Settings};
use serde_json::{Value, json};

use super::{ANN, SUCCEEDED, Signed, data, signature};
use crate::support::{AT_ONCE, SOON};

pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl TestResponse {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "the server keeps real time")]
fn now() -> Instant {
    Instant::now()
}

fn dial(server: &Server) -> TcpStream {
    let url = server.auth_url();
    let address = url.strip_prefix("http://").unwrap().strip_suffix("/pusher/auth").unwrap();
    let stream = TcpStream::connect_timeout(&address.parse().unwrap(), SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends this, and reads until the server closes.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = dial(server);
    stream.write_all(request).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn parsed(response: &str) -> TestResponse {
    let (head, body) = response.split_once("\r\n\r\n").expect("no HTTP");
    let head = format!("{head}\r\n");
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    TestResponse { status, head, body: body.to_owned() }
}

pub(crate) fn request(
    server: &Server,
    method: &str,
    target: &str,
    kind: &str,
    body: &str,
) -> TestResponse {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nX-Mine:  a b \r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    parsed(&exchange(server, request.as_bytes()))
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
const PATH: &str = "/pusher/auth";

pub(crate) fn encoded(params: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs = params.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

pub(crate) fn form(server: &Server, params: &[(&str, &str)]) -> TestResponse {
    request(server, "POST", PATH, FORM, &encoded(params))
}

fn plain(server: &Server) -> TestResponse {
    form(server, &[("socket_id", "1.2"), ("channel_name", "private-a")])
}

#[test]
fn every_request_form_is_accepted() {
    let server = Server::start_with(Settings::default().key("k").secret("s")).unwrap();
    let expected = json!({"auth": format!("k:{}", signature("s", "12.34:private-a"))});
    let params = [("socket_id", "12.34"), ("channel_name", "private-a")];
    let query = encoded(&params);
    let json_body = r#"{"socket_id":"12.34","channel_name":"private-a"}"#;
    for response in [
        form(&server, &params),
        request(&server, "POST", PATH, FORM, "socket_id=12.34&channel_name=private-a&x=%"),
        request(&server, "POST", PATH, "application/json; charset=utf-8", json_body),
        request(&server, "GET", &format!("{PATH}?{query}"), "", ""),
        request(
            &server,
            "POST",
            &format!("{PATH}?socket_id=12.34"),
            FORM,
            "channel_name=private-a",
        ),
    ] {
        assert_eq!(response.json(), expected);
        assert!(response.head.contains("Content-Type: application/json\r\n"));
    }
    assert_eq!(server.auth_count(), 5);
}

#[test]
fn member_follows_the_parameters() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    let socket_id = client.socket_id.clone();
    let request_with = |more: &[(&str, &str)]| {
        let mut params = vec![("socket_id", &*socket_id), ("channel_name", "presence-r")];
        params.extend(more);
        form(&server, &params).json()
    };
    let response = request_with(&[("user_id", "ann"), ("user_info", r#"{"name":"Ann"}"#)]);
    assert_eq!(response["channel_data"], ANN);
    let as_text =
        request_with(&[("user_id", "7"), ("user_info", "no json")])["channel_data"].clone();
    assert_eq!(as_text, r#"{"user_id":"7","user_info":"no json"}"#);
    assert_eq!(
        request_with(&[])["channel_data"],
        json!({"user_id": format!("user-{socket_id}")}).to_string()
    );
    let body = json!({"socket_id": "1.2", "channel_name": "presence-r", "user_id": 7, "user_info": {"a": 1}});
    let numeric = request(&server, "POST", PATH, "application/json", &body.to_string()).json();
    assert_eq!(numeric["channel_data"], r#"{"user_id":7,"user_info":{"a":1}}"#);

    // The response authorizes the subscription.
    let (auth, member) = (response["auth"].as_str(), response["channel_data"].as_str());
    client.say_subscribe("presence-r", auth.unwrap(), member);
    let succeeded = client.raw.read();
    assert_eq!(succeeded["event"], SUCCEEDED);
    assert_eq!(data(&succeeded)["presence"]["hash"], json!({"ann": {"name": "Ann"}}));
}

#[test]
fn batch_has_one_response_per_channel() {
    let server = Server::start().unwrap();
    let auth = |text: &str| format!("app-key:{}", signature("app-secret", text));
    let expected = json!({
        "private-a": {"status": 200, "data": {"auth": auth("1.2:private-a")}},
        "presence-b": {"status": 200, "data": {
            "auth": auth(r#"1.2:presence-b:{"user_id":"u"}"#), "channel_data": r#"{"user_id":"u"}"#
        }},
    });
    let params = [
        ("socket_id", "1.2"),
        ("user_id", "u"),
        ("channel_name[0]", "private-a"),
        ("channel_name[1]", "presence-b"),
    ];
    assert_eq!(form(&server, &params).json(), expected);
    let body =
        json!({"socket_id": "1.2", "user_id": "u", "channel_name": ["private-a", "presence-b"]});
    let response = request(&server, "POST", PATH, "application/json", &body.to_string());
    assert_eq!(response.json(), expected);
    let one = form(&server, &[("socket_id", "1.2"), ("channel_name[0]", "public")]).json();
    assert_eq!(one["public"]["status"], 403);
    let requested: Vec<_> = server.auth_requests().iter().map(|r| r.channels().join(" ")).collect();
    assert_eq!(requested, ["private-a presence-b", "private-a presence-b", "public"]);
}

#[test]
fn invalid_requests_are_refused_with_a_status() {
    let server = Server::start().unwrap();
    let status = |params: &[(&str, &str)]| form(&server, params).status;
    assert_eq!(status(&[]), 400);
    assert_eq!(status(&[("socket_id", "1.2")]), 400);
    assert_eq!(status(&[("channel_name", "private-a")]), 400);
    for socket_id in ["", "1", "1.", "1.2.3", "1.2:x", "-1.2"] {
        assert_eq!(status(&[("socket_id", socket_id), ("channel_name", "private-a")]), 400);
    }
    for channel in ["public", "private-ä", "private-a b"] {
        assert_eq!(status(&[("socket_id", "1.2"), ("channel_name", channel)]), 403, "{channel}");
    }
    let two = [("socket_id", "1.2"), ("channel_name", "private-a"), ("channel_name", "private-b")];
    assert_eq!(status(&two), 400);
    assert_eq!(request(&server, "PUT", PATH, FORM, "").status, 405);
    assert_eq!(request(&server, "POST", "/elsewhere", FORM, "").status, 404);
    for body in ["", "[]", "7", r#"{"socket_id":"#] {
        assert_eq!(request(&server, "POST", PATH, "application/json", body).status, 400);
    }
}

#[test]
fn garbage_on_the_port_does_no_harm() {
    let server = Server::start().unwrap();
    let head = |length: usize| {
        format!("POST {PATH} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
    };
    for (garbage, status) in [
        (b"\x16\x03\x01\x02\x00\r\n\r\n".to_vec(), 400),
        (b"GET\r\n\r\n".to_vec(), 400),
        (vec![b'x'; 100_000], 431),
        ([head(2 << 20).into_bytes(), vec![b'x'; 2 << 20]].concat(), 413),
        (head(0).replace("\r\n\r\n", "\r\nTransfer-Encoding: gzip\r\n\r\n").into_bytes(), 501),
        ([head(1 << 20).into_bytes(), vec![0xff; 1 << 20]].concat(), 400),
    ] {
        assert_eq!(parsed(&exchange(&server, &garbage)).status, status);
    }
    // These close before their request is complete.
    for begun in ["", "POST", &head(10)] {
        let mut stream = dial(&server);
        stream.write_all(begun.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert_eq!(response, "");
    }
    // In pieces.
    let mut stream = dial(&server);
    for byte in b"POST /pusher/auth HTTP/1.0\r\nContent-Length: 37\r\n\r\nsocket_id=1.2&channel_name=private-ab" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert_eq!(parsed(&response).status, 200);
    assert_eq!(plain(&server).status, 200);
}

#[test]
fn faults_are_shown_as_configured() {
    let server = Server::start().unwrap();
    server.retry_after(Some(3));
    server.fail_auth_times(2, 429);
    let response = plain(&server);
    assert!(response.status == 429 && response.head.contains("Too Many Requests\r\n"));
    assert!(response.head.contains("Retry-After: 3\r\n"));
    assert_eq!(plain(&server).status, 429);
    let response = plain(&server);
    assert!(response.status == 200 && !response.head.contains("Retry-After"));
    server.retry_after(None);

    server.fail_auth(403);
    server.fail_auth_times(1, 500);
    let statuses: Vec<u16> = (0..3).map(|_| plain(&server).status).collect();
    assert_eq!(statuses, [500, 403, 403]);
    assert!(!plain(&server).head.contains("Retry-After"));
    server.auth_body(Some("<html>"));
    let response = plain(&server);
    assert_eq!((response.status, &*response.body), (403, "<html>"));
    server.fail_auth(200);
    let response = plain(&server);
    assert_eq!((response.status, &*response.body), (200, "<html>"));
    // More than the system accepts at once.
    server.auth_body(Some(&"x".repeat(8 << 20)));
    assert_eq!(plain(&server).body.len(), 8 << 20);
    // Also to a client that has shut down its side.
    let mut stream = dial(&server);
    stream.write_all(b"GET /pusher/auth HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert_eq!(parsed(&response).body.len(), 8 << 20);
    server.auth_body(None);
    plain(&server).json();
    assert_eq!(server.auth_count(), 12);
}

#[test]
fn requests_are_recorded() {
    let server = Server::start().unwrap();
    let body = "socket_id=1.2&channel_name=private-a&token=canary";
    request(&server, "POST", "/pusher/auth?q=1", FORM, body);
    server.fail_auth(500);
    request(&server, "GET", "/pusher/auth?channel_name=private-b", "", "");
    let [first, second] = &server.auth_requests()[..] else { panic!("not two") };
    assert_eq!((first.method(), first.target(), first.body()), ("POST", "/pusher/auth?q=1", body));
    assert_eq!(first.headers()[1], ("X-Mine".to_owned(), "a b".to_owned()));
    assert_eq!((first.header("x-mine"), first.header("y")), (Some("a b"), None));
    assert_eq!((first.socket_id(), first.channels()), (Some("1.2"), &["private-a".to_owned()][..]));
    assert!(!format!("{first:?}").contains("canary"));
    assert_eq!((second.method(), second.socket_id(), second.channels().len()), ("GET", None, 0));
    assert_eq!(server.auth_count(), 2);
}

#[test]
fn responses_can_be_delayed_and_released() {
    let server = Server::start().unwrap();
    let start = now();
    server.delay_auth(Duration::from_millis(200));
    assert_eq!(plain(&server).status, 200);
    assert!(now().duration_since(start) >= Duration::from_millis(200));
    server.delay_auth(Duration::MAX);
    std::thread::scope(|scope| {
        let pending: Vec<_> = (0..20).map(|_| scope.spawn(|| plain(&server).status)).collect();
        assert!(server.wait_for(SOON, |server| server.auth_count() == 21));
        assert!(pending.iter().all(|thread| !thread.is_finished()));
        server.delay_auth(Duration::ZERO);
        assert!(pending.into_iter().all(|thread| thread.join().unwrap() == 200));
    });
}

#[test]
fn dropping_the_server_does_not_wait_for_requests() {
    let server = Server::start().unwrap();
    server.delay_auth(Duration::from_secs(3600));
    let mut streams: Vec<_> = (0..10).map(|_| dial(&server)).collect();
    for stream in &mut streams {
        let head = "GET /pusher/auth?socket_id=1.2&channel_name=private-a HTTP/1.1\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
    }
    // Sends nothing.
    streams.push(dial(&server));
    assert!(server.wait_for(SOON, |server| server.auth_count() == 10));
    let start = now();
    drop(server);
    assert!(now().duration_since(start) < AT_ONCE);
    for mut stream in streams {
        let mut response = Vec::new();
        // Reset or closed, but over.
        let _ = stream.read_to_end(&mut response);
        assert!(response.is_empty());
    }
}
