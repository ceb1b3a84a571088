//! Connections, paths and origins.

use std::io;

use pusher_channels::testing::{Server, Settings};
use pusher_channels::{Client, HttpAuthorizer};
use serde_json::json;

use super::Http;
use crate::server_channels::signature;
use crate::support::{SOON, quick};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const PARAMS: &str = "socket_id=1.2&channel_name=private-a";

fn auth() -> serde_json::Value {
    json!({"auth": format!("app-key:{}", signature("app-secret", "1.2:private-a"))})
}

#[test]
fn one_connection_takes_requests_of_every_kind_and_then_a_websocket() {
    let server = Server::start().unwrap();
    let mut http = Http::connect(&server);
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\n{FORM}");
    for path in ["/pusher/auth", "/broadcasting/auth"] {
        assert_eq!(http.exchange(&head(path), PARAMS).json(), auth());
    }
    let text = r#"{"socket_id":"1.2","channel_name":"private-a"}"#;
    let json_head = "POST /broadcasting/auth HTTP/1.1\r\nContent-Type: application/json";
    assert_eq!(http.exchange(json_head, text).json(), auth());
    let user = json!(r#"{"id":"user-1.2"}"#);
    for path in ["/pusher/user-auth", "/broadcasting/user-auth"] {
        assert_eq!(http.exchange(&head(path), "socket_id=1.2").json()["user_data"], user);
    }
    assert_eq!((server.auth_count(), server.user_auth_count()), (5, 2));
    let nothing = http.exchange("GET / HTTP/1.1", "");
    assert_eq!(nothing.status, 404);
    for part in ["/app/app-key", "/apps/app-id", "/pusher/auth", "/broadcasting/user-auth"] {
        assert!(nothing.body.contains(part), "{}", nothing.body);
    }
    http.send(
        "GET /app/app-key HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(http.read_head().starts_with("HTTP/1.1 101 "));
    assert!(server.wait_for(SOON, |server| server.connections() == 1));
}

#[test]
fn bodies_may_be_chunked_or_wait_for_a_continue() {
    let server = Server::start().unwrap();
    let mut http = Http::connect(&server);
    let (first, second) = PARAMS.split_at(10);
    http.send(format!(
        "POST /pusher/auth HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{FORM}\r\n\r\n"
    ));
    http.send(format!("{:x}\r\n{first}\r\n", first.len()));
    http.send(format!("{:x};x=y\r\n{second}\r\n0\r\nX-Trailer: z\r\n\r\n", second.len()));
    assert_eq!(http.read().json(), auth());

    let length = PARAMS.len();
    http.send(format!(
        "POST /pusher/auth HTTP/1.1\r\nExpect: 100-continue\r\n{FORM}\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(http.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    http.send(PARAMS);
    assert_eq!(http.read().json(), auth());

    http.send("GET /pusher/auth HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(http.read().header("connection"), Some("close"));
    assert!(http.ends());
}

const PREFLIGHT: &str = "OPTIONS /broadcasting/auth HTTP/1.1\r\nOrigin: http://app.test:3000\r\n\
                         Access-Control-Request-Method: POST\r\n\
                         Access-Control-Request-Headers: authorization, x-csrf-token";

#[test]
fn pages_of_other_origins_are_allowed_with_credentials() {
    let server = Server::start().unwrap();
    let mut http = Http::connect(&server);
    let preflight = http.exchange(PREFLIGHT, "");
    let posted = http.exchange(
        &format!("POST /broadcasting/auth HTTP/1.1\r\nOrigin: http://app.test:3000\r\n{FORM}"),
        PARAMS,
    );
    let missing = http.exchange("GET /nothing HTTP/1.1\r\nOrigin: http://app.test:3000", "");
    for response in [&preflight, &posted, &missing] {
        let header = |name| response.header(name);
        assert_eq!(header("access-control-allow-origin"), Some("http://app.test:3000"));
        assert_eq!(header("access-control-allow-credentials"), Some("true"));
        assert_eq!(header("vary"), Some("Origin"));
    }
    let header = |name| preflight.header(name).unwrap();
    assert_eq!(preflight.status, 200);
    assert_eq!(header("access-control-allow-headers"), "authorization, x-csrf-token");
    assert_eq!(header("access-control-allow-methods"), "GET, POST");
    assert_eq!(posted.json(), auth());
    assert_eq!(server.auth_count(), 1);
    assert!(!http.exchange("GET /nothing HTTP/1.1", "").head.contains("Access-Control"));
}

#[test]
fn pages_of_other_origins_can_be_refused() {
    let server = Server::start_with(Settings::default().cors(false)).unwrap();
    let preflight = Http::connect(&server).exchange(PREFLIGHT, "");
    assert_eq!(preflight.status, 405);
    assert!(!preflight.head.contains("Access-Control"));
}

#[test]
fn port_in_use_is_named() {
    let server = Server::start().unwrap();
    let port = server.port();
    let error = Server::start_with(Settings::default().port(port)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("listening on 127.0.0.1:{port} failed: ")));
}

#[test]
fn authorization_works_again_after_a_restart_on_the_same_port() {
    let server = Server::start().unwrap();
    let (port, url) = (server.port(), server.auth_url());
    let client: Client =
        quick(server.options()).authorizer(HttpAuthorizer::new(&url)).build().unwrap();
    let room = client.private_channel("private-room").unwrap();
    let (messages, resumed) = (room.bind("message"), room.bind_resumed());
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    drop(server);
    let server = Server::start_with(Settings::default().port(port)).unwrap();
    assert_eq!(server.auth_url(), url);
    resumed.recv_timeout(SOON).unwrap();
    server.publish("private-room", "message", "back");
    assert_eq!(messages.recv_timeout(SOON).unwrap().data(), "back");
}

#[cfg(not(tls))]
#[test]
fn tls_without_a_library_for_it_is_unsupported() {
    let error = Server::start_with(Settings::default().tls(b"", b"")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("this build has no TLS"));
}
