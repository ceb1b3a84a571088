//! The integration tests, in one binary so that they link once.

#![cfg(test)]

#[cfg(target_os = "linux")]
mod blocked;
mod bulk;
#[cfg(target_os = "linux")]
mod chaos;
mod connector;
mod guard;
mod handshake;
mod hostile;
mod kinds;
mod models;
#[cfg(target_os = "linux")]
mod network;
mod peers;
mod phases;
mod policy;
mod process;
mod proxy;
mod queues;
mod reasons;
mod reentrancy;
mod server;
mod server_kinds;
mod server_users;
mod slow;
#[cfg(unix)]
mod soketi;
mod stack;
mod stats;
mod support;
mod switching;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
mod tls;
mod users;
