//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::binding::Queue;
use crate::client::Client;
use crate::config::headers::Headers;
use crate::driver::{AuthSource, Initial, Settings, Shared};
use crate::protocol::Config;
use crate::transport::{SharedTls, WebSocketConnector};
use crate::{
    Authorizer, ClientSettings, Connector, Error, ErrorKind, Options, Outbox, Proxy, Reconnect,
    Tls, UserAuthenticator,
};

/// What a dial over TLS needs in a debug build, plus a half.
const MIN_STACK_SIZE: usize = 256 * 1024;

/// Builds a [`Client`]. Every setting has a default. Created by [`Client::builder`].
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
    machine: Config,
    reconnect: Reconnect,
    queue: Queue,
    tls: Tls,
    proxy: Proxy,
    connector: Option<Arc<dyn Connector>>,
    headers: Headers,
    max_message_size: usize,
    stack_size: Option<usize>,
    authorizer: Option<Arc<dyn Authorizer>>,
    authenticator: Option<Arc<dyn UserAuthenticator>>,
    max_authorizations: usize,
    check_names: bool,
}

impl ClientBuilder {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            machine: Config {
                activity_timeout: Duration::from_secs(120),
                override_activity_timeout: None,
                pong_timeout: Duration::from_secs(30),
                connect_timeout: Duration::from_secs(15),
                subscribe_timeout: Duration::from_secs(30),
                signin_timeout: Duration::from_secs(30),
                policy: Reconnect::default().policy(),
                client_event_limit: Some(10),
                outbox: None,
                max_members_bytes: 16 * 1024 * 1024,
                max_held: Queue::default().limits(),
                seed: fastrand::u64(..),
            },
            reconnect: Reconnect::default(),
            queue: Queue::default(),
            tls: Tls::default(),
            proxy: Proxy::none(),
            connector: None,
            headers: Headers::default(),
            max_message_size: 1024 * 1024,
            stack_size: None,
            authorizer: None,
            authenticator: None,
            max_authorizations: 4,
            check_names: true,
        }
    }

    /// Sets the authorizer of the channels that need one and have none of their own. Default: none, and such channels
    /// fail.
    #[doc(alias("authEndpoint", "channelAuthorization"))]
    pub fn authorizer(mut self, authorizer: impl Authorizer + 'static) -> Self {
        self.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Sets the authenticator that identifies the user of this client when it [signs in](Client::signin). Default:
    /// none, and the sign-in fails.
    #[doc(alias = "userAuthentication")]
    pub fn user_authenticator(mut self, authenticator: impl UserAuthenticator + 'static) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Sets how many authorizations, including that of the user, are requested at the same time. Default: 4. A limit
    /// of 0 counts as 1.
    ///
    /// Each runs on a thread of its own, which ends when there are no more requests. An endpoint may use all of these
    /// threads if it is the only one of the client and has responded within 1 s. Otherwise it may use half of them, at
    /// least 1, so that an endpoint that hangs leaves some to the others. All endpoints whose last response was slower,
    /// or timed out, share one half. An endpoint is the host and port that [`Authorizer::endpoint`] returns, otherwise
    /// the authorizer itself: with [`HttpAuthorizer::url_with`](crate::HttpAuthorizer::url_with) all its hosts count as
    /// one endpoint.
    pub fn max_authorizations(mut self, limit: usize) -> Self {
        self.max_authorizations = limit;
        self
    }

    /// Sets how many client events per second [`trigger`](crate::PrivateChannel::trigger) sends on a connection; the
    /// same number may be sent in a burst. `None`: no limit. Default: 10, Pusher's limit.
    pub fn client_event_limit(mut self, per_second: Option<u32>) -> Self {
        self.machine.client_event_limit = per_second;
        self
    }

    /// Sets an outbox: client events that cannot be sent at once wait in it. Default: none, and
    /// [`trigger`](crate::PrivateChannel::trigger) fails instead. See [`Outbox`].
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.machine.outbox = Some(outbox.limits());
        self
    }

    /// Sets whether the names of channels must follow Pusher's rules: at most 164 characters, all of them letters,
    /// digits or `_-=@,.;`. Default: `true`.
    ///
    /// Turn it off for servers with other limits. The prefix must fit the type of the channel in any case.
    pub fn check_channel_names(mut self, check: bool) -> Self {
        self.check_names = check;
        self
    }

    /// Sets how long the server may be silent before the client sends a ping. Default: 120 s.
    ///
    /// The smaller of this and the server's value applies, unless
    /// [`override_activity_timeout`](Self::override_activity_timeout) is set.
    pub fn activity_timeout(mut self, timeout: Duration) -> Self {
        self.machine.activity_timeout = timeout;
        self
    }

    /// Sets an activity timeout that applies instead of the server's and of
    /// [`activity_timeout`](Self::activity_timeout), even if it is longer. Default: none.
    ///
    /// A server that enforces the activity timeout that it sends closes a connection on which it has received nothing
    /// for that time. If this value is longer, such a server closes every idle connection, and the client reconnects
    /// each time. Use it where the server tolerates the silence but sends a value that does not suit the network, for
    /// example one so short that its pings drain a battery or use up a metered link. While messages keep arriving and
    /// the client itself sends nothing, it sends a ping after twice this time.
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
        self.machine.override_activity_timeout = Some(timeout);
        self
    }

    /// Sets how long the server may take to respond to a ping before the connection counts as lost. Default: 30 s.
    ///
    /// At most 5 s where there is reason to doubt the connection, see [`Client::network_changed`].
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.machine.pong_timeout = timeout;
        self
    }

    /// Sets how long one dial may take, from the lookup of the host name to the server's
    /// `pusher:connection_established`. Default: 15 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.machine.connect_timeout = timeout;
        self
    }

    /// Sets how long an authorizer may take to respond, and then the server to confirm the subscription, before the
    /// subscription counts as failed. Default: 30 s each.
    pub fn subscribe_timeout(mut self, timeout: Duration) -> Self {
        self.machine.subscribe_timeout = timeout;
        self
    }

    /// Sets how long the [`user_authenticator`](Self::user_authenticator) may take to respond, and then the server to
    /// confirm the sign-in, before the sign-in counts as failed. Default: 30 s each.
    pub fn signin_timeout(mut self, timeout: Duration) -> Self {
        self.machine.signin_timeout = timeout;
        self
    }

    /// Sets the reconnect policy. Default: retries without limit, see [`Reconnect`].
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Sets the queue of bindings that have none of their own. Default: the newest 4,096 values, at most 64 MiB, see
    /// [`Queue`].
    ///
    /// The same limits apply, for each channel, to the events of an encrypted channel that wait for another key:
    /// beyond them the oldest is dropped, whatever the drop policy, and reported as a decryption error. With
    /// [`Queue::unbounded`] at most 64 MiB of them wait.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// Sets how TLS connections are made and verified. Default: TLS 1.2 or later, and the platform's trusted roots.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxy of all connections, those of [`HttpAuthorizer`](crate::HttpAuthorizer) included. Default: none.
    ///
    /// The environment is not read unless you pass [`Proxy::from_env`].
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Adds a header to every WebSocket handshake, for example `Origin`, `Cookie` or `Authorization`.
    ///
    /// Of two headers with the same name, in any case, the later one counts. A header that the client sends by
    /// default (`Host`, and `User-Agent: pusher-channels/VERSION`) is replaced. Values are never logged or shown.
    /// Proxies do not receive them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] from [`build`](Self::build):
    ///
    /// - the name is empty or has a character that HTTP does not allow in it
    /// - the value has a line break or another control character
    /// - the handshake owns the header: `Connection`, `Upgrade`, `Sec-WebSocket-*` ([RFC 6455, section
    ///   4.1](https://www.rfc-editor.org/rfc/rfc6455#section-4.1)), `Content-Length`, `Transfer-Encoding`
    /// - there is a [`connector`](Self::connector), which headers do not reach
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

    /// Sets a function that returns more headers for every dial, for tokens that change. Default: none.
    ///
    /// Its headers replace those of [`header`](Self::header) with the same name. A second call replaces the function.
    /// It runs on the thread that dials: while it blocks, nothing is dialed, and its time counts towards
    /// [`connect_timeout`](Self::connect_timeout).
    ///
    /// # Errors
    ///
    /// The dial fails for the same reasons as [`header`](Self::header), and if `headers` panics. It is retried like any
    /// other.
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
        self.headers.set_function(Box::new(headers));
        self
    }

    /// Sets a connector that opens the connections. Default: the built-in WebSocket.
    ///
    /// Your connector handles TLS, a proxy and headers itself. It receives URLs of any scheme.
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Sets the maximum size of a message from the server, in bytes. A longer one ends the connection. Default: 1 MiB.
    ///
    /// It must be greater than zero. A [`connector`](Self::connector) of your own must enforce it itself.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets how much memory the members of one presence channel may take, in bytes: their ids, their infos, and
    /// 120 bytes for each member and 32 for each info. Default: 16 MiB. It must be greater than zero.
    ///
    /// Beyond it, further members have the info `null` (of a whole list, the ids are kept first, then as many infos as
    /// fit). Members that do not fit even so are not kept, except this client's own user: they are missing in
    /// [`members`](crate::PresenceChannel::members), and neither their joining nor their leaving is reported.
    /// [`bind_errors`](Client::bind_errors) reports that once for each subscription, with [`ErrorKind::TooLarge`] and
    /// the channel. Members that leave free their memory.
    pub fn max_members_bytes(mut self, bytes: usize) -> Self {
        self.machine.max_members_bytes = bytes;
        self
    }

    /// Sets the stack size of each of the client's threads, in bytes. Default: that of the standard library, 2 MiB of
    /// address space. It must be at least 256 KiB (262,144).
    ///
    /// Operating systems commit the memory of a stack as it is touched, so a larger one costs address space only. In
    /// debug builds the client itself needs up to 48 KiB whatever a server sends, a TLS handshake 96 KiB with
    /// `native-tls` and 160 KiB with `rustls`. The rest is for your code on these threads: a logger, authorizers, a
    /// reconnect policy, a connector.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Builds the client. Nothing runs until [`Client::connect`] is called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option or a setting is invalid, for example a certificate that cannot be read, or
    /// the URL of a proxy in the environment.
    pub fn build(mut self) -> Result<Client, Error> {
        let built_in = self.connector.is_none();
        self.options.check(built_in)?;
        self.check()?;
        self.proxy.check()?;
        let dial_code = self.headers.function();
        let tls = Arc::new(SharedTls::new(std::mem::take(&mut self.tls)));
        let connector = self.take_connector(&tls)?;
        tls.settings().warn_of_dangers("a client");
        let client = ClientSettings::sharing(tls, self.proxy);
        let initial = Initial {
            options: self.options,
            authorizer: self.authorizer.map(|it| AuthSource::new(it, &client)),
            authenticator: self.authenticator.map(|it| AuthSource::of_user(it, &client)),
        };
        let settings = Settings {
            machine: Config {
                policy: self.reconnect.policy(),
                max_held: self.queue.limits(),
                ..self.machine
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

    /// Returns the connector, after checking its settings. Those of TLS apply to endpoints in any case.
    fn take_connector(&mut self, tls: &Arc<SharedTls>) -> Result<Arc<dyn Connector>, Error> {
        let headers = std::mem::take(&mut self.headers);
        let Some(connector) = self.connector.take() else {
            let built_in = WebSocketConnector::new(Arc::clone(tls), self.max_message_size)?;
            return Ok(Arc::new(built_in.with_proxy(&self.proxy).with_headers(headers)?));
        };
        tls.check()?;
        if !headers.is_empty() {
            let message = "`header` and `headers_with` must not be combined with a `connector`, which they do not reach; remove one";
            return Err(Error::message(ErrorKind::Config, message));
        }
        Ok(connector)
    }

    /// Checks the numbers.
    fn check(&self) -> Result<(), Error> {
        let machine = &self.machine;
        let zeros = [
            ("activity_timeout", machine.activity_timeout.is_zero()),
            (
                "override_activity_timeout",
                machine.override_activity_timeout == Some(Duration::ZERO),
            ),
            ("pong_timeout", machine.pong_timeout.is_zero()),
            ("connect_timeout", machine.connect_timeout.is_zero()),
            ("subscribe_timeout", machine.subscribe_timeout.is_zero()),
            ("signin_timeout", machine.signin_timeout.is_zero()),
            ("max_message_size", self.max_message_size == 0),
            ("max_members_bytes", machine.max_members_bytes == 0),
            ("Outbox::max_bytes", machine.outbox.is_some_and(|outbox| outbox.bytes == 0)),
            ("Outbox::max_age", machine.outbox.is_some_and(|outbox| outbox.age.is_zero())),
        ];
        let message = match zeros.iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => format!("`{name}` must be greater than zero"),
            None if self.stack_size.is_some_and(|size| size < MIN_STACK_SIZE) => {
                format!("`stack_size` must be at least {MIN_STACK_SIZE} bytes")
            }
            None => return Ok(()),
        };
        Err(Error::message(ErrorKind::Config, message))
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
        let setters: [(&str, Set); 7] = [
            ("activity_timeout", ClientBuilder::activity_timeout),
            ("override_activity_timeout", ClientBuilder::override_activity_timeout),
            ("pong_timeout", ClientBuilder::pong_timeout),
            ("connect_timeout", ClientBuilder::connect_timeout),
            ("subscribe_timeout", ClientBuilder::subscribe_timeout),
            ("signin_timeout", ClientBuilder::signin_timeout),
            ("Outbox::max_age", |builder, age| builder.outbox(Outbox::new(1).max_age(age))),
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
