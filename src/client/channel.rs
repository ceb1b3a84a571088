//! The types of channels.

use std::fmt;

use serde::Serialize;

use super::handle::{ChannelHandle, sealed};
use crate::binding::Binding;
#[cfg(doc)]
use crate::{Authorizer, ErrorKind, Event};
use crate::{Error, Member, Members};

/// What every type of channel has beside the shared methods.
macro_rules! channel {
    ($type:ident) => {
        impl $type {
            pub(crate) fn new(handle: ChannelHandle) -> Self {
                Self(handle)
            }
        }

        impl sealed::Sealed for $type {
            fn handle(&self) -> &ChannelHandle {
                &self.0
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

/// A public channel. Anyone who knows the app key may subscribe to it.
///
/// A handle: cheap to clone and usable from every thread. See
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

/// The method of channels with client events.
macro_rules! trigger {
    ($type:ident) => {
        impl $type {
            /// Sends a client event to the other subscribers of the channel.
            ///
            /// Returns immediately; the protocol has no confirmation. The event's name must begin with `client-`.
            /// The data is sent as a JSON value, not wrapped in a string. Client events must be enabled for the
            /// app, see
            /// [client events](https://pusher.com/docs/channels/using_channels/events/#triggering-client-events).
            ///
            /// It goes to the other subscribers only, not to your backend. With an [`Outbox`](crate::Outbox), an event
            /// that cannot be sent at once waits and is sent later.
            ///
            /// # Errors
            ///
            /// Nothing is sent if there is an error, and nothing is kept for later.
            ///
            /// - [`ErrorKind::InvalidName`]: the name does not begin with `client-`, or has more than 200 characters
            /// - [`ErrorKind::TooLarge`]: the data has more than 10,240 bytes, or the event would have to wait and is
            ///   larger than the whole outbox
            /// - [`ErrorKind::NotConnected`], [`ErrorKind::NotSubscribed`]; with an outbox only if the channel is not
            ///   wanted, its subscription was refused, or the client is closed
            /// - [`ErrorKind::RateLimited`], see
            ///   [`ClientBuilder::client_event_limit`](crate::ClientBuilder::client_event_limit); never with an outbox
            /// - [`ErrorKind::Json`]: the data cannot be serialized as JSON
            #[doc(alias("emit", "whisper", "client_event"))]
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

/// A private channel. Subscribers need an authorization, see [`Authorizer`].
///
/// A handle: cheap to clone and usable from every thread. See
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

/// A presence channel: a private channel with a list of its members.
///
/// A handle: cheap to clone and usable from every thread. See
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
///     println!("{} joined, {} members now", member.id(), lobby.members().len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PresenceChannel(ChannelHandle);

channel!(PresenceChannel);
trigger!(PresenceChannel);

impl PresenceChannel {
    /// Returns a snapshot of the members, including this client's own user. Never blocks.
    ///
    /// The list is replaced as a whole with every subscription, and is empty while the channel is not subscribed.
    #[doc(alias("here", "whenMembers"))]
    pub fn members(&self) -> Members {
        self.0.shared().with_core(|core| core.machine.members(self.name()))
    }

    /// Returns a binding that receives each user that joins after this client has subscribed.
    ///
    /// A user with several connections joins once.
    #[doc(alias("whenMemberAdded", "pusher:member_added", "joining"))]
    pub fn bind_member_added(&self) -> Binding<Member> {
        self.0.bind_list(|channel, _| &mut channel.added)
    }

    /// Returns a binding that receives each user that leaves, with the last known info.
    #[doc(alias("whenMemberRemoved", "pusher:member_removed", "leaving"))]
    pub fn bind_member_removed(&self) -> Binding<Member> {
        self.0.bind_list(|channel, _| &mut channel.removed)
    }
}

/// An encrypted channel. The server cannot read its events; they arrive decrypted.
///
/// If an event cannot be decrypted, the client requests the key from the authorizer again, at most every 5 s. Later
/// events wait for the key, in order, until one decrypts with the present key: then the key is right, and the events
/// before it have failed. An event that does not decrypt with the new key either is dropped and reported by
/// [`bind_decryption_error`](Self::bind_decryption_error). As many events wait as
/// [`ClientBuilder::queue`](crate::ClientBuilder::queue) allows a binding (default: 4,096 and 64 MiB); beyond that the
/// oldest is dropped and reported in the same way. An event that arrives unencrypted is never delivered.
///
/// The plaintext may be any bytes, see [`Event::bytes`].
///
/// A handle: cheap to clone and usable from every thread. See
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
    /// Returns a binding that receives an error for each event that could not be decrypted. The event is lost.
    #[doc(alias = "onDecryptionFailure")]
    pub fn bind_decryption_error(&self) -> Binding<Error> {
        self.0.bind_list(|channel, _| &mut channel.undecryptable)
    }
}
