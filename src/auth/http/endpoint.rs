//! What all endpoints have in common: their URL, the form of their requests, and their settings.

use std::fmt::DebugStruct;
use std::sync::Arc;

use ureq::http::Uri;

use super::agents::{Agents, check_scheme};
use super::request::{Field, Pairs, RequestParts, Style, check_header, check_url, name_of};
use super::response::ResponseText;
use crate::auth::invalid;
use crate::{ClientSettings, Error};

type MakePairs = Arc<dyn Fn() -> Pairs + Send + Sync>;
type MakeUrl<Q> = Arc<dyn Fn(&Q) -> String + Send + Sync>;
type Parser<R> = Arc<dyn Fn(&str) -> Result<R, Error> + Send + Sync>;

/// An endpoint with requests `Q` and responses `R`.
#[derive(Clone)]
pub(super) struct Endpoint<Q, R> {
    /// Its purpose, for messages.
    what: &'static str,
    url: String,
    /// Takes precedence over the URL.
    pub(super) make_url: Option<MakeUrl<Q>>,
    pub(super) style: Style,
    pub(super) headers: Pairs,
    pub(super) fresh_headers: Option<MakePairs>,
    pub(super) params: Pairs,
    pub(super) fresh_params: Option<MakePairs>,
    from_json: fn(&str) -> Result<R, Error>,
    /// Takes precedence over `from_json`.
    pub(super) parser: Option<Parser<R>>,
    pub(super) agents: Agents,
}

impl<Q, R> Endpoint<Q, R> {
    pub(super) fn new(
        what: &'static str,
        url: &str,
        from_json: fn(&str) -> Result<R, Error>,
    ) -> Self {
        Self {
            what,
            url: url.to_owned(),
            make_url: None,
            style: Style::Form,
            headers: Vec::new(),
            fresh_headers: None,
            params: Vec::new(),
            fresh_params: None,
            from_json,
            parser: None,
            agents: Agents::default(),
        }
    }

