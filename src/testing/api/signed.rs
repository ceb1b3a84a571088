//! The signature of a request. It knows no clock.

use super::Refusal;
use crate::auth::signature::{api_text, body_md5, sign};
use crate::testing::http::Request;
use crate::testing::settings::Settings;

/// How far the client's clock may be off, in seconds.
const MAX_SKEW: u64 = 600;

/// Checks key, version, timestamp and signature of a request. `now` is in seconds since 1970.
pub(super) fn check(settings: &Settings, request: &Request, now: u64) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(401, why);
    let query = request.query();
    let required = |name: &str| {
        let found = query.iter().find(|(given, _)| given == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| refuse(format!("Missing parameter: {name}")))
    };
    if required("auth_key")? != settings.key {
        return Err(refuse("auth_key should be a valid app key".to_owned()));
    }
    let version = required("auth_version")?;
    if version != "1.0" {
        return Err(refuse(format!("Version not supported: {version:.20}")));
    }
    let stamp = required("auth_timestamp")?;
    let time: u64 = stamp.parse().map_err(|_| {
        refuse(format!("Invalid timestamp {stamp:.40}: must be in seconds since 1970"))
    })?;
    if time.abs_diff(now) > MAX_SKEW {
        return Err(refuse(format!(
            "Timestamp expired: Given timestamp ({}) not within {MAX_SKEW}s of server time ({})",
            utc(time),
            utc(now)
        )));
    }
    if !request.body.is_empty() {
        let (given, right) = (required("body_md5")?, body_md5(&request.body));
        if given != right {
            return Err(refuse(format!(
                "Invalid body_md5: the MD5 of the body is {right}, but you sent {given:.100}"
            )));
        }
    }
    let given = required("auth_signature")?;
    let params: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| name != "auth_signature")
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let text = api_text(&request.method, request.path(), &params);
    if given != sign(&settings.secret, &text) {
        return Err(refuse(format!(
            "Invalid signature: you should have sent HmacSHA256Hex({text:?}, your_secret_key), but \
             you sent {given:?}"
        )));
    }
    Ok(())
}

/// Such as `2013-01-01T00:00:00Z`; in seconds if it is too far away for that.
fn utc(seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let Some((year, month, day)) = i64::try_from(days).ok().and_then(date) else {
        return seconds.to_string();
    };
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date that many days after 1970-01-01, in the Gregorian calendar; years begin in March, so that the leap day is
/// the last one.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    const ERA: i64 = 146_097;
    let days = days.checked_add(719_468)?;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let year = year + era * 400 + i64::from(month >= 10);
    Some((year, (month + 2) % 12 + 1, day - (153 * month + 2) / 5 + 1)).filter(|_| year < 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_353_088_179;

    /// The example of Pusher's documentation.
    fn example() -> (Settings, Request) {
        let settings =
            Settings::default().key("278d425bdf160c739803").secret("7ad3773142a6692b25b8");
        let target = "/apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179\
                      &auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f\
                      &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";
        let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let request = Request {
            method: "POST".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            keeps_alive: true,
        };
        (settings, request)
    }

    #[test]
    fn example_of_the_documentation_is_accepted_for_ten_minutes() {
        let (settings, request) = example();
        for now in [NOW - 600, NOW, NOW + 600] {
            assert!(check(&settings, &request, now).is_ok(), "{now}");
        }
        for (now, time) in
            [(NOW - 601, "2012-11-16T17:39:38Z"), (NOW + 601, "2012-11-16T17:59:40Z")]
        {
            let Refusal(status, text) = check(&settings, &request, now).unwrap_err();
            let expected = format!(
                "Timestamp expired: Given timestamp (2012-11-16T17:49:39Z) not within 600s of \
                 server time ({time})"
            );
            assert_eq!((status, text), (401, expected));
        }
    }

    #[test]
    fn every_change_is_refused() {
        for (from, to, expected) in [
            ("auth_key=", "key=", "Missing parameter: auth_key"),
            ("278d", "278e", "auth_key should be a valid app key"),
            ("auth_version=1.0", "auth_version=2", "Version not supported: 2"),
            ("auth_timestamp=", "time=", "Missing parameter: auth_timestamp"),
            ("auth_timestamp=1", "auth_timestamp=x", "Invalid timestamp x353088179"),
            ("body_md5=", "md5=", "Missing parameter: body_md5"),
            ("body_md5=e", "body_md5=0", "Invalid body_md5: the MD5 of the body is ec36"),
            ("auth_signature=", "signature=", "Missing parameter: auth_signature"),
            ("auth_signature=d", "auth_signature=0", "Invalid signature: you should have sent"),
            ("/apps/3/", "/apps/4/", "HmacSHA256Hex(\"POST\\n/apps/4/events\\nauth_key=278d"),
            ("auth_key=", "a=b&auth_key=", "\\na=b&auth_key="),
        ] {
            let (settings, mut request) = example();
            request.target = request.target.replacen(from, to, 1);
            let Refusal(status, text) = check(&settings, &request, NOW).unwrap_err();
            assert_eq!(status, 401);
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("7ad3773142a6692b25b8"));
        }
        let (settings, mut request) = example();
        request.body.push(b' ');
        assert!(check(&settings, &request, NOW).is_err());
        let (settings, mut request) = example();
        request.method = "PUT".to_owned();
        assert!(check(&settings, &request, NOW).is_err());
    }

    #[test]
    fn times_are_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(utc(seconds), expected);
        }
    }
}
