//! What of TLS can be told to ureq.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(super) use with::*;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(super) use without::*;

#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod with {
    use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

    use crate::config::tls::{Fault, wrong_identity};
    use crate::{Error, ErrorKind, Tls, TlsVersion};

    pub(in crate::auth::http) fn config(
        tls: &Tls,
        roots: RootCerts,
        client: Option<ClientCert>,
    ) -> TlsConfig {
        let config = TlsConfig::builder()
            .provider(if cfg!(feature = "native-tls") {
                TlsProvider::NativeTls
            } else {
                TlsProvider::Rustls
            })
            .root_certs(roots)
            .client_cert(client)
            .disable_verification(tls.accepts_invalid_certs());
        // Passed on explicitly: the default of the process may be another, or none.
        #[cfg(feature = "rustls")]
        let config = config.unversioned_rustls_crypto_provider(std::sync::Arc::new(provider(tls)));
        config.build()
    }

    /// ureq asks for every version, but a version without a cipher suite is not offered.
    #[cfg(feature = "rustls")]
    fn provider(tls: &Tls) -> rustls::crypto::CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if tls.oldest() > TlsVersion::Tls12 {
            let new = rustls::ProtocolVersion::TLSv1_3;
            provider.cipher_suites.retain(|suite| suite.version().version == new);
        }
        provider
    }

    pub(in crate::auth::http) fn client_certificate(
        tls: &Tls,
    ) -> Result<Option<ClientCert>, Error> {
        let Some(identity) = tls.identity()? else { return Ok(None) };
        // ureq lets nobody name the kind of a key, but knows it from PEM.
        let key = PrivateKey::from_pem(identity.key_pem().as_bytes()).map_err(|error| {
            wrong_identity("key", "the HTTP library cannot read it").caused_by(error)
        })?;
        let chain = identity.chain.iter().map(|der| Certificate::from_der(der).to_owned());
        Ok(Some(ClientCert::new_with_certs(&chain.collect::<Vec<_>>(), key)))
    }

    /// Why `https` is not to be had with these settings.
    pub(in crate::auth::http) fn refusal(tls: &Tls) -> Option<&'static str> {
        let too_new = cfg!(feature = "native-tls") && tls.oldest() > TlsVersion::Tls12;
        too_new.then_some(
            "Tls::min_version: with native-tls the HTTP library for `https` endpoints cannot be \
             kept to TLS 1.3; give the authorizer settings of its own with HttpAuthorizer::tls",
        )
    }

    /// Whether it is a handshake that other roots could have helped.
    pub(in crate::auth::http) fn may_be_about_roots(error: &Error) -> bool {
        error.kind() == ErrorKind::Tls && fault(error).is_none_or(|fault| fault.is_about_roots())
    }

    /// The source is what the platform says, unless that is only that it does not know the issuer.
    pub(in crate::auth::http) fn trusted_by_neither(
        place: &str,
        by_given: Error,
        by_platform: Error,
    ) -> Error {
        let error = match fault(&by_platform) {
            Some(Fault::UnknownIssuer | Fault::UnknownRoot) => by_given,
            _ => by_platform,
        };
        let failed = ErrorKind::Tls;
        error.with_message(format!("{place}: {failed}, also with the root certificates given"))
    }

    fn fault(error: &Error) -> Option<Fault> {
        std::error::Error::source(error).and_then(Fault::of)
    }

    /// Whether it comes from the TLS library: native-tls gives an alert after the handshake as an error of I/O.
    #[cfg(feature = "native-tls")]
    pub(in crate::auth::http) fn is_fault(error: &std::io::Error) -> bool {
        error.raw_os_error().is_none() && Fault::of(error).is_some()
    }
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
mod without {
    use crate::Error;

    pub(in crate::auth::http) fn may_be_about_roots(_: &Error) -> bool {
        false
    }

    pub(in crate::auth::http) fn trusted_by_neither(
        _: &str,
        _: Error,
        by_platform: Error,
    ) -> Error {
        by_platform
    }
}
