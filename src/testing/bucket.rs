//! The rate limit of client events.

use std::time::Instant;

/// Holds at most `limit` tokens and gains as many per second.
pub(super) struct Bucket {
    limit: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        let limit = f64::from(limit);
        Self { limit, left: limit, at: now }
    }

    /// Takes a token. Returns `false` if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = passed.mul_add(self.limit, self.left).min(self.limit);
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bucket_empties_and_refills() {
        let start = crate::util::clock::now();
        let mut bucket = Bucket::new(10, start);
        let mut taken = |now| (0..50).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(start), 10);
        assert_eq!(taken(start + Duration::from_millis(250)), 2);
        assert_eq!(taken(start + Duration::from_secs(100)), 10);
        assert!(!Bucket::new(0, start).take(start + Duration::from_secs(9)));
    }
}
