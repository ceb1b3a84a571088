//! What an event may have at most, from a client or by the HTTP API.

/// The longest data that Pusher takes, in bytes.
pub(crate) const MAX_EVENT_DATA: usize = 10 * 1024;

/// The longest name of an event that Pusher takes, in characters.
pub(crate) const MAX_EVENT_NAME: usize = 200;
