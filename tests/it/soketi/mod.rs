//! Against a real server: soketi, a separate program (see `support`).

mod channels;
mod harness;
mod public;
#[cfg(feature = "publisher")]
mod publisher;
mod support;
mod users;
