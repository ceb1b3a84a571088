//! No TLS in this build.

use crate::config::tls::ENABLE_TLS;
use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::memory::MemoryStream;
use crate::transport::tls::Stream;
use crate::{Error, ErrorKind, Tls};

/// No stream of this kind is made.
pub(super) type TlsStream = MemoryStream;

pub(super) fn memory(stream: &mut TlsStream) -> &mut MemoryStream {
    stream
}

pub(in crate::transport) struct TlsConnector;

impl TlsConnector {
    /// Fails if `tls` cannot be read, so that a program fails as it would with TLS.
    pub(in crate::transport) fn new(tls: &Tls) -> Result<Self, Error> {
        tls.check_name()?;
        tls.roots(|_| Ok(()))?;
        tls.identity()?;
        Ok(Self)
    }

    /// Fails before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        let message = format!("this build has no TLS for `wss://`; {ENABLE_TLS}");
        Err(Error::message(ErrorKind::Config, message))
    }

    pub(in crate::transport) fn handshake(
        &self,
        _: &mut HandshakeStream,
        _: &str,
        memory: MemoryStream,
    ) -> Result<Stream, Error> {
        self.prepare().map(|()| Stream::Plain(memory))
    }
}
