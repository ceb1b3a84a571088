//! User authentication by an HTTP endpoint.

use std::fmt;
use std::sync::Arc;

use super::endpoint::{Endpoint, endpoint_setters};
use super::request::Field;
use crate::{ClientSettings, Error, Proxy, Tls, UserAuth, UserAuthRequest, UserAuthenticator};

/// Authenticates the user with an HTTP endpoint of yours, as other Pusher clients do.
///
/// By default it sends a POST with the form `socket_id=…`, and expects a 2xx status and the JSON
/// `{"auth":"…","user_data":"…"}`, see [`UserAuth::from_json`]. The setters change that.
///
/// Everything else is as documented for [`HttpAuthorizer`](crate::HttpAuthorizer): redirects, idle connections, how
/// long [`authenticate`](UserAuthenticator::authenticate) blocks, its errors, and what the HTTP library logs.
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
    /// Creates an authenticator for the endpoint at `url`, which begins with `https://` or `http://`. An invalid URL is
    /// an error of each request, and of [`check`](Self::check).
    pub fn new(url: &str) -> Self {
        Self { endpoint: Endpoint::new("user authentication", url, UserAuth::from_json) }
    }

    endpoint_setters!(UserAuthRequest, UserAuth, "the socket id");
}

impl UserAuthenticator for HttpUserAuthenticator {
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        let interruptions = self.endpoint.agents.interruptions();
        let fields = vec![("socket_id", Field::Text(request.socket_id()))];
        self.endpoint.call(request, interruptions, fields)
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
