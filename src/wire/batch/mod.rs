//! Frames that one round of reading received, in buffers that their events share.
//!
//! An event is an index into a [`Batch`] and allocates nothing. A [`Ring`] keeps the last batches and reuses their
//! buffers once all their events are dropped. So in a flood the reader allocates nothing, and consumers free nothing.
//!
//! It knows no connection, thread or clock.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Envelope, Malformed};
use crate::util::give_back::GiveBack;
use crate::{Error, ErrorKind, Message};

/// The largest text of a batch of several frames, in bytes: one event keeps this much at most beside its frame.
pub(crate) const MAX_TEXT: usize = 64 * 1024;

/// The largest text of a batch into which many texts are copied: as many small frames fill it as a batch may have.
const MAX_COPIED: usize = 32 * 1024;

/// The largest number of frames that may fill a batch to [`MAX_TEXT`] where texts are copied.
const MAX_LONG: usize = 8;

/// The largest number of frames in a batch.
pub(crate) const MAX_FRAMES: usize = 256;

/// The largest number of batches in a ring: while fewer wait for their consumers, a flood allocates nothing.
const MAX_BATCHES: usize = 64;

/// The largest number of batches that a ring keeps through a pause.
const MAX_PAUSED: usize = 16;

/// After this time without a message, the consumers of a flood have caught up.
const PAUSE: Duration = Duration::from_millis(50);

/// Larger buffers are not kept for the next batch.
const MAX_KEPT: usize = 2 * MAX_TEXT;

/// After this time without a message, the buffers of a flood are released.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// The largest number of empty batches that are kept for the next round.
const MAX_SPARE: usize = 8;

/// Less memory than this is not worth an allocation.
const SLACK: usize = 512;

/// Frames that take less than this fraction of their batch are copied for a slow consumer.
const SMALL_PART: usize = 4;

/// Frames and their text.
#[derive(Default)]
pub(crate) struct Batch {
    /// The texts of the frames, in order. There may be something between them that belongs to none.
    text: String,
    frames: Vec<Frame>,
}

/// One frame of a batch.
pub(crate) struct Frame {
    /// Where its text is. Smaller than a `Range<usize>`.
    start: u32,
    end: u32,
    pub(crate) envelope: Envelope,
    /// The decoded text of `data`, once it was read, if it differs from that in the frame.
    pub(crate) decoded: OnceLock<Box<str>>,
}

impl Frame {
    const fn empty() -> Self {
        Self { start: 0, end: 0, envelope: Envelope::EMPTY, decoded: OnceLock::new() }
    }

    /// A frame that was not parsed.
    fn new(text: Range<usize>) -> Self {
        // What is longer has no envelope.
        let [start, end] = [text.start, text.end].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        Self { start, end, ..Self::empty() }
    }

    /// Where its text is.
    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Stands for a missing frame.
static NO_FRAME: Frame = Frame::empty();

impl Batch {
    /// A batch of one frame, in buffers of its size.
    pub(crate) fn of_one(text: String) -> Self {
        let frames = vec![Frame::new(0..text.len())];
        Self { text, frames }
    }

    fn with_capacity(bytes: usize, frames: usize) -> Self {
        Self { text: String::with_capacity(bytes), frames: Vec::with_capacity(frames) }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn frame(&self, index: usize) -> &Frame {
        self.frames.get(index).unwrap_or(&NO_FRAME)
    }

    /// The text of the frame.
    pub(crate) fn text(&self, index: usize) -> &str {
        self.text.get(self.frame(index).range()).unwrap_or_default()
    }

    /// The texts of the frames.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.text(index))
    }

    fn has_room(&self, length: usize) -> bool {
        let most = if self.frames.len() < MAX_LONG { MAX_TEXT } else { MAX_COPIED };
        self.frames.is_empty()
            || (self.frames.len() < MAX_FRAMES && self.text.len() + length <= most)
    }

    fn push(&mut self, text: &str, envelope: Envelope) {
        let start = self.text.len();
        self.text.push_str(text);
        self.frames.push(Frame { envelope, ..Frame::new(start..self.text.len()) });
    }

    /// Copies these frames into a batch of their own size. `None` if they take a quarter of this one or more.
    pub(crate) fn excerpt(&self, indexes: impl Iterator<Item = usize> + Clone) -> Option<Self> {
        let limit = self.capacity() / SMALL_PART;
        let (mut bytes, mut frames) = (0, 0);
        for index in indexes.clone() {
            bytes += self.text(index).len();
            frames += 1;
            if bytes + frames * size_of::<Frame>() >= limit {
                return None;
            }
        }
        let mut excerpt = Self::with_capacity(bytes, frames);
        for index in indexes {
            excerpt.push(self.text(index), self.frame(index).envelope.clone());
        }
        Some(excerpt)
    }

