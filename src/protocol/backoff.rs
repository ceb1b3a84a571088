//! The wait before the next dial, by the class of the close code, and before the next request to an endpoint.

use std::time::Duration;

use super::close_code::CloseClass;
use crate::Error;

/// Pusher's documentation requires at least this before a retry after close codes 4100–4199.
const SERVER_BUSY_FLOOR: Duration = Duration::from_secs(1);

/// The longest wait that a server or an endpoint can request.
const MAX_REQUESTED: Duration = Duration::from_secs(60 * 60);

/// A request may wait for others so many times `subscribe_timeout` or `signin_timeout`.
pub(super) const QUEUE_PATIENCE: u32 = 10;

/// What follows a lost connection or a failed dial.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    Never,
    Backoff(Backoff),
    /// The user decides, outside the core.
    Custom,
}

/// Waits that double, each of a random length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The upper end of the first wait.
    pub(crate) initial: Duration,
    /// The lower end of every wait. It counts for more than the upper ends.
    pub(crate) min: Duration,
    /// The upper end of every wait.
    pub(crate) max: Duration,
    pub(crate) max_attempts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            min: Duration::ZERO,
            max: Duration::from_secs(30),
            max_attempts: None,
        }
    }
}

/// The wait before the next dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) time: Duration,
    /// The part that the server has requested. Only the user's `reconnect()` shortens it.
    pub(super) requested: Duration,
}

impl Policy {
    /// Returns the wait before retry number `attempt` (from 1), or `None` to give up.
    ///
    /// `random` is from 0 to 1. `was_stable` is `true` if the lost connection was stable.
    pub(super) fn wait(
        &self,
        error: &Error,
        attempt: u32,
        was_stable: bool,
        random: f64,
    ) -> Option<Wait> {
        match self {
            Self::Backoff(backoff) => backoff.wait(error, attempt, was_stable, random),
            Self::Never | Self::Custom => None,
        }
    }
}

impl Backoff {
    /// As [`Policy::wait`].
    pub(super) fn wait(
        &self,
        error: &Error,
        attempt: u32,
        was_stable: bool,
        random: f64,
    ) -> Option<Wait> {
        let class = CloseClass::of(error.close_code());
        if class == CloseClass::Stop || self.max_attempts.is_some_and(|most| attempt > most) {
            return None;
        }
        let own = match class {
            CloseClass::AtOnce if was_stable => self.min,
            _ => self.jittered(attempt, random),
        };
        let requested = requested_by(error);
        Some(Wait { time: own.max(requested), requested })
    }

    /// From `min` to what has doubled with each attempt.
    fn jittered(&self, attempt: u32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        let span = ceiling.saturating_sub(self.min);
        // Multiplying the duration itself panics where rounding takes it past the largest one.
        let seconds = span.as_secs_f64() * random.clamp(0.0, 1.0);
        let jitter = Duration::try_from_secs_f64(seconds).map_or(span, |wait| wait.min(span));
        self.min.saturating_add(jitter)
    }
}

/// Returns the wait that the server or the endpoint requests with this error.
fn requested_by(error: &Error) -> Duration {
    let wait = error.retry_after().unwrap_or_default().min(MAX_REQUESTED);
    match CloseClass::of(error.close_code()) {
        CloseClass::Later => wait.max(SERVER_BUSY_FLOOR),
        CloseClass::Stop | CloseClass::AtOnce | CloseClass::Plain => wait,
    }
}

