//! The memory that TLS and WebSocket run over, so that neither ever touches a socket.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::ops::Range;
use std::time::Instant;

use crate::wire::batch::QUIET;

/// How much is read at once while little is received. Most events fit in, and an idle connection keeps it.
pub(super) const IDLE: usize = 1536;

/// How much is read at once after a full read.
const BUSY: usize = 16 * 1024;

/// The most that is read at once, unless a frame is longer than half of it.
const MOST: usize = 64 * 1024;

/// A reusable buffer of raw bytes, which takes no memory before the first read.
#[derive(Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// From here on nothing was read since the last exchange, see [`Self::exchange`].
    unused: usize,
    /// Where texts are that were consumed but not handed over. Its memory lasts as long as that of the bytes.
    pub(super) found: Vec<Range<usize>>,
    /// The last read took all the room there was.
    is_full: bool,
    /// How much was read since the last wait.
    read: usize,
    /// The last wait before which more than a little was read.
    flooded: Option<Instant>,
}

impl ReadBuffer {
    /// Reads once, behind what is left.
    pub(super) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        // A read that fails takes no more room.
        self.is_full = false;
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let most = room.len();
        let read = source.read(room)?;
        self.is_full = read == most;
        self.end += read;
        self.unused = self.unused.max(self.end);
        self.read = self.read.saturating_add(read);
        Ok(read)
    }

    /// Returns `true` if the last read took all the room there was, so that there is more by all appearances.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// To be called before a wait: frees the memory of a flood that is over. Not at once, for in a flood that pauses a
    /// wait may also bring little.
    pub(super) fn settle(&mut self, now: Instant) {
        if mem::take(&mut self.read) > IDLE {
            self.flooded = Some(now);
        } else if self.bytes.len() > IDLE
            && self.is_empty()
            && self.flooded.is_none_or(|then| now.saturating_duration_since(then) >= QUIET)
        {
            *self = Self::default();
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            // The rest is a part of one frame, so that each byte is moved once at the most.
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let size = self.bytes.len();
        let larger = match size {
            0 => IDLE,
            _ if !self.is_full && self.end < size => size,
            1..BUSY => BUSY,
            BUSY..MOST => 2 * size,
            // For the sake of long frames only.
            _ if self.end > size / 2 => 2 * size,
            _ => size,
        };
        self.bytes.resize(larger, 0);
    }

    /// Adds bytes that were read elsewhere.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(bytes);
        self.end = self.bytes.len();
        self.unused = self.end;
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
    }

    /// What was consumed since the last read.
    pub(super) fn consumed(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.start).unwrap_or_default()
    }

    /// Removes the memory with what was consumed, and goes on in this memory, which becomes as large.
    ///
    /// Behind what was consumed the removed memory is UTF-8, if all of it was before it was read into: no memory has to
    /// be filled again to be read into again.
    pub(super) fn exchange(&mut self, mut memory: Vec<u8>) -> Vec<u8> {
        memory.resize(self.bytes.len(), b' ');
        let rest = self.rest();
        if let Some(place) = memory.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.bytes.get_mut(self.start..self.unused).unwrap_or_default().fill(b' ');
        // The start of this character was overwritten.
        let rest_of_character = self.bytes.iter_mut().skip(self.unused);
        rest_of_character.take_while(|byte| **byte & 0xc0 == 0x80).for_each(|byte| *byte = b' ');
        self.end -= self.start;
        (self.start, self.unused) = (0, self.end);
        mem::replace(&mut self.bytes, memory)
    }

    /// Puts bytes in front of what is left.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        let rest = self.rest().to_vec();
        (self.start, self.end) = (0, 0);
        self.extend(bytes);
        self.extend(&rest);
    }

    /// Returns the memory that it takes, in bytes.
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Read for ReadBuffer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest().read(buffer)?;
        self.start += read;
        Ok(read)
    }
}

/// A stream whose peer is this program: it is fed with what was received, and drained of what is to be sent.
#[derive(Default)]
pub(super) struct MemoryStream {
    inbox: ReadBuffer,
    outbox: VecDeque<u8>,
    ended: bool,
}

impl MemoryStream {
    /// What was received and not read yet. A reader that fills a buffer of its own swaps it for this one.
    pub(super) fn inbox(&mut self) -> &mut ReadBuffer {
        &mut self.inbox
    }

    /// Adds bytes that are to be sent.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.outbox.extend(bytes);
    }

    /// Marks the end: nothing more will be received.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns how many bytes are not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Writes as much as `sink` accepts without waiting.
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
        // A burst must not keep its memory for ever.
        self.outbox.shrink_to(BUSY);
        Ok(())
    }

    /// Drops what is not sent yet.
    pub(super) fn discard(&mut self) {
        self.outbox = VecDeque::new();
    }
}

impl Read for MemoryStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbox.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inbox.read(buffer)
    }
}

impl Write for MemoryStream {
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
    use std::time::Duration;

    use super::*;
    use crate::util::clock;

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

