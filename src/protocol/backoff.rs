//! How long to wait before the next dial.

use std::time::Duration;

/// Pusher's documentation asks for at least this before a retry after close codes 4100–4199.
const SERVER_BUSY_FLOOR: Duration = Duration::from_secs(1);

/// What follows a lost connection or a failed dial.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    Never,
    Backoff {
        initial: Duration,
        max: Duration,
        max_attempts: Option<u32>,
    },
    /// The user decides, outside the core.
    Ask,
}

impl Policy {
    /// The wait before retry number `attempt` when the server has said nothing about it.
    pub(crate) fn plain_wait(&self, attempt: u32, random: f64) -> Option<Duration> {
        wait(self, CloseClass::Plain, attempt, false, random)
    }
}

/// What a close code, from a close frame or from an error frame, asks of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseClass {
    /// 4000–4099 and everything from 4300: the same will be refused again.
    Stop,
    /// 4100–4199: the server is busy.
    Later,
    /// 4200–4299: the server only wants this connection to be made anew.
    AtOnce,
    /// Nothing that the protocol defines.
    Plain,
}

impl CloseClass {
    pub(super) fn of(code: Option<u16>) -> Self {
        match code {
            Some(4000..=4099 | 4300..=4999) => Self::Stop,
            Some(4100..=4199) => Self::Later,
            Some(4200..=4299) => Self::AtOnce,
            _ => Self::Plain,
        }
    }
}

/// The wait before retry number `attempt` (from 1), or `None` to give up.
///
/// `random` is from 0 to 1. `was_stable` tells whether the lost connection had lasted.
pub(super) fn wait(
    policy: &Policy,
    class: CloseClass,
    attempt: u32,
    was_stable: bool,
    random: f64,
) -> Option<Duration> {
    let Policy::Backoff { initial, max, max_attempts } = policy else {
        return None;
    };
    if class == CloseClass::Stop || max_attempts.is_some_and(|most| attempt > most) {
        return None;
    }
    if class == CloseClass::AtOnce && was_stable {
        return Some(Duration::ZERO);
    }
    let doublings = attempt.saturating_sub(1).min(31);
    let ceiling = initial.saturating_mul(1 << doublings).min(*max);
    // Multiplying the duration itself panics where rounding takes it past the largest one.
    let seconds = ceiling.as_secs_f64() * random.clamp(0.0, 1.0);
    let jittered = Duration::try_from_secs_f64(seconds).map_or(ceiling, |wait| wait.min(ceiling));
    match class {
        CloseClass::Later => Some(jittered.max(SERVER_BUSY_FLOOR)),
        _ => Some(jittered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> Policy {
        Policy::Backoff { initial: SECOND, max: 30 * SECOND, max_attempts: None }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_never_overflows() {
        let at = |attempt| wait(&policy(), CloseClass::Plain, attempt, false, 1.0).unwrap();
        let seconds: Vec<u64> = (1..8).map(|attempt| at(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(at(u32::MAX), 30 * SECOND);
        let endless =
            Policy::Backoff { initial: Duration::MAX, max: Duration::MAX, max_attempts: None };
        assert_eq!(wait(&endless, CloseClass::Plain, u32::MAX, false, 1.0), Some(Duration::MAX));
    }

    #[test]
    fn the_jitter_is_full() {
        let at = |random| wait(&policy(), CloseClass::Plain, 3, false, random).unwrap();
        assert_eq!(at(0.0), Duration::ZERO);
        assert_eq!(at(0.5), 2 * SECOND);
    }

    #[test]
    fn every_close_code_has_its_class() {
        for code in (0..=u16::MAX).map(Some).chain([None]) {
            let expected = match code.unwrap_or(0) {
                4000..=4099 => CloseClass::Stop,
                4100..=4199 => CloseClass::Later,
                4200..=4299 => CloseClass::AtOnce,
                4300..=4999 => CloseClass::Stop,
                _ => CloseClass::Plain,
            };
            assert_eq!(CloseClass::of(code), expected, "{code:?}");
        }
    }

    #[test]
    fn classes_change_the_wait() {
        let at = |class, stable| wait(&policy(), class, 1, stable, 0.0);
        assert_eq!(at(CloseClass::Stop, true), None);
        assert_eq!(at(CloseClass::Later, true), Some(SECOND));
        assert_eq!(at(CloseClass::AtOnce, true), Some(Duration::ZERO));
        let unstable = wait(&policy(), CloseClass::AtOnce, 2, false, 1.0);
        assert_eq!(unstable, Some(2 * SECOND));
    }

    #[test]
    fn it_gives_up_after_the_last_attempt() {
        let policy = Policy::Backoff { initial: SECOND, max: SECOND, max_attempts: Some(2) };
        let at = |attempt| wait(&policy, CloseClass::Plain, attempt, false, 0.0);
        assert!(at(2).is_some());
        assert!(at(3).is_none());
        assert!(wait(&Policy::Never, CloseClass::AtOnce, 1, true, 0.0).is_none());
    }
}
