//! An HTTP endpoint that tells who the user is.

use std::fmt;
use std::sync::Arc;

use super::endpoint::{Endpoint, endpoint_setters};
use super::request::Field;
use crate::{ClientSettings, Error, Proxy, Tls, UserAuth, UserAuthRequest, UserAuthenticator};

/// Asks an HTTP endpoint of yours who the user is, as other Pusher clients do.
///
/// By default it sends a POST with the form `socket_id=…`, and expects a status of 200 to 299 and the JSON
/// `{"auth":"…","user_data":"…"}`, see [`UserAuth::from_json`]. The setters change that.
///
/// In all else it is like [`HttpAuthorizer`](crate::HttpAuthorizer): redirects, idle connections, what blocks
/// for how long, what the HTTP library logs, and the errors, of
/// [`authenticate`](UserAuthenticator::authenticate) here.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use pusher_channels::HttpUserAuthenticator;
///
/// # fn current_token() -> String { String::new() }
/// let authenticator = HttpUserAuthenticator::new("https://app.example.org/pusher/user-auth")
///     .headers_with(|| vec![("authorization".into(), format!("Bearer {}", current_token()))])
///     .timeout(Duration::from_secs(5));
/// if let Err(error) = authenticator.check() {
///     println!("{error}"); // for example: this build has no TLS
/// }
/// ```
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authenticating-users/).
pub struct HttpUserAuthenticator {
    endpoint: Endpoint<UserAuthRequest, UserAuth>,
}

impl HttpUserAuthenticator {
    /// Asks the endpoint at `url`, which starts with `https://` or `http://`. A wrong one is an error when it is
    /// first asked, or of [`check`](Self::check).
    pub fn new(url: &str) -> Self {
        Self { endpoint: Endpoint::new("user authentication", url, UserAuth::from_json) }
    }

    endpoint_setters!(UserAuthRequest, UserAuth, "the socket id");
}

impl UserAuthenticator for HttpUserAuthenticator {
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        self.endpoint.answer(request, vec![("socket_id", Field::Text(request.socket_id()))])
    }

    fn endpoint(&self) -> Option<String> {
        self.endpoint.name()
    }

    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn UserAuthenticator>> {
        Some(Arc::new(Self { endpoint: self.endpoint.attach(client) }))
    }

    fn use_tls(&self, tls: &Tls) {
        self.endpoint.agents.use_tls(tls);
    }

    fn use_proxy(&self, proxy: &Proxy) {
        self.endpoint.agents.use_proxy(proxy);
    }

    fn interrupt(&self) {
        self.endpoint.agents.interrupt();
    }
}

impl fmt::Debug for HttpUserAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.show(&mut f.debug_struct("HttpUserAuthenticator")).finish_non_exhaustive()
    }
}
