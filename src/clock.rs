//! The one place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, as time since 1970; zero if it is set before that.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
