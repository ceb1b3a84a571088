//! An in-process Pusher-compatible server for tests and development (feature `testing`).
//!
//! It listens on 127.0.0.1, implements the protocol as Pusher documents it, and simulates faults on request: it drops
//! or refuses connections, stops responding, or sends arbitrary text. See [`Server`].

mod activity;
mod api;
mod bucket;
mod cors;
mod encryption;
mod endpoint;
mod exchange;
mod frames;
mod http;
mod link;
mod listener;
mod peer;
mod presence;
mod recording;
mod requests;
mod router;
mod settings;
mod signature;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod user;
mod users;
mod webhook;
mod webhook_events;
mod websocket;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::Waker;
use serde::Serialize;

use crate::Options;
use crate::util::guard::write_log;
use crate::util::url::percent_encode;
use crate::wire::data_of;
use listener::Listener;
use state::{Shared, State};

pub use activity::Activity;
pub use requests::AuthRecord;
pub use settings::{
    ChannelRefusal, CloseStyle, DataStyle, PresenceStyle, Settings, SigninRefusal, WatchlistStyle,
};

/// An in-process Pusher-compatible server on 127.0.0.1, for tests and development.
///
/// It supports channels of every kind, client events, and user sign-in. On the same port it authorizes
/// subscriptions ([`auth_url`](Self::auth_url)) and sign-ins ([`user_auth_url`](Self::user_auth_url)), and has the HTTP
/// API ([`api_url`](Self::api_url)), so that other client libraries, web pages and backends can use it too. On request
/// it speaks TLS ([`Settings::tls`]) and sends webhooks ([`Settings::webhook`]).
///
/// # Limits
///
/// The server accepts up to 1,024 connections, with one thread for each, and never closes an idle WebSocket. It
/// drops a client that leaves 4 MiB unread. With more than 10,000 channels it forgets the oldest last events of cache
/// channels without subscribers. An HTTP request has 10 seconds and at most 1 MiB of body; a connection
/// without one is closed after 30 seconds. As on Pusher, a presence channel has at most 100 members, with
/// ids of at most 128 characters and 1 KB of info; a watchlist has at most 100 ids; a client event has at
/// most 10 kB of data, and [`Settings::client_event_limit`] limits their rate. Channel names are checked.
///
/// # Blocking
///
/// Only [`wait_for`](Self::wait_for) blocks. All methods may be called from any thread. An event that is
/// published after a client's subscription was confirmed is not lost, and all clients receive events in the
/// order in which they were published.
///
/// Dropping the server drops all connections, frees the port, and waits for the server's threads, which
/// takes milliseconds.
///
/// # Example
///
/// ```
/// use pusher_channels::{Client, testing::Server};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::start()?;
/// let client = Client::new(server.options())?;
/// let chat = client.public_channel("chat")?;
/// let messages = chat.bind("message");
/// chat.subscribe();
/// client.connect();
/// chat.wait_subscribed(Duration::from_secs(5))?;
///
/// server.publish("chat", "message", "hello");
/// assert_eq!(messages.recv_timeout(Duration::from_secs(5))?.data(), "hello");
///
/// // The client reconnects and resubscribes.
/// server.drop_connections();
/// assert!(server.wait_for(Duration::from_secs(5), |server| server.subscribers("chat") == 1));
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    listener: Option<(JoinHandle<()>, Arc<Waker>)>,
    webhook: Option<JoinHandle<()>>,
}

