//! The statistics of a client.

use std::time::Duration;

use crate::State;

/// A snapshot of a client's statistics; see [`Client::stats`](crate::Client::stats).
///
/// The totals count all connections since the client was built.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The state of the connection.
    pub state: State,
    /// The time since the state last changed, including suspended time; zero before the first change.
    pub state_for: Duration,
    /// The number of dials.
    pub dials: u64,
    /// The number of connections that the server has established.
    pub connections: u64,
    /// The number of failed dials and lost connections since the last connection that lasted 10 s, or since
    /// `connect()`, `reconnect()` or `switch()`.
    pub attempt: u32,
    /// The number of text frames received, of events and of the protocol. WebSocket control frames do not count.
    pub frames_in: u64,
    /// The bytes of text in these frames, without TLS and WebSocket framing.
    pub bytes_in: u64,
    /// The number of frames passed to the connection for sending.
    pub frames_out: u64,
    /// The bytes of text in these frames.
    pub bytes_out: u64,
    /// The number of events put into the queues of bindings. An event that two bindings receive counts twice.
    pub events_delivered: u64,
    /// The number of events dropped by bindings whose queue was full: the sum of
    /// [`Binding::dropped`](crate::Binding::dropped).
    pub events_dropped: u64,
    /// The round-trip time of the last ping that the server has responded to, of [`Client::ping`](crate::Client::ping)
    /// or of the keep-alive.
    pub last_ping: Option<Duration>,
    /// The number of requests that authorizers and the user authenticator have responded to. In a batch each channel
    /// counts.
    pub auth_requests: u64,
    /// The number of these responses that were errors.
    pub auth_failures: u64,
    /// The number of client events that wait in the [`Outbox`](crate::Outbox); 0 without one.
    pub outbox: u64,
    /// The number of client events that the outbox has dropped without sending them: those that were too many or too
    /// old, those of a refused subscription, and those dropped by `unsubscribe()` and `close()`.
    pub outbox_dropped: u64,
}
