//! WebSocket over memory: raw bytes in and messages out, and the other way round.

use std::collections::VecDeque;
use std::io::Write;
use std::mem;
use std::time::Instant;

use tungstenite::Message as Frame;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::frames::{self, Codec};
use super::memory::{MemoryStream, ReadBuffer, would_block};
use crate::util::guard::write_log;
use crate::wire::batch::Inbox;
use crate::{Error, ErrorKind};

/// What is to be sent.
pub(super) enum Outgoing {
    Text(String),
    Close(u16),
}

pub(super) struct Session {
    codec: Codec,
    /// Taken from the queue, to be encoded.
    pub(super) batch: VecDeque<Outgoing>,
    /// Why nothing can be sent any more.
    broken: Option<Error>,
}

impl Session {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, batch: VecDeque::new(), broken: None }
    }

    /// Nothing more can be read from the socket.
    pub(super) fn end(&mut self) {
        self.memory().end();
    }

    /// Decodes all there is in `buffer`, and leaves in it what is not whole; an error is the end of the connection.
    pub(super) fn decode(
        &mut self,
        buffer: &mut ReadBuffer,
        ready: &mut Inbox,
    ) -> Result<(), Error> {
        mem::swap(self.memory().inbox(), buffer);
        let decoded = self.decode_frames(ready);
        mem::swap(self.memory().inbox(), buffer);
        decoded
    }

    /// Takes out what was received behind the handshake.
    pub(super) fn take_early(&mut self) -> ReadBuffer {
        mem::take(self.memory().inbox())
    }

    /// To be called before a wait: frees the memory of a flood and of long messages.
    pub(super) fn settle(&mut self, now: Instant) {
        frames::settle(&mut self.codec, now);
    }

    /// Returns the memory that is kept to read with.
    #[cfg(test)]
    pub(super) fn room(&mut self) -> usize {
        self.codec.get_mut().room()
    }

    fn decode_frames(&mut self, ready: &mut Inbox) -> Result<(), Error> {
        loop {
            match frames::read(&mut self.codec, ready) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Text(text))) => ready.text(text.as_str()),
                Ok(Some(Frame::Close(frame))) => {
                    let (code, reason) = match frame {
                        Some(frame) => (Some(frame.code.into()), frame.reason.as_str().to_owned()),
                        None => (None, String::new()),
                    };
                    ready.closed(code, reason);
                    // Encodes the reply. For a server it fails, since this was the last message.
                    let _ = self.codec.flush();
                    return Err(closed_by_peer());
                }
                Ok(Some(Frame::Binary(_))) => write_log!(Debug, "a binary message was ignored"),
                // The pong is encoded by the next read or write.
                Ok(Some(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {}
                Err(error) => return Err(self.ended(error)),
            }
        }
    }

    /// Encodes the batch, and writes to the socket what it takes without waiting.
    pub(super) fn send(&mut self, socket: impl Write) {
        if let Err(error) = self.encode() {
            self.give_up("encrypting a message failed", error);
        }
        if let Err(error) = self.memory().write_to(socket) {
            self.give_up("sending to the peer failed", error);
        }
    }

    /// How many bytes are encoded but not sent.
    pub(super) fn unsent(&mut self) -> usize {
        self.memory().unsent()
    }

    pub(super) fn broken(&self) -> Option<Error> {
        self.broken.clone()
    }

    fn memory(&mut self) -> &mut MemoryStream {
        self.codec.get_mut().memory()
    }

    fn encode(&mut self) -> std::io::Result<()> {
        while let Some(outgoing) = self.batch.pop_front() {
            let result = match outgoing {
                Outgoing::Text(text) => self.codec.write(Frame::text(text)),
                Outgoing::Close(code) => self.close(code.into()),
            };
            // An error after a close frame is expected: nothing is sent then.
            if let Err(tungstenite::Error::Io(error)) = result {
                return Err(error);
            }
        }
        match self.codec.flush() {
            Err(tungstenite::Error::Io(error)) if !would_block(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn close(&mut self, code: CloseCode) -> tungstenite::Result<()> {
        // This code stands for none; a frame must not carry it.
        let frame = (code != CloseCode::Status).then(|| CloseFrame { code, reason: "".into() });
        self.codec.close(frame)
    }

    fn give_up(&mut self, message: &str, error: std::io::Error) {
        self.batch.clear();
        self.memory().discard();
        if self.broken.is_none() {
            self.broken = Some(Error::message(ErrorKind::Io, message).caused_by(error));
        }
    }

    fn ended(&mut self, error: tungstenite::Error) -> Error {
        use tungstenite::Error as Fault;
        let ended = self.memory().is_ended();
        let (code, end) = match error {
            Fault::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                let message = format!(
                    "the peer sent a message of {size} bytes, but the limit is {max_size} bytes; \
                     raise max_message_size if that is right"
                );
                (CloseCode::Size, Error::message(ErrorKind::TooLarge, message))
            }
            Fault::ConnectionClosed | Fault::AlreadyClosed => return closed_by_peer(),
            Fault::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return cut(),
            // TLS takes a bare end of the connection for an error.
            Fault::Io(_) if ended => return cut(),
            Fault::Io(error) => {
                return Error::message(ErrorKind::Io, "the TLS connection failed").caused_by(error);
            }
            Fault::Utf8(_) => (CloseCode::Invalid, wrong("sent text that is not UTF-8")),
            error => {
                (CloseCode::Protocol, wrong("violated the WebSocket protocol").caused_by(error))
            }
        };
        // If the close cannot be sent, the connection ends all the same.
        let _ = self.close(code);
        end
    }
}

fn wrong(what: &str) -> Error {
    Error::message(ErrorKind::Protocol, format!("the peer {what}"))
}

/// Not a `Message::Close`, which without a code is a close frame without one.
fn cut() -> Error {
    Error::message(ErrorKind::Io, "the connection ended without a close frame")
}

pub(super) fn closed_by_peer() -> Error {
    Error::message(ErrorKind::Closed, "the peer closed the connection")
}
