//! Formats durations with units.

use std::time::Duration;

/// Returns the duration with its unit: `250 ms`, `2 s`, `1.5 s`, `1 min 30 s`, `2 h`, `3 d 4 h`.
pub(crate) fn words(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    if duration < Duration::from_millis(1) && !duration.is_zero() {
        return format!("{} µs", duration.as_micros());
    }
    if seconds == 0 && !duration.is_zero() {
        return format!("{} ms", duration.as_millis());
    }
    if seconds < 60 {
        let hundredths = duration.as_millis() / 10;
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        return format!("{} s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    let mut left = seconds;
    let parts = UNITS.iter().map(|&(size, unit)| {
        let count = left / size;
        left %= size;
        (count, unit)
    });
    // Two units are precise enough.
    let parts = parts.skip_while(|&(count, _)| count == 0).take(2).filter(|&(count, _)| count > 0);
    parts.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let ms = Duration::from_millis;
        for (duration, expected) in [
            (Duration::ZERO, "0 s"),
            (Duration::from_nanos(1), "0 µs"),
            (Duration::from_micros(250), "250 µs"),
            (ms(1), "1 ms"),
            (ms(999), "999 ms"),
            (ms(1_000), "1 s"),
            (ms(1_500), "1.5 s"),
            (ms(1_259), "1.25 s"),
            (ms(10_050), "10.05 s"),
            (ms(59_999), "59.99 s"),
            (ms(60_000), "1 min"),
            (ms(90_900), "1 min 30 s"),
            (ms(3_600_000), "1 h"),
            (ms(3_601_000), "1 h"),
            (ms(7_500_000), "2 h 5 min"),
            (ms(90_000_000), "1 d 1 h"),
        ] {
            assert_eq!(words(duration), expected, "{duration:?}");
        }
        assert!(words(Duration::MAX).ends_with(" h"));
    }
}