    fn fill(buffer: &mut ReadBuffer, bytes: &[u8]) -> usize {
        buffer.fill(&mut &*bytes).unwrap()
    }

    #[test]
    fn bytes_are_read_in_the_order_received() {
        let mut memory = MemoryStream::default();
        assert!(would_block(&memory.read(&mut [0]).unwrap_err()));
        for part in ["one ", "two ", "", "three"] {
            memory.inbox().fill(&mut part.as_bytes()).unwrap();
        }
        let mut start = [0; 2];
        memory.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"on");
        memory.inbox().fill(&mut &b", four"[..]).unwrap();
        memory.end();
        let mut rest = String::new();
        memory.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "e two three, four");
    }

    #[test]
    fn inbox_can_be_looked_at_before_reading() {
        let mut memory = MemoryStream::default();
        for part in ["head", "er, ", "rest"] {
            memory.inbox().fill(&mut part.as_bytes()).unwrap();
        }
        assert_eq!(memory.inbox().rest(), b"header, rest");
        memory.inbox().consume(8);
        assert_eq!(memory.inbox().rest(), b"rest");
        memory.read_exact(&mut [0; 4]).unwrap();
        memory.inbox().consume(1);
        assert!(would_block(&memory.read(&mut [0]).unwrap_err()));
    }

    #[test]
    fn buffer_grows_with_full_reads_and_shrinks_after_a_quiet_wait() {
        let mut buffer = ReadBuffer::default();
        assert_eq!(buffer.room(), 0);
        let flood = vec![7; 4 * MOST];
        let sizes: Vec<_> = (0..6)
            .map(|_| {
                let read = fill(&mut buffer, &flood);
                assert!(buffer.is_full());
                buffer.consume(read);
                read
            })
            .collect();
        assert_eq!(sizes, [IDLE, BUSY, 2 * BUSY, MOST, MOST, MOST]);
        let (start, short) = (clock::now(), QUIET - Duration::from_millis(1));
        let waits = [
            (Duration::ZERO, flood.len(), MOST),
            (Duration::ZERO, IDLE, MOST),
            (short, IDLE + 1, MOST),
            (short + short, 0, MOST),
            (short + QUIET, IDLE, 0),
            (short + QUIET, 0, 0),
        ];
        for (after, read, kept) in waits {
            let mut source = &flood[..read];
            while !source.is_empty() {
                buffer.fill(&mut source).unwrap();
                buffer.consume(usize::MAX);
            }
            buffer.settle(start + after);
            assert_eq!(buffer.room(), kept, "after {after:?} and {read} bytes");
        }
        assert_eq!(fill(&mut buffer, &flood), IDLE);
        buffer.consume(IDLE);
        for _ in 0..3 {
            assert!(would_block(&buffer.fill(&mut MemoryStream::default()).unwrap_err()));
        }
        assert_eq!(buffer.room(), BUSY, "a read of nothing takes no more");
    }

    #[test]
    fn rest_is_kept_through_waits_and_has_room_behind_it() {
        let mut buffer = ReadBuffer::default();
        let long: Vec<_> = (0..=255).cycle().take(5 * MOST).collect();
        let mut source = &long[..];
        while !source.is_empty() {
            assert!(buffer.fill(&mut source).unwrap() > 0, "no end of the source");
            buffer.settle(clock::now());
        }
        assert_eq!(buffer.rest(), long);
        assert!(buffer.bytes.len() <= 2 * long.len());
    }

    #[test]
    fn exchanged_memory_is_utf8_whatever_was_read_into_it_before() {
        // Characters of ten bytes together.
        let text = "a\u{e9}\u{20ac}\u{1f600}".repeat(151);
        let (mut buffer, mut memory) = (ReadBuffer::default(), Vec::new());
        for length in [1_500, 700, 10, 0, 1_500, 200] {
            for (cut, other) in (0..10).flat_map(|cut| [0, 300].map(|other| (cut, other))) {
                fill(&mut buffer, &[0xff; IDLE][..other]);
                buffer.consume(usize::MAX);
                fill(&mut buffer, &text.as_bytes()[..length + cut]);
                buffer.consume(length);
                let exchanged = String::from_utf8(buffer.exchange(memory)).unwrap();
                assert!(exchanged.starts_with(&text[..length]));
                assert_eq!(buffer.rest(), &text.as_bytes()[length..length + cut]);
                buffer.consume(usize::MAX);
                memory = exchanged.into_bytes();
            }
        }
    }

    #[test]
    fn extended_buffer_has_room_behind_it() {
        let mut buffer = ReadBuffer::default();
        for (extended, expected) in [(&b"early"[..], "early!"), (b"more", "early!more!")] {
            buffer.extend(extended);
            assert_eq!(fill(&mut buffer, b"!"), 1, "no end of the source");
            assert_eq!(buffer.rest(), expected.as_bytes());
        }
    }

    #[test]
    fn unsent_bytes_are_sent_later_in_order() {
        let mut memory = MemoryStream::default();
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
