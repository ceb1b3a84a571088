//! Invalid certificates that are common in practice: the error must say what is wrong.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};

use super::trust::{UNKNOWN, accepted, in_tls, refused, trusting};
use super::*;
use crate::config::tls::fixtures::{Authority, NEW, OLD};

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
}

#[test]
fn missing_intermediate_is_named_beside_an_unknown_root() {
    let root = Authority::new("root");
    let intermediate = root.intermediate("intermediate");
    let certificate = intermediate.sign(&["127.0.0.1"]);
    assert_eq!(refused(&trusting(&root), &certificate.server()), in_tls(UNKNOWN));
    let chain = vec![certificate.der.clone(), CertificateDer::from(intermediate.der().to_vec())];
    let whole = builder(NEW).with_single_cert(chain, certificate.key.clone_key()).unwrap();
    accepted(&trusting(&root), &Arc::new(whole));
}

#[test]
fn authority_certificate_as_the_servers_own_is_named_by_rustls() {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = builder(NEW).with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let server = Arc::new(server);
    let trusting = Tls::default().root_certificate_der(certificate.der());
    if cfg!(tls = "native") {
        accepted(&trusting, &server);
        let words = "the server's certificate is not signed by a trusted authority: add its root with \
                     Tls::root_certificate_pem";
        assert_eq!(refused(&Tls::default(), &server), in_tls(words), "the chain is whole");
    } else {
        for tls in [Tls::default(), trusting] {
            let error = refused(&tls, &server);
            assert!(
                error.starts_with(&in_tls("the server's certificate is that of an authority")),
                "{error}"
            );
            assert!(error.contains("`basicConstraints=CA:FALSE`"), "{error}");
        }
    }
}

/// A server with a certificate that it signed itself, in DER.
fn own(params: CertificateParams, change: impl Fn(&mut Vec<u8>)) -> (Arc<ServerConfig>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut der = params.self_signed(&key).unwrap().der().to_vec();
    change(&mut der);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![CertificateDer::from(der.clone())], key);
    (Arc::new(builder(NEW).with_cert_resolver(Arc::new(Only(Arc::new(certified))))), der)
}

#[test]
fn certificate_for_another_purpose_is_named() {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (server, der) = own(params, |_| {});
    let words = "the server's certificate is not that of a server: make one with `serverAuth` in its \
                 `extendedKeyUsage`";
    assert_eq!(refused(&Tls::default().root_certificate_der(&der), &server), in_tls(words));
}

#[test]
fn certificate_with_only_a_common_name_is_named_by_rustls() {
    let authority = Authority::new("authority");
    let error = refused(&trusting(&authority), &authority.sign(&[]).server());
    let words = "the server's certificate is not for 127.0.0.1";
    let why = ", since it has no name: make one with a `subjectAltName`; a common name (CN) does not count";
    let why = if cfg!(tls = "native") { "" } else { why };
    assert_eq!(error, in_tls(&format!("{words}{why}")));
}

#[cfg(not(tls = "native"))]
#[test]
fn certificate_of_an_old_version_is_named() {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let (server, _) = own(params, |der| {
        // Version (RFC 5280, section 4.1): 2 is version 3.
        let version = der.windows(5).position(|part| part == [0xa0, 3, 2, 1, 2]).unwrap();
        der[version + 4] = 0;
    });
    let error = refused(&Tls::default(), &server);
    assert!(
        error.starts_with(&in_tls("the server's certificate is not X.509 version 3")),
        "{error}"
    );
    assert!(error.ends_with("or use the feature `native-tls`"), "{error}");
}

/// An RSA key of 1,024 bits whose signatures are invalid.
#[derive(Debug)]
struct Short(Vec<u8>);

impl Short {
    fn new() -> Self {
        // RSAPublicKey (RFC 8017, appendix A.1.1): the modulus, with its sign, and the exponent.
        let mut der = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0];
        der.extend([0xc5; 128]);
        der.extend([0x02, 0x03, 1, 0, 1]);
        Self(der)
    }
}

impl PublicKeyData for Short {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Short {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self::new()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for Short {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![1; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}

#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[test]
fn short_rsa_key_is_named() {
    let authority = Authority::new("authority");
    let chain = vec![authority.sign_key(&Short::new())];
    for versions in [OLD, NEW] {
        let certified = CertifiedKey::new(chain.clone(), Arc::new(Short::new()));
        let server = builder(versions).with_cert_resolver(Arc::new(Only(Arc::new(certified))));
        let error = refused(&trusting(&authority), &Arc::new(server));
        let words = "too short: make certificates with RSA keys of at least 2048 bits";
        assert!(error.ends_with(words), "{error}");
    }
}
