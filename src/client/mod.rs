//! The client's handle.

mod builder;
mod channel;
mod handle;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::binding::{Binding, Queue};
use crate::driver::{Core, Selector, Shared};
use crate::util::units;
use crate::wire::{ChannelKind, check_channel};
use crate::{
    Authorizer, Error, ErrorKind, Event, Options, State, StateChange, Stats, Timeout,
    UserAuthenticator, UserData,
};
pub use builder::ClientBuilder;
#[cfg(feature = "encrypted")]
pub use channel::PrivateEncryptedChannel;
pub use channel::{PresenceChannel, PrivateChannel, PublicChannel};
pub use handle::Channel;
use handle::ChannelHandle;
pub use user::User;

/// A client of one app on one server: the connection, the channels on it, and its user.
///
/// It is a handle: cheap to clone, and usable from every thread. All methods but `wait_*`, `ping`
/// and `close` return at once, and may be called from anywhere, a reconnect policy included.
///
/// It owns two threads while it is connected or trying to be: `pusher-reader`, which dials and
/// reads, and `pusher-timer`, which keeps the deadlines. They end when [`close`](Self::close) is
/// called, or when the last handle (of the client, its channels and its user) is dropped; dropping waits
/// for nothing.
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
    /// A client with default settings. Nothing runs until [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the options are wrong.
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::builder(options).build()
    }

    /// A client with settings of your own.
    pub fn builder(options: Options) -> ClientBuilder {
        ClientBuilder::new(options)
    }

    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Owner(shared)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Connects, and stays connected as the [`Reconnect`](crate::Reconnect) policy says.
    ///
    /// Returns at once; [`wait_connected`](Self::wait_connected) waits. Does nothing while the client
    /// is connected or trying to be, and after [`close`](Self::close). Leaves
    /// [`State::Disconnected`] and [`State::Failed`].
    pub fn connect(&self) {
        self.shared().act(|machine, now| machine.connect(now));
    }

    /// Ends the connection, a dial or a wait for the next dial, and stays away.
    ///
    /// Returns at once; everything has ended within a second. Subscriptions stay wanted, for the next
    /// [`connect`](Self::connect); bindings stay. Every `wait_*` in progress ends with an error.
    pub fn disconnect(&self) {
        self.shared().act(|machine, now| machine.disconnect(now));
    }

    /// Drops the connection, if there is one, and dials now; also out of a wait for the next dial, even one
    /// that the server has asked for.
    ///
    /// Returns at once. If a function given to [`Options::custom`] or a [`Connector`](crate::Connector) of your
    /// own has been called for an earlier dial and has not returned, the new dial waits for that, and the log
    /// says so after 1 s; if it takes longer than [`connect_timeout`](ClientBuilder::connect_timeout), the
    /// dial counts as failed. In the other states it does what [`connect`](Self::connect) does.
    pub fn reconnect(&self) {
        self.shared().act(|machine, now| machine.reconnect(now));
    }

    /// Goes to another server: another cluster, host or app. Channels, bindings and the sign-in stay.
    ///
    /// Returns at once. The connection or dial that there is ends, nothing more is sent on it, and the
    /// new server is dialled now; also out of a wait for the next dial. What was subscribed is
    /// subscribed there, its authorizers are asked anew, and
    /// [`bind_resumed`](PublicChannel::bind_resumed) tells the gap. In the other states the options hold
    /// for the next [`connect`](Self::connect). To walk a list of hosts whenever a dial fails, see
    /// [`Options::custom`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the options are wrong; [`ErrorKind::Closed`] after
    /// [`close`](Self::close). Nothing changes then.
    pub fn switch(&self, options: Options) -> Result<(), Error> {
        options.check(self.shared().settings().built_in)?;
        if self.shared().read(|core| core.machine.is_closed()) {
            return Err(Error::message(ErrorKind::Closed, "the client is closed"));
        }
        self.shared().switch(options);
        Ok(())
    }

    /// Tells the client that the network may have changed, or that the machine was suspended: it
    /// checks the connection with a ping that must be answered within 5 s (or
    /// [`pong_timeout`](ClientBuilder::pong_timeout) if that is shorter), or dials now if it was waiting to, or
    /// has failed because no thread could be started. A wait that the server has asked for (see
    /// [`Reconnect`](crate::Reconnect)) goes on.
    ///
    /// Returns at once. A suspension is noticed without it, though only when something wakes the
    /// client: the next heartbeat, a message, or a call.
    pub fn network_changed(&self) {
        self.shared().act(|machine, now| machine.network_changed(now));
    }

    /// Ends the client for good: disconnects, disconnects every binding, and waits for every thread to end.
    ///
    /// **Blocking**: for at most `timeout`; usually milliseconds, up to 250 ms if the server does not
    /// answer the close frame. A look-up of a host's name that the platform does not finish is left behind;
    /// code of your own that the client has called, such as a [`Connector`](crate::Connector), is waited for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if threads are left, which end by themselves (the message names them, and what
    /// has not returned); [`ErrorKind::Deadlock`] when
    /// called on one of the client's own threads, which cannot wait for itself. The client is closed
    /// all the same.
    pub fn close(&self, timeout: Duration) -> Result<(), Error> {
        self.shared().shut_down();
        self.shared().join(timeout)
    }

    /// Waits until the client is connected, and returns the socket id.
    ///
    /// **Blocking**: for at most `timeout`. Lost connections and failed dials do not end it. Returns early
    /// in [`State::Failed`] and [`State::Disconnected`], and on `disconnect()` and `close()`.
    ///
    /// # Errors
    ///
    /// - the cause of the failure in [`State::Failed`]
    /// - [`ErrorKind::NotConnected`] after `disconnect()`, [`ErrorKind::Closed`] after `close()`
    /// - [`ErrorKind::Timeout`]: not connected within `timeout`; the source is the last failure of this
    ///   outage, or that the dial has no result yet, and `{error}` shows it
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

    /// Where the connection stands. Never blocks.
    pub fn state(&self) -> State {
        self.shared().read(|core| core.machine.state())
    }

    /// The id that the server has given this connection; `None` unless connected. Never blocks.
    pub fn socket_id(&self) -> Option<String> {
        self.shared().read(|core| core.machine.socket_id().map(str::to_owned))
    }

    /// What the client has done so far: connections, frames, events, authorizations. Never blocks; it
    /// takes well under a microsecond, so it can be called every frame.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Asks the server for a sign of life, and gives the time it took.
    ///
    /// **Blocking**: for at most `timeout`. If a ping is on its way already, it is that one's time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotConnected`] if there is no connection, or it is lost meanwhile;
    /// [`ErrorKind::Timeout`] ([`Timeout::Wait`]), which does not end the connection: that is up to
    /// [`pong_timeout`](ClientBuilder::pong_timeout).
    pub fn ping(&self, timeout: Duration) -> Result<Duration, Error> {
        let ping = self.shared().act(|machine, now| machine.ping(now))?;
        self.shared().wait(
            timeout,
            |core| core.machine.ping_result(ping),
            |core| wait_timed_out(core, timeout, "the answer to a ping", None),
        )
    }

    /// Signs in as the user that the
    /// [`user_authenticator`](ClientBuilder::user_authenticator) answers for, now and again on every
    /// connection, until [`signout`](Self::signout).
    ///
    /// Returns at once, before or after connecting; [`wait_signed_in`](Self::wait_signed_in) waits.
    /// Calling it again does nothing, unless the sign-in has failed: then it is tried again on the
    /// connection that there is. See
    /// [user authentication](https://pusher.com/docs/channels/using_channels/user-authentication/),
    /// which must be enabled for the app on some servers.
    ///
    /// What may pass (the endpoint's 5xx, its time-outs) is tried again with back-off. What will not,
    /// and a server that refuses or does not answer within
    /// [`signin_timeout`](ClientBuilder::signin_timeout), is told by [`User::bind_signin_error`] and
    /// [`bind_errors`](Self::bind_errors), and waits for the next connection or for this method. A
    /// server that ends the connection with code 4009 for it leaves the client in [`State::Failed`].
    pub fn signin(&self) {
        self.shared().act(|machine, now| machine.signin(now));
    }

    /// As [`signin`](Self::signin), with another authenticator from now on, and so perhaps as another
    /// user.
    ///
    /// A connection stays its user's to its end: if the present one is signed in, or about to be, it is
    /// replaced by a new one.
    pub fn signin_with(&self, authenticator: impl UserAuthenticator + 'static) {
        self.shared().sign_in_with(Arc::new(authenticator));
    }

    /// Is nobody from now on.
    ///
    /// Returns at once. The protocol has no word for it, so a connection that is signed in, or about to
    /// be, is replaced by a new one: for the server the user is gone then. Bindings stay, for the next
    /// [`signin`](Self::signin).
    pub fn signout(&self) {
        self.shared().act(|machine, now| machine.signout(now));
    }

    /// Waits until the server has confirmed the sign-in, and returns the user.
    ///
    /// **Blocking**: for at most `timeout`. Lost connections and failures that are retried do not end it.
    /// Returns early if the sign-in has failed, if none is wanted, in [`State::Failed`] and
    /// [`State::Disconnected`], and on `disconnect()` and `close()`.
    ///
    /// # Errors
    ///
    /// - why the sign-in or the connection failed
    /// - [`ErrorKind::NotSignedIn`]: [`signin`](Self::signin) was not called
    /// - [`ErrorKind::NotConnected`] after `disconnect()`, [`ErrorKind::Closed`] after `close()`
    /// - [`ErrorKind::Timeout`]: no confirmation within `timeout`; the source is the last failure of the
    ///   sign-in on this connection, else of the connection, if there was one, and `{error}` shows it
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

    /// What concerns the signed-in user: a handle, which can be had before anybody is.
    pub fn user(&self) -> User {
        User::new(self)
    }

    /// A handle to a public channel, of the server's cache variant if its name begins with `cache-`.
    ///
    /// The same name gives a handle to the same channel. Nothing is sent until
    /// [`subscribe`](PublicChannel::subscribe).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] if the name is empty, longer than 164 characters, has a character
    /// other than letters, digits and `_-=@,.;` (see [`ClientBuilder::check_channel_names`]), or is that
    /// of another kind of channel.
    pub fn public_channel(&self, name: &str) -> Result<PublicChannel, Error> {
        Ok(PublicChannel::new(self.channel(name, ChannelKind::Public)?))
    }

    /// A handle to a private channel (`private-…`, or `private-cache-…`), which the server lets in
    /// whom an [`Authorizer`] vouches for.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    pub fn private_channel(&self, name: &str) -> Result<PrivateChannel, Error> {
        Ok(PrivateChannel::new(self.channel(name, ChannelKind::Private)?))
    }

    /// As [`private_channel`](Self::private_channel), with an authorizer for this channel alone. It
    /// replaces the one before; a subscription that has failed is tried again with it.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    pub fn private_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PrivateChannel, Error> {
        let channel = self.channel(name, ChannelKind::Private)?;
        channel.set_authorizer(Arc::new(authorizer));
        Ok(PrivateChannel::new(channel))
    }

    /// A handle to an encrypted channel (`private-encrypted-…`, or `private-encrypted-cache-…`), whose
    /// events the server cannot read.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    #[cfg(feature = "encrypted")]
    pub fn private_encrypted_channel(&self, name: &str) -> Result<PrivateEncryptedChannel, Error> {
        Ok(PrivateEncryptedChannel::new(self.channel(name, ChannelKind::PrivateEncrypted)?))
    }

    /// As [`private_encrypted_channel`](Self::private_encrypted_channel), with an authorizer for this
    /// channel alone, as [`private_channel_with`](Self::private_channel_with) takes it.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    #[cfg(feature = "encrypted")]
    pub fn private_encrypted_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PrivateEncryptedChannel, Error> {
        let channel = self.channel(name, ChannelKind::PrivateEncrypted)?;
        channel.set_authorizer(Arc::new(authorizer));
        Ok(PrivateEncryptedChannel::new(channel))
    }

    /// A handle to a presence channel (`presence-…`, or `presence-cache-…`), which tells who else is there.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    pub fn presence_channel(&self, name: &str) -> Result<PresenceChannel, Error> {
        Ok(PresenceChannel::new(self.channel(name, ChannelKind::Presence)?))
    }

    /// As [`presence_channel`](Self::presence_channel), with an authorizer for this channel alone, as
    /// [`private_channel_with`](Self::private_channel_with) takes it.
    ///
    /// # Errors
    ///
    /// As [`public_channel`](Self::public_channel).
    pub fn presence_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PresenceChannel, Error> {
        let channel = self.channel(name, ChannelKind::Presence)?;
        channel.set_authorizer(Arc::new(authorizer));
        Ok(PresenceChannel::new(channel))
    }

    fn channel(&self, name: &str, kind: ChannelKind) -> Result<ChannelHandle, Error> {
        check_channel(name, kind, self.shared().settings().check_names)?;
        Ok(ChannelHandle::new(self, name))
    }

    /// Receives the events of this name on every channel.
    ///
    /// On a closed client the binding is disconnected from the start.
    pub fn bind(&self, event: &str) -> Binding<Event> {
        self.bind_events(event, None)
    }

    /// As [`bind`](Self::bind), with a queue of its own.
    pub fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
        self.bind_events(event, Some(queue))
    }

    /// Receives all events on every channel: user events, and those of the protocol under their
    /// public names (`pusher:subscription_succeeded`, `pusher:cache_miss`, `pusher:error` …).
    pub fn bind_all(&self) -> Binding<Event> {
        let all = Selector::Client(|client, _| &mut client.events.all);
        self.shared().bind(all, "", None)
    }

    /// Receives every change of the [`State`].
    pub fn bind_states(&self) -> Binding<StateChange> {
        self.shared().bind(Selector::Client(|client, _| &mut client.states), "", None)
    }

    /// Receives the socket id of every new connection.
    pub fn bind_connected(&self) -> Binding<String> {
        self.shared().bind(Selector::Client(|client, _| &mut client.connected), "", None)
    }

    /// Receives what goes wrong without ending the connection: errors that the server reports, frames
    /// that make no sense, subscriptions that fail. Why a connection ended is in
    /// [`StateChange::cause`].
    pub fn bind_errors(&self) -> Binding<Error> {
        self.shared().bind(Selector::Client(|client, _| &mut client.errors), "", None)
    }

    fn bind_events(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        let named = Selector::Client(|client, name| client.events.named(name));
        self.shared().bind(named, event, queue)
    }
}

