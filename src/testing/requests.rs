//! The requests that the auth endpoints have received, and the faults that they simulate.

use std::fmt;
use std::time::Duration;

use super::http::{Request, find_header};
use super::recording::Recording;

const MAX_RECORDED: usize = 10_000;

/// A request to one of the auth endpoints; [`target`](Self::target) says which. See
/// [`Server::auth_requests`](super::Server::auth_requests).
#[derive(Clone)]
pub struct AuthRecord {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    socket_id: Option<String>,
    channels: Vec<String>,
}

impl AuthRecord {
    pub(super) fn new(request: &Request, socket_id: Option<String>, channels: Vec<String>) -> Self {
        Self {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            socket_id,
            channels,
        }
    }

    /// In bytes.
    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        self.target.len() + headers.sum::<usize>() + self.body.len()
    }

    /// Returns the method, such as `POST`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the path with its query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the headers in the order and spelling in which they were sent.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns the value of the first header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Returns the body as it was sent; empty if there was none.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Returns the socket id of the request, if it has a valid one.
    pub fn socket_id(&self) -> Option<&str> {
        self.socket_id.as_deref()
    }

    /// Returns the channels of the request: several for a batch, none for a sign-in.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }
}

/// Without the headers and the body, which may carry secrets of the app.
impl fmt::Debug for AuthRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRecord")
            .field("method", &self.method)
            .field("socket_id", &self.socket_id)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

pub(super) struct Requests {
    pub(super) delay: Duration,
    /// The status of all responses.
    pub(super) status: Option<u16>,
    /// The status of this many responses; precedes [`status`](Self::status).
    pub(super) next: Option<(usize, u16)>,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Option<String>,
    recorded: Recording<AuthRecord>,
    count: usize,
    user_count: usize,
}

/// The fault of one response.
pub(super) struct Fault {
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Option<String>,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            delay: Duration::ZERO,
            status: None,
            next: None,
            retry_after: None,
            body: None,
            recorded: Recording::new(MAX_RECORDED),
            count: 0,
            user_count: 0,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many of them were sign-ins.
    pub(super) fn user_count(&self) -> usize {
        self.user_count
    }

    pub(super) fn recorded(&self) -> Vec<AuthRecord> {
        self.recorded.all()
    }

    pub(super) fn receive(&mut self, record: AuthRecord, is_signin: bool) -> Fault {
        self.count += 1;
        self.user_count += usize::from(is_signin);
        let bytes = record.size();
        self.recorded.push(record, bytes);
        let next = self.next.as_mut().filter(|(left, _)| *left > 0);
        let next = next.map(|(left, status)| {
            *left -= 1;
            *status
        });
        let status = next.or(self.status).filter(|status| *status != 200);
        Fault { status, retry_after: self.retry_after, body: self.body.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_limited_by_all_that_they_hold() {
        let mut requests = Requests::new();
        let long = || "x".repeat(1024 * 1024);
        for number in 0..70 {
            let request = Request {
                method: "POST".to_owned(),
                target: if number % 2 == 0 { long() } else { String::new() },
                headers: if number % 2 == 0 { Vec::new() } else { vec![("a".into(), long())] },
                body: Vec::new(),
                keeps_alive: true,
            };
            requests.receive(AuthRecord::new(&request, None, Vec::new()), false);
        }
        assert_eq!((requests.count(), requests.recorded().len()), (70, 63));
    }
}
