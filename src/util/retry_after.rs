//! The `Retry-After` header of servers, proxies and endpoints (RFC 9110, section 10.2.3).

use std::time::{Duration, UNIX_EPOCH};

/// The longest wait. Longer ones are shortened to it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the wait that a refusal requests, in seconds or until a date. `wall` is the present time since 1970. A date
/// in the past is a wait of zero.
///
/// `None` for statuses other than 429 and 503: with 3xx the header is about the redirect, which is not followed.
pub(crate) fn retry_after(status: u16, header: Option<&str>, wall: Duration) -> Option<Duration> {
    if !matches!(status, 429 | 503) {
        return None;
    }
    let text = header?.trim();
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not parse is too large.
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(date.saturating_sub(wall).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const THEN: Duration = Duration::from_secs(784_111_777);

    fn seconds(text: &str) -> Option<u64> {
        assert_eq!(retry_after(429, Some(text), THEN), retry_after(503, Some(text), THEN));
        retry_after(503, Some(text), THEN).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_taken_up_to_a_day() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds(" 120 "), Some(120));
        for long in ["86401", "18446744073709551615", "99999999999999999999999999"] {
            assert_eq!(seconds(long), Some(86_400), "{long}");
        }
        for wrong in ["", " ", "-1", "+1", "1.5", "1s", "soon", "1 2"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_of_all_three_forms_are_taken() {
        for date in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(seconds(date), Some(60), "{date}");
        }
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "now");
        assert_eq!(seconds("Sat, 01 Jan 1994 00:00:00 GMT"), Some(0), "it has passed");
        assert_eq!(seconds("Fri, 31 Dec 9999 23:59:59 GMT"), Some(86_400));
        for wrong in ["Sun, 06 Nov 1994 08:49:37", "Sun, 99 Nov 1994 08:49:37 GMT", "1994-11-06"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_refusals_for_now_are_waited_for() {
        for status in [200, 301, 302, 400, 404, 500, 502] {
            assert_eq!(retry_after(status, Some("7"), THEN), None, "{status}");
        }
        assert_eq!(retry_after(503, None, THEN), None);
    }
}
