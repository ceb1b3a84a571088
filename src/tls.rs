//! TLS settings.

use std::fmt;

/// How TLS connections are checked. The default trusts what the platform trusts.
///
/// # Example
///
/// ```no_run
/// use pusher_channels::{Client, Options, Tls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let authority = std::fs::read("ca.pem")?;
/// let client = Client::builder(Options::host("push.example.org", "app-key"))
///     .tls(Tls::default().root_certificate_pem(&authority))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Vec<Root>,
    accept_invalid_certs: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Root {
    Pem(Vec<u8>),
    Der(Vec<u8>),
}

impl Tls {
    /// Trusts one more root certificate, in PEM, beside the platform's. A wrong one is an error when the client is built.
    pub fn root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.push(Root::Pem(pem.to_vec()));
        self
    }

    /// Trusts one more root certificate, in DER, beside the platform's. A wrong one is an error when the client is built.
    pub fn root_certificate_der(mut self, der: &[u8]) -> Self {
        self.roots.push(Root::Der(der.to_vec()));
        self
    }

    /// Accepts any certificate at all: expired, for another host, or of an attacker. For development only. Default: `false`.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
impl Tls {
    pub(crate) fn roots(&self) -> &[Root] {
        &self.roots
    }

    pub(crate) fn accepts_invalid_certs(&self) -> bool {
        self.accept_invalid_certs
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra_roots", &self.roots.len())
            .field("accept_invalid_certs", &self.accept_invalid_certs)
            .finish()
    }
}
