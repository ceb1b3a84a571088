//! What ureq must know of a proxy, and what it tells of one.

use std::error::Error as _;
use std::io;

use crate::proxy::{Protocol, ProxyServer, authority};
use crate::{Error, ErrorKind};

pub(super) fn proxy(server: &ProxyServer) -> Result<ureq::Proxy, Error> {
    let protocol = match server.protocol {
        Protocol::Connect => ureq::ProxyProtocol::Http,
        // The proxy resolves the endpoint's name.
        Protocol::Socks5 => ureq::ProxyProtocol::Socks5h,
    };
    // It becomes part of a URL.
    let host = match &*server.host {
        ipv6 if ipv6.contains(':') => format!("[{ipv6}]"),
        host => host.to_owned(),
    };
    let mut builder = ureq::Proxy::builder(protocol).host(&host).port(server.port);
    if let Some(credentials) = &server.credentials {
        builder =
            builder.username(credentials.user.expose()).password(credentials.password.expose());
    }
    builder.build().map_err(|error| {
        let message = format!("the HTTP library does not take the proxy {server}");
        Error::message(ErrorKind::Config, message).caused_by(error)
    })
}

/// The error of a request through `server`, as it is told without one.
pub(super) fn failed(server: &ProxyServer, place: &str, error: Error) -> Error {
    let proxy = authority(&server.host, server.port);
    let source = error.source();
    if let Some(ureq::Error::ConnectProxyFailed(why)) = source.and_then(|it| it.downcast_ref()) {
        return refused(&format!("{place}: the proxy {proxy}"), why);
    }
    let cause = source.and_then(|source| source.downcast_ref::<io::Error>());
    if let Some((why, lasting)) = cause.and_then(in_socks) {
        let message = format!("{place}: the proxy {proxy} did not let it through: {why}");
        let told = Error::message(ErrorKind::Proxy, message);
        return if lasting { told.lasting() } else { told };
    }
    match error.kind() {
        ErrorKind::Dns | ErrorKind::Io | ErrorKind::Timeout => {
            let message = format!("{} (through the proxy {proxy})", error.text());
            error.with_message(message)
        }
        _ => error,
    }
}

/// Its status stands nowhere but in the text.
fn refused(proxy: &str, why: &str) -> Error {
    let status = why.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse().ok());
    let Some(status) = status else {
        let message = format!("{proxy} did not answer to CONNECT");
        return Error::message(ErrorKind::Proxy, message);
    };
    let hint = match status {
        401 | 407 => "; it wants credentials, or other ones",
        403 => "; it does not allow connections to this host",
        _ => "",
    };
    let message = format!("{proxy} refuses CONNECT with HTTP {status}{hint}");
    Error::message(ErrorKind::Proxy, message).with_http_status(status)
}

/// What ureq says of a SOCKS handshake, and whether to try again is of no use.
fn in_socks(error: &io::Error) -> Option<(String, bool)> {
    const LASTING: [&str; 5] = [
        "address kind not supported",
        "command not supported",
        "connection not allowed by ruleset",
        "no acceptable auth methods",
        "password authentication failed",
    ];
    const PASSING: [&str; 10] = [
        "connection refused",
        "general SOCKS server failure",
        "host unreachable",
        "invalid reserved byte",
        "invalid response version",
        "network unreachable",
        "TTL expired",
        "unknown auth method",
        "unknown error",
        "unsupported address type",
    ];
    let text = error.to_string();
    let lasting = LASTING.contains(&&*text);
    (lasting || PASSING.contains(&&*text)).then_some((text, lasting))
}
