//! Bindings: a queue for each, with the user's receiver at its end.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::util::count::Count;
use crate::util::give_back::GiveBack;

/// The limits of a [`Binding`]'s queue, for slow consumers: a number of values, and the memory that they take.
///
/// The client never waits for a consumer. A queue takes memory only as it fills. [`Binding::dropped`] counts what is
/// dropped. A warning is logged when the queue overflows, and again only after it has been half empty.
///
/// Default: `Queue::drop_oldest(4096)`, and at most 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    policy: Policy,
    limits: QueueLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    DropOldest,
    DropNewest,
    Unbounded,
}

/// How many values are kept, and how many bytes they may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A consumer is slow while more values than this wait.
const MAX_QUICK: usize = 64;

/// What a value takes beside its own memory: its place in the queue and in the list of sizes.
const SLOT: usize = 32;

/// A value whose memory a queue counts.
pub(crate) trait Measured: Sized {
    /// Its plural in the log.
    const PLURAL: &str;

    /// Returns its size, including what it holds.
    fn bytes(&self) -> usize;
}

impl Queue {
    /// Keeps the newest `limit` values and drops the oldest. A limit of 0 counts as 1.
    pub fn drop_oldest(limit: usize) -> Self {
        Self::new(Policy::DropOldest, limit.max(1))
    }

    /// Keeps the oldest `limit` values and drops newer ones while the queue is full. A limit of 0 counts as 1.
    pub fn drop_newest(limit: usize) -> Self {
        Self::new(Policy::DropNewest, limit.max(1))
    }

    /// Keeps everything. If the consumer does not keep up, memory runs out.
    pub fn unbounded() -> Self {
        Self::new(Policy::Unbounded, usize::MAX)
    }

    /// Sets how much memory the values may take together, in bytes, with the same drop policy as for their number.
    /// Default: 64 MiB. No effect on [`unbounded`](Self::unbounded).
    ///
    /// A single value that is larger is kept if it is alone. An event counts with its whole frame, although the events
    /// of several bindings share it. What a consumer decodes later does not count, nor does the rest of the buffer that
    /// an event keeps alive, see [`Event`](crate::Event): a queue retains at most four times the bytes that it counts,
    /// plus 66 such buffers.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::Queue;
    ///
    /// // The newest hundred images, as long as they take less than 8 MiB.
    /// let queue = Queue::drop_oldest(100).max_bytes(8 * 1024 * 1024);
    /// ```
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        if self.policy != Policy::Unbounded {
            self.limits.bytes = bytes;
        }
        self
    }

    /// Returns the limits for values that wait elsewhere for the same consumers. By bytes they apply even where the
    /// queue is unbounded.
    pub(crate) fn limits(self) -> QueueLimits {
        self.limits
    }

    fn new(policy: Policy, count: usize) -> Self {
        Self { policy, limits: QueueLimits { count, bytes: MAX_BYTES } }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::drop_oldest(4096)
    }
}

/// Receives events, states or errors, through a [`crossbeam_channel::Receiver`] of its own.
///
/// It dereferences to the receiver: `recv()`, `try_recv()`, `recv_timeout()`, `iter()`, `try_iter()` and
/// `crossbeam_channel::select!` all work, and `for value in &binding` receives until the end.
///
/// It survives lost connections. The receiver is disconnected, after the queued values have been received, when the
/// client is closed or its last handle (clients, channels and users) is dropped. Dropping the binding unbinds it.
///
/// It cannot be cloned, since every binding receives every value. Clone the receiver inside
/// (`Receiver::clone(&binding)`) for a second consumer that competes for the same values.
#[doc(alias = "unbind")]
pub struct Binding<T> {
    receiver: Receiver<T>,
    counter: Arc<Counter>,
    /// Removes it from the client's routes.
    unbind: Option<Unbind>,
}

type Unbind = Box<dyn FnOnce(&Arc<Counter>) + Send + Sync>;

/// Shared by a binding and its sink. Its address identifies the binding.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    dropped: Count,
    /// Values were dropped, and the queue has not been half empty since.
    overflowing: AtomicBool,
}

/// The client's end of a binding.
#[derive(Debug)]
pub(crate) struct Sink<T> {
    sender: Sender<T>,
    /// To make room in a full queue.
    receiver: Receiver<T>,
    queue: Queue,
    sizes: Sizes,
    counter: Arc<Counter>,
}

/// The sizes of the values in a queue, in order. Consumers take values from the channel directly, so the list catches
/// up by the number of those left.
#[derive(Debug, Default)]
struct Sizes {
    each: VecDeque<u32>,
    total: usize,
}

impl Sizes {
    /// Removes the oldest sizes until `waiting` are left.
    fn catch_up(&mut self, waiting: usize) {
        while self.each.len() > waiting {
            self.total -= self.each.pop_front().map_or(0, |size| size as usize);
        }
    }

    fn push(&mut self, size: u32) {
        self.each.push_back(size);
        self.total += size as usize;
    }

