//! Counts frames and events, and puts [`Stats`] together.

use super::Shared;
use crate::Stats;
use crate::util::count::Count;

/// Totals since the client was built. Each is exact; together they may be of slightly different moments.
#[derive(Debug, Default)]
pub(super) struct Counts {
    frames_in: Count,
    bytes_in: Count,
    frames_out: Count,
    bytes_out: Count,
    queued: Count,
    dropped: Count,
}

impl Counts {
    pub(super) fn received(&self, frames: u64, bytes: u64) {
        self.frames_in.add(frames);
        self.bytes_in.add(bytes);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.frames_out.add(1);
        self.bytes_out.add(bytes as u64);
    }

    pub(super) fn delivered(&self, queued: u64, dropped: u64) {
        if queued + dropped > 0 {
            self.queued.add(queued);
            self.dropped.add(dropped);
        }
    }
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        self.clock.notice_suspends();
        let now = self.clock.now();
        let counts = &self.counts;
        let mut core = self.lock();
        let (outbox, outbox_dropped) = core.machine.outbox_counts(now);
        let machine = &core.machine;
        Stats {
            state: machine.state(),
            state_for: machine.state_for(now),
            dials: machine.dials(),
            connections: machine.connections(),
            attempt: machine.attempt(),
            frames_in: counts.frames_in.get(),
            bytes_in: counts.bytes_in.get(),
            frames_out: counts.frames_out.get(),
            bytes_out: counts.bytes_out.get(),
            events_delivered: counts.queued.get(),
            events_dropped: counts.dropped.get(),
            last_ping: machine.last_pong().map(|(_, took)| took),
            auth_requests: core.auth_pool.requests,
            auth_failures: core.auth_pool.failures,
            outbox,
            outbox_dropped,
        }
    }
}
