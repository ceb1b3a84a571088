//! The integration tests, in one binary so that they link once.

#![cfg(test)]

mod server;
#[cfg(unix)]
mod soketi;
