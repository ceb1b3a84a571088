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

    fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
    }

    fn append(&mut self, other: &mut Self) {
        self.bytes.truncate(self.end);
        self.bytes.drain(..self.start);
        self.bytes.extend_from_slice(other.rest());
        self.start = 0;
        self.end = self.bytes.len();
        // It will be read into again.
        self.bytes.resize(self.end.max(CHUNK), 0);
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

    /// What came in and was not read yet, to look at.
    pub(super) fn unread(&self) -> &[u8] {
        self.inbox.rest()
    }

    /// Counts so many bytes of it as read.
    pub(super) fn consume(&mut self, length: usize) {
        self.inbox.consume(length);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at a time, and none when its room is used up.
    struct Narrow(Vec<u8>, usize);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(self.1).min(3);
            self.1 -= taken;
            self.0.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_fed_before_the_rest_was_read_comes_after_it() {
        let mut memory = Memory::default();
        let mut chunk = Chunk::default();
        assert!(would_block(&memory.read(&mut [0]).unwrap_err()));
        for part in ["one ", "two ", "", "three"] {
            chunk.fill(&mut part.as_bytes()).unwrap();
            memory.feed(&mut chunk);
        }
        let mut start = [0; 2];
        memory.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"on");
        memory.end();
        let mut rest = String::new();
        memory.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "e two three");
    }

    #[test]
    fn what_is_looked_at_is_read_later_and_no_buffer_shrinks() {
        let mut memory = Memory::default();
        let mut chunk = Chunk::default();
        for part in ["head", "er, ", "rest"] {
            chunk.fill(&mut part.as_bytes()).unwrap();
            memory.feed(&mut chunk);
        }
        assert_eq!(memory.unread(), b"header, rest");
        memory.consume(8);
        assert_eq!(memory.unread(), b"rest");
        memory.read_exact(&mut [0; 4]).unwrap();
        memory.consume(1);
        assert!(would_block(&memory.read(&mut [0]).unwrap_err()));
        // The buffers change places; both take a whole read.
        for _ in 0..2 {
            assert_eq!(chunk.fill(&mut &[7; CHUNK][..]).unwrap(), CHUNK);
            memory.feed(&mut chunk);
            memory.consume(CHUNK);
        }
    }

    #[test]
    fn what_is_not_taken_goes_out_later_and_in_order() {
        let mut memory = Memory::default();
        let mut sink = Narrow(Vec::new(), 5);
        memory.write_all(b"hello, ").unwrap();
        memory.write_to(&mut sink).unwrap();
        assert_eq!(memory.unsent(), 2);
        memory.write_all(b"world").unwrap();
        sink.1 = 100;
        memory.write_to(&mut sink).unwrap();
        assert_eq!(sink.0, b"hello, world");
        assert_eq!(memory.unsent(), 0);
    }
}
