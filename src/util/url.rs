//! URLs, hosts and ports: split, checked, encoded. An error shows nothing of a URL but its scheme, since keys, tokens
//! and passwords may stand anywhere in it.

use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tungstenite::http::Uri;

use crate::{Error, ErrorKind};

pub(crate) const NEEDS_HOST: &str = "must have a host";
pub(crate) const NEEDS_PORT: &str = "must have a port from 1 to 65535";

/// A URL with a host.
pub(crate) struct Url {
    pub(crate) uri: Uri,
    /// Over TLS.
    pub(crate) secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Url {
    /// Parses a URL of the scheme `plain` or, over TLS, `secure`. Errors call it `what`.
    pub(crate) fn parse(what: &str, url: &str, [plain, secure]: [&str; 2]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::message(ErrorKind::Config, format!("{what} {why}"));
        let uri: Uri = url.parse().map_err(|error| {
            wrong(&format!("is invalid; it must look like `{secure}://host/path`"))
                .caused_by(Box::new(error))
        })?;
        let is_secure = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case(secure) => true,
            Some(scheme) if scheme.eq_ignore_ascii_case(plain) => false,
            _ => return Err(wrong(&format!("must begin with `{plain}://` or `{secure}://`"))),
        };
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if authority.contains('@') {
            return Err(wrong("must not have a user name; set a header `Authorization` instead"));
        }
        let in_brackets = uri.host().unwrap_or_default();
        let host = without_brackets(in_brackets).to_owned();
        if host.is_empty() {
            return Err(wrong(NEEDS_HOST));
        }
        // `Uri` takes a port that is no number from 0 to 65535 for none.
        let port = match uri.port_u16() {
            Some(port) if port != 0 => port,
            None if authority == in_brackets => default_port(is_secure),
            _ => return Err(wrong(NEEDS_PORT)),
        };
        Ok(Self { uri, secure: is_secure, host, port })
    }
}

pub(crate) fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Returns the scheme (RFC 3986, section 3.1).
pub(crate) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_part))
        .then_some(scheme)
}

/// Removes the brackets of an IPv6 address.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Joins host and port as in a URL: an IPv6 address gets brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Splits host and port, the reverse of [`authority`]. The error is the end of a sentence.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, rest) = match authority.strip_prefix('[') {
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        Some(rest) => {
            let (host, rest) =
                rest.split_once(']').ok_or("must close the `[` of its host with a `]`")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("must have nothing but an IPv6 address in brackets");
            }
            (host, rest)
        }
    };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        None => Err("must have nothing but a port after the `]` of its host"),
        Some(port) if port.contains(':') => {
            Err("must have one port, and brackets around an IPv6 address")
        }
        Some(port) => Ok((host, Some(read_port(port)?))),
    }
}

pub(crate) fn read_port(port: &str) -> Result<u16, &'static str> {
    // The standard library accepts a plus sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0).ok_or(NEEDS_PORT)
}

/// Returns `true` if all characters may stand in a host name.
pub(crate) fn is_host_name(host: &str) -> bool {
    host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// Encodes a part of a path or a query (RFC 3986, section 2.1).
pub(crate) fn percent_encode(text: &str, into: &mut String) {
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    into.extend(utf8_percent_encode(text, RESERVED));
}

/// Decodes what [`percent_encode`] encodes. The error is the end of a sentence.
pub(crate) fn percent_decode(text: &str) -> Result<Vec<u8>, &'static str> {
    let is_escaped = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if text.split('%').skip(1).all(is_escaped) {
        return Ok(percent_decode_str(text).collect());
    }
    Err("must have two hexadecimal digits after each `%`; write `%` itself as %25")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: [&str; 2] = ["http", "https"];

    #[test]
    fn url_is_split_into_scheme_host_and_port() {
        for (url, secure, host, port) in [
            ("http://h", false, "h", 80),
            ("https://h/p?q", true, "h", 443),
            ("HTTPS://H.test:8443", true, "H.test", 8443),
            ("http://[::1]:65535/", false, "::1", 65535),
            ("https://[fe80::1]", true, "fe80::1", 443),
            ("http://1.2.3.4:1", false, "1.2.3.4", 1),
        ] {
            let parsed = Url::parse("the URL", url, HTTP).unwrap();
            assert_eq!((parsed.secure, &*parsed.host, parsed.port), (secure, host, port), "{url}");
        }
    }

    #[test]
    fn invalid_url_is_explained_and_not_shown() {
        for (url, why) in [
            ("", "is invalid; it must look like `https://host/path`"),
            ("http://canary canary", "is invalid; it must look like `https://host/path`"),
            ("canary", "must begin with `http://` or `https://`"),
            ("ws://canary", "must begin with `http://` or `https://`"),
            ("/canary", "must begin with `http://` or `https://`"),
            (
                "http://u:canary@h",
                "must not have a user name; set a header `Authorization` instead",
            ),
            ("http://[]/canary", NEEDS_HOST),
            ("http://h:0/canary", NEEDS_PORT),
            ("http://h:/canary", NEEDS_PORT),
            ("http://[::1]:/canary", NEEDS_PORT),
            ("http://h:65536/canary", NEEDS_PORT),
        ] {
            let error = Url::parse("the URL", url, HTTP).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string(), format!("the URL {why}"), "{url}");
            assert!(!format!("{error:?} {error:#}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn authority_is_joined_and_split() {
        for (host, port, text) in
            [("h", 1, "h:1"), ("::1", 80, "[::1]:80"), ("1.2.3.4", 443, "1.2.3.4:443")]
        {
            assert_eq!(authority(host, port), text);
            assert_eq!(split_port(text), Ok((host, Some(port))));
        }
        assert_eq!(split_port("h"), Ok(("h", None)));
        assert_eq!(split_port("[::1]"), Ok(("::1", None)));
        for wrong in ["::1", "[::1", "[h]", "[::1]80", "h:", "h:0", "h:+1", "h:65536", "h:1:2"] {
            assert!(split_port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn brackets_are_removed_in_pairs() {
        for (host, bare) in [("[::1]", "::1"), ("::1", "::1"), ("[::1", "[::1"), ("h", "h")] {
            assert_eq!(without_brackets(host), bare);
        }
    }

    #[test]
    fn percent_encoding_is_reversible() {
        let mut encoded = String::new();
        percent_encode("a b/ü%~", &mut encoded);
        assert_eq!(encoded, "a%20b%2F%C3%BC%25~");
        assert_eq!(percent_decode(&encoded).unwrap(), "a b/ü%~".as_bytes());
        assert_eq!(percent_decode("%2f%ff+").unwrap(), b"/\xff+");
        for wrong in ["%", "%2", "%+4", "%g0", "%%41", "a%é"] {
            assert!(percent_decode(wrong).is_err(), "{wrong}");
        }
    }
}
