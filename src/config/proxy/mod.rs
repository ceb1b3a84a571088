//! Proxy settings: which connections use which proxy.

mod no_proxy;
mod url;

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use no_proxy::Exceptions;

pub(crate) use url::{Credentials, Protocol, ProxyServer};

use crate::{Error, ErrorKind};

/// The proxy of a client's connections: an HTTP proxy, used with `CONNECT`, or a SOCKS5 proxy.
///
/// Pass it to [`ClientBuilder::proxy`](crate::ClientBuilder::proxy). By default there is none: the environment is not
/// read unless [`from_env`](Self::from_env) is called.
///
/// The proxy resolves the server's host name, with `socks5` as with `socks5h`, so a machine without name servers can
/// connect, and its own network does not learn the name. The client resolves the proxy's own name and tries all its
/// addresses. TLS is spoken with the server through the proxy, which sees no plain text of it.
///
/// # Example
///
/// ```
/// use pusher_channels::{Client, Options, Proxy};
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let proxy = Proxy::new("http://user:pass%40word@proxy.example.org:3128")?.no_proxy("localhost, 10.0.0.0/8");
/// let client = Client::builder(Options::cluster("eu", "app-key")).proxy(proxy).build()?;
///
/// // Or, as most programs do it:
/// let client = Client::builder(Options::cluster("eu", "app-key")).proxy(Proxy::from_env()).build()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A dial that the proxy refuses fails with [`ErrorKind::Proxy`]. For an HTTP proxy, [`Error::http_status`] returns the
/// status, such as 407 if it requires credentials; for a SOCKS5 proxy, the message says what it replied.
/// [`Error::is_retryable`] returns `false` for wrong credentials and for what the proxy's rules forbid, `true` for
/// transient failures. If the proxy itself cannot be reached or does not respond, the error is of kind
/// [`Dns`](ErrorKind::Dns), [`Io`](ErrorKind::Io) or [`Timeout`](ErrorKind::Timeout), and names the proxy.
///
/// The password is in no message, no log and no `Debug`. It is sent to the proxy in plain text, since both kinds of
/// proxies require that.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For `wss` and `https`.
    secure: Option<Arc<ProxyServer>>,
    /// For `ws` and `http`.
    plain: Option<Arc<ProxyServer>>,
    exceptions: Exceptions,
    /// An error in the environment.
    wrong: Option<String>,
}

impl Proxy {
    /// Uses one proxy for all connections. The URL is one of
    ///
    /// - `http://[user[:password]@]host[:port]`: an HTTP proxy, used with `CONNECT`, for `ws` and `http` too.
    ///   Credentials are sent with the scheme Basic. Default port: 80
    /// - `socks5://[user[:password]@]host[:port]` or `socks5h://…`, which are the same: a SOCKS5 proxy (RFC 1928),
    ///   with user and password (RFC 1929). Default port: 1080
    ///
    /// User and password are percent-decoded: write `@` as `%40`, `:` as `%3A`, `/` as `%2F`, `%` as `%25`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the URL is invalid. TLS to the proxy itself, `https://`, is not supported.
    pub fn new(url: &str) -> Result<Self, Error> {
        let server = Arc::new(ProxyServer::parse(url).map_err(|why| {
            Error::message(ErrorKind::Config, format!("the URL of the proxy {why}"))
        })?);
        Ok(Self { secure: Some(Arc::clone(&server)), plain: Some(server), ..Self::default() })
    }

