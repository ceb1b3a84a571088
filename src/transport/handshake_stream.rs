//! The connected socket of a dial, for the handshakes of proxies, TLS and WebSocket.

use std::time::Instant;

use mio::net::TcpStream;

use super::dial::DialContext;
use super::memory::{MemoryStream, is_interrupted, would_block};
use crate::util::clock;
use crate::{Error, ErrorKind};

/// A connected socket during the handshakes, which themselves run over a [`MemoryStream`].
pub(super) struct HandshakeStream {
    pub(super) dial: DialContext,
    pub(super) socket: TcpStream,
    eof: bool,
    has_received: bool,
}

impl HandshakeStream {
    pub(super) fn new(dial: DialContext, socket: TcpStream) -> Self {
        Self { dial, socket, eof: false, has_received: false }
    }

    /// Sends what is in `memory`, then waits until something is received or the peer closes.
    pub(super) fn exchange(&mut self, memory: &mut MemoryStream) -> Result<(), Error> {
        self.exchange_until(memory, None)
    }

    /// Like [`exchange`](Self::exchange), but also returns when `until` has passed.
    pub(super) fn exchange_until(
        &mut self,
        memory: &mut MemoryStream,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        self.dial.check()?;
        loop {
            self.send(memory)?;
            match memory.inbox().fill(&mut &self.socket) {
                Ok(0) => {
                    self.eof = true;
                    memory.end();
                    return Ok(());
                }
                Ok(_) => {
                    self.has_received = true;
                    return Ok(());
                }
                Err(error) if would_block(&error) => {
                    if until.is_some_and(|until| clock::now() >= until) {
                        return Ok(());
                    }
                    self.dial.wait(until)?;
                }
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(self.dial.broken("", error)),
            }
        }
    }

    /// Sends as much as the system takes without waiting.
    pub(super) fn send(&self, memory: &mut MemoryStream) -> Result<(), Error> {
        memory.write_to(&self.socket).map_err(|error| self.dial.broken("", error))
    }

    /// Returns the error of a handshake that failed in a library. If the peer has closed, the error says so.
    pub(super) fn refused(&self, kind: ErrorKind) -> Error {
        if self.eof {
            let closed = self.dial.failed_because(ErrorKind::Io, "the peer closed the connection");
            // The library only says that its handshake is incomplete.
            return closed.explained();
        }
        self.dial.failed(kind)
    }

    /// Begins anew to watch whether the peer [`is_silent`](Self::is_silent).
    pub(super) fn listen(&mut self) {
        self.has_received = false;
    }

    /// Returns `true` if nothing was received since [`listen`](Self::listen).
    pub(super) fn is_silent(&self) -> bool {
        !self.has_received
    }
}
