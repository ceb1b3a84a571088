//! One proxy, parsed from its URL.

use std::fmt;

use crate::util::secret::Secret;
use crate::util::url::{NEEDS_HOST, authority, is_host_name, percent_decode, split_port};

/// RFC 1929 has one byte for each length.
const MAX_CREDENTIAL: usize = 255;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP, method CONNECT.
    Connect,
    Socks5,
}

#[derive(PartialEq, Eq)]
pub(crate) struct ProxyServer {
    pub(crate) protocol: Protocol,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

pub(crate) struct Credentials {
    pub(crate) user: Secret,
    pub(crate) password: Secret,
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.user.expose() == other.user.expose()
            && self.password.expose() == other.password.expose()
    }
}

impl Eq for Credentials {}

impl ProxyServer {
    /// The error is the end of a sentence about the URL. It shows nothing of the URL but the scheme: whatever is
    /// misplaced may be the password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        const SCHEMES: &str = "must begin with `http://`, `socks5://` or `socks5h://`";
        let (scheme, rest) = url.split_once("://").ok_or(SCHEMES)?;
        let (protocol, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Connect, 80),
            "socks5" | "socks5h" => (Protocol::Socks5, 1080),
            "https" => {
                return Err("must not begin with `https://`, since TLS to the proxy itself is not supported; \
                            write `http://` if the proxy accepts plain connections"
                    .to_owned());
            }
            known @ ("socks" | "socks4" | "socks4a") => {
                return Err(format!(
                    "must not begin with `{known}://`, only `socks5://` is supported"
                ));
            }
            _ => return Err(SCHEMES.to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !matches!(path, "" | "/") {
            return Err(
                "must have nothing behind host and port; write `/`, `?` and `#` of a password as \
                        %2F, %3F and %23"
                    .to_owned(),
            );
        }
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        if host.is_empty() {
            return Err(NEEDS_HOST.to_owned());
        }
        // The colons are those of an IPv6 address.
        if !host.contains(':') && !is_host_name(host) {
            return Err("must have a host of letters, digits, `-`, `.` and `_`; write international names in Punycode"
                .to_owned());
        }
        let credentials = match userinfo {
            None | Some("" | ":") => None,
            Some(userinfo) => Some(Credentials::parse(userinfo, protocol)?),
        };
        Ok(Self {
            protocol,
            host: host.to_owned(),
            port: port.unwrap_or(default_port),
            credentials,
        })
    }
}

impl Credentials {
    fn parse(userinfo: &str, protocol: Protocol) -> Result<Self, String> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let (user, password) = (decode(user)?, decode(password)?);
        match protocol {
            Protocol::Connect if user.expose().contains(':') => {
                Err("must not have a colon in the user name, which HTTP does not allow".to_owned())
            }
            Protocol::Socks5
                if user.expose().len().max(password.expose().len()) > MAX_CREDENTIAL =>
            {
                Err(format!(
                    "must have a user name and a password of at most {MAX_CREDENTIAL} bytes each, the limit of SOCKS5"
                ))
            }
            Protocol::Socks5 if user.expose().is_empty() || password.expose().is_empty() => {
                Err("must have a user name and a password, or neither: SOCKS5 takes both or none"
                    .to_owned())
            }
            Protocol::Connect | Protocol::Socks5 => Ok(Self { user, password }),
        }
    }
}

/// Names the proxy in messages, without credentials.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Connect => "http",
            Protocol::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.credentials.is_some() { " with credentials" } else { "" };
        write!(f, "{self}{credentials}")
    }
}

fn decode(text: &str) -> Result<Secret, String> {
    String::from_utf8(percent_decode(text)?)
        .map(Secret::new)
        .map_err(|_| "must have a user name and a password that decode to UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(url: &str) -> Option<(String, String)> {
        let server = ProxyServer::parse(url).unwrap();
        let shown = format!("{server} {server:?}");
        assert!(!shown.contains("user") && !shown.contains("pass"), "{shown}");
        let owned = |secret: Secret| secret.expose().to_owned();
        server.credentials.map(|it| (owned(it.user), owned(it.password)))
    }

    #[test]
    fn url_is_parsed() {
        for (url, read) in [
            ("http://h:3128", "http://h:3128"),
            ("HTTP://Proxy.Example:1/", "http://Proxy.Example:1"),
            ("http://h", "http://h:80"),
            ("socks5://h", "socks5://h:1080"),
            ("socks5h://u:p@1.2.3.4:65535/", "socks5://1.2.3.4:65535"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://u@[::1]", "http://[::1]:80"),
        ] {
            assert_eq!(ProxyServer::parse(url).unwrap().to_string(), read, "{url}");
        }
        assert_eq!(ProxyServer::parse("http://[::1]").unwrap().host, "::1");
    }

    #[test]
    fn credentials_are_decoded_once() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (url, read) in [
            ("http://h", None),
            ("http://@h", None),
            ("http://:@h", None),
            ("http://user@h", pair("user", "")),
            ("http://user:pass@h", pair("user", "pass")),
            ("http://user:p:a:s:s@h", pair("user", "p:a:s:s")),
            ("http://us@er:pass@h", pair("us@er", "pass")),
            ("socks5://us%3Aer:p%40ss%2f%25%34+@h", pair("us:er", "p@ss/%4+")),
            ("http://%C3%BCser:p%c3%a4ss@h", pair("üser", "päss")),
            ("http://:pass@h", pair("", "pass")),
        ] {
            assert_eq!(credentials(url), read, "{url}");
        }
        assert!(credentials(&format!("socks5://{}:p@h", "u".repeat(255))).is_some());
    }

    #[test]
    fn invalid_url_is_explained_and_not_shown() {
        let long = format!("socks5://canary:{}@h", "p".repeat(256));
        for (url, part) in [
            ("", "http://"),
            ("canary", "http://"),
            ("h:80", "http://"),
            ("canary:canary@h:80", "http://"),
            ("canary://h", "http://"),
            ("ftp://u:canary@h", "http://"),
            ("https://u:canary@h", "not supported"),
            ("socks4://u:canary@h", "socks5"),
            ("http://", NEEDS_HOST),
            ("http://:80", NEEDS_HOST),
            ("http://u:canary@", NEEDS_HOST),
            ("http://u:canary@h/path", "behind"),
            ("http://u:can/ary@h", "%2F"),
            ("http://h?canary", "behind"),
            ("http://h#canary", "behind"),
            ("http://u:canary@h:", "port"),
            ("http://u:canary@h:0", "port"),
            ("http://u:canary@h:+1", "port"),
            ("http://u:canary@h:65536", "port"),
            ("http://::1", "brackets"),
            ("http://[canary]", "brackets"),
            ("http://[::1", "["),
            ("http://[::1]80", "]"),
            ("http://canary canary", "host"),
            ("http://bücher", "Punycode"),
            ("http://u:canary\r\n@h\r\nx", "host"),
            ("http://u:canary%@h", "%25"),
            ("http://u:canary%4@h", "%25"),
            ("http://u:canary%+4@h", "%25"),
            ("http://u:canary%ff@h", "UTF-8"),
            ("http://canary%3Ax:p@h", "colon"),
            (&long, "255"),
            ("socks5://canary@h", "both or none"),
            ("socks5://:canary@h", "both or none"),
        ] {
            let error = ProxyServer::parse(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("canary"), "{url}: {error}");
        }
    }
}
