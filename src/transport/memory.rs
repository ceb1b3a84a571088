//! The memory that TLS and WebSocket run over, so that neither ever touches a socket.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;

/// How much is read from a socket at once. Measured: a quarter of it, or sixteen times as much, is
/// half as fast with large messages.
pub(super) const CHUNK: usize = 16 * 1024;

/// A reusable buffer of raw bytes.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { bytes: vec![0; CHUNK], start: 0, end: 0 }
    }
}

impl Chunk {
    /// Replaces the content by one read.
    pub(super) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.start = 0;
        self.end = 0;
        self.end = source.read(&mut self.bytes)?;
        Ok(self.end)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn append(&mut self, other: &mut Self) {
        self.bytes = [self.rest(), other.rest()].concat();
        self.start = 0;
        self.end = self.bytes.len();
        other.start = other.end;
    }
}

impl Read for Chunk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest().read(buffer)?;
        self.start += read;
        Ok(read)
    }
}

/// A stream whose far end is this program: what came in is fed to it, what is to go out is taken from it.
#[derive(Default)]
pub(super) struct Memory {
    inbox: Chunk,
    outbox: VecDeque<u8>,
    ended: bool,
}

impl Memory {
    /// Takes in what was read from the socket. `chunk` is free for the next read then.
    pub(super) fn feed(&mut self, chunk: &mut Chunk) {
        if self.inbox.is_empty() {
            mem::swap(&mut self.inbox, chunk);
        } else if !chunk.is_empty() {
            self.inbox.append(chunk);
        }
    }

    /// Nothing more will come in.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// How many bytes wait to go out.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Writes out as much as is taken without waiting.
    pub(super) fn write_to(&mut self, mut sink: impl Write) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match sink.write(self.outbox.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // One burst should not be paid for with memory for ever.
        self.outbox.shrink_to(CHUNK);
        Ok(())
    }

    /// Gives up what waits to go out.
    pub(super) fn discard(&mut self) {
        self.outbox = VecDeque::new();
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inbox.read(buffer)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub(super) fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
