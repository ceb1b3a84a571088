//! Where to connect: the options of a client.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::util::url::{Url, default_port, is_host_name, percent_encode, scheme, without_brackets};
use crate::{Error, ErrorKind};

type Resolve = dyn Fn(&Metadata) -> String + Send + Sync;

/// Where to connect: to a cluster of Pusher, a host of your own, or a URL, which may come from a function.
///
/// Invalid values do not panic here. They are an error of [`to_url`](Self::to_url),
/// [`Client::new`](crate::Client::new) and [`ClientBuilder::build`](crate::ClientBuilder::build).
///
/// # Example
///
/// ```
/// use pusher_channels::Options;
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let options = Options::host("push.example.org", "app-key").port(6001).path_prefix("ws").without_metadata();
/// assert_eq!(options.to_url()?, "wss://push.example.org:6001/ws/app/app-key");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Options {
    target: Target,
    tls: Option<bool>,
    port: Option<u16>,
    domain: Option<String>,
    path_prefix: Option<String>,
    /// `Some(None)`: leave it out.
    metadata: Option<Option<Metadata>>,
}

#[derive(Clone)]
enum Target {
    Cluster { cluster: String, key: String },
    Host { host: String, key: String },
    Url(String),
    Custom(Arc<Resolve>),
}

/// The description of the client that is sent to the server, in the query of the URL.
///
/// Default: `pusher-channels-rust`, this crate's version, protocol 7.
#[expect(
    clippy::exhaustive_structs,
    reason = "users write it as a literal; the protocol has no more fields"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The client's name.
    pub client: String,
    /// The client's version.
    pub version: String,
    /// The protocol's version. This library speaks 7.
    pub protocol: u8,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            client: "pusher-channels-rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: 7,
        }
    }
}

impl Options {
    /// Connects to a cluster of Pusher's own service: `wss://ws-{cluster}.pusher.com:443/app/{key}?…`.
    pub fn cluster(cluster: &str, key: &str) -> Self {
        Self::to(Target::Cluster { cluster: cluster.to_owned(), key: key.to_owned() })
    }

    /// Connects to a server of your own: `wss://{host}:443/app/{key}?…`. The host is a name, an IPv4 or an IPv6
    /// address.
    #[doc(alias = "wsHost")]
    pub fn host(host: &str, key: &str) -> Self {
        Self::to(Target::Host { host: host.to_owned(), key: key.to_owned() })
    }

    /// Connects to a URL, used as it is. The setters do not apply to it, and nothing is added: write `?protocol=7`
    /// yourself, since Pusher refuses a connection without it (close code 4008).
    ///
    /// The built-in WebSocket accepts the schemes `ws` and `wss`, a [`Connector`](crate::Connector) of your own any
    /// scheme (`unix:///run/pusher.sock`).
    pub fn url(url: &str) -> Self {
        Self::to(Target::Url(url.to_owned()))
    }

