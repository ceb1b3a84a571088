//! A blocking connection for a library that reads and writes by itself, such as the HTTP client.
//!
//! Every call has a deadline and can be interrupted. It knows nothing of what is sent.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::mem;
use std::time::Instant;

use mio::net::TcpStream;

use super::dial::DialContext;
use super::dns::Resolver;
use super::handshake_stream::HandshakeStream;
use super::memory::{ReadBuffer, is_interrupted, would_block};
use super::route::Route;
use crate::{Error, ErrorKind, Interrupt};

/// An open connection. Dropping it closes it.
pub(crate) struct Pipe {
    dial: DialContext,
    socket: TcpStream,
    /// What was received behind a proxy's response.
    early: ReadBuffer,
}

impl Pipe {
    /// Connects, until `deadline` or an interrupt.
    ///
    /// A lookup that is given up may go on in the background until the system responds.
    pub(crate) fn open(
        route: &Route<'_>,
        resolver: &Resolver,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let dial = DialContext::new(deadline, interrupt)?;
        let (HandshakeStream { mut dial, socket, .. }, mut memory) = route.open(dial, resolver)?;
        let early = mem::take(memory.inbox());
        dial.begin("waiting for the peer".to_owned())?;
        Ok(Self { dial, socket, early })
    }

    /// Reads what was received, or waits for something until `deadline`. Returns 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if !self.early.rest().is_empty() {
            return self.early.read(buffer);
        }
        // A peer that sends without a pause must not prolong it.
        self.check(deadline)?;
        loop {
            match (&self.socket).read(buffer) {
                Err(error) if would_block(&error) => self.wait()?,
                Err(error) if is_interrupted(&error) => {}
                result => return result,
            }
        }
    }

    /// Writes all of `bytes` until `deadline`.
    pub(crate) fn write_all(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.check(deadline)?;
            match (&self.socket).write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if would_block(&error) => self.wait()?,
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns `true` if the peer has neither closed nor sent anything that was not read.
    pub(crate) fn is_open(&self) -> bool {
        self.early.rest().is_empty()
            && matches!((&self.socket).read(&mut [0]), Err(error) if would_block(&error))
    }

    fn check(&mut self, deadline: Instant) -> io::Result<()> {
        self.dial.set_deadline(deadline);
        self.dial.check().map_err(ended)
    }

    /// Waits until the deadline that was checked last.
    fn wait(&mut self) -> io::Result<()> {
        self.dial.wait(None).map_err(ended)
    }
}

/// Returns the error for the library.
fn ended(error: Error) -> io::Error {
    match error.kind() {
        ErrorKind::Timeout => io::ErrorKind::TimedOut.into(),
        _ => io::Error::other(error),
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("socket", &self.socket).finish_non_exhaustive()
    }
}
