//! What the handles of all types of channels are made of, and the trait that they share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

#[cfg(doc)]
use crate::PublicChannel;
use crate::binding::{Binding, Queue};
use crate::client::Client;
use crate::client::wait::{Ended, wait_timed_out};
use crate::driver::{ChannelList, Selector, Shared};
use crate::model::event::ChannelName;
use crate::{Authorizer, ChannelStatus, Error, ErrorKind, Event, Gap};

/// The state that all clones of a channel's handle share. Only nominally public, for [`sealed::Sealed`].
#[derive(Clone)]
pub struct ChannelHandle(Arc<Owner>);

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

    pub(crate) fn set_authorizer(&self, authorizer: Arc<dyn Authorizer>) {
        self.shared().set_authorizer(self.name(), authorizer);
    }

    pub(super) fn name(&self) -> &ChannelName {
        &self.0.name
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.0.client.shared()
    }

    fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
        let name = self.name();
        let mut ended = Ended::default();
        self.shared().wait(
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

    pub(super) fn trigger(
        &self,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        let data = serde_json::to_string(data).map_err(|error| {
            let message = "serializing the data of the client event as JSON failed";
            Error::message(ErrorKind::Json, message).caused_by(error).on_channel(self.name())
        })?;
        self.shared().act(|machine, now| machine.trigger(self.name(), event, &data, now))
    }

    fn bind_event(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        let named =
            Selector::Channel(self.name().clone(), |channel, name| channel.events.named(name));
        self.shared().bind(named, event, queue)
    }

    pub(super) fn bind_list<T: Clone + Send + 'static>(&self, list: ChannelList<T>) -> Binding<T> {
        self.shared().bind(Selector::Channel(self.name().clone(), list), "", None)
    }
}

impl fmt::Debug for ChannelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelHandle").field("name", self.name()).finish_non_exhaustive()
    }
}

pub(super) mod sealed {
    /// Implemented for the types of channels alone, so that [`Channel`](super::Channel) can grow.
    pub trait Sealed {
        fn handle(&self) -> &super::ChannelHandle;
    }
}

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
pub trait Channel: sealed::Sealed + Send + Sync {
    /// See [`PublicChannel::name`].
    fn name(&self) -> &str {
        self.handle().name()
    }
    /// See [`PublicChannel::subscribe`].
    fn subscribe(&self) {
        let handle = self.handle();
        handle.shared().act(|machine, now| machine.subscribe(handle.name(), now));
    }
    /// See [`PublicChannel::unsubscribe`].
    fn unsubscribe(&self) {
        let handle = self.handle();
        handle.shared().act(|machine, now| machine.unsubscribe(handle.name(), now));
    }
    /// See [`PublicChannel::wait_subscribed`].
    ///
    /// # Errors
    ///
    /// The same.
    fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
        self.handle().wait_subscribed(timeout)
    }
    /// See [`PublicChannel::status`].
    fn status(&self) -> ChannelStatus {
        let handle = self.handle();
        handle.shared().with_core(|core| core.machine.channel_status(handle.name()))
    }
    /// See [`PublicChannel::is_subscribed`].
    fn is_subscribed(&self) -> bool {
        self.status() == ChannelStatus::Subscribed
    }
    /// See [`PublicChannel::subscription_count`].
    fn subscription_count(&self) -> Option<u64> {
        let handle = self.handle();
        handle.shared().with_core(|core| core.machine.subscription_count(handle.name()))
    }
    /// See [`PublicChannel::bind`].
    fn bind(&self, event: &str) -> Binding<Event> {
        self.handle().bind_event(event, None)
    }
    /// See [`PublicChannel::bind_with`].
    fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
        self.handle().bind_event(event, Some(queue))
    }
    /// See [`PublicChannel::bind_all`].
    fn bind_all(&self) -> Binding<Event> {
        self.handle().bind_list(|channel, _| &mut channel.events.all)
    }
    /// See [`PublicChannel::bind_subscription_succeeded`].
    fn bind_subscription_succeeded(&self) -> Binding<Event> {
        self.bind("pusher:subscription_succeeded")
    }
    /// See [`PublicChannel::bind_subscription_error`].
    fn bind_subscription_error(&self) -> Binding<Error> {
        self.handle().bind_list(|channel, _| &mut channel.errors)
    }
    /// See [`PublicChannel::bind_subscription_count`].
    fn bind_subscription_count(&self) -> Binding<u64> {
        self.handle().bind_list(|channel, _| &mut channel.counts)
    }
    /// See [`PublicChannel::bind_cache_miss`].
    fn bind_cache_miss(&self) -> Binding<Event> {
        self.bind("pusher:cache_miss")
    }
    /// See [`PublicChannel::bind_resumed`].
    fn bind_resumed(&self) -> Binding<Gap> {
        self.handle().bind_list(|channel, _| &mut channel.gaps)
    }
}
