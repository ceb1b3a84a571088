//! One request and its response, on a connection that was accepted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::Interrupt;
use crate::util::clock;

/// How long a request may take to arrive, and again its response to be taken.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a wait looks whether the server stops: a blocked read cannot be woken on every platform.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Exchange<'a> {
    stream: TcpStream,
    pub(super) deadline: Instant,
    interrupt: &'a Interrupt,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: TcpStream, interrupt: &'a Interrupt) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PAUSE))?;
        stream.set_write_timeout(Some(PAUSE))?;
        Ok(Self { stream, deadline: clock::now() + TIMEOUT, interrupt })
    }

    /// Reads until `parse` makes something of all bytes so far.
    pub(super) fn receive<T>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Option<T>,
    ) -> io::Result<T> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.wait(|stream| stream.read(&mut chunk))? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            }
            if let Some(request) = parse(&bytes) {
                return Ok(request);
            }
        }
    }

    pub(super) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.deadline = clock::now() + TIMEOUT;
        while !bytes.is_empty() {
            let written = self.wait(|stream| stream.write(bytes))?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends the response and waits for the client to close: a connection that is closed with bytes
    /// unread may lose the response.
    pub(super) fn reply(mut self, response: &[u8]) -> io::Result<()> {
        self.send(response)?;
        // The client may be gone, which is what is waited for.
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut rest = [0; 1024];
        while self.wait(|stream| stream.read(&mut rest))? > 0 {}
        Ok(())
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Repeats a step that times out every [`PAUSE`].
    fn wait(
        &mut self,
        mut step: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if self.interrupt.is_interrupted() {
                return Err(io::Error::other("the server is stopping"));
            }
            if clock::now() >= self.deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            match step(&mut self.stream) {
                Err(error) if is_temporary(error.kind()) => {}
                result => return result,
            }
        }
    }
}

/// A time-out has one of two kinds, depending on the platform.
fn is_temporary(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
