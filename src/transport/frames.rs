//! What tungstenite reads from: one frame at a time, and no whole texts.
//!
//! Nearly all messages of a server are texts of one frame. Those are found in the buffer that they were read into, and
//! handed over with it. Every other frame is passed to tungstenite, exactly to its end, so that tungstenite judges the
//! protocol, and the start of the next frame stays known. It knows no socket, thread or clock.

#[cfg(test)]
mod tests;

use std::io::{self, Cursor, Read, Write};
use std::ops::Range;
use std::time::Instant;
use std::{mem, str};

use tungstenite::Message;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::memory::{MemoryStream, ReadBuffer, would_block};
use super::tls::Stream;
use crate::wire::batch::{Frame, Inbox, MAX_FRAMES, MAX_TEXT};

pub(super) type Codec = tungstenite::WebSocket<Frames>;

/// Texts that take less than this are copied, in bytes: that costs less than another buffer.
const FEW: usize = 4 * 1024;

/// Reads until nothing is left that is whole, or to the next message that is not one text in one frame: those go to
/// the inbox.
pub(super) fn read(codec: &mut Codec, inbox: &mut Inbox) -> tungstenite::Result<Option<Message>> {
    while codec.get_mut().take_texts(inbox)? {
        match codec.read() {
            Err(tungstenite::Error::Io(error)) if would_block(&error) => {
                if codec.get_ref().passing > 0 {
                    break;
                }
                // It has read a frame to its end that is no message, such as a fragment of one.
            }
            message => return message.map(Some),
        }
    }
    Ok(None)
}

/// To be called before a wait. Tungstenite keeps the memory of the longest frame that it has read, so it is replaced
/// after one that is longer than what it reads at once.
pub(super) fn settle(codec: &mut Codec, now: Instant) {
    codec.get_mut().decrypted.settle(now);
    let (frames, config) = (codec.get_ref(), *codec.get_config());
    let is_between = frames.passing == 0 && !frames.is_fragmented && !frames.ended;
    let is_long = frames.longest > config.read_buffer_size as u64;
    // After a flush it has nothing left to send. A closing one keeps the state of the close.
    if is_long && is_between && codec.can_write() && codec.flush().is_ok() {
        let role = codec.get_ref().role;
        let none = Frames::new(Stream::Plain(MemoryStream::default()), &[], role, 0);
        let none = Codec::from_raw_socket(none, role, Some(config));
        let mut frames = mem::replace(codec, none).into_inner();
        frames.longest = 0;
        *codec = Codec::from_raw_socket(frames, role, Some(config));
    }
}

/// The bytes of a connection, cut into frames.
pub(super) struct Frames {
    stream: Stream,
    /// What TLS has decrypted. Without TLS, frames are read in the memory.
    decrypted: ReadBuffer,
    role: Role,
    max_message_size: u64,
    /// How many bytes of the frame at the front tungstenite may still read.
    passing: u64,
    /// The size of the longest frame that this tungstenite has read.
    longest: u64,
    /// The frames passed to tungstenite have begun a message and not ended it.
    is_fragmented: bool,
    /// The peer has sent a close frame. Whatever follows is an error.
    is_closed: bool,
    ended: bool,
}

/// The frame at the front.
enum Front {
    /// Incomplete: its header, or a text.
    Part,
    /// A whole text message, with the sizes of its header and its text.
    Text(usize, usize),
    /// A frame for tungstenite, with its size, and whether it leaves a message unfinished, if it is of one.
    Other(u64, Option<bool>),
}

impl Frames {
    /// `early` is what was received behind the handshake.
    pub(super) fn new(stream: Stream, early: &[u8], role: Role, max_message_size: usize) -> Self {
        let mut this = Self {
            stream,
            decrypted: ReadBuffer::default(),
            role,
            max_message_size: u64::try_from(max_message_size).unwrap_or(u64::MAX),
            passing: 0,
            longest: 0,
            is_fragmented: false,
            is_closed: false,
            ended: false,
        };
        this.buffer().extend(early);
        this
    }

    /// The memory at the bottom.
    pub(super) fn memory(&mut self) -> &mut MemoryStream {
        self.stream.memory()
    }

    /// The memory that is kept to read with.
    #[cfg(test)]
    pub(super) fn room(&mut self) -> usize {
        self.decrypted.room() + self.memory().inbox().room()
    }

