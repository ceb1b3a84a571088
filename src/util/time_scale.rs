//! How much longer than usual the tests wait. Those in `tests` have this file too.

use std::time::Duration;

/// The upper limit of a test, times `PUSHER_TEST_TIME_SCALE` (such as 10 or 2.5), for slow machines and emulators.
///
/// The variable is read when the tests are compiled, so that limits can be constants.
pub(crate) const fn scaled(limit: Duration) -> Duration {
    match option_env!("PUSHER_TEST_TIME_SCALE") {
        None => limit,
        Some(scale) => times(limit, scale),
    }
}

pub(super) const fn times(limit: Duration, scale: &str) -> Duration {
    let mut rest = scale.as_bytes();
    // The number without its point, and what it has to be divided by.
    let (mut digits, mut divisor, mut pointed) = (0_u32, 1, false);
    while let [first, after @ ..] = rest {
        match first {
            b'0'..=b'9' if scale.len() < 8 => {
                digits = 10 * digits + (*first - b'0') as u32;
                divisor *= if pointed { 10 } else { 1 };
            }
            b'.' if !pointed => pointed = true,
            _ => panic!("PUSHER_TEST_TIME_SCALE must be a positive number, such as 10 or 2.5"),
        }
        rest = after;
    }
    assert!(digits > 0, "PUSHER_TEST_TIME_SCALE must be a positive number, such as 10 or 2.5");
    limit.saturating_mul(digits).checked_div(divisor).expect("a divisor of 1 or more")
}
