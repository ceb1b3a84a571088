//! The responses of the HTTP API.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use crate::auth::http::response::{HttpResponse, ResponseText, compressed, excerpt, is_success};
use crate::util::units::words;
use crate::wire::{each_element, each_field, id, number, pick, text};
use crate::{Error, ErrorKind};

/// By how much Pusher allows a request's time to differ from its own.
const TOLERANCE: Duration = Duration::from_secs(600);

/// What a server reported about a channel. What it did not report is `None`.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Whether the channel has subscribers.
    pub occupied: Option<bool>,
    /// The number of users, each counted once.
    pub user_count: Option<u64>,
    /// The number of subscriptions.
    pub subscription_count: Option<u64>,
    /// The last event of a cache channel.
    pub cache: Option<CachedEvent>,
}

/// The last event of a cache channel.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct CachedEvent {
    /// Its data. Some servers send the JSON of the whole event.
    pub data: String,
    /// How much longer the server keeps it, if it reported that.
    pub ttl: Option<Duration>,
}

impl fmt::Debug for CachedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = format!("[{} bytes]", self.data.len());
        f.debug_struct("CachedEvent").field("data", &data).field("ttl", &self.ttl).finish()
    }
}

/// Reads the information about one channel.
pub(super) fn channel(json: &str) -> ChannelInfo {
    let [occupied, users, subscriptions, cache] =
        pick(json, ["occupied", "user_count", "subscription_count", "cache"]);
    let cached = |json| {
        let [data, ttl] = pick(json, ["data", "ttl"]);
        let ttl = ttl.and_then(number).map(Duration::from_secs);
        Some(CachedEvent { data: text(data?)?, ttl })
    };
    ChannelInfo {
        occupied: occupied.and_then(|json| json.parse().ok()),
        user_count: users.and_then(number),
        subscription_count: subscriptions.and_then(number),
        cache: cache.and_then(cached),
    }
}

/// Reads `{"channels":{"name":{…},…}}`; without it, as some servers respond, no channels.
pub(super) fn channels(json: &str) -> BTreeMap<String, ChannelInfo> {
    let mut found = BTreeMap::new();
    let [all] = pick(json, ["channels"]);
    // No channels are an empty array for PHP.
    let _ = all.map(|all| {
        each_field(all, |name, json| {
            found.insert(name.into_owned(), channel(json));
        })
    });
    found
}

/// Reads `{"batch":[{…},…]}` for so many events. Those that the server did not report have no information.
pub(super) fn batch(json: &str, count: usize) -> Vec<ChannelInfo> {
    let mut found = Vec::with_capacity(count);
    if let [Some(all)] = pick(json, ["batch"]) {
        each_element(all, |json| found.push(channel(json)));
    }
    found.resize(count, ChannelInfo::default());
    found
}

/// Reads `{"users":[{"id":…},…]}`.
pub(super) fn users(json: &str) -> Result<Vec<String>, Error> {
    let [users] = pick(json, ["users"]);
    let users = users.filter(|users| users.starts_with('['));
    let users =
        users.ok_or_else(|| Error::message(ErrorKind::Json, "the response has no `users`"))?;
    let mut ids = Vec::new();
    each_element(users, |user| {
        let [user_id] = pick(user, ["id"]);
        ids.extend(user_id.and_then(id));
    });
    Ok(ids)
}

/// Returns the body of a successful response, which is a JSON object. `place` names the server in messages, which do
/// not show `secrets`; `wall` is the present time since 1970.
pub(super) fn body(
    response: &HttpResponse,
    place: &str,
    secrets: &[&str],
    wall: Duration,
) -> Result<String, Error> {
    let text = String::from_utf8_lossy(&response.body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let encoding = response.encoding.or_else(|| compressed(&response.body));
    let status = refused_status(text).unwrap_or(response.status);
    if is_success(response.status) && is_success(status) {
        if each_field(text, |_, _| {}).is_ok() {
            return Ok(text.to_owned());
        }
        let shown = ResponseText { text, encoding, secrets, place };
        let instead = shown.instead_of_json().unwrap_or_else(|| "is not a JSON object".to_owned());
        return Err(Error::message(ErrorKind::Json, format!("{place}: the response {instead}"))
            .with_http_status(status));
    }
    // A success that says otherwise is soketi's.
    let status = if is_success(response.status) { status } else { response.status };
    let kind = match status {
        401 | 403 => ErrorKind::Auth,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        _ => ErrorKind::Server,
    };
    let said = if encoding.is_some() { String::new() } else { excerpt(text, secrets) };
    let joint = if said.is_empty() { "" } else { ": " };
    let hint = match status {
        300..=399 => "; redirects are not followed".to_owned(),
        401 => clock(&said, response.date.as_deref(), wall),
        _ => String::new(),
    };
    let error = Error::message(kind, format!("{place}: HTTP {status}{joint}{said}{hint}"));
    let error = error.with_http_status(status);
    Err(match response.retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    })
}

