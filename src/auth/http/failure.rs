//! Converts ureq's errors: where, at which step and why a request failed.

use std::error::Error as StdError;
use std::io;

#[cfg(feature = "native-tls")]
use super::secure;
use crate::config::proxy::ProxyServer;
use crate::util::url::authority;
use crate::{Error, ErrorKind, Timeout};

/// `place` names the endpoint.
pub(super) fn failed(place: &str, proxy: Option<&ProxyServer>, error: ureq::Error) -> Error {
    // It names the step, and the proxy if that is the cause.
    if let Some(dial) = dial_error(&error) {
        return dial.clone().at(place).with_timeout(Timeout::Auth);
    }
    let of_kind = |kind: ErrorKind| {
        Error::message(kind, format!("{place}: {}", text(kind))).with_timeout(Timeout::Auth)
    };
    let error = match error {
        ureq::Error::Io(error) => failed_io(of_kind, error),
        // The library's name for the limit means nothing to users.
        ureq::Error::Timeout(_) => of_kind(ErrorKind::Timeout),
        // Its text contains the URL with the query.
        ureq::Error::BadUri(_) => of_kind(ErrorKind::Config),
        ureq::Error::Tls(_) => of_kind(ErrorKind::Tls).caused_by(error),
        #[cfg(any(feature = "native-tls", feature = "rustls"))]
        ureq::Error::Pem(error) => of_kind(ErrorKind::Tls).caused_by(error),
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(error) => of_kind(ErrorKind::Tls).caused_by(error),
        // OpenSSL's text if the connection ends during the handshake.
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(error) if error.to_string() == "unexpected EOF" => {
            of_kind(ErrorKind::Io).caused_by(error)
        }
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(error) => of_kind(ErrorKind::Tls).caused_by(error),
        error => {
            let message = format!("{place}: the response is not HTTP");
            Error::message(ErrorKind::Auth, message).caused_by(error)
        }
    };
    match proxy {
        Some(proxy) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Timeout) => {
            let proxy = authority(&proxy.host, proxy.port);
            let message = format!("{place}: {} (through the proxy {proxy})", text(error.kind()));
            error.with_message(message)
        }
        _ => error,
    }
}

fn text(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Io => "the connection failed".to_owned(),
        ErrorKind::Timeout => "the request timed out".to_owned(),
        kind => kind.to_string(),
    }
}

fn failed_io(of_kind: impl Fn(ErrorKind) -> Error, error: io::Error) -> Error {
    #[cfg(feature = "rustls")]
    let error = match error.downcast::<rustls::Error>() {
        Ok(error) => return of_kind(ErrorKind::Tls).caused_by(error),
        Err(error) => error,
    };
    // native-tls returns an alert after the handshake as an I/O error.
    #[cfg(feature = "native-tls")]
    if secure::is_fault(&error) {
        return of_kind(ErrorKind::Tls).caused_by(error);
    }
    of_kind(ErrorKind::Io).caused_by(error)
}

/// Returns the error of the [`connector`](super::connector); TLS on top of it wraps it in I/O errors.
fn dial_error(error: &ureq::Error) -> Option<&Error> {
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
