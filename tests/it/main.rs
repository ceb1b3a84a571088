//! The integration tests, in one binary so that they link once.

#![cfg(test)]

#[cfg(unix)]
mod soketi;
