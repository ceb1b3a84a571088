//! How a program gets at its channels: by their type, by a name that is known only at run time, or all that it wants.

use std::sync::Arc;

#[cfg(feature = "encrypted")]
use super::PrivateEncryptedChannel;
use super::handle::ChannelHandle;
use super::handle::sealed::Sealed as _;
use super::{AnyChannel, Client, PresenceChannel, PrivateChannel, PublicChannel};
#[cfg(any(doc, not(feature = "encrypted")))]
use crate::ErrorKind;
use crate::model::event::ChannelName;
use crate::wire::{ChannelKind, check_channel};
use crate::{Authorizer, Error};
#[cfg(doc)]
use crate::{ChannelStatus, ClientBuilder};

impl Client {
    /// Returns a handle to a public channel; to a cache channel if the name begins with `cache-`.
    ///
    /// The same name returns a handle to the same channel. Nothing is sent until
    /// [`subscribe`](PublicChannel::subscribe) is called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] if the name is empty, longer than 164 characters, has a character other than letters,
    /// digits and `_-=@,.;` (see [`ClientBuilder::check_channel_names`]), or is that of another type of channel.
    pub fn public_channel(&self, name: &str) -> Result<PublicChannel, Error> {
        Ok(PublicChannel::new(self.handle_of(name, ChannelKind::Public)?))
    }

    /// Returns a handle to a private channel (`private-…` or `private-cache-…`), which needs an [`Authorizer`].
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    pub fn private_channel(&self, name: &str) -> Result<PrivateChannel, Error> {
        Ok(PrivateChannel::new(self.handle_of(name, ChannelKind::Private)?))
    }

    /// Like [`private_channel`](Self::private_channel), with an authorizer for this channel alone.
    ///
    /// It replaces the previous authorizer. A subscription that has failed is tried again with it.
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    pub fn private_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PrivateChannel, Error> {
        let channel = self.private_channel(name)?;
        channel.handle().set_authorizer(Arc::new(authorizer));
        Ok(channel)
    }

    /// Returns a handle to an encrypted channel (`private-encrypted-…` or `private-encrypted-cache-…`), whose events
    /// the server cannot read.
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    #[cfg(feature = "encrypted")]
    pub fn private_encrypted_channel(&self, name: &str) -> Result<PrivateEncryptedChannel, Error> {
        Ok(PrivateEncryptedChannel::new(self.handle_of(name, ChannelKind::PrivateEncrypted)?))
    }

    /// Like [`private_encrypted_channel`](Self::private_encrypted_channel), with an authorizer for this channel
    /// alone, see [`private_channel_with`](Self::private_channel_with).
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    #[cfg(feature = "encrypted")]
    pub fn private_encrypted_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PrivateEncryptedChannel, Error> {
        let channel = self.private_encrypted_channel(name)?;
        channel.handle().set_authorizer(Arc::new(authorizer));
        Ok(channel)
    }

    /// Returns a handle to a presence channel (`presence-…` or `presence-cache-…`), which has a list of its members.
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    pub fn presence_channel(&self, name: &str) -> Result<PresenceChannel, Error> {
        Ok(PresenceChannel::new(self.handle_of(name, ChannelKind::Presence)?))
    }

    /// Like [`presence_channel`](Self::presence_channel), with an authorizer for this channel alone, see
    /// [`private_channel_with`](Self::private_channel_with).
    ///
    /// # Errors
    ///
    /// Those of [`public_channel`](Self::public_channel).
    pub fn presence_channel_with(
        &self,
        name: &str,
        authorizer: impl Authorizer + 'static,
    ) -> Result<PresenceChannel, Error> {
        let channel = self.presence_channel(name)?;
        channel.handle().set_authorizer(Arc::new(authorizer));
        Ok(channel)
    }

