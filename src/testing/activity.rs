//! What has happened on the server, for those who watch it.

use std::fmt;
use std::mem;

use crossbeam_channel::{Receiver, Sender, bounded};

#[cfg(doc)]
use super::Server;

/// How many values wait for the watcher; then new ones are missed.
const MAX_WAITING: usize = 4096;

/// Something that has happened on a [`Server`], see [`Server::watch`].
///
/// `Debug` shows no data.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum Activity {
    /// A connection is established.
    #[non_exhaustive]
    Connected {
        /// Its socket id.
        socket_id: String,
    },
    /// An established connection has ended, and with it its subscriptions.
    #[non_exhaustive]
    Disconnected {
        /// Its socket id.
        socket_id: String,
    },
    /// A connection has subscribed to a channel.
    #[non_exhaustive]
    Subscribed {
        /// The socket id of the connection.
        socket_id: String,
        /// The name of the channel.
        channel: String,
    },
    /// A connection has unsubscribed from a channel.
    #[non_exhaustive]
    Unsubscribed {
        /// The socket id of the connection.
        socket_id: String,
        /// The name of the channel.
        channel: String,
    },
    /// An event was published, by the server or by its HTTP API.
    #[non_exhaustive]
    Published {
        /// The name of the channel.
        channel: String,
        /// The name of the event.
        event: String,
        /// The data, as subscribers receive it: encrypted on encrypted channels.
        data: String,
        /// The number of receiving connections.
        receivers: usize,
    },
    /// A client has sent a client event to the other subscribers.
    #[non_exhaustive]
    ClientEvent {
        /// The socket id of the sender.
        socket_id: String,
        /// The name of the channel.
        channel: String,
        /// The name of the event.
        event: String,
        /// The data: a string as it is, anything else as JSON.
        data: String,
    },
    /// This many values were missed, because 4,096 were already waiting.
    Missed(usize),
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, who, channel) = match self {
            Self::Connected { socket_id } => ("Connected", Some(socket_id), None),
            Self::Disconnected { socket_id } => ("Disconnected", Some(socket_id), None),
            Self::Subscribed { socket_id, channel } => {
                ("Subscribed", Some(socket_id), Some(channel))
            }
            Self::Unsubscribed { socket_id, channel } => {
                ("Unsubscribed", Some(socket_id), Some(channel))
            }
            Self::Published { channel, .. } => ("Published", None, Some(channel)),
            Self::ClientEvent { socket_id, channel, .. } => {
                ("ClientEvent", Some(socket_id), Some(channel))
            }
            Self::Missed(count) => return f.debug_tuple("Missed").field(count).finish(),
        };
        let mut out = f.debug_struct(name);
        if let Some(socket_id) = who {
            out.field("socket_id", socket_id);
        }
        if let Some(channel) = channel {
            out.field("channel", channel);
        }
        out.finish_non_exhaustive()
    }
}

/// Passes what happens to the watcher, if there is one. Never blocks.
#[derive(Default)]
pub(super) struct Watch {
    watcher: Option<Sender<Activity>>,
    missed: usize,
}

impl Watch {
    /// Replaces the watcher.
    pub(super) fn start(&mut self) -> Receiver<Activity> {
        let (sender, receiver) = bounded(MAX_WAITING);
        *self = Self { watcher: Some(sender), missed: 0 };
        receiver
    }

    /// `activity` is called only if somebody watches.
    pub(super) fn push(&mut self, activity: impl FnOnce() -> Activity) {
        let Some(watcher) = &self.watcher else {
            return;
        };
        let is_full = |error: crossbeam_channel::TrySendError<_>| error.is_full();
        if self.missed > 0 {
            if watcher.try_send(Activity::Missed(self.missed)).is_err_and(is_full) {
                self.missed += 1;
                return;
            }
            mem::take(&mut self.missed);
        }
        if watcher.try_send(activity()).is_err_and(is_full) {
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(n: usize) -> Activity {
        Activity::Connected { socket_id: n.to_string() }
    }

    #[test]
    fn a_slow_watcher_misses_the_newest_and_is_told_how_many() {
        let mut watch = Watch::default();
        watch.push(|| panic!("called without a watcher"));
        let receiver = watch.start();
        for n in 0..MAX_WAITING + 3 {
            watch.push(|| connected(n));
        }
        let first: Vec<_> = receiver.try_iter().collect();
        assert_eq!(first.len(), MAX_WAITING);
        assert_eq!(first.last(), Some(&connected(MAX_WAITING - 1)));
        watch.push(|| connected(1));
        let rest: Vec<_> = receiver.try_iter().collect();
        assert_eq!(rest, [Activity::Missed(3), connected(1)]);
    }

    #[test]
    fn debug_shows_no_data() {
        let (channel, event, data) = ("chat".to_owned(), "e".to_owned(), "canary".to_owned());
        let published = Activity::Published { channel, event, data, receivers: 1 };
        assert_eq!(format!("{published:?}"), r#"Published { channel: "chat", .. }"#);
    }
}