    /// Uses no proxy. This is the default; pass it to [`HttpAuthorizer::proxy`](crate::HttpAuthorizer::proxy) if the
    /// client has a proxy that the endpoint must not use.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the proxies from the environment now, by the conventions of curl:
    ///
    /// - `https_proxy` or `HTTPS_PROXY`: for `wss` and `https`
    /// - `http_proxy` or `HTTP_PROXY`: for `ws` and `http`. Where `REQUEST_METHOD` is set, in a CGI program,
    ///   `HTTP_PROXY` is not read, since a request could have set it
    /// - `all_proxy` or `ALL_PROXY`: for those that have none of their own
    /// - `no_proxy` or `NO_PROXY`: the exceptions, see [`no_proxy`](Self::no_proxy)
    ///
    /// The lower-case name has priority, and an empty variable counts as absent. Values are as for
    /// [`new`](Self::new); one without `://` is an HTTP proxy. Without any of these variables there is no proxy.
    ///
    /// An invalid value is an error of kind [`Config`](ErrorKind::Config) of
    /// [`ClientBuilder::build`](crate::ClientBuilder::build), which names the variable.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var_os(name))
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let first_of = |names: &[&'static str]| {
            let set = |name: &&'static str| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some((*name, value))
            };
            names.iter().find_map(set)
        };
        let mut wrong = None;
        let mut server = |names: &[&'static str]| {
            let (name, value) = first_of(names)?;
            let parsed = match value.to_str() {
                Some(url) if url.contains("://") => ProxyServer::parse(url),
                Some(host) => ProxyServer::parse(&format!("http://{host}")),
                None => Err("must be valid Unicode".to_owned()),
            };
            let describe =
                |why| wrong = Some(format!("the proxy in the environment variable `{name}` {why}"));
            parsed.map_err(describe).ok().map(Arc::new)
        };
        let in_cgi = variable("REQUEST_METHOD").is_some();
        let http: &[&str] = match in_cgi {
            // On Windows the two names are one variable.
            true if cfg!(windows) => &["all_proxy", "ALL_PROXY"],
            true => &["http_proxy", "all_proxy", "ALL_PROXY"],
            false => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let secure = server(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let plain = server(http);
        let mut exceptions = Exceptions::default();
        if let Some((name, list)) = first_of(&["no_proxy", "NO_PROXY"]) {
            match list.to_str() {
                Some(list) => exceptions.add(list),
                None => {
                    wrong = Some(format!("the environment variable `{name}` must be valid Unicode"))
                }
            }
        }
        Self { secure, plain, exceptions, wrong }
    }

    /// Adds hosts that are reached without the proxy, separated by commas or spaces. Default: none; connections to this
    /// machine use the proxy too unless they are listed here.
    ///
    /// | entry | matches |
    /// |---|---|
    /// | `example.org`, `.example.org` or `*.example.org` | this host and all its subdomains |
    /// | `192.0.2.7`, `2001:db8::7` | this address, if the URL has an address and not a name |
    /// | `192.0.2.0/24`, `2001:db8::/32` | the addresses of this network, likewise |
    /// | `example.org:6001`, `192.0.2.7:6001`, `[2001:db8::7]:6001` | the same on this port only |
    /// | `*` | every host |
    ///
    /// Case is ignored. Any other entry matches nothing.
    pub fn no_proxy(mut self, hosts: &str) -> Self {
        self.exceptions.add(hosts);
        self
    }

    /// Fails if the environment had an invalid value.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.wrong {
            Some(wrong) => Err(Error::message(ErrorKind::Config, wrong.as_str())),
            None => Ok(()),
        }
    }

    /// Returns the proxy for a connection to `host`, which has no brackets.
    pub(crate) fn server_for(
        &self,
        secure: bool,
        host: &str,
        port: u16,
    ) -> Option<&Arc<ProxyServer>> {
        let server = if secure { &self.secure } else { &self.plain };
        server.as_ref().filter(|_| !self.exceptions.contain(host, port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Proxy");
        out.field("secure", &self.secure).field("plain", &self.plain);
        out.field("exceptions", &self.exceptions);
        if let Some(wrong) = &self.wrong {
            out.field("wrong", wrong);
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Proxy {
        Proxy::read(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    /// The proxies for `wss` and `ws`.
    fn chosen(proxy: &Proxy) -> [String; 2] {
        [true, false].map(|secure| {
            let server = proxy.server_for(secure, "host.test", 443);
            server.map_or_else(|| "none".to_owned(), |server| server.to_string())
        })
    }

    #[test]
    fn environment_is_read_by_scheme_and_lower_case_first() {
        let (a, b, c) = ("http://a:1", "socks5://b:2", "http://c:3");
        for (variables, secure, plain) in [
            (&[][..], "none", "none"),
            (&[("HTTPS_PROXY", a)], a, "none"),
            (&[("https_proxy", a), ("HTTPS_PROXY", b)], a, "none"),
            (&[("https_proxy", ""), ("HTTPS_PROXY", b)], b, "none"),
            (&[("HTTP_PROXY", b)], "none", b),
            (&[("http_proxy", a), ("HTTP_PROXY", b)], "none", a),
            (&[("HTTP_PROXY", b), ("REQUEST_METHOD", "GET")], "none", "none"),
            (&[("HTTP_PROXY", b), ("REQUEST_METHOD", ""), ("ALL_PROXY", a)], a, a),
            (&[("ALL_PROXY", c)], c, c),
            (&[("all_proxy", a), ("ALL_PROXY", c)], a, a),
            (&[("HTTPS_PROXY", b), ("ALL_PROXY", c)], b, c),
            (&[("HTTP_PROXY", b), ("all_proxy", c)], c, b),
            (&[("HTTPS_PROXY", "plain.test:3128")], "http://plain.test:3128", "none"),
            (&[("HTTPS_PROXY", "u:p@plain.test")], "http://plain.test:80", "none"),
        ] {
            let proxy = env(variables);
            proxy.check().unwrap();
            assert_eq!(chosen(&proxy), [secure, plain], "{variables:?}");
        }
    }

    #[cfg(not(windows))]
    #[test]
    fn lower_case_name_counts_in_a_cgi_program() {
        let proxy = env(&[("http_proxy", "http://a:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(chosen(&proxy), ["none", "http://a:1"]);
    }

    #[test]
    fn exceptions_of_environment_and_program_add_up() {
        let both = [("ALL_PROXY", "http://a:1"), ("NO_PROXY", "one.test")];
        let proxy = env(&both).no_proxy("two.test").no_proxy("three.test");
        let proxied = |host| proxy.server_for(true, host, 443).is_some();
        assert!(!proxied("one.test") && !proxied("two.test") && !proxied("three.test"));
        assert!(proxied("four.test") && proxied("localhost") && proxied("127.0.0.1"));
        let lower = env(&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "a"), ("no_proxy", "b")]);
        assert!(
            lower.server_for(true, "a", 1).is_some() && lower.server_for(true, "b", 1).is_none()
        );
    }

    #[test]
    fn invalid_environment_is_an_error_that_names_the_variable() {
        for (name, value, part) in [
            ("HTTPS_PROXY", "https://u:canary@h:1", "HTTPS_PROXY"),
            ("http_proxy", "ftp://u:canary@h:1", "http_proxy"),
            ("ALL_PROXY", "u:canary@", "must have a host"),
        ] {
            let proxy = env(&[(name, value)]);
            let error = proxy.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?} {proxy:?}");
            assert!(shown.contains(part) && !shown.contains("canary"), "{shown}");
        }
        // A variable that is not read is not an error.
        env(&[("HTTPS_PROXY", "http://a"), ("HTTP_PROXY", "http://b"), ("ALL_PROXY", "ftp://")])
            .check()
            .unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn environment_without_unicode_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        for bad in ["https_proxy", "http_proxy", "no_proxy"] {
            let proxy = Proxy::read(|name| (name == bad).then(|| OsString::from_vec(vec![0xff])));
            assert!(proxy.check().unwrap_err().to_string().contains(bad));
        }
    }

    #[test]
    fn none_is_the_default_and_equality_is_by_value() {
        assert_eq!(Proxy::none(), Proxy::default());
        assert_eq!(chosen(&Proxy::none()), ["none", "none"]);
        let new = |url| Proxy::new(url).unwrap();
        assert_eq!(new("http://u:p@a:80"), new("http://u:p@a"));
        assert_ne!(new("http://u:p@a"), new("http://u:q@a"));
        assert_ne!(new("http://u:p@a"), new("http://u:p@a").no_proxy("b"));
        assert_eq!(new("socks5://a"), new("socks5h://a"));
    }
}
