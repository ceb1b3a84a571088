//! Single connections, in ways that a whole server and client do not show.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tungstenite::Message as ServerMessage;

use super::exchange::Exchange;
use super::link::Link;
use super::peer::{Peer, Step};
use super::router;
use super::settings::Settings;
use super::state::{MAX_CHANNELS, Shared};
use super::websocket::accept;
use crate::transport::{Poller, WebSocket, WebSocketConnector};
use crate::util::clock;
use crate::util::testing::{AT_ONCE, LONG, listen, spawn};
use crate::{Connection, Error, ErrorKind, Interrupt, Message};

fn shared() -> Shared {
    Shared::new(Settings::default()).unwrap()
}

fn dial(url: &str) -> Result<WebSocket, Error> {
    let connector = WebSocketConnector::new(Arc::default(), 1024 * 1024).unwrap();
    connector.dial(url, clock::now() + LONG, &Interrupt::default())
}

/// A client, and the server's end with what waits for it.
fn pair() -> (WebSocket, Arc<Peer>, Poller) {
    let (listener, address) = listen();
    let accepting = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut exchange = Exchange::accept(stream, None, &Interrupt::default()).unwrap();
        let request = exchange.receive().unwrap().unwrap().unwrap();
        accept(&shared(), exchange, &request).unwrap().unwrap()
    });
    let client = dial(&format!("ws://{address}/app/app-key?protocol=7")).unwrap();
    let (peer, poller, right_key) = accepting.recv_timeout(LONG).unwrap();
    assert!(right_key);
    (client, Arc::new(peer), poller)
}

/// Receives on a thread, until the end.
fn receiving(peer: &Arc<Peer>, mut poller: Poller) -> Receiver<(Vec<ServerMessage>, io::Error)> {
    let peer = Arc::clone(peer);
    spawn(move || {
        let (mut all, mut messages) = (Vec::new(), Vec::new());
        loop {
            match peer.receive(&mut poller, &mut messages) {
                Ok(()) => all.append(&mut messages),
                Err(error) => return (all, error),
            }
        }
    })
}

fn step(peer: &Peer, step: Step) {
    peer.queue(step);
    peer.take_steps();
}

#[test]
fn server_and_client_exchange_messages_and_the_server_closes() {
    let (client, server, mut poller) = pair();
    client.send("ping").unwrap();
    let mut messages = Vec::new();
    server.receive(&mut poller, &mut messages).unwrap();
    assert_eq!(messages, [ServerMessage::text("ping")]);
    let ending = receiving(&server, poller);
    step(&server, Step::Send("pong".into()));
    assert_eq!(client.recv().unwrap(), Message::Text("pong".to_owned()));
    step(&server, Step::Close(4200, "\u{e9}".repeat(100)));
    assert_eq!(client.recv().unwrap(), Message::Close(Some(4200), "\u{e9}".repeat(61)));
    ending.recv_timeout(LONG).unwrap();
}

#[test]
fn server_receives_the_close_of_a_client() {
    let (client, server, poller) = pair();
    let ending = receiving(&server, poller);
    client.close(1000);
    assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::Closed);
    let (messages, _) = ending.recv_timeout(LONG).unwrap();
    assert!(matches!(&*messages, [ServerMessage::Close(Some(frame))] if frame.code == 1000.into()));
}

#[test]
fn drop_ends_both_sides_without_a_close_frame() {
    let (client, server, poller) = pair();
    let started = clock::now();
    let ending = receiving(&server, poller);
    step(&server, Step::Drop);
    let error = client.recv().unwrap_err();
    let text = "the connection ended without a close frame";
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Io, text));
    ending.recv_timeout(LONG).unwrap();
    assert!(started.elapsed() < AT_ONCE);
}

#[test]
fn close_that_the_client_does_not_confirm_ends_by_itself() {
    let (_client, server, poller) = pair();
    let ending = receiving(&server, poller);
    step(&server, Step::Close(4200, String::new()));
    ending.recv_timeout(LONG).unwrap();
}

