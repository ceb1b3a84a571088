//! A synchronous client for the Pusher Channels protocol.

#![forbid(unsafe_code)]

mod clock;
mod connection;
mod error;
mod protocol;
mod tls;
mod transport;

pub use connection::{Connection, Connector, Message};
pub use error::{Error, ErrorKind};
pub use tls::Tls;
