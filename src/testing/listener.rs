//! The server's threads: one that accepts connections on a port, and one for each connection.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::state::{Shared, State};
use crate::Interrupt;
use crate::util::guard::write_log;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Each takes a thread.
const MAX_CONNECTIONS: usize = 1024;

/// The pause after a failed `accept`, as when the process has no file descriptor left.
const RETRY: Duration = Duration::from_millis(50);

/// What is served on a port.
pub(super) struct Service {
    /// The name of the thread that accepts connections.
    pub(super) accepting: &'static str,
    /// The name of the threads of connections.
    pub(super) serving: &'static str,
    pub(super) serve: fn(&Shared, u64, TcpStream, &Interrupt),
}

pub(super) struct Listener {
    service: Service,
    socket: TcpListener,
    poll: Poll,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Starts the thread, and returns it with its waker. It ends, after the threads of its connections,
    /// when the state is stopping.
    pub(super) fn start(
        service: Service,
        socket: std::net::TcpListener,
        shared: Arc<Shared>,
    ) -> io::Result<(JoinHandle<()>, Waker)> {
        socket.set_nonblocking(true)?;
        let mut socket = TcpListener::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let name = service.accepting.to_owned();
        let mut listener = Self { service, socket, poll, shared, threads: Vec::new() };
        let thread = Builder::new().name(name).spawn(move || {
            if let Err(error) = listener.run() {
                write_log!(Error, "the test server has ended: {error}");
            }
            listener.shared.act(State::stop);
            for thread in listener.threads.drain(..) {
                // One that panicked has ended too.
                let _ = thread.join();
            }
        })?;
        Ok((thread, waker))
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(4);
        let mut timeout = None;
        loop {
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            if self.shared.read(|state| state.stopping) {
                return Ok(());
            }
            timeout = self.accept_all().then_some(RETRY);
        }
    }

    /// Returns `true` if it failed and must be tried again.
    fn accept_all(&mut self) -> bool {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => self.start_connection(stream.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The client was gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    write_log!(Warn, "the test server cannot accept a connection: {error}");
                    return true;
                }
            }
        }
    }

    fn start_connection(&mut self, stream: TcpStream) {
        self.threads.retain(|thread| !thread.is_finished());
        if self.threads.len() >= MAX_CONNECTIONS {
            write_log!(Warn, "the test server has {MAX_CONNECTIONS} connections and takes no more");
            return;
        }
        let interrupt = Interrupt::default();
        let Some(id) = self.shared.act(|state| state.begin(interrupt.clone())) else {
            return;
        };
        let (shared, serve) = (Arc::clone(&self.shared), self.service.serve);
        let thread = Builder::new().name(self.service.serving.to_owned()).spawn(move || {
            serve(&shared, id, stream, &interrupt);
            shared.act(|state| state.forget(id));
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                write_log!(Warn, "the test server cannot start a thread: {error}");
                self.shared.act(|state| state.forget(id));
            }
        }
    }
}
