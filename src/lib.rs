//! A synchronous client for the Pusher Channels protocol.

#![forbid(unsafe_code)]

mod binding;
mod builder;
mod channel;
mod client;
mod clock;
mod connection;
mod driver;
mod error;
mod event;
mod options;
pub mod prelude;
mod protocol;
mod reconnect;
mod redact;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod transport;

pub use crossbeam_channel;

pub use binding::{Binding, Queue};
pub use builder::ClientBuilder;
pub use channel::{Channel, PublicChannel};
pub use client::Client;
pub use connection::{Connection, Connector, Message};
pub use error::{Error, ErrorKind};
pub use event::Event;
pub use options::{Metadata, Options};
pub use reconnect::{Attempt, Reconnect};
pub use state::{ChannelStatus, Gap, State, StateChange};
pub use tls::Tls;
