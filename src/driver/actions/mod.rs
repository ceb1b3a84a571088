//! The queue of actions, which are carried out in order, by one thread at a time and with the lock released. It
//! knows no lock and no clock.
//!
//! Most actions run the user's code, which may not return. Another thread then takes over, and the queue is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::active::{ActiveConnection, Dial};
use crate::protocol::LogLine;
use crate::util::give_back::GiveBack;
use crate::{Connection, Error};

/// The largest size of the frames that wait, with [`OVERHEAD`] for each: as much as the built-in WebSocket keeps
/// unsent, and at most 65,536 frames.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
const OVERHEAD: usize = 64;

/// The largest number of log lines that wait.
const MAX_LINES: usize = 1024;

/// The largest number of replaced performers that have not returned. The next one is not replaced.
const MAX_STUCK: usize = 8;

/// Something to do with the lock released, which may run the user's code.
pub(super) enum Action {
    Dial(Box<Dial>),
    Close { active: ActiveConnection, code: u16 },
    Send { generation: u64, connection: Arc<dyn Connection>, frame: String },
    CallPolicy { request: u64, attempt: u32, error: Option<Error> },
    StartWorker,
    Log(Level, LogLine),
}

/// Identifies the thread that carries actions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Performer(u64);

/// The action that is being carried out.
struct Call {
    since: Duration,
    /// The generation of the connection, if the action sends.
    generation: Option<u64>,
    /// The action only writes to the log.
    is_line: bool,
}

#[derive(Default)]
pub(super) struct Actions {
    queue: VecDeque<Action>,
    /// The size of its frames.
    bytes: usize,
    /// The number of its log lines, and of those dropped since it was last empty.
    lines: usize,
    dropped_lines: u64,
    performer: Option<Performer>,
    performers: u64,
    call: Option<Call>,
    /// Replaced performers that have not returned.
    stuck: usize,
}

fn size(frame: &str) -> usize {
    frame.len().saturating_add(OVERHEAD)
}

impl Actions {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns `true` if there are actions and no performer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty() && self.performer.is_none()
    }

    /// Returns `true` if a replaced performer has not returned.
    pub(super) fn has_stuck(&self) -> bool {
        self.stuck > 0
    }

    /// Returns `true` if the actions run code of the user's, which may not return.
    pub(super) fn may_block(&self, patience: Patience) -> bool {
        patience.own || patience.traced || self.lines > 0
    }

    /// Returns `true` if there is room for the frame.
    pub(super) fn fits(&self, frame: &str) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(size(frame)) <= MAX_BYTES
    }

    pub(super) fn push(&mut self, action: Action) {
        match &action {
            Action::Log(..) if self.lines == MAX_LINES => {
                self.dropped_lines += 1;
                return;
            }
            Action::Log(..) => self.lines += 1,
            Action::Send { frame, .. } => self.bytes += size(frame),
            _ => {}
        }
        self.queue.push_back(action);
    }

    /// Removes the frames for this connection.
    pub(super) fn remove_frames(&mut self, generation: u64) {
        let bytes = &mut self.bytes;
        self.queue.retain(|action| match action {
            Action::Send { generation: of, frame, .. } if *of == generation => {
                *bytes -= size(frame);
                false
            }
            _ => true,
        });
    }

    /// Makes the caller the performer, if there are actions and no other performer.
    pub(super) fn begin(&mut self) -> Option<Performer> {
        if !self.is_waiting() {
            return None;
        }
        self.performers += 1;
        self.performer = Some(Performer(self.performers));
        self.performer
    }

    /// Returns the performer's next action. `None` if none is left, or if the performer was replaced.
    pub(super) fn next(&mut self, performer: Performer, now: Duration) -> Option<Action> {
        if self.performer != Some(performer) {
            // It has returned from the action in which it was replaced.
            self.stuck = self.stuck.saturating_sub(1);
            return None;
        }
        self.call = None;
        let action = self.queue.pop_front().or_else(|| self.dropped_lines());
        let (mut generation, mut is_line) = (None, false);
        match &action {
            None => {
                self.performer = None;
                self.queue.give_back();
                return None;
            }
            Some(Action::Log(..)) => {
                is_line = true;
                self.lines = self.lines.saturating_sub(1);
            }
            Some(Action::Send { generation: of, frame, .. }) => {
                generation = Some(*of);
                self.bytes -= size(frame);
            }
            Some(_) => {}
        }
        self.call = Some(Call { since: now, generation, is_line });
        action
    }

    fn dropped_lines(&mut self) -> Option<Action> {
        let dropped = std::mem::take(&mut self.dropped_lines);
        let line = || format!("{dropped} lines were not logged: the client's calls did not return");
        (dropped > 0).then(|| Action::Log(Level::Warn, line().into()))
    }

    /// Leaves the rest to another performer.
    pub(super) fn leave(&mut self, performer: Performer) {
        if self.performer == Some(performer) {
            (self.performer, self.call) = (None, None);
        } else {
            self.stuck = self.stuck.saturating_sub(1);
        }
    }

    /// Returns when the performer must be replaced: its call runs the user's code, and other actions wait for it or it
    /// sends on a connection of the user's own.
    pub(super) fn overdue_at(&self, patience: Patience) -> Option<Duration> {
        let call = self.call.as_ref().filter(|_| self.stuck < MAX_STUCK)?;
        let sends = call.generation.is_some();
        let may_block = patience.own || call.is_line || (patience.traced && sends);
        let counts = may_block && (!self.queue.is_empty() || (patience.own && sends));
        counts.then(|| call.since.saturating_add(patience.limit))
    }

    /// Replaces the performer if that time has come: the next caller of [`Self::begin`] becomes the performer. Returns
    /// the generation of the connection that the call sends on, whose frames are removed.
    pub(super) fn replace(&mut self, patience: Patience, now: Duration) -> Option<u64> {
        self.overdue_at(patience).filter(|at| *at <= now)?;
        let call = self.call.take()?;
        self.performer = None;
        self.stuck += 1;
        let generation = call.generation?;
        self.remove_frames(generation);
        Some(generation)
    }
}

/// How long a call may hold up the actions behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) limit: Duration,
    /// The connection is the user's own, whose `send` may block although it must not.
    pub(super) own: bool,
    /// The user's logger gets each frame that is sent.
    pub(super) traced: bool,
}

#[cfg(test)]
mod tests;
