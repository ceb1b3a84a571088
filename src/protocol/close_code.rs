//! The meaning of close codes.
//!
//! See [the error codes](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#error-codes).

use crate::error::is_permanent;

/// What the client does after a close code, of a close frame or of an error frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseClass {
    /// 4000–4099 and everything from 4300: permanent.
    Stop,
    /// 4100–4199, and RFC 6455's 1012 (service restart) and 1013 (try again later): the server is busy.
    Later,
    /// 4200–4299: the client must reconnect.
    AtOnce,
    /// All codes that the protocol does not define.
    Plain,
}

impl CloseClass {
    pub(super) fn of(code: Option<u16>) -> Self {
        match code {
            Some(code) if is_permanent(code) => Self::Stop,
            Some(1012 | 1013 | 4100..=4199) => Self::Later,
            Some(4200..=4299) => Self::AtOnce,
            _ => Self::Plain,
        }
    }
}

/// Returns what to do if the server closes or refuses a connection with this code.
pub(super) fn hint(code: Option<u16>) -> &'static str {
    match code {
        Some(4000) => "the app takes TLS connections only: connect with `wss`",
        Some(4001) => "check the app key, the cluster and the host",
        Some(4003) => "the app is disabled",
        Some(4004) => "the app is over its connection quota",
        Some(4005) => "check the path of the URL",
        Some(4006..=4008) => "check `protocol` in the query of the URL",
        Some(4009) => "check the origins that the app allows, and the sign-in",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_has_its_class() {
        for code in (0..=u16::MAX).map(Some).chain([None]) {
            let expected = match code.unwrap_or(0) {
                1012 | 1013 => CloseClass::Later,
                4000..=4099 => CloseClass::Stop,
                4100..=4199 => CloseClass::Later,
                4200..=4299 => CloseClass::AtOnce,
                4300..=4999 => CloseClass::Stop,
                _ => CloseClass::Plain,
            };
            assert_eq!(CloseClass::of(code), expected, "{code:?}");
        }
    }
}
