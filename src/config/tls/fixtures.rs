//! Certificates and TLS servers for tests.

#![allow(dead_code, reason = "the integration tests have this file too, and need less of it")]
#![allow(clippy::unwrap_used, reason = "clippy does not see that it is for tests alone")]

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];
pub(crate) const OLD: Versions = &[&TLS12];
pub(crate) const NEW: Versions = &[&TLS13];
pub(crate) const BOTH: Versions = &[&TLS13, &TLS12];

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, signed by an authority, and its key.
pub(crate) struct Signed {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns an authority that this one has signed.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    /// The certificate of any key for an address of this machine.
    pub(crate) fn sign_key(&self, key: &impl PublicKeyData) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.signed_by(key, &self.0).unwrap().der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> &[u8] {
        self.0.der()
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_for(names, 2000, 4000)
    }

    /// A certificate that is valid from one year's start to another's.
    pub(crate) fn sign_for(&self, names: &[&str], from: i32, to: i32) -> Signed {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

impl Signed {
    /// A server that has it.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_of(BOTH, None)
    }

    /// A server that speaks these versions, and lets in whom this authority knows.
    pub(crate) fn server_of(
        &self,
        versions: Versions,
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = config.with_single_cert(vec![self.der.clone()], self.key.clone_key());
        Arc::new(config.unwrap())
    }
}
