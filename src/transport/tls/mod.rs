//! TLS over memory, by the library that the features choose.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::OnceLock;

use super::memory::MemoryStream;
use crate::{Error, Tls};

#[cfg(tls = "native")]
mod native;
#[cfg(tls = "native")]
use native as library;

#[cfg(tls = "rustls")]
mod rustls;
#[cfg(tls = "rustls")]
use self::rustls as library;

#[cfg(not(tls))]
mod none;
#[cfg(not(tls))]
use none as library;

use library::TlsConnector;

/// TLS settings, and the connector that all who share them use: it holds the trusted roots.
#[derive(Default)]
pub(crate) struct SharedTls {
    settings: Tls,
    connector: OnceLock<TlsConnector>,
}

impl SharedTls {
    pub(crate) fn new(settings: Tls) -> Self {
        Self { settings, connector: OnceLock::new() }
    }

    pub(crate) fn settings(&self) -> &Tls {
        &self.settings
    }

    /// Fails if the settings are invalid or not supported.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.connector().map(drop)
    }

    /// Adds what was wrong to the error of a failed handshake. `name` is the name that the certificate must have.
    pub(crate) fn explain(&self, error: Error, name: &str) -> Error {
        self.settings.handshake_settings().explain(error, name)
    }

    pub(super) fn connector(&self) -> Result<&TlsConnector, Error> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let connector = TlsConnector::new(&self.settings)?;
        Ok(self.connector.get_or_init(|| connector))
    }
}

impl fmt::Debug for SharedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// What WebSocket runs over.
pub(super) enum Stream {
    Plain(MemoryStream),
    #[cfg_attr(
        not(tls),
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
