//! TLS by rustls.

use std::io::{self, Write};
use std::sync::Arc;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::config::tls::{Identity, KeyKind};
use crate::testing::link::Link;

pub(super) type TlsStream = StreamOwned<ServerConnection, Link>;

pub(in crate::testing) struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// Fails if the chain or the key cannot be used.
    pub(in crate::testing) fn new(chain: &[u8], key: &[u8]) -> io::Result<Self> {
        let identity = Identity::read(chain, key)
            .map_err(|(part, why)| io::Error::other(format!("the {part}: {why}")))?;
        let chain = identity.chain.iter().cloned().map(CertificateDer::from).collect();
        let der = identity.key.as_slice();
        let key = match identity.kind {
            KeyKind::Pkcs1 => PrivateKeyDer::from(PrivatePkcs1KeyDer::from(der)),
            KeyKind::Pkcs8 => PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der)),
            KeyKind::Sec1 => PrivateKeyDer::from(PrivateSec1KeyDer::from(der)),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(chain, key.clone_key())
            });
        Ok(Self(Arc::new(config.map_err(io::Error::other)?)))
    }

    pub(super) fn accept(&self, mut link: Link) -> io::Result<TlsStream> {
        let mut connection =
            ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut link)?;
        }
        Ok(StreamOwned::new(connection, link))
    }
}

pub(super) fn link(stream: &mut TlsStream) -> &mut Link {
    &mut stream.sock
}

pub(super) fn end(stream: &mut TlsStream) {
    stream.conn.send_close_notify();
    // The client may be gone.
    let _ = stream.flush();
}
