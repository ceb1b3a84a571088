//! The methods that all types of channels share: each is declared once, and becomes a method of [`Channel`] and an
//! inherent one of every type.

use std::time::Duration;

#[cfg(feature = "encrypted")]
use super::PrivateEncryptedChannel;
use super::handle::sealed;
use super::{AnyChannel, PresenceChannel, PrivateChannel, PublicChannel};
#[cfg(doc)]
use crate::ErrorKind;
use crate::binding::{Binding, Queue};
use crate::{ChannelStatus, Error, Event, Gap};

/// Expands to the trait, and to inherent methods of these types that call those of the trait, so that programs need not
/// import it.
macro_rules! shared_methods {
    (
        [$($(#[$cfg:meta])* $type:ident),* $(,)?]
        $(#[$doc:meta])*
        pub trait Channel $methods:tt
    ) => {
        shared_methods!(@trait $(#[$doc])* $methods);
        $($(#[$cfg])* shared_methods!(@inherent $type $methods);)*
    };
    (@trait $(#[$doc:meta])* { $(
        $(#[$meta:meta])*
        fn $name:ident(&$self:ident $(, $arg:ident: $arg_type:ty)*) $(-> $out:ty)? $body:block
    )* }) => {
        $(#[$doc])*
        pub trait Channel: sealed::Sealed + Send + Sync {
            $(
                $(#[$meta])*
                fn $name(&$self $(, $arg: $arg_type)*) $(-> $out)? $body
            )*
        }
    };
    (@inherent $type:ident { $(
        $(#[$meta:meta])*
        fn $name:ident(&$self:ident $(, $arg:ident: $arg_type:ty)*) $(-> $out:ty)? $body:block
    )* }) => {
        impl $type {
            $(
                $(#[$meta])*
                pub fn $name(&$self $(, $arg: $arg_type)*) $(-> $out)? {
                    Channel::$name($self $(, $arg)*)
                }
            )*
        }

        impl Channel for $type {}
    };
}

shared_methods! {
    [
        PublicChannel,
        PrivateChannel,
        PresenceChannel,
        #[cfg(feature = "encrypted")]
        PrivateEncryptedChannel,
        AnyChannel,
    ]

    /// The methods that all types of channels share, for generic code.
    ///
    /// Each type has the same methods of its own, so most programs do not import this trait. It cannot be
    /// implemented outside this crate.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Channel, Client, Options};
    ///
    /// fn subscribe_all(channels: &[Box<dyn Channel>]) {
    ///     for channel in channels {
    ///         channel.subscribe();
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::cluster("eu", "app-key"))?;
    /// let chat = client.public_channel("chat")?;
    /// let lobby = client.presence_channel("presence-lobby")?;
    /// subscribe_all(&[Box::new(chat), Box::new(lobby)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A program cannot implement it:
    ///
    /// ```compile_fail,E0277
    /// struct Mine;
    /// impl pusher_channels::Channel for Mine {}
    /// ```
    pub trait Channel {
        /// Returns the full name, with its prefix.
        fn name(&self) -> &str {
            self.handle().name()
        }

        /// Subscribes to the channel and keeps it subscribed across reconnects, until
        /// [`unsubscribe`](Self::unsubscribe) is called.
        ///
        /// Returns immediately, connected or not. Calling it again does nothing, unless the subscription has
        /// failed: then the client tries again. The subscription outlives this handle.
        #[doc(alias("subscribeIfNotUnsubscribed", "pusher:subscribe"))]
        fn subscribe(&self) {
            let handle = self.handle();
            handle.shared().act(|machine, now| machine.subscribe(handle.name(), now));
        }

        /// Unsubscribes from the channel. No event of it is delivered after this call.
        ///
        /// Returns immediately, connected or not. Bindings stay, for the next
        /// [`subscribe`](Self::subscribe).
        #[doc(alias = "leave")]
        fn unsubscribe(&self) {
            let handle = self.handle();
            handle.shared().act(|machine, now| machine.unsubscribe(handle.name(), now));
        }

        /// Waits until the server has confirmed the subscription.
        ///
        /// # Blocking
        ///
        /// Blocks the calling thread for at most `timeout`. Reconnects during the wait do not end it. Returns
        /// early if the server refuses the subscription or does not respond in time, if the channel is not
        /// wanted, in [`State::Failed`](crate::State::Failed) and
        /// [`State::Disconnected`](crate::State::Disconnected), and on `disconnect()` and `close()`.
        ///
        /// # Errors
        ///
        /// - the refusal of the server or the authorizer
        /// - [`ErrorKind::NotSubscribed`]: `subscribe()` was not called
        /// - [`ErrorKind::NotConnected`] after `disconnect()`, [`ErrorKind::Closed`] after `close()`
        /// - [`ErrorKind::Timeout`]: no confirmation within `timeout`. The source is the channel's last failure
        ///   on this connection (such as an authorization that is retried) or what it waits for, otherwise why
        ///   there is no connection
        ///
        /// Each of these errors names the channel, see [`Error::channel`].
        fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
            self.handle().wait_subscribed(timeout)
        }

        /// Returns the status of the subscription. Never blocks.
        fn status(&self) -> ChannelStatus {
            let handle = self.handle();
            handle.shared().with_core(|core| core.machine.channel_status(handle.name()))
        }

        /// Returns `true` if the server has confirmed the subscription on the current connection. Never blocks.
        fn is_subscribed(&self) -> bool {
            self.status() == ChannelStatus::Subscribed
        }

        /// Returns the number of subscribed connections, if the server has sent it on the current connection.
        /// Never blocks.
        ///
        /// Pusher sends it if subscription counting is enabled for the app; most other servers never do.
        fn subscription_count(&self) -> Option<u64> {
            let handle = self.handle();
            handle.shared().with_core(|core| core.machine.subscription_count(handle.name()))
        }

        /// Returns a binding that receives the events of this name on this channel.
        ///
        /// Works before and after subscribing; bind before you subscribe to miss nothing. On a closed client
        /// the binding is disconnected from the start.
        #[doc(alias = "listen")]
        fn bind(&self, event: &str) -> Binding<Event> {
            self.handle().bind_event(event, None)
        }

        /// Like [`bind`](Self::bind), with a queue for this binding alone.
        fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
            self.handle().bind_event(event, Some(queue))
        }

        /// Returns a binding that receives all events on this channel: user events, and protocol events under
        /// their public names (`pusher:subscription_succeeded`, `pusher:cache_miss` …).
        #[doc(alias("bind_global", "bindToAll", "onEvent", "listenToAll"))]
        fn bind_all(&self) -> Binding<Event> {
            self.handle().bind_all(None)
        }

        /// Like [`bind_all`](Self::bind_all), with a queue for this binding alone.
        fn bind_all_with(&self, queue: Queue) -> Binding<Event> {
            self.handle().bind_all(Some(queue))
        }

        /// Returns a binding that receives every confirmation by the server, also those after a reconnect.
        #[doc(alias("whenSubscriptionSucceeded", "onSubscriptionSucceeded"))]
        fn bind_subscription_succeeded(&self) -> Binding<Event> {
            self.bind("pusher:subscription_succeeded")
        }

        /// Returns a binding that receives an error each time a subscription fails: the authorizer or the
        /// server has refused it, or has not responded in time.
        ///
        /// If the error [is retryable](Error::is_retryable), the client retries the authorization with
        /// back-off. Otherwise the channel stays failed until [`subscribe`](Self::subscribe) is called or the
        /// client reconnects.
        ///
        /// Servers refuse in many ways. An error frame without a channel is attributed to the pending channel that
        /// its text names. Otherwise, if it can mean only one channel, that channel fails unless the server
        /// confirms it within 2 s, or at once if its code is 4009 (not authorized). Otherwise the error becomes the
        /// source of the time-out that follows.
        #[doc(alias(
            "pusher:subscription_error",
            "onSubscriptionError",
            "onAuthenticationFailure"
        ))]
        fn bind_subscription_error(&self) -> Binding<Error> {
            self.handle().bind_list(|channel, _| &mut channel.errors)
        }

        /// Returns a binding that receives every change of
        /// [`subscription_count`](Self::subscription_count).
        #[doc(alias("whenSubscriptionCount", "onSubscriptionCount"))]
        fn bind_subscription_count(&self) -> Binding<u64> {
            self.handle().bind_list(|channel, _| &mut channel.counts)
        }

        /// Returns a binding that receives `pusher:cache_miss`: the server has no last event of this cache channel.
        /// If it has one, it sends that event right after the subscription.
        ///
        /// See [cache channels](https://pusher.com/docs/channels/using_channels/cache-channels/).
        fn bind_cache_miss(&self) -> Binding<Event> {
            self.bind("pusher:cache_miss")
        }

        /// Returns a binding that receives a [`Gap`] each time the channel is resubscribed after a lost
        /// connection. The protocol does not replay events, so fetch what may have been missed.
        fn bind_resumed(&self) -> Binding<Gap> {
            self.handle().bind_list(|channel, _| &mut channel.gaps)
        }
    }
}
