//! The seam between the client and the bytes: a connection of one's own plugs in here.

use std::sync::Arc;
use std::time::Instant;

use crate::Error;

/// Opens connections: the built-in WebSocket, or one of your own (a Unix socket, a pipe, a test).
///
/// Pass it to [`ClientBuilder::connector`](crate::ClientBuilder::connector).
pub trait Connector: Send + Sync {
    /// Opens a connection to `url`.
    ///
    /// **Blocking**: it may block, on a thread of the client, but must return by `deadline`: nothing
    /// can interrupt it before.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the client reports it and tries again by its [`Reconnect`](crate::Reconnect) policy.
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error>;
}

/// An open connection that carries text messages both ways.
///
/// Its methods are called from different threads at the same time.
pub trait Connection: Send + Sync {
    /// Waits for the next message.
    ///
    /// **Blocking**: until a message or the end of the connection arrives, or [`close`](Self::close)
    /// is called. After [`Message::Close`] or an error it is not called again.
    ///
    /// # Errors
    ///
    /// The connection broke, or was closed from this side.
    fn recv(&self) -> Result<Message, Error>;

    /// Waits as [`recv`](Self::recv) does, and takes what else is already here.
    ///
    /// The client calls this one. The provided method takes one message; override it if your
    /// transport reads many at once.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); only when nothing was added to `messages`.
    fn recv_many(&self, messages: &mut Vec<Message>) -> Result<(), Error> {
        messages.push(self.recv()?);
        Ok(())
    }

    /// Sends `text` as one message.
    ///
    /// **Blocking**: never waits for the peer. What cannot be written at once is kept and written later.
    ///
    /// # Errors
    ///
    /// The connection is gone, or the peer has left so much unread that no more can be kept.
    fn send(&self, text: &str) -> Result<(), Error>;

    /// Ends the connection with a WebSocket close code, and makes a waiting [`recv`](Self::recv) return soon.
    ///
    /// **Blocking**: never. Calling it again does nothing.
    fn close(&self, code: u16);
}

/// What a [`Connection`] receives.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message: one frame of the Pusher protocol.
    Text(String),
    /// The peer closed the connection, with the code and the reason it gave.
    Close(Option<u16>, String),
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        (**self).connect(url, deadline)
    }
}
