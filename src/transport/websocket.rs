//! An open WebSocket: one reader, many senders, and neither waits for the other.
//!
//! The reader reads raw bytes without holding a lock, then takes the session's lock to decode them.
//! A sender queues its message and sends it itself if the session is free; if not, it wakes the reader,
//! who sends what is queued on every round.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;

use super::frames::Codec;
use super::memory::{ReadBuffer, is_interrupted, would_block};
use super::poller::{Poller, wake};
use super::session::{Outgoing, Session};
use crate::util::clock;
use crate::util::guard::write_log;
use crate::util::sync::lock;
use crate::wire::batch::Inbox;
use crate::{Connection, Error, ErrorKind, Message};

/// How many bytes may be queued.
const MAX_UNSENT: usize = 4 * 1024 * 1024;

/// How many more bytes may be queued in reply to the peer's pings.
const MAX_REPLIES: usize = 256 * 1024;

/// The size of a message beside its text: the string, the frame's header, a TLS record.
const OVERHEAD: usize = 64;

/// How many reads in a row may make one batch: consumers are woken for each batch.
const MAX_READS: usize = 4;

/// How long a close waits for the peer's confirmation.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// An open WebSocket. Dropping it drops the TCP connection.
pub(crate) struct WebSocket {
    socket: TcpStream,
    waker: Arc<Waker>,
    /// Only `recv` and its like lock it, and hold it while they wait.
    reader: Mutex<Reader>,
    /// Never held while waiting.
    session: Mutex<Session>,
    queue: Mutex<Queue>,
    /// Once this side closes: until when the peer may confirm.
    closing: OnceLock<Instant>,
}

struct Reader {
    poller: Poller,
    buffer: ReadBuffer,
    /// What was received and not returned.
    ready: Inbox,
    /// The same, for those who take messages one by one.
    messages: VecDeque<Message>,
    /// Returned once both are empty.
    end: Option<Error>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Outgoing>,
    /// The bytes that the frames take.
    queued: usize,
    /// The bytes that the session has not sent yet.
    encoded: usize,
    /// Why nothing more is accepted.
    end: Option<Error>,
}

impl Queue {
    fn push(&mut self, text: &str) -> Result<(), Error> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        let size = text.len().saturating_add(OVERHEAD);
        let unsent = self.queued + self.encoded;
        if unsent.saturating_add(size) > MAX_UNSENT {
            let message = format!(
                "the peer does not read: {unsent} bytes wait to be sent, and with this message of {} \
                 bytes they would be more than {MAX_UNSENT}",
                text.len()
            );
            return Err(Error::message(ErrorKind::TooLarge, message));
        }
        self.queued += size;
        self.frames.push_back(Outgoing::Text(text.to_owned()));
        Ok(())
    }
}

impl WebSocket {
    /// A connection whose handshakes are done.
    pub(super) fn new(poller: Poller, socket: TcpStream, codec: Codec) -> Self {
        let mut session = Session::new(codec);
        let (mut buffer, mut ready) = (session.take_early(), Inbox::default());
        // What came together with the end of the handshake is not announced again.
        let end = session.decode(&mut buffer, &mut ready).err();
        session.send(&socket);
        let queue = Queue { end: end.clone(), ..Queue::default() };
        Self {
            socket,
            waker: Arc::clone(poller.waker()),
            reader: Mutex::new(Reader { poller, buffer, ready, messages: VecDeque::new(), end }),
            session: Mutex::new(session),
            queue: Mutex::new(queue),
            closing: OnceLock::new(),
        }
    }

    /// Makes `ready` or `messages` hold something, or returns the end.
    fn fill(&self, reader: &mut Reader) -> Result<(), Error> {
        loop {
            if let Some(deadline) = self.closing.get() {
                reader.ready.clear();
                reader.messages.clear();
                if reader.end.is_some() || clock::now() >= *deadline {
                    reader.end = Some(closed_here());
                    return Err(closed_here());
                }
            }
            if !reader.ready.is_empty() || !reader.messages.is_empty() {
                return Ok(());
            }
            if let Some(end) = reader.end.take() {
                reader.end = Some(Error::message(ErrorKind::Closed, "the connection has ended"));
                return Err(end);
            }
            let mut reads = 1;
            while self.advance(reader) && reads < MAX_READS {
                reads += 1;
            }
        }
    }

