//! The publisher against scripted servers on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::ErrorKind;
use crate::Timeout;
use crate::util::testing::{LONG, listen, spawn};

/// A server that accepts one connection after the other.
fn peer(script: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let (listener, address) = listen();
    spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            script(stream);
        }
    });
    address
}

/// Reads a request: its head, and its body by the length that the head announces.
fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A server that always sends the same response; `status` may have headers after it.
fn server(
    status: &'static str,
    body: &'static str,
) -> (SocketAddr, mpsc::Receiver<(String, String)>) {
    let (to, seen) = mpsc::channel();
    let address = peer(move |mut stream| {
        let request = read_request(&mut stream);
        let length = body.len();
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(response.as_bytes());
        let _ = to.send(request);
    });
    (address, seen)
}

fn options(address: SocketAddr) -> Options {
    Options::host(&address.ip().to_string(), "app-key").port(address.port()).tls(false)
}

fn publisher(address: SocketAddr) -> Publisher {
    Publisher::new(options(address), "7", "canary-secret").unwrap()
}

#[test]
fn each_method_sends_its_request() {
    let (address, seen) = server("200 OK", r#"{"users":[]}"#);
    let publisher = publisher(address);
    let batch = [BatchEvent::new("a", "e", &1)];
    type Send<'a> = &'a dyn Fn() -> Result<(), Error>;
    let requests: [(Send<'_>, &str, &str, &str); 8] = [
        (
            &|| publisher.trigger(&["a", "b"], "e", "x"),
            "POST /apps/7/events?",
            "",
            r#"{"channels":["a","b"],"data":"x","name":"e"}"#,
        ),
        (
            &|| {
                let options = TriggerOptions::new().exclude("1.2").info([Info::UserCount]);
                publisher.trigger_with(&["a".to_owned()], "e", &[1], options).map(drop)
            },
            "POST /apps/7/events?",
            "",
            r#"{"channels":["a"],"data":"[1]","info":"user_count","name":"e","socket_id":"1.2"}"#,
        ),
        (
            &|| publisher.trigger_batch(&batch).map(|info| assert_eq!(info.len(), 1)),
            "POST /apps/7/batch_events?",
            "",
            r#"{"batch":[{"channel":"a","data":"1","name":"e"}]}"#,
        ),
        (&|| publisher.channels("", &[]).map(drop), "GET /apps/7/channels?", "", ""),
        (
            &|| publisher.channels("presence-", &[Info::UserCount]).map(drop),
            "GET /apps/7/channels?",
            "&filter_by_prefix=presence-&info=user_count&",
            "",
        ),
        (
            &|| publisher.channel("a@b", &[Info::SubscriptionCount, Info::Cache]).map(drop),
            "GET /apps/7/channels/a@b?",
            "&info=subscription_count%2Ccache&",
            "",
        ),
        (
            &|| publisher.presence_users("presence-a").map(drop),
            "GET /apps/7/channels/presence-a/users?",
            "",
            "",
        ),
        (
            &|| publisher.terminate_user("a b"),
            "POST /apps/7/users/a%20b/terminate_connections?",
            "",
            "{}",
        ),
    ];
    for (send, line, query, body) in requests {
        send().unwrap();
        let (head, sent) = seen.recv_timeout(LONG).unwrap();
        check_head(&head, line, query, body);
        assert_eq!(sent, body);
    }
}

#[track_caller]
fn check_head(head: &str, line: &str, query: &str, body: &str) {
    assert!(head.starts_with(&format!("{line}auth_key=app-key&auth_timestamp=")), "{head}");
    assert!(head.contains(query) && head.contains("&auth_signature="), "{head}");
    assert_eq!(head.contains("&body_md5="), !body.is_empty(), "{head}");
    assert!(head.to_ascii_lowercase().contains("accept: application/json"), "{head}");
}

#[test]
fn event_for_a_user_is_sent_on_the_channel_of_this_user() {
    let (address, seen) = server("200 OK", "{}");
    let publisher = publisher(address);
    publisher.send_to_user("u", "e", "x").unwrap();
    let (head, sent) = seen.recv_timeout(LONG).unwrap();
    assert!(head.starts_with("POST /apps/7/events?"), "{head}");
    assert_eq!(sent, r##"{"channels":["#server-to-user-u"],"data":"x","name":"e"}"##);
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
}

#[test]
fn what_exceeds_a_limit_is_not_sent() {
    let (listener, address) = listen();
    drop(listener);
    let publisher = publisher(address);
    assert!(publisher.trigger_batch(&[]).unwrap().is_empty());
    let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
    let long = "x".repeat(10_241);
    for (result, kind) in [
        (publisher.trigger(&["a b"], "e", "x"), ErrorKind::InvalidName),
        (publisher.trigger(&[""; 0], "e", "x"), ErrorKind::Config),
        (publisher.trigger(&["a"; 101], "e", "x"), ErrorKind::TooLarge),
        (publisher.trigger(&["a"], "", "x"), ErrorKind::InvalidName),
        (publisher.trigger(&["a"], "e", &long), ErrorKind::TooLarge),
        (publisher.trigger(&["a"], "e", &unwritable), ErrorKind::Json),
        (publisher.channel("a/b", &[]).map(drop), ErrorKind::InvalidName),
        (publisher.presence_users("").map(drop), ErrorKind::InvalidName),
        (publisher.send_to_user("", "e", "x"), ErrorKind::InvalidName),
        (publisher.send_to_user("u", "e", &long), ErrorKind::TooLarge),
        (publisher.terminate_user("a\0"), ErrorKind::InvalidName),
        // What is within the limits is.
        (publisher.trigger(&["a"; 100], "e", &long[1..]), ErrorKind::Io),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.http_status().is_none());
    }
}

#[test]
fn limits_can_be_raised_for_other_servers() {
    let (address, seen) = server("200 OK", "{}");
    let publisher = Publisher::builder(options(address), "7", "s")
        .max_data(20_000)
        .check_channel_names(false)
        .build()
        .unwrap();
    publisher.trigger(&["a b"], "e", &"x".repeat(20_000)).unwrap();
    assert!(seen.recv_timeout(LONG).unwrap().1.contains(r#"["a b"]"#));
    assert!(publisher.trigger(&["a"], "e", &"x".repeat(20_001)).is_err());
}

#[test]
fn headers_are_sent_and_not_shown() {
    let (address, seen) = server("401 Unauthorized", "no canary-token, canary-secret");
    let publisher = Publisher::builder(options(address), "7", "canary-secret")
        .header("X-Gateway", "replaced")
        .header("x-gateway", "canary-token")
        .header("Accept", "*/*")
        .build()
        .unwrap();
    let error = publisher.trigger(&["a"], "e", "canary-data").unwrap_err();
    let head = seen.recv_timeout(LONG).unwrap().0.to_ascii_lowercase();
    assert!(head.contains("x-gateway: canary-token") && !head.contains("replaced"), "{head}");
    assert!(head.contains("accept: */*") && !head.contains("accept: application"), "{head}");
    let builder = Publisher::builder(options(address), "7", "canary-secret");
    let shown = format!("{error} {error:?} {error:#} {publisher:?} {builder:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("app-key") && shown.contains("HTTP 401: no [redacted]"), "{shown}");
    assert!(error.to_string().starts_with(&format!("HTTP API at {address}: ")), "{error}");
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(401)));
}

#[test]
fn parts_of_a_header_are_not_shown() {
    let (address, _seen) = server("401 Unauthorized", "the token canary-9 is unknown");
    let builder = Publisher::builder(options(address), "7", "s");
    let publisher = builder.header("Authorization", "Bearer canary-9").build().unwrap();
    let error = publisher.channels("", &[]).unwrap_err().to_string();
    assert!(error.ends_with("HTTP 401: the token [redacted] is unknown"), "{error}");
}

#[test]
fn refusal_returns_its_wait_and_the_channel() {
    let (address, _seen) = server("429 Too Many Requests\r\nRetry-After: 7", "slow down");
    let error = publisher(address).channel("a", &[]).unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!((error.kind(), error.channel()), (ErrorKind::RateLimited, Some("a")));
    assert!(error.is_retryable());
}

#[test]
fn date_of_a_refusal_shows_the_skew_of_the_clock() {
    let (address, _seen) = server(
        "401 Unauthorized\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT",
        "Timestamp expired: Given timestamp not within 600s of server time",
    );
    let error = publisher(address).channel("a", &[]).unwrap_err().to_string();
    assert!(error.contains("; this device's clock is ") && error.contains("ahead of"), "{error}");
}

#[test]
fn silent_server_ends_with_the_timeout() {
    let address = peer(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let short = Duration::from_millis(100);
    let publisher = Publisher::builder(options(address), "7", "s").timeout(short).build().unwrap();
    let error = publisher.trigger(&["a"], "e", "x").unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Auth));
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn interruption_ends_the_requests_of_all_clones() {
    let (requested, wait) = mpsc::channel();
    let address = peer(move |mut stream| {
        read_request(&mut stream);
        let _ = requested.send(());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let publisher = Publisher::builder(options(address), "7", "s").timeout(LONG).build().unwrap();
    let clone = publisher.clone();
    let result = spawn(move || clone.trigger(&["a"], "e", "x"));
    wait.recv_timeout(LONG).unwrap();
    publisher.interrupt();
    let error = result.recv_timeout(LONG / 2).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("interrupted"), "{error}");
}

#[test]
fn what_is_not_http_or_too_long_is_an_error() {
    let address = peer(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"SSH-2.0-canary\r\n\r\n");
    });
    let error = publisher(address).channels("", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.to_string().contains("the response is not HTTP"), "{error}");

    let (address, _seen) = server("200 OK", r#"{"channels":{"a":{}}}"#);
    let small = Publisher::builder(options(address), "7", "s").max_body(20).build().unwrap();
    assert_eq!(small.channels("", &[]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(publisher(address).channels("", &[]).unwrap().len(), 1);
}

#[test]
fn invalid_settings_are_explained() {
    let options = || Options::host("h", "k").tls(false);
    let builder = || Publisher::builder(options(), "7", "s");
    for (result, part) in [
        (Publisher::new(options(), "", "s"), "the app id must not be empty"),
        (Publisher::new(options(), "7", ""), "the secret must not be empty"),
        (Publisher::new(Options::url("ws://h"), "7", "s"), "/app/{key}"),
        (builder().timeout(Duration::ZERO).build(), "`timeout` must be greater than zero"),
        (builder().max_data(0).build(), "`max_data` must be greater than zero"),
        (builder().max_body(0).build(), "`max_body` must be greater than zero"),
        (builder().header("a b", "x").build(), "a header of the HTTP API has characters"),
        (builder().header("a", "x\n").build(), "a header of the HTTP API has characters"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[cfg(not(tls))]
#[test]
fn build_without_tls_refuses_https() {
    let error = Publisher::new(Options::cluster("eu", "k"), "7", "s").unwrap_err();
    assert!(error.to_string().contains("this build has no TLS"), "{error}");
}

#[test]
fn publisher_is_shared_by_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Publisher>();
}
