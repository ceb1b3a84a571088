//! What an event may have at most, from a client or by the HTTP API.

/// The longest data that Pusher takes, in bytes.
pub(crate) const MAX_EVENT_DATA: usize = 10 * 1024;

/// The longest name of an event that Pusher takes, in characters.
pub(crate) const MAX_EVENT_NAME: usize = 200;

#[cfg(any(feature = "testing", feature = "publisher"))]
pub(crate) use api::*;

#[cfg(any(feature = "testing", feature = "publisher"))]
mod api {
    /// The most channels of one event that Pusher takes.
    pub(crate) const MAX_EVENT_CHANNELS: usize = 100;

    /// The most events that Pusher takes in one request.
    pub(crate) const MAX_BATCH: usize = 10;

    /// Returns `true` for two numbers with a dot between them.
    pub(crate) fn is_socket_id(text: &str) -> bool {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once('.').is_some_and(|(left, right)| digits(left) && digits(right))
    }
}
