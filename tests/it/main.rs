//! The integration tests, in one binary so that they link once.
//!
//! `PUSHER_TEST_TIME_SCALE`, when it is compiled, is a factor for limits of time, for slow machines.

#![cfg(test)]

#[cfg(target_os = "linux")]
mod blocked;
mod channels;
#[cfg(target_os = "linux")]
mod chaos;
mod connector;
#[cfg(target_os = "linux")]
mod daemon;
mod dev_server;
#[cfg(unix)]
mod foreign;
mod guard;
mod handshake;
mod misbehaving_peers;
mod models;
#[cfg(target_os = "linux")]
mod network;
mod outbox;
mod phases;
mod process;
mod proxy;
#[cfg(feature = "publisher")]
mod publisher;
mod reasons;
mod reconnect_policy;
mod reentrancy;
mod server;
mod server_channels;
mod server_users;
mod slow_consumers;
#[cfg(unix)]
mod soketi;
mod stack;
mod stats;
mod support;
mod switching;
#[cfg(tls)]
mod tls;
mod users;
