//! TLS by the platform.

use std::sync::OnceLock;

use native_tls::{Certificate, HandshakeError};

use super::{Stream, wrong_certificate};
use crate::tls::Root;
use crate::transport::memory::Memory;
use crate::transport::wait::Line;
use crate::{Error, ErrorKind, Tls};

pub(in crate::transport) type TlsStream = native_tls::TlsStream<Memory>;

pub(super) fn memory(stream: &mut TlsStream) -> &mut Memory {
    stream.get_mut()
}

pub(in crate::transport) struct TlsConnector {
    roots: Vec<Certificate>,
    accept_invalid_certs: bool,
    /// Reading the platform's roots takes long, so once, and only if there is something to check.
    connector: OnceLock<native_tls::TlsConnector>,
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
            connector: OnceLock::new(),
        })
    }

    /// Fails if no TLS can be had, before anything is dialed.
    pub(in crate::transport) fn prepare(&self) -> Result<(), Error> {
        self.connector().map(|_| ())
    }

    pub(in crate::transport) fn handshake(
        &self,
        line: &mut Line,
        host: &str,
        memory: Memory,
    ) -> Result<Stream, Error> {
        let connector = self.connector()?;
        let mut state = connector.connect(host, memory);
        loop {
            match state {
                Ok(stream) => return Ok(Stream::Tls(Box::new(stream))),
                Err(HandshakeError::WouldBlock(mut unfinished)) => {
                    line.exchange(unfinished.get_mut())?;
                    state = unfinished.handshake();
                }
                Err(HandshakeError::Failure(error)) => {
                    return Err(line.refused(ErrorKind::Tls).caused_by(error));
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
        builder
            .danger_accept_invalid_certs(self.accept_invalid_certs)
            .danger_accept_invalid_hostnames(self.accept_invalid_certs);
        let connector = builder.build().map_err(|error| {
            Error::message(ErrorKind::Config, "the platform's TLS could not be set up")
                .caused_by(error)
        })?;
        Ok(self.connector.get_or_init(|| connector))
    }
}

/// The certificates of `tls`, in DER, after the same checks.
pub(crate) fn roots(tls: &Tls) -> Result<Vec<Vec<u8>>, Error> {
    let mut roots = Vec::new();
    for root in tls.roots() {
        for certificate in read(root)? {
            roots.push(certificate.to_der().map_err(|error| wrong_certificate().caused_by(error))?);
        }
    }
    Ok(roots)
}

fn read(root: &Root) -> Result<Vec<Certificate>, Error> {
    let certificates = match root {
        Root::Pem(pem) => Certificate::stack_from_pem(pem),
        Root::Der(der) => Certificate::from_der(der).map(|certificate| vec![certificate]),
    };
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong_certificate()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong_certificate().caused_by(error)),
    }
}
