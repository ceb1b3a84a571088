//! The protocol, sans IO.
mod envelope;
