//! TLS settings.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod fault;
#[cfg(all(test, any(feature = "native-tls", feature = "rustls")))]
pub(crate) mod fixtures;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod pem;

use std::fmt;

use log::Level;
use zeroize::Zeroizing;

use crate::Error;
use crate::util::guard;

#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) use fault::Fault;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) use pem::{KeyKind, wrong_identity};

/// How TLS connections are made and checked. The default trusts what the platform trusts.
///
/// It holds for `wss://` and, through [`ClientBuilder::tls`](crate::ClientBuilder::tls), for the `https://`
/// endpoints of [`HttpAuthorizer`](crate::HttpAuthorizer), unless these have settings of their own; the
/// setters say what differs there. What cannot be read, or cannot be had with the TLS library in use, is
/// an error of kind [`Config`](crate::ErrorKind::Config) when the client is built, not a weaker setting.
///
/// A handshake that fails is an error of kind [`Tls`](crate::ErrorKind::Tls), whose text says what was wrong
/// (expired, not yet valid, signed by nobody known here or without the intermediate certificate, a key that is too
/// short, for another host, a client certificate missing or refused, no common version, no TLS at all) as far as the
/// library says so: rustls and OpenSSL do, the libraries of macOS and Windows only in the
/// [`source`](std::error::Error::source).
///
/// # Example
///
/// ```no_run
/// use pusher_channels::{Client, Options, Tls, TlsVersion};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authority = std::fs::read("ca.pem")?;
/// let (chain, key) = (std::fs::read("device.pem")?, std::fs::read("device.key")?);
/// let tls = Tls::default()
///     .root_certificate_pem(&authority)
///     .client_certificate_pem(&chain, &key)
///     .server_name("push.example.org")
///     .min_version(TlsVersion::Tls13);
/// let client = Client::builder(Options::host("10.0.0.7", "app-key")).tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "the setters give the changed settings back"]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Vec<Root>,
    client: Option<ClientCertificate>,
    server_name: Option<String>,
    min_version: TlsVersion,
    accept_invalid_certs: bool,
    accept_invalid_hostnames: bool,
}

/// A version of TLS, for [`Tls::min_version`].
///
/// # Example
///
/// ```
/// use pusher_channels::TlsVersion;
///
/// assert!(TlsVersion::Tls12 < TlsVersion::Tls13);
/// assert_eq!(TlsVersion::default().to_string(), "TLS 1.2");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2, of 2008.
    #[default]
    Tls12,
    /// TLS 1.3, of 2018.
    Tls13,
}

#[derive(Clone, PartialEq, Eq)]
enum Root {
    Pem(Vec<u8>),
    Der(Vec<u8>),
}

/// As given, in PEM.
#[derive(Clone, PartialEq, Eq)]
struct ClientCertificate {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Tls {
    /// Trusts more root certificates, in PEM, beside the platform's: all that are in `pem`, and more with every
    /// call. Other things in it are skipped. Default: none.
    ///
    /// A root that is damaged, or the absence of any, is an error when the client is built. It tells which one
    /// it is. With rustls, Android takes none, and the certificate of a server must not be one of an
    /// authority.
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(Root::Pem(pem.to_vec()));
        self
    }

    /// Trusts one more root certificate, in DER, beside the platform's; otherwise as
    /// [`root_certificate_pem`](Self::root_certificate_pem). Default: none.
    pub fn root_certificate_der(mut self, der: &[u8]) -> Self {
        self.roots.push(Root::Der(der.to_vec()));
        self
    }

    /// Shows this certificate to servers that ask for one. Default: none is shown.
    ///
    /// `cert_chain_pem` has the certificate first and then those that lead to its root; `key_pem` has
    /// the private key, not encrypted. Both may be the same file. The key is PKCS#8, `BEGIN PRIVATE KEY`. rustls
    /// takes PKCS#1 and SEC1 too, `BEGIN RSA PRIVATE KEY` and `BEGIN EC PRIVATE KEY`; for native-tls
    /// convert them with `openssl pkcs8 -topk8 -nocrypt`. What cannot be read, or a key that belongs to another
    /// certificate, is an error when the client is built; on Windows the latter may show only in the handshake.
    /// native-tls cannot read them on iOS.
    ///
    /// The endpoints of an [`HttpAuthorizer`](crate::HttpAuthorizer) that uses these settings see it too, if
    /// they ask. The key is wiped from the memory of these settings when they are dropped, but the TLS library
    /// has a copy of its own.
    pub fn client_certificate_pem(mut self, cert_chain_pem: &[u8], key_pem: &[u8]) -> Self {
        let key = Zeroizing::new(key_pem.to_vec());
        self.client = Some(ClientCertificate { chain: cert_chain_pem.to_vec(), key });
        self
    }

