//! TLS by the platform.

use std::io::{self, ErrorKind};

use native_tls::{HandshakeError, TlsAcceptor, TlsConnector};

use crate::config::tls::{Identity, KeyKind};
use crate::testing::link::Link;

pub(super) type TlsStream = native_tls::TlsStream<Link>;

pub(in crate::testing) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Fails if the chain or the key cannot be used.
    pub(in crate::testing) fn new(chain: &[u8], key: &[u8]) -> io::Result<Self> {
        let identity = Identity::read(chain, key)
            .map_err(|(part, why)| io::Error::other(format!("the {part}: {why}")))?;
        if identity.kind != KeyKind::Pkcs8 {
            return Err(io::Error::other(
                "native-tls takes a key in PKCS#8; convert it with `openssl pkcs8 -topk8 -nocrypt`",
            ));
        }
        let identity = identity.to_native().map_err(io::Error::other)?;
        // Only a connector shows whether the key belongs to the certificate.
        let connector = TlsConnector::builder().identity(identity.clone()).build();
        let acceptor = connector.and_then(|_| TlsAcceptor::new(identity));
        Ok(Self(acceptor.map_err(io::Error::other)?))
    }

    pub(super) fn accept(&self, link: Link) -> io::Result<TlsStream> {
        // The link waits, so that the handshake is never left unfinished.
        self.0.accept(link).map_err(|error| match error {
            HandshakeError::Failure(error) => io::Error::other(error),
            HandshakeError::WouldBlock(_) => ErrorKind::WouldBlock.into(),
        })
    }
}

pub(super) fn link(stream: &mut TlsStream) -> &mut Link {
    stream.get_mut()
}

pub(super) fn end(stream: &mut TlsStream) {
    // The client may be gone.
    let _ = stream.shutdown();
}