    /// Connects to the URL that `resolve` returns before every dial, for example to walk through a list of hosts.
    ///
    /// `resolve` runs on the client's reader thread, one call at a time. While it blocks, nothing is dialed, not even
    /// by [`Client::reconnect`](crate::Client::reconnect). Of the setters only [`metadata`](Self::metadata) applies. An
    /// invalid URL fails that dial.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::Options;
    ///
    /// let options = Options::custom(|metadata| {
    ///     format!("wss://push.example.org/app/key?protocol={}", metadata.protocol)
    /// });
    /// ```
    #[doc(alias = "uriResolver")]
    pub fn custom(resolve: impl Fn(&Metadata) -> String + Send + Sync + 'static) -> Self {
        Self::to(Target::Custom(Arc::new(resolve)))
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.target, Target::Custom(_))
    }

    #[cfg(feature = "publisher")]
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.target, Target::Cluster { .. })
    }

    fn to(target: Target) -> Self {
        Self { target, tls: None, port: None, domain: None, path_prefix: None, metadata: None }
    }

    /// Sets whether to use TLS: `wss` or `ws`. Default: `true`.
    #[doc(alias("forceTLS", "useTLS"))]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the port. Default: 443 with TLS, 80 without.
    #[doc(alias("wsPort", "wssPort"))]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the domain of the cluster's host name, instead of `pusher.com`. For [`cluster`](Self::cluster) only.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Sets the part of the URL's path before `/app`. Default: none.
    #[doc(alias = "wsPath")]
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        self.path_prefix = Some(prefix.to_owned());
        self
    }

    /// Sets the description of the client. Default: [`Metadata::default`].
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(Some(metadata));
        self
    }

    /// Omits the query of the URL. Some servers then assume an old protocol.
    pub fn without_metadata(mut self) -> Self {
        self.metadata = Some(None);
        self
    }

    /// Returns the URL that these options lead to. With [`custom`](Self::custom), it calls the function.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], if something is invalid. If the scheme of a URL is neither `ws` nor `wss`, only the
    /// scheme is checked: the URL is for a [`Connector`](crate::Connector) of your own, and without one it is an
    /// error of [`ClientBuilder::build`](crate::ClientBuilder::build) or of the dial.
    pub fn to_url(&self) -> Result<String, Error> {
        self.check_setters()?;
        match &self.target {
            Target::Cluster { cluster, key } => {
                let domain = self.domain.as_deref().unwrap_or("pusher.com");
                if let Some(must) = cluster_fault(cluster) {
                    return Err(wrong(format!("the cluster `{cluster}` must {must}")));
                }
                self.build(&format!("ws-{cluster}.{domain}"), key)
            }
            Target::Host { host, key } => self.build(host, key),
            Target::Url(url) => check_url(url),
            Target::Custom(resolve) => {
                let metadata = self.metadata.clone().flatten().unwrap_or_default();
                check_url(&resolve(&metadata))
            }
        }
    }

    /// Like [`to_url`](Self::to_url), but does not call the user's function, and accepts other schemes than the
    /// WebSocket's only if it is not built in.
    pub(crate) fn check(&self, built_in: bool) -> Result<(), Error> {
        match &self.target {
            Target::Custom(_) => self.check_setters(),
            Target::Cluster { .. } | Target::Host { .. } | Target::Url(_) => {
                let url = self.to_url()?;
                if built_in { websocket_url(&url).map(drop) } else { Ok(()) }
            }
        }
    }

    fn check_setters(&self) -> Result<(), Error> {
        let set = [
            ("tls", self.tls.is_some()),
            ("port", self.port.is_some()),
            ("domain", self.domain.is_some()),
            ("path_prefix", self.path_prefix.is_some()),
            ("metadata", self.metadata.is_some()),
            ("without_metadata", self.metadata == Some(None)),
        ];
        let (target, allowed): (_, &[&str]) = match &self.target {
            Target::Cluster { .. } => return Ok(()),
            Target::Host { .. } => {
                ("host", &["tls", "port", "path_prefix", "metadata", "without_metadata"])
            }
            Target::Url(_) => ("url", &[]),
            Target::Custom(_) => ("custom", &["metadata"]),
        };
        match set.iter().find(|(name, is_set)| *is_set && !allowed.contains(name)) {
            Some((name, _)) => Err(wrong(format!(
                "`Options::{target}` must not be combined with `.{name}()`; remove one"
            ))),
            None => Ok(()),
        }
    }

    fn build(&self, host: &str, key: &str) -> Result<String, Error> {
        if key.is_empty() {
            return Err(wrong("the app key must not be empty".to_owned()));
        }
        if self.port == Some(0) {
            return Err(wrong("the port must be greater than zero".to_owned()));
        }
        let tls = self.tls.unwrap_or(true);
        let scheme = if tls { "wss" } else { "ws" };
        let port = self.port.unwrap_or(default_port(tls));
        let host = check_host(host)?;
        let mut url = format!("{scheme}://{host}:{port}");
        for segment in self.path_prefix.iter().flat_map(|prefix| prefix.split('/')) {
            if !segment.is_empty() {
                url.push('/');
                percent_encode(segment, &mut url);
            }
        }
        url.push_str("/app/");
        percent_encode(key, &mut url);
        let metadata = self.metadata.clone().unwrap_or_else(|| Some(Metadata::default()));
        if let Some(Metadata { client, version, protocol }) = metadata {
            url.push_str("?client=");
            percent_encode(&client, &mut url);
            url.push_str("&version=");
            percent_encode(&version, &mut url);
            url.push_str(&format!("&protocol={protocol}"));
        }
        check_url(&url)
    }
}

