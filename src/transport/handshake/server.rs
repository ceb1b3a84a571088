//! The server's end of a WebSocket, for the test server.

use std::net::TcpStream;

use tungstenite::protocol::Role;

use super::codec;
use crate::transport::WebSocket;
use crate::transport::dial::DialContext;
use crate::transport::handshake_stream::HandshakeStream;
use crate::transport::memory::MemoryStream;
use crate::transport::tls::Stream;
use crate::util::clock;
use crate::{Error, Interrupt};

const MAX_MESSAGE: usize = 1024 * 1024;

impl WebSocket {
    /// A connection whose handshake is done; `received` came after it.
    pub(crate) fn accepted(stream: TcpStream, received: &[u8]) -> Result<Self, Error> {
        stream.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(stream);
        let dial = DialContext::new(clock::now(), &Interrupt::default())?;
        dial.poller.register(&mut socket, mio::Token(0))?;
        let memory = Stream::Plain(MemoryStream::default());
        let codec = codec(memory, received, Role::Server, MAX_MESSAGE);
        Ok(Self::new(HandshakeStream::new(dial, socket), codec))
    }
}
