//! One HTTP request, for tests, as a server gets it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use super::handshake::adopt;
use super::memory::Memory;
use super::wait::{Dial, Line};
use crate::Error;
use crate::Interrupt;

/// A connection that was accepted. What it carries is up to the caller.
pub(crate) struct Exchange {
    line: Line,
    memory: Memory,
}

impl Exchange {
    pub(crate) fn new(
        stream: TcpStream,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let mut dial = Dial::new(deadline, interrupt)?;
        dial.begin("HTTP request of a client".to_owned())?;
        let socket = adopt(&dial, stream).map_err(|error| dial.broken("", error))?;
        Ok(Self { line: Line::new(dial, socket), memory: Memory::default() })
    }

    /// Waits for more of the request and appends it. Tells whether still more can come.
    pub(crate) fn receive(&mut self, request: &mut Vec<u8>) -> Result<bool, Error> {
        self.line.exchange(&mut self.memory)?;
        // What is there is appended, whether or not an end or more is to come.
        let _ = self.memory.read_to_end(request);
        Ok(!self.memory.is_ended())
    }

    /// Sends the response and waits, until `deadline`, for the client to close: if it were closed
    /// here with bytes unread, the client might lose the response.
    pub(crate) fn reply(mut self, response: &[u8], deadline: Instant) -> Result<(), Error> {
        self.line.dial.set_deadline(deadline);
        self.line.dial.check()?;
        let _ = self.memory.write_all(response);
        loop {
            self.line.send(&mut self.memory)?;
            if self.memory.unsent() == 0 {
                break;
            }
            self.line.dial.wait(None)?;
        }
        // The client may be gone, which is what is waited for.
        let _ = self.line.socket.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        while !self.memory.is_ended() {
            self.receive(&mut rest)?;
            rest.clear();
        }
        Ok(())
    }
}