fn wrong(message: String) -> Error {
    Error::message(ErrorKind::Config, message)
}

/// Returns what the name of a cluster must do, if this one does not.
pub(super) fn cluster_fault(cluster: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match !cluster.is_empty() && cluster.chars().all(allowed) {
        true => None,
        false => Some("consist of letters, digits and `-`, such as `eu` or `mt1`"),
    }
}

/// What is wrong with a host.
pub(super) struct HostFault {
    /// What it must do.
    pub(super) must: &'static str,
    hint: &'static str,
}

/// Returns what is wrong with a host that is not empty, if anything is.
pub(super) fn host_fault(host: &str) -> Option<HostFault> {
    let (must, hint) = if is_ipv6(host) {
        return None;
    } else if host.contains('/') {
        ("not be a URL and not have a path", "use `Options::url` or `.path_prefix()`")
    } else if host.contains(':') {
        ("not have a port", "set it with `.port()`")
    } else if !is_host_name(host) {
        let must = "consist of letters, digits, `-`, `.` and `_`";
        (must, "write international names in Punycode")
    } else {
        return None;
    };
    Some(HostFault { must, hint })
}

fn is_ipv6(host: &str) -> bool {
    without_brackets(host).parse::<Ipv6Addr>().is_ok()
}

/// Returns the host as in a URL: an IPv6 address gets brackets.
fn check_host(host: &str) -> Result<String, Error> {
    if host.is_empty() {
        return Err(wrong("the host must not be empty".to_owned()));
    }
    match host_fault(host) {
        Some(HostFault { must, hint }) => {
            Err(wrong(format!("the host `{host}` must {must}; {hint}")))
        }
        None if is_ipv6(host) => Ok(format!("[{}]", without_brackets(host))),
        None => Ok(host.to_owned()),
    }
}

const SCHEMES: [&str; 2] = ["ws", "wss"];

