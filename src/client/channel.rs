//! The channels' handles.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::binding::{Binding, Queue};
use crate::client::{Client, Ended, wait_timed_out};
use crate::driver::{ChannelList, Selector};
use crate::model::event::ChannelName;
use crate::{Authorizer, ChannelStatus, Error, ErrorKind, Event, Gap, Member, Members};

/// What all kinds of channel have in common, and what their handles are made of.
#[derive(Clone)]
pub(crate) struct ChannelHandle(Arc<Owner>);

/// Counts as one handle, however often it is cloned.
struct Owner {
    name: ChannelName,
    client: Client,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.client.shared().remove_handle(&self.name);
    }
}

impl ChannelHandle {
    pub(crate) fn new(client: &Client, name: &str) -> Self {
        let name: ChannelName = name.into();
        client.shared().add_handle(&name);
        Self(Arc::new(Owner { name, client: client.clone() }))
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn subscribe(&self) {
        self.0.client.shared().act(|machine, now| machine.subscribe(&self.0.name, now));
    }

    fn unsubscribe(&self) {
        self.0.client.shared().act(|machine, now| machine.unsubscribe(&self.0.name, now));
    }

    fn status(&self) -> ChannelStatus {
        self.0.client.shared().read(|core| core.machine.channel_status(&self.0.name))
    }

    fn subscription_count(&self) -> Option<u64> {
        self.0.client.shared().read(|core| core.machine.subscription_count(&self.0.name))
    }

    fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
        let name = &*self.0.name;
        let mut ended = Ended::default();
        self.0.client.shared().wait(
            timeout,
            |core| match core.machine.channel_status(name) {
                ChannelStatus::Subscribed => Some(Ok(())),
                ChannelStatus::Failed => core.machine.channel_failure(name).map(Err),
                ChannelStatus::Idle | ChannelStatus::Unsubscribed => {
                    let message = "not subscribed; call subscribe() first";
                    Some(Err(Error::message(ErrorKind::NotSubscribed, message).on_channel(name)))
                }
                ChannelStatus::Pending => {
                    ended.check(core).map(|error| Err(error.on_channel(name)))
                }
            },
            |core| {
                let cause = core.machine.pending_cause(name);
                wait_timed_out(core, timeout, "the subscription", cause).on_channel(name)
            },
        )
    }

    pub(crate) fn set_authorizer(&self, authorizer: Arc<dyn Authorizer>) {
        self.0.client.shared().set_authorizer(&self.0.name, authorizer);
    }

    fn trigger(&self, event: &str, data: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        let data = serde_json::to_string(data).map_err(|error| {
            let message = "the data of the client event cannot be written as JSON";
            Error::message(ErrorKind::Json, message).caused_by(error).on_channel(self.name())
        })?;
        let name = &self.0.name;
        self.0.client.shared().act(|machine, now| machine.trigger(name, event, &data, now))
    }

    fn bind_event(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        let named =
            Selector::Channel(self.0.name.clone(), |channel, name| channel.events.named(name));
        self.0.client.shared().bind(named, event, queue)
    }

    fn bind_list<T: Clone + Send + 'static>(&self, list: ChannelList<T>) -> Binding<T> {
        self.0.client.shared().bind(Selector::Channel(self.0.name.clone(), list), "", None)
    }
}

/// What every kind of channel can do, for generic code. Each kind has the same methods of its own, so
/// most programs need not import it.
pub trait Channel: Send + Sync {
    /// The full name, with its prefix.
    fn name(&self) -> &str;
    /// See [`PublicChannel::subscribe`].
    fn subscribe(&self);
    /// See [`PublicChannel::unsubscribe`].
    fn unsubscribe(&self);
    /// See [`PublicChannel::wait_subscribed`].
    ///
    /// # Errors
    ///
    /// As there.
    fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error>;
    /// See [`PublicChannel::status`].
    fn status(&self) -> ChannelStatus;
    /// See [`PublicChannel::is_subscribed`].
    fn is_subscribed(&self) -> bool;
    /// See [`PublicChannel::subscription_count`].
    fn subscription_count(&self) -> Option<u64>;
    /// See [`PublicChannel::bind`].
    fn bind(&self, event: &str) -> Binding<Event>;
    /// See [`PublicChannel::bind_with`].
    fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event>;
    /// See [`PublicChannel::bind_all`].
    fn bind_all(&self) -> Binding<Event>;
    /// See [`PublicChannel::bind_subscription_succeeded`].
    fn bind_subscription_succeeded(&self) -> Binding<Event>;
    /// See [`PublicChannel::bind_subscription_error`].
    fn bind_subscription_error(&self) -> Binding<Error>;
    /// See [`PublicChannel::bind_subscription_count`].
    fn bind_subscription_count(&self) -> Binding<u64>;
    /// See [`PublicChannel::bind_cache_miss`].
    fn bind_cache_miss(&self) -> Binding<Event>;
    /// See [`PublicChannel::bind_resumed`].
    fn bind_resumed(&self) -> Binding<Gap>;
}