    /// The host name or address that is asked for (SNI) and that the server's certificate must have, for a server
    /// that is reached by its address or through a tunnel. Default: the host of the URL.
    ///
    /// It changes neither where the connection goes nor the `Host` header, and it does not apply to the endpoint
    /// of an authorizer, which is another host. An empty one, or one that is no host name, is an
    /// error when the client is built; names with other letters than ASCII are written in Punycode.
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// The oldest version of TLS that is spoken. Default: [`TlsVersion::Tls12`].
    ///
    /// TLS 1.3 as the oldest is an error when the client is built with native-tls on Apple's systems, which do
    /// not have it, and with an OpenSSL before 1.1.1; Windows before 11 fails in the handshake. With native-tls
    /// the HTTP library cannot be told of it, so an `https` endpoint of an
    /// [`HttpAuthorizer`](crate::HttpAuthorizer) is not asked but an error of kind
    /// [`Config`](crate::ErrorKind::Config), unless it has settings of its own.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Accepts any certificate at all: expired, for another host, or of an attacker. For development only: whoever
    /// is on the way can read and change everything. A warning is logged when the client is built. Default:
    /// `false`.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }

    /// Accepts a certificate that is valid for another host. For development only: anyone with a certificate of
    /// a trusted authority can be the server. A warning is logged when the client is built. Default:
    /// `false`.
    ///
    /// If the server's name is known, [`server_name`](Self::server_name) is the safe way. It does not apply to the
    /// endpoint of an authorizer, whose name stays checked. With rustls it is an error when the client is
    /// built on Android, Windows and Apple's systems.
    pub fn danger_accept_invalid_hostnames(mut self, accept: bool) -> Self {
        self.accept_invalid_hostnames = accept;
        self
    }

    /// Logs what is not checked, of what `whose` names.
    pub(crate) fn warn_of_dangers(&self, whose: &str) {
        if self.accept_invalid_certs {
            warn(format_args!(
                "{whose} accepts any TLS certificate (Tls::danger_accept_invalid_certs): \
                 whoever is on the way can read and change everything"
            ));
        }
        if self.accept_invalid_hostnames {
            warn(format_args!(
                "{whose} accepts TLS certificates for other hosts \
                 (Tls::danger_accept_invalid_hostnames): anyone who has one can be the server"
            ));
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            min_version: self.min_version,
            client_certificate: self.client.is_some(),
            any_name: self.accept_invalid_hostnames,
        }
    }
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
impl Tls {
    pub(crate) fn oldest(&self) -> TlsVersion {
        self.min_version
    }

    pub(crate) fn accepts_invalid_certs(&self) -> bool {
        self.accept_invalid_certs
    }

    /// Those of any certificate are accepted anyway.
    pub(crate) fn accepts_invalid_hostnames(&self) -> bool {
        self.accept_invalid_hostnames || self.accept_invalid_certs
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra_roots", &self.roots.len())
            .field("client_certificate", &self.client.is_some())
            .field("server_name", &self.server_name)
            .field("min_version", &self.min_version)
            .field("accept_invalid_certs", &self.accept_invalid_certs)
            .field("accept_invalid_hostnames", &self.accept_invalid_hostnames)
            .finish()
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// What one must know of the settings to say why a handshake failed.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(any(feature = "native-tls", feature = "rustls")),
    expect(dead_code, reason = "without a library for it, no handshake fails")
)]
pub(crate) struct Asked {
    min_version: TlsVersion,
    client_certificate: bool,
    any_name: bool,
}

impl Asked {
    /// Adds what was wrong to the text of a failed handshake, as far as its source tells. `name` is what the
    /// certificate should have.
    #[cfg(any(feature = "native-tls", feature = "rustls"))]
    pub(crate) fn explain(self, error: Error, name: &str) -> Error {
        let source = std::error::Error::source(&error);
        let Some(fault) =
            source.filter(|_| error.kind() == crate::ErrorKind::Tls).and_then(Fault::of)
        else {
            return error;
        };
        let message = format!("{}: {}", error.text(), fault.words(name, self));
        error.with_message(message).explained()
    }

    #[cfg(not(any(feature = "native-tls", feature = "rustls")))]
    pub(crate) fn explain(self, error: Error, _: &str) -> Error {
        error
    }
}

/// Returns `true` if a handshake failed because the peer does not speak TLS, as far as the source shows.
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) fn is_not_tls(error: &Error) -> bool {
    std::error::Error::source(error).and_then(Fault::of) == Some(Fault::NotTls)
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(crate) fn is_not_tls(_: &Error) -> bool {
    false
}

/// The target of these lines is documented, so it does not follow the layout of the modules.
fn warn(line: fmt::Arguments<'_>) {
    guard::write(Level::Warn, "pusher_channels::tls", line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let tls = Tls::default().client_certificate_pem(b"chain", b"the key");
        let shown = format!("{tls:?}");
        assert!(shown.contains("client_certificate: true"), "{shown}");
        assert!(!shown.contains("the key") && !shown.contains("116, 104, 101"), "{shown}");
    }
}
