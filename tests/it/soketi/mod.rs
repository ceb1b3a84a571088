//! Against a real server: soketi, a separate program (see `support`).

mod harness;
mod public;
mod support;
