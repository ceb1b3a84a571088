//! The user's end of a subscription to news: one receiver each.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};

/// How much a [`Binding`] keeps for a consumer that is slow: a number of values, and the memory that they take.
///
/// The client never waits for a consumer. It takes memory only as it fills. What is dropped is counted by
/// [`Binding::dropped`], and logged once at `warn` until the queue has been half empty.
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

/// How many values are kept, and how much they may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a value takes in a queue beside its own memory: its place there and in the list of sizes.
const SLOT: usize = 32;

/// A value whose memory a queue counts.
pub(crate) trait Measured {
    /// How much it takes, itself and what it holds.
    fn bytes(&self) -> usize;
}

impl Queue {
    /// Keeps the newest `limit` values; an older one makes room. A limit of 0 counts as 1.
    pub fn drop_oldest(limit: usize) -> Self {
        Self::new(Policy::DropOldest, limit.max(1))
    }

    /// Keeps the first `limit` values; a newer one is dropped while they wait. A limit of 0 counts as 1.
    pub fn drop_newest(limit: usize) -> Self {
        Self::new(Policy::DropNewest, limit.max(1))
    }

    /// Keeps everything. The consumer must keep up, or the memory runs out.
    pub fn unbounded() -> Self {
        Self::new(Policy::Unbounded, usize::MAX)
    }

    /// Sets how much memory the values may take together, in bytes, by the same rule as for their number. A
    /// single value that is larger is kept as long as no other waits. Default: 64 MiB. No effect on
    /// [`unbounded`](Self::unbounded).
    ///
    /// An event counts with its whole frame, although events of several bindings share it, and what a
    /// consumer decodes later is not counted.
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

    /// What waits elsewhere for the same consumers keeps to these too: by count and, even where the queue is
    /// unbounded, by bytes.
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

/// Receives events, states or errors, as a [`crossbeam_channel::Receiver`] of its own.
///
/// It dereferences to the receiver: `recv()`, `try_recv()`, `recv_timeout()`, `iter()`, `try_iter()`
/// and `crossbeam_channel::select!` all work, and `for value in &binding` receives until the end.
///
/// **Disconnection**: it survives lost connections. Its receiver is disconnected, after what is
/// still queued has been received, when the client is closed or its last handle (clients,
/// channels and users) is gone. Dropping the binding unbinds it.
///
/// It cannot be cloned, since every binding receives everything. Clone the receiver inside
/// (`Receiver::clone(&binding)`) for a second consumer that competes for the same values.
pub struct Binding<T> {
    receiver: Receiver<T>,
    counter: Arc<Counter>,
    /// Takes it out of the client's tables.
    unbind: Option<Unbind>,
}

type Unbind = Box<dyn FnOnce(&Arc<Counter>) + Send + Sync>;

/// What a binding and its sink both know; it also identifies the binding.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    dropped: AtomicU64,
    /// Values have been dropped, and the queue has not been half empty since.
    overflowing: AtomicBool,
}

/// The client's end of a binding.
#[derive(Debug)]
pub(crate) struct Sink<T> {
    sender: Sender<T>,
    /// To make room in a full queue.
    receiver: Receiver<T>,
    queue: Queue,
    /// Only the one thread that pushes locks it, so nobody waits for it.
    sizes: Mutex<Sizes>,
    counter: Arc<Counter>,
}

/// The sizes of the values in a queue, in order. Consumers take values without telling, so it is brought up to
/// date by how many are left.
#[derive(Debug, Default)]
struct Sizes {
    each: VecDeque<u32>,
    total: usize,
}

impl Sizes {
    /// Forgets the oldest until as many are left as wait.
    fn catch_up(&mut self, waiting: usize) {
        while self.each.len() > waiting {
            self.total -= self.each.pop_front().map_or(0, |size| size as usize);
        }
    }

    fn push(&mut self, size: u32) {
        self.each.push_back(size);
        self.total += size as usize;
    }

    /// A single value fits always.
    fn has_room(&self, size: u32, limits: QueueLimits) -> bool {
        self.each.is_empty()
            || (self.each.len() < limits.count
                && self.total.saturating_add(size as usize) <= limits.bytes)
    }

