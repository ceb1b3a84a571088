//! The socket of a client's connection. Its waits end at a deadline, and when the server stops.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use mio::Token;
use mio::net::TcpStream;

use crate::Interrupt;
use crate::transport::{Poller, wake};
use crate::util::clock;

/// Reads and writes wait as long as there is a [`Wait`]; later they return `WouldBlock`.
pub(super) struct Link {
    socket: TcpStream,
    wait: Option<Wait>,
}

struct Wait {
    poller: Poller,
    deadline: Instant,
    interrupt: Interrupt,
}

impl Link {
    pub(super) fn new(
        socket: std::net::TcpStream,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let mut socket = TcpStream::from_std(socket);
        let poller = Poller::new()?;
        poller.register(&mut socket, Token(0))?;
        let waker = std::sync::Arc::clone(poller.waker());
        interrupt.on_interrupt(move || wake(&waker));
        let wait = Wait { poller, deadline, interrupt: interrupt.clone() };
        Ok(Self { socket, wait: Some(wait) })
    }

    /// Sets until when reads and writes wait.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        if let Some(wait) = &mut self.wait {
            wait.deadline = deadline;
        }
    }

    /// Ends the waiting. Returns what waits for the socket from now on; the interrupt wakes it.
    pub(super) fn stop_waiting(&mut self) -> Option<Poller> {
        self.wait.take().map(|wait| wait.poller)
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        // The client may be gone, which is as good.
        let _ = self.socket.shutdown(how);
    }

    fn repeat<T>(
        &mut self,
        mut step: impl FnMut(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            // Before each step, since a client that sends byte by byte never makes one wait.
            if let Some(wait) = &self.wait {
                wait.check()?;
            }
            match (step(&mut self.socket), &mut self.wait) {
                (Err(error), _) if error.kind() == ErrorKind::Interrupted => {}
                (Err(error), Some(wait)) if error.kind() == ErrorKind::WouldBlock => {
                    wait.poller.wait(Some(wait.deadline))?;
                }
                (result, _) => return result,
            }
        }
    }
}

impl Wait {
    fn check(&self) -> io::Result<()> {
        if self.interrupt.is_interrupted() {
            return Err(io::Error::other("the server is stopping"));
        }
        if clock::now() >= self.deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.repeat(|socket| socket.read(buffer))
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.repeat(|socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