/// Serves one connection. Returns what comes back for `bytes`, until the server closes.
fn exchange(shared: Shared, bytes: &[u8]) -> String {
    let (listener, address) = listen();
    let serving = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        router::serve(&shared, 0, stream, &Interrupt::default());
    });
    let mut client = TcpStream::connect_timeout(&address, LONG).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.write_all(bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut response = Vec::new();
    client.read_to_end(&mut response).unwrap();
    serving.recv_timeout(LONG).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

const HANDSHAKE: &str = "GET /app/app-key HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
                         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn handshakes_are_accepted_or_refused_with_a_status() {
    let replaced = |from: &str, to: &str| HANDSHAKE.replacen(from, to, 1);
    for (request, status) in [
        (HANDSHAKE.to_owned(), 101),
        (replaced("GET /app/app-key", "GET /elsewhere"), 404),
        (replaced("GET", "POST"), 400),
        (replaced("Connection: Upgrade\r\n", ""), 400),
        (replaced("Version: 13", "Version: 8"), 400),
        (replaced("dGhlIHNhbXBsZSBub25jZQ==", ""), 400),
        ("GET /app/app-key HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\n\r\n".to_owned(), 404),
        ("\u{1}\r\n\r\n".to_owned(), 400),
    ] {
        let response = exchange(shared(), request.as_bytes());
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
    }
    let accepted = exchange(shared(), HANDSHAKE.as_bytes());
    // The example of RFC 6455.
    assert!(accepted.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn refused_handshake_gets_http_503() {
    let shared = shared();
    shared.act(|state| state.refuse = 1);
    let response = exchange(shared, HANDSHAKE.as_bytes());
    assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
}

#[test]
fn requests_follow_each_other_until_the_client_or_the_last_response_closes() {
    let request = "GET /pusher/auth?socket_id=1.2&channel_name=private-a HTTP/1.1\r\n";
    let responses = exchange(shared(), format!("{request}\r\n{request}\r\n").as_bytes());
    assert_eq!(responses.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{responses}");
    assert!(!responses.contains("Connection: close"));
    let last = format!("{request}Connection: close\r\n\r\n");
    let responses = exchange(shared(), last.repeat(2).as_bytes());
    assert_eq!(responses.matches("HTTP/1.1 200 OK\r\n").count(), 1, "{responses}");
    assert!(responses.contains("Connection: close\r\n"));
}

#[test]
fn response_has_no_body_where_http_has_none() {
    let head = "HEAD / HTTP/1.1\r\n\r\n".repeat(2);
    let auth = "GET /pusher/auth HTTP/1.1\r\n\r\n".repeat(2);
    for (status, requests) in [(404, &head), (204, &auth), (304, &auth)] {
        let shared = shared();
        shared.act(|state| state.auth.status = Some(status));
        let responses = exchange(shared, requests.as_bytes());
        let heads: Vec<_> = responses.split_terminator("\r\n\r\n").collect();
        assert_eq!(heads.len(), 2, "{responses}");
        for head in heads {
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{responses}");
        }
    }
}

#[test]
fn cache_channels_without_subscribers_are_limited_and_the_oldest_is_dropped() {
    shared().act(|state| {
        for number in 0..=MAX_CHANNELS {
            state.publish_plain(&format!("cache-{number}"), "e", "x", None);
        }
        let is_cached = |number: usize| state.cached(&format!("cache-{number}")).is_some();
        assert!(!is_cached(0) && is_cached(1) && is_cached(MAX_CHANNELS));
    });
}

#[test]
fn link_waits_until_its_deadline_or_the_stop_of_the_server() {
    let (listener, address) = listen();
    let silent = || {
        let client = TcpStream::connect_timeout(&address, LONG).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let interrupt = Interrupt::default();
    let (_client, stream) = silent();
    let deadline = clock::now() + Duration::from_millis(100);
    let mut link = Link::new(stream, deadline, &interrupt).unwrap();
    assert_eq!(link.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);

    let (mut client, stream) = silent();
    let stopper = interrupt.clone();
    let receiving = spawn(move || {
        let mut exchange = Exchange::accept(stream, None, &interrupt).unwrap();
        exchange.receive().map(|_| ()).unwrap_err().to_string()
    });
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    stopper.interrupt();
    assert_eq!(receiving.recv_timeout(LONG).unwrap(), "the server is stopping");
}
