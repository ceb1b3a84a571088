//! Single connections, in ways that a whole server and client do not show.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::exchange::Exchange;
use super::settings::Settings;
use super::state::Shared;
use super::websocket::accept;
use crate::transport::{WebSocket, WebSocketConnector};
use crate::util::clock;
use crate::util::testing::{LONG, listen, spawn};
use crate::{Connection, Error, ErrorKind, Interrupt, Message};

type Accepted = io::Result<Option<(WebSocket, bool)>>;

/// A server that accepts one connection, and its URL.
fn server(shared: Shared) -> (Receiver<Accepted>, String) {
    let (listener, address) = listen();
    let accepting = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        accept(&shared, stream, &Interrupt::default())
    });
    (accepting, format!("ws://{address}/app/app-key?protocol=7"))
}

fn dial(url: &str) -> Result<WebSocket, Error> {
    let connector = WebSocketConnector::new(Arc::default(), 1024 * 1024).unwrap();
    connector.dial(url, clock::now() + LONG, &Interrupt::default())
}

fn pair() -> (WebSocket, Arc<WebSocket>) {
    let (accepting, url) = server(Shared::new(Settings::default()));
    let client = dial(&url).unwrap();
    let (server, right_key) = accepting.recv_timeout(LONG).unwrap().unwrap().unwrap();
    assert!(right_key);
    (client, Arc::new(server))
}

/// Receives on a thread, which makes the connection read.
fn receiving(socket: &Arc<WebSocket>) -> Receiver<Result<Message, Error>> {
    let socket = Arc::clone(socket);
    spawn(move || socket.recv())
}

#[test]
fn server_and_client_exchange_messages_and_the_server_closes() {
    let (client, server) = pair();
    client.send("ping").unwrap();
    assert_eq!(server.recv().unwrap(), Message::Text("ping".to_owned()));
    server.send("pong").unwrap();
    assert_eq!(client.recv().unwrap(), Message::Text("pong".to_owned()));
    let ending = receiving(&server);
    server.close_with(4200, &"\u{e9}".repeat(100));
    assert_eq!(client.recv().unwrap(), Message::Close(Some(4200), "\u{e9}".repeat(61)));
    assert_eq!(ending.recv_timeout(LONG).unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn server_receives_the_close_of_a_client() {
    let (client, server) = pair();
    client.close(1000);
    assert_eq!(server.recv().unwrap(), Message::Close(Some(1000), String::new()));
    assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn abort_ends_both_sides_without_a_close_frame() {
    let (client, server) = pair();
    let started = clock::now();
    let ending = receiving(&server);
    server.abort();
    let error = client.recv().unwrap_err();
    let text = "the connection ended without a close frame";
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::Io, text));
    assert_eq!(ending.recv_timeout(LONG).unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn refused_handshake_gets_http_503() {
    let shared = Shared::new(Settings::default());
    shared.act(|state| state.refuse = 1);
    let (accepting, url) = server(shared);
    assert_eq!(dial(&url).map(|_| ()).unwrap_err().http_status(), Some(503));
    assert!(accepting.recv_timeout(LONG).unwrap().unwrap().is_none());
}

#[test]
fn invalid_handshake_gets_http_400() {
    for request in
        ["GET /app/app-key HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "\u{1}\r\n\r\n"]
    {
        let (accepting, url) = server(Shared::new(Settings::default()));
        let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let mut client = TcpStream::connect_timeout(&address.parse().unwrap(), LONG).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
        assert!(accepting.recv_timeout(LONG).unwrap().unwrap().is_none());
    }
}

#[test]
fn exchange_ends_at_its_deadline_and_when_the_server_stops() {
    let (listener, address) = listen();
    let silent = || {
        let client = TcpStream::connect_timeout(&address, LONG).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let interrupt = Interrupt::default();
    let (_client, stream) = silent();
    let mut exchange = Exchange::new(stream, &interrupt).unwrap();
    exchange.deadline = clock::now() + Duration::from_millis(100);
    let error = exchange.receive(|_| Some(())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let (mut client, stream) = silent();
    let stopper = interrupt.clone();
    let receiving = spawn(move || {
        Exchange::new(stream, &interrupt).unwrap().receive(|_| None::<()>).unwrap_err().to_string()
    });
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    stopper.interrupt();
    assert_eq!(receiving.recv_timeout(LONG).unwrap(), "the server is stopping");
}
