//! Lets web pages of other origins use the server: Cross-Origin Resource Sharing.

use super::http::{Request, Response};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: &str = "600";

/// The response to a browser that asks before it sends a request; `None` for any other request.
pub(super) fn preflight(request: &Request) -> Option<Response> {
    request.header("access-control-request-method").filter(|_| request.method == "OPTIONS")?;
    let mut response = Response::text(200, String::new());
    allow(&mut response, request.header("origin")?);
    let mut add = |name, value: &str| response.headers.push((name, value.to_owned()));
    add("Access-Control-Allow-Methods", "GET, POST");
    add("Access-Control-Max-Age", MAX_AGE);
    // With credentials `*` is no wildcard, so the headers are named.
    if let Some(headers) = request.header("access-control-request-headers") {
        add("Access-Control-Allow-Headers", headers);
    }
    if request.has_token("access-control-request-private-network", "true") {
        add("Access-Control-Allow-Private-Network", "true");
    }
    Some(response)
}

/// Lets a page of this origin read the response, with credentials.
pub(super) fn allow(response: &mut Response, origin: &str) {
    response.headers.push(("Access-Control-Allow-Origin", origin.to_owned()));
    response.headers.push(("Access-Control-Allow-Credentials", "true".to_owned()));
    response.headers.push(("Vary", "Origin".to_owned()));
}
