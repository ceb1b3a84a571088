//! Requests and responses, one after the other, on a connection that was accepted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::http::{self, Progress, Request};
use super::link::Link;
use super::tls::{Acceptor, Stream};
use crate::Interrupt;
use crate::util::clock;

/// How long a TLS handshake, a request or a response may take, each.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be idle between a response and the next request.
const MAX_IDLE: Duration = Duration::from_secs(30);

const CHUNK: usize = 16 * 1024;

pub(super) struct Exchange {
    stream: Stream,
    /// What was received and belongs to no request yet.
    received: Vec<u8>,
}

impl Exchange {
    /// Does the TLS handshake, if there is one.
    pub(super) fn accept(
        socket: TcpStream,
        tls: Option<&Acceptor>,
        interrupt: &Interrupt,
    ) -> io::Result<Self> {
        let link = Link::new(socket, clock::now() + TIMEOUT, interrupt)?;
        let mut stream = Stream::accept(link, tls)?;
        stream.link().set_deadline(clock::now() + TIMEOUT);
        Ok(Self { stream, received: Vec::new() })
    }

    /// Reads a request, or the status that refuses it. Returns `None` if the client has closed or was idle too long.
    pub(super) fn receive(&mut self) -> io::Result<Option<Result<Request, u16>>> {
        let mut continued = false;
        loop {
            match http::parse(&self.received) {
                Progress::Done(request, length) => {
                    self.received.drain(..length.min(self.received.len()));
                    return Ok(Some(Ok(request)));
                }
                Progress::Refused(status) => return Ok(Some(Err(status))),
                Progress::Body { expects_continue: true } if !continued => {
                    continued = true;
                    self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                Progress::Head | Progress::Body { .. } => {}
            }
            let is_first = self.received.is_empty();
            match self.read() {
                Ok(0) if is_first => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) if is_first => self.limit(TIMEOUT),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Ok(if is_first { None } else { Some(Err(408)) });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; CHUNK];
        let read = self.stream.read(&mut chunk)?;
        self.received.extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(read)
    }

    fn limit(&mut self, timeout: Duration) {
        self.stream.link().set_deadline(clock::now() + timeout);
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a response, after which another request may come.
    pub(super) fn respond(&mut self, response: &[u8]) -> io::Result<()> {
        self.limit(TIMEOUT);
        self.write(response)?;
        self.limit(MAX_IDLE);
        Ok(())
    }

    /// Sends the last response and waits for the client to close: a connection that is closed with bytes unread may
    /// lose the response.
    pub(super) fn finish(mut self, response: &[u8]) -> io::Result<()> {
        self.limit(TIMEOUT);
        self.write(response)?;
        self.stream.end();
        self.stream.link().shutdown(Shutdown::Write);
        let mut rest = [0; CHUNK];
        while self.stream.link().read(&mut rest)? > 0 {}
        Ok(())
    }

    /// The connection, and what was received behind the last request.
    pub(super) fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.received)
    }
}