fn is_websocket(scheme: &str) -> bool {
    SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Checks the URL for a connector: it must have a scheme, and a URL of the WebSocket's must be valid as a whole.
fn check_url(url: &str) -> Result<String, Error> {
    match scheme(url) {
        None => Err(wrong("the URL must begin with a scheme, such as `wss://host/app/key`".into())),
        Some(scheme) if is_websocket(scheme) => websocket_url(url).map(|_| url.to_owned()),
        Some(_) => Ok(url.to_owned()),
    }
}

/// Parses a URL for the built-in WebSocket.
pub(crate) fn websocket_url(url: &str) -> Result<Url, Error> {
    if let Some(other) = scheme(url).filter(|scheme| !is_websocket(scheme)) {
        return Err(wrong(format!(
            "unsupported URL scheme `{other:.40}`: expected `ws` or `wss` (a custom `Connector` accepts any scheme)"
        )));
    }
    let parsed = Url::parse("the URL", url, SCHEMES)?;
    if url.contains('#') {
        return Err(wrong(
            "the URL must not have a fragment (`#…`); write `#` of the key as %23".into(),
        ));
    }
    Ok(parsed)
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Options");
        match &self.target {
            Target::Cluster { cluster, key } => out.field("cluster", cluster).field("key", key),
            Target::Host { host, key } => out.field("host", host).field("key", key),
            // The query of a user's URL may hold a token.
            Target::Url(url) => out.field("url", &url.split('?').next().unwrap_or_default()),
            Target::Custom(_) => out.field("custom", &"Fn(&Metadata) -> String"),
        };
        out.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: &Options) -> String {
        let error = options.to_url().and_then(|_| options.check(true)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn urls_of_clusters_and_hosts() {
        let metadata = Metadata { client: "a b".into(), version: "1&2".into(), protocol: 7 };
        for (options, url) in [
            (
                Options::cluster("eu", "key").metadata(metadata),
                "wss://ws-eu.pusher.com:443/app/key?client=a%20b&version=1%262&protocol=7",
            ),
            (
                Options::cluster("mt1", "k/e?y").domain("example.org").without_metadata(),
                "wss://ws-mt1.example.org:443/app/k%2Fe%3Fy",
            ),
            (Options::host("h", "k").tls(false).without_metadata(), "ws://h:80/app/k"),
            (
                Options::host("::1", "k").port(6001).path_prefix("/a b/c/").without_metadata(),
                "wss://[::1]:6001/a%20b/c/app/k",
            ),
            (Options::host("[::1]", "k").without_metadata(), "wss://[::1]:443/app/k"),
            (Options::url("ws://h/app/k?x=1"), "ws://h/app/k?x=1"),
            (Options::custom(|m| format!("ws://h/{}", m.protocol)), "ws://h/7"),
        ] {
            assert_eq!(options.to_url().unwrap(), url);
        }
        let url = Options::cluster("eu", "key").to_url().unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            url,
            format!(
                "wss://ws-eu.pusher.com:443/app/key?client=pusher-channels-rust&version={version}&protocol=7"
            )
        );
    }

    #[test]
    fn invalid_values_are_explained() {
        for (options, part) in [
            (Options::cluster("", "k"), "cluster"),
            (Options::cluster("e u", "k"), "cluster"),
            (Options::cluster("eu", ""), "key"),
            (Options::cluster("eu", "k").port(0), "port"),
            (Options::cluster("eu", "k").domain("a/b"), "host"),
            (Options::host("", "k"), "host"),
            (Options::host("ws://h", "k"), "Options::url"),
            (Options::host("h/p", "k"), "path_prefix"),
            (Options::host("h:80", "k"), ".port()"),
            (Options::host("bücher.example", "k"), "Punycode"),
            (Options::host("h", "k").domain("d"), ".domain()"),
            (Options::url("ws://h").port(1), ".port()"),
            (Options::url("ws://h").tls(true), ".tls()"),
            (Options::url("ws://h").path_prefix("x"), ".path_prefix()"),
            (Options::url("ws://h").metadata(Metadata::default()), ".metadata()"),
            (Options::url("ws://h").without_metadata(), "metadata()"),
            (Options::custom(|_| String::new()).tls(true), ".tls()"),
            (Options::custom(|_| String::new()), "URL"),
            (Options::url("http://h"), "`http`: expected `ws` or `wss`"),
            (Options::url("h/app"), "must begin with a scheme"),
            (Options::url("ws://u:p@h/app"), "user"),
            (Options::url("ws://h:0/app"), "port"),
            (Options::url("ws://h:99999/app"), ""),
            (Options::url("ws://h/app/k#x"), "fragment"),
            (Options::url("ws:///app"), ""),
            (Options::url("ws://h/a b"), ""),
        ] {
            let message = message(&options);
            assert!(message.contains(part), "{options:?}: {message}");
        }
    }

    #[test]
    fn check_does_not_call_the_resolver() {
        for built_in in [true, false] {
            assert!(Options::custom(|_| panic!("called")).check(built_in).is_ok());
        }
    }

    #[test]
    fn other_schemes_are_for_custom_connectors_only() {
        for url in
            ["unix:///run/pusher.sock", "own:x", "http://h/a b#c", "COM1+a.b-c://", "tcp://u:p@h:0"]
        {
            let options = Options::url(url);
            assert_eq!(options.to_url().unwrap(), url);
            options.check(false).unwrap();
            let text = message(&options);
            assert!(text.starts_with("unsupported URL scheme `"), "{text}");
            assert_eq!(Options::custom(move |_| url.to_owned()).to_url().unwrap(), url);
        }
        for url in ["h/app", "", "/run/pusher.sock", "://h", "1a://h", "a b://h", "ä://h"] {
            assert!(message(&Options::url(url)).contains("must begin with a scheme"), "{url}");
        }
        // WebSocket URLs are checked as a whole for every connector; schemes ignore case (RFC 3986, section 3.1).
        for url in ["ws://h:0/app", "WSS://u@h", "wss:///app", "wss://[]/app", "Ws://h/#x"] {
            assert_eq!(
                Options::url(url).check(false).unwrap_err().kind(),
                ErrorKind::Config,
                "{url}"
            );
        }
        Options::url("WSS://h/app").check(true).unwrap();
    }
}
