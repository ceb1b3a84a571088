//! What a worker leaves behind in order, however it ends.

use std::sync::Arc;

use crate::driver::Shared;
use crate::driver::shares::{End, Turn};

/// Ends a turn, if it has not ended with a response: in a panic, or since nothing was asked.
pub(super) struct LeaveTurn<'a> {
    pub(super) shared: &'a Shared,
    pub(super) turn: Turn,
}

impl Drop for LeaveTurn<'_> {
    fn drop(&mut self) {
        self.shared.read(|core| core.authorizers.shares.end(self.turn, End::NotAsked));
    }
}

/// Counts the worker out, however it ends. If questions have come meanwhile, another one starts.
pub(super) struct LeavePool<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) given_up: bool,
}

impl Drop for LeavePool<'_> {
    fn drop(&mut self) {
        if self.given_up {
            // It was counted out when that happened.
            return;
        }
        let again = self.shared.read(|core| {
            let pool = &mut core.authorizers;
            let again = pool.next_index().is_some();
            if !again {
                pool.workers -= 1;
            }
            again
        });
        if again {
            self.shared.start_worker();
        }
    }
}
