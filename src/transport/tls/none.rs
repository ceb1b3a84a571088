//! No TLS in this build.

use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::memory::MemoryStream;
use crate::transport::tls::Stream;
use crate::{Error, ErrorKind, Tls};

/// There is no such stream, so that its bytes are never reached.
pub(in crate::transport) enum TlsStream {}

impl std::io::Read for TlsStream {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        match *self {}
    }
}

impl std::io::Write for TlsStream {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        match *self {}
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match *self {}
    }
}

#[expect(clippy::needless_pass_by_ref_mut, reason = "the other libraries need it mutable")]
pub(super) fn memory(stream: &mut TlsStream) -> &mut MemoryStream {
    match *stream {}
}

pub(in crate::transport) struct TlsConnector;

impl TlsConnector {
    pub(in crate::transport) fn new(_: &Tls) -> Result<Self, Error> {
        Ok(Self)
    }

    /// Told before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        Err(Error::message(
            ErrorKind::Config,
            "this build has no TLS for wss://: turn on the feature `native-tls` or `rustls` of pusher-channels",
        ))
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

/// There is nothing to check.
pub(crate) fn check(_: &Tls) -> Result<(), Error> {
    Ok(())
}
