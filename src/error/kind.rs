//! The kinds of errors, and the time limits.

use std::fmt;

/// The kinds of [`Error`](crate::Error).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An authorization or a sign-in was refused, or its response is invalid.
    Auth,
    /// The connection or the client is closed.
    Closed,
    /// An option, a URL or a setting is invalid.
    Config,
    /// [`Client::close`](crate::Client::close) was called on one of the client's own threads, which would wait for
    /// itself.
    Deadlock,
    /// An encrypted event could not be decrypted.
    Decryption,
    /// The host name could not be resolved.
    Dns,
    /// The WebSocket handshake was refused. [`Error::http_status`](crate::Error::http_status) returns the status, if the response was HTTP.
    Handshake,
    /// A bug in this library; please report it.
    Internal,
    /// The name of a channel or an event is invalid, or the id of a user.
    InvalidName,
    /// An operation of the network or the operating system failed.
    Io,
    /// JSON is malformed or has another shape than expected.
    Json,
    /// There is no connection. Call `connect()`, or wait for it.
    NotConnected,
    /// No user is signed in. Call `signin()`.
    NotSignedIn,
    /// The channel is not subscribed. Call `subscribe()`, or wait for it.
    NotSubscribed,
    /// The server violated the Pusher protocol.
    Protocol,
    /// A proxy refused the connection or violated its protocol. [`Error::http_status`](crate::Error::http_status) returns the status of an HTTP
    /// proxy. See [`Proxy`](crate::Proxy).
    Proxy,
    /// A rate limit was exceeded.
    RateLimited,
    /// The server reported an error, or closed the connection with a code.
    Server,
    /// A time limit passed. [`Error::timeout`](crate::Error::timeout) returns which one.
    Timeout,
    /// A message or a name exceeds its size limit.
    TooLarge,
    /// The TLS handshake failed, for example since the certificate is not trusted.
    Tls,
}

/// The time limits whose passing is an [`Error`](crate::Error) of kind [`ErrorKind::Timeout`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// A dial, up to `pusher:connection_established`:
    /// [`connect_timeout`](crate::ClientBuilder::connect_timeout), 15 s by default, or the operating system's own.
    Connect,
    /// The server's confirmation of a subscription:
    /// [`subscribe_timeout`](crate::ClientBuilder::subscribe_timeout), 30 s by default.
    Subscribe,
    /// The server's confirmation of a sign-in:
    /// [`signin_timeout`](crate::ClientBuilder::signin_timeout), 30 s by default.
    SignIn,
    /// The server's response to a ping of the keep-alive:
    /// [`pong_timeout`](crate::ClientBuilder::pong_timeout), 30 s by default. The connection counts as lost.
    Pong,
    /// The response of an authorizer, a user authenticator or an HTTP endpoint: its own time-out, or that of the
    /// subscription or sign-in that it is for. Also the response of a server's HTTP API.
    Auth,
    /// The argument of `wait_*`, [`Client::ping`](crate::Client::ping) or
    /// [`Client::close`](crate::Client::close).
    Wait,
}

impl ErrorKind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Auth => "authorization failed",
            Self::Closed => "closed",
            Self::Config => "invalid setting",
            Self::Deadlock => "the thread cannot wait for itself",
            Self::Decryption => "decryption failed",
            Self::Dns => "resolving the host name failed",
            Self::Handshake => "the WebSocket handshake failed",
            Self::Internal => "internal error",
            Self::InvalidName => "invalid name",
            Self::Io => "input or output failed",
            Self::Json => "unexpected JSON",
            Self::NotConnected => "not connected",
            Self::NotSignedIn => "not signed in",
            Self::NotSubscribed => "not subscribed",
            Self::Protocol => "the server violated the protocol",
            Self::Proxy => "the proxy refused the connection",
            Self::RateLimited => "rate limit exceeded",
            Self::Server => "the server reported an error",
            Self::Timeout => "timed out",
            Self::TooLarge => "too large",
            Self::Tls => "the TLS handshake failed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
