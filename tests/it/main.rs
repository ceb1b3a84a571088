//! The integration tests, in one binary so that they link once.

#![cfg(test)]

mod connector;
mod hostile;
mod kinds;
mod peers;
mod phases;
mod policy;
mod process;
mod server;
mod server_kinds;
#[cfg(unix)]
mod soketi;
mod support;
