//! The server's side of TLS, by the library that the client uses.

#[cfg(tls = "native")]
mod native;
#[cfg(not(tls))]
mod none;
#[cfg(tls = "rustls")]
mod rustls;

use std::io::{self, Read, Write};

use super::link::Link;

#[cfg(tls = "native")]
use native as library;
#[cfg(not(tls))]
use none as library;
#[cfg(tls = "rustls")]
use rustls as library;

pub(super) use library::Acceptor;

/// A connection with or without TLS.
pub(super) enum Stream {
    Plain(Link),
    Tls(Box<library::TlsStream>),
}

impl Stream {
    /// Does the handshake, in the link's time.
    pub(super) fn accept(link: Link, tls: Option<&Acceptor>) -> io::Result<Self> {
        match tls {
            None => Ok(Self::Plain(link)),
            Some(acceptor) => Ok(Self::Tls(Box::new(acceptor.accept(link)?))),
        }
    }

    pub(super) fn link(&mut self) -> &mut Link {
        match self {
            Self::Plain(link) => link,
            Self::Tls(stream) => library::link(stream),
        }
    }

    /// Tells the client's TLS that nothing more comes, if it listens.
    pub(super) fn end(&mut self) {
        if let Self::Tls(stream) = self {
            library::end(stream);
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(link) => link.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(link) => link.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(link) => link.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
