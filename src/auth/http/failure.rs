//! Converts ureq's errors: where, at which step and why a request failed.

use std::error::Error as StdError;
use std::io;

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
        ureq::Error::Io(error) => of_kind(ErrorKind::Io).caused_by(error),
        // The library's name for the limit means nothing to users.
        ureq::Error::Timeout(_) => of_kind(ErrorKind::Timeout),
        // Its text contains the URL with the query.
        ureq::Error::BadUri(_) => of_kind(ErrorKind::Config),
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

/// Returns the error of the [`connector`](super::connector), of a dial or inside an I/O error.
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
