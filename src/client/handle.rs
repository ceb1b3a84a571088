//! What the handles of all types of channels are made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::binding::{Binding, Queue};
use crate::client::Client;
use crate::client::wait::{Ended, wait_timed_out};
use crate::driver::{ChannelList, Selector, Shared};
use crate::model::event::ChannelName;
use crate::{Authorizer, ChannelStatus, Error, ErrorKind, Event};

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
    pub(crate) fn new(client: &Client, name: ChannelName) -> Self {
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

    pub(super) fn wait_subscribed(&self, timeout: Duration) -> Result<(), Error> {
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

    pub(super) fn bind_event(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        let named =
            Selector::Channel(self.name().clone(), |channel, name| channel.events.named(name));
        self.shared().bind(named, event, queue)
    }

    pub(super) fn bind_all(&self, queue: Option<Queue>) -> Binding<Event> {
        let all = Selector::Channel(self.name().clone(), |channel, _| &mut channel.events.all);
        self.shared().bind(all, "", queue)
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
    /// Implemented for the types of channels alone, so that [`Channel`](crate::Channel) can grow.
    pub trait Sealed {
        fn handle(&self) -> &super::ChannelHandle;
    }
}
