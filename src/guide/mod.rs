//! Guides: how to use this crate for a purpose, beyond what the documentation of each item says.
//!
//! This module exists in the documentation only. Every example in it is compiled, and those that need no network are
//! run, by `cargo test`.
//!
//! - [`servers`]: Pusher, Laravel Reverb, soketi, sockudo: settings, measured peculiarities, and what to check when it
//!   does not work
//! - [`devices`]: small and unattended machines, such as a Raspberry Pi: cross-compiling, size, memory, service
//!   managers, suspend
//! - [`games`]: frame loops: what blocks, what a call costs, queues
//! - [`testing`]: testing your app without a network
//! - [`coming_from`]: tables for users of dart_pusher_channels, pusher-js, Laravel Echo and pusher-websocket-java

pub mod coming_from;
pub mod devices;
pub mod games;
pub mod servers;
pub mod testing;
