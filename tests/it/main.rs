//! The integration tests, in one binary so that they link once.

#![cfg(test)]

#[cfg(target_os = "linux")]
mod chaos;
mod connector;
mod kinds;
#[cfg(target_os = "linux")]
mod network;
mod peers;
mod phases;
mod policy;
mod process;
mod server;
mod server_kinds;
mod slow;
#[cfg(unix)]
mod soketi;
mod support;