/// Returns the wait after the failure of request number `attempt` to an endpoint.
pub(super) fn retry_wait(attempt: u32, error: &Error, random: f64) -> Duration {
    Backoff::default().jittered(attempt, random).max(requested_by(error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn backoff() -> Backoff {
        Backoff::default()
    }

    fn plain() -> Error {
        Error::new(ErrorKind::Io, "connection reset")
    }

    fn coded(code: u16) -> Error {
        Error::message(ErrorKind::Server, "").with_close_code(Some(code))
    }

    fn time(backoff: Backoff, error: &Error, attempt: u32, random: f64) -> Duration {
        backoff.wait(error, attempt, false, random).unwrap().time
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_never_overflows() {
        let at = |attempt| time(backoff(), &plain(), attempt, 1.0);
        let seconds: Vec<u64> = (1..8).map(|attempt| at(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(at(u32::MAX), 30 * SECOND);
        let endless = Backoff { initial: Duration::MAX, max: Duration::MAX, ..backoff() };
        assert_eq!(time(endless, &plain(), u32::MAX, 1.0), Duration::MAX);
        let endless = Backoff { min: Duration::MAX, ..backoff() };
        assert_eq!(time(endless, &plain(), u32::MAX, 1.0), Duration::MAX);
    }

    #[test]
    fn the_jitter_is_full() {
        let at = |random| time(backoff(), &plain(), 3, random);
        assert_eq!(at(0.0), Duration::ZERO);
        assert_eq!(at(0.5), 2 * SECOND);
    }

    #[test]
    fn classes_change_the_wait() {
        let at = |code, stable| backoff().wait(&coded(code), 1, stable, 0.0);
        assert_eq!(at(4001, true), None);
        for busy in [4100, 4199, 1012, 1013] {
            assert_eq!(at(busy, true), Some(Wait { time: SECOND, requested: SECOND }), "{busy}");
        }
        let none = Duration::ZERO;
        assert_eq!(at(4200, true), Some(Wait { time: none, requested: none }));
        let unstable = backoff().wait(&coded(4200), 2, false, 1.0);
        assert_eq!(unstable, Some(Wait { time: 2 * SECOND, requested: none }));
    }

    #[test]
    fn it_gives_up_after_the_last_attempt() {
        let policy = Policy::Backoff(Backoff { max_attempts: Some(2), ..backoff() });
        let busy = plain().with_retry_after(60 * SECOND);
        assert!(policy.wait(&busy, 2, false, 0.0).is_some());
        assert!(policy.wait(&busy, 3, false, 0.0).is_none());
        assert!(Policy::Never.wait(&coded(4200), 1, true, 0.0).is_none());
    }

    #[test]
    fn a_requested_wait_is_kept_up_to_an_hour() {
        for (retry_after, requested) in [
            (Duration::ZERO, Duration::ZERO),
            (7 * SECOND, 7 * SECOND),
            (HOUR, HOUR),
            (HOUR + SECOND, HOUR),
            (Duration::MAX, HOUR),
        ] {
            let busy = plain().with_retry_after(retry_after);
            let least = Backoff { max: SECOND, ..backoff() }.wait(&busy, 1, true, 0.0);
            assert_eq!(
                least,
                Some(Wait { time: requested, requested }),
                "it is longer than the policy's"
            );
            let most = Backoff { initial: 2 * HOUR, max: 2 * HOUR, ..backoff() };
            assert_eq!(time(most, &busy, 1, 1.0), 2 * HOUR, "the policy's own is longer");
            assert_eq!(retry_wait(1, &busy, 0.0), requested, "of an endpoint");
        }
        let restarting = coded(1012).with_retry_after(SECOND / 2);
        assert_eq!(time(backoff(), &restarting, 1, 0.0), SECOND);
    }

    #[test]
    fn the_minimum_holds_after_every_kind_of_end() {
        let at_least = Backoff { min: 3 * SECOND, ..backoff() };
        for error in [plain(), coded(1006), coded(4100), coded(4200)] {
            for stable in [false, true] {
                let wait = at_least.wait(&error, 1, stable, 0.0).unwrap();
                assert_eq!(wait.time, 3 * SECOND, "{error:?}");
            }
        }
        assert!(at_least.wait(&coded(4001), 1, true, 0.0).is_none(), "it does not change the end");
        let spread = Backoff { min: SECOND / 2, ..backoff() };
        assert_eq!(time(spread, &plain(), 1, 0.5), SECOND * 3 / 4, "evenly, not piled up at it");
    }

    proptest! {
        #[test]
        fn every_wait_is_between_the_minimum_and_the_maximum(
            initial in any::<Duration>(),
            min in any::<Duration>(),
            max in any::<Duration>(),
            attempt in any::<u32>(),
            code in prop::option::of(any::<u16>()),
            was_stable in any::<bool>(),
            random in -0.5..1.5,
        ) {
            let backoff = Backoff { initial, min, max, max_attempts: None };
            let error = plain().with_close_code(code);
            if let Some(Wait { time, requested }) = backoff.wait(&error, attempt, was_stable, random) {
                prop_assert!(time >= min.max(requested));
                prop_assert!(time <= max.max(min).max(requested));
            }
        }
    }
}
