//! What the endpoints have in common: where they are, how they are asked, and what of it may be set.

use std::fmt::DebugStruct;
use std::sync::Arc;

use super::agents::{Agents, check_scheme};
use super::answer::Reply;
use super::request::{Field, Pairs, Question, Style, check_header, check_url, host_of, name_of};
use crate::{ClientSettings, Error, ErrorKind};

type MakePairs = Arc<dyn Fn() -> Pairs + Send + Sync>;
type MakeUrl<Q> = Arc<dyn Fn(&Q) -> String + Send + Sync>;
type Parser<A> = Arc<dyn Fn(&str) -> Result<A, Error> + Send + Sync>;

/// An endpoint that is asked `Q` and answers `A`.
#[derive(Clone)]
pub(super) struct Endpoint<Q, A> {
    /// What it is about, for messages.
    what: &'static str,
    url: String,
    pub(super) make_url: Option<MakeUrl<Q>>,
    pub(super) style: Style,
    pub(super) headers: Pairs,
    pub(super) fresh_headers: Option<MakePairs>,
    pub(super) params: Pairs,
    pub(super) fresh_params: Option<MakePairs>,
    from_json: fn(&str) -> Result<A, Error>,
    /// Instead of that.
    pub(super) parser: Option<Parser<A>>,
    pub(super) agents: Agents,
}

