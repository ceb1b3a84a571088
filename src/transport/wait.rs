//! The one way to wait, for a dial and for the connection that it becomes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::memory::{Memory, is_interrupted, would_block};
use crate::util::clock;
use crate::util::guard::write_log;
use crate::{Error, ErrorKind, Interrupt, Timeout};

const WAKER: Token = Token(usize::MAX);

/// Waits for sockets and for a [`Waker`].
///
/// Readiness is told once per change: read and write until `WouldBlock` before waiting.
pub(super) struct Wait {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

impl Wait {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, events: Events::with_capacity(16), waker })
    }

    pub(super) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    pub(super) fn register(&self, socket: &mut TcpStream, token: Token) -> io::Result<()> {
        self.poll.registry().register(socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Waits until a socket is ready, the waker was used, or `until` has passed.
    pub(super) fn until(&mut self, until: Option<Instant>) -> io::Result<()> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(clock::now()));
            match self.poll.poll(&mut self.events, left) {
                Err(error) if is_interrupted(&error) => {}
                result => return result,
            }
        }
    }

    /// Whether the last wait found something about this socket.
    pub(super) fn is_ready(&self, token: Token) -> bool {
        self.events.iter().any(|event| event.token() == token)
    }
}

/// A connection in the making: what it is doing, and until when it may.
pub(super) struct Dial {
    pub(super) wait: Wait,
    deadline: Instant,
    interrupt: Interrupt,
    step: String,
}

impl Dial {
    pub(super) fn new(deadline: Instant, interrupt: &Interrupt) -> Result<Self, Error> {
        let wait = Wait::new().map_err(|error| {
            Error::message(ErrorKind::Io, "the system gives no means to wait on a socket")
                .caused_by(error)
        })?;
        // Weak, so that it keeps no wait alive that is over.
        let waker = Arc::downgrade(wait.waker());
        interrupt.on_interrupt(move || {
            if let Some(Err(error)) = waker.upgrade().map(|waker| waker.wake()) {
                write_log!(Debug, "a dial could not be woken: {error}");
            }
        });
        Ok(Self { wait, deadline, interrupt: interrupt.clone(), step: String::new() })
    }

    /// Begins a step; its name is what the errors tell.
    pub(super) fn begin(&mut self, step: String) -> Result<(), Error> {
        self.step = step;
        self.check()
    }

    /// Another deadline for what is left to do.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Waits until something happens, at most until `until` if it is before the deadline.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> Result<(), Error> {
        self.check()?;
        let until = until.map_or(self.deadline, |until| until.min(self.deadline));
        self.wait
            .until(Some(until))
            .map_err(|error| self.failed(ErrorKind::Io).caused_by(error))?;
        self.check()
    }

    /// Fails once the dial was interrupted or its deadline has passed.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.interrupt.is_interrupted() {
            let message = format!("{}: interrupted by disconnect", self.step);
            return Err(Error::message(ErrorKind::Closed, message));
        }
        if clock::now() >= self.deadline {
            return Err(Error::timed_out(Timeout::Connect, format!("{} timed out", self.step)));
        }
        Ok(())
    }

    pub(super) fn failed(&self, kind: ErrorKind) -> Error {
        Error::message(kind, format!("{} failed", self.step))
    }

    pub(super) fn failed_because(&self, kind: ErrorKind, why: &str) -> Error {
        Error::message(kind, format!("{} failed: {why}", self.step))
    }

    /// The failure of a socket, which may be the system's own time-out.
    pub(super) fn broken(&self, detail: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Io,
        };
        Error::message(kind, format!("{} failed{detail}", self.step))
            .with_timeout(Timeout::Connect)
            .caused_by(error)
    }
}

/// A connected socket during the handshakes, which themselves run over [`Memory`].
pub(super) struct Line {
    pub(super) dial: Dial,
    pub(super) socket: TcpStream,
    eof: bool,
    /// Something has come in.
    heard: bool,
}

impl Line {
    pub(super) fn new(dial: Dial, socket: TcpStream) -> Self {
        Self { dial, socket, eof: false, heard: false }
    }

    /// Sends what is in `memory`, then waits for something to come in or for the peer to close.
    pub(super) fn exchange(&mut self, memory: &mut Memory) -> Result<(), Error> {
        self.exchange_until(memory, None)
    }

    /// As [`exchange`](Self::exchange), but `until` may pass with nothing, too.
    pub(super) fn exchange_until(
        &mut self,
        memory: &mut Memory,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        self.dial.check()?;
        loop {
            self.send(memory)?;
            match memory.fill(&mut &self.socket) {
                Ok(0) => {
                    self.eof = true;
                    memory.end();
                    return Ok(());
                }
                Ok(_) => {
                    self.heard = true;
                    return Ok(());
                }
                Err(error) if would_block(&error) => {
                    if until.is_some_and(|until| clock::now() >= until) {
                        return Ok(());
                    }
                    self.dial.wait(until)?;
                }
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(self.dial.broken("", error)),
            }
        }
    }

    /// Sends what the system takes of it without waiting.
    pub(super) fn send(&self, memory: &mut Memory) -> Result<(), Error> {
        memory.write_to(&self.socket).map_err(|error| self.dial.broken("", error))
    }

    /// The error of a handshake that failed in a library: if the peer has hung up, that is the news.
    pub(super) fn refused(&self, kind: ErrorKind) -> Error {
        if self.eof {
            let closed = self.dial.failed_because(ErrorKind::Io, "the peer closed the connection");
            // The library below only says that its handshake is not complete.
            return closed.explained();
        }
        self.dial.failed(kind)
    }

    /// Forgets what the peer has said so far, for [`is_silent`](Self::is_silent).
    pub(super) fn listen(&mut self) {
        self.heard = false;
    }

    /// Returns `true` if nothing has come in since [`listen`](Self::listen).
    pub(super) fn is_silent(&self) -> bool {
        !self.heard
    }

    pub(super) fn into_parts(self) -> (Wait, TcpStream) {
        (self.dial.wait, self.socket)
    }
}
