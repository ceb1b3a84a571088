//! A blocking connection, with or without TLS, for a library that reads and writes by itself, such as the HTTP client.
//!
//! Every call has a deadline and can be interrupted. It knows nothing of what is sent.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;

use super::dial::DialContext;
use super::dns::Resolver;
use super::handshake_stream::HandshakeStream;
use super::memory::{is_interrupted, would_block};
use super::route::Route;
use super::tls::{SharedTls, Stream};
use crate::config::tls::is_fault;
use crate::util::url::authority;
use crate::{Error, ErrorKind, Interrupt};

/// An open connection. Dropping it closes it.
pub(crate) struct Pipe {
    dial: DialContext,
    socket: TcpStream,
    stream: Stream,
    /// Why nothing can be sent any more. What the peer had sent before is still read, since it may say more.
    broken: Option<io::Error>,
}

/// TLS for a [`Pipe`], and the name that the peer's certificate must have.
pub(crate) struct Secure<'a> {
    pub(crate) tls: &'a SharedTls,
    pub(crate) name: &'a str,
}

impl Pipe {
    /// Connects, until `deadline` or an interrupt.
    ///
    /// A lookup that is given up may go on in the background until the system responds.
    pub(crate) fn open(
        route: &Route<'_>,
        secure: Option<&Secure<'_>>,
        resolver: &Resolver,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let secure = match secure {
            Some(Secure { tls, name }) => Some((tls.connector()?, name)),
            None => None,
        };
        if let Some((connector, _)) = secure {
            connector.prepare()?;
        }
        let dial = DialContext::new(deadline, interrupt)?;
        let (mut peer, memory) = route.open(dial, resolver)?;
        let stream = match secure {
            Some((connector, name)) => {
                peer.dial.begin(tls_step(route))?;
                connector.handshake(&mut peer, name, memory)?
            }
            None => Stream::Plain(memory),
        };
        let HandshakeStream { mut dial, socket, .. } = peer;
        dial.begin("waiting for the peer".to_owned())?;
        Ok(Self { dial, socket, stream, broken: None })
    }

    /// Reads what was received, or waits for something until `deadline`. Returns 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        self.dial.set_deadline(deadline);
        loop {
            // A peer that sends without a pause must not prolong it.
            self.dial.check().map_err(ended)?;
            match self.stream.read(buffer) {
                Err(error) if would_block(&error) => self.receive()?,
                Err(error) if is_interrupted(&error) => {}
                Err(error) if self.is_secure() && is_fault(&error) => return Err(refused(error)),
                result => return result,
            }
        }
    }

    /// Writes all of `bytes` until `deadline`. If they cannot be sent, the next reads return what the peer had sent
    /// before, and then the error.
    pub(crate) fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.dial.set_deadline(deadline);
        self.dial.check().map_err(ended)?;
        self.stream.write_all(bytes).and_then(|()| self.stream.flush())?;
        loop {
            self.send();
            if self.stream.memory().unsent() == 0 {
                return Ok(());
            }
            self.dial.wait(None).map_err(ended)?;
        }
    }

    /// Returns `true` if the peer has neither closed nor sent anything that was not read.
    pub(crate) fn is_open(&mut self) -> bool {
        match self.stream.memory().inbox().fill(&mut &self.socket) {
            Ok(0) => return false,
            Err(error) if !would_block(&error) => return false,
            // TLS sends more than data, such as session tickets.
            _ => {}
        }
        matches!(self.stream.read(&mut [0]), Err(error) if would_block(&error))
    }

    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Waits until something is received or the peer closes.
    fn receive(&mut self) -> io::Result<()> {
        loop {
            // What TLS has to say, such as the reply to a change of keys.
            self.send();
            let memory = self.stream.memory();
            let read = memory.inbox().fill(&mut &self.socket);
            match (read, self.broken.take()) {
                (Ok(1..), broken) => {
                    self.broken = broken;
                    return Ok(());
                }
                (Err(error), broken) if is_interrupted(&error) => self.broken = broken,
                (_, Some(broken)) => return Err(broken),
                (Ok(0), None) => {
                    memory.end();
                    return Ok(());
                }
                (Err(error), None) if would_block(&error) => self.dial.wait(None).map_err(ended)?,
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// Sends as much as the system takes without waiting.
    fn send(&mut self) {
        let memory = self.stream.memory();
        if self.broken.is_none() {
            self.broken = memory.write_to(&self.socket).err();
        }
        if self.broken.is_some() {
            memory.discard();
        }
    }
}

fn tls_step(route: &Route<'_>) -> String {
    match route.proxy {
        Some(proxy) => {
            format!("the TLS handshake through the proxy {}", authority(&proxy.host, proxy.port))
        }
        None => "the TLS handshake".to_owned(),
    }
}

/// Returns the library's error for a refusal of TLS that comes after the handshake.
fn refused(error: io::Error) -> io::Error {
    let failed = Error::message(ErrorKind::Tls, ErrorKind::Tls.to_string());
    io::Error::other(failed.caused_by(error))
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
