//! The error of a request that failed: where, at which step, and why.

use std::error::Error as StdError;
use std::io;

#[cfg(feature = "native-tls")]
use super::secure;
use crate::config::proxy::{ProxyServer, authority};
use crate::{Error, ErrorKind, Timeout};

/// `place` names the endpoint; `proxy` is what the request goes through.
pub(super) fn failed(place: &str, proxy: Option<&ProxyServer>, error: ureq::Error) -> Error {
    // The dial names the step, and the proxy where it is about it.
    if let Some(dial) = of_dial(&error) {
        return dial.clone().at(place).with_timeout(Timeout::Auth);
    }
    let told = |kind: ErrorKind| {
        Error::message(kind, format!("{place}: {}", words(kind))).with_timeout(Timeout::Auth)
    };
    let error = match error {
        ureq::Error::Io(error) => failed_io(told, error),
        // The library's own words for the limit say nothing here.
        ureq::Error::Timeout(_) => told(ErrorKind::Timeout),
        // Its text has the URL, with the query.
        ureq::Error::BadUri(_) => told(ErrorKind::Config),
        ureq::Error::Tls(_) => told(ErrorKind::Tls).caused_by(error),
        #[cfg(any(feature = "native-tls", feature = "rustls"))]
        ureq::Error::Pem(error) => told(ErrorKind::Tls).caused_by(error),
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(error) => told(ErrorKind::Tls).caused_by(error),
        // What OpenSSL says of a connection that ends in the handshake.
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(error) if error.to_string() == "unexpected EOF" => {
            told(ErrorKind::Io).caused_by(error)
        }
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(error) => told(ErrorKind::Tls).caused_by(error),
        error => {
            let message = format!("{place}: the answer is not HTTP");
            Error::message(ErrorKind::Auth, message).caused_by(error)
        }
    };
    match proxy {
        Some(proxy) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Timeout) => {
            let proxy = authority(&proxy.host, proxy.port);
            let message = format!("{place}: {} (through the proxy {proxy})", words(error.kind()));
            error.with_message(message)
        }
        _ => error,
    }
}

fn words(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Io => "the connection failed".to_owned(),
        ErrorKind::Timeout => "the request timed out".to_owned(),
        kind => kind.to_string(),
    }
}

fn failed_io(told: impl Fn(ErrorKind) -> Error, error: io::Error) -> Error {
    #[cfg(feature = "rustls")]
    let error = match error.downcast::<rustls::Error>() {
        Ok(error) => return told(ErrorKind::Tls).caused_by(error),
        Err(error) => error,
    };
    // native-tls gives an alert that comes after the handshake as an error of I/O.
    #[cfg(feature = "native-tls")]
    if secure::is_fault(&error) {
        return told(ErrorKind::Tls).caused_by(error);
    }
    told(ErrorKind::Io).caused_by(error)
}

/// What [`carrier`](super::carrier) failed with; TLS on top of it wraps it in errors of I/O.
fn of_dial(error: &ureq::Error) -> Option<&Error> {
    let mut error: &(dyn StdError + 'static) = error;
    loop {
        if let Some(dial) = error.downcast_ref::<Error>() {
            return Some(dial);
        }
        error = match error.downcast_ref::<ureq::Error>() {
            Some(ureq::Error::Other(inner)) => &**inner,
            Some(ureq::Error::Io(inner)) => inner,
            Some(_) => return None,
            None => error.downcast_ref::<io::Error>()?.get_ref()?,
        };
    }
}
