//! Where to connect.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use tungstenite::http::Uri;

use crate::{Error, ErrorKind};

type Resolve = dyn Fn(&Metadata) -> String + Send + Sync;

/// Where to connect: a cluster of Pusher's, a host of your own, a whole URL, or whatever a function says.
///
/// Wrong values are no panic here but an error from [`to_url`](Self::to_url), [`Client::new`](crate::Client::new)
/// and [`ClientBuilder::build`](crate::ClientBuilder::build).
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

/// What the client tells the server about itself, in the URL's query.
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
    /// A cluster of Pusher's own service: `wss://ws-{cluster}.pusher.com:443/app/{key}?…`.
    pub fn cluster(cluster: &str, key: &str) -> Self {
        Self::to(Target::Cluster { cluster: cluster.to_owned(), key: key.to_owned() })
    }

    /// A server of your own: `wss://{host}:443/app/{key}?…`. The host is a name, an IPv4 or an IPv6 address.
    pub fn host(host: &str, key: &str) -> Self {
        Self::to(Target::Host { host: host.to_owned(), key: key.to_owned() })
    }

    /// A whole URL, used as it is: of the scheme `ws` or `wss` for the built-in WebSocket, of any scheme for a
    /// [`Connector`](crate::Connector) of your own (`unix:///run/pusher.sock`). The setters do not apply to it.
    pub fn url(url: &str) -> Self {
        Self::to(Target::Url(url.to_owned()))
    }

    /// Asks `resolve` for the URL before every dial, for example to walk through a list of hosts.
    ///
    /// It runs on the client's reader thread, once at a time; while it blocks, nothing is dialled, not by
    /// [`Client::reconnect`](crate::Client::reconnect) either. Of the setters only [`metadata`](Self::metadata) applies. A wrong URL fails that dial.
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
    pub fn custom(resolve: impl Fn(&Metadata) -> String + Send + Sync + 'static) -> Self {
        Self::to(Target::Custom(Arc::new(resolve)))
    }

    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.target, Target::Custom(_))
    }

    fn to(target: Target) -> Self {
        Self { target, tls: None, port: None, domain: None, path_prefix: None, metadata: None }
    }

    /// Whether to use TLS: `wss` or `ws`. Default: `true`.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The port. Default: 443 with TLS, 80 without.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The domain of the cluster's host name, instead of `pusher.com`. For [`cluster`](Self::cluster) only.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// What stands before `/app` in the URL's path. Default: nothing.
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        self.path_prefix = Some(prefix.to_owned());
        self
    }

    /// What the client tells about itself. Default: [`Metadata::default`].
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(Some(metadata));
        self
    }

    /// Leaves the URL's query out. Some servers then assume an old protocol.
    pub fn without_metadata(mut self) -> Self {
        self.metadata = Some(None);
        self
    }

    /// The URL that these options lead to. With [`custom`](Self::custom), it asks the function.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], saying what is wrong. Of a URL whose scheme is neither `ws` nor `wss`, nothing but
    /// the scheme is checked: it is for a [`Connector`](crate::Connector) of your own, and an error of
    /// [`ClientBuilder::build`](crate::ClientBuilder::build) or of the dial without one.
    pub fn to_url(&self) -> Result<String, Error> {
        self.check_setters()?;
        match &self.target {
            Target::Cluster { cluster, key } => {
                let domain = self.domain.as_deref().unwrap_or("pusher.com");
                if cluster.is_empty()
                    || !cluster.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                {
                    return Err(wrong(format!(
                        "{cluster:?} is no cluster: it looks like \"eu\" or \"mt1\""
                    )));
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

    /// As [`to_url`](Self::to_url), but leaves the user's function alone, and for the built-in WebSocket takes no
    /// other scheme than its own.
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
                "Options::{target} and .{name}() do not go together: remove one"
            ))),
            None => Ok(()),
        }
    }

    fn build(&self, host: &str, key: &str) -> Result<String, Error> {
        if key.is_empty() {
            return Err(wrong("the app key is empty".to_owned()));
        }
        if self.port == Some(0) {
            return Err(wrong("port 0 cannot be connected to".to_owned()));
        }
        let tls = self.tls.unwrap_or(true);
        let (scheme, default_port) = if tls { ("wss", 443) } else { ("ws", 80) };
        let port = self.port.unwrap_or(default_port);
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

/// The host as it stands in a URL: an IPv6 address gets its brackets.
fn check_host(host: &str) -> Result<String, Error> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{bare}]"));
    }
    if host.is_empty() {
        return Err(wrong("the host is empty".to_owned()));
    }
    if host.contains("://") || host.contains('/') {
        return Err(wrong(format!(
            "{host:?} is not just a host: use Options::url for a URL, .path_prefix() for a path"
        )));
    }
    if host.contains(':') {
        return Err(wrong(format!("{host:?} is not just a host: set the port with .port()")));
    }
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
        return Err(wrong(format!(
            "{host:?} has a character that no host name has (write international names in punycode)"
        )));
    }
    Ok(host.to_owned())
}