impl<Q, A> Endpoint<Q, A> {
    pub(super) fn new(
        what: &'static str,
        url: &str,
        from_json: fn(&str) -> Result<A, Error>,
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

    /// The same endpoint for one client.
    pub(super) fn attach(&self, client: &ClientSettings) -> Self
    where
        Self: Clone,
    {
        Self { agents: self.agents.attach(client), ..self.clone() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        // One that is made tells with the request.
        let secure = match self.make_url {
            Some(_) => false,
            None => check_scheme(&check_url(self.what, &self.url)?)?,
        };
        for (name, value) in &self.headers {
            check_header(self.what, name, value)?;
        }
        self.agents.check(secure)
    }

    pub(super) fn url(&self, request: &Q) -> String {
        match &self.make_url {
            Some(make_url) => make_url(request),
            None => self.url.clone(),
        }
    }

    /// What all requests go to, if it is always the same.
    pub(super) fn name(&self) -> Option<String> {
        let uri = check_url(self.what, &self.url).ok().filter(|_| self.make_url.is_none());
        uri.as_ref().map(name_of)
    }

    pub(super) fn answer(&self, request: &Q, fields: Vec<(&str, Field<'_>)>) -> Result<A, Error> {
        let interruptions = self.agents.interruptions();
        self.ask(&self.url(request), interruptions, fields, |reply| self.parse(reply))
    }

    /// Reads the answer to one question.
    pub(super) fn parse(&self, reply: &Reply<'_>) -> Result<A, Error> {
        let answer = match &self.parser {
            Some(parser) => parser(reply.text),
            None => (self.from_json)(reply.text).map_err(|error| explain(reply, error)),
        };
        answer.map_err(|error| error.at(reply.place))
    }

    /// Gives a 2xx answer to `read`. An interruption ends it that comes after so many.
    pub(super) fn ask<T>(
        &self,
        url: &str,
        interruptions: u64,
        fields: Vec<(&str, Field<'_>)>,
        read: impl FnOnce(&Reply<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let fresh = |make: &Option<MakePairs>| make.as_ref().map(|make| make()).unwrap_or_default();
        let question = Question {
            what: self.what,
            url,
            style: self.style,
            headers: [self.headers.clone(), fresh(&self.fresh_headers)].concat(),
            fields,
            params: [self.params.clone(), fresh(&self.fresh_params)].concat(),
        };
        let request = question.request()?;
        let secrets = question.secrets();
        let place = format!("{} at {}", self.what, name_of(request.uri()));
        self.agents.send(&request, &place, interruptions)?.read(&place, &secrets, read)
    }

    /// Neither path nor query, which may hold a token.
    pub(super) fn show<'a, 'b, 'c>(
        &self,
        out: &'c mut DebugStruct<'a, 'b>,
    ) -> &'c mut DebugStruct<'a, 'b> {
        let uri = check_url(self.what, &self.url).ok();
        out.field("host", &uri.as_ref().map(host_of))
            .field("style", &self.style)
            .field("timeout", &self.agents.timeout)
    }
}

/// What came instead of an answer that makes sense, if that is known.
pub(super) fn explain(reply: &Reply<'_>, error: Error) -> Error {
    match reply.instead_of_json() {
        Some(instead) => Error::message(ErrorKind::Auth, format!("the answer {instead}")),
        None => error,
    }
}

/// The methods of a type with an `endpoint: Endpoint<$question, $answer>`; `$sent` is what is sent anyway.
macro_rules! endpoint_setters {
    ($question:ident, $answer:ident, $sent:literal) => {
        /// Sends one more header, the same with every request. Of two with one name the later counts; one that
        /// is sent anyway (`Accept`, `Content-Type`) can be replaced.
        pub fn header(mut self, name: &str, value: &str) -> Self {
            self.endpoint.headers.push((name.to_owned(), value.to_owned()));
            self
        }

        /// Asks for more headers before every request, for tokens that change. They replace those of
        /// [`header`](Self::header) with the same name. Default: none.
        pub fn headers_with<F>(mut self, headers: F) -> Self
        where
            F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
        {
            self.endpoint.fresh_headers = Some(std::sync::Arc::new(headers));
            self
        }

        #[doc = concat!("Sends one more parameter, the same with every request, beside ", $sent, ".")]
        pub fn param(mut self, name: &str, value: &str) -> Self {
            self.endpoint.params.push((name.to_owned(), value.to_owned()));
            self
        }

        /// Asks for more parameters before every request. They come after those of [`param`](Self::param).
        /// Default: none.
        pub fn params_with<F>(mut self, params: F) -> Self
        where
            F: Fn() -> Vec<(String, String)> + Send + Sync + 'static,
        {
            self.endpoint.fresh_params = Some(std::sync::Arc::new(params));
            self
        }

        /// Sends a JSON object of strings instead of a form. Default: a form.
        pub fn json(mut self) -> Self {
            self.endpoint.style = $crate::auth::http::request::Style::Json;
            self
        }

        /// Sends a GET with everything in the URL's query, after what is there, instead of a POST. Servers and
        /// proxies tend to log URLs, so send secrets as headers. Default: a POST.
        pub fn get(mut self) -> Self {
            self.endpoint.style = $crate::auth::http::request::Style::Query;
            self
        }

        /// The longest time for one request, from the lookup of the host's name to the end of the response,
        /// including a proxy's handshake, TLS, and a second attempt with other root certificates.
        /// Default: 10 seconds; more than a day counts as a day.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.endpoint.agents.timeout = timeout;
            self
        }

        #[doc = concat!("Reads the answers of a 2xx status. Default: [`", stringify!($answer), "::from_json`].")]
        ///
        /// It gets the text without a byte order mark at its start. Its errors keep their kind and get the
        /// endpoint's name in front of their message.
        pub fn parser<F>(mut self, parser: F) -> Self
        where
            F: Fn(&str) -> Result<$answer, $crate::Error> + Send + Sync + 'static,
        {
            self.endpoint.parser = Some(std::sync::Arc::new(parser));
            self
        }

        /// Asks for the endpoint's URL before every request, instead of using that of [`new`](Self::new): for a
        /// URL that changes, or depends on the request.
        pub fn endpoint_with<F>(mut self, url: F) -> Self
        where
            F: Fn(&$question) -> String + Send + Sync + 'static,
        {
            self.endpoint.make_url = Some(std::sync::Arc::new(url));
            self
        }

        /// How TLS with `https` endpoints is made and checked. Default: as the client that uses this says; each of
        /// several clients has its own way.
        ///
        /// [`Tls`](crate::Tls) says at its setters what differs here: `server_name` and
        /// `danger_accept_invalid_hostnames` do not apply, and `min_version` is an error with native-tls.
        ///
        /// Root certificates that are given are trusted beside the platform's. Since the HTTP library takes either
        /// the ones or the others, a server may see one failed TLS handshake before the one that succeeds; which
        /// it was is remembered.
        pub fn tls(mut self, tls: $crate::Tls) -> Self {
            self.endpoint.agents.tls = Some(tls);
            self
        }

        /// Through which proxy the endpoint is asked. Default: as the client that uses this says; each of several
        /// clients has its own way. [`Proxy::none`](crate::Proxy::none) is none whatever the client has.
        /// The environment is not read unless that is [`Proxy::from_env`](crate::Proxy::from_env).
        ///
        /// The proxy is asked to connect, for `http` too, and resolves the endpoint's name. Its own handshake counts
        /// towards the [`timeout`](Self::timeout).
        pub fn proxy(mut self, proxy: $crate::Proxy) -> Self {
            self.endpoint.agents.proxy = Some(proxy);
            self
        }

        /// The longest answer that is read, in bytes. Default: 262,144 (256 KiB).
        pub fn max_body(mut self, bytes: usize) -> Self {
            self.endpoint.agents.max_body = bytes;
            self
        }

        /// Whether it is set up well, without asking the endpoint: the URL, the fixed headers, and the settings of
        /// TLS and of the proxy.
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
