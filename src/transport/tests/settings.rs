//! TLS settings that cannot be read, whatever the build has for TLS.

use super::super::SharedTls;
use crate::{ErrorKind, Tls};

/// A certificate and a key as far as PEM and DER show: two empty sequences.
const CHAIN: &[u8] = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

#[test]
fn unreadable_settings_fail_without_a_handshake() {
    let tls = Tls::default;
    for (tls, part) in [
        (tls().root_certificate_pem(b"canary"), "Tls::root_certificate_pem: no BEGIN CERTIFICATE"),
        (tls().root_certificate_pem(KEY), "Tls::root_certificate_pem: no BEGIN CERTIFICATE"),
        (tls().root_certificate_pem(&CHAIN[..40]), "certificate 1: its END is missing"),
        (tls().root_certificate_der(b"canary"), "Tls::root_certificate_der: it is not DER"),
        (tls().root_certificate_der(CHAIN), "Tls::root_certificate_der: it is PEM, not DER"),
        (tls().only_given_roots(true), "Tls::only_given_roots"),
        (tls().client_certificate_pem(b"canary", KEY), "the chain: no BEGIN CERTIFICATE"),
        (tls().client_certificate_pem(CHAIN, b"canary"), "the key: no BEGIN PRIVATE KEY"),
        (tls().server_name("can ary"), "Tls::server_name"),
        (tls().server_name(""), "Tls::server_name"),
    ] {
        let error = SharedTls::new(tls).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