/// The last word on every URL for a connector: it has a scheme, and if that is the WebSocket's, it is right as a whole.
fn check_url(url: &str) -> Result<String, Error> {
    match scheme(url) {
        None => Err(wrong("the URL must begin with a scheme, such as wss://host/app/key".into())),
        Some(scheme) if tls_of(scheme).is_some() => websocket_url(url).map(|_| url.to_owned()),
        Some(_) => Ok(url.to_owned()),
    }
}

/// The scheme of a URL (RFC 3986, section 3.1).
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_part))
        .then_some(scheme)
}

/// Whether the WebSocket scheme means TLS. `None`: it is another scheme.
fn tls_of(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Some(false),
        "wss" => Some(true),
        _ => None,
    }
}

/// The last word on the URLs of the built-in WebSocket, and whether they mean TLS.
pub(crate) fn websocket_url(url: &str) -> Result<(Uri, bool), Error> {
    if let Some(other) = scheme(url).filter(|scheme| tls_of(scheme).is_none()) {
        return Err(wrong(format!(
            "unsupported URL scheme `{other:.40}`: expected `ws` or `wss` (a custom `Connector` accepts any scheme)"
        )));
    }
    // The key stands in the URL, so a message shows no more of it than what is wrong.
    let uri: Uri = url.parse().map_err(|error| {
        wrong("the URL is no URL: it looks like wss://host/app/key".into())
            .caused_by(Box::new(error))
    })?;
    let Some(tls) = uri.scheme_str().and_then(tls_of) else {
        return Err(wrong("the URL does not begin with ws:// or wss://".into()));
    };
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong("the URL names a user, which the protocol has no place for".into()));
    }
    let host = uri.host().unwrap_or_default();
    if host.trim_matches(['[', ']']).is_empty() {
        return Err(wrong("the URL has no host".into()));
    }
    if authority != host && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong("the URL's port is not one from 1 to 65535".into()));
    }
    if url.contains('#') {
        return Err(wrong("the URL has a fragment (#…): write a # of the key as %23".into()));
    }
    Ok((uri, tls))
}

/// As RFC 3986 wants every part of a path or query that is not plain.
pub(crate) fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(byte.into());
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Options");
        match &self.target {
            Target::Cluster { cluster, key } => out.field("cluster", cluster).field("key", key),
            Target::Host { host, key } => out.field("host", host).field("key", key),
            // A URL of the user's own may hold a token in its query.
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
    fn wrong_values_say_what_is_wrong() {
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
            (Options::host("bücher.example", "k"), "punycode"),
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
    fn the_users_function_is_not_asked_by_check() {
        for built_in in [true, false] {
            assert!(Options::custom(|_| panic!("asked")).check(built_in).is_ok());
        }
    }

    #[test]
    fn any_scheme_is_for_a_connector_of_ones_own() {
        for url in
            ["unix:///run/pusher.sock", "own:x", "http://h/a b#c", "COM1+a.b-c://", "tcp://u:p@h:0"]
        {
            let options = Options::url(url);
            assert_eq!(options.to_url().unwrap(), url);
            options.check(false).unwrap();
            let told = message(&options);
            assert!(told.starts_with("unsupported URL scheme `"), "{told}");
            assert_eq!(Options::custom(move |_| url.to_owned()).to_url().unwrap(), url);
        }
        for url in ["h/app", "", "/run/pusher.sock", "://h", "1a://h", "a b://h", "ä://h"] {
            assert!(message(&Options::url(url)).contains("must begin with a scheme"), "{url}");
        }
        // The schemes of WebSocket are checked as a whole for everybody, in any case (RFC 3986, section 3.1).
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
