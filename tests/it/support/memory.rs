//! Connections in memory.

use std::sync::Mutex;
use std::time::Instant;

use pusher_channels::crossbeam_channel::{Receiver, Sender, unbounded};
use pusher_channels::{Connection, Connector, Error, ErrorKind, Message};

use super::now;

pub(crate) const ESTABLISHED: &str =
    r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"9.9\"}"}"#;

pub(crate) fn text(frame: &str) -> Message {
    Message::Text(frame.to_owned())
}

/// The peer of a connection in memory.
pub(crate) struct MemoryPeer {
    pub(crate) to_client: Sender<Message>,
    pub(crate) from_client: Receiver<String>,
}

struct InMemory {
    incoming: Mutex<Option<Sender<Message>>>,
    received: Receiver<Message>,
    sent: Sender<String>,
}

/// Sends the peer of each connection to the test.
pub(crate) struct MemoryConnector(pub(crate) Sender<MemoryPeer>);

impl Connector for MemoryConnector {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        assert!(url.starts_with("ws://memory/"), "{url}");
        assert!(deadline > now());
        let (to_client, received) = unbounded();
        let (sent, from_client) = unbounded();
        let incoming = Mutex::new(Some(to_client.clone()));
        self.0
            .send(MemoryPeer { to_client, from_client })
            .map_err(|_| Error::new(ErrorKind::Io, "the peer is gone"))?;
        Ok(Box::new(InMemory { incoming, received, sent }))
    }
}

impl Connection for InMemory {
    fn recv(&self) -> Result<Message, Error> {
        recv(&self.received)
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        self.sent.send(text.to_owned()).map_err(|_| Error::new(ErrorKind::Io, "the reader is gone"))
    }

    fn close(&self, code: u16) {
        let sender = self.incoming.lock().unwrap().take();
        if let Some(sender) = sender {
            let _ = sender.send(Message::Close(Some(code), String::new()));
        }
    }
}

fn recv(received: &Receiver<Message>) -> Result<Message, Error> {
    received.recv().map_err(|_| Error::new(ErrorKind::Closed, "closed"))
}

/// A connection without a peer: it is established, receives nothing more, and confirms the close.
pub(crate) struct Loopback {
    to_self: Sender<Message>,
    received: Receiver<Message>,
}

impl Loopback {
    pub(crate) fn established() -> Self {
        let (to_self, received) = unbounded();
        to_self.send(text(ESTABLISHED)).unwrap();
        Self { to_self, received }
    }

    pub(crate) fn recv(&self) -> Result<Message, Error> {
        recv(&self.received)
    }

    pub(crate) fn close(&self, code: u16) {
        let _ = self.to_self.send(Message::Close(Some(code), String::new()));
    }
}