    /// Returns the same endpoint for one client.
    pub(super) fn attach(&self, client: &ClientSettings) -> Self
    where
        Self: Clone,
    {
        Self { agents: self.agents.attach(client), ..self.clone() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        // A URL made by a function is checked with each request.
        if self.make_url.is_none() {
            check_scheme(&check_url(self.what, &self.url)?)?;
        }
        for (name, value) in &self.headers {
            check_header(self.what, name, value)?;
        }
        self.agents.check()
    }

    pub(super) fn url(&self, request: &Q) -> String {
        match &self.make_url {
            Some(make_url) => make_url(request),
            None => self.url.clone(),
        }
    }

    /// Returns the host and port of all requests, if they are always the same.
    pub(super) fn name(&self) -> Option<String> {
        let uri = check_url(self.what, &self.url).ok().filter(|_| self.make_url.is_none());
        uri.as_ref().map(name_of)
    }

    /// Sends one request and reads its response. Fails if there have been more interruptions than these.
    pub(super) fn call(
        &self,
        request: &Q,
        interruptions: u64,
        fields: Vec<(&str, Field<'_>)>,
    ) -> Result<R, Error> {
        self.send(&self.url(request), interruptions, fields, |text| self.parse(text))
    }

    /// Reads the response to one request.
    pub(super) fn parse(&self, text: &ResponseText<'_>) -> Result<R, Error> {
        let response = match &self.parser {
            Some(parser) => parser(text.text),
            None => (self.from_json)(text.text).map_err(|error| explain(text, error)),
        };
        response.map_err(|error| error.at(text.place))
    }

    /// Passes a 2xx response to `read`. Fails if there have been more interruptions than these.
    pub(super) fn send<T>(
        &self,
        url: &str,
        interruptions: u64,
        fields: Vec<(&str, Field<'_>)>,
        read: impl FnOnce(&ResponseText<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let fresh = |make: &Option<MakePairs>| make.as_ref().map(|make| make()).unwrap_or_default();
        let parts = RequestParts {
            what: self.what,
            url,
            style: self.style,
            headers: [self.headers.clone(), fresh(&self.fresh_headers)].concat(),
            fields,
            params: [self.params.clone(), fresh(&self.fresh_params)].concat(),
        };
        let request = parts.request()?;
        let place = format!("{} at {}", self.what, name_of(request.uri()));
        self.agents.send(&request, &place, interruptions)?.read(&place, &parts.secrets(), read)
    }

    /// Shows neither path nor query, which may contain a token.
    pub(super) fn show<'a, 'b, 'c>(
        &self,
        out: &'c mut DebugStruct<'a, 'b>,
    ) -> &'c mut DebugStruct<'a, 'b> {
        let uri = check_url(self.what, &self.url).ok();
        out.field("host", &uri.as_ref().and_then(Uri::host))
            .field("style", &self.style)
            .field("timeout", &self.agents.timeout)
    }
}

/// Names what came instead of JSON in place of the error, if that is known.
pub(super) fn explain(text: &ResponseText<'_>, error: Error) -> Error {
    text.instead_of_json().map_or(error, |instead| invalid(&instead))
}

/// The methods of a type with an `endpoint: Endpoint<$request, $response>`; `$sent` names what every request has.
macro_rules! endpoint_setters {
    ($request:ident, $response:ident, $sent:literal) => {
        /// Adds a header to every request. It replaces an earlier one of the same name, `Accept` and `Content-Type`
        /// included.
        pub fn header(mut self, name: &str, value: &str) -> Self {
            self.endpoint.headers.push((name.to_owned(), value.to_owned()));
            self
        }

        /// Calls `headers` before every request for more headers, for tokens that change. They replace those of
        /// [`header`](Self::header) with the same name. Default: none.
        pub fn headers_with<F>(mut self, headers: F) -> Self
        where
            F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
        {
            self.endpoint.fresh_headers = Some(std::sync::Arc::new(headers));
            self
        }

        #[doc = concat!("Adds a parameter to every request, after ", $sent, ".")]
        pub fn param(mut self, name: &str, value: &str) -> Self {
            self.endpoint.params.push((name.to_owned(), value.to_owned()));
            self
        }

        /// Calls `params` before every request for more parameters. They come after those of [`param`](Self::param).
        /// Default: none.
        pub fn params_with<F>(mut self, params: F) -> Self
        where
            F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
        {
            self.endpoint.fresh_params = Some(std::sync::Arc::new(params));
            self
        }

        /// Sends a JSON object of strings. Default: a form.
        pub fn json(mut self) -> Self {
            self.endpoint.style = $crate::auth::http::request::Style::Json;
            self
        }

        /// Sends a GET with all parameters in the URL's query, after those that it has already. Servers and proxies
        /// often log URLs, so send secrets as headers. Default: a POST.
        pub fn get(mut self) -> Self {
            self.endpoint.style = $crate::auth::http::request::Style::Query;
            self
        }

        /// Sets the timeout of one request, from resolving the host name to the end of the response. It includes
        /// the handshakes of the proxy and of TLS. Default: 10 seconds; at most one day.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.endpoint.agents.timeout = timeout;
            self
        }

        #[doc = concat!("Reads the 2xx responses with `parser`. Default: [`", stringify!($response), "::from_json`].")]
        ///
        /// The text is passed without a byte order mark at its start. The parser's errors keep their kind, and their
        /// messages begin with the endpoint's name.
        pub fn parser<F>(mut self, parser: F) -> Self
        where
            F: Fn(&str) -> Result<$response, $crate::Error> + Send + Sync + 'static,
        {
            self.endpoint.parser = Some(std::sync::Arc::new(parser));
            self
        }

        /// Calls `url` before every request for the endpoint's URL, which replaces that of [`new`](Self::new). For
        /// URLs that change or depend on the request.
        pub fn url_with<F>(mut self, url: F) -> Self
        where
            F: Fn(&$request) -> String + Send + Sync + 'static,
        {
            self.endpoint.make_url = Some(std::sync::Arc::new(url));
            self
        }

        /// Renamed to [`url_with`](Self::url_with).
        #[deprecated(since = "0.2.0", note = "use `url_with`")]
        pub fn endpoint_with<F>(self, url: F) -> Self
        where
            F: Fn(&$request) -> String + Send + Sync + 'static,
        {
            self.url_with(url)
        }

        /// Sets how TLS connections to `https` endpoints are made. Default: the settings of the client that uses this,
        /// without its [`server_name`](crate::Tls::server_name), which is that of another host; each of several clients
        /// uses its own.
        ///
        /// The client's settings also share its trusted roots. Settings of its own load them once more.
        pub fn tls(mut self, tls: $crate::Tls) -> Self {
            let tls = $crate::transport::SharedTls::new(tls);
            self.endpoint.agents.tls = Some(std::sync::Arc::new(tls));
            self
        }

        /// Sets the proxy for the endpoint. Default: that of the client that uses this; each of several clients uses
        /// its own. [`Proxy::none`](crate::Proxy::none) connects directly, whatever the client's proxy is. The
        /// environment is read only with [`Proxy::from_env`](crate::Proxy::from_env).
        ///
        /// Requests go through a tunnel of the proxy, for `http` too, and the proxy resolves the endpoint's name. Its
        /// handshake counts towards the [`timeout`](Self::timeout).
        pub fn proxy(mut self, proxy: $crate::Proxy) -> Self {
            self.endpoint.agents.proxy = Some(proxy);
            self
        }

        /// Sets the maximum length of a response's body, in bytes. Default: 262,144 (256 KiB).
        pub fn max_body(mut self, bytes: usize) -> Self {
            self.endpoint.agents.max_body = bytes;
            self
        }

        /// Checks the URL, the fixed headers, and the TLS and proxy settings, without a request.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`](crate::ErrorKind::Config).
        pub fn check(&self) -> Result<(), $crate::Error> {
            self.endpoint.check()
        }
    };
}
pub(super) use endpoint_setters;
