//! HTTP endpoints that authorize, or tell who the user is.

mod agents;
pub(crate) mod answer;
pub(crate) mod batch;
mod carrier;
mod endpoint;
mod failure;
mod request;
mod secure;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use endpoint::{Endpoint, endpoint_setters};
use request::Field;

use crate::{Auth, AuthRequest, Authorizer, ClientSettings, Error, Proxy, Tls};

pub use user::HttpUserAuthenticator;

/// Asks an HTTP endpoint of yours, as other Pusher clients do.
///
/// By default it sends a POST with the form `socket_id=…&channel_name=…`, and expects a status of 200 to 299
/// and the JSON `{"auth":"…"}`, with a `channel_data` for presence channels and a `shared_secret` for
/// encrypted ones. The setters change that. It sends `Accept: application/json` too. A UTF-8 byte order mark
/// before the answer is skipped.
///
/// Redirects are not followed: a 3xx is an error with that status. No cookie is kept and nothing is
/// compressed. A proxy is used as [`proxy`](Self::proxy) says. Idle connections are used again for 3 seconds.
///
/// Several clients may share one in an `Arc`. Each then has its own connections and settings, and closing it ends
/// its own requests only.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use pusher_channels::HttpAuthorizer;
///
/// # fn current_token() -> String { String::new() }
/// let authorizer = HttpAuthorizer::new("https://app.example.org/pusher/auth")
///     .headers_with(|| vec![("authorization".into(), format!("Bearer {}", current_token()))])
///     .param("device", "kiosk-7")
///     .timeout(Duration::from_secs(5));
/// if let Err(error) = authorizer.check() {
///     println!("{error}"); // for example: this build has no TLS
/// }
/// ```
///
/// # Blocking
///
/// [`authorize`](Authorizer::authorize) blocks for at most the [`timeout`](Self::timeout), whatever it waits for.
/// [`interrupt`](Authorizer::interrupt) ends requests that are under way, for all clients that share it, at once with
/// an error of kind [`Io`](crate::ErrorKind::Io), and what is asked later works again. A lookup of the host's name
/// that is given up goes on in the background until the system answers; at most 4 run at once, and more wait for
/// their turn.
///
/// # Connecting
///
/// As the client's own connection does it: of several addresses of a host the next one is tried when one has not
/// answered within 250 ms, and the first that connects is used.
///
/// # Logging
///
/// The HTTP library, ureq, dumps all bytes that it sends and receives at level `trace` under the target
/// `ureq_proto::util`, tokens and signatures included, and at `debug` the URL under `ureq::run`, with the query that
/// [`get`](Self::get) makes. Keep these targets out of logs that others read.
///
/// # Errors
///
/// Of [`authorize`](Authorizer::authorize), with messages that name the endpoint's host and port, but neither its
/// path nor anything that was sent:
///
/// - [`Config`](crate::ErrorKind::Config): the URL, a header or a certificate is wrong, or the URL starts with
///   `https` and this build has no TLS
/// - [`Auth`](crate::ErrorKind::Auth): the status is not 2xx, see [`Error::http_status`],
///   [`Error::retry_after`] and [`Error::is_retryable`]; or the answer makes no sense, for example since it is
///   empty, an HTML page or compressed. The message has up to 200 characters of what a refusal says: the `error`
///   or `message` of JSON, the title of an HTML page, or else the first line of text; and of a redirect its
///   target without the query; all without what looks like a secret
/// - [`Proxy`](crate::ErrorKind::Proxy): a proxy does not let the request through, see [`Proxy`](Proxy#errors)
/// - [`TooLarge`](crate::ErrorKind::TooLarge): the answer is longer than [`max_body`](Self::max_body)
/// - [`Dns`](crate::ErrorKind::Dns), [`Io`](crate::ErrorKind::Io), [`Timeout`](crate::ErrorKind::Timeout),
///   [`Tls`](crate::ErrorKind::Tls): the network's, with their cause as source where there is more to say
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authorizing-users/).
pub struct HttpAuthorizer {
    endpoint: Endpoint<AuthRequest, Auth>,
    window: Option<Duration>,
}

impl HttpAuthorizer {
    /// Asks the endpoint at `url`, which starts with `https://` or `http://`. A wrong one is an error when it is
    /// first asked, or of [`check`](Self::check).
    pub fn new(url: &str) -> Self {
        Self { endpoint: Endpoint::new("authorization", url, Auth::from_json), window: None }
    }

    endpoint_setters!(AuthRequest, Auth, "the socket id and the channel");

    /// Collects the questions of `window` and sends them as one request, for endpoints that understand that.
    /// 10 to 20 milliseconds are enough for channels that are subscribed together. Default: one request for
    /// each channel.
    ///
    /// The request and its answer are those of the `pusher-js-auth` plug-in of the JavaScript client. The form
    /// has numbered channels, also if there is but one, and then the parameters:
    ///
    /// ```text
    /// socket_id=1234.1234&channel_name[0]=private-a&channel_name[1]=private-b
    /// ```
    ///
    /// With [`json`](Self::json) it is `{"channel_name":["private-a","private-b"],"socket_id":"1234.1234"}`, and
    /// with [`get`](Self::get) the form as a query, its brackets as `%5B` and `%5D`. The answer is an object by
    /// channel:
    ///
    /// ```text
    /// {
    ///   "private-a": {"status": 200, "data": {"auth": "key:signature"}},
    ///   "presence-b": {"data": {"auth": "key:signature", "channel_data": "{…}"}},
    ///   "private-c": {"status": 403}
    /// }
    /// ```
    ///
    /// An absent `status` counts as 200. `data` is what the answer to a single question would be, for the
    /// [`parser`](Self::parser) too; it may also be a string that holds it. Another status, or the
    /// absence of a channel, is an error of that channel only. The object may also stand under the
    /// socket id, `{"1234.1234": {"private-a": …}}`, as the plug-in's first versions had it.
    pub fn batched(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }
}

impl Authorizer for HttpAuthorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        let fields = vec![
            ("socket_id", Field::Text(request.socket_id())),
            ("channel_name", Field::Text(request.channel())),
        ];
        self.endpoint.answer(request, fields)
    }

    fn batch_window(&self) -> Option<Duration> {
        self.window
    }

    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        if self.window.is_none() {
            return requests.iter().map(|request| self.authorize(request)).collect();
        }
        batch::authorize(self, requests)
    }

    fn endpoint(&self) -> Option<String> {
        self.endpoint.name()
    }

    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
        Some(Arc::new(Self { endpoint: self.endpoint.attach(client), window: self.window }))
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

impl fmt::Debug for HttpAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HttpAuthorizer");
        self.endpoint.show(&mut shown).field("window", &self.window).finish_non_exhaustive()
    }
}
