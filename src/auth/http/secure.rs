//! TLS settings for ureq, as far as it has them.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(super) use with::*;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(super) use without::*;

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

type Builder = ConfigBuilder<AgentScope>;

#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod with {
    use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

    use super::Builder;
    use crate::config::tls::{Fault, wrong_identity};
    use crate::{Error, ErrorKind, Tls, TlsVersion};

    pub(in crate::auth::http) type Config = TlsConfig;

    pub(in crate::auth::http) fn configure(builder: Builder, config: Config) -> Builder {
        builder.tls_config(config)
    }

    /// Returns settings that trust the platform's roots, and settings that trust the given ones, if there are any.
    pub(in crate::auth::http) fn configs(tls: &Tls) -> Result<(Config, Option<Config>), Error> {
        crate::transport::check_tls(tls)?;
        let roots = crate::transport::tls_roots(tls)?;
        let client = client_certificate(tls)?;
        let given = (!roots.is_empty() && !tls.accepts_invalid_certs()).then(|| {
            let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned());
            config(tls, RootCerts::from(roots), client.clone())
        });
        Ok((config(tls, RootCerts::PlatformVerifier, client), given))
    }

    fn config(tls: &Tls, roots: RootCerts, client: Option<ClientCert>) -> Config {
        let config = TlsConfig::builder()
            .provider(if cfg!(feature = "native-tls") {
                TlsProvider::NativeTls
            } else {
                TlsProvider::Rustls
            })
            .root_certs(roots)
            .client_cert(client)
            .disable_verification(tls.accepts_invalid_certs());
        // Explicitly: the default of the process may be another one, or none.
        #[cfg(feature = "rustls")]
        let config = config.unversioned_rustls_crypto_provider(std::sync::Arc::new(provider(tls)));
        config.build()
    }

    /// ureq offers every version, but rustls offers no version without a cipher suite.
    #[cfg(feature = "rustls")]
    fn provider(tls: &Tls) -> rustls::crypto::CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if tls.oldest() > TlsVersion::Tls12 {
            let new = rustls::ProtocolVersion::TLSv1_3;
            provider.cipher_suites.retain(|suite| suite.version().version == new);
        }
        provider
    }

    fn client_certificate(tls: &Tls) -> Result<Option<ClientCert>, Error> {
        let Some(identity) = tls.identity()? else { return Ok(None) };
        // ureq reads the kind of a key only from PEM.
        let key = PrivateKey::from_pem(identity.key_pem().as_bytes()).map_err(|error| {
            wrong_identity("key", "the HTTP library cannot read it").caused_by(error)
        })?;
        let chain = identity.chain.iter().map(|der| Certificate::from_der(der).to_owned());
        Ok(Some(ClientCert::new_with_certs(&chain.collect::<Vec<_>>(), key)))
    }

    /// Returns why `https` cannot be used with these settings.
    pub(in crate::auth::http) fn refusal(tls: &Tls) -> Option<&'static str> {
        let too_new = cfg!(feature = "native-tls") && tls.oldest() > TlsVersion::Tls12;
        too_new.then_some(
            "Tls::min_version: with native-tls the HTTP library for `https` endpoints cannot be \
             kept to TLS 1.3; give the authorizer settings of its own with HttpAuthorizer::tls",
        )
    }

    /// Returns `true` for a failed handshake that other roots could have helped.
    pub(in crate::auth::http) fn may_be_about_roots(error: &Error) -> bool {
        error.kind() == ErrorKind::Tls && fault(error).is_none_or(|fault| fault.is_about_roots())
    }

    /// Returns the platform's error, unless it is only that the issuer is unknown.
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
        error.with_message(format!("{place}: {failed}, also with the given root certificates"))
    }

    fn fault(error: &Error) -> Option<Fault> {
        std::error::Error::source(error).and_then(Fault::of)
    }

    /// Returns `true` for an error of the TLS library: native-tls returns an alert after the handshake as an I/O error.
    #[cfg(feature = "native-tls")]
    pub(in crate::auth::http) fn is_fault(error: &std::io::Error) -> bool {
        error.raw_os_error().is_none() && Fault::of(error).is_some()
    }
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
mod without {
    use super::Builder;
    use crate::{Error, Tls};

    pub(in crate::auth::http) struct Config;

    pub(in crate::auth::http) fn configure(builder: Builder, _: Config) -> Builder {
        builder
    }

    pub(in crate::auth::http) fn configs(_: &Tls) -> Result<(Config, Option<Config>), Error> {
        Ok((Config, None))
    }

    pub(in crate::auth::http) fn refusal(_: &Tls) -> Option<&'static str> {
        None
    }

    pub(in crate::auth::http) fn may_be_about_roots(_: &Error) -> bool {
        false
    }

    pub(in crate::auth::http) fn trusted_by_neither(_: &str, _: Error, error: Error) -> Error {
        error
    }
}
