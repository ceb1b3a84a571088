//! Where the HTTP API of an app is, by the options of its clients.

use crate::config::options::websocket_url;
use crate::util::url::{authority, percent_decode};
use crate::{Error, ErrorKind, Options};

/// The address of an app's HTTP API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secure: bool,
    /// Host and port.
    pub(super) authority: String,
    /// The part of the path before `/apps`, encoded: empty, or with a slash at its start only.
    pub(super) prefix: String,
    pub(super) key: String,
}

impl Target {
    /// Clients connect to `ws-{cluster}.pusher.com`, publishers to `api-{cluster}.pusher.com`. On other servers it is
    /// one host and one port.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        if options.is_custom() {
            return Err(wrong(
                "a publisher needs fixed options; `Options::custom` has no fixed URL",
            ));
        }
        let url = websocket_url(&options.to_url()?)?;
        let host = match url.host.strip_prefix("ws-") {
            Some(rest) if options.is_cluster() => format!("api-{rest}"),
            _ => url.host,
        };
        let no_key =
            || wrong("the URL of a publisher must have a path that ends with `/app/{key}`");
        let (prefix, key) = url.uri.path().rsplit_once("/app/").ok_or_else(no_key)?;
        let key = Some(key).filter(|key| !key.is_empty() && !key.contains('/'));
        let key = key.and_then(|key| String::from_utf8(percent_decode(key).ok()?).ok());
        Ok(Self {
            secure: url.secure,
            authority: authority(&host, url.port),
            prefix: prefix.to_owned(),
            key: key.ok_or_else(no_key)?,
        })
    }
}

fn wrong(message: &str) -> Error {
    Error::message(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_is_where_the_options_lead() {
        for (options, secure, authority, prefix, key) in [
            (Options::cluster("eu", "key"), true, "api-eu.pusher.com:443", "", "key"),
            (Options::cluster("mt1", "k").domain("a.test"), true, "api-mt1.a.test:443", "", "k"),
            (Options::host("h", "k").tls(false), false, "h:80", "", "k"),
            (Options::host("ws-x.test", "k").port(6001), true, "ws-x.test:6001", "", "k"),
            (Options::host("::1", "k").path_prefix("/a b/c/"), true, "[::1]:443", "/a%20b/c", "k"),
            (Options::host("h", "k y").path_prefix("app"), true, "h:443", "/app", "k y"),
            (Options::url("ws://h:6001/app/k?protocol=7"), false, "h:6001", "", "k"),
            (Options::url("wss://h/p/app/k%2F1"), true, "h:443", "/p", "k/1"),
        ] {
            let expected = (secure, authority.to_owned(), prefix.to_owned(), key.to_owned());
            let target = Target::new(&options).unwrap();
            assert_eq!((target.secure, target.authority, target.prefix, target.key), expected);
        }
    }

    #[test]
    fn options_without_a_fixed_app_are_refused() {
        for (options, part) in [
            (Options::custom(|_| panic!("it must not be called")), "Options::custom"),
            (Options::url("ws://h/canary"), "/app/{key}"),
            (Options::url("ws://h/app/"), "/app/{key}"),
            (Options::url("ws://h/app/canary/x"), "/app/{key}"),
            (Options::url("ws://h/app/%zz"), "/app/{key}"),
            (Options::url("https://h/app/canary"), "expected `ws` or `wss`"),
            (Options::url("unix:///canary"), "expected `ws` or `wss`"),
            (Options::host("h", ""), "key"),
            (Options::cluster("e u", "k"), "cluster"),
        ] {
            let error = Target::new(&options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