    /// Parses the envelopes of the frames. Returns the frames that are no events, in order.
    pub(crate) fn parse(&mut self) -> Vec<(usize, Error)> {
        let mut faults = Vec::new();
        for (index, frame) in self.frames.iter_mut().enumerate() {
            let raw = self.text.get(frame.range()).unwrap_or_default();
            match Envelope::parse(raw) {
                Ok(envelope) => frame.envelope = envelope,
                Err(malformed) => faults.push((index, no_event(raw.len(), malformed))),
            }
        }
        faults
    }

    /// Removes the frames. The text stays until the buffer is used again: to read into it, it would have to be filled
    /// first.
    fn clear(&mut self) {
        self.frames.clear();
    }

    /// How many bytes the texts of the frames take.
    fn text_len(&self) -> usize {
        self.frames.iter().map(|frame| frame.range().len()).sum()
    }

    /// The size of its content.
    fn used(&self) -> usize {
        self.text_len() + self.frames.len() * size_of::<Frame>()
    }

    /// The size of its buffers.
    fn capacity(&self) -> usize {
        self.text.capacity() + self.frames.capacity() * size_of::<Frame>()
    }

    /// Returns `true` if content of this size wastes little of these buffers.
    fn suits(&self, used: usize) -> bool {
        self.capacity() <= 2 * used + SLACK
    }

    /// Moves the content into buffers with enough room.
    fn move_into(&mut self, other: &mut Self) {
        other.text.clear();
        for frame in self.frames.drain(..) {
            let start = other.text.len();
            other.text.push_str(self.text.get(frame.range()).unwrap_or_default());
            let Frame { start, end, .. } = Frame::new(start..other.text.len());
            other.frames.push(Frame { start, end, ..frame });
        }
    }
}

fn no_event(length: usize, malformed: Malformed) -> Error {
    let message = format!("the server sent a frame that is no event ({length} bytes)");
    Error::message(ErrorKind::Protocol, message).caused_by(malformed)
}

/// The batches that were shared last, for reuse once their events are dropped.
#[derive(Default)]
pub(crate) struct Ring(VecDeque<Arc<Batch>>);

impl Ring {
    /// Makes a batch that events can share. Also returns empty buffers for another one, if there are any.
    ///
    /// The buffers take at most about twice their content: a batch that is mostly empty is copied.
    pub(crate) fn share(&mut self, mut batch: Batch) -> (Arc<Batch>, Option<Batch>) {
        let (used, capacity) = (batch.used(), batch.capacity());
        if batch.suits(used) {
            let free = self.take(|free| free.capacity() >= capacity / 2);
            return match free {
                Some(mut shared) => {
                    if let Some(free) = Arc::get_mut(&mut shared) {
                        std::mem::swap(free, &mut batch);
                    }
                    (self.keep(shared), Some(batch))
                }
                None => (self.keep(Arc::new(batch)), None),
            };
        }
        let (text, frames) = (batch.text_len(), batch.frames.len());
        let free = self.take(|free| {
            free.suits(used) && free.text.capacity() >= text && free.frames.capacity() >= frames
        });
        let mut shared = free.unwrap_or_else(|| Arc::new(Batch::with_capacity(text, frames)));
        if let Some(exact) = Arc::get_mut(&mut shared) {
            batch.move_into(exact);
        }
        (self.keep(shared), Some(batch))
    }

    /// Removes an unused batch that suits, and empties it. Prefers the one used last, which may still be in the
    /// processor's cache.
    ///
    /// Consumers take events in order, so as a rule all batches from some place on are in use. That place is searched
    /// for: a look at each batch would cost more. Where single events are kept, this may miss an unused one.
    fn take(&mut self, suits: impl Fn(&Batch) -> bool) -> Option<Arc<Batch>> {
        let used = self.0.partition_point(|batch| Arc::strong_count(batch) == 1);
        let position = self.0.range_mut(..used).rposition(|batch| {
            let free = Arc::get_mut(batch).filter(|batch| suits(batch));
            // This frees what consumers decoded.
            free.map(Batch::clear).is_some()
        });
        self.0.remove(position?)
    }

    /// To be called after a pause: forgets those that were not used for longest.
    fn pause(&mut self) {
        self.0.drain(..self.0.len().saturating_sub(MAX_PAUSED));
    }