/// The error of a `wait_*` that has had its time; `failure` is the last one of what it waited for.
pub(crate) fn wait_timed_out(
    core: &Core,
    timeout: Duration,
    what: &str,
    failure: Option<Error>,
) -> Error {
    let message = format!("timed out after {} waiting for {what}", units::words(timeout));
    let error = Error::timed_out(Timeout::Wait, message);
    match failure {
        Some(failure) => error.caused_by(failure),
        None if core.machine.state() == State::Initialized => {
            error.with_hint("call connect() first")
        }
        None => error,
    }
}

/// Whether the user, or the server for good, has ended what a `wait_*` waits for.
#[derive(Default)]
pub(crate) struct Ended {
    /// How often the user had disconnected when the wait began.
    disconnects: Option<u64>,
}

impl Ended {
    pub(crate) fn check(&mut self, core: &Core) -> Option<Error> {
        let machine = &core.machine;
        let before = *self.disconnects.get_or_insert(machine.disconnects());
        if machine.is_closed() {
            return Some(Error::message(ErrorKind::Closed, "the client is closed"));
        }
        match machine.state() {
            State::Failed => Some(machine.failure().cloned().unwrap_or_else(|| {
                Error::message(ErrorKind::NotConnected, "the reconnect policy has given up")
            })),
            State::Disconnected => {
                Some(Error::message(ErrorKind::NotConnected, "disconnected; call connect() first"))
            }
            _ if machine.disconnects() != before => {
                Some(Error::message(ErrorKind::NotConnected, "disconnect() was called"))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}
