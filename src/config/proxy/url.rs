//! One proxy, and how its URL is read.

use std::fmt;
use std::net::Ipv6Addr;

use crate::util::secret::Secret;

/// RFC 1929 has one byte for the length of each.
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
    /// The error is the end of a sentence that begins with the URL, and shows nothing of it but the scheme: whatever
    /// is misplaced may be the password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        const SCHEMES: &str = "begins neither with http:// nor with socks5:// or socks5h://";
        let (scheme, rest) = url.split_once("://").ok_or(SCHEMES)?;
        let (protocol, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Connect, 80),
            "socks5" | "socks5h" => (Protocol::Socks5, 1080),
            "https" => {
                return Err("begins with https://, but TLS to the proxy itself is not supported; \
                            if the proxy is spoken to without TLS, write http://"
                    .to_owned());
            }
            known @ ("socks" | "socks4" | "socks4a") => {
                return Err(format!("begins with {known}://; of SOCKS there is socks5:// only"));
            }
            _ => return Err(SCHEMES.to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !matches!(path, "" | "/") {
            return Err(
                "has something behind host and port (write a / ? # of the password as %2F %3F %23)"
                    .to_owned(),
            );
        }
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        let port = match port {
            None => default_port,
            Some(port) => read_port(port)?,
        };
        let credentials = match userinfo {
            None | Some("" | ":") => None,
            Some(userinfo) => Some(Credentials::parse(userinfo, protocol)?),
        };
        Ok(Self { protocol, host: check_host(host)?, port, credentials })
    }
}

impl Credentials {
    fn parse(userinfo: &str, protocol: Protocol) -> Result<Self, String> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let (user, password) = (percent_decode(user)?, percent_decode(password)?);
        match protocol {
            Protocol::Connect if user.expose().contains(':') => {
                Err("has a user with a colon, which HTTP does not allow".to_owned())
            }
            Protocol::Socks5
                if user.expose().len().max(password.expose().len()) > MAX_CREDENTIAL =>
            {
                Err(format!(
                    "has a user or a password of more than {MAX_CREDENTIAL} bytes, the longest of SOCKS5"
                ))
            }
            Protocol::Socks5 if user.expose().is_empty() || password.expose().is_empty() => {
                Err("has a user or a password without the other, but SOCKS5 takes both or none"
                    .to_owned())
            }
            Protocol::Connect | Protocol::Socks5 => Ok(Self { user, password }),
        }
    }
}

/// What to name it by.
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

/// As it stands in a URL: an IPv6 address gets its brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn split_port(address: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("has a [ without a ]")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("has brackets around something that is no IPv6 address".to_owned());
        }
        return match port {
            "" => Ok((host, None)),
            port => Ok((host, Some(port.strip_prefix(':').ok_or("has something behind the ]")?))),
        };
    }
    match address.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("has an IPv6 address without brackets, or more than one port".to_owned())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((address, None)),
    }
}

pub(super) fn read_port(port: &str) -> Result<u16, String> {
    // The standard library would take a plus sign.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err("has a port that is not one from 1 to 65535".to_owned()),
    }
}

fn check_host(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if !host.chars().all(is_good) {
        return Err("has a host with a character that no host name has (write international names in punycode)".to_owned());
    }
    Ok(host.to_owned())
}

fn percent_decode(text: &str) -> Result<Secret, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next()).zip(digit(rest.next()));
        let value = value.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(value.ok_or("has a % without two hexadecimal digits (write % itself as %25)")?);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err("has a user or a password that is not UTF-8 when decoded".to_owned()),
    }
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
    fn urls_are_read() {
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
    fn wrong_urls_say_what_is_wrong_and_show_nothing() {
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
            ("http://", "no host"),
            ("http://:80", "no host"),
            ("http://u:canary@", "no host"),
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
            ("http://bücher", "punycode"),
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
