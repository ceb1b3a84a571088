//! A Pusher-compatible server inside your process, to test your app against (feature `testing`).
//!
//! It speaks the protocol as Pusher documents it, on a free port of 127.0.0.1, and can be told to
//! misbehave: to drop connections, to refuse them, to fall silent, to send garbage. See [`Server`].

mod auth;
mod bucket;
mod encryption;
mod frames;
mod http;
mod inbound;
mod listener;
mod peer;
mod presence;
mod settings;
mod signature;
mod signin;
mod state;
mod users;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::Waker;
use serde::Serialize;

use crate::Options;
use crate::util::guard::write_log;
use listener::{Listener, Service};
use state::{Shared, State};

pub use auth::AuthRecord;
pub use settings::{
    ChannelRefusal, CloseStyle, DataStyle, PresenceStyle, Settings, SigninRefusal, WatchlistStyle,
};

/// A Pusher-compatible server on 127.0.0.1, for tests.
///
/// It has channels of every kind, relays client events, and has users who sign in. Its endpoints
/// authorize subscriptions, [`auth_url`](Self::auth_url), and users,
/// [`user_auth_url`](Self::user_auth_url).
///
/// It never ends a quiet connection, and takes up to 1,024 connections, each on a thread of its own. A
/// client that does not read is dropped when 4 MiB wait for it. Of Pusher's limits it keeps those on
/// channel names, on members (100 a channel, 128 characters of id, 1 KB of info), on watchlists (100
/// ids), and on client events (10 kB, and [`Settings::client_event_limit`]).
///
/// All methods but [`wait_for`](Self::wait_for) return at once and may be called from every thread. An
/// event that is published after a client saw its subscription confirmed is never lost, and every
/// client gets the events in the order in which they were published.
///
/// Dropping it drops all connections, frees the port, and waits for its threads to end, which takes
/// milliseconds.
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
/// // The client comes back by itself.
/// server.drop_connections();
/// assert!(server.wait_for(Duration::from_secs(5), |server| server.subscribers("chat") == 1));
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    port: u16,
    auth_port: u16,
    accepting: Vec<(JoinHandle<()>, Waker)>,
}

/// Life.
impl Server {
    /// Starts a server on a free port, which behaves as Pusher documents it.
    ///
    /// # Errors
    ///
    /// The system gives no port or no thread.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Settings::default())
    }

    /// Starts a server with settings of your own.
    ///
    /// # Errors
    ///
    /// The port is taken, or the system gives no port or no thread.
    pub fn start_with(settings: Settings) -> io::Result<Self> {
        let port = settings.port;
        let shared = Arc::new(Shared::new(settings));
        // Whole from the beginning, so that what has started ends if the rest does not start.
        let mut server = Self { shared, port, auth_port: 0, accepting: Vec::new() };
        server.port = server.listen(listener::WEBSOCKETS, port)?;
        server.auth_port = server.listen(auth::SERVICE, 0)?;
        Ok(server)
    }

    fn listen(&mut self, service: Service, port: u16) -> io::Result<u16> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = socket.local_addr()?.port();
        self.accepting.push(Listener::start(service, socket, Arc::clone(&self.shared))?);
        Ok(port)
    }

    /// What a client needs to connect here: host, port and key, without TLS.
    pub fn options(&self) -> Options {
        Options::host("127.0.0.1", self.key()).port(self.port).tls(false)
    }

    /// The URL of [`options`](Self::options), such as `ws://127.0.0.1:54321/app/app-key?protocol=7…`.
    pub fn url(&self) -> String {
        // Only an empty key makes no URL, and no client can have one.
        self.options().to_url().unwrap_or_else(|_| format!("ws://127.0.0.1:{}/app/", self.port))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where subscriptions are authorized, such as `http://127.0.0.1:54322/pusher/auth`.
    ///
    /// It takes `socket_id` and `channel_name` as Pusher documents it: in a form that is posted, in a
    /// JSON object, or in the query. Several channels at once are asked for with `channel_name[0]`,
    /// `channel_name[1]`, … (or an array in JSON); the answer is
    /// `{"CHANNEL":{"status":200,"data":{"auth":…}},…}` then. Whoever asks gets in: as the member that
    /// the parameters `user_id` and `user_info` (JSON) name on presence channels, or as
    /// `user-SOCKET_ID`. With the parameter `signed_in_user=true`, or
    /// [`Settings::presence_by_signin`], there is no `channel_data`, and the member is the user who has
    /// signed in. For an encrypted channel the answer has its `shared_secret`, if the crate has
    /// the feature `encrypted`.
    pub fn auth_url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.auth_port, auth::PATH)
    }

    /// The app's key.
    pub fn key(&self) -> &str {
        &self.shared.settings.key
    }

    /// The app's secret.
    pub fn secret(&self) -> &str {
        &self.shared.settings.secret
    }

    /// The key from which the keys of encrypted channels follow, in base64; new for each server.
    #[cfg(feature = "encrypted")]
    #[cfg_attr(docsrs, doc(cfg(feature = "encrypted")))]
    pub fn encryption_master_key(&self) -> String {
        self.shared.read(|state| state.keys.master())
    }
}

