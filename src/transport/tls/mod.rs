//! TLS over memory, by the library that the features choose.

use std::io::{self, Read, Write};

use super::memory::MemoryStream;
use crate::{Error, Tls};

#[cfg(feature = "native-tls")]
mod native;
#[cfg(feature = "native-tls")]
use native as library;

#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
mod rustls;
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
use self::rustls as library;

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
mod none;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
use none as library;

pub(super) use library::TlsConnector;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) use library::roots;

/// Fails if `tls` is invalid or not supported.
pub(crate) fn check(tls: &Tls) -> Result<(), Error> {
    TlsConnector::new(tls).map(drop)
}

/// What WebSocket runs over.
pub(super) enum Stream {
    Plain(MemoryStream),
    #[cfg_attr(
        not(any(feature = "native-tls", feature = "rustls")),
        expect(dead_code, reason = "without a library for it, no stream is encrypted")
    )]
    Tls(Box<library::TlsStream>),
}

impl Stream {
    /// The memory at the bottom.
    pub(super) fn memory(&mut self) -> &mut MemoryStream {
        match self {
            Self::Plain(memory) => memory,
            Self::Tls(stream) => library::memory(stream),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(memory) => memory.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(memory) => memory.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(memory) => memory.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
