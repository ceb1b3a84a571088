//! Memory that a flood has taken and that is no longer needed. It knows nothing of what is in it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Room for so many elements is never worth giving back.
const KEPT: usize = 64;

/// A collection whose memory grows with its content, and does not shrink with it.
pub(crate) trait GiveBack {
    /// Shrinks it, contents kept, if less than a quarter of its room is in use.
    fn give_back(&mut self);
}

/// To how much a collection is shrunk, if it is.
fn target(capacity: usize, len: usize) -> Option<usize> {
    let wanted = len.max(KEPT);
    (capacity > 4 * wanted).then_some(2 * wanted)
}

impl<T> GiveBack for Vec<T> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.capacity(), self.len()) {
            self.shrink_to(target);
        }
    }
}

impl<T> GiveBack for VecDeque<T> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.capacity(), self.len()) {
            self.shrink_to(target);
        }
    }
}

impl<K: Eq + Hash, V> GiveBack for HashMap<K, V> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.capacity(), self.len()) {
            self.shrink_to(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the room for this many, after all but some have gone.
    fn left<C: GiveBack>(mut of: C, capacity: fn(&C) -> usize) -> usize {
        of.give_back();
        let left = capacity(&of);
        of.give_back();
        assert_eq!(capacity(&of), left, "it is done at once");
        left
    }

    #[test]
    fn what_is_mostly_empty_shrinks_and_nothing_else_does() {
        for len in [0, 1, KEPT, 10 * KEPT] {
            let needed = len.max(KEPT);
            for capacity in [needed, 4 * needed, 4 * needed + 1, 1000 * needed] {
                let mut list = Vec::with_capacity(capacity);
                list.resize(len, 7);
                let mut queue = VecDeque::with_capacity(capacity);
                queue.resize(len, 7);
                let mut map = HashMap::with_capacity(capacity);
                map.extend((0..len).map(|key| (key, 7)));
                for (before, left) in [
                    (list.capacity(), left(list, Vec::capacity)),
                    (queue.capacity(), left(queue, VecDeque::capacity)),
                    (map.capacity(), left(map, HashMap::capacity)),
                ] {
                    if before > 4 * needed {
                        assert!(
                            (needed..=4 * needed).contains(&left),
                            "{left} of {before} for {len}"
                        );
                    } else {
                        assert_eq!(left, before);
                    }
                }
            }
        }
    }
}
