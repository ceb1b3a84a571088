//! What a client has done so far.

use std::time::Duration;

use crate::State;

/// What a client has done so far, at one moment; see [`Client::stats`](crate::Client::stats).
///
/// The totals count from when the client was built, over all its connections.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Where the connection stands.
    pub state: State,
    /// For how long it has stood there, suspended time included; zero before the first change.
    pub state_for: Duration,
    /// How many dials were made.
    pub dials: u64,
    /// How many of them the server has greeted.
    pub connections: u64,
    /// How many dials have failed or connections were lost since the last one that lasted 10 s, or since
    /// `connect()`, `reconnect()` and `switch()`.
    pub attempt: u32,
    /// Frames received: events and those of the protocol. WebSocket pings and the like are not counted.
    pub frames_in: u64,
    /// Their bytes of text, after TLS and WebSocket framing.
    pub bytes_in: u64,
    /// Frames handed to the connection to be sent.
    pub frames_out: u64,
    /// Their bytes of text.
    pub bytes_out: u64,
    /// Events put into the queues of bindings. One that two bindings get counts twice.
    pub events_delivered: u64,
    /// Events dropped by bindings whose queue was full, as their [`dropped`](crate::Binding::dropped)
    /// tells it one by one.
    pub events_dropped: u64,
    /// How long the server took to answer the last ping that it has answered: one of
    /// [`Client::ping`](crate::Client::ping), or a heartbeat.
    pub last_ping: Option<Duration>,
    /// Questions that authorizers and the user authenticator were asked and have answered; in a batch each
    /// channel counts.
    pub auth_requests: u64,
    /// How many of these answers were errors.
    pub auth_failures: u64,
}
