//! The states of connections and channels, and their changes.

use std::time::Duration;

use crate::Error;

/// The state of the connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// `connect()` has not been called yet.
    Initialized,
    /// The client dials for the first time since `connect()`.
    Connecting,
    /// The server has established the connection and assigned a socket id.
    Connected,
    /// The connection is lost, or the first dial has failed. The client dials again, or waits to.
    #[doc(alias = "unavailable")]
    Reconnecting,
    /// `disconnect()` was called.
    Disconnected,
    /// The client has given up: the server refuses it permanently (close codes 4000–4099, and 4300 and above), the
    /// [`Reconnect`](crate::Reconnect) policy allows no further attempt, or no thread could be started to wait for the
    /// next one. `connect()` tries again. Until then receivers stay connected and receive nothing.
    Failed,
}

/// A change of [`State`], or one more failed attempt (from `Reconnecting` to `Reconnecting`).
#[doc(alias = "state_change")]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The previous state.
    pub previous: State,
    /// The current state.
    pub current: State,
    /// The failure behind the change; `None` if nothing failed or the user caused it.
    pub cause: Option<Error>,
    /// In `Reconnecting`, the wait before the next dial.
    #[doc(alias = "connecting_in")]
    pub retry_in: Option<Duration>,
    /// The number of the attempt: 0 for the first dial, 1 for the first one after a failure. It is reset by a
    /// connection that lasts 10 s.
    pub attempt: u32,
}

/// The status of a subscription.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelStatus {
    /// `subscribe()` has not been called yet.
    Idle,
    /// The channel is wanted, but the server has not confirmed it yet: the client is not connected, or a response
    /// is pending.
    Pending,
    /// The server has confirmed the subscription on the present connection.
    Subscribed,
    /// The server has refused the subscription or did not respond in time, or the authorizer did. The client retries
    /// it on the next connection; `subscribe()` retries it now.
    Failed,
    /// `unsubscribe()` was called.
    Unsubscribed,
}

/// The time during which events of a channel may have been missed: it was not subscribed, or the connection may
/// already have been lost.
///
/// The protocol does not replay events, so fetch what you need from your own server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    length: Duration,
}

impl Gap {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length }
    }

    /// Returns the time from the last frame of the lost connection to the new confirmation.
    ///
    /// Time during which the machine was suspended counts, a change of the wall clock does not. Linux and Windows have
    /// a clock that distinguishes them. Elsewhere (macOS, iOS, the BSDs, and Android where the app may not read
    /// `/proc/uptime`) a jump of the wall clock counts as a suspend of at most 7 days.
    pub fn length(&self) -> Duration {
        self.length
    }
}
