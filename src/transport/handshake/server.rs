//! The server's end of a WebSocket, for the test server.

use std::net::TcpStream;

use tungstenite::protocol::Role;

use super::codec;
use crate::Error;
use crate::transport::WebSocket;
use crate::transport::memory::MemoryStream;
use crate::transport::poller::Poller;
use crate::transport::tls::Stream;

const MAX_MESSAGE: usize = 1024 * 1024;

impl WebSocket {
    /// Returns an accepted connection whose handshake is done. `received` came behind it.
    pub(crate) fn accepted(stream: TcpStream, received: &[u8]) -> Result<Self, Error> {
        stream.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(stream);
        let poller = Poller::new()?;
        poller.register(&mut socket, mio::Token(0))?;
        let memory = Stream::Plain(MemoryStream::default());
        let codec = codec(memory, received, Role::Server, MAX_MESSAGE);
        Ok(Self::new(poller, socket, codec))
    }
}
