//! The seam between the client and the bytes: a connection of one's own plugs in here, as the built-in
//! WebSocket does.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::Error;
use crate::util::sync::lock;
use crate::wire::batch::Inbox;

/// Opens connections: the built-in WebSocket, or one of your own (a Unix socket, a pipe, a test).
///
/// Pass it to [`ClientBuilder::connector`](crate::ClientBuilder::connector).
pub trait Connector: Send + Sync {
    /// Opens a connection to `url`.
    ///
    /// **Blocking**: it may block, on a thread of the client, but must return by `deadline`. It is called once
    /// at a time: until it returns nothing else is dialled, not by
    /// [`Client::reconnect`](crate::Client::reconnect) either, since nothing can make it return.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the client reports it and tries again by its [`Reconnect`](crate::Reconnect) policy.
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error>;

    /// As [`connect`](Self::connect), but gives up soon once it is interrupted.
    ///
    /// The client calls this one. The provided method cannot be interrupted: after `disconnect()` the
    /// client pays no heed to it any more, but [`Client::close`](crate::Client::close) waits for it.
    /// Override it if your dials can take long.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and when it was interrupted.
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

/// Tells a dial that it is not wanted any more.
///
/// See [`Connector::connect_interruptibly`]. All clones are one.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Interruption>);

#[derive(Default)]
struct Interruption {
    interrupted: AtomicBool,
    wake: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl Interrupt {
    /// Whether the dial is to be given up.
    pub fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }

    /// Has `wake` called when the dial is interrupted: now, if it is already. It replaces an earlier
    /// one, may be called from any thread, and must not block.
    pub fn on_interrupt(&self, wake: impl Fn() + Send + Sync + 'static) {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let earlier = lock(&self.0.wake).replace(Arc::clone(&wake));
        // With the lock released, since it may be the user's.
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
        // The flag first: whoever asks to be woken after this looks at it.
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

/// An open connection that carries text messages both ways.
///
/// Its methods are called from different threads at the same time. A panic of one costs that call: `send` and
/// `recv` count as failed then, which ends the connection, and the client goes on.
///
/// Where `send` or `close` is due by the clock, a thread `pusher-actions` is started to call it.
pub trait Connection: Send + Sync {
    /// Waits for the next message.
    ///
    /// **Blocking**: until a message or the end of the connection arrives, or [`close`](Self::close)
    /// is called. After [`Message::Close`] or an error it is not called again.
    ///
    /// # Errors
    ///
    /// The connection broke, ended without a close frame, or was closed from this side.
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

    /// As [`recv_many`](Self::recv_many), into the client's own buffers. Connections of one's own need not know it.
    #[doc(hidden)]
    fn recv_batch(&self, inbox: &mut Inbox) -> Result<(), Error> {
        inbox.messages(|messages| self.recv_many(messages))
    }

    /// Sends `text` as one message.
    ///
    /// **Blocking**: never waits for the peer. What cannot be written at once is kept and written later. If it
    /// blocks all the same, up to 4 MiB of further messages wait for it. The connection is given up when they
    /// are more, or after [`pong_timeout`](crate::ClientBuilder::pong_timeout).
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
    /// The peer closed the connection, with the code and the reason it gave; `None` if its close frame had
    /// no code. A connection that ends without a close frame is an `Err` of [`Connection::recv`].
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