    fn is_half_empty(&self, limits: QueueLimits) -> bool {
        self.each.len() <= limits.count / 2 && self.total <= limits.bytes / 2
    }
}

/// What became of a value.
pub(crate) struct Pushed {
    /// Whether it is in the queue now.
    pub(crate) queued: bool,
    /// How many values were dropped for it: itself, or older ones.
    pub(crate) dropped: u64,
    /// It is the first time, in this episode.
    pub(crate) began_to_overflow: bool,
}

impl<T> Binding<T> {
    /// A binding and the sink that feeds it.
    pub(crate) fn new(
        queue: Queue,
        unbind: impl FnOnce(&Arc<Counter>) + Send + Sync + 'static,
    ) -> (Self, Sink<T>) {
        // A bounded channel would take all its memory at once.
        let (sender, receiver) = crossbeam_channel::unbounded();
        let counter = Arc::new(Counter::default());
        let sink = Sink {
            sender,
            receiver: receiver.clone(),
            queue,
            sizes: Mutex::default(),
            counter: counter.clone(),
        };
        (Self { receiver, counter, unbind: Some(Box::new(unbind)) }, sink)
    }

    /// How many values were dropped because the queue was full, by their number or by their memory.
    pub fn dropped(&self) -> u64 {
        self.counter.dropped.load(Ordering::Relaxed)
    }
}

impl<T> Sink<T> {
    pub(crate) fn belongs_to(&self, counter: &Arc<Counter>) -> bool {
        Arc::ptr_eq(&self.counter, counter)
    }

