//! TLS by the platform.

use std::sync::OnceLock;

use native_tls::{Certificate, HandshakeError, Identity, Protocol};

use super::Stream;
use crate::config::tls::{KeyKind, wrong_identity};
use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::memory::MemoryStream;
use crate::{Error, ErrorKind, Tls, TlsVersion};

pub(super) type TlsStream = native_tls::TlsStream<MemoryStream>;

pub(super) fn memory(stream: &mut TlsStream) -> &mut MemoryStream {
    stream.get_mut()
}

pub(in crate::transport) struct TlsConnector {
    roots: Vec<Certificate>,
    identity: Option<Identity>,
    min_version: TlsVersion,
    accept_invalid_certs: bool,
    accept_invalid_hostnames: bool,
    only_given_roots: bool,
    /// Loading the platform's roots takes long, so it is done once, for the first dial.
    connector: OnceLock<native_tls::TlsConnector>,
}

impl TlsConnector {
    pub(in crate::transport) fn new(tls: &Tls) -> Result<Self, Error> {
        tls.check_name()?;
        let this = Self {
            roots: tls.roots(|der| Ok(Certificate::from_der(der)?))?,
            identity: identity(tls)?,
            min_version: tls.oldest(),
            accept_invalid_certs: tls.accepts_invalid_certs(),
            accept_invalid_hostnames: tls.accepts_invalid_hostnames(),
            only_given_roots: tls.trusts_only_given_roots(),
            connector: OnceLock::new(),
        };
        if this.min_version > TlsVersion::Tls12 && cfg!(target_vendor = "apple") {
            return Err(unsupported(this.min_version));
        }
        if this.only_given_roots && cfg!(target_os = "android") {
            let message = "Tls::only_given_roots: native-tls does not support it on Android";
            return Err(Error::message(ErrorKind::Config, message));
        }
        // Only building a connector shows whether these are supported.
        if this.identity.is_some() || this.min_version > TlsVersion::Tls12 {
            this.prepare()?;
        }
        Ok(this)
    }

    /// Fails if TLS is not available, before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        self.connector().map(|_| ())
    }

    pub(in crate::transport) fn handshake(
        &self,
        peer: &mut HandshakeStream,
        host: &str,
        memory: MemoryStream,
    ) -> Result<Stream, Error> {
        let connector = self.connector()?;
        let mut state = connector.connect(host, memory);
        loop {
            match state {
                Ok(stream) => return Ok(Stream::Tls(Box::new(stream))),
                Err(HandshakeError::WouldBlock(mut unfinished)) => {
                    peer.exchange(unfinished.get_mut())?;
                    state = unfinished.handshake();
                }
                Err(HandshakeError::Failure(error)) => {
                    return Err(peer.refused(ErrorKind::Tls).caused_by(error));
                }
            }
        }
    }

    fn connector(&self) -> Result<&native_tls::TlsConnector, Error> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let mut builder = native_tls::TlsConnector::builder();
        for root in &self.roots {
            builder.add_root_certificate(root.clone());
        }
        if let Some(identity) = &self.identity {
            builder.identity(identity.clone());
        }
        builder
            .min_protocol_version(Some(match self.min_version {
                TlsVersion::Tls12 => Protocol::Tlsv12,
                TlsVersion::Tls13 => Protocol::Tlsv13,
            }))
            .disable_built_in_roots(self.only_given_roots)
            .danger_accept_invalid_certs(self.accept_invalid_certs)
            .danger_accept_invalid_hostnames(self.accept_invalid_hostnames);
        let connector = builder.build().map_err(|error| self.setup_error(error))?;
        Ok(self.connector.get_or_init(|| connector))
    }

    fn setup_error(&self, error: native_tls::Error) -> Error {
        let text = error.to_string();
        let what = if text.contains("mismatch") {
            wrong_identity("key", "it does not belong to the first certificate of the chain")
        } else if text.contains("version") {
            unsupported(self.min_version)
        } else {
            Error::message(ErrorKind::Config, "setting up the platform's TLS failed")
        };
        what.caused_by(error)
    }
}

fn identity(tls: &Tls) -> Result<Option<Identity>, Error> {
    let Some(identity) = tls.identity()? else { return Ok(None) };
    if cfg!(all(target_vendor = "apple", not(target_os = "macos"))) {
        return Err(wrong_identity("key", "native-tls cannot read one on this system"));
    }
    let found = match identity.kind {
        KeyKind::Pkcs8 => None,
        KeyKind::Pkcs1 => Some("PKCS#1"),
        KeyKind::Sec1 => Some("SEC1"),
    };
    if let Some(found) = found {
        let why = format!(
            "it is {found}, but native-tls takes PKCS#8; convert it with \
             `openssl pkcs8 -topk8 -nocrypt`"
        );
        return Err(wrong_identity("key", &why));
    }
    for (index, der) in identity.chain.iter().enumerate() {
        Certificate::from_der(der).map_err(|error| {
            let why = format!("certificate {}: it is not X.509", index + 1);
            wrong_identity("chain", &why).caused_by(error)
        })?;
    }
    identity.to_native().map(Some).map_err(|error| {
        wrong_identity("key", "the platform's TLS cannot read it").caused_by(error)
    })
}

fn unsupported(version: TlsVersion) -> Error {
    let message = format!("Tls::min_version: the platform's TLS does not support {version}");
    Error::message(ErrorKind::Config, message)
}