/// Starting a server, and what clients need to reach it.
impl Server {
    /// Starts a server with default [`Settings`] on a free port.
    ///
    /// # Errors
    ///
    /// The system has run out of ports, file descriptors or threads.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Settings::default())
    }

    /// Starts a server with the given settings.
    ///
    /// # Errors
    ///
    /// The port is in use ([`AddrInUse`](io::ErrorKind::AddrInUse), which names it), the certificate of
    /// [`Settings::tls`] or the URL of [`Settings::webhook`] cannot be used, or the system has run out of
    /// ports, file descriptors or threads.
    pub fn start_with(settings: Settings) -> io::Result<Self> {
        let port = settings.port;
        let webhook = settings.webhook.as_deref().map(webhook::read_url).transpose()?;
        let shared = Arc::new(Shared::new(settings)?);
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            io::Error::new(error.kind(), format!("listening on 127.0.0.1:{port} failed: {error}"))
        })?;
        let port = socket.local_addr()?.port();
        let mut server = Self { shared, port, listener: None, webhook: None };
        // If one thread fails to start, dropping the server stops the other.
        server.listener = Some(Listener::start(socket, Arc::clone(&server.shared))?);
        if let Some(url) = webhook {
            server.webhook = Some(webhook::start(url, Arc::clone(&server.shared))?);
        }
        Ok(server)
    }

    /// Returns the options that connect a client to this server: host, port and key, with TLS if
    /// [`Settings::tls`] was set.
    pub fn options(&self) -> Options {
        Options::host("127.0.0.1", self.key()).port(self.port).tls(self.shared.tls.is_some())
    }

    /// Returns the URL of [`options`](Self::options), such as `ws://127.0.0.1:54321/app/app-key?protocol=7…`.
    pub fn url(&self) -> String {
        // Fails only with an empty key, which no client can have.
        let scheme = if self.shared.tls.is_some() { "wss" } else { "ws" };
        let fallback = || format!("{scheme}://127.0.0.1:{}/app/", self.port);
        self.options().to_url().unwrap_or_else(|_| fallback())
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of this path.
    fn http_url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the URL of the endpoint that authorizes subscriptions, such as `http://127.0.0.1:54321/pusher/auth`.
    ///
    /// It accepts every request, also at Laravel's path `/broadcasting/auth`. The parameters are those of Pusher's
    /// documentation, as a posted form, a JSON object, or the query:
    ///
    /// - `socket_id`
    /// - `channel_name`; for a batch `channel_name[0]`, `channel_name[1]`, …, or an array in JSON. The response
    ///   to a batch is `{"CHANNEL":{"status":200,"data":{"auth":…}},…}`.
    /// - `user_id` and `user_info` (JSON), for presence channels. Default: `user-SOCKET_ID` without info.
    /// - `signed_in_user=true` omits `channel_data`, as [`Settings::presence_by_signin`] does for all requests:
    ///   the member is the user who has signed in.
    ///
    /// For an encrypted channel the response contains `shared_secret`; this needs the feature `encrypted`.
    pub fn auth_url(&self) -> String {
        self.http_url(endpoint::PATHS[0])
    }

    /// Returns the URL of the HTTP API, such as `http://127.0.0.1:54321/apps/app-id`.
    ///
    /// It has Pusher's requests below this path, signed with the key and the secret:
    ///
    /// - `POST /events` and `/batch_events`; on an encrypted channel the data must be encrypted already
    /// - `GET /channels`, `/channels/NAME` and `/channels/NAME/users`
    /// - `POST /users/ID/events` and `/users/ID/terminate_connections`
    ///
    /// Pusher's limits apply: 10 kB of data, 100 channels, 10 events in a batch, names, and 600 seconds between the
    /// clocks. Errors are plain text with Pusher's status.
    pub fn api_url(&self) -> String {
        let mut path = "/apps/".to_owned();
        percent_encode(self.app_id(), &mut path);
        self.http_url(&path)
    }

    /// Returns the app id.
    pub fn app_id(&self) -> &str {
        &self.shared.settings.app_id
    }

    /// Returns the app key.
    pub fn key(&self) -> &str {
        &self.shared.settings.key
    }

    /// Returns the app secret.
    pub fn secret(&self) -> &str {
        &self.shared.settings.secret
    }

    /// Returns the master key from which the keys of encrypted channels are derived, in base64. Each server generates
    /// its own.
    #[cfg(feature = "encrypted")]
    #[cfg_attr(docsrs, doc(cfg(feature = "encrypted")))]
    pub fn encryption_master_key(&self) -> String {
        self.shared.read(|state| state.keys.master())
    }
}