    /// Returns a handle to the channel of this name, of the type that its prefix says: for names that are known at run
    /// time alone, such as those of a configuration file.
    ///
    /// The same name returns a handle to the same channel, as [`public_channel`](Self::public_channel) and the other
    /// typed methods do. Nothing is sent until [`subscribe`](AnyChannel::subscribe) is called. All types but public
    /// channels use the client's [`authorizer`](ClientBuilder::authorizer), or that of a `…_with` method.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidName`] if the name is empty, longer than 164 characters, or has a character other than
    ///   letters, digits and `_-=@,.;` (see [`ClientBuilder::check_channel_names`])
    /// - [`ErrorKind::Config`] for an encrypted channel if the crate was built without its feature `encrypted`
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::cluster("eu", "app-key"))?;
    /// let names = "chat private-orders presence-lobby"; // from a configuration file
    /// for name in names.split(' ') {
    ///     client.channel(name)?.subscribe();
    /// }
    /// let subscribed = client.channels();
    /// assert_eq!(subscribed.len(), 3);
    /// assert_eq!(subscribed[1].name(), "presence-lobby");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("subscribe", "getChannel"))]
    pub fn channel(&self, name: &str) -> Result<AnyChannel, Error> {
        let kind = ChannelKind::of(name);
        check_channel(name, kind, self.shared().settings.check_names)?;
        self.any(name.into(), kind)
    }

    /// Returns handles to the channels that are wanted, sorted by name: those on which
    /// [`subscribe`](AnyChannel::subscribe) was called and [`unsubscribe`](AnyChannel::unsubscribe) was not called
    /// after it. Never blocks.
    ///
    /// Neither a lost connection, [`disconnect`](Self::disconnect) nor a failed subscription changes what is wanted;
    /// [`status`](AnyChannel::status) returns what has become of each.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// # let client = pusher_channels::Client::new(pusher_channels::Options::cluster("eu", "app-key"))?;
    /// for channel in client.channels() {
    ///     println!("{}: {:?}", channel.name(), channel.status());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("allChannels", "all_channels"))]
    pub fn channels(&self) -> Vec<AnyChannel> {
        let names = self.shared().with_core(|core| core.machine.wanted_channels());
        // None is lost: a channel of a kind that this build lacks cannot be subscribed.
        let any = |name: ChannelName| self.any(name.clone(), ChannelKind::of(&name)).ok();
        names.into_iter().filter_map(any).collect()
    }

    fn handle_of(&self, name: &str, kind: ChannelKind) -> Result<ChannelHandle, Error> {
        check_channel(name, kind, self.shared().settings.check_names)?;
        Ok(ChannelHandle::new(self, name.into()))
    }

    fn any(&self, name: ChannelName, kind: ChannelKind) -> Result<AnyChannel, Error> {
        let handle = || ChannelHandle::new(self, name.clone());
        Ok(match kind {
            ChannelKind::Public => PublicChannel::new(handle()).into(),
            ChannelKind::Private => PrivateChannel::new(handle()).into(),
            ChannelKind::Presence => PresenceChannel::new(handle()).into(),
            #[cfg(feature = "encrypted")]
            ChannelKind::PrivateEncrypted => PrivateEncryptedChannel::new(handle()).into(),
            #[cfg(not(feature = "encrypted"))]
            ChannelKind::PrivateEncrypted => {
                let message =
                    "an encrypted channel needs the feature `encrypted` of `pusher-channels`";
                return Err(Error::message(ErrorKind::Config, message).on_channel(&name));
            }
        })
    }
}

#[cfg(all(test, not(feature = "encrypted")))]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn without_its_feature_an_encrypted_channel_is_an_error_that_names_it() {
        let client = Client::new(Options::host("localhost", "key").tls(false)).unwrap();
        for name in ["private-encrypted-room", "private-encrypted-cache-room"] {
            let error = client.channel(name).unwrap_err();
            assert_eq!((error.kind(), error.channel()), (ErrorKind::Config, Some(name)));
            assert!(error.to_string().contains("`encrypted`"), "{error}");
        }
        let invalid = client.channel("private-encrypted-a b").unwrap_err();
        assert_eq!(invalid.kind(), ErrorKind::InvalidName);
        assert!(client.channels().is_empty());
    }
}
