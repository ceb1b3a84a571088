//! The server's threads: one that accepts connections, and one for each connection.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::router;
use super::state::{Shared, State};
use crate::Interrupt;
use crate::transport::wake;
use crate::util::guard::write_log;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Each takes a thread.
const MAX_CONNECTIONS: usize = 1024;

/// The pause after a failed `accept`, as when the process has no file descriptor left.
const RETRY: Duration = Duration::from_millis(50);

pub(super) struct Listener {
    socket: TcpListener,
    poll: Poll,
    waker: Arc<Waker>,
    shared: Arc<Shared>,
    threads: HashMap<u64, JoinHandle<()>>,
    /// The threads that are about to end.
    ending: Receiver<u64>,
    end: Sender<u64>,
}

impl Listener {
    /// Starts the thread, and returns it with its waker. It ends, after the threads of its connections,
    /// when the state is stopping.
    pub(super) fn start(
        socket: std::net::TcpListener,
        shared: Arc<Shared>,
    ) -> io::Result<(JoinHandle<()>, Arc<Waker>)> {
        let mut listener = Self::new(socket, shared)?;
        let waker = Arc::clone(&listener.waker);
        let thread = Builder::new().name("testing-accept".to_owned()).spawn(move || {
            if let Err(error) = listener.run() {
                write_log!(Error, "the test server has ended: {error}");
            }
            listener.shared.act(State::stop);
            for (_, thread) in listener.threads.drain() {
                // One that panicked has ended too.
                let _ = thread.join();
            }
        })?;
        Ok((thread, waker))
    }

    fn new(socket: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let mut socket = TcpListener::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (end, ending) = crossbeam_channel::unbounded();
        Ok(Self { socket, poll, waker, shared, threads: HashMap::new(), ending, end })
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
            self.join_ended();
            timeout = self.accept_all().then_some(RETRY);
        }
    }

    fn join_ended(&mut self) {
        for id in self.ending.try_iter() {
            if let Some(thread) = self.threads.remove(&id) {
                // One that panicked has ended too.
                let _ = thread.join();
            }
        }
    }

    /// Returns `true` if it failed and must be tried again. Ends when the server stops, even if clients never cease to
    /// connect.
    fn accept_all(&mut self) -> bool {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => {
                    if !self.start_connection(stream.into()) {
                        return false;
                    }
                }
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

    /// Returns `false` if the server stops.
    fn start_connection(&mut self, stream: TcpStream) -> bool {
        self.join_ended();
        if self.threads.len() >= MAX_CONNECTIONS {
            write_log!(Warn, "the test server has {MAX_CONNECTIONS} connections and takes no more");
            return !self.shared.read(|state| state.stopping);
        }
        let interrupt = Interrupt::default();
        let Some(id) = self.shared.act(|state| state.begin(interrupt.clone())) else {
            return false;
        };
        let shared = Arc::clone(&self.shared);
        let end = End {
            shared: Arc::clone(&shared),
            id,
            end: self.end.clone(),
            waker: Arc::clone(&self.waker),
        };
        let thread = Builder::new().name("testing-conn".to_owned()).spawn(move || {
            let _end = end;
            router::serve(&shared, id, stream, &interrupt);
        });
        match thread {
            Ok(thread) => {
                self.threads.insert(id, thread);
            }
            // The closure was dropped, and the end with it.
            Err(error) => write_log!(Warn, "the test server cannot start a thread: {error}"),
        }
        true
    }
}

/// What happens at the end of a connection's thread, after a panic too.
struct End {
    shared: Arc<Shared>,
    id: u64,
    end: Sender<u64>,
    waker: Arc<Waker>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.act(|state| state.forget(self.id));
        // The listener is gone only after it has joined all threads.
        let _ = self.end.send(self.id);
        wake(&self.waker);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use super::*;
    use crate::testing::Settings;
    use crate::util::testing::{LONG, listen};

    #[test]
    fn thread_of_a_connection_is_joined_when_the_connection_ends() {
        let (socket, address) = listen();
        let shared = Arc::new(Shared::new(Settings::default()).unwrap());
        let mut listener = Listener::new(socket, shared).unwrap();
        let mut events = Events::with_capacity(4);
        let client = TcpStream::connect_timeout(&address, LONG).unwrap();
        listener.poll.poll(&mut events, Some(LONG)).unwrap();
        listener.accept_all();
        assert_eq!(listener.threads.len(), 1);
        client.shutdown(Shutdown::Both).unwrap();
        // The end of the connection wakes the listener, which has no other reason to wake.
        listener.poll.poll(&mut events, Some(LONG)).unwrap();
        assert!(!events.is_empty());
        listener.join_ended();
        assert!(listener.threads.is_empty());
    }

    #[test]
    fn nothing_is_accepted_once_the_server_stops() {
        let (socket, address) = listen();
        let shared = Arc::new(Shared::new(Settings::default()).unwrap());
        let mut listener = Listener::new(socket, Arc::clone(&shared)).unwrap();
        shared.act(State::stop);
        let connect = || TcpStream::connect_timeout(&address, LONG).unwrap();
        let _clients = [connect(), connect()];
        listener.accept_all();
        listener.socket.accept().unwrap();
    }
}