/// Events.
impl Server {
    /// Publishes an event to all subscribers of a channel. Returns the number of receiving connections.
    ///
    /// As on Pusher, `data` is sent as a string: a string as it is, any other value as its JSON. A cache
    /// channel repeats its last event to later subscribers. On an encrypted channel the string is encrypted
    /// with the channel's key.
    ///
    /// Logs an error and sends nothing if `data` cannot be serialized as JSON (a map whose keys are not strings), or if
    /// the channel is encrypted and the feature `encrypted` is off.
    ///
    /// # Example
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let server = pusher_channels::testing::Server::start()?;
    /// server.publish("chat", "message", "hello");
    /// server.publish("chat", "move", &serde_json::json!({"x": 1, "y": 2}));
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, channel: &str, event: &str, data: &(impl Serialize + ?Sized)) -> usize {
        let Some(text) = text_of(channel, event, data) else {
            return 0;
        };
        if cfg!(not(feature = "encrypted")) && channel.starts_with(encryption::PREFIX) {
            write_log!(Error, "the test server cannot encrypt without the feature `encrypted`");
            return 0;
        }
        self.shared.act(|state| state.publish(channel, event, &text))
    }

    /// Publishes as [`publish`](Self::publish) does, but never encrypts. A client must not deliver such an event
    /// on an encrypted channel.
    pub fn publish_plain(
        &self,
        channel: &str,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> usize {
        let Some(text) = text_of(channel, event, data) else {
            return 0;
        };
        self.shared.act(|state| state.publish_plain(channel, event, &text, None))
    }

    /// Replaces the key of an encrypted channel, for all later authorizations and events. A cached event keeps its
    /// encryption.
    pub fn rotate_encryption_key(&self, channel: &str) {
        self.shared.act(|state| state.keys.rotate(channel));
    }

    /// Sends a subscription count, which may be wrong, to the subscribers of a channel.
    ///
    /// [`Settings::subscription_counts`] sends true ones.
    pub fn set_subscription_count(&self, channel: &str, count: u64) {
        self.shared.act(|state| state.send_count(channel, count));
    }

    /// Sends a `pusher:ping` to every established connection. Clients must respond with `pusher:pong`.
    pub fn ping_clients(&self) {
        self.shared.act(State::ping_all);
    }
}

/// What the server has seen.
impl Server {
    /// Returns a receiver of what happens from now on, in order: connections, subscriptions and events. An earlier
    /// receiver is disconnected, and so is this one when the server is dropped.
    ///
    /// If 4,096 values wait, further ones are missed, see [`Activity::Missed`].
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::testing::{Activity, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::start()?;
    /// let activity = server.watch();
    /// server.publish("chat", "message", "hello");
    /// assert!(matches!(activity.recv(), Ok(Activity::Published { receivers: 0, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> Receiver<Activity> {
        self.shared.act(|state| state.watch.start())
    }

    /// Returns the number of established connections.
    pub fn connections(&self) -> usize {
        self.shared.read(State::established)
    }

    /// Returns the number of connections that are subscribed to this channel.
    pub fn subscribers(&self, channel: &str) -> usize {
        self.shared.read(|state| state.subscribers(channel))
    }

    /// Returns the number of WebSocket handshakes so far, including refused ones.
    pub fn dials(&self) -> u64 {
        self.shared.read(|state| state.dials)
    }

    /// Returns the frames received from all clients so far, in order: the last 100,000, at most 64 MiB.
    pub fn recorded(&self) -> Vec<String> {
        self.shared.read(|state| state.recorded.all())
    }

    /// Returns the number of requests to the auth endpoints so far, including refused ones.
    pub fn auth_count(&self) -> usize {
        self.shared.read(|state| state.auth.count())
    }

    /// Returns the requests to the auth endpoints so far, in order: the last 10,000, at most 64 MiB. Invalid
    /// HTTP is not recorded.
    pub fn auth_requests(&self) -> Vec<AuthRecord> {
        self.shared.read(|state| state.auth.recorded())
    }

    /// Waits until `condition` returns `true`. Returns `false` on a timeout.
    ///
    /// # Blocking
    ///
    /// Blocks for at most `timeout`. Calls the condition now and after every change of the server: a
    /// connection, a subscription, a frame or a request.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn main() -> std::io::Result<()> {
    /// # let server = pusher_channels::testing::Server::start()?;
    /// assert!(server.wait_for(Duration::from_secs(5), |server| server.connections() == 3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for(&self, timeout: Duration, mut condition: impl FnMut(&Self) -> bool) -> bool {
        self.shared.wait(timeout, || condition(self))
    }
}

