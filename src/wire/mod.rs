//! The format of a frame: its envelope, the fields of its data, the names of channels. It knows no connection,
//! thread or clock.

pub(crate) mod batch;
pub(crate) mod envelope;
mod fields;
mod limits;
mod name;
mod unescape;

pub(crate) use envelope::{Data, Envelope, Malformed, Text};
pub(crate) use fields::{data_of, each_element, each_field, id, number, pick, text};
#[cfg(any(feature = "testing", feature = "publisher"))]
pub(crate) use limits::{MAX_BATCH, MAX_EVENT_CHANNELS, is_socket_id};
pub(crate) use limits::{MAX_EVENT_DATA, MAX_EVENT_NAME};
#[cfg(feature = "publisher")]
pub(crate) use name::check_characters;
pub(crate) use name::{ChannelKind, check_channel};
pub(crate) use unescape::unescape;