/// The methods that every kind of channel has, of its own and by [`Channel`].
macro_rules! channel {
    ($type:ident) => {
        impl $type {
            pub(crate) fn new(handle: ChannelHandle) -> Self {
                Self(handle)
            }

            /// The full name, with its prefix.
            pub fn name(&self) -> &str {
                self.0.name()
            }

            /// Wants the channel from now on, across lost connections, until [`unsubscribe`](Self::unsubscribe).
            ///
            /// Returns at once, before or after connecting. Calling it again does nothing, unless the
            /// subscription has failed: then it is tried again. The wish outlives the handle.
            pub fn subscribe(&self) {
                self.0.subscribe();
            }

            /// Wants the channel no more: no event of it is delivered from now on.
            ///
            /// Returns at once. Bindings stay, for the next [`subscribe`](Self::subscribe).
            pub fn unsubscribe(&self) {
                self.0.unsubscribe();
            }

            /// Waits until the server has confirmed the subscription.
            ///
            /// **Blocking**: for at most `timeout`. It waits through lost connections; it ends early when
            /// the server refuses or does not answer in time, when the channel is not wanted, in
            /// [`State::Failed`](crate::State::Failed) and [`State::Disconnected`](crate::State::Disconnected),
            /// and by `disconnect()` and `close()`.
            ///
            /// # Errors
            ///
            /// - the refusal by the server or the authorizer
            /// - [`ErrorKind::NotSubscribed`]: `subscribe()` was not called
            /// - [`ErrorKind::NotConnected`], [`ErrorKind::Closed`]
            /// - [`ErrorKind::Timeout`]: no confirmation within `timeout`; the source is the channel's last failure
            ///   on this connection, such as an authorization that is tried again, or what it waits for, else why there is no connection
            ///
            /// Each has the [`channel`](Error::channel).
            pub fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
                self.0.wait_subscribed(timeout)
            }

            /// Where the subscription stands. Never blocks.
            pub fn status(&self) -> ChannelStatus {
                self.0.status()
            }

            /// Whether the server has confirmed the subscription on the present connection. Never blocks.
            pub fn is_subscribed(&self) -> bool {
                self.0.status() == ChannelStatus::Subscribed
            }

            /// How many connections are subscribed, if the server has told on the present connection.
            ///
            /// Pusher does so if the app has subscription counting enabled; most other servers never do.
            pub fn subscription_count(&self) -> Option<u64> {
                self.0.subscription_count()
            }

            /// Receives the events of this name on this channel, from now on.
            ///
            /// Works before and after subscribing. Bind before you subscribe, and nothing is missed. On a
            /// closed client the binding is disconnected from the start.
            pub fn bind(&self, event: &str) -> Binding<Event> {
                self.0.bind_event(event, None)
            }

            /// As [`bind`](Self::bind), with a queue of its own.
            pub fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
                self.0.bind_event(event, Some(queue))
            }

            /// Receives all events on this channel: user events, and those of the protocol under their
            /// public names (`pusher:subscription_succeeded`, `pusher:cache_miss` …).
            pub fn bind_all(&self) -> Binding<Event> {
                self.0.bind_list(|channel, _| &mut channel.events.all)
            }

            /// Receives every confirmation by the server, the repeated ones after a lost connection included.
            pub fn bind_subscription_succeeded(&self) -> Binding<Event> {
                self.0.bind_event("pusher:subscription_succeeded", None)
            }

            /// Receives why a subscription failed: the authorizer or the server refused it or did not answer in time.
            ///
            /// An error that [is retryable](Error::is_retryable) is an authorization that is tried again with
            /// back-off. Any other waits for [`subscribe`](Self::subscribe) or for the next connection.
            ///
            /// Servers refuse in many ways. An error without a channel is attributed to the pending channel that
            /// its text names, else to the only one it can mean, after 2 s in which a confirmation still counts;
            /// else it is the source of the time-out that follows.
            pub fn bind_subscription_error(&self) -> Binding<Error> {
                self.0.bind_list(|channel, _| &mut channel.errors)
            }

            /// Receives every change of [`subscription_count`](Self::subscription_count).
            pub fn bind_subscription_count(&self) -> Binding<u64> {
                self.0.bind_list(|channel, _| &mut channel.counts)
            }

            /// Receives word from a cache channel that the server has no last event to repeat. If it
            /// has one, that simply arrives, right after the subscription.
            ///
            /// See [cache channels](https://pusher.com/docs/channels/using_channels/cache-channels/).
            pub fn bind_cache_miss(&self) -> Binding<Event> {
                self.0.bind_event("pusher:cache_miss", None)
            }

            /// Receives word when the channel is subscribed again after its connection was lost. Events
            /// of the meantime are not repeated by the protocol: fetch what you need.
            pub fn bind_resumed(&self) -> Binding<Gap> {
                self.0.bind_list(|channel, _| &mut channel.gaps)
            }
        }

        impl Channel for $type {
            fn name(&self) -> &str {
                Self::name(self)
            }
            fn subscribe(&self) {
                Self::subscribe(self);
            }
            fn unsubscribe(&self) {
                Self::unsubscribe(self);
            }
            fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
                Self::wait_subscribed(self, timeout)
            }
            fn status(&self) -> ChannelStatus {
                Self::status(self)
            }
            fn is_subscribed(&self) -> bool {
                Self::is_subscribed(self)
            }
            fn subscription_count(&self) -> Option<u64> {
                Self::subscription_count(self)
            }
            fn bind(&self, event: &str) -> Binding<Event> {
                Self::bind(self, event)
            }
            fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
                Self::bind_with(self, event, queue)
            }
            fn bind_all(&self) -> Binding<Event> {
                Self::bind_all(self)
            }
            fn bind_subscription_succeeded(&self) -> Binding<Event> {
                Self::bind_subscription_succeeded(self)
            }
            fn bind_subscription_error(&self) -> Binding<Error> {
                Self::bind_subscription_error(self)
            }
            fn bind_subscription_count(&self) -> Binding<u64> {
                Self::bind_subscription_count(self)
            }
            fn bind_cache_miss(&self) -> Binding<Event> {
                Self::bind_cache_miss(self)
            }
            fn bind_resumed(&self) -> Binding<Gap> {
                Self::bind_resumed(self)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("name", &self.name())
                    .field("status", &self.status())
                    .finish_non_exhaustive()
            }
        }
    };
}

