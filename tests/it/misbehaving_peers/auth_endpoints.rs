//! Auth endpoints with invalid responses: the authorization fails, and nothing else.

use std::io::{Read, Write};
use std::net::TcpStream;

use pusher_channels::testing::Server;
use pusher_channels::{ChannelStatus, Client, Error, ErrorKind, HttpAuthorizer};

use crate::support::{AT_ONCE, SOON, listen, quick, spawn};

/// Reads bytes until there are enough, or no more.
fn read_until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !enough(&bytes) && stream.read_exact(&mut byte).is_ok() {
        bytes.push(byte[0]);
    }
    bytes
}

/// An endpoint that reads each request, and then does as it likes.
fn endpoint(misbehave: impl Fn(TcpStream) + Send + 'static) -> HttpAuthorizer {
    let (listener, _) = listen();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.set_write_timeout(Some(SOON)).unwrap();
            // All of it: unread bytes would turn the end into a reset.
            let head = read_until(&mut stream, |head| head.ends_with(b"\r\n\r\n"));
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            read_until(&mut stream, |body| body.len() == length);
            misbehave(stream);
        }
    });
    HttpAuthorizer::new(&format!("http://{address}/auth")).timeout(AT_ONCE)
}

fn says(reply: &str) -> HttpAuthorizer {
    let reply = reply.to_owned();
    endpoint(move |mut stream| drop(stream.write_all(reply.as_bytes())))
}

fn endless(beginning: &'static str, rest: &str) -> HttpAuthorizer {
    let rest = rest.repeat(64 * 1024 / rest.len());
    endpoint(move |mut stream| {
        let mut result = stream.write_all(beginning.as_bytes());
        while result.is_ok() {
            result = stream.write_all(rest.as_bytes());
        }
    })
}

/// The first error about a channel with this authorizer.
fn error_of(client: &Client, authorizer: HttpAuthorizer) -> Error {
    let channel = client.private_channel_with("private-bad", authorizer).unwrap();
    let errors = channel.bind_subscription_error();
    channel.subscribe();
    let error = errors.recv_timeout(SOON).unwrap();
    assert_eq!(error.channel(), Some("private-bad"));
    let expected =
        if error.is_retryable() { ChannelStatus::Pending } else { ChannelStatus::Failed };
    assert_eq!(channel.status(), expected, "{error:?}");
    channel.unsubscribe();
    error
}

fn is_unharmed(server: &Server, client: &Client) {
    let good = HttpAuthorizer::new(&server.auth_url());
    let channel = client.private_channel_with("private-good", good).unwrap();
    let events = channel.bind("event");
    channel.subscribe();
    channel.wait_subscribed(SOON).unwrap();
    server.publish("private-good", "event", "words");
    assert_eq!(events.recv_timeout(SOON).unwrap().data(), "words");
    assert_eq!(server.dials(), 1);
}

fn connected() -> (Server, Client) {
    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    (server, client)
}

fn body(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn endless_responses_are_abandoned() {
    let (server, client) = connected();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (beginning, rest, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x", Some(ErrorKind::TooLarge)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "x", Some(ErrorKind::TooLarge)),
        (chunked, "10\r\n0123456789abcdef\r\n", Some(ErrorKind::TooLarge)),
        (chunked, "0", None),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n", None),
        ("HTTP/1.1 200 OK\r\nX: ", "y", None),
        ("HTTP/1.1 200 ", "y", None),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", None),
        ("", "\0", None),
    ] {
        let error = error_of(&client, endless(beginning, rest));
        let kinds = [ErrorKind::Auth, ErrorKind::Io, ErrorKind::Timeout, ErrorKind::TooLarge];
        assert!(kinds.contains(&error.kind()), "{beginning:?} {rest:?}: {error:?}");
        assert!(
            expected.is_none_or(|kind| kind == error.kind()),
            "{beginning:?} {rest:?}: {error:?}"
        );
        assert!(error.to_string().len() < 1000);
    }
    let error = error_of(&client, endless("HTTP/1.1 403 Forbidden\r\n\r\n", "x"));
    assert_eq!(error.http_status(), Some(403));
    is_unharmed(&server, &client);
}

#[test]
fn contradictory_responses_are_errors() {
    let (server, client) = connected();
    let good = r#"{"auth":"key:signature"}"#;
    for reply in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{good}"),
        format!("HTTP/1.1 200 OK\r\n{}\r\n{good}", "X: y\r\n".repeat(10_000)),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{good}", "y".repeat(1_000_000)),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        "HTTP/1.1 999 What\r\n\r\n".to_owned(),
        "HTTP/1.1 0 What\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let error = error_of(&client, says(&reply));
        let kinds = [ErrorKind::Auth, ErrorKind::Io, ErrorKind::Timeout, ErrorKind::TooLarge];
        assert!(kinds.contains(&error.kind()), "{reply:.100}: {error:?}");
    }
    is_unharmed(&server, &client);
}

#[test]
fn invalid_json_is_an_error() {
    let (server, client) = connected();
    let deep = "[".repeat(100_000);
    for json in [
        deep.clone(),
        format!(r#"{{"auth":{deep}"#),
        format!(r#"{{"auth":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
        format!(r#"{{"auth":{}}}"#, "9".repeat(500)),
        r#"{"auth":1e400}"#.to_owned(),
        r#"{"auth":"\ud800"}"#.to_owned(),
        r#"{"auth":"good","auth":null}"#.to_owned(),
        r#"{"auth":["key:signature"]}"#.to_owned(),
        r#""key:signature""#.to_owned(),
        "\u{feff}{}".to_owned(),
    ] {
        let error = error_of(&client, says(&body(&json)));
        assert_eq!(error.kind(), ErrorKind::Auth, "{json:.100}: {error:?}");
        assert!(!error.is_retryable() && error.to_string().len() < 1000);
    }
    // A well-formed response of any length is sent to the server, which refuses it.
    let long = format!(r#"{{"auth":"{}:{}"}}"#, server.key(), "0".repeat(200_000));
    let channel = client.private_channel_with("private-long", says(&body(&long))).unwrap();
    channel.subscribe();
    assert_eq!(channel.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::Server);
    is_unharmed(&server, &client);
}