    fn keep(&mut self, batch: Arc<Batch>) -> Arc<Batch> {
        if batch.capacity() <= MAX_KEPT {
            if self.0.len() == MAX_BATCHES {
                self.0.pop_front();
            }
            self.0.push_back(Arc::clone(&batch));
        }
        batch
    }
}

/// Collects what a connection receives, see [`Connection::recv_batch`](crate::Connection::recv_batch).
#[derive(Default)]
pub struct Inbox {
    batches: Vec<Batch>,
    closed: Option<(Option<u16>, String)>,
    /// Empty batches for the next round.
    spare: Vec<Batch>,
    /// Empty, for connections that receive messages one by one.
    messages: Vec<Message>,
}

impl Inbox {
    /// Adds a text message.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.batches.last().is_some_and(|batch| batch.has_room(text.len())) {
            let mut batch = self.spare.pop().unwrap_or_else(|| match self.batches.is_empty() {
                true => Batch::default(),
                // There is more to come.
                false => {
                    Batch::with_capacity(MAX_COPIED, self.batches.last().map_or(0, Batch::len))
                }
            });
            batch.text.clear();
            self.batches.push(batch);
        }
        if let Some(batch) = self.batches.last_mut() {
            batch.push(text, Envelope::EMPTY);
        }
    }

    /// Adds text messages with the buffer that they are in, which `exchange` returns for another one. All of the buffer
    /// must be UTF-8; all of the other one is.
    pub(crate) fn texts(
        &mut self,
        texts: &[Range<usize>],
        exchange: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Result<(), FromUtf8Error> {
        let mut batch = self.spare.pop().unwrap_or_default();
        batch.text = String::from_utf8(exchange(batch.text.into_bytes()))?;
        batch.frames.extend(texts.iter().cloned().map(Frame::new));
        self.batches.push(batch);
        Ok(())
    }

    /// Adds the peer's close. Nothing follows it.
    pub(crate) fn closed(&mut self, code: Option<u16>, reason: String) {
        self.closed = Some((code, reason));
    }

    pub(crate) fn message(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.text(&text),
            Message::Close(code, reason) => self.closed(code, reason),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.closed.is_none()
    }

    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.closed = None;
    }

    /// Adds the messages that `receive` returns.
    pub(crate) fn messages(
        &mut self,
        receive: impl FnOnce(&mut Vec<Message>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut messages = std::mem::take(&mut self.messages);
        receive(&mut messages)?;
        messages.drain(..).for_each(|message| self.message(message));
        messages.give_back();
        self.messages = messages;
        Ok(())
    }

    /// Removes all that was received, as messages.
    pub(crate) fn drain(&mut self, messages: &mut impl Extend<Message>) {
        for batch in self.batches.drain(..) {
            messages.extend(batch.texts().map(|text| Message::Text(text.to_owned())));
        }
        let closed = self.closed.take();
        messages.extend(closed.map(|(code, reason)| Message::Close(code, reason)));
    }

    /// Removes the batches, for events to share.
    fn share(&mut self, ring: &mut Ring, mut shared: impl FnMut(SharedBatch)) {
        for mut batch in self.batches.drain(..) {
            let faults = batch.parse();
            let (batch, free) = ring.share(batch);
            shared(SharedBatch { batch, faults });
            let kept = free.filter(|free| free.capacity() <= MAX_KEPT);
            if let Some(free) = kept.filter(|_| self.spare.len() < MAX_SPARE) {
                self.spare.push(free);
            }
        }
    }

    pub(crate) fn take_closed(&mut self) -> Option<(Option<u16>, String)> {
        self.closed.take()
    }
}

impl fmt::Debug for Inbox {
    /// Without its content, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}

/// The buffers of one reader.
#[derive(Default)]
pub(crate) struct Intake {
    pub(crate) inbox: Inbox,
    ring: Ring,
    /// How long the reader has waited since the ring was last reduced.
    waited: Duration,
    /// Batches that were not handled yet.
    pub(crate) batches: Vec<SharedBatch>,
}

impl Intake {
    /// Moves the inbox into shared batches, after the reader has waited this long for it.
    pub(crate) fn take_in(&mut self, waited: Duration) {
        self.waited = self.waited.saturating_add(waited);
        // Events that come often, one by one, have no pause between them.
        if waited >= PAUSE || self.waited >= QUIET {
            self.waited = Duration::ZERO;
            self.ring.pause();
        }
        if waited >= QUIET {
            self.ring = Ring::default();
        }
        self.inbox.share(&mut self.ring, |shared| self.batches.push(shared));
        if waited >= QUIET {
            self.inbox.spare = Vec::new();
        }
    }
}

/// A batch whose events can be handled.
pub(crate) struct SharedBatch {
    pub(crate) batch: Arc<Batch>,
    /// The frames that are no events, in order.
    pub(crate) faults: Vec<(usize, Error)>,
}