/// Faults of connections.
impl Server {
    /// Drops all current TCP connections without a close frame.
    pub fn drop_connections(&self) {
        self.shared.act(State::drop_all);
    }

    /// Closes all current connections with a close frame, or as [`Settings::close_style`] says.
    ///
    /// The reason is truncated to 123 bytes. Code 1005 sends a close frame without a code.
    pub fn close_all(&self, code: u16, reason: &str) {
        self.shared.act(|state| state.close_all(code, reason));
    }

    /// Refuses the next `n` WebSocket handshakes with HTTP 503. 0 ends the fault.
    pub fn refuse(&self, n: usize) {
        self.shared.act(|state| state.refuse = n);
    }

    /// Starts or stops ignoring clients: while on, the server accepts connections and reads frames, but
    /// establishes no connection, responds to nothing and publishes nothing.
    ///
    /// [`send_raw`](Self::send_raw), [`close_all`](Self::close_all), [`terminate_user`](Self::terminate_user) and
    /// [`drop_connections`](Self::drop_connections) still work. Frames and connections that arrive meanwhile get
    /// no response later either.
    pub fn silence(&self, on: bool) {
        self.shared.act(|state| state.silent = on);
    }

    /// Sends a text message as it is to every current connection, established or not.
    pub fn send_raw(&self, text: &str) {
        self.shared.act(|state| state.send_raw(text));
    }

    /// Refuses new subscriptions to this channel. Existing ones stay.
    pub fn refuse_channel(&self, channel: &str, refusal: ChannelRefusal) {
        self.shared.act(|state| state.refused_channels.insert(channel.to_owned(), refusal));
    }

    /// Ends [`refuse_channel`](Self::refuse_channel).
    pub fn allow_channel(&self, channel: &str) {
        self.shared.act(|state| state.refused_channels.remove(channel));
    }
}

/// Faults of both auth endpoints.
impl Server {
    /// Delays every response by this long after its request, including those that are waiting. Default: zero.
    pub fn delay_auth(&self, delay: Duration) {
        self.shared.act(|state| state.auth.delay = delay);
    }

    /// Responds to new requests with this HTTP status. 200 ends the fault.
    pub fn fail_auth(&self, status: u16) {
        self.shared.act(|state| state.auth.status = Some(status));
    }

    /// Responds to the next `n` requests with this HTTP status. 0 ends the fault.
    pub fn fail_auth_times(&self, n: usize, status: u16) {
        self.shared.act(|state| state.auth.next = Some((n, status)));
    }

    /// Adds the header `Retry-After` with these seconds to failures. `None`, the default, ends it.
    pub fn retry_after(&self, seconds: Option<u64>) {
        self.shared.act(|state| state.auth.retry_after = seconds);
    }

    /// Replaces the body of every response. `None` ends the fault.
    pub fn auth_body(&self, body: Option<&str>) {
        self.shared.act(|state| state.auth.body = body.map(str::to_owned));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.act(State::stop);
        if let Some(thread) = self.webhook.take() {
            // One that panicked has ended too.
            let _ = thread.join();
        }
        let Some((thread, waker)) = self.listener.take() else {
            return;
        };
        if let Err(error) = waker.wake() {
            // Joining a thread that cannot be woken would block forever.
            return write_log!(Error, "waking the test server's thread failed: {error}");
        }
        // A thread that panicked has ended too.
        let _ = thread.join();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("port", &self.port)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Returns `data` as the string that Pusher sends. Logs a failure.
fn text_of(channel: &str, event: &str, data: &(impl Serialize + ?Sized)) -> Option<String> {
    let json = match serde_json::to_string(data) {
        Ok(json) => json,
        Err(error) => {
            write_log!(Error, "publishing `{event}` on `{channel}` failed: {error}");
            return None;
        }
    };
    Some(data_of(&json).into_owned())
}