/// A public channel, which anybody who knows the app's key may subscribe to.
///
/// A handle: cheap to clone, and usable from every thread. See
/// [public channels](https://pusher.com/docs/channels/using_channels/public-channels/).
///
/// # Example
///
/// ```no_run
/// # fn main() -> Result<(), pusher_channels::Error> {
/// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
/// let prices = client.public_channel("cache-prices")?;
/// let updates = prices.bind("update");
/// prices.subscribe();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PublicChannel(ChannelHandle);

channel!(PublicChannel);

/// The method of the channels that take client events.
macro_rules! trigger {
    ($type:ident) => {
        impl $type {
            /// Sends an event to the other subscribers of the channel, not to this one.
            ///
            /// The event's name begins with `client-`. The data goes out as JSON, not wrapped in a
            /// string. Returns at once; the protocol has no confirmation. See
            /// [client events](https://pusher.com/docs/channels/using_channels/events/#triggering-client-events),
            /// which must be enabled for the app.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidName`] if the name does not begin with `client-` or has more than 200
            /// characters; [`ErrorKind::TooLarge`] if the data has more than 10,240 bytes;
            /// [`ErrorKind::NotConnected`], [`ErrorKind::NotSubscribed`]: nothing is kept for later;
            /// [`ErrorKind::RateLimited`], see [`ClientBuilder::client_event_limit`](crate::ClientBuilder::client_event_limit);
            /// [`ErrorKind::Json`] if the data cannot be written as JSON. Nothing is sent then.
            pub fn trigger(
                &self,
                event: &str,
                data: &(impl Serialize + ?Sized),
            ) -> Result<(), Error> {
                self.0.trigger(event, data)
            }
        }
    };
}

