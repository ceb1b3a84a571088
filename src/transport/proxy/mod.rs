//! The step between TCP and TLS: asking a proxy for a connection to the server.
//!
//! The handshakes are told bytes and tell bytes; only [`tunnel`] knows of a socket.

mod connect;
mod socks;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::time::Duration;

use super::handshake_stream::HandshakeStream;
use super::memory::MemoryStream;
use crate::config::proxy::{Protocol, ProxyServer};
use crate::util::clock;
use crate::util::url::authority;
use crate::{Error, ErrorKind};

use connect::Connect;
use socks::Socks;

/// One handshake, and what comes next in it.
enum Handshake {
    Connect(Connect),
    Socks(Socks),
}

/// What a handshake makes of the bytes that have come in.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// They are not enough.
    Wait,
    /// So many are done with, and these go out.
    Send(usize, Vec<u8>),
    /// So many are done with, and the rest is the server's.
    Done(usize),
}

/// Why a proxy did not let the connection through: the end of a sentence that begins with its name.
#[derive(Debug)]
struct Refusal {
    why: String,
    status: Option<u16>,
    /// How long it asks to wait.
    wait: Option<Duration>,
    /// Trying again is of no use.
    lasting: bool,
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), status: None, wait: None, lasting: false }
    }

    fn lasting(why: impl Into<String>) -> Self {
        Self { lasting: true, ..Self::new(why) }
    }

    fn into_error(self, server: &ProxyServer) -> Error {
        let message = format!("the proxy {} {}", authority(&server.host, server.port), self.why);
        let mut error = Error::message(ErrorKind::Proxy, message);
        if let Some(status) = self.status {
            error = error.with_http_status(status);
        }
        if let Some(wait) = self.wait {
            error = error.with_retry_after(wait);
        }
        if self.lasting { error.lasting() } else { error }
    }
}

impl Handshake {
    /// The handshake, and the bytes that it begins with.
    fn new(server: &ProxyServer, host: &str, port: u16) -> Result<(Self, Vec<u8>), Error> {
        let credentials = server.credentials.as_ref();
        match server.protocol {
            Protocol::Connect => {
                let (connect, request) = Connect::new(host, port, credentials);
                Ok((Self::Connect(connect), request))
            }
            Protocol::Socks5 => {
                let (socks, greeting) = Socks::new(host, port, credentials)?;
                Ok((Self::Socks(socks), greeting))
            }
        }
    }

    /// `input` is what came in and is not done with yet; `wall` is the wall clock, as time since 1970.
    fn advance(&mut self, input: &[u8], wall: Duration) -> Result<Progress, Refusal> {
        match self {
            Self::Connect(connect) => connect.advance(input, wall),
            Self::Socks(socks) => socks.advance(input),
        }
    }
}

/// Has `server` connect to `host`. What came in behind its answer is left in `memory`.
pub(super) fn tunnel(
    peer: &mut HandshakeStream,
    memory: &mut MemoryStream,
    server: &ProxyServer,
    host: &str,
    port: u16,
) -> Result<(), Error> {
    let (target, proxy) = (authority(host, port), authority(&server.host, server.port));
    peer.dial.begin(format!("asking the proxy {proxy} for {target}"))?;
    let (mut handshake, first) = Handshake::new(server, host, port)?;
    put(memory, &first);
    loop {
        let progress = handshake.advance(memory.inbox().rest(), clock::wall());
        match progress.map_err(|refusal| refusal.into_error(server))? {
            Progress::Wait if memory.is_ended() => return Err(peer.refused(ErrorKind::Proxy)),
            Progress::Wait => peer.exchange(memory)?,
            Progress::Send(length, bytes) => {
                memory.inbox().consume(length);
                put(memory, &bytes);
            }
            Progress::Done(length) => {
                memory.inbox().consume(length);
                return Ok(());
            }
        }
    }
}

fn put(memory: &mut MemoryStream, bytes: &[u8]) {
    // Memory takes everything.
    let _ = memory.write_all(bytes);
}
