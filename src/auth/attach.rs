//! What an authorizer or authenticator gets of a client that uses it.

use std::sync::Arc;

use crate::{Proxy, Tls};

/// The settings of one client that an [`Authorizer`](crate::Authorizer) or a
/// [`UserAuthenticator`](crate::UserAuthenticator) may want to share, see
/// [`Authorizer::attach`](crate::Authorizer::attach).
///
/// A clone stands for the same client; everything else, with equal settings too, for another one.
///
/// ```
/// use pusher_channels::{Authorizer, ClientSettings, HttpAuthorizer, Proxy, Tls};
///
/// // As a client does it, to try an authorizer out.
/// let client = ClientSettings::new(Tls::default(), Proxy::none());
/// assert!(HttpAuthorizer::new("https://app.example.org/auth").attach(&client).is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientSettings(Arc<(Tls, Proxy)>);

impl ClientSettings {
    /// Stands for a client with these settings.
    pub fn new(tls: Tls, proxy: Proxy) -> Self {
        Self(Arc::new((tls, proxy)))
    }

    /// Returns how the client makes and checks TLS.
    pub fn tls(&self) -> &Tls {
        &self.0.0
    }

    /// Returns the proxy that the client connects through.
    pub fn proxy(&self) -> &Proxy {
        &self.0.1
    }

    /// Returns `true` if both stand for the same client.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
