//! The server's threads: one that accepts, and one for each connection.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::http::percent_decode;
use super::peer::Peer;
use super::state::Shared;
use crate::Interrupt;
use crate::Message;
use crate::transport::accept;
use crate::util::clock;
use crate::util::guard::write_log;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Each takes a thread.
const MAX_CONNECTIONS: usize = 1024;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// When the system has no socket to give, it is asked again after this long.
const RETRY: Duration = Duration::from_millis(50);

/// What a port is for.
pub(super) struct Service {
    /// The thread that accepts.
    pub(super) accepting: &'static str,
    /// Those of the connections.
    pub(super) serving: &'static str,
    pub(super) serve: fn(&Shared, u64, TcpStream, &Interrupt),
}

pub(super) const WEBSOCKETS: Service =
    Service { accepting: "testing-accept", serving: "testing-conn", serve };

pub(super) struct Listener {
    service: Service,
    socket: TcpListener,
    poll: Poll,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Listener {
    /// The thread, and what wakes it. It ends, after those of its connections, when the state is
    /// stopping.
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
            listener.shared.act(super::state::State::stop);
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
            if self.shared.read(|state| state.is_stopping()) {
                return Ok(());
            }
            timeout = self.accept_all().then_some(RETRY);
        }
    }

    /// Tells whether to try again later.
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

/// A connection from its handshake to its end.
fn serve(shared: &Shared, id: u64, stream: TcpStream, interrupt: &Interrupt) {
    let mut right_key = false;
    let deadline = clock::now() + HANDSHAKE_TIMEOUT;
    let socket = accept(stream, deadline, interrupt, |path| {
        if !shared.act(|state| state.dialled()) {
            return Err(503);
        }
        let key = app_key(path).ok_or(404_u16)?;
        right_key = key == shared.settings.key.as_bytes();
        Ok(())
    });
    let peer = match socket {
        Ok(socket) => Arc::new(Peer::new(socket)),
        Err(error) => return write_log!(Debug, "the test server: {error}"),
    };
    if !shared.act(|state| state.open(id, Arc::clone(&peer), right_key)) {
        return;
    }
    let mut messages = Vec::new();
    while peer.receive(&mut messages).is_ok() {
        // Nothing comes after a close.
        let closed = shared.act(|state| {
            messages.drain(..).any(|message| match message {
                Message::Text(text) => {
                    state.receive(id, &text);
                    false
                }
                Message::Close(..) => true,
            })
        });
        if closed {
            return;
        }
    }
}

/// The key in a path such as `/app/KEY?protocol=7`.
fn app_key(path: &str) -> Option<Vec<u8>> {
    let path = path.split('?').next().unwrap_or_default();
    let key = path.strip_prefix("/app/")?;
    (!key.contains('/')).then(|| percent_decode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_in_the_path() {
        let key = |path| app_key(path).map(|key| String::from_utf8(key).unwrap());
        assert_eq!(key("/app/k?protocol=7").as_deref(), Some("k"));
        assert_eq!(key("/app/k%2Fe%3fy%").as_deref(), Some("k/e?y%"));
        assert_eq!(key("/app/%zz").as_deref(), Some("%zz"));
        assert_eq!(key("/app/k/x"), None);
        assert_eq!(key("/apps/k"), None);
    }
}
