//! The handles that a program holds: the client, its channels and its user.

mod any;
mod builder;
mod channel;
mod channels;
mod handle;
mod methods;
mod user;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::binding::{Binding, Queue};
use crate::driver::{Selector, Shared};
use crate::{
    Error, ErrorKind, Event, Options, State, StateChange, Stats, UserAuthenticator, UserData,
};
pub use any::AnyChannel;
pub use builder::ClientBuilder;
#[cfg(feature = "encrypted")]
pub use channel::PrivateEncryptedChannel;
pub use channel::{PresenceChannel, PrivateChannel, PublicChannel};
pub use methods::Channel;
pub use user::User;
use wait::{Ended, wait_timed_out};

/// A client of one app on one server: the connection, the channels on it, and its user.
///
/// A handle: cheap to clone and usable from every thread. All methods except `wait_*`, `ping` and `close` return
/// immediately, and may be called from anywhere, a reconnect policy included.
///
/// The client owns two threads while it is connected or connecting: `pusher-reader`, which dials and reads, and
/// `pusher-timer`, which keeps the deadlines. They end when [`close`](Self::close) is called, or when the last handle
/// (of the client, its channels and its user) is dropped. Dropping does not block.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use pusher_channels::{Client, Options};
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let client = Client::new(Options::cluster("eu", "app-key"))?;
/// let chat = client.public_channel("chat")?;
/// let messages = chat.bind("message");
/// chat.subscribe();
/// client.connect();
/// chat.wait_subscribed(Duration::from_secs(20))?;
/// for event in &messages {
///     println!("{}", event.data());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// Ends the client with its last handle.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