    /// Queues a value of this size in bytes without waiting. Only one thread at a time may push.
    pub(crate) fn push(&self, value: T, size: usize) -> Pushed {
        let Queue { policy, limits } = self.queue;
        if policy == Policy::Unbounded {
            // It has a receiver of its own, so it cannot be disconnected.
            let _ = self.sender.send(value);
            return Pushed { queued: true, dropped: 0, began_to_overflow: false };
        }
        // A frame is shorter than this, see `Envelope`.
        let size = u32::try_from(size.saturating_add(SLOT)).unwrap_or(u32::MAX);
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.catch_up(self.sender.len());
        if self.counter.overflowing.load(Ordering::Relaxed) && sizes.is_half_empty(limits) {
            self.counter.overflowing.store(false, Ordering::Relaxed);
        }
        let mut dropped = 0;
        while !sizes.has_room(size, limits) {
            // The consumer may take some meanwhile, which makes room just as well.
            if policy == Policy::DropNewest || self.receiver.try_recv().is_ok() {
                dropped += 1;
            }
            if policy == Policy::DropNewest {
                break;
            }
            sizes.catch_up(self.sender.len());
        }
        let queued = policy == Policy::DropOldest || dropped == 0;
        if queued {
            sizes.push(size);
            let _ = self.sender.send(value);
        }
        drop(sizes);
        if dropped > 0 {
            self.counter.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        let began_to_overflow =
            dropped > 0 && !self.counter.overflowing.swap(true, Ordering::Relaxed);
        Pushed { queued, dropped, began_to_overflow }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(queue: Queue) -> (Binding<u32>, Sink<u32>) {
        Binding::new(queue, |_| ())
    }

    fn fill(sink: &Sink<u32>, values: std::ops::Range<u32>) -> usize {
        values.filter(|&value| sink.push(value, 4).began_to_overflow).count()
    }

    #[test]
    fn the_oldest_make_room() {
        let (binding, sink) = binding(Queue::drop_oldest(3));
        assert_eq!(fill(&sink, 0..10), 1, "one warning an episode");
        assert_eq!(binding.try_iter().collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(binding.dropped(), 7);
        assert_eq!(fill(&sink, 0..10), 1, "and one in the next");
    }

    #[test]
    fn the_newest_are_dropped() {
        let (binding, sink) = binding(Queue::drop_newest(3));
        assert_eq!(fill(&sink, 0..10), 1);
        assert_eq!(binding.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(binding.dropped(), 7);
    }

    #[test]
    fn unbounded_keeps_all_and_zero_counts_as_one() {
        let (binding_all, sink) = binding(Queue::unbounded());
        assert_eq!(fill(&sink, 0..10_000), 0);
        assert_eq!((binding_all.len(), binding_all.dropped()), (10_000, 0));
        let (one, sink) = binding(Queue::drop_oldest(0));
        fill(&sink, 0..3);
        assert_eq!(one.try_iter().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn it_disconnects_with_its_sink_after_what_is_queued() {
        let (binding, sink) = binding(Queue::default());
        fill(&sink, 0..2);
        drop(sink);
        assert_eq!((&binding).into_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(binding.recv().is_err());
    }

    /// Sizes as they are told, without the queue's own share.
    fn sized(queue: Queue) -> (Binding<usize>, impl FnMut(usize) -> Pushed) {
        let (binding, sink) = Binding::new(queue, |_| ());
        (binding, move |size| sink.push(size, size - SLOT))
    }

    fn waiting(binding: &Binding<usize>) -> Vec<usize> {
        binding.try_iter().collect()
    }

    #[test]
    fn bytes_count_as_values_do() {
        let (binding, mut push) = sized(Queue::drop_oldest(100).max_bytes(1_000));
        let warnings = [400, 400, 200, 100, 100, 900].map(|size| push(size).began_to_overflow);
        assert_eq!(warnings, [false, false, false, true, false, false], "once an episode");
        assert_eq!(waiting(&binding), [100, 900]);
        assert_eq!(binding.dropped(), 4);
        assert!([900, 900].map(|size| push(size).began_to_overflow)[1], "once in the next");

        let (binding, mut push) = sized(Queue::drop_newest(100).max_bytes(1_000));
        let queued = [400, 400, 300, 200, 100].map(|size| push(size).queued);
        assert_eq!(queued, [true, true, false, true, false]);
        assert_eq!((waiting(&binding), binding.dropped()), (vec![400, 400, 200], 2));
    }

    #[test]
    fn a_single_value_may_be_larger() {
        for queue in [Queue::drop_oldest(9), Queue::drop_newest(9)] {
            let (binding, mut push) = sized(queue.max_bytes(100));
            assert!(push(5_000).queued);
            push(50);
            let left = if queue == Queue::drop_oldest(9) { 50 } else { 5_000 };
            assert_eq!((waiting(&binding), binding.dropped()), (vec![left], 1));
            assert!(push(5_000).queued, "nothing waits");
        }
        let (binding, mut push) = sized(Queue::drop_oldest(9).max_bytes(0));
        assert_eq!([push(50).dropped, push(60).dropped], [0, 1]);
        assert_eq!(waiting(&binding), [60]);
    }

    #[test]
    fn what_consumers_take_makes_room_at_once() {
        let (binding, mut push) = sized(Queue::drop_oldest(100).max_bytes(1_000));
        let second = Receiver::clone(&binding);
        for round in 0..100 {
            assert_eq!([600, 400].map(|size| push(size).dropped), [0, 0], "round {round}");
            assert_eq!((binding.recv(), second.recv()), (Ok(600), Ok(400)));
        }
        for size in [500, 100, 200] {
            push(size);
        }
        assert_eq!(second.recv(), Ok(500));
        // 300 are left.
        assert_eq!([push(700).dropped, push(100).dropped], [0, 1]);
        assert_eq!(waiting(&binding), [200, 700, 100]);
    }

    #[test]
    fn unbounded_knows_no_bytes() {
        let (binding, mut push) = sized(Queue::unbounded().max_bytes(50));
        assert!((0..1_000).all(|_| push(1_000).queued));
        assert_eq!((waiting(&binding).len(), binding.dropped()), (1_000, 0));
    }

    #[test]
    fn every_value_is_either_received_or_counted() {
        const VALUES: u64 = 20_000;
        let (binding, mut push) = sized(Queue::drop_oldest(64).max_bytes(5_000));
        let receivers = [Receiver::clone(&binding), Receiver::clone(&binding)];
        let taken = std::thread::scope(|scope| {
            let consumers =
                receivers.map(|receiver| scope.spawn(move || receiver.iter().count() as u64));
            for value in 0..VALUES {
                push(SLOT + value as usize % 1_000);
            }
            drop(push);
            let counts = consumers.map(|consumer| consumer.join().unwrap());
            counts.iter().sum::<u64>()
        });
        assert_eq!(taken + binding.dropped(), VALUES);
    }
}
