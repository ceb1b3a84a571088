//! TLS by rustls, with the platform's trusted roots or the given ones alone.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    ServerName, UnixTime,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, InconsistentKeys,
    RootCertStore, SignatureScheme, StreamOwned,
};
use rustls_platform_verifier::Verifier;

use super::Stream;
use crate::config::tls::{KeyKind, wrong_identity};
use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::memory::{MemoryStream, would_block};
use crate::{Error, ErrorKind, Tls, TlsVersion};

pub(super) type TlsStream = StreamOwned<ClientConnection, MemoryStream>;

pub(super) fn memory(stream: &mut TlsStream) -> &mut MemoryStream {
    &mut stream.sock
}

pub(in crate::transport) struct TlsConnector {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    min_version: TlsVersion,
    accept_invalid_certs: bool,
    accept_invalid_hostnames: bool,
    only_given_roots: bool,
    /// Loading the platform's roots takes long, so it is done once, for the first dial.
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsConnector {
    pub(in crate::transport) fn new(tls: &Tls) -> Result<Self, Error> {
        tls.check_name()?;
        let this = Self {
            roots: tls.roots(read)?,
            identity: identity(tls)?,
            min_version: tls.oldest(),
            accept_invalid_certs: tls.accepts_invalid_certs(),
            accept_invalid_hostnames: tls.accepts_invalid_hostnames(),
            only_given_roots: tls.trusts_only_given_roots(),
            config: OnceLock::new(),
        };
        let names_are_last = this.only_given_roots || NAMES_ARE_LAST;
        if this.accept_invalid_hostnames && !this.accept_invalid_certs && !names_are_last {
            let message =
                "Tls::danger_accept_invalid_hostnames: rustls does not support it on this system";
            return Err(Error::message(ErrorKind::Config, message));
        }
        Ok(this)
    }

    /// Fails if TLS is not available, before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        self.config().map(|_| ())
    }

    pub(in crate::transport) fn handshake(
        &self,
        peer: &mut HandshakeStream,
        host: &str,
        mut memory: MemoryStream,
    ) -> Result<Stream, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            let message =
                format!("the host `{host}` must be a name or an address that TLS can verify");
            Error::message(ErrorKind::Config, message).caused_by(error)
        })?;
        let config = Arc::clone(self.config()?);
        let mut connection = ClientConnection::new(config, name)
            .map_err(|error| peer.refused(ErrorKind::Tls).caused_by(error))?;
        while connection.is_handshaking() {
            match connection.complete_io(&mut memory) {
                Ok(_) => {}
                Err(error) if would_block(&error) => peer.exchange(&mut memory)?,
                Err(error) => {
                    // An alert, which has the reason for the server. It may be gone already.
                    let _ = peer.send(&mut memory);
                    return Err(failed(peer, error));
                }
            }
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, memory))))
    }

    fn config(&self) -> Result<&Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.build().map_err(|error| {
            let hint = "install the system's trusted root certificates, or give one with \
                        Tls::root_certificate_pem";
            Error::message(ErrorKind::Config, "setting up rustls failed")
                .with_hint(hint)
                .caused_by(error)
        })?;
        Ok(self.config.get_or_init(|| Arc::new(config)))
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        // Explicit, since the process may have another default, or none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if self.accept_invalid_certs {
            Arc::new(Lenient { provider: Arc::clone(&provider), verifier: None })
        } else if self.accept_invalid_hostnames {
            let verifier = Some(self.verifier(&provider)?);
            Arc::new(Lenient { provider: Arc::clone(&provider), verifier })
        } else {
            self.verifier(&provider)?
        };
        let versions: &[_] = match self.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(match &self.identity {
            Some(identity) => config.with_client_cert_resolver(Arc::clone(identity) as _),
            None => config.with_no_client_auth(),
        })
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        if !self.only_given_roots {
            return Ok(Arc::new(self.platform_verifier(provider)?));
        }
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots.add(root.clone())?;
        }
        let provider = Arc::clone(provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build();
        Ok(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
    }

    #[cfg(not(target_os = "android"))]
    fn platform_verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
        Verifier::new_with_extra_roots(self.roots.iter().cloned(), Arc::clone(provider))
    }

    #[cfg(target_os = "android")]
    fn platform_verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
        if !self.roots.is_empty() {
            let message = "Android does not support root certificates of the program";
            return Err(rustls::Error::General(message.to_owned()));
        }
        Verifier::new(Arc::clone(provider))
    }
}

fn read(der: &[u8]) -> Result<CertificateDer<'static>, Box<dyn std::error::Error + Send + Sync>> {
    let certificate = CertificateDer::from(der.to_vec());
    RootCertStore::empty().add(certificate.clone())?;
    Ok(certificate)
}

fn identity(tls: &Tls) -> Result<Option<Arc<SingleCertAndKey>>, Error> {
    let Some(identity) = tls.identity()? else { return Ok(None) };
    for (index, der) in identity.chain.iter().enumerate() {
        read(der).map_err(|error| {
            let why = format!("certificate {}: it is not X.509", index + 1);
            wrong_identity("chain", &why).caused_by(error)
        })?;
    }
    let chain = identity.chain.into_iter().map(CertificateDer::from).collect();
    let der = identity.key.as_slice();
    let key = match identity.kind {
        KeyKind::Pkcs1 => PrivateKeyDer::from(PrivatePkcs1KeyDer::from(der)),
        KeyKind::Pkcs8 => PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der)),
        KeyKind::Sec1 => PrivateKeyDer::from(PrivateSec1KeyDer::from(der)),
    };
    let provider = rustls::crypto::ring::default_provider();
    let certified = CertifiedKey::from_der(chain, key.clone_key(), &provider).map_err(|error| {
        let why = match &error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                "it does not belong to the first certificate of the chain"
            }
            _ => "rustls cannot read it",
        };
        wrong_identity("key", why).caused_by(error)
    })?;
    Ok(Some(Arc::new(SingleCertAndKey::from(certified))))
}

fn failed(peer: &HandshakeStream, error: io::Error) -> Error {
    let failed = peer.refused(ErrorKind::Tls);
    match error.downcast::<rustls::Error>() {
        Ok(error) => failed.caused_by(error),
        Err(error) => failed.caused_by(error),
    }
}

/// webpki, which verifies the platform's roots here and given ones everywhere, reports a wrong name only for a
/// certificate that is valid otherwise. The verifiers of other platforms may find several faults and report one.
const NAMES_ARE_LAST: bool =
    cfg!(all(unix, not(target_os = "android"), not(target_vendor = "apple")));

/// Checks everything but the name, or, without a verifier, only that the server has the certificate's key.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(verifier) = &self.verifier else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