/// A private channel, whose subscribers need an authorization; see [`Authorizer`].
///
/// A handle: cheap to clone, and usable from every thread. See
/// [private channels](https://pusher.com/docs/channels/using_channels/private-channels/).
///
/// # Example
///
/// ```no_run
/// use pusher_channels::{Client, HttpAuthorizer, Options};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let client = Client::builder(Options::cluster("eu", "app-key"))
///     .authorizer(HttpAuthorizer::new("https://example.org/pusher/auth"))
///     .build()?;
/// let orders = client.private_channel("private-orders")?;
/// orders.subscribe();
/// client.connect();
/// orders.wait_subscribed(Duration::from_secs(10))?;
/// orders.trigger("client-seen", &[17, 18])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PrivateChannel(ChannelHandle);

channel!(PrivateChannel);
trigger!(PrivateChannel);

/// A presence channel: a private channel that tells who else is there.
///
/// A handle: cheap to clone, and usable from every thread. See
/// [presence channels](https://pusher.com/docs/channels/using_channels/presence-channels/).
///
/// # Example
///
/// ```no_run
/// # fn main() -> Result<(), pusher_channels::Error> {
/// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
/// let lobby = client.presence_channel("presence-lobby")?;
/// let joined = lobby.bind_member_added();
/// lobby.subscribe();
/// for member in &joined {
///     println!("{} joined; now they are {}", member.id(), lobby.members().len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PresenceChannel(ChannelHandle);

channel!(PresenceChannel);
trigger!(PresenceChannel);

impl PresenceChannel {
    /// Who is there now, this client's own user included. Never blocks.
    ///
    /// It is replaced as a whole with every subscription, and empty while the channel is not subscribed.
    pub fn members(&self) -> Members {
        self.0.0.client.shared().read(|core| core.machine.members(self.name()))
    }

    /// Receives each user that joins after this client has subscribed. A user with several connections
    /// joins once.
    pub fn bind_member_added(&self) -> Binding<Member> {
        self.0.bind_list(|channel, _| &mut channel.added)
    }

    /// Receives each user that leaves, with what was known of them.
    pub fn bind_member_removed(&self) -> Binding<Member> {
        self.0.bind_list(|channel, _| &mut channel.removed)
    }
}

/// An encrypted channel, whose events the server cannot read. They arrive decrypted.
///
/// When an event cannot be decrypted, the authorizer is asked for the key anew, at most every 5 s;
/// later events wait for it, in order, until one opens with the present key: that proves the key good, and
/// those before it have failed. What does not open with the new key either is dropped and reported by
/// [`bind_decryption_error`](Self::bind_decryption_error). As many events wait as
/// [`ClientBuilder::queue`](crate::ClientBuilder::queue) allows a binding, 4,096 and 64 MiB by default; beyond
/// that the oldest is dropped and reported in the same way. An event that came unencrypted is never delivered.
///
/// What was encrypted may be any bytes, see [`Event::bytes`].
///
/// A handle: cheap to clone, and usable from every thread. See
/// [encrypted channels](https://pusher.com/docs/channels/using_channels/encrypted-channels/).
///
/// # Example
///
/// ```no_run
/// # fn main() -> Result<(), pusher_channels::Error> {
/// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
/// let ward = client.private_encrypted_channel("private-encrypted-ward")?;
/// let alarms = ward.bind("alarm");
/// ward.subscribe();
/// for alarm in &alarms {
///     println!("{}", alarm.data());
/// }
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "encrypted")]
#[derive(Clone)]
pub struct PrivateEncryptedChannel(ChannelHandle);

#[cfg(feature = "encrypted")]
channel!(PrivateEncryptedChannel);

#[cfg(feature = "encrypted")]
impl PrivateEncryptedChannel {
    /// Receives why an event could not be decrypted; the event is lost.
    pub fn bind_decryption_error(&self) -> Binding<Error> {
        self.0.bind_list(|channel, _| &mut channel.undecryptable)
    }
}
