//! An HTTP endpoint that authorizes.

mod agents;
mod answer;
mod batch;
mod request;
mod secure;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use agents::Agents;
use request::{Field, Pairs, Question, Style};

use crate::{Auth, AuthRequest, Authorizer, Error, Tls};

type MakePairs = Box<dyn Fn() -> Pairs + Send + Sync>;
type MakeUrl = Box<dyn Fn(&AuthRequest) -> String + Send + Sync>;
type Parser = Box<dyn Fn(&str) -> Result<Auth, Error> + Send + Sync>;

/// Asks an HTTP endpoint of yours, as other Pusher clients do.
///
/// By default it sends a POST with the form `socket_id=…&channel_name=…`, and expects a status of 200 to 299
/// and the JSON `{"auth":"…"}`, with a `channel_data` for presence channels and a `shared_secret` for
/// encrypted ones. The setters change that. It sends `Accept: application/json` too.
///
/// Redirects are not followed: a 3xx is an error with that status. No proxy is used, no cookie is kept and
/// nothing is compressed. Idle connections are used again for 3 seconds.
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
/// [`authorize`](Authorizer::authorize) blocks for at most the [`timeout`](Self::timeout).
/// [`interrupt`](Authorizer::interrupt) ends requests that are under way at once with an error of kind
/// [`Io`](crate::ErrorKind::Io), and what is asked later works again. But a look-up of the host's name and a
/// TCP connect in progress go on until their own end or the timeout.
///
/// # Logging
///
/// The HTTP library, ureq, dumps all bytes that it sends and receives at level `trace` under the target
/// `ureq_proto::util`, tokens and signatures included, and at `debug` the URL under `ureq::run`, with the query that
/// [`get`](Self::get) makes. Keep these targets out of logs that others read.
///
/// # Errors
///
/// Of [`authorize`](Authorizer::authorize), with messages that name the endpoint's host, but neither its path
/// nor anything that was sent:
///
/// - [`Config`](crate::ErrorKind::Config): the URL, a header or a certificate is wrong, or the URL starts with
///   `https` and this build has no TLS
/// - [`Auth`](crate::ErrorKind::Auth): the status is not 2xx, see [`Error::http_status`],
///   [`Error::retry_after`] and [`Error::is_retryable`]; or the answer makes no sense. The message has up to 200
///   characters of what a refusal says: the `error` or `message` of JSON, or else the first line of text,
///   without what looks like a secret
/// - [`TooLarge`](crate::ErrorKind::TooLarge): the answer is longer than [`max_body`](Self::max_body)
/// - [`Dns`](crate::ErrorKind::Dns), [`Io`](crate::ErrorKind::Io), [`Timeout`](crate::ErrorKind::Timeout),
///   [`Tls`](crate::ErrorKind::Tls): the network's, with their cause as source
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authorizing-users/).
pub struct HttpAuthorizer {
    url: String,
    endpoint: Option<MakeUrl>,
    style: Style,
    headers: Pairs,
    fresh_headers: Option<MakePairs>,
    params: Pairs,
    fresh_params: Option<MakePairs>,
    parser: Option<Parser>,
    window: Option<Duration>,
    agents: Agents,
}

