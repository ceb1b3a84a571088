//! Channel authorization and user authentication by HTTP endpoints.

mod agents;
mod batch;
mod connector;
mod endpoint;
mod failure;
#[cfg(feature = "publisher")]
mod plain;
mod request;
pub(crate) mod response;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use endpoint::{Endpoint, endpoint_setters};
use request::Field;

use crate::{Auth, AuthRequest, Authorizer, ClientSettings, Error, Proxy, Tls};

#[cfg(feature = "publisher")]
pub(crate) use plain::Http;
pub use user::HttpUserAuthenticator;

/// Authorizes channels with an HTTP endpoint of yours, as other Pusher clients do.
///
/// By default it sends a POST with the form `socket_id=…&channel_name=…`, and expects a 2xx status and the JSON
/// `{"auth":"…"}`, with a `channel_data` for presence channels and a `shared_secret` for encrypted ones. The setters
/// change that. It also sends `Accept: application/json`. A UTF-8 byte order mark before the response is skipped.
///
/// Redirects are not followed: a 3xx is an error with that status. Cookies are not stored, and compression is not
/// requested. A proxy is used as set with [`proxy`](Self::proxy). Idle connections are reused for 3 seconds.
///
/// Several clients may share one authorizer in an `Arc`. Each then has its own connections and settings, and closing a
/// client ends only its own requests.
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
/// [`interrupt`](Authorizer::interrupt) makes it return at once with an error of kind [`Io`](crate::ErrorKind::Io), for
/// all clients that share the authorizer; later requests work again. A canceled lookup of the host name continues in
/// the background until the system responds. At most 4 lookups run at once, and more wait for their turn.
///
/// # Connecting
///
/// Connections are opened in the same way as the client's own: if an address of the host does not respond in 250 ms,
/// the next one is tried too, and the first to connect is used.
///
/// # Logging
///
/// The HTTP library, ureq, logs all bytes that it sends and receives at level `trace` with the target
/// `ureq_proto::util`, including tokens and signatures. At level `debug` it logs URLs with the target `ureq::run`,
/// including the query that [`get`](Self::get) makes. Keep these targets out of logs that others read.
///
/// # Errors
///
/// [`authorize`](Authorizer::authorize) returns these kinds. The messages name the endpoint's host and port, but
/// neither its path nor anything that was sent.
///
/// - [`Config`](crate::ErrorKind::Config): the URL, a header or a certificate is invalid, or the URL begins with
///   `https` and this build has no TLS
/// - [`Auth`](crate::ErrorKind::Auth): the status is not 2xx, see [`Error::http_status`], [`Error::retry_after`] and
///   [`Error::is_retryable`]; or the response is invalid, for example empty, an HTML page or compressed. The message
///   has up to 200 characters of a refusal: the `error` or `message` of JSON, the title of an HTML page, or the first
///   line of text; and the target of a redirect without the query. What looks like a secret is left out
/// - [`Proxy`](crate::ErrorKind::Proxy): a proxy rejects the connection, see [`Proxy`](Proxy#errors)
/// - [`TooLarge`](crate::ErrorKind::TooLarge): the response is longer than [`max_body`](Self::max_body)
/// - [`Dns`](crate::ErrorKind::Dns), [`Io`](crate::ErrorKind::Io), [`Timeout`](crate::ErrorKind::Timeout),
///   [`Tls`](crate::ErrorKind::Tls): the network failed; the source is the cause, if it says more
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authorizing-users/).
pub struct HttpAuthorizer {
    endpoint: Endpoint<AuthRequest, Auth>,
    window: Option<Duration>,
}

impl HttpAuthorizer {
    /// Creates an authorizer for the endpoint at `url`, which begins with `https://` or `http://`. An invalid URL is an
    /// error of each request, and of [`check`](Self::check).
    pub fn new(url: &str) -> Self {
        Self { endpoint: Endpoint::new("authorization", url, Auth::from_json), window: None }
    }

    endpoint_setters!(AuthRequest, Auth, "the socket id and the channel");

    /// Collects requests for the time `window` and sends them as one HTTP request, for endpoints that support that. 10
    /// to 20 milliseconds are enough for channels that are subscribed together. Default: one HTTP request for each
    /// channel.
    ///
    /// Request and response are those of the JavaScript client's plug-in `pusher-js-auth`. The form has numbered
    /// channels, even if there is only one, and then the parameters:
    ///
    /// ```text
    /// socket_id=1234.1234&channel_name[0]=private-a&channel_name[1]=private-b
    /// ```
    ///
    /// With [`json`](Self::json) it is `{"channel_name":["private-a","private-b"],"socket_id":"1234.1234"}`, and with
    /// [`get`](Self::get) the form as a query, with the brackets as `%5B` and `%5D`. The response is an object by
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
    /// An absent `status` means 200. `data` is the response to a single request, for the [`parser`](Self::parser) too;
    /// it may also be a string that contains it. A channel with another status, or one that is absent, fails alone. The
    /// object may also be nested under the socket id, `{"1234.1234": {"private-a": …}}`, as in the first versions of
    /// the plug-in.
    pub fn batched(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Fails if there have been more interruptions than these.
    fn call(&self, request: &AuthRequest, interruptions: u64) -> Result<Auth, Error> {
        let fields = vec![
            ("socket_id", Field::Text(request.socket_id())),
            ("channel_name", Field::Text(request.channel())),
        ];
        self.endpoint.call(request, interruptions, fields)
    }

    /// Reads the response to the requests of a batch.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn read_batch(
        &self,
        text: &response::ResponseText<'_>,
        socket_id: &str,
        channels: &[&str],
    ) -> Result<Vec<Result<Auth, Error>>, Error> {
        batch::read(&self.endpoint, text, socket_id, channels)
    }
}

impl Authorizer for HttpAuthorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.call(request, self.endpoint.agents.interruptions())
    }

    fn batch_window(&self) -> Option<Duration> {
        self.window
    }

    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        let interruptions = self.endpoint.agents.interruptions();
        match self.window {
            None => requests.iter().map(|request| self.call(request, interruptions)).collect(),
            Some(_) => batch::authorize(&self.endpoint, requests, interruptions),
        }
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