    /// One round: reads once, decodes all of it, sends what can be sent, and waits if there is nothing to return.
    /// Returns `true` if there seems to be more to read.
    fn advance(&self, reader: &mut Reader) -> bool {
        let read = reader.buffer.fill(&mut &self.socket);
        let mut session = lock(&self.session);
        let result = match &read {
            Ok(0) => {
                session.end();
                session.decode(&mut reader.buffer, &mut reader.ready)
            }
            Ok(_) => session.decode(&mut reader.buffer, &mut reader.ready),
            Err(error) if would_block(error) || is_interrupted(error) => Ok(()),
            Err(_) => Err(Error::message(ErrorKind::Io, "reading from the peer failed")),
        };
        self.send_queued(&mut session);
        let unsent = session.unsent();
        let broken = session.broken();
        drop(session);

        let idle = matches!(&read, Err(error) if would_block(error));
        let filled = read.is_ok() && reader.buffer.is_full();
        reader.end = match (result, read, broken) {
            (Err(end), Err(cause), _) => Some(end.caused_by(cause)),
            (Err(end), Ok(_), _) => Some(end),
            // What the peer had sent before it went is still read.
            (Ok(()), _, Some(broken)) if idle => Some(broken),
            _ if unsent > MAX_UNSENT + MAX_REPLIES => Some(Error::message(
                ErrorKind::TooLarge,
                "the peer does not read: pongs cannot be sent",
            )),
            _ if idle && reader.ready.is_empty() => self.wait(reader).err(),
            _ => None,
        };
        if let Some(end) = &reader.end {
            lock(&self.queue).end.get_or_insert_with(|| end.clone());
        }
        filled && reader.end.is_none()
    }

    fn wait(&self, reader: &mut Reader) -> Result<(), Error> {
        let now = clock::now();
        reader.buffer.settle(now);
        lock(&self.session).settle(now);
        reader.poller.wait(self.closing.get().copied()).map_err(|error| {
            Error::message(ErrorKind::Io, "waiting for the peer failed").caused_by(error)
        })
    }

    /// Sends what is queued, as far as the system takes it without waiting.
    fn send_queued(&self, session: &mut Session) {
        {
            let mut queue = lock(&self.queue);
            mem::swap(&mut queue.frames, &mut session.batch);
            queue.encoded += mem::take(&mut queue.queued);
        }
        session.send(&self.socket);
        lock(&self.queue).encoded = session.unsent();
    }

    /// Sends what is queued, or has the reader do it. Never waits.
    fn push_out(&self) -> Result<(), Error> {
        let Some(mut session) = try_lock(&self.session) else {
            // The thread that holds it may have looked at the queue already.
            wake(&self.waker);
            return Ok(());
        };
        self.send_queued(&mut session);
        let broken = session.broken();
        drop(session);
        match broken {
            None => Ok(()),
            Some(error) => {
                wake(&self.waker);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
impl WebSocket {
    /// Returns the memory that is kept to read with. Blocks while a thread receives.
    pub(super) fn room(&self) -> usize {
        lock(&self.reader).buffer.room() + lock(&self.session).room()
    }
}

impl Connection for WebSocket {
    fn recv(&self) -> Result<Message, Error> {
        let mut reader = lock(&self.reader);
        self.fill(&mut reader)?;
        let Reader { ready, messages, .. } = &mut *reader;
        ready.drain(messages);
        messages.pop_front().ok_or_else(closed_here)
    }

    fn recv_many(&self, messages: &mut Vec<Message>) -> Result<(), Error> {
        let mut reader = lock(&self.reader);
        self.fill(&mut reader)?;
        messages.extend(reader.messages.drain(..));
        reader.ready.drain(messages);
        Ok(())
    }

    fn recv_batch(&self, inbox: &mut Inbox) -> Result<(), Error> {
        let mut reader = lock(&self.reader);
        // Into the buffers of the caller's, which has more use for them. Only what came with the handshake, or was
        // left by `recv`, is here before.
        if reader.ready.is_empty() {
            mem::swap(&mut reader.ready, inbox);
        }
        let filled = self.fill(&mut reader);
        mem::swap(&mut reader.ready, inbox);
        filled?;
        reader.messages.drain(..).for_each(|message| inbox.message(message));
        Ok(())
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        lock(&self.queue).push(text)?;
        self.push_out()
    }

    fn close(&self, code: u16) {
        if self.closing.set(clock::now() + CLOSE_TIMEOUT).is_err() {
            return;
        }
        {
            let mut queue = lock(&self.queue);
            queue.end.get_or_insert_with(closed_here);
            queue.frames.push_back(Outgoing::Close(code));
        }
        if let Err(error) = self.push_out() {
            write_log!(Debug, "sending the close failed: {error}");
        }
        // Even if it was sent: the reader does not know yet that there is a deadline.
        wake(&self.waker);
    }
}

fn closed_here() -> Error {
    Error::message(ErrorKind::Closed, "the connection was closed from this side")
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tests::{LONG, open, peer, recv, spawn, text};

    #[test]
    fn sender_that_finds_the_session_locked_leaves_sending_to_the_reader() {
        let (address, peer) = peer(|mut server| {
            server.send("hello".into()).unwrap();
            server.read().unwrap()
        });
        let socket = open(address);
        assert_eq!(recv(&socket).unwrap(), text("hello"));
        let reader = Arc::clone(&socket);
        let receiving = spawn(move || reader.recv());
        // Only time shows that the reader has begun to wait.
        assert!(receiving.recv_timeout(Duration::from_millis(100)).is_err());
        let session = lock(&socket.session);
        socket.send("later").unwrap();
        drop(session);
        assert_eq!(peer.recv_timeout(LONG).unwrap().into_text().unwrap(), "later");
    }
}
