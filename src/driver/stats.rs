//! Counts frames and events, and puts [`Stats`] together.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;
use crate::Stats;

/// Totals since the client was built. Each is exact; together they may be of slightly different moments.
#[derive(Debug, Default)]
pub(super) struct Counts {
    frames_in: AtomicU64,
    bytes_in: AtomicU64,
    frames_out: AtomicU64,
    bytes_out: AtomicU64,
    queued: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    pub(super) fn received(&self, frames: u64, bytes: u64) {
        self.frames_in.fetch_add(frames, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.frames_out.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, queued: u64, dropped: u64) {
        if queued + dropped > 0 {
            self.queued.fetch_add(queued, Ordering::Relaxed);
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        self.clock.notice_suspends();
        let now = self.clock.now();
        let counts = &self.counts;
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut core = self.lock();
        let (outbox, outbox_dropped) = core.machine.outbox_counts(now);
        let machine = &core.machine;
        Stats {
            state: machine.state(),
            state_for: machine.state_for(now),
            dials: machine.dials(),
            connections: machine.connections(),
            attempt: machine.attempt(),
            frames_in: total(&counts.frames_in),
            bytes_in: total(&counts.bytes_in),
            frames_out: total(&counts.frames_out),
            bytes_out: total(&counts.bytes_out),
            events_delivered: total(&counts.queued),
            events_dropped: total(&counts.dropped),
            last_ping: machine.last_pong().map(|(_, took)| took),
            auth_requests: core.auth_pool.requests,
            auth_failures: core.auth_pool.failures,
            outbox,
            outbox_dropped,
        }
    }
}