/// Returns the status of a refusal that soketi puts into the body of a response with status 200:
/// `{"error":"…","code":401}`.
fn refused_status(json: &str) -> Option<u16> {
    let [error, code] = pick(json, ["error", "code"]);
    let code = u16::try_from(number(code?)?).ok()?;
    (error.is_some() && (400..=599).contains(&code)).then_some(code)
}

/// Returns a hint for a refused signature, if this device's clock may be the cause: the time is a part of it.
fn clock(said: &str, date: Option<&str>, wall: Duration) -> String {
    let about_time = said.to_ascii_lowercase().contains("timestamp");
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let Some(server) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else {
        return if about_time { "; check this device's clock".to_owned() } else { String::new() };
    };
    let skew = wall.abs_diff(server);
    if skew <= TOLERANCE && !about_time {
        return String::new();
    }
    let side = if wall < server { "behind" } else { "ahead of" };
    let skew = words(Duration::from_secs(skew.as_secs()));
    format!("; this device's clock is {skew} {side} the server's")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const THEN: Duration = Duration::from_secs(784_111_777);
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            retry_after: None,
            date: Some(DATE.to_owned()),
            encoding: None,
            location: None,
            body: body.as_bytes().to_vec(),
        }
    }

    fn read(status: u16, text: &str, wall: Duration) -> Result<String, Error> {
        body(&response(status, text), "HTTP API at h:80", &["canary-1"], wall)
    }

    /// Recorded from soketi 1.6.1 and sockudo 5.2.0.
    #[test]
    fn channels_are_read_as_servers_send_them() {
        let info = |occupied, users, subscriptions| ChannelInfo {
            occupied,
            user_count: users,
            subscription_count: subscriptions,
            cache: None,
        };
        for (json, expected) in [
            (r#"{"subscription_count":2,"occupied":true}"#, info(Some(true), None, Some(2))),
            (
                r#"{"user_count":2,"occupied":true,"subscription_count":3}"#,
                info(Some(true), Some(2), Some(3)),
            ),
            (r#"{"occupied":false}"#, info(Some(false), None, None)),
            ("{}", ChannelInfo::default()),
            (r#"{"occupied":1,"user_count":-1,"cache":null}"#, ChannelInfo::default()),
        ] {
            assert_eq!(channel(json), expected, "{json}");
        }
        let cache = channel(
            r#"{"cache":{"ttl":297,"data":"{\"event\":\"price\"}"},"subscription_count":0,"occupied":false}"#,
        );
        let data = r#"{"event":"price"}"#.to_owned();
        assert_eq!(cache.cache, Some(CachedEvent { data, ttl: Some(Duration::from_secs(297)) }));
        assert!(!format!("{cache:?}").contains("price"));

        let all = channels(
            r#"{"channels":{"pub-none":{"subscription_count":0,"acknowledgement_id":"5fe38e00"},"pub-1":{"acknowledgement_id":"517e82d8","subscription_count":2}}}"#,
        );
        assert_eq!(all.len(), 2);
        assert_eq!(all["pub-1"].subscription_count, Some(2));
        for none in [r#"{"ok":true}"#, "{}", r#"{"channels":{}}"#, r#"{"channels":[]}"#] {
            assert!(channels(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn batch_has_as_many_results_as_events() {
        let json = r#"{"batch":[{},{"subscription_count":2,"acknowledgement_id":"8ddb8573"}]}"#;
        assert_eq!(batch(json, 2)[1].subscription_count, Some(2));
        assert_eq!(batch(json, 1).len(), 1);
        for none in [r#"{"ok":true}"#, "{}", r#"{"batch":{}}"#] {
            assert_eq!(batch(none, 3), vec![ChannelInfo::default(); 3]);
        }
    }

    #[test]
    fn users_are_ids_of_any_type() {
        let json = r#"{"users":[{"id":"u-2"},{"id":17},{"id":null},{}]}"#;
        assert_eq!(users(json).unwrap(), ["u-2", "17"]);
        assert!(users(r#"{"users":[]}"#).unwrap().is_empty());
        for wrong in ["{}", r#"{"users":{}}"#] {
            assert_eq!(users(wrong).unwrap_err().kind(), ErrorKind::Json);
        }
    }

    #[test]
    fn success_is_a_json_object() {
        for good in [r#"{"ok":true}"#, "{}", "\u{feff}{}\n", r#"{"error":"x"}"#, r#"{"code":401}"#]
        {
            read(200, good, THEN).unwrap();
        }
        for (wrong, part) in [
            ("", "the response is empty"),
            ("[]", "the response is not a JSON object"),
            ("{", "the response is not a JSON object"),
            ("202 ACCEPTED", "the response is not a JSON object"),
            ("<!doctype html><title>Home</title>", "is an HTML page: `Home`"),
        ] {
            let error = read(200, wrong, THEN).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Json);
            let text = error.to_string();
            assert!(text.starts_with("HTTP API at h:80: ") && text.contains(part), "{text}");
        }
    }

    #[test]
    fn refusals_have_status_kind_and_the_servers_words() {
        for (status, text, http_status, kind, message) in [
            // sockudo
            (
                401,
                r#"{"code":"auth_failed","status":401,"error":"Invalid API signature"}"#,
                401,
                ErrorKind::Auth,
                "HTTP 401: Invalid API signature",
            ),
            (
                400,
                r#"{"error":"user_count is only available for presence channels","status":400,"code":"invalid_input"}"#,
                400,
                ErrorKind::Server,
                "HTTP 400: user_count is only available for presence channels",
            ),
            // soketi
            (
                200,
                r#"{"error":"The secret authentication failed","code":401}"#,
                401,
                ErrorKind::Auth,
                "HTTP 401: The secret authentication failed",
            ),
            (
                200,
                r#"{"error":"The event data should be less than 100 KB.","code":413}"#,
                413,
                ErrorKind::TooLarge,
                "HTTP 413: The event data should be less than 100 KB.",
            ),
            // A status of its own is believed.
            (404, r#"{"error":"a","code":500}"#, 404, ErrorKind::Server, "HTTP 404: a"),
            (
                403,
                "The app is disabled\nmore",
                403,
                ErrorKind::Auth,
                "HTTP 403: The app is disabled",
            ),
            (429, "", 429, ErrorKind::RateLimited, "HTTP 429"),
            (503, "", 503, ErrorKind::Server, "HTTP 503"),
            (302, "", 302, ErrorKind::Server, "HTTP 302; redirects are not followed"),
        ] {
            let error = read(status, text, THEN).unwrap_err();
            assert_eq!((error.kind(), error.http_status()), (kind, Some(http_status)));
            assert_eq!(error.to_string(), format!("HTTP API at h:80: {message}"));
            assert_eq!(error.is_retryable(), matches!(http_status, 429 | 503));
        }
    }

    #[test]
    fn wait_that_a_server_requests_is_kept() {
        let response = HttpResponse { retry_after: Some(THEN), ..response(429, "") };
        let error = body(&response, "p", &[], THEN).unwrap_err();
        assert_eq!(error.retry_after(), Some(THEN));
    }

    #[test]
    fn compression_without_its_header_is_recognized() {
        let gzip =
            |status| HttpResponse { body: vec![0x1f, 0x8b, 8, 0xff], ..response(status, "") };
        let read = |status| body(&gzip(status), "p", &[], THEN).unwrap_err().to_string();
        assert_eq!(read(200), "p: the response is compressed (gzip), which was not requested");
        assert_eq!(read(500), "p: HTTP 500");
    }

    #[test]
    fn refusal_is_cut_and_shows_no_secret() {
        let quoted = format!("canary-1 {} {}", "0123456789abcdef".repeat(4), "long ".repeat(200));
        let text = read(401, &quoted, THEN).unwrap_err().to_string();
        assert!(!text.contains("canary") && !text.contains("01234567"), "{text}");
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn refused_signature_names_the_skew_of_the_clock() {
        let late = "Timestamp expired: Given timestamp not within 600s of server time";
        let hour = Duration::from_secs(3600);
        for (text, wall, hint) in [
            (late, THEN + hour, Some("; this device's clock is 1 h ahead of the server's")),
            (late, THEN - hour * 26, Some("; this device's clock is 1 d 2 h behind the server's")),
            // Servers say other things, or nothing.
            (
                "Invalid signature",
                THEN + hour,
                Some("; this device's clock is 1 h ahead of the server's"),
            ),
            ("Invalid signature", THEN + TOLERANCE, None),
            ("", Duration::ZERO, Some(" behind the server's")),
        ] {
            let error = read(401, text, wall).unwrap_err().to_string();
            match hint {
                Some(hint) => assert!(error.ends_with(hint), "{error}"),
                None => assert!(!error.contains("clock"), "{error}"),
            }
        }
        assert!(!read(400, late, THEN + hour).unwrap_err().to_string().contains("clock"));
        for date in [None, Some("soon".to_owned())] {
            let response = HttpResponse { date, ..response(401, late) };
            let error = body(&response, "p", &[], THEN).unwrap_err();
            assert!(error.to_string().ends_with("; check this device's clock"), "{error}");
        }
    }
}