/// What a server does.
impl Server {
    /// Publishes an event to all subscribers of a channel, and tells how many connections it goes to.
    ///
    /// As Pusher does, it sends `data` as a string: text as it is, anything else as its JSON. A cache
    /// channel repeats its last event to later subscribers. If `data` cannot be written as JSON (a map
    /// whose keys are no text), an error is logged and nothing is sent.
    ///
    /// On an encrypted channel the string is sealed with the channel's key, which takes the feature
    /// `encrypted`: without it, an error is logged and nothing is sent.
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
        self.shared.act(|state| state.publish(channel, event, &text))
    }

    /// As [`publish`](Self::publish), but never encrypted: what a client must not deliver on an
    /// encrypted channel.
    pub fn publish_plain(
        &self,
        channel: &str,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> usize {
        let Some(text) = text_of(channel, event, data) else {
            return 0;
        };
        self.shared.act(|state| state.publish_plain(channel, event, &text))
    }

    /// Gives an encrypted channel a new key: it is what the auth endpoint hands out and what
    /// [`publish`](Self::publish) uses from now on. A cached event stays as it was sealed.
    pub fn rotate_encryption_key(&self, channel: &str) {
        self.shared.act(|state| state.keys.rotate(channel));
    }

    /// Tells the subscribers of a channel that they are so many, whether or not it is true.
    ///
    /// See [`Settings::subscription_counts`] for the truth.
    pub fn set_subscription_count(&self, channel: &str, count: u64) {
        self.shared.act(|state| state.send_count(channel, count));
    }

    /// Sends a `pusher:ping` to every connection, which a client has to answer.
    pub fn ping_clients(&self) {
        self.shared.act(State::ping_all);
    }
}

/// What a test wants to know.
impl Server {
    /// How many connections are established: greeted, and neither ended nor dropped since.
    pub fn connections(&self) -> usize {
        self.shared.read(State::established)
    }

    /// How many connections are subscribed to this channel.
    pub fn subscribers(&self, channel: &str) -> usize {
        self.shared.read(|state| state.subscribers(channel))
    }

    /// How many times clients have asked for a connection so far, those refused included.
    pub fn dials(&self) -> u64 {
        self.shared.read(State::dials)
    }

    /// The frames received from all clients so far, in order: the last 100,000, at most 64 MiB.
    pub fn recorded(&self) -> Vec<String> {
        self.shared.read(State::recorded)
    }

    /// How many requests the auth endpoints have had so far, those refused included.
    pub fn auth_count(&self) -> usize {
        self.shared.read(|state| state.auth.count())
    }

    /// The requests to the auth endpoints so far, in order: the last 10,000, at most 64 MiB. What was
    /// no HTTP request is not among them.
    pub fn auth_requests(&self) -> Vec<AuthRecord> {
        self.shared.read(|state| state.auth.recorded())
    }

