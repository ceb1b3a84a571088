//! Against a real server: soketi, a separate program (see `support`).

mod channels;
mod harness;
mod public;
mod support;
mod users;