impl Client {
    /// Creates a client with default settings. Nothing runs until [`connect`](Self::connect) is called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the options are invalid.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::builder(options).build()
    }

    /// Returns a builder, for a client with other settings.
    pub fn builder(options: Options) -> ClientBuilder {
        ClientBuilder::new(options)
    }

    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Owner(shared)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Connects, and reconnects as the [`Reconnect`](crate::Reconnect) policy says.
    ///
    /// Returns immediately; [`wait_connected`](Self::wait_connected) waits. Does nothing while the client is
    /// connected or connecting, and after [`close`](Self::close). Leaves [`State::Disconnected`] and
    /// [`State::Failed`].
    pub fn connect(&self) {
        self.shared().act(|machine, now| machine.connect(now));
    }

    /// Closes the connection, or cancels the dial or the wait for the next dial, and does not reconnect.
    ///
    /// Returns immediately and takes effect within a second. Channels stay wanted and bindings stay, for the next
    /// [`connect`](Self::connect). Every `wait_*` in progress ends with an error.
    pub fn disconnect(&self) {
        self.shared().act(|machine, now| machine.disconnect(now));
    }

    /// Drops the connection, if there is one, and dials now. It also ends a wait for the next dial, even one that the
    /// server has requested.
    ///
    /// Returns immediately. If a function given to [`Options::custom`] or a [`Connector`](crate::Connector) of your own
    /// has been called for an earlier dial and has not returned, the new dial waits for it, and the log says so after
    /// 1 s; after [`connect_timeout`](ClientBuilder::connect_timeout) the dial counts as failed. In
    /// [`State::Initialized`], [`State::Disconnected`] and [`State::Failed`] it does what [`connect`](Self::connect)
    /// does.
    #[doc(alias = "retryIn")]
    pub fn reconnect(&self) {
        self.shared().act(|machine, now| machine.reconnect(now));
    }

    /// Moves to another server: another cluster, host or app. Channels, bindings and the sign-in stay.
    ///
    /// Returns immediately. The current connection or dial ends, nothing more is sent on it, and the new server is
    /// dialed now; a wait for the next dial ends too. Subscribed channels are subscribed there, with new
    /// authorizations, and [`bind_resumed`](PublicChannel::bind_resumed) receives the gap. In [`State::Initialized`],
    /// [`State::Disconnected`] and [`State::Failed`] the options apply to the next [`connect`](Self::connect). To walk
    /// a list of hosts whenever a dial fails, see [`Options::custom`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the options are invalid; [`ErrorKind::Closed`] after [`close`](Self::close). Neither
    /// changes anything.
    #[doc(alias = "switchCluster")]
    pub fn switch(&self, options: Options) -> Result<(), Error> {
        options.check(self.shared().settings.built_in)?;
        if self.shared().with_core(|core| core.machine.is_closed()) {
            return Err(Error::message(ErrorKind::Closed, "the client is closed"));
        }
        self.shared().switch(options);
        Ok(())
    }

    /// Checks the connection now, or dials now if a dial is pending. Call it when the platform reports a change of the
    /// network or a resume from suspend.
    ///
    /// Returns immediately. The check is a ping that the server must respond to within 5 s (or
    /// [`pong_timeout`](ClientBuilder::pong_timeout) if that is shorter). It also dials if the client has failed
    /// because no thread could be started. It does not cut short a wait that the server has requested (see
    /// [`Reconnect`](crate::Reconnect)).
    ///
    /// The client notices a suspend by itself too, but only when something wakes it: the next heartbeat, a message,
    /// or a call.
    #[doc(alias("online", "check_now"))]
    pub fn network_changed(&self) {
        self.shared().act(|machine, now| machine.network_changed(now));
    }

    /// Closes the client permanently: disconnects, disconnects every binding, and waits for every thread to end.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread for at most `timeout`; usually for milliseconds, up to 250 ms if the server does not
    /// respond to the close frame. It does not wait for a lookup of a host name that the platform does not finish. It
    /// waits for code of yours that the client has called, such as a [`Connector`](crate::Connector).
    ///
    /// # Errors
    ///
    /// The client is closed in any case.
    ///
    /// - [`ErrorKind::Timeout`]: some threads still run, and end by themselves. The message names them, and the calls
    ///   that have not returned
    /// - [`ErrorKind::Deadlock`]: `close` was called on one of the client's own threads, which cannot wait for itself
    #[doc(alias("dispose", "shutdown"))]
    pub fn close(&self, timeout: Duration) -> Result<(), Error> {
        self.shared().shut_down();
        self.shared().join(timeout)
    }

    /// Waits until the client is connected, and returns the socket id.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread for at most `timeout`. Lost connections and failed dials do not end the wait.
    /// Returns early in [`State::Failed`] and [`State::Disconnected`], and on `disconnect()` and `close()`.
    ///
    /// # Errors
    ///
    /// - the cause of the failure in [`State::Failed`]
    /// - [`ErrorKind::NotConnected`] after `disconnect()`, [`ErrorKind::Closed`] after `close()`
    /// - [`ErrorKind::Timeout`]: not connected within `timeout`. The source is the last failure of this outage, or says
    ///   that the dial is still in progress; `{error}` shows it
    pub fn wait_connected(&self, timeout: Duration) -> Result<String, Error> {
        let mut ended = Ended::default();
        self.shared().wait(
            timeout,
            |core| match core.machine.socket_id() {
                Some(socket_id) => Some(Ok(socket_id.to_owned())),
                None => ended.check(core).map(Err),
            },
            |core| {
                let failure = core.machine.why_not_connected();
                wait_timed_out(core, timeout, "the connection", failure)
            },
        )
    }

    /// Returns the state of the connection. Never blocks.
    pub fn state(&self) -> State {
        self.shared().with_core(|core| core.machine.state())
    }

    /// Returns the id that the server has assigned to this connection; `None` unless connected. Never blocks.
    pub fn socket_id(&self) -> Option<String> {
        self.shared().with_core(|core| core.machine.socket_id().map(str::to_owned))
    }

    /// Returns counts of what the client has done so far: connections, frames, events, authorizations.
    ///
    /// Never blocks. It takes well under a microsecond, so it can be called in every frame of a game.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Sends a `pusher:ping` and returns the round-trip time.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread for at most `timeout`. If a ping is already in flight, it waits for that one and
    /// returns its time.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotConnected`]: there is no connection, or it was lost during the wait
    /// - [`ErrorKind::Timeout`] ([`Timeout::Wait`](crate::Timeout::Wait)): no response within `timeout`. This does
    ///   not end the connection; that is up to [`pong_timeout`](ClientBuilder::pong_timeout)
    pub fn ping(&self, timeout: Duration) -> Result<Duration, Error> {
        let ping = self.shared().act(|machine, now| machine.ping(now))?;
        self.shared().wait(
            timeout,
            |core| core.machine.ping_result(ping),
            |core| wait_timed_out(core, timeout, "the response to a ping", None),
        )
    }

    /// Signs in as the user that the [`user_authenticator`](ClientBuilder::user_authenticator) identifies, and signs
    /// in again on every connection, until [`signout`](Self::signout) is called.
    ///
    /// Returns immediately, connected or not; [`wait_signed_in`](Self::wait_signed_in) waits. Calling it again does
    /// nothing, unless the sign-in has failed: then the client tries again on the current connection. See [user
    /// authentication](https://pusher.com/docs/channels/using_channels/user-authentication/), which must be enabled
    /// for the app on some servers.
    ///
    /// Transient failures (the endpoint's 5xx, its time-outs) are retried with back-off. [`User::bind_signin_error`]
    /// and [`bind_errors`](Self::bind_errors) receive permanent ones, and those of a server that refuses or does not
    /// respond within [`signin_timeout`](ClientBuilder::signin_timeout); the client tries again on the next
    /// connection or when this method is called. A server that closes the connection with code 4009 leaves the client
    /// in [`State::Failed`].
    pub fn signin(&self) {
        self.shared().act(|machine, now| machine.signin(now));
    }

    /// Like [`signin`](Self::signin), with another authenticator for this and all later sign-ins, and so possibly as
    /// another user.
    ///
    /// A connection keeps its user until it ends: if the current one is signed in or signing in, it is replaced by a
    /// new one.
    pub fn signin_with(&self, authenticator: impl UserAuthenticator + 'static) {
        self.shared().sign_in_with(Arc::new(authenticator));
    }

    /// Signs the user out.
    ///
    /// Returns immediately. The protocol has no message for it, so a connection that is signed in or signing in is
    /// replaced by a new one. Bindings stay, for the next [`signin`](Self::signin).
    #[doc(alias = "logout")]
    pub fn signout(&self) {
        self.shared().act(|machine, now| machine.signout(now));
    }

    /// Waits until the server has confirmed the sign-in, and returns the user.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread for at most `timeout`. Lost connections and failures that are retried do not end the
    /// wait. Returns early if the sign-in has failed or is not wanted, in [`State::Failed`] and
    /// [`State::Disconnected`], and on `disconnect()` and `close()`.
    ///
    /// # Errors
    ///
    /// - the failure of the sign-in or of the connection
    /// - [`ErrorKind::NotSignedIn`]: [`signin`](Self::signin) was not called
    /// - [`ErrorKind::NotConnected`] after `disconnect()`, [`ErrorKind::Closed`] after `close()`
    /// - [`ErrorKind::Timeout`]: no confirmation within `timeout`. The source is the last failure of the sign-in on
    ///   this connection, otherwise of the connection, if there was one, and `{error}` shows it
    pub fn wait_signed_in(&self, timeout: Duration) -> Result<UserData, Error> {
        let mut ended = Ended::default();
        self.shared().wait(
            timeout,
            |core| {
                if let Some(user) = core.machine.signed_in() {
                    return Some(Ok(user.clone()));
                }
                if !core.machine.wants_signin() && !core.machine.is_closed() {
                    let message = "not signed in; call signin() first";
                    return Some(Err(Error::message(ErrorKind::NotSignedIn, message)));
                }
                let failure = core.machine.signin_failure().cloned();
                failure.or_else(|| ended.check(core)).map(Err)
            },
            |core| {
                let failure = core.machine.last_signin_failure().cloned();
                let failure = failure.or_else(|| core.machine.why_not_connected());
                wait_timed_out(core, timeout, "the sign-in", failure)
            },
        )
    }

    /// Returns a handle to the user of this client, signed in or not.
    pub fn user(&self) -> User {
        User::new(self)
    }

    /// Returns a binding that receives the events of this name on every channel.
    ///
    /// On a closed client the binding is disconnected from the start.
    pub fn bind(&self, event: &str) -> Binding<Event> {
        self.bind_events(event, None)
    }

    /// Like [`bind`](Self::bind), with a queue for this binding alone.
    pub fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
        self.bind_events(event, Some(queue))
    }

    /// Returns a binding that receives all events on every channel: user events, and protocol events under their
    /// public names (`pusher:subscription_succeeded`, `pusher:cache_miss`, `pusher:error` …).
    #[doc(alias = "bind_global")]
    pub fn bind_all(&self) -> Binding<Event> {
        self.bind_all_events(None)
    }

    /// Like [`bind_all`](Self::bind_all), with a queue for this binding alone.
    pub fn bind_all_with(&self, queue: Queue) -> Binding<Event> {
        self.bind_all_events(Some(queue))
    }

    /// Returns a binding that receives every change of the [`State`].
    #[doc(alias("state_change", "lifecycleStream", "onConnectionStateChange"))]
    pub fn bind_states(&self) -> Binding<StateChange> {
        self.shared().bind(Selector::Client(|client, _| &mut client.states), "", None)
    }

    /// Returns a binding that receives the socket id of every new connection.
    #[doc(alias("onConnectionEstablished", "pusher:connection_established"))]
    pub fn bind_connected(&self) -> Binding<String> {
        self.shared().bind(Selector::Client(|client, _| &mut client.connected), "", None)
    }

    /// Returns a binding that receives errors that do not end the connection: those that the server reports, malformed
    /// frames, and failed subscriptions.
    ///
    /// [`StateChange::cause`] says why a connection ended.
    #[doc(alias("pusherErrorEventStream", "pusher:error", "onError"))]
    pub fn bind_errors(&self) -> Binding<Error> {
        self.shared().bind(Selector::Client(|client, _| &mut client.errors), "", None)
    }

    fn bind_events(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        let named = Selector::Client(|client, name| client.events.named(name));
        self.shared().bind(named, event, queue)
    }

    fn bind_all_events(&self, queue: Option<Queue>) -> Binding<Event> {
        let all = Selector::Client(|client, _| &mut client.events.all);
        self.shared().bind(all, "", queue)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}
