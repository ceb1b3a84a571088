//! No TLS, in a build without a library for it.

#![expect(
    clippy::needless_pass_by_ref_mut,
    reason = "the functions are those of the builds with TLS"
)]

use std::convert::Infallible;
use std::io::{self, Read, Write};

use crate::config::tls::ENABLE_TLS;
use crate::testing::link::Link;

/// There is none.
pub(in crate::testing) struct TlsStream(Infallible);

/// There is none.
pub(in crate::testing) struct Acceptor(Infallible);

impl Acceptor {
    pub(in crate::testing) fn new(_: &[u8], _: &[u8]) -> io::Result<Self> {
        let why = format!("this build has no TLS; {ENABLE_TLS}");
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    pub(super) fn accept(&self, _: Link) -> io::Result<TlsStream> {
        match self.0 {}
    }
}

pub(super) fn link(stream: &mut TlsStream) -> &mut Link {
    match stream.0 {}
}

pub(super) fn end(stream: &mut TlsStream) {
    match stream.0 {}
}

impl Read for TlsStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

impl Write for TlsStream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}