impl HttpAuthorizer {
    /// Asks the endpoint at `url`, which starts with `https://` or `http://`. A wrong one is an error when it is
    /// first asked, or of [`check`](Self::check).
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            endpoint: None,
            style: Style::Form,
            headers: Vec::new(),
            fresh_headers: None,
            params: Vec::new(),
            fresh_params: None,
            parser: None,
            window: None,
            agents: Agents::default(),
        }
    }

    /// Sends one more header, the same with every request. Of two with one name the later counts; one of the
    /// authorizer's own (`Accept`, `Content-Type`) can be replaced.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for more headers before every request, for tokens that change. They replace those of
    /// [`header`](Self::header) with the same name. Default: none.
    pub fn headers_with<F>(mut self, headers: F) -> Self
    where
        F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
    {
        self.fresh_headers = Some(Box::new(headers));
        self
    }

    /// Sends one more parameter, the same with every request, beside the socket id and the channel.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for more parameters before every request. They come after those of [`param`](Self::param).
    /// Default: none.
    pub fn params_with<F>(mut self, params: F) -> Self
    where
        F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
    {
        self.fresh_params = Some(Box::new(params));
        self
    }

    /// Sends a JSON object of strings instead of a form. Default: a form.
    pub fn json(mut self) -> Self {
        self.style = Style::Json;
        self
    }

    /// Sends a GET with everything in the URL's query, after what is there, instead of a POST. Servers and
    /// proxies tend to log URLs, so send secrets as headers. Default: a POST.
    pub fn get(mut self) -> Self {
        self.style = Style::Query;
        self
    }

    /// The longest time for one request, from the look-up of the host's name to the end of the answer.
    /// Default: 10 seconds; more than a day counts as a day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.agents.timeout = timeout;
        self
    }

    /// Reads the answers of a 2xx status. Default: [`Auth::from_json`].
    pub fn parser<F>(mut self, parser: F) -> Self
    where
        F: Fn(&str) -> Result<Auth, Error> + Send + Sync + 'static,
    {
        self.parser = Some(Box::new(parser));
        self
    }

    /// Asks for the endpoint's URL before every request, instead of using that of [`new`](Self::new): for
    /// endpoints that depend on the channel.
    pub fn endpoint_with<F>(mut self, url: F) -> Self
    where
        F: Fn(&AuthRequest) -> String + Send + Sync + 'static,
    {
        self.endpoint = Some(Box::new(url));
        self
    }

    /// How `https` endpoints are checked. Default: as the client that uses this says; of several clients, the
    /// last one that was built.
    ///
    /// Root certificates that are given are trusted beside the platform's. Since the HTTP library takes either
    /// the ones or the others, a server may see one failed TLS handshake before the one that succeeds; which
    /// it was is remembered.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.agents.tls = Some(tls);
        self
    }

    /// The longest answer that is read, in bytes. Default: 262,144 (256 KiB).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.agents.max_body = bytes;
        self
    }

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

    /// Whether it is set up well, without asking the endpoint: the URL, the fixed headers and the certificates.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config).
    pub fn check(&self) -> Result<(), Error> {
        let secure = match self.endpoint {
            Some(_) => false,
            None => agents::check_scheme(&request::check_url(&self.url)?)?,
        };
        for (name, value) in &self.headers {
            request::check_header(name, value)?;
        }
        self.agents.check(secure)
    }

    fn url(&self, request: &AuthRequest) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint(request),
            None => self.url.clone(),
        }
    }

    fn parse(&self, text: &str) -> Result<Auth, Error> {
        match &self.parser {
            Some(parser) => parser(text),
            None => Auth::from_json(text),
        }
    }

    /// The text of a 2xx answer, given to `read` with what must not be shown.
    fn ask<T>(
        &self,
        url: &str,
        fields: Vec<(&str, Field<'_>)>,
        read: impl FnOnce(&str, &[&str]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let fresh = |make: &Option<MakePairs>| make.as_ref().map(|make| make()).unwrap_or_default();
        let question = Question {
            url,
            style: self.style,
            headers: [self.headers.clone(), fresh(&self.fresh_headers)].concat(),
            fields,
            params: [self.params.clone(), fresh(&self.fresh_params)].concat(),
        };
        let request = question.request()?;
        let secrets = question.secrets();
        let answer = self.agents.send(&request)?;
        read(&answer.into_text(request::host_of(request.uri()), &secrets)?, &secrets)
    }
}

impl Authorizer for HttpAuthorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        let fields = vec![
            ("socket_id", Field::Text(request.socket_id())),
            ("channel_name", Field::Text(request.channel())),
        ];
        self.ask(&self.url(request), fields, |text, _| self.parse(text))
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

    fn use_tls(&self, tls: &Tls) {
        self.agents.use_tls(tls);
    }

    fn interrupt(&self) {
        self.agents.interrupt();
    }
}

impl fmt::Debug for HttpAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither path nor query, which may hold a token.
        let uri = request::check_url(&self.url).ok();
        f.debug_struct("HttpAuthorizer")
            .field("host", &uri.as_ref().map(request::host_of))
            .field("style", &self.style)
            .field("timeout", &self.agents.timeout)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
