//! Against a real server: soketi, a separate program (see `support`).

mod harness;
mod kinds;
mod public;
mod support;
mod users;
