//! The interface between the client and its transport: the built-in WebSocket, or one of the user's.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::Error;
use crate::util::sync::lock;
use crate::wire::batch::Inbox;

/// Opens connections. Implement it for a transport of your own (a Unix socket, a pipe, a test).
///
/// Pass it to [`ClientBuilder::connector`](crate::ClientBuilder::connector).
pub trait Connector: Send + Sync {
    /// Opens a connection to `url`.
    ///
    /// # Blocking
    ///
    /// It may block, on a thread of the client, but must return by `deadline`. Calls do not overlap: until one returns,
    /// nothing else is dialed, not even by [`Client::reconnect`](crate::Client::reconnect).
    ///
    /// # Errors
    ///
    /// Any error. The client reports it and tries again by its [`Reconnect`](crate::Reconnect) policy.
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error>;

    /// Opens a connection like [`connect`](Self::connect), but returns soon after an interrupt.
    ///
    /// The client calls this method. The provided one cannot be interrupted: after `disconnect()` the client
    /// ignores its result, but [`Client::close`](crate::Client::close) waits for it. Override it if your dials
    /// can take long.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), and one for an interrupt.
    fn connect_interruptibly(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        let _ = interrupt;
        self.connect(url, deadline)
    }
}

/// Interrupts a dial. See [`Connector::connect_interruptibly`]. All clones share one state.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Interruption>);

#[derive(Default)]
struct Interruption {
    interrupted: AtomicBool,
    wake: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl Interrupt {
    /// Returns `true` if the dial was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }

    /// Sets the function that is called when the dial is interrupted, and calls it now if it already was.
    ///
    /// It replaces an earlier one, may be called from any thread, and must not block.
    pub fn on_interrupt(&self, wake: impl Fn() + Send + Sync + 'static) {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let earlier = lock(&self.0.wake).replace(Arc::clone(&wake));
        // Without the lock, since the destructor may be the user's.
        drop(earlier);
        if self.is_interrupted() {
            wake();
        }
    }

    /// Interrupts the dial: calls the function given to [`on_interrupt`](Self::on_interrupt). The client
    /// does so; call it to test a connector of your own.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::Interrupt;
    /// use std::sync::mpsc;
    ///
    /// let (interrupt, (wake, woken)) = (Interrupt::default(), mpsc::channel());
    /// interrupt.on_interrupt(move || _ = wake.send(()));
    /// interrupt.clone().interrupt();
    /// assert!(interrupt.is_interrupted());
    /// assert_eq!(woken.try_recv(), Ok(()));
    /// ```
    pub fn interrupt(&self) {
        // The flag first: `on_interrupt` looks at it last.
        self.0.interrupted.store(true, Ordering::SeqCst);
        let wake = lock(&self.0.wake).clone();
        if let Some(wake) = wake {
            wake();
        }
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("interrupted", &self.is_interrupted())
            .finish_non_exhaustive()
    }
}

/// An open connection, which sends and receives text messages.
///
/// Its methods are called from several threads at the same time. If `send` or `recv` panics, the call counts as
/// failed, which ends the connection; the client goes on.
///
/// A `send` or `close` that a deadline causes is called on a thread of its own, `pusher-actions`.
pub trait Connection: Send + Sync {
    /// Waits for the next message.
    ///
    /// # Blocking
    ///
    /// Blocks until a message arrives, the connection ends, or [`close`](Self::close) is called. After
    /// [`Message::Close`] or an error it is not called again.
    ///
    /// # Errors
    ///
    /// The connection failed, ended without a close frame, or was closed by this side.
    fn recv(&self) -> Result<Message, Error>;

    /// Waits like [`recv`](Self::recv), and returns all messages that have arrived.
    ///
    /// The client calls this method. The provided one returns one message; override it if your transport
    /// receives many at once.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), if nothing was added to `messages`.
    fn recv_many(&self, messages: &mut Vec<Message>) -> Result<(), Error> {
        messages.push(self.recv()?);
        Ok(())
    }

    /// Like [`recv_many`](Self::recv_many), into the client's own buffers. For the built-in WebSocket.
    #[doc(hidden)]
    fn recv_batch(&self, inbox: &mut Inbox) -> Result<(), Error> {
        inbox.messages(|messages| self.recv_many(messages))
    }

    /// Sends `text` as one message.
    ///
    /// # Blocking
    ///
    /// It must not wait for the peer: what cannot be written at once is kept and written later. If it blocks
    /// nevertheless, up to 4 MiB of further messages are queued. The connection is given up when there are more, or
    /// after [`pong_timeout`](crate::ClientBuilder::pong_timeout).
    ///
    /// # Errors
    ///
    /// The connection has ended, or the peer has left so much unread that no more can be kept.
    fn send(&self, text: &str) -> Result<(), Error>;

    /// Closes the connection with a WebSocket close code, and makes a waiting [`recv`](Self::recv) return soon.
    ///
    /// It must not block. Calling it again does nothing.
    fn close(&self, code: u16);
}

/// What a [`Connection`] receives.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message: one frame of the Pusher protocol.
    Text(String),
    /// The peer closed the connection, with this code and reason; `None` if its close frame had no code. If a
    /// connection ends without a close frame, [`Connection::recv`] returns an error.
    Close(Option<u16>, String),
}

impl<C: Connector + ?Sized> Connector for Arc<C> {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        (**self).connect(url, deadline)
    }

    fn connect_interruptibly(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        (**self).connect_interruptibly(url, deadline, interrupt)
    }
}
