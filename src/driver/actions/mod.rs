//! What is to be done with the lock released: in order, by one thread at a time. It knows no lock and no clock.
//!
//! Whoever carries actions out may be held up in one of them, since most run code of the user's. Then
//! another thread takes over, and what waits is bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use log::Level;

use super::active::{ActiveConnection, Dial};
use crate::protocol::LogLine;
use crate::util::give_back::GiveBack;
use crate::{Connection, Error};

/// The frames that wait may take so much, with [`OVERHEAD`] for each: as much as the built-in WebSocket keeps
/// unsent, and no more than 65,536 frames.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
const OVERHEAD: usize = 64;

/// So many lines of the log may wait.
const MAX_LINES: usize = 1024;

/// So many threads may be held up in actions and replaced. The next one is waited for.
const MAX_STUCK: usize = 8;

/// What to do with the lock released. It may run code of the user's.
pub(super) enum Action {
    Dial(Box<Dial>),
    Close { active: ActiveConnection, code: u16 },
    Send { generation: u64, connection: Arc<dyn Connection>, frame: String },
    CallPolicy { request: u64, attempt: u32, error: Option<Error> },
    StartWorker,
    Log(Level, LogLine),
}

/// Who carries actions out, until another one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Performer(u64);

/// The action that is being carried out.
struct Call {
    since: Duration,
    /// That of the connection, if the action sends.
    generation: Option<u64>,
    /// It writes to the log and does nothing else.
    is_line: bool,
}

#[derive(Default)]
pub(super) struct Actions {
    queue: VecDeque<Action>,
    /// What the frames in it take.
    bytes: usize,
    /// Its lines of the log, and how many found no room since it was last empty.
    lines: usize,
    lost_lines: u64,
    performer: Option<Performer>,
    performers: u64,
    call: Option<Call>,
    /// Performers who were replaced and have not come back.
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

    /// Returns `true` if there is something to do and nobody does it.
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty() && self.performer.is_none()
    }

    /// Returns `true` if a performer was replaced and has not come back.
    pub(super) fn is_held_up(&self) -> bool {
        self.stuck > 0
    }

    /// Returns `true` if what is to be done runs code of the user's, which may not return.
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
                self.lost_lines += 1;
                return;
            }
            Action::Log(..) => self.lines += 1,
            Action::Send { frame, .. } => self.bytes += size(frame),
            _ => {}
        }
        self.queue.push_back(action);
    }

    /// The frames for this connection need not be sent any more.
    pub(super) fn forget_frames(&mut self, generation: u64) {
        let bytes = &mut self.bytes;
        self.queue.retain(|action| match action {
            Action::Send { generation: of, frame, .. } if *of == generation => {
                *bytes -= size(frame);
                false
            }
            _ => true,
        });
    }

    /// The caller carries out what there is, unless somebody does already.
    pub(super) fn begin(&mut self) -> Option<Performer> {
        if !self.is_waiting() {
            return None;
        }
        self.performers += 1;
        self.performer = Some(Performer(self.performers));
        self.performer
    }

    /// The performer's next action. `None` if there is none left, or if another one has taken over.
    pub(super) fn next(&mut self, performer: Performer, now: Duration) -> Option<Action> {
        if self.performer != Some(performer) {
            // It has come back from the action in which it was replaced.
            self.stuck = self.stuck.saturating_sub(1);
            return None;
        }
        self.call = None;
        let action = self.queue.pop_front().or_else(|| self.lost_lines());
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

    fn lost_lines(&mut self) -> Option<Action> {
        let lost = std::mem::take(&mut self.lost_lines);
        let line = || format!("{lost} lines were not logged: the client's calls did not return");
        (lost > 0).then(|| Action::Log(Level::Warn, line().into()))
    }

    /// The performer leaves the rest to another one.
    pub(super) fn leave(&mut self, performer: Performer) {
        if self.performer == Some(performer) {
            (self.performer, self.call) = (None, None);
        } else {
            self.stuck = self.stuck.saturating_sub(1);
        }
    }

    /// When the performer is to be replaced: its call runs code of the user's, and something waits for it to return,
    /// or it sends on a connection of theirs.
    pub(super) fn overdue_at(&self, patience: Patience) -> Option<Duration> {
        let call = self.call.as_ref().filter(|_| self.stuck < MAX_STUCK)?;
        let sends = call.generation.is_some();
        let may_block = patience.own || call.is_line || (patience.traced && sends);
        let counts = may_block && (!self.queue.is_empty() || (patience.own && sends));
        counts.then(|| call.since.saturating_add(patience.limit))
    }

    /// If that time has come, whoever begins next is the performer. Returns the generation of the connection
    /// that the call sends on, whose frames are forgotten.
    pub(super) fn replace(&mut self, patience: Patience, now: Duration) -> Option<u64> {
        self.overdue_at(patience).filter(|at| *at <= now)?;
        let call = self.call.take()?;
        self.performer = None;
        self.stuck += 1;
        let generation = call.generation?;
        self.forget_frames(generation);
        Some(generation)
    }
}

/// How long a call may hold up what waits for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) limit: Duration,
    /// Whether the connection is the user's own, which may wait in `send` though it must not.
    pub(super) own: bool,
    /// Whether the user's logger gets each frame that is sent.
    pub(super) traced: bool,
}

#[cfg(test)]
mod tests;
