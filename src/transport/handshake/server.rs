//! The handshake of a server, for tests.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::Role;

use super::codec;
use crate::Interrupt;
use crate::transport::WebSocket;
use crate::transport::frames::Codec;
use crate::transport::memory::Memory;
use crate::transport::tls::Stream;
use crate::transport::wait::{Dial, Line};
use crate::{Error, ErrorKind};

const MAX_HEAD: usize = 64 * 1024;
const MAX_MESSAGE: usize = 1024 * 1024;

/// Speaks WebSocket, as the server, on a connection that was accepted.
///
/// `inspect` gets the path with its query, and may refuse with an HTTP status.
pub(crate) fn accept(
    stream: TcpStream,
    deadline: Instant,
    interrupt: &Interrupt,
    inspect: impl FnOnce(&str) -> Result<(), u16>,
) -> Result<WebSocket, Error> {
    let mut dial = Dial::new(deadline, interrupt)?;
    dial.begin("WebSocket handshake with a client".to_owned())?;
    let socket = adopt(&dial, stream).map_err(|error| dial.broken("", error))?;
    let mut line = Line::new(dial, socket);
    let codec = answer(&mut line, inspect)?;
    Ok(WebSocket::new(line, codec))
}

/// Makes the connection one that the dial waits for.
pub(in crate::transport) fn adopt(
    dial: &Dial,
    stream: TcpStream,
) -> io::Result<mio::net::TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let mut socket = mio::net::TcpStream::from_std(stream);
    dial.wait.register(&mut socket, mio::Token(0))?;
    Ok(socket)
}

fn answer(line: &mut Line, inspect: impl FnOnce(&str) -> Result<(), u16>) -> Result<Codec, Error> {
    let mut memory = Memory::default();
    let mut head = Vec::new();
    let (length, request) = loop {
        line.exchange(&mut memory)?;
        // What is there is appended, whether or not an end or more is to come.
        let _ = memory.read_to_end(&mut head);
        match Request::try_parse(&head) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if memory.is_ended() => return Err(line.refused(ErrorKind::Handshake)),
            Ok(None) if head.len() < MAX_HEAD => {}
            _ => return Err(refuse(line, memory, 400)),
        }
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let response = match inspect(path) {
        Ok(()) => create_response(&request).map_err(|_| 400),
        Err(status) => Err(status),
    };
    match response {
        Err(status) => Err(refuse(line, memory, status)),
        Ok(response) => {
            write_response(&mut memory, &response)
                .map_err(|error| line.refused(ErrorKind::Handshake).caused_by(error))?;
            let rest = head.get(length..).unwrap_or_default();
            Ok(codec(Stream::Plain(memory), rest, Role::Server, MAX_MESSAGE))
        }
    }
}

fn refuse(line: &Line, mut memory: Memory, status: u16) -> Error {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("Refused");
    let answer =
        format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    // The client may be gone, which is no reason to say more than that it was refused.
    let _ = memory.write_all(answer.as_bytes());
    let _ = line.send(&mut memory);
    let _ = line.socket.shutdown(Shutdown::Write);
    let message = format!("the client's WebSocket handshake was refused with HTTP {status}");
    Error::message(ErrorKind::Handshake, message).with_http_status(status)
}
