//! HTTP for what is no authorization: the same connections, time limit and interruption as those of the endpoints.

use std::time::Duration;

use ureq::http::{Method, Request, header};

use super::agents::{Agents, check_scheme};
use super::request::{check_header, check_url, set};
use super::response::HttpResponse;
use crate::{ClientSettings, Error, ErrorKind};

/// Sends requests with one client's settings.
pub(crate) struct Http {
    /// Names the requests' purpose in messages.
    what: &'static str,
    agents: Agents,
}

impl Http {
    /// Longer bodies than `max_body` bytes are an error.
    pub(crate) fn new(
        what: &'static str,
        settings: &ClientSettings,
        timeout: Duration,
        max_body: usize,
    ) -> Self {
        let mut agents = Agents::default().attach(settings);
        (agents.timeout, agents.max_body) = (timeout, max_body);
        Self { what, agents }
    }

    /// Fails if a request to this URL with these headers cannot be made.
    pub(crate) fn check(&self, url: &str, headers: &[(String, String)]) -> Result<(), Error> {
        check_scheme(&check_url(self.what, url)?)?;
        for (name, value) in headers {
            check_header(self.what, name, value)?;
        }
        self.agents.check()
    }

    /// Sends one request, a POST if it has a body, which is JSON. `place` names the server in messages.
    pub(crate) fn send(
        &self,
        url: &str,
        place: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> Result<HttpResponse, Error> {
        let interruptions = self.agents.interruptions();
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = check_url(self.what, url)?;
        let json = [header::ACCEPT, header::CONTENT_TYPE];
        let json = json.iter().map(|name| (name.as_str(), "application/json"));
        let given = headers.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in json.chain(given) {
            set(self.what, request.headers_mut(), name, value)?;
        }
        self.agents.send(&request, place, interruptions).map_err(|error| match error.kind() {
            // Nothing was authorized: the response is not HTTP.
            ErrorKind::Auth => error.with_kind(ErrorKind::Protocol),
            _ => error,
        })
    }

    /// Makes the running requests fail soon.
    pub(crate) fn interrupt(&self) {
        self.agents.interrupt();
    }
}
