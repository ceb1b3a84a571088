//! The integration tests, in one binary so that they link once.

#![cfg(test)]

mod connector;
mod peers;
mod phases;
mod policy;
mod process;
#[cfg(unix)]
mod soketi;
mod support;
