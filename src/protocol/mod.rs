//! The protocol, sans IO: it knows no socket, thread, lock or clock.
//!
//! [`Machine`] is driven from outside by four kinds of method:
//!
//! 1. getters, which change nothing;
//! 2. what the user wants (`connect`, `subscribe`, …);
//! 3. `handle_*`: what came in, from a connection or from the clock;
//! 4. [`Machine::poll_output`] and [`Machine::alarm`]: what to do next.
//!
//! After every call of kind 2 or 3, take the outputs until there are none, then call
//! [`Machine::handle_timeout`] at the time of the alarm (earlier or more often does no harm). Whatever belongs
//! to one dial carries its generation; what comes in with an older one is dropped.

mod backoff;
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
#[cfg(all(feature = "encrypted", feature = "testing"))]
pub(crate) use crypto::Key;
#[cfg(test)]
pub(crate) use machine::Ping;
pub(crate) use machine::{Alarm, Cause, Config, Machine, USER_CHANNEL_PREFIX};
pub(crate) use output::{ChannelNotice, LogLine, Notice, Output, UserNotice};

/// The time, as given to the core. All count from origins of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Never goes back. It may stand still while the machine is suspended.
    pub(crate) mono: Duration,
    /// How long the machine was suspended while `mono` stood still. Never goes back.
    pub(crate) suspended: Duration,
    /// What people call the time. It may be set to anything, so a jump of it is only a reason to check
    /// the connection.
    pub(crate) wall: Duration,
}

impl Now {
    /// The time that has really passed.
    fn elapsed(self) -> Duration {
        self.mono.saturating_add(self.suspended)
    }

    /// How long ago `then` was.
    fn since(self, then: Self) -> Duration {
        self.elapsed().saturating_sub(then.elapsed())
    }
}
