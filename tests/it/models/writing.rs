//! How frames get from their senders to the socket: `src/transport/websocket.rs`.
//!
//! A sender of two frames; one that closes; the reader; and a peer that makes room in the socket.

use super::{Model, check};

/// Which line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    None,
    /// `self.wake()` in `push_out`, where the session is taken.
    NoWake,
    /// `self.send_queued(&mut session)` in `advance`.
    ReaderDoesNotSend,
    /// The order in `send`: first the queue, then the session.
    SessionBeforeQueue,
    /// `send_queued` empties the queue under the session's lock.
    QueueBeforeSession,
    /// `self.wake()` at the end of `start_close`.
    CloseDoesNotWake,
}

const READER: usize = 2;

/// The socket takes so many frames before it is full.
const ROOM: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// A sender's next frame; the reader's read, which finds nothing.
    Start,
    TakeSession,
    EmptyQueue,
    Write,
    Release,
    Wake,
    /// Only the reader: in `Wait::until`, with what it knew of a closing.
    Waiting {
        deadline: bool,
    },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writing {
    fault: Fault,
    at: [At; 3],
    /// What each sender has left to send.
    left: [&'static [&'static str]; 2],
    queue: Vec<&'static str>,
    /// What senders have taken from the queue without the session; only by a fault.
    taken: [Vec<&'static str>; 2],
    session: Option<usize>,
    /// In the session: encoded, not written.
    batch: Vec<&'static str>,
    in_socket: usize,
    /// A write has found the socket full, so the system will report when there is room.
    was_full: bool,
    writable: bool,
    woken: bool,
    closing: bool,
    pushed: Vec<&'static str>,
    sent: Vec<&'static str>,
}

impl Writing {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            at: [At::Start; 3],
            left: [&["a1", "a2"], &["close"]],
            queue: Vec::new(),
            taken: [Vec::new(), Vec::new()],
            session: None,
            batch: Vec::new(),
            in_socket: 0,
            was_full: false,
            writable: false,
            woken: false,
            closing: false,
            pushed: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn push(&mut self, sender: usize) {
        if let Some((frame, left)) = self.left[sender].split_first() {
            self.left[sender] = left;
            self.closing |= *frame == "close";
            self.queue.push(frame);
            self.pushed.push(frame);
        }
    }

    fn empty_queue(&mut self) {
        self.batch.append(&mut self.queue);
    }

    fn write(&mut self) {
        while !self.batch.is_empty() && self.in_socket < ROOM {
            self.sent.push(self.batch.remove(0));
            self.in_socket += 1;
        }
        self.was_full |= !self.batch.is_empty();
    }

    /// What a sender does when its frame is on its way.
    fn sent(&mut self, sender: usize) {
        if self.left[sender].is_empty() {
            if sender == 1 && self.fault != Fault::CloseDoesNotWake {
                self.woken = true;
            }
            self.at[sender] = At::Done;
        } else {
            self.at[sender] = At::Start;
        }
    }

    fn step_sender(&self, sender: usize) -> Option<Self> {
        let mut next = self.clone();
        next.at[sender] = match self.at[sender] {
            At::Start => {
                if self.fault != Fault::SessionBeforeQueue {
                    next.push(sender);
                }
                if self.fault == Fault::QueueBeforeSession {
                    next.taken[sender].append(&mut next.queue);
                }
                At::TakeSession
            }
            At::TakeSession if self.session.is_none() => {
                next.session = Some(sender);
                At::EmptyQueue
            }
            At::TakeSession => At::Wake,
            At::EmptyQueue => {
                next.batch.append(&mut next.taken[sender]);
                next.empty_queue();
                At::Write
            }
            At::Write => {
                next.write();
                At::Release
            }
            At::Release => {
                next.session = None;
                if self.fault == Fault::SessionBeforeQueue {
                    next.push(sender);
                }
                next.sent(sender);
                return Some(next);
            }
            At::Wake => {
                next.woken |= self.fault != Fault::NoWake;
                if self.fault == Fault::SessionBeforeQueue {
                    next.push(sender);
                }
                next.sent(sender);
                return Some(next);
            }
            At::Waiting { .. } | At::Done => return None,
        };
        Some(next)
    }

    fn step_reader(&self) -> Option<Self> {
        let mut next = self.clone();
        next.at[READER] = match self.at[READER] {
            At::Start => At::TakeSession,
            At::TakeSession if self.session.is_none() => {
                next.session = Some(READER);
                At::EmptyQueue
            }
            At::TakeSession => return None,
            At::EmptyQueue => {
                if self.fault != Fault::ReaderDoesNotSend {
                    next.empty_queue();
                }
                At::Write
            }
            At::Write => {
                if self.fault != Fault::ReaderDoesNotSend {
                    next.write();
                }
                At::Release
            }
            At::Release => {
                next.session = None;
                At::Wake
            }
            // Before it waits it looks whether there is a deadline.
            At::Wake => At::Waiting { deadline: self.closing },
            At::Waiting { .. } if self.woken || self.writable => {
                (next.woken, next.writable) = (false, false);
                At::Start
            }
            At::Waiting { .. } | At::Done => return None,
        };
        Some(next)
    }

    fn step_peer(&self) -> Option<Self> {
        let mut next = self.clone();
        next.in_socket = self.in_socket.checked_sub(1)?;
        next.writable |= std::mem::take(&mut next.was_full);
        Some(next)
    }
}

impl Model for Writing {
    fn steps(&self) -> Vec<Self> {
        let senders = (0..2).filter_map(|sender| self.step_sender(sender));
        senders.chain(self.step_reader()).chain(self.step_peer()).collect()
    }

    fn check(&self) -> Result<(), &'static str> {
        match self.pushed.starts_with(&self.sent) {
            true => Ok(()),
            false => Err("out of order"),
        }
    }

    fn check_at_rest(&self) -> Result<(), &'static str> {
        if self.sent.len() < self.pushed.len() {
            return Err("a frame is left");
        }
        match self.at {
            [At::Done, At::Done, At::Waiting { deadline: true }] => Ok(()),
            [At::Done, At::Done, At::Waiting { .. }] => Err("the close has no deadline"),
            _ => Err("a thread is stuck"),
        }
    }
}

#[test]
fn no_frame_is_lost_or_overtaken() {
    let faults = [
        (Fault::NoWake, "a frame is left"),
        (Fault::ReaderDoesNotSend, "a frame is left"),
        (Fault::SessionBeforeQueue, "a frame is left"),
        (Fault::QueueBeforeSession, "out of order"),
        (Fault::CloseDoesNotWake, "the close has no deadline"),
    ];
    check(Fault::None, &faults, Writing::new);
}
