//! The transport against scripted peers on loopback.

#[cfg(tls)]
mod chains;
mod connection;
mod dial;
mod pipe;
mod pressure;
mod proxy;
mod settings;
#[cfg(tls)]
mod tls;
#[cfg(tls)]
mod trust;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

#[cfg(tls)]
use super::SharedTls;
use super::{WebSocket, WebSocketConnector};
use crate::Interrupt;
#[cfg(tls)]
use crate::Tls;
use crate::util::clock;
use crate::util::testing::listen;
pub(super) use crate::util::testing::{AT_ONCE, LONG, spawn};
use crate::{Connection, Error, Message};

const LIMIT: usize = 1024 * 1024;

pub(super) type Server = tungstenite::WebSocket<TcpStream>;

fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(work).recv_timeout(limit).expect("it should have been done by now")
}

/// The end of a connection that came without a close frame.
fn is_cut(error: &Error) {
    let text = "the connection ended without a close frame";
    assert_eq!((error.kind(), &*error.to_string()), (crate::ErrorKind::Io, text));
}

fn soon() -> Instant {
    clock::now() + LONG
}

/// A peer that takes one TCP connection.
fn raw_peer<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<T>) {
    let (listener, address) = listen();
    let result = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        script(stream)
    });
    (address, result)
}

/// A peer that takes one WebSocket.
pub(super) fn peer<T: Send + 'static>(
    script: impl FnOnce(Server) -> T + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<T>) {
    raw_peer(|stream| script(tungstenite::accept(stream).unwrap()))
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A frame of a server, by hand.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(u8::try_from(length).unwrap()),
        length => {
            frame.push(127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

#[cfg(tls)]
fn shared(tls: &Tls) -> Arc<SharedTls> {
    Arc::new(SharedTls::new(tls.clone()))
}

fn connector() -> WebSocketConnector {
    WebSocketConnector::new(Arc::default(), LIMIT).unwrap()
}

/// Every name has these addresses.
fn resolving_to(addresses: Vec<SocketAddr>) -> WebSocketConnector {
    connector().with_lookup(Arc::new(move |_, _| Ok(addresses.clone())))
}

fn dial(connector: &WebSocketConnector, url: &str) -> Result<WebSocket, Error> {
    connector.dial(url, soon(), &Interrupt::default())
}

pub(super) fn open(address: SocketAddr) -> Arc<WebSocket> {
    Arc::new(dial(&connector(), &format!("ws://{address}/app/key?protocol=7")).unwrap())
}

/// One `recv` that cannot block the test for ever.
pub(super) fn recv(socket: &Arc<WebSocket>) -> Result<Message, Error> {
    let socket = Arc::clone(socket);
    within(LONG, move || socket.recv())
}

/// Receives on a thread until the end.
fn drain(socket: &Arc<WebSocket>) -> mpsc::Receiver<Result<Message, Error>> {
    let socket = Arc::clone(socket);
    let (to, messages) = mpsc::channel();
    spawn(move || {
        loop {
            let result = socket.recv();
            let over = !matches!(&result, Ok(Message::Text(_)));
            if to.send(result).is_err() || over {
                return;
            }
        }
    });
    messages
}

pub(super) fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn respond(stream: &mut TcpStream, head: &str) {
    read_head(stream);
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
}
