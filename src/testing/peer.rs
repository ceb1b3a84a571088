//! The sending side of a client's connection, for all threads of the server.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex};

use crate::transport::WebSocket;
use crate::util::guard::write_log;
use crate::util::sync::lock;
use crate::{Connection, Error, ErrorKind, Message};

/// An action on a connection.
pub(super) enum Step {
    Send(Arc<str>),
    Close(u16, String),
    /// Ends the TCP connection.
    Drop,
}

/// Steps are queued under the server's lock, which orders them, and carried out without it.
pub(super) struct Peer {
    socket: WebSocket,
    steps: Mutex<VecDeque<Step>>,
    /// Held while steps are carried out, which keeps their order.
    taking: Mutex<()>,
}

impl Peer {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket, steps: Mutex::default(), taking: Mutex::default() }
    }

    pub(super) fn queue(&self, step: Step) {
        lock(&self.steps).push_back(step);
    }

    /// Carries out the queued steps. Never waits for the client.
    pub(super) fn take_steps(&self) {
        let _taking = lock(&self.taking);
        let steps = mem::take(&mut *lock(&self.steps));
        for step in steps {
            match step {
                Step::Send(text) => {
                    if let Err(error) = self.socket.send(&text) {
                        self.not_sent(&error);
                    }
                }
                Step::Close(code, reason) => self.socket.close_with(code, &reason),
                Step::Drop => self.socket.abort(),
            }
        }
    }

    /// Drops a client that does not read. The connection's own thread notices every other failure.
    fn not_sent(&self, error: &Error) {
        if error.kind() == ErrorKind::TooLarge {
            write_log!(Warn, "the test server drops a client: {error}");
            self.socket.abort();
        }
    }

    /// Waits for messages. Called by the connection's own thread only.
    pub(super) fn receive(&self, messages: &mut Vec<Message>) -> Result<(), Error> {
        self.socket.recv_many(messages)
    }
}
