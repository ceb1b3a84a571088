//! A client's WebSocket, for all threads of the server: one reads, many send, and none waits for the client.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use mio::Waker;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::tls::Stream;
use crate::transport::{Poller, wake};
use crate::util::clock;
use crate::util::guard::write_log;
use crate::util::sync::lock;

/// The longest message that a client may send, in bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// How many bytes a client may leave unread.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// How many messages are read before the frames that other threads have queued are sent.
const MAX_MESSAGES: usize = 64;

/// The longest reason of a close frame, in bytes.
const MAX_REASON: usize = 123;

/// How long a close waits for the client's confirmation.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// By RFC 6455 this stands for a close frame without a code.
pub(super) const NO_CODE: u16 = 1005;

/// An action on a connection.
pub(super) enum Step {
    Send(Arc<str>),
    Close(u16, String),
    /// Ends the TCP connection.
    Drop,
}

/// Steps are queued under the server's lock, which orders them, and carried out without it.
pub(super) struct Peer {
    /// Never held while waiting.
    socket: Mutex<WebSocket<Stream>>,
    steps: Mutex<VecDeque<Step>>,
    waker: Arc<Waker>,
    /// Once this side closes or drops: until when the client may confirm.
    closing: OnceLock<Instant>,
}

impl Peer {
    /// `received` came behind the handshake; the stream must not wait. The waker is that of the poller that
    /// [`receive`](Self::receive) gets.
    pub(super) fn new(stream: Stream, received: Vec<u8>, waker: Arc<Waker>) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .max_write_buffer_size(MAX_UNSENT);
        let socket = WebSocket::from_partially_read(stream, received, Role::Server, Some(config));
        Self {
            socket: Mutex::new(socket),
            steps: Mutex::default(),
            waker,
            closing: OnceLock::new(),
        }
    }

    pub(super) fn queue(&self, step: Step) {
        lock(&self.steps).push_back(step);
    }

    /// Carries out the queued steps, or has the thread do it that uses the socket now. Never waits for the client.
    pub(super) fn take_steps(&self) {
        match try_lock(&self.socket) {
            Some(mut socket) => self.carry_out(&mut socket),
            // The thread that holds it may have looked at the steps already.
            None => wake(&self.waker),
        }
    }

    fn carry_out(&self, socket: &mut WebSocket<Stream>) {
        loop {
            let Some(step) = lock(&self.steps).pop_front() else {
                break;
            };
            let result = match step {
                Step::Send(text) => socket.write(Message::text(&*text)),
                Step::Close(code, reason) => {
                    self.close_by(clock::now() + CLOSE_TIMEOUT);
                    socket.close(close_frame(code, reason))
                }
                Step::Drop => {
                    self.drop_connection(socket);
                    Ok(())
                }
            };
            if let Err(Error::WriteBufferFull(_)) = result {
                write_log!(
                    Warn,
                    "the test server drops a client that leaves {MAX_UNSENT} bytes unread"
                );
                self.drop_connection(socket);
            }
        }
        // The connection's own thread notices every failure.
        let _ = socket.flush();
    }

    fn drop_connection(&self, socket: &mut WebSocket<Stream>) {
        // What was sent before counts, if the client takes it.
        let _ = socket.flush();
        self.close_by(clock::now());
        socket.get_mut().link().shutdown(Shutdown::Both);
    }

    /// Wakes the connection's own thread, which does not know the deadline yet. The first one counts.
    fn close_by(&self, deadline: Instant) {
        let _ = self.closing.set(deadline);
        wake(&self.waker);
    }

    /// Waits for messages; an error is the end. Called by the connection's own thread only.
    pub(super) fn receive(
        &self,
        poller: &mut Poller,
        messages: &mut Vec<Message>,
    ) -> io::Result<()> {
        loop {
            self.read(messages)?;
            let deadline = self.closing.get().copied();
            if deadline.is_some() {
                // Nothing counts that comes after a close.
                messages.clear();
            }
            if deadline.is_some_and(|deadline| clock::now() >= deadline) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            if !messages.is_empty() {
                return Ok(());
            }
            poller.wait(deadline)?;
        }
    }

    /// Sends what is queued and reads what is there.
    fn read(&self, messages: &mut Vec<Message>) -> io::Result<()> {
        let mut socket = lock(&self.socket);
        self.carry_out(&mut socket);
        let end = loop {
            match socket.read() {
                Ok(message) => messages.push(message),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            if messages.len() >= MAX_MESSAGES {
                break None;
            }
        };
        // The responses to pings and closes.
        let _ = socket.flush();
        match end {
            // What came before the end counts; the next read finds the end again.
            Some(error) if messages.is_empty() => Err(io::Error::other(error)),
            _ => Ok(()),
        }
    }
}

fn close_frame(code: u16, mut reason: String) -> Option<CloseFrame> {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    (code != NO_CODE).then(|| CloseFrame { code: code.into(), reason: reason.into() })
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
