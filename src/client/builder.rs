//! Settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::binding::Queue;
use crate::client::Client;
use crate::config::headers::Headers;
use crate::driver::{AuthSource, Initial, Settings, Shared};
use crate::protocol::Config;
use crate::transport::{WebSocketConnector, check_tls};
use crate::{
    Authorizer, ClientSettings, Connector, Error, ErrorKind, Options, Proxy, Reconnect, Tls,
    UserAuthenticator,
};

/// What a dial over TLS needs in a debug build, and half as much again.
const MIN_STACK_SIZE: usize = 256 * 1024;

/// The settings of a [`Client`], each with a default. Made by [`Client::builder`].
///
/// # Example
///
/// ```
/// use pusher_channels::{Client, Options, Queue, Reconnect};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let client = Client::builder(Options::cluster("eu", "app-key"))
///     .activity_timeout(Duration::from_secs(20))
///     .reconnect(Reconnect::default().max(Duration::from_secs(10)))
///     .queue(Queue::drop_oldest(256))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct ClientBuilder {
    options: Options,
    activity_timeout: Duration,
    override_activity_timeout: Option<Duration>,
    pong_timeout: Duration,
    connect_timeout: Duration,
    subscribe_timeout: Duration,
    signin_timeout: Duration,
    reconnect: Reconnect,
    queue: Queue,
    tls: Tls,
    proxy: Proxy,
    connector: Option<Arc<dyn Connector>>,
    headers: Headers,
    max_message_size: usize,
    max_members_bytes: usize,
    stack_size: Option<usize>,
    authorizer: Option<Arc<dyn Authorizer>>,
    authenticator: Option<Arc<dyn UserAuthenticator>>,
    max_authorizations: usize,
    client_event_limit: Option<u32>,
    check_names: bool,
}

