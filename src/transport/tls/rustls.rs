//! TLS by rustls, with the platform's trusted roots.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use rustls_platform_verifier::Verifier;

use super::{Stream, wrong_certificate};
use crate::tls::Root;
use crate::transport::memory::{Memory, would_block};
use crate::transport::wait::Line;
use crate::{Error, ErrorKind, Tls};

pub(in crate::transport) type TlsStream = StreamOwned<ClientConnection, Memory>;

pub(super) fn memory(stream: &mut TlsStream) -> &mut Memory {
    &mut stream.sock
}

pub(in crate::transport) struct TlsConnector {
    roots: Vec<CertificateDer<'static>>,
    accept_invalid_certs: bool,
    /// Reading the platform's roots takes long, so once, and only if there is something to check.
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsConnector {
    pub(in crate::transport) fn new(tls: &Tls) -> Result<Self, Error> {
        let mut roots = Vec::new();
        for root in tls.roots() {
            roots.extend(read(root)?);
        }
        Ok(Self {
            roots,
            accept_invalid_certs: tls.accepts_invalid_certs(),
            config: OnceLock::new(),
        })
    }

    /// Fails if no TLS can be had, before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        self.config().map(|_| ())
    }

    pub(in crate::transport) fn handshake(
        &self,
        line: &mut Line,
        host: &str,
        mut memory: Memory,
    ) -> Result<Stream, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            let message = format!("{host} is not a host name that TLS can check");
            Error::message(ErrorKind::Config, message).caused_by(error)
        })?;
        let config = Arc::clone(self.config()?);
        let mut connection = ClientConnection::new(config, name)
            .map_err(|error| line.refused(ErrorKind::Tls).caused_by(error))?;
        while connection.is_handshaking() {
            match connection.complete_io(&mut memory) {
                Ok(_) => {}
                Err(error) if would_block(&error) => line.exchange(&mut memory)?,
                Err(error) => {
                    // The alert tells the server why; it may be gone already.
                    let _ = line.send(&mut memory);
                    return Err(failed(line, error));
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
            let message = "rustls could not be set up: has the system its trusted root certificates \
                           installed? One can be given with Tls::root_certificate_pem";
            Error::message(ErrorKind::Config, message).caused_by(error)
        })?;
        Ok(self.config.get_or_init(|| Arc::new(config)))
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        // Passed on explicitly: the default of the process may be another, or none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if self.accept_invalid_certs {
            Arc::new(AcceptAny(Arc::clone(&provider)))
        } else {
            Arc::new(self.verifier(&provider)?)
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(config)
    }

    #[cfg(not(target_os = "android"))]
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
        Verifier::new_with_extra_roots(self.roots.iter().cloned(), Arc::clone(provider))
    }

    #[cfg(target_os = "android")]
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, rustls::Error> {
        if !self.roots.is_empty() {
            let message = "Android takes no root certificates of the program's own";
            return Err(rustls::Error::General(message.to_owned()));
        }
        Verifier::new(Arc::clone(provider))
    }
}

/// The certificates of `tls`, in DER, after the same checks.
pub(crate) fn roots(tls: &Tls) -> Result<Vec<Vec<u8>>, Error> {
    let mut roots = Vec::new();
    for root in tls.roots() {
        roots.extend(read(root)?.iter().map(|certificate| certificate.to_vec()));
    }
    Ok(roots)
}

fn read(root: &Root) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = match root {
        Root::Pem(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong_certificate().caused_by(error))?,
        Root::Der(der) => vec![CertificateDer::from(der.clone())],
    };
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| wrong_certificate().caused_by(error))?;
    }
    if certificates.is_empty() { Err(wrong_certificate()) } else { Ok(certificates) }
}

fn failed(line: &Line, error: io::Error) -> Error {
    let failed = line.refused(ErrorKind::Tls);
    match error.downcast::<rustls::Error>() {
        Ok(error) => failed.caused_by(error),
        Err(error) => failed.caused_by(error),
    }
}

/// Checks that the server has the certificate's key, but not whether to trust the certificate.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