    /// Takes the text messages at the front. Returns `true` if what follows is for tungstenite to read: a frame, the
    /// rest of one, or the end.
    fn take_texts(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        while self.passing == 0 {
            match self.front() {
                Front::Text(header, length) => {
                    let buffer = self.buffer();
                    let start = buffer.consumed().len() + header;
                    buffer.consume(header + length);
                    buffer.found.push(start..start + length);
                    if buffer.found.len() == MAX_FRAMES {
                        self.hand_over(inbox);
                    }
                }
                // Before anything else is read.
                _ if !self.buffer().found.is_empty() => self.hand_over(inbox),
                Front::Other(length, is_unfinished) => {
                    self.passing = length;
                    self.longest = self.longest.max(length);
                    self.is_fragmented = is_unfinished.unwrap_or(self.is_fragmented);
                }
                Front::Part => match self.fill() {
                    Ok(0) => {
                        self.ended = true;
                        self.passing = self.buffer().rest().len() as u64;
                        return Ok(true);
                    }
                    Ok(_) => {}
                    Err(error) if would_block(&error) => return Ok(false),
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(true)
    }

    /// Hands over the texts that were found: with their buffer, if they take most of it.
    fn hand_over(&mut self, inbox: &mut Inbox) {
        let buffer = self.buffer();
        let mut found = mem::take(&mut buffer.found);
        let bytes: usize = found.iter().map(Range::len).sum();
        let is_bounded = bytes <= MAX_TEXT || found.len() == 1;
        // What kept events retain is bounded by the bytes of their frames.
        let retained = buffer.room() + found.len() * size_of::<Frame>();
        let handed_over = if is_bounded && bytes >= FEW.max(retained / 2) {
            share(buffer, &found, inbox)
        } else {
            copy(buffer.consumed(), &found, inbox)
        };
        if let Err(invalid) = handed_over {
            // Tungstenite finds the same. What follows is lost, as is the connection.
            buffer.put_back(&invalid);
            self.passing = invalid.len() as u64;
        }
        found.clear();
        self.buffer().found = found;
    }

    fn front(&mut self) -> Front {
        let limit = self.max_message_size;
        // Texts of clients are masked, so a server takes none here.
        let is_taken = self.role == Role::Client && !self.is_fragmented && !self.is_closed;
        let bytes = self.buffer().rest();
        let mut cursor = Cursor::new(bytes);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Front::Part,
            // Tungstenite finds the same.
            Err(_) => return Front::Other(bytes.len() as u64, None),
        };
        let is_plain = is_taken && header.is_final && header.mask.is_none();
        let is_reserved = header.rsv1 || header.rsv2 || header.rsv3;
        let is_text = header.opcode == OpCode::Data(Data::Text);
        if is_text && is_plain && !is_reserved && length <= limit {
            return match usize::try_from(cursor.position()).ok().zip(usize::try_from(length).ok()) {
                Some((header, length)) if bytes.len() - header >= length => {
                    Front::Text(header, length)
                }
                _ => Front::Part,
            };
        }
        let is_unfinished = matches!(header.opcode, OpCode::Data(_)).then_some(!header.is_final);
        let size = cursor.position().saturating_add(length);
        self.is_closed |= header.opcode == OpCode::Control(Control::Close);
        Front::Other(size, is_unfinished)
    }

    /// Where the frames are.
    fn buffer(&mut self) -> &mut ReadBuffer {
        match &mut self.stream {
            Stream::Plain(memory) => memory.inbox(),
            Stream::Tls(_) => &mut self.decrypted,
        }
    }

    /// Gets more of them, if there are any.
    fn fill(&mut self) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(memory) if memory.is_ended() => Ok(0),
            Stream::Plain(_) => Err(io::ErrorKind::WouldBlock.into()),
            Stream::Tls(stream) => self.decrypted.fill(stream),
        }
    }
}

/// Hands over the texts with the buffer. An error is the frame of the first one that is not UTF-8.
fn share(
    buffer: &mut ReadBuffer,
    found: &[Range<usize>],
    inbox: &mut Inbox,
) -> Result<(), Vec<u8>> {
    let (bytes, mut end) = (buffer.consumed(), 0);
    for text in found {
        // Headers, and frames that tungstenite has read, are not UTF-8.
        bytes.get_mut(end..text.start).unwrap_or_default().fill(b' ');
        end = text.end;
    }
    let shared = inbox.texts(found, |memory| buffer.exchange(memory));
    // Those before are.
    shared.or_else(|error| copy(error.as_bytes(), found, inbox))
}

/// Hands over copies of the texts, as [`share`] does.
fn copy(bytes: &[u8], found: &[Range<usize>], inbox: &mut Inbox) -> Result<(), Vec<u8>> {
    for text in found {
        let text = bytes.get(text.clone()).unwrap_or_default();
        match str::from_utf8(text) {
            Ok(text) => inbox.text(text),
            Err(_) => {
                let mut frame = Vec::new();
                let opcode = OpCode::Data(Data::Text);
                // Writing to memory cannot fail.
                let _ = FrameHeader { opcode, ..FrameHeader::default() }
                    .format(text.len() as u64, &mut frame);
                frame.extend_from_slice(text);
                return Err(frame);
            }
        }
    }
    Ok(())
}

impl Read for Frames {
    /// Reads of the frame at the front, and not beyond it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.passing == 0 && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.passing > 0 && self.buffer().rest().is_empty() {
            self.fill()?;
        }
        let most = usize::try_from(self.passing).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.buffer().read(buffer.get_mut(..most).unwrap_or_default())?;
        self.passing -= read as u64;
        Ok(read)
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
