//! A channel whose type is known only at run time.

use serde::Serialize;

#[cfg(feature = "encrypted")]
use super::PrivateEncryptedChannel;
use super::handle::{ChannelHandle, sealed};
use super::{PresenceChannel, PrivateChannel, PublicChannel};
#[cfg(doc)]
use crate::Client;
use crate::{Error, ErrorKind};

/// A channel of any type, from [`Client::channel`] or [`Client::channels`].
///
/// It has the methods that all types share, and [`trigger`](Self::trigger). `match` on it, or ask
/// [`as_presence`](Self::as_presence) and its like, for what only one type has. Handles of the types convert into it
/// with `From`.
///
/// A handle: cheap to clone and usable from every thread.
///
/// # Example
///
/// ```
/// use pusher_channels::{AnyChannel, Client, Options};
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let client = Client::new(Options::cluster("eu", "app-key"))?;
/// let channel = client.channel("presence-lobby")?;
/// let events = channel.bind_all();
/// channel.subscribe();
/// if let Some(lobby) = channel.as_presence() {
///     println!("{} members", lobby.members().len());
/// }
/// match channel {
///     AnyChannel::Public(_) => println!("open to all"),
///     _ => println!("needs an authorizer"),
/// }
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum AnyChannel {
    /// Its name has none of the prefixes below.
    Public(PublicChannel),
    /// Its name begins with `private-`.
    Private(PrivateChannel),
    /// Its name begins with `presence-`.
    Presence(PresenceChannel),
    /// Its name begins with `private-encrypted-`.
    #[cfg(feature = "encrypted")]
    PrivateEncrypted(PrivateEncryptedChannel),
}

impl AnyChannel {
    /// Returns the channel if it is a public one.
    pub fn as_public(&self) -> Option<&PublicChannel> {
        match self {
            Self::Public(channel) => Some(channel),
            _ => None,
        }
    }

    /// Returns the channel if it is a private one; `None` for encrypted channels, which are a type of their own.
    pub fn as_private(&self) -> Option<&PrivateChannel> {
        match self {
            Self::Private(channel) => Some(channel),
            _ => None,
        }
    }

    /// Returns the channel if it is a presence channel.
    pub fn as_presence(&self) -> Option<&PresenceChannel> {
        match self {
            Self::Presence(channel) => Some(channel),
            _ => None,
        }
    }

    /// Returns the channel if it is an encrypted one.
    #[cfg(feature = "encrypted")]
    pub fn as_private_encrypted(&self) -> Option<&PrivateEncryptedChannel> {
        match self {
            Self::PrivateEncrypted(channel) => Some(channel),
            _ => None,
        }
    }

    /// Sends a client event to the other subscribers of the channel, see [`PrivateChannel::trigger`].
    ///
    /// Returns immediately.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidName`]: the name is that of a public or an encrypted channel, which have no client events
    /// - those of [`PrivateChannel::trigger`]
    ///
    /// Each of these errors names the channel, see [`Error::channel`].
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, ErrorKind, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::cluster("eu", "app-key"))?;
    /// let error = client.channel("chat")?.trigger("client-typing", &true).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidName); // a public channel
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("emit", "whisper", "client_event"))]
    pub fn trigger(&self, event: &str, data: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        match self {
            Self::Private(channel) => channel.trigger(event, data),
            Self::Presence(channel) => channel.trigger(event, data),
            Self::Public(_) => Err(self.no_client_events("a public channel")),
            #[cfg(feature = "encrypted")]
            Self::PrivateEncrypted(_) => Err(self.no_client_events("an encrypted channel")),
        }
    }

    fn no_client_events(&self, kind: &str) -> Error {
        let message = format!("sending the client event failed: {kind} has none");
        Error::message(ErrorKind::InvalidName, message)
            .with_hint("use a private or a presence channel")
            .on_channel(self.name())
    }
}

impl sealed::Sealed for AnyChannel {
    fn handle(&self) -> &ChannelHandle {
        match self {
            Self::Public(channel) => channel.handle(),
            Self::Private(channel) => channel.handle(),
            Self::Presence(channel) => channel.handle(),
            #[cfg(feature = "encrypted")]
            Self::PrivateEncrypted(channel) => channel.handle(),
        }
    }
}

impl From<PublicChannel> for AnyChannel {
    fn from(channel: PublicChannel) -> Self {
        Self::Public(channel)
    }
}

impl From<PrivateChannel> for AnyChannel {
    fn from(channel: PrivateChannel) -> Self {
        Self::Private(channel)
    }
}

impl From<PresenceChannel> for AnyChannel {
    fn from(channel: PresenceChannel) -> Self {
        Self::Presence(channel)
    }
}

#[cfg(feature = "encrypted")]
impl From<PrivateEncryptedChannel> for AnyChannel {
    fn from(channel: PrivateEncryptedChannel) -> Self {
        Self::PrivateEncrypted(channel)
    }
}
