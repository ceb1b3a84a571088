//! What a connection and a channel can be in, and the values that tell of changes.

use std::time::Duration;

use crate::Error;

/// Where the connection stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// `connect()` has not been called yet.
    Initialized,
    /// The first dial since `connect()` is under way.
    Connecting,
    /// The server has confirmed the connection and given it a socket id.
    Connected,
    /// The connection is lost, or the first dial failed; the client is waiting to dial again, or dialling.
    Reconnecting,
    /// `disconnect()` was called.
    Disconnected,
    /// The client has given up: the server refused it for good (close codes 4000–4099, and 4300 and
    /// above), its [`Reconnect`](crate::Reconnect) policy says so, or no thread could be started to keep the
    /// time until the next dial. `connect()` tries again.
    /// Receivers stay connected, and silent, until then or until `close()`.
    Failed,
}

/// A change of [`State`], or, from `Reconnecting` to `Reconnecting`, one more failed attempt.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The state before.
    pub previous: State,
    /// The state now.
    pub current: State,
    /// Why, unless the user asked for it or nothing went wrong.
    pub cause: Option<Error>,
    /// In `Reconnecting`: how long the client waits before it dials again.
    #[doc(alias("connecting_in"))]
    pub retry_in: Option<Duration>,
    /// Which retry this is about: 0 for the first dial, 1 for the first one after a failure. It starts
    /// again after a connection that lasted 10 s.
    pub attempt: u32,
}

/// Where the subscription to a channel stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelStatus {
    /// `subscribe()` has not been called yet.
    Idle,
    /// Wanted, but not confirmed by the server: the client is not connected, or the answer is on its way.
    Pending,
    /// Confirmed by the server on the present connection.
    Subscribed,
    /// The server refused it, or did not answer in time. Tried again with the next connection, or by `subscribe()`.
    Failed,
    /// `unsubscribe()` was called.
    Unsubscribed,
}

/// A stretch of time in which events of a channel may have been missed: it was not subscribed, or nothing shows that the
/// connection still stood.
///
/// The protocol has no replay: fetch what you need from your own server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    length: Duration,
}

impl Gap {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length }
    }

    /// From the last sign of life of the lost connection to the new confirmation.
    ///
    /// Time during which the machine was suspended counts; a wall clock that was set does not. Linux and
    /// Windows have a clock that shows the difference. Elsewhere (macOS, iOS, the BSDs, and Android where the
    /// app may not read `/proc/uptime`) a jump of the wall clock counts as a suspend of at most 7 days.
    pub fn length(&self) -> Duration {
        self.length
    }
}
