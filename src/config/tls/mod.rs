//! TLS settings.

#[cfg(tls)]
mod fault;
#[cfg(all(test, tls))]
pub(crate) mod fixtures;
mod pem;

use std::fmt;

use log::Level;
use zeroize::Zeroizing;

use crate::Error;
use crate::util::guard;

#[cfg(tls)]
use fault::Fault;
#[cfg(all(test, tls))]
pub(crate) use fault::telling_times;
#[cfg(all(feature = "testing", tls))]
pub(crate) use pem::Identity;
#[cfg(tls)]
pub(crate) use pem::{KeyKind, wrong_identity};

/// What to do in a build without TLS.
pub(crate) const ENABLE_TLS: &str = if cfg!(feature = "native-tls") {
    "this repository leaves native-tls out, see `.cargo/config.toml`; enable the feature `rustls`, \
     or set RUSTFLAGS, if only to nothing"
} else {
    "enable the feature `native-tls` or `rustls` of pusher-channels"
};

/// TLS settings. The default trusts the platform's root certificates.
///
/// They apply to `wss://` and, through [`ClientBuilder::tls`](crate::ClientBuilder::tls), to the `https://` endpoints
/// of [`HttpAuthorizer`](crate::HttpAuthorizer) that have no settings of their own, except for
/// [`server_name`](Self::server_name). All of them share one copy of the trusted roots. A setting that cannot be read,
/// or that the TLS library in use does not support, is an error of kind [`Config`](crate::ErrorKind::Config) when the
/// client is built, never a weaker setting.
///
/// A failed handshake is an error of kind [`Tls`](crate::ErrorKind::Tls). Its text says what was wrong: expired, not
/// yet valid, not signed by a trusted authority or without the intermediate certificate, a key that is too short, for
/// another host, a client certificate missing or refused, no common version, no TLS at all. rustls and OpenSSL report
/// this; but with rustls, expired and not yet valid are one on Windows and Android, and on Apple's systems both are only
/// invalid. The libraries of macOS and Windows report it in the [`source`](std::error::Error::source) alone.
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
#[must_use = "the setters return the changed settings"]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Vec<Root>,
    only_given_roots: bool,
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
    /// TLS 1.2 (2008).
    #[default]
    Tls12,
    /// TLS 1.3 (2018).
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
    /// Trusts more root certificates beside the platform's: all that are in `pem`, and more with every call. Default:
    /// none. To trust them alone, call [`only_given_roots`](Self::only_given_roots) too.
    ///
    /// Other PEM sections are skipped. A damaged root, or a PEM without any, is an error when the client is built,
    /// which says which one it is. On Android, rustls supports given roots only with
    /// [`only_given_roots`](Self::only_given_roots). It accepts no CA certificate as a server's own.
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(Root::Pem(pem.to_vec()));
        self
    }

    /// Trusts one more root certificate, in DER, beside the platform's. Default: none. See
    /// [`root_certificate_pem`](Self::root_certificate_pem).
    pub fn root_certificate_der(mut self, der: &[u8]) -> Self {
        self.roots.push(Root::Der(der.to_vec()));
        self
    }

    /// Trusts the given root certificates alone, and not the platform's. Default: `false`.
    ///
    /// For servers with an authority of your own, and for pinning: no public authority can then vouch for another
    /// server. Give the certificate of the authority, or a self-signed one of the server, and before it changes also
    /// the next one. At least one must be given, or building the client is an error. Endpoints of an
    /// [`HttpAuthorizer`](crate::HttpAuthorizer) with a public certificate need settings of their own then.
    ///
    /// rustls does not read the platform's roots then. native-tls on Linux reads and drops them when it is set up; if
    /// that is too much, also start the program with `SSL_CERT_FILE=/dev/null` and an `SSL_CERT_DIR` that does not
    /// exist. native-tls does not support this setting on Android, which is an error when the client is built. On
    /// Windows it also requires that the platform trusts the root.
    ///
    /// An idle client over `wss` on x86-64 Linux needs this much memory, not counting pages of files, for which see the
    /// guide for devices. The first endpoint over `https` adds 0.1 MB.
    ///
    /// | | rustls | native-tls |
    /// |---|---|---|
    /// | the platform's roots | 0.7 MB | 2.8 MB |
    /// | only given roots | 0.3 MB | 2.8 MB |
    /// | the same with `SSL_CERT_FILE=/dev/null` | 0.3 MB | 1.2 MB |
    ///
    /// # Example
    ///
    /// ```no_run
    /// use pusher_channels::{Client, Options, Tls};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = Tls::default().root_certificate_pem(&std::fs::read("ca.pem")?).only_given_roots(true);
    /// let client = Client::builder(Options::host("push.example.org", "app-key")).tls(tls).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn only_given_roots(mut self, only: bool) -> Self {
        self.only_given_roots = only;
        self
    }

    /// Sets the certificate that is sent to servers that request one. Default: none.
    ///
    /// `cert_chain_pem` has the certificate first and then those that lead to its root; `key_pem` has the private
    /// key, not encrypted. Both may be the same file. The key must be PKCS#8, `BEGIN PRIVATE KEY`. rustls also
    /// accepts PKCS#1 and SEC1, `BEGIN RSA PRIVATE KEY` and `BEGIN EC PRIVATE KEY`; for native-tls convert them with
    /// `openssl pkcs8 -topk8 -nocrypt`. A file that cannot be read, or a key of another certificate, is an error when
    /// the client is built; on Windows the latter may show only in the handshake. native-tls does not support them on
    /// iOS.
    ///
    /// The endpoints of an [`HttpAuthorizer`](crate::HttpAuthorizer) that uses these settings receive it too, if they
    /// request one. The key is wiped from memory when these settings are dropped, but the TLS library has a copy of
    /// its own.
    pub fn client_certificate_pem(mut self, cert_chain_pem: &[u8], key_pem: &[u8]) -> Self {
        let key = Zeroizing::new(key_pem.to_vec());
        self.client = Some(ClientCertificate { chain: cert_chain_pem.to_vec(), key });
        self
    }

    /// Sets the host name or address that is sent to the server (SNI) and that its certificate must have, for a
    /// server that is reached by its address or through a tunnel. Default: the host of the URL.
    ///
    /// It changes neither the address that is dialed nor the `Host` header. The name in a client's settings does not
    /// apply to the endpoints of its authorizers, which are other hosts; for these, set it with
    /// [`HttpAuthorizer::tls`](crate::HttpAuthorizer::tls). An empty or invalid name is an error when the client is built. Write
    /// international names in Punycode.
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// Sets the lowest version of TLS that is accepted. Default: [`TlsVersion::Tls12`].
    ///
    /// [`TlsVersion::Tls13`] is an error when the client is built with native-tls on Apple's systems, which do not
    /// support it, and with an OpenSSL before 1.1.1; on Windows before 11 the handshake fails.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Accepts any certificate: expired, for another host, or an attacker's. For development only: anyone between
    /// client and server can read and change everything. Default: `false`.
    ///
    /// A warning is logged when the client is built.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }

    /// Accepts a certificate that is valid for another host. For development only: anyone with a certificate of a
    /// trusted authority can pose as the server. Default: `false`.
    ///
    /// A warning is logged when the client is built. If the name in the certificate is known,
    /// [`server_name`](Self::server_name) is the safe way. With rustls it is an error when the client is built on
    /// Android, Windows and Apple's systems, unless [`only_given_roots`](Self::only_given_roots) is set.
    pub fn danger_accept_invalid_hostnames(mut self, accept: bool) -> Self {
        self.accept_invalid_hostnames = accept;
        self
    }

    /// Logs which checks are off. `whose` names the owner of these settings.
    pub(crate) fn warn_of_dangers(&self, whose: &str) {
        if self.accept_invalid_certs {
            warn(format_args!(
                "{whose} accepts any TLS certificate (Tls::danger_accept_invalid_certs): \
                 anyone between client and server can read and change everything"
            ));
        }
        if self.accept_invalid_hostnames {
            warn(format_args!(
                "{whose} accepts TLS certificates for other hosts \
                 (Tls::danger_accept_invalid_hostnames): anyone who has one can pose as the server"
            ));
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    pub(crate) fn handshake_settings(&self) -> HandshakeSettings {
        HandshakeSettings {
            min_version: self.min_version,
            client_certificate: self.client.is_some(),
        }
    }
}

#[cfg(tls)]
impl Tls {
    pub(crate) fn oldest(&self) -> TlsVersion {
        self.min_version
    }

    pub(crate) fn trusts_only_given_roots(&self) -> bool {
        self.only_given_roots
    }

    pub(crate) fn accepts_invalid_certs(&self) -> bool {
        self.accept_invalid_certs
    }

    /// Also `true` if any certificate is accepted.
    pub(crate) fn accepts_invalid_hostnames(&self) -> bool {
        self.accept_invalid_hostnames || self.accept_invalid_certs
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("given_roots", &self.roots.len())
            .field("only_given_roots", &self.only_given_roots)
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

/// The settings that are needed to explain a failed handshake.
#[derive(Clone, Copy)]
#[cfg_attr(not(tls), expect(dead_code, reason = "without a library for it, no handshake fails"))]
pub(crate) struct HandshakeSettings {
    min_version: TlsVersion,
    client_certificate: bool,
}

impl HandshakeSettings {
    /// Adds what was wrong to the text of a failed handshake, as far as its source shows. `name` is the name that the
    /// certificate must have.
    #[cfg(tls)]
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

    #[cfg(not(tls))]
    pub(crate) fn explain(self, error: Error, _: &str) -> Error {
        error
    }
}

/// Returns `true` if a handshake failed because the peer does not speak TLS, as far as the source shows.
#[cfg(tls)]
pub(crate) fn is_not_tls(error: &Error) -> bool {
    std::error::Error::source(error).and_then(Fault::of) == Some(Fault::NotTls)
}

#[cfg(not(tls))]
pub(crate) fn is_not_tls(_: &Error) -> bool {
    false
}

/// Returns `true` if an error of an open TLS connection says what was wrong, as an alert does. In TLS 1.3 a server may
/// refuse its client only then.
#[cfg(tls)]
pub(crate) fn is_fault(error: &std::io::Error) -> bool {
    Fault::of(error).is_some()
}

#[cfg(not(tls))]
pub(crate) fn is_fault(_: &std::io::Error) -> bool {
    false
}

/// Logs under a documented target, whatever the name of this module.
fn warn(line: fmt::Arguments<'_>) {
    guard::write(Level::Warn, "pusher_channels::tls", line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let tls = Tls::default().client_certificate_pem(b"chain", b"the key");
        let shown = format!("{tls:?}");
        assert!(shown.contains("client_certificate: true"), "{shown}");
        assert!(!shown.contains("the key") && !shown.contains("116, 104, 101"), "{shown}");
    }
}