    /// Waits until `condition` is true, and tells whether it is.
    ///
    /// **Blocking**: for at most `timeout`. The condition is looked at now and whenever anything has
    /// changed here: a connection, a subscription, a frame or a request received.
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

/// Faults. They act on the connections of the moment; one that comes after is served again.
impl Server {
    /// Ends all TCP connections without a close frame.
    pub fn drop_connections(&self) {
        self.shared.act(State::drop_all);
    }

    /// Ends all connections with a close frame, or as [`Settings::close_style`] says.
    ///
    /// The reason is cut after 123 bytes. Code 1005 makes a close frame without a code.
    pub fn close_all(&self, code: u16, reason: &str) {
        self.shared.act(|state| state.close_all(code, reason));
    }

    /// Answers the next `n` connections with HTTP 503 instead of speaking WebSocket; 0 ends it.
    pub fn refuse(&self, n: usize) {
        self.shared.act(|state| state.refuse(n));
    }

    /// While on, the server only reads: it accepts connections but neither greets nor answers them, and
    /// publishes nothing. [`send_raw`](Self::send_raw), [`close_all`](Self::close_all),
    /// [`terminate_user`](Self::terminate_user) and [`drop_connections`](Self::drop_connections) still
    /// work.
    ///
    /// What came in meanwhile is recorded but stays unanswered, a missing greeting included.
    pub fn silence(&self, on: bool) {
        self.shared.act(|state| state.set_silent(on));
    }

    /// Sends a text message as it is to every connection, those not greeted included.
    pub fn send_raw(&self, text: &str) {
        self.shared.act(|state| state.send_raw(text));
    }

    /// Refuses subscriptions to this channel from now on. Those that exist stay.
    pub fn refuse_channel(&self, channel: &str, refusal: ChannelRefusal) {
        self.shared.act(|state| state.set_refusal(channel, Some(refusal)));
    }

    /// Ends [`refuse_channel`](Self::refuse_channel).
    pub fn allow_channel(&self, channel: &str) {
        self.shared.act(|state| state.set_refusal(channel, None));
    }
}

/// Faults of the auth endpoints, of both alike.
impl Server {
    /// Every answer of the auth endpoints waits until its request is this old. Those that wait already
    /// go by the new delay too.
    pub fn delay_auth(&self, delay: Duration) {
        self.shared.act(|state| state.auth.delay = delay);
    }

    /// Requests to the auth endpoints that come in from now on are answered with this HTTP status; 200
    /// ends it.
    pub fn fail_auth(&self, status: u16) {
        self.shared.act(|state| state.auth.status = Some(status));
    }

    /// The next `n` requests to the auth endpoints are answered with this HTTP status; 0 ends it.
    pub fn fail_auth_times(&self, n: usize, status: u16) {
        self.shared.act(|state| state.auth.next = Some((n, status)));
    }

    /// Failures of the auth endpoints get the header `Retry-After` with these seconds, or do not.
    pub fn retry_after(&self, seconds: Option<u64>) {
        self.shared.act(|state| state.auth.retry_after = seconds);
    }

    /// The auth endpoints answer with this body, whatever is asked; `None` ends it.
    pub fn auth_body(&self, body: Option<&str>) {
        self.shared.act(|state| state.auth.body = body.map(str::to_owned));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.act(State::stop);
        for (_, waker) in &self.accepting {
            if let Err(error) = waker.wake() {
                // Not joined then, since it would not end.
                return write_log!(Error, "the test server's thread could not be woken: {error}");
            }
        }
        for (accepting, _) in self.accepting.drain(..) {
            // One that panicked has ended too.
            let _ = accepting.join();
        }
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

/// The string that Pusher makes of data.
fn text_of(channel: &str, event: &str, data: &(impl Serialize + ?Sized)) -> Option<String> {
    let json = match serde_json::to_string(data) {
        Ok(json) => json,
        Err(error) => {
            write_log!(Error, "the test server cannot publish {event} on {channel}: {error}");
            return None;
        }
    };
    let text = if json.starts_with('"') { serde_json::from_str(&json).ok() } else { None };
    Some(text.unwrap_or(json))
}

/// What the locks here guard stays right when a thread panics, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
