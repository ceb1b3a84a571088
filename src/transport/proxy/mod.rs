//! The step between TCP and TLS: the proxy is requested to connect to the server.
//!
//! The handshakes take bytes and return bytes; only [`tunnel`] knows of a socket.

mod connect;
mod socks;
#[cfg(test)]
mod tests;

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

/// What a handshake makes of the bytes that were received.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// More bytes are needed.
    Wait,
    /// It is done with so many bytes, and these are sent.
    Send(usize, Vec<u8>),
    /// It is done with so many bytes, and the rest is the server's.
    Done(usize),
}

/// Returns the error of a refusal. Its message is the end of a sentence that begins with the proxy's name.
fn refused(why: impl Into<String>) -> Error {
    Error::message(ErrorKind::Proxy, why)
}

impl Handshake {
    /// Returns the handshake, and the bytes that it begins with.
    fn new(server: &ProxyServer, host: &str, port: u16) -> Result<(Self, Vec<u8>), Error> {
        let credentials = server.credentials.as_ref();
        match server.protocol {
            Protocol::Connect => {
                let (connect, request) = Connect::new(host, port, credentials);
                Ok((Self::Connect(connect), request))
            }
            Protocol::Socks5 => {
                let (socks, methods) = Socks::new(host, port, credentials)?;
                Ok((Self::Socks(socks), methods))
            }
        }
    }

    /// `input` is what was received and is not done with yet; `wall` is the wall clock, as time since 1970.
    fn advance(&mut self, input: &[u8], wall: Duration) -> Result<Progress, Error> {
        match self {
            Self::Connect(connect) => connect.advance(input, wall),
            Self::Socks(socks) => socks.advance(input),
        }
    }
}

/// Has `server` connect to `host`. What was received behind its response is left in `memory`.
pub(super) fn tunnel(
    peer: &mut HandshakeStream,
    memory: &mut MemoryStream,
    server: &ProxyServer,
    host: &str,
    port: u16,
) -> Result<(), Error> {
    let (target, proxy) = (authority(host, port), authority(&server.host, server.port));
    peer.dial.begin(format!("connecting through the proxy {proxy} to {target}"))?;
    let (mut handshake, first) = Handshake::new(server, host, port)?;
    memory.queue(&first);
    loop {
        let progress = handshake.advance(memory.inbox().rest(), clock::wall());
        match progress.map_err(|refusal| named(refusal, server))? {
            Progress::Wait if memory.is_ended() => return Err(peer.refused(ErrorKind::Proxy)),
            Progress::Wait => peer.exchange(memory)?,
            Progress::Send(length, bytes) => {
                memory.inbox().consume(length);
                memory.queue(&bytes);
            }
            Progress::Done(length) => {
                memory.inbox().consume(length);
                return Ok(());
            }
        }
    }
}

/// Puts the proxy's name in front of the message.
fn named(refusal: Error, server: &ProxyServer) -> Error {
    let proxy = authority(&server.host, server.port);
    let message = format!("the proxy {proxy} {}", refusal.text());
    refusal.with_message(message)
}
