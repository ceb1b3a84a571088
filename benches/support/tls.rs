//! TLS of both ends: the blaster's, and that of a bare loop, which uses the same library as the client does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Whether the benches over TLS can run.
pub(crate) const AVAILABLE: bool = cfg!(tls = "native");

pub(crate) type Accepted = StreamOwned<ServerConnection, TcpStream>;

/// A certificate that nobody has to trust.
pub(crate) fn server() -> Arc<ServerConfig> {
    let names = vec!["127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions of TLS");
    let config = config.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key);
    Arc::new(config.expect("the certificate suits the key"))
}

/// Whether the peer begins with TLS, not with HTTP.
pub(crate) fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first), Ok(1)) && first == [22]
}

pub(crate) fn accept(stream: TcpStream, config: Arc<ServerConfig>) -> Accepted {
    let _ = stream.set_nodelay(true);
    StreamOwned::new(ServerConnection::new(config).expect("a valid configuration"), stream)
}

/// Bytes both ways.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

#[cfg(tls = "native")]
pub(crate) fn connect(stream: TcpStream) -> Box<dyn Stream> {
    let connector = native_tls::TlsConnector::builder()
        .danger_accept_invalid_certs(true)
        .danger_accept_invalid_hostnames(true)
        .build()
        .expect("TLS");
    Box::new(connector.connect("127.0.0.1", stream).expect("a TLS handshake"))
}

#[cfg(not(tls = "native"))]
pub(crate) fn connect(_: TcpStream) -> Box<dyn Stream> {
    unreachable!("see AVAILABLE")
}
