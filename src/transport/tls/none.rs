//! No TLS in this build.

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
    pub(in crate::transport) fn new(_: &Tls) -> Result<Self, Error> {
        Ok(Self)
    }

    /// Fails before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        Err(Error::message(
            ErrorKind::Config,
            "this build has no TLS for `wss://`; enable the feature `native-tls` or `rustls` of pusher-channels",
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
