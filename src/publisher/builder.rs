//! The settings of a publisher.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::Rules;
use super::limits::{self, Limits};
use super::request::App;
use super::target::Target;
use super::{Inner, Publisher};
use crate::auth::http::Http;
use crate::util::secret::Secret;
use crate::{ClientSettings, Error, ErrorKind, Options, Proxy, Tls};

/// Builds a [`Publisher`]. Every setting has a default. Created by [`Publisher::builder`].
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use pusher_channels::{Options, Publisher};
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let publisher = Publisher::builder(Options::host("push.example.org", "app-key"), "app-id", "app-secret")
///     .timeout(Duration::from_secs(3))
///     .max_data(100 * 1024)
/// #   ;
/// # #[cfg(any(feature = "native-tls", feature = "rustls"))]
/// # let publisher = publisher
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct PublisherBuilder {
    options: Options,
    app_id: String,
    secret: Secret,
    sign_prefix: bool,
    rules: Rules,
    tls: Tls,
    proxy: Proxy,
    headers: Vec<(String, String)>,
    timeout: Duration,
    max_body: usize,
}

impl PublisherBuilder {
    pub(super) fn new(options: Options, app_id: &str, secret: &str) -> Self {
        Self {
            options,
            app_id: app_id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            sign_prefix: true,
            rules: Rules { limits: Limits::default(), master_key: None },
            tls: Tls::default(),
            proxy: Proxy::none(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            max_body: 4 * 1024 * 1024,
        }
    }

    /// Sets the master key of the app's encrypted channels: 32 bytes in base64. Default: none, and publishing to
    /// encrypted channels fails.
    pub fn encryption_master_key(mut self, base64: &str) -> Self {
        self.rules.master_key = Some(Secret::new(base64.to_owned()));
        self
    }

    /// Sets the timeout of one request, from resolving the host name to the end of the response. Default: 10 seconds;
    /// at most one day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how TLS connections are made. Default: [`Tls::default`]. [`HttpAuthorizer::tls`] documents what differs
    /// from the client's.
    ///
    /// [`HttpAuthorizer::tls`]: crate::HttpAuthorizer::tls
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxy. Default: [`Proxy::none`]. The environment is read only with [`Proxy::from_env`].
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Adds a header to every request, for example for a gateway in front of the server. It replaces an earlier one of
    /// the same name, `Content-Type` included. Its value is not shown in messages.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets how many bytes the data of one event may have, as it is sent: encrypted data is longer by a third. Default:
    /// 10,240, Pusher's limit. Other servers allow more.
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.rules.limits.max_data = bytes;
        self
    }

    /// Sets how many bytes a response may have. Default: 4 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets whether the names of channels must follow the rules of Pusher's server libraries: at most 200 characters,
    /// all of them letters, digits or `_-=@,.;`. Default: `true`. A client accepts at most 164 characters.
    pub fn check_channel_names(mut self, check: bool) -> Self {
        self.rules.limits.check_channels = check;
        self
    }

    /// Sets whether the signature covers the [`path_prefix`](Options::path_prefix) too. Default: `true`, as soketi,
    /// Reverb and sockudo check it if they have a prefix themselves. Turn it off if a proxy in front of the server
    /// removes the prefix.
    pub fn sign_path_prefix(mut self, sign: bool) -> Self {
        self.sign_prefix = sign;
        self
    }

    /// Builds the publisher. It does not connect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option or a setting is invalid: the options must be [`Options::cluster`],
    /// [`Options::host`], or a URL whose path ends with `/app/{key}`.
    pub fn build(self) -> Result<Publisher, Error> {
        let wrong = |message| Err(Error::message(ErrorKind::Config, message));
        if self.app_id.is_empty() {
            return wrong("the app id must not be empty");
        }
        limits::secret(self.secret.expose())?;
        for (is_zero, message) in [
            (self.timeout.is_zero(), "`timeout` must be greater than zero"),
            (self.rules.limits.max_data == 0, "`max_data` must be greater than zero"),
            (self.max_body == 0, "`max_body` must be greater than zero"),
        ] {
            if is_zero {
                return wrong(message);
            }
        }
        self.proxy.check()?;
        let app = App {
            target: Target::new(&self.options)?,
            id: self.app_id,
            secret: self.secret,
            sign_prefix: self.sign_prefix,
        };
        self.tls.warn_of_dangers("a publisher");
        let settings = ClientSettings::new(self.tls, self.proxy);
        let http = Http::new(super::WHAT, &settings, self.timeout, self.max_body);
        http.check(&app.url(), &self.headers)?;
        Ok(Publisher(Arc::new(Inner { app, http, rules: self.rules, headers: self.headers })))
    }
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("options", &self.options)
            .field("app_id", &self.app_id)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
