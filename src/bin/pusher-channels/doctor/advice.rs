//! What to do about an error.

use std::error::Error as _;
use std::io;

use pusher_channels::{Error, ErrorKind};

use super::Fault;
use super::network::Speaks;
use crate::exit::FAILED;

/// By how many seconds Pusher lets the clocks differ.
const MAX_SKEW: u64 = 600;

pub(super) const ON_NAME: &str = "check the spelling of the host or the cluster, and that this device has a network and a DNS server";

/// Returns what to do about a connection that was not accepted.
pub(super) fn on_tcp(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens on this port: check that the server runs, the port, and that it listens on this address"
        }
        io::ErrorKind::TimedOut => {
            "nothing answers: a firewall drops the packets, or the address is wrong; if a proxy must be used, set --proxy"
        }
        _ => "check this device's network and routes",
    };
    advice.to_owned()
}

/// Returns what to do about an error of the library.
pub(super) fn on(error: &Error) -> String {
    let cause = error.source().and_then(|source| source.downcast_ref::<Error>());
    if let (ErrorKind::Timeout, Some(cause)) = (error.kind(), cause) {
        return on(cause);
    }
    let advice = match error.kind() {
        ErrorKind::Dns => ON_NAME,
        ErrorKind::Tls => {
            "if the certificate is that of a CA of your own, name it with --ca; if it is for another host, connect to \
             that one with --host; if it has expired or is not valid yet, renew it or set this device's clock"
        }
        ErrorKind::Proxy => {
            "check the URL and the password of the proxy, and that it permits this host and port"
        }
        ErrorKind::Handshake => on_upgrade(error.http_status()),
        ErrorKind::Server => on_code(error.close_code()),
        ErrorKind::Auth => on_auth(error.http_status()),
        ErrorKind::Config => "change the argument or the variable",
        ErrorKind::Timeout => {
            "the server accepts connections but does not respond: check that it is a WebSocket server on this port"
        }
        ErrorKind::Io | ErrorKind::Protocol => {
            "check that a server of the Pusher protocol listens on this port, and whether it wants TLS (see --plain)"
        }
        _ => "see the error",
    };
    advice.to_owned()
}

fn on_upgrade(status: Option<u16>) -> &'static str {
    match status {
        Some(401 | 403 | 407) => {
            "the server or a gateway in front of it expects a header: set it with -H, such as `-H 'Origin: https://HOST'`"
        }
        Some(404) => {
            "there is no app at this path: check the key, --path-prefix and that the port is that of the WebSocket server"
        }
        Some(301..=399) => "connect to where the server redirects, or use TLS (without --plain)",
        Some(429 | 500..=599) => {
            "the server or the gateway in front of it has a problem; see its log"
        }
        _ => "another server listens on this port: check host and port",
    }
}

fn on_code(code: Option<u16>) -> &'static str {
    match code {
        Some(4000) => "the app accepts TLS only: connect without --plain",
        Some(4001) => "no app has this key: check --key, and with Pusher the cluster",
        Some(4003) => "the app is disabled",
        Some(4004) => "the app has reached its connection limit",
        Some(4005) => "there is no app at this path: check --path-prefix",
        Some(4009) => {
            "not authorized: check the app's allowed origins (`-H 'Origin: https://HOST'`), and the secret"
        }
        Some(4301) => "sending too fast, or client events are not enabled for the app",
        _ => "see the server's log",
    }
}

fn on_auth(status: Option<u16>) -> &'static str {
    match status {
        Some(401) => {
            "log in: set the endpoint's token with --auth-header, such as `Authorization: Bearer …`"
        }
        Some(403) => {
            "the endpoint refuses: check the rules of the channel, and that the token is accepted there (with Laravel, \
             no user is logged in under the route's middleware; see `auth:sanctum`)"
        }
        Some(404 | 405) => {
            "check the URL of the endpoint; with Laravel it is `/broadcasting/auth`, and takes POST"
        }
        Some(419) => "Laravel wants a CSRF token: exempt the endpoint, or use a token of Sanctum",
        Some(300..=399) => {
            "the endpoint redirects, often to a login page: set its token with --auth-header"
        }
        Some(500..=599) => "the endpoint has failed; see its log",
        _ => {
            "the endpoint must respond with JSON like `{\"auth\":\"KEY:SIGNATURE\"}`, signed with the secret of this \
             app key; an HTML page is often a login page"
        }
    }
}

/// Returns what to do if something else speaks on the port than was expected.
pub(super) fn on_other_protocol(tls: bool, speaks: &Speaks) -> Option<&'static str> {
    match (tls, speaks) {
        (true, Speaks::Http) => Some("the port speaks HTTP without TLS: add --plain"),
        (false, Speaks::Tls) => {
            Some("the port speaks TLS: remove --plain, or set the scheme to `https`")
        }
        _ => None,
    }
}

/// Returns the fault of a clock that is ahead by so many seconds, if it is one.
pub(super) fn on_clock(ahead: i64) -> Option<Fault> {
    (ahead.unsigned_abs() > MAX_SKEW).then(|| {
        let direction = if ahead > 0 { "ahead of" } else { "behind" };
        Fault {
            code: FAILED,
            what: format!("this device is {} s {direction} the server", ahead.unsigned_abs()),
            advice: format!(
                "set the clock, for example with NTP: the HTTP API refuses requests that differ by more than {MAX_SKEW} s"
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_as_much_as_pusher_permits() {
        assert!(on_clock(600).is_none() && on_clock(-600).is_none());
        assert!(on_clock(601).unwrap().what.contains("601 s ahead"));
        assert!(on_clock(-601).unwrap().what.contains("601 s behind"));
        assert!(on_clock(i64::MIN).is_some());
    }

    #[test]
    fn a_wait_is_advised_by_its_cause() {
        let dns = Error::new(ErrorKind::Dns, "text");
        assert_eq!(on(&Error::new(ErrorKind::Timeout, dns)), ON_NAME);
    }
}
