//! The user's end of a subscription to news: one receiver each.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

/// How much a [`Binding`] keeps for a consumer that is slow.
///
/// The client never waits for a consumer. It takes memory only as it fills.
///
/// Default: `Queue::drop_oldest(4096)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue(Policy);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    DropOldest(usize),
    DropNewest(usize),
    Unbounded,
}

impl Queue {
    /// Keeps the newest `limit` values; an older one makes room. A limit of 0 counts as 1.
    pub fn drop_oldest(limit: usize) -> Self {
        Self(Policy::DropOldest(limit.max(1)))
    }

    /// Keeps the first `limit` values; a newer one is dropped while they wait. A limit of 0 counts as 1.
    pub fn drop_newest(limit: usize) -> Self {
        Self(Policy::DropNewest(limit.max(1)))
    }

    /// Keeps everything. The consumer must keep up, or the memory runs out.
    pub fn unbounded() -> Self {
        Self(Policy::Unbounded)
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
    counter: Arc<Counter>,
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
        let sink = Sink { sender, receiver: receiver.clone(), queue, counter: counter.clone() };
        (Self { receiver, counter, unbind: Some(Box::new(unbind)) }, sink)
    }

    /// How many values were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.counter.dropped.load(Ordering::Relaxed)
    }
}

impl<T> Sink<T> {
    pub(crate) fn belongs_to(&self, counter: &Arc<Counter>) -> bool {
        Arc::ptr_eq(&self.counter, counter)
    }

    /// Queues a value without waiting. Only one thread at a time may push.
    pub(crate) fn push(&self, value: T) -> Pushed {
        let (limit, oldest) = match self.queue.0 {
            Policy::DropOldest(limit) => (limit, true),
            Policy::DropNewest(limit) => (limit, false),
            Policy::Unbounded => (usize::MAX, false),
        };
        let waiting = self.sender.len();
        if waiting < limit {
            if waiting <= limit / 2 && self.counter.overflowing.load(Ordering::Relaxed) {
                self.counter.overflowing.store(false, Ordering::Relaxed);
            }
            // It has a receiver of its own, so it cannot be disconnected.
            let _ = self.sender.send(value);
            return Pushed { queued: true, dropped: 0, began_to_overflow: false };
        }
        let mut dropped = 0;
        if oldest {
            // The consumer may take some meanwhile, which makes room just as well.
            while self.sender.len() >= limit && self.receiver.try_recv().is_ok() {
                dropped += 1;
            }
            let _ = self.sender.send(value);
        } else {
            dropped = 1;
        }
        self.counter.dropped.fetch_add(dropped, Ordering::Relaxed);
        let began_to_overflow =
            dropped > 0 && !self.counter.overflowing.swap(true, Ordering::Relaxed);
        Pushed { queued: oldest, dropped, began_to_overflow }
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
        values.filter(|&value| sink.push(value).began_to_overflow).count()
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
}
