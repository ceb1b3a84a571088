//! The server's end of a WebSocket, for the test server.

use std::net::TcpStream;

use tungstenite::protocol::Role;

use super::codec;
use crate::transport::WebSocket;
use crate::transport::memory::Memory;
use crate::transport::tls::Stream;
use crate::transport::wait::{Dial, Line};
use crate::util::clock;
use crate::{Error, Interrupt};

const MAX_MESSAGE: usize = 1024 * 1024;

impl WebSocket {
    /// A connection whose handshake is done; `received` came after it.
    pub(crate) fn accepted(stream: TcpStream, received: &[u8]) -> Result<Self, Error> {
        stream.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(stream);
        let dial = Dial::new(clock::now(), &Interrupt::default())?;
        dial.wait.register(&mut socket, mio::Token(0))?;
        let memory = Stream::Plain(Memory::default());
        let codec = codec(memory, received, Role::Server, MAX_MESSAGE);
        Ok(Self::new(Line::new(dial, socket), codec))
    }
}
