//! Waits for sockets and wake-ups: the only place where a dial, a connection, or one of the test server waits.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::memory::is_interrupted;
use crate::util::clock;
use crate::util::guard::write_log;

const WAKER: Token = Token(usize::MAX);

/// Waits for sockets and for a [`Waker`].
///
/// Readiness is reported once per change: read and write until `WouldBlock` before waiting.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, events: Events::with_capacity(16), waker })
    }

    pub(crate) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    pub(crate) fn register(&self, socket: &mut TcpStream, token: Token) -> io::Result<()> {
        self.poll.registry().register(socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Waits until a socket is ready, the waker is used, or `deadline` has passed.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
            match self.poll.poll(&mut self.events, left) {
                Err(error) if is_interrupted(&error) => {}
                result => return result,
            }
        }
    }

    /// Returns `true` if the last wait reported this socket.
    pub(crate) fn is_ready(&self, token: Token) -> bool {
        self.events.iter().any(|event| event.token() == token)
    }
}

/// Ends the current wait of the waker's poller, or the next one.
pub(crate) fn wake(waker: &Waker) {
    if let Err(error) = waker.wake() {
        write_log!(Debug, "waking a poller failed: {error}");
    }
}
