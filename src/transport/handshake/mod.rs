//! The WebSocket handshake of a client.

mod client;
mod refusal;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use tungstenite::handshake::client::generate_key;
use tungstenite::protocol::{Role, WebSocketConfig};

use super::frames::{Codec, Frames};
use super::handshake_stream::HandshakeStream;
use super::memory::{IDLE, is_interrupted, would_block};
use super::tls::Stream;
use crate::config::headers::Header;
use crate::util::clock;
use crate::util::url::Url;
use crate::{Error, ErrorKind};

use client::{Handshake, Input, Progress};
pub(super) use refusal::{USE_PLAIN, USE_TLS};

/// How much tungstenite reads at once. It sees no whole texts, see [`Frames`].
const READ: usize = 1024;

/// What an idle connection keeps to read with, over TLS too: the encrypted bytes, the decrypted ones, a frame.
const _: () = assert!(2 * IDLE + READ <= 4 * 1024);

/// How long the page behind a refusal is waited for.
const PAGE: Duration = Duration::from_millis(500);

/// `early` is what was received behind the handshake.
fn codec(stream: Stream, early: &[u8], max_message_size: usize) -> Codec {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        // Bytes are collected in the memory below; another buffer would be one copy more.
        .write_buffer_size(0)
        .max_message_size(Some(max_message_size))
        .max_frame_size(Some(max_message_size));
    let frames = Frames::new(stream, early, Role::Client, max_message_size);
    Codec::from_raw_socket(frames, Role::Client, Some(config))
}

/// Does the handshake of a client.
pub(super) fn request(
    peer: &mut HandshakeStream,
    mut stream: Stream,
    url: &Url,
    headers: &[Header],
    max_message_size: usize,
) -> Result<Codec, Error> {
    let (mut handshake, request) = Handshake::new(url, headers, &generate_key());
    let written = stream.write_all(&request).and_then(|()| stream.flush());
    written.map_err(|error| broken(peer, &stream, error))?;
    peer.send(stream.memory()).map_err(|error| silent(error, url, &[]))?;
    let mut input = Vec::new();
    // What came with the end of the previous step is here already.
    let mut is_all = take(&mut stream, &mut input).map_err(|error| broken(peer, &stream, error))?;
    let mut page_deadline = None;
    loop {
        let known = Input { bytes: &input, is_all, wall: clock::wall() };
        match handshake.advance(known).map_err(|refusal| peer.dial.failed_by(refusal))? {
            Progress::Done(length) => {
                let rest = input.get(length..).unwrap_or_default();
                return Ok(codec(stream, rest, max_message_size));
            }
            Progress::Wait if is_all => return Err(ended(peer, url, &input)),
            Progress::Wait => {
                peer.exchange(stream.memory()).map_err(|error| silent(error, url, &input))?;
                is_all =
                    take(&mut stream, &mut input).map_err(|error| broken(peer, &stream, error))?;
            }
            Progress::WaitBriefly => {
                let until = *page_deadline.get_or_insert_with(|| clock::now() + PAGE);
                is_all = linger(peer, &mut stream, &mut input, until);
            }
        }
    }
}

/// Adds what was received to `input`. Returns `true` if no more will come.
fn take(stream: &mut Stream, input: &mut Vec<u8>) -> io::Result<bool> {
    match stream.read_to_end(input) {
        Ok(_) => Ok(true),
        Err(error) if would_block(&error) || is_interrupted(&error) => Ok(false),
        // TLS takes a bare end of the connection for an error.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) => Err(error),
    }
}

/// Waits until `until` for more. Returns `true` if none will come. Errors are ignored: there is a refusal already.
fn linger(
    peer: &mut HandshakeStream,
    stream: &mut Stream,
    input: &mut Vec<u8>,
    until: Instant,
) -> bool {
    let waited = peer.exchange_until(stream.memory(), Some(until));
    waited.is_err() || take(stream, input).unwrap_or(true) || clock::now() >= until
}

/// Returns the error of the TLS library: memory has none.
fn broken(peer: &HandshakeStream, stream: &Stream, error: io::Error) -> Error {
    let kind = match stream {
        Stream::Plain(_) => ErrorKind::Io,
        // A server may refuse its client only now.
        Stream::Tls(_) => ErrorKind::Tls,
    };
    peer.refused(kind).caused_by(error)
}

/// Returns the error of a connection that was closed before the response was complete.
fn ended(peer: &HandshakeStream, url: &Url, input: &[u8]) -> Error {
    let error = peer.refused(ErrorKind::Io);
    let error = match input {
        [] => error,
        _ => {
            let message = format!("{} in the middle of its response", error.text());
            error.with_message(message)
        }
    };
    silent(error, url, input)
}

/// Adds to the failure of a connection on which nothing was received that TLS may be spoken there.
fn silent(error: Error, url: &Url, input: &[u8]) -> Error {
    if url.secure || !input.is_empty() || error.kind() != ErrorKind::Io {
        return error;
    }
    error.with_hint(USE_TLS)
}
