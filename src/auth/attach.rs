//! The settings of a client, for authorizers and authenticators.

use std::sync::Arc;

use crate::transport::SharedTls;
use crate::{Proxy, Tls};

/// The settings of a client that its [`Authorizer`](crate::Authorizer)s and its
/// [`UserAuthenticator`](crate::UserAuthenticator) may share, see
/// [`Authorizer::attach`](crate::Authorizer::attach).
///
/// A clone belongs to the same client. Any other value belongs to another client, even with equal settings.
///
/// ```
/// use pusher_channels::{Authorizer, ClientSettings, HttpAuthorizer, Proxy, Tls};
///
/// // Attach an authorizer as a client does.
/// let client = ClientSettings::new(Tls::default(), Proxy::none());
/// assert!(HttpAuthorizer::new("https://app.example.org/auth").attach(&client).is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientSettings(Arc<(Arc<SharedTls>, Proxy)>);

impl ClientSettings {
    /// Creates the settings of a client.
    pub fn new(tls: Tls, proxy: Proxy) -> Self {
        Self::sharing(Arc::new(SharedTls::new(tls)), proxy)
    }

    /// Creates the settings of a client whose connections share `tls`.
    pub(crate) fn sharing(tls: Arc<SharedTls>, proxy: Proxy) -> Self {
        Self(Arc::new((tls, proxy)))
    }

    /// Returns the client's TLS settings.
    pub fn tls(&self) -> &Tls {
        self.0.0.settings()
    }

    pub(crate) fn shared_tls(&self) -> &Arc<SharedTls> {
        &self.0.0
    }

    /// Returns the proxy that the client connects through.
    pub fn proxy(&self) -> &Proxy {
        &self.0.1
    }

    /// Returns `true` if both belong to the same client.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