impl ClientBuilder {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            activity_timeout: Duration::from_secs(120),
            override_activity_timeout: None,
            pong_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
            subscribe_timeout: Duration::from_secs(30),
            signin_timeout: Duration::from_secs(30),
            reconnect: Reconnect::default(),
            queue: Queue::default(),
            tls: Tls::default(),
            proxy: Proxy::none(),
            connector: None,
            headers: Headers::default(),
            max_message_size: 1024 * 1024,
            max_members_bytes: 16 * 1024 * 1024,
            stack_size: None,
            authorizer: None,
            authenticator: None,
            max_authorizations: 4,
            client_event_limit: Some(10),
            check_names: true,
        }
    }

    /// Who answers for the channels that need an authorization and have no authorizer of their own.
    /// Default: none, and such channels fail.
    pub fn authorizer(mut self, authorizer: impl Authorizer + 'static) -> Self {
        self.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Who answers for the user of this client, when it [signs in](Client::signin). Default: nobody, and
    /// the sign-in fails.
    pub fn user_authenticator(mut self, authenticator: impl UserAuthenticator + 'static) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// How many authorizations are asked for at the same time, that of the user included, each on a
    /// thread of its own that ends when there is nothing to ask. Default: 4. A limit of 0 counts as 1.
    ///
    /// An endpoint may use all of these threads if it is the only one of the client and has responded within
    /// 1 s. Else it may use half of them, 1 at least, so that one that hangs leaves some to the others. After a response
    /// that took longer, or a time-out, it shares that half with all others of which the same is true. An endpoint is
    /// the host and port that [`Authorizer::endpoint`] returns, or else the authorizer: with
    /// [`HttpAuthorizer::endpoint_with`](crate::HttpAuthorizer::endpoint_with) all its hosts are one.
    pub fn max_authorizations(mut self, limit: usize) -> Self {
        self.max_authorizations = limit;
        self
    }

    /// How many client events a second [`trigger`](crate::PrivateChannel::trigger) sends on this
    /// connection, and as many in a burst. `None`: no limit. Default: 10, which is what Pusher takes.
    pub fn client_event_limit(mut self, per_second: Option<u32>) -> Self {
        self.client_event_limit = per_second;
        self
    }

    /// Whether a channel's name must follow Pusher's rules: at most 164 characters, all of them
    /// letters, digits or `_-=@,.;`. Default: `true`. Turn it off for servers with other limits; the
    /// prefix must fit the kind of channel all the same.
    pub fn check_channel_names(mut self, check: bool) -> Self {
        self.check_names = check;
        self
    }

    /// How long the server may be silent before it is sent a ping. Default: 120 s; the smaller of
    /// this and what the server sends applies, unless
    /// [`override_activity_timeout`](Self::override_activity_timeout) is set.
    pub fn activity_timeout(mut self, timeout: Duration) -> Self {
        self.activity_timeout = timeout;
        self
    }

    /// Counts instead of what the server sends and of [`activity_timeout`](Self::activity_timeout), even if
    /// it is longer. Default: none.
    ///
    /// A server closes a connection on which it has heard nothing for a time of its own, which is what it
    /// sends to the client. With a longer one here such a server will cut the connection, and the client
    /// will dial again and again. Use it for servers that send a value which does not suit them or the
    /// network, for example one that is so short that its pings cost a battery or a metered link, and only
    /// where the server tolerates the silence. While messages keep coming and the client itself sends
    /// nothing, it sends a ping after twice this time.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, Options};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::builder(Options::host("push.example.org", "app-key"))
    ///     .override_activity_timeout(Duration::from_secs(300))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn override_activity_timeout(mut self, timeout: Duration) -> Self {
        self.override_activity_timeout = Some(timeout);
        self
    }

    /// How long the server may take to answer a ping before the connection counts as lost. Default: 30 s.
    ///
    /// Where there is reason to doubt the connection (see [`Client::network_changed`]), at most 5 s.
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.pong_timeout = timeout;
        self
    }

    /// How long one dial may take, from the name's resolution to the server's
    /// `pusher:connection_established`. Default: 15 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the server may take to confirm a subscription before it counts as failed, and an
    /// authorizer to answer. Default: 30 s each.
    pub fn subscribe_timeout(mut self, timeout: Duration) -> Self {
        self.subscribe_timeout = timeout;
        self
    }

    /// How long the server may take to confirm a sign-in before it counts as failed, and the
    /// [`user_authenticator`](Self::user_authenticator) to answer. Default: 30 s each.
    pub fn signin_timeout(mut self, timeout: Duration) -> Self {
        self.signin_timeout = timeout;
        self
    }

    /// When to dial again. Default: for ever, see [`Reconnect`].
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How much a binding keeps for a slow consumer, unless it has a queue of its own. Default: the newest
    /// 4,096 values, and at most 64 MiB of them, see [`Queue`].
    ///
    /// The events of an encrypted channel that wait for another key keep to the same limits, each channel for
    /// itself: beyond them the oldest is dropped, whatever the queue's rule, and reported as a decryption
    /// error. With [`Queue::unbounded`] at most 64 MiB of them wait.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// How TLS connections are made and checked. Default: TLS 1.2 or later, and what the platform trusts.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Through which proxy connections go, those of [`HttpAuthorizer`](crate::HttpAuthorizer) too. Default: none; the environment is not read unless you give
    /// [`Proxy::from_env`].
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sends a header with every WebSocket handshake, for example `Origin`, `Cookie` or `Authorization`.
    ///
    /// Of two with the same name, in any case, the later one counts; one that the client sends by default is
    /// replaced. Default: `Host`, and `User-Agent: pusher-channels/VERSION`. Values are never logged or shown.
    /// Proxies do not get them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] from [`build`](Self::build): the name is empty or has a character that HTTP does not
    /// allow in it, the value has a line break or another control character, or the header is one that the
    /// handshake owns: `Connection`, `Upgrade`, `Sec-WebSocket-*` ([RFC 6455, section
    /// 4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)), `Content-Length`, `Transfer-Encoding`. Also if
    /// there is a [`connector`](Self::connector), which headers do not reach.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::builder(Options::host("push.example.org", "app-key"))
    ///     .header("Origin", "https://app.example.org")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Asks for more headers before every dial, for tokens that change. They replace those of
    /// [`header`](Self::header) with the same name. Default: none. A second call replaces the function.
    ///
    /// `headers` runs on the thread that dials; while it blocks, nothing is dialed, and what it takes counts
    /// towards [`connect_timeout`](Self::connect_timeout).
    ///
    /// # Errors
    ///
    /// As of [`header`](Self::header), but of the dial, which is repeated like any other that failed; also if
    /// `headers` panics.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// # fn token() -> String { String::new() }
    /// let client = Client::builder(Options::host("push.example.org", "app-key"))
    ///     .headers_with(|| vec![("Authorization".to_owned(), format!("Bearer {}", token()))])
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn headers_with(
        mut self,
        headers: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        self.headers.ask(Box::new(headers));
        self
    }

    /// Opens the connections by a connector of your own. Default: the built-in WebSocket. Your own connector
    /// has to see to TLS, to a proxy and to headers itself, and takes URLs of any scheme.
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// The longest message that is taken from the server, in bytes; a longer one ends the
    /// connection. Default: 1 MiB. It must be greater than zero. Your own connector has to see to it itself.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets how much memory the members of one presence channel may take, in bytes: their ids, their infos, and
    /// 120 bytes for each member and 32 for each info. Default: 16 MiB. It must be greater than zero.
    ///
    /// Beyond it further members have the info `null` (of a whole list, the ids come first, and infos as far as the
    /// rest suffices), and who then does not fit is not kept, but for this client's own user: such a member is missing
    /// in [`members`](crate::PresenceChannel::members), and neither its coming nor its leaving is reported.
    /// [`bind_errors`](Client::bind_errors) reports that once for each subscription, with
    /// [`ErrorKind::TooLarge`] and the channel. Members that leave make room.
    pub fn max_members_bytes(mut self, bytes: usize) -> Self {
        self.max_members_bytes = bytes;
        self
    }

    /// Sets the stack of each of the client's threads, in bytes. At least 256 KiB (262,144); less is an
    /// [`ErrorKind::Config`] from [`build`](Self::build). Default: that of the standard library, 2 MiB of
    /// address space.
    ///
    /// Operating systems give memory to a stack as it is touched, so a larger one costs address space only. In
    /// debug builds the client itself, with whatever a server sends it, needs up to 48 KiB, a TLS handshake 96 KiB
    /// with `native-tls` and 160 KiB with `rustls`. The rest is for code of yours that runs on these threads: a
    /// logger, authorizers, a reconnect policy, a connector.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The client. Nothing runs until [`Client::connect`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option or a setting is wrong, for example a certificate that is none,
    /// or a proxy in the environment that is none.
    pub fn build(mut self) -> Result<Client, Error> {
        let built_in = self.connector.is_none();
        self.options.check(built_in)?;
        self.check()?;
        self.proxy.check()?;
        let dial_code = self.headers.function();
        let connector = self.take_connector()?;
        self.tls.warn_of_dangers("a client");
        let client = ClientSettings::new(self.tls, self.proxy);
        let initial = Initial {
            options: self.options,
            authorizer: self.authorizer.map(|it| AuthSource::new(it, &client)),
            authenticator: self.authenticator.map(|it| AuthSource::of_user(it, &client)),
        };
        let settings = Settings {
            machine: Config {
                activity_timeout: self.activity_timeout,
                override_activity_timeout: self.override_activity_timeout,
                pong_timeout: self.pong_timeout,
                connect_timeout: self.connect_timeout,
                subscribe_timeout: self.subscribe_timeout,
                signin_timeout: self.signin_timeout,
                policy: self.reconnect.policy(),
                client_event_limit: self.client_event_limit,
                max_members_bytes: self.max_members_bytes,
                max_held: self.queue.limits(),
                seed: fastrand::u64(..),
            },
            reconnect: self.reconnect,
            connector,
            queue: self.queue,
            stack_size: self.stack_size,
            max_authorizations: self.max_authorizations,
            client,
            check_names: self.check_names,
            built_in,
            dial_code,
        };
        Ok(Client::start(Shared::new(initial, settings)))
    }

    /// The connector, after the checks of its settings: those for TLS hold for endpoints in any case.
    fn take_connector(&mut self) -> Result<Arc<dyn Connector>, Error> {
        let headers = std::mem::take(&mut self.headers);
        let Some(connector) = self.connector.take() else {
            let built_in = WebSocketConnector::new(&self.tls, self.max_message_size)?;
            return Ok(Arc::new(built_in.with_proxy(&self.proxy).with_headers(headers)?));
        };
        check_tls(&self.tls)?;
        if !headers.is_empty() {
            let message =
                "`header` and `headers_with` do not reach a `connector` of your own: remove one";
            return Err(Error::message(ErrorKind::Config, message));
        }
        Ok(connector)
    }

    /// Whether the numbers make sense.
    fn check(&self) -> Result<(), Error> {
        for (name, timeout) in [
            ("activity_timeout", Some(self.activity_timeout)),
            ("override_activity_timeout", self.override_activity_timeout),
            ("pong_timeout", Some(self.pong_timeout)),
            ("connect_timeout", Some(self.connect_timeout)),
            ("subscribe_timeout", Some(self.subscribe_timeout)),
            ("signin_timeout", Some(self.signin_timeout)),
        ] {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                let message = format!("`{name}` must be greater than zero");
                return Err(Error::message(ErrorKind::Config, message));
            }
        }
        if self.max_message_size == 0 {
            return Err(Error::message(
                ErrorKind::Config,
                "`max_message_size` must be greater than zero",
            ));
        }
        if self.stack_size.is_some_and(|size| size < MIN_STACK_SIZE) {
            let message = format!("`stack_size` must be at least {MIN_STACK_SIZE} bytes");
            return Err(Error::message(ErrorKind::Config, message));
        }
        if self.max_members_bytes == 0 {
            let message = "`max_members_bytes` must be greater than zero";
            return Err(Error::message(ErrorKind::Config, message));
        }
        Ok(())
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("options", &self.options)
            .field("reconnect", &self.reconnect)
            .field("queue", &self.queue)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeout_must_be_greater_than_zero() {
        type Set = fn(ClientBuilder, Duration) -> ClientBuilder;
        let setters: [(&str, Set); 6] = [
            ("activity_timeout", ClientBuilder::activity_timeout),
            ("override_activity_timeout", ClientBuilder::override_activity_timeout),
            ("pong_timeout", ClientBuilder::pong_timeout),
            ("connect_timeout", ClientBuilder::connect_timeout),
            ("subscribe_timeout", ClientBuilder::subscribe_timeout),
            ("signin_timeout", ClientBuilder::signin_timeout),
        ];
        for (name, set) in setters {
            let build = |timeout| set(Client::builder(Options::host("h", "k")), timeout).build();
            let error = build(Duration::ZERO).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config, "{name}");
            assert_eq!(error.to_string(), format!("`{name}` must be greater than zero"));
            assert!(build(Duration::from_nanos(1)).is_ok(), "{name}");
            assert!(build(Duration::MAX).is_ok(), "{name}");
        }
    }
}
