//! The limits of the outbox.

use std::time::Duration;

use crate::protocol::OutboxLimits;
#[cfg(doc)]
use crate::{Client, ClientBuilder, PrivateChannel, Stats};

/// The limits of the client events that wait to be sent, see [`ClientBuilder::outbox`].
///
/// With an outbox, [`trigger`](PrivateChannel::trigger) keeps an event that cannot be sent at once: its channel is
/// wanted (`subscribe()` was called) but not subscribed, whatever the state of the connection, or
/// [`client_event_limit`](ClientBuilder::client_event_limit) does not allow it yet. Once both allow it, the event is
/// sent, in the order of the calls of `trigger`: no event overtakes an earlier one of its channel, nor one of another
/// channel that could be sent.
///
/// - **Limits**: a number of events, 1 MiB and 1 h by default. Beyond the first two the oldest event of all channels
///   is dropped.
/// - **Kept**: through lost connections, [`disconnect`](Client::disconnect), [`reconnect`](Client::reconnect) and
///   [`switch`](Client::switch), after which the events go to the other server; in memory only.
/// - **Dropped**: by `unsubscribe()` what waits for the channel, and by [`close`](Client::close), also when the last
///   handle is dropped, everything. If the authorizer or the server refuses the subscription, what waits for it; then
///   `trigger` fails until the next connection or call of `subscribe()`. A subscription that timed out keeps its events.
/// - **Counted**: each event that `trigger` has accepted is sent, or waits ([`Stats::outbox`]), or is dropped
///   ([`Stats::outbox_dropped`]). A warning is logged when the outbox begins to drop events by itself, and again only
///   after it has been empty, at most one a minute.
/// - **At most once**: an event is gone when its frame is passed to the connection, even if the connection is lost
///   before the frame arrives.
/// - **Pace**: after a reconnect at most 1 MiB of frames is sent at once, and then 1 MiB a second, however high the
///   rate limit. A peer that takes less for so long that 4 MiB wait for it is given up, and what waits there is lost:
///   if much may wait, set a [`client_event_limit`](ClientBuilder::client_event_limit) that the link can take.
///
/// # Example
///
/// ```
/// use pusher_channels::{Client, Options, Outbox};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// // The newest 1,000 readings, none older than a quarter of an hour.
/// let client = Client::builder(Options::cluster("eu", "app-key"))
///     .outbox(Outbox::new(1000).max_age(Duration::from_secs(15 * 60)))
///     .build()?;
/// let boiler = client.private_channel("private-boiler")?;
/// boiler.subscribe();
/// boiler.trigger("client-reading", &21.5)?; // not connected yet: it waits
/// assert_eq!(client.stats().outbox, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbox(OutboxLimits);

impl Outbox {
    /// Keeps at most `limit` events. A limit of 0 counts as 1.
    pub fn new(limit: usize) -> Self {
        let (bytes, age) = (1024 * 1024, Duration::from_secs(60 * 60));
        Self(OutboxLimits { count: limit.max(1), bytes, age })
    }

    /// Sets how many bytes the names of the channels and events and the data may have together. Default: 1 MiB. It must
    /// be greater than zero.
    ///
    /// Beside them, each event takes about 200 bytes of memory. `trigger` fails with
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) if a single event that would have to wait is larger.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.0.bytes = bytes;
        self
    }

    /// Sets how long an event may wait, including the time during which the device is suspended. Default: 1 h. It must
    /// be greater than zero.
    ///
    /// An older one is not sent. Dropping it wakes no thread: its memory is freed by a later call or attempt to connect.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.0.age = age;
        self
    }

    pub(crate) fn limits(self) -> OutboxLimits {
        self.0
    }
}
