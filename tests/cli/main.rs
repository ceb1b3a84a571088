//! The command-line tool, as a user runs it: as processes, against the development server and against soketi.

#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests run on the real clock")]

mod doctor;
mod listen;
mod send;
mod serve;
mod soketi;
mod support;