    /// A single value always fits.
    fn has_room(&self, size: u32, limits: QueueLimits) -> bool {
        self.each.is_empty()
            || (self.each.len() < limits.count
                && self.total.saturating_add(size as usize) <= limits.bytes)
    }

    fn is_half_empty(&self, limits: QueueLimits) -> bool {
        self.each.len() <= limits.count / 2 && self.total <= limits.bytes / 2
    }
}

/// The outcome of a push.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    /// How many of its values were queued.
    pub(crate) queued: u64,
    /// How many values were dropped: its own or older ones.
    pub(crate) dropped: u64,
    /// The queue began to overflow.
    pub(crate) began_to_overflow: bool,
}

impl<T> Binding<T> {
    /// Returns a binding and the sink that feeds it.
    pub(crate) fn new(
        queue: Queue,
        unbind: impl FnOnce(&Arc<Counter>) + Send + Sync + 'static,
    ) -> (Self, Sink<T>) {
        // A bounded channel would allocate all its memory at once.
        let (sender, receiver) = crossbeam_channel::unbounded();
        let counter = Arc::new(Counter::default());
        let sink = Sink {
            sender,
            receiver: receiver.clone(),
            queue,
            sizes: Sizes::default(),
            counter: counter.clone(),
        };
        (Self { receiver, counter, unbind: Some(Box::new(unbind)) }, sink)
    }

    /// Returns how many values were dropped because the queue was full, by number or by memory.
    pub fn dropped(&self) -> u64 {
        self.counter.dropped.get()
    }
}

impl<T> Sink<T> {
    pub(crate) fn belongs_to(&self, counter: &Arc<Counter>) -> bool {
        Arc::ptr_eq(&self.counter, counter)
    }

    /// Queues values, each with its size in bytes, without waiting.
    pub(crate) fn push(&mut self, values: impl IntoIterator<Item = (T, usize)>) -> Pushed {
        self.push_by_pace(|_| values)
    }

    /// As [`Self::push`], for values that depend on whether the consumer is slow.
    pub(crate) fn push_by_pace<I: IntoIterator<Item = (T, usize)>>(
        &mut self,
        values: impl FnOnce(bool) -> I,
    ) -> Pushed {
        let mut pushed = Pushed::default();
        // Reading how many wait is expensive while the consumer takes them, so it is done once for all.
        let waiting = self.catch_up();
        for (value, size) in values(waiting > MAX_QUICK) {
            // A frame is shorter than this, see `Envelope`.
            let size = u32::try_from(size.saturating_add(SLOT)).unwrap_or(u32::MAX);
            if self.make_room(size, &mut pushed) {
                if self.queue.policy != Policy::Unbounded {
                    self.sizes.push(size);
                }
                pushed.queued += 1;
                // The sink has a receiver, so the channel cannot be disconnected.
                let _ = self.sender.send(value);
            } else {
                self.count_drop(&mut pushed);
            }
        }
        if pushed.dropped > 0 {
            pushed.began_to_overflow = !self.counter.overflowing.swap(true, Ordering::Relaxed);
        }
        pushed
    }

    /// Counts a dropped value before a later one can be received, so that who has received that one finds this one in
    /// [`Binding::dropped`].
    fn count_drop(&self, pushed: &mut Pushed) {
        pushed.dropped += 1;
        self.counter.dropped.add(1);
    }

    /// Makes room for a value of this size as the policy allows. Returns `true` if there is room.
    fn make_room(&mut self, size: u32, pushed: &mut Pushed) -> bool {
        let Queue { policy, limits } = self.queue;
        if policy == Policy::Unbounded || self.sizes.has_room(size, limits) {
            return true;
        }
        self.catch_up();
        while !self.sizes.has_room(size, limits) {
            if policy == Policy::DropNewest {
                return false;
            }
            // The consumer may take some meanwhile, which also makes room.
            if self.receiver.try_recv().is_ok() {
                self.count_drop(pushed);
            }
            self.sizes.catch_up(self.sender.len());
        }
        true
    }

    /// Releases memory of the list of sizes.
    pub(crate) fn give_back(&mut self) {
        self.catch_up();
        self.sizes.each.give_back();
    }

    /// Accounts for the values that the consumer has taken, which may end the overflow. Returns how many wait.
    fn catch_up(&mut self) -> usize {
        let waiting = self.sender.len();
        if self.queue.policy == Policy::Unbounded {
            return waiting;
        }
        self.sizes.catch_up(waiting);
        if self.counter.overflowing.load(Ordering::Relaxed)
            && self.sizes.is_half_empty(self.queue.limits)
        {
            self.counter.overflowing.store(false, Ordering::Relaxed);
        }
        waiting
    }
}

impl<T> Deref for Binding<T> {
    type Target = Receiver<T>;

    fn deref(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<'a, T> IntoIterator for &'a Binding<T> {
    type Item = T;
    type IntoIter = crossbeam_channel::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.receiver.iter()
    }
}

impl<T> Drop for Binding<T> {
    fn drop(&mut self) {
        if let Some(unbind) = self.unbind.take() {
            unbind(&self.counter);
        }
    }
}

impl<T> fmt::Debug for Binding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("waiting", &self.receiver.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
