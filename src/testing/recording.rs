//! What the server keeps of what it has received.

use std::collections::VecDeque;

/// No more bytes than this are kept.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The last items, limited by count and bytes.
pub(super) struct Recording<T> {
    /// With the bytes that each takes.
    items: VecDeque<(T, usize)>,
    bytes: usize,
    max_items: usize,
}

impl<T: Clone> Recording<T> {
    pub(super) fn new(max_items: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, max_items }
    }

    pub(super) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += bytes;
        self.items.push_back((item, bytes));
        while self.items.len() > self.max_items || self.bytes > MAX_BYTES {
            let Some((_, bytes)) = self.items.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }

    pub(super) fn all(&self) -> Vec<T> {
        self.items.iter().map(|(item, _)| item.clone()).collect()
    }
}
