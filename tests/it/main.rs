//! The integration tests, in one binary so that they link once.

#![cfg(test)]

mod bulk;
mod connector;
mod kinds;
mod models;
mod peers;
mod phases;
mod policy;
mod process;
mod reentrancy;
mod server;
mod server_kinds;
mod server_users;
#[cfg(unix)]
mod soketi;
mod stats;
mod support;
mod switching;
mod users;
