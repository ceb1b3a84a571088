//! The protocol core, sans-IO: it must not know sockets, threads, locks or clocks.
//!
//! [`Machine`] has four kinds of methods:
//!
//! 1. getters, which change nothing;
//! 2. requests of the user (`connect`, `subscribe`, …);
//! 3. `handle_*`: inputs from a connection or from the clock;
//! 4. [`Machine::poll_output`] and [`Machine::alarm`]: what to do next.
//!
//! After every call of kind 2 or 3, poll the outputs until there are none, then call [`Machine::handle_timeout`] at
//! the time of the alarm (earlier or more often does no harm). Everything that belongs to one dial carries its
//! generation; inputs with an older one are dropped.

mod backoff;
mod close_code;
#[cfg(feature = "encrypted")]
pub(crate) mod crypto;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod harness;
pub(crate) mod machine;
mod output;
pub(crate) mod presence;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use backoff::{Backoff, Policy};
#[cfg(all(feature = "encrypted", any(feature = "testing", feature = "publisher")))]
pub(crate) use crypto::Key;
#[cfg(test)]
pub(crate) use machine::Ping;
pub(crate) use machine::{Alarm, Cause, Config, Machine, OutboxLimits, USER_CHANNEL_PREFIX};
pub(crate) use output::{ChannelNotification, LogLine, Notification, Output, UserNotification};

/// The time of an input. The caller chooses the origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// The monotonic clock. It may stand still while the device is suspended.
    pub(crate) mono: Duration,
    /// The time during which the device was suspended and `mono` stood still. Never goes back.
    pub(crate) suspended: Duration,
    /// The wall clock. It can be set to anything, so a jump of it only makes the client check the connection.
    pub(crate) wall: Duration,
}

impl Now {
    /// Returns the monotonic time including suspends.
    fn elapsed(self) -> Duration {
        self.mono.saturating_add(self.suspended)
    }

    /// Returns the time since `then`, including suspends.
    fn since(self, then: Self) -> Duration {
        self.elapsed().saturating_sub(then.elapsed())
    }
}
