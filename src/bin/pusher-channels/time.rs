//! Times and durations as text.

use std::time::{Duration, Instant, SystemTime};

/// Returns the present time, for deadlines.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the program, as that of the library is private"
)]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Returns the present time by this device's clock.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the present time as RFC 3339 with milliseconds, in UTC.
pub(crate) fn text_now() -> String {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is not set.
    rfc3339(since.unwrap_or_default())
}

/// Formats a time since 1970.
fn rfc3339(since: Duration) -> String {
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns year, month and day, counted from 1. The calendar repeats every 400 years, which are counted from the first
/// of March so that a leap day is the last day of its year.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Reads a duration: a number with `ms`, `s`, `m` or `h`; seconds without a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_each = match text.strip_prefix(digits).unwrap_or_default() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("the unit must be `ms`, `s`, `m` or `h`".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "must be a number, such as `30s`".to_owned())?;
    let duration = Duration::try_from_secs_f64(number * seconds_each)
        .map_err(|_| "must not be negative and not longer than a year".to_owned())?;
    match duration.is_zero() || duration > Duration::from_secs(366 * 86_400) {
        true => Err("must be greater than zero and not longer than a year".to_owned()),
        false => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u -d @… --iso-8601=seconds` writes them.
    #[test]
    fn dates_match_those_of_the_system() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
        assert_eq!(rfc3339(Duration::from_millis(1_234)), "1970-01-01T00:00:01.234Z");
    }

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("1.5m", 90_000), ("2h", 7_200_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "0", "5d", "1e99h", "NaN", "inf", "1 s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
