//! Responses of endpoints, see [`crate::fuzzing`].
#![allow(clippy::unwrap_used, reason = "a target panics when something does not hold")]

use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::http::HttpAuthorizer;
use crate::auth::http::response::{HttpResponse, ResponseText, coding, excerpt, is_success};
use crate::fuzzing::Input;
use crate::util::retry_after::retry_after;
use crate::wire::number;
use crate::{Auth, ErrorKind};

const CHANNELS: [&str; 3] = ["private-a", "presence-b", "private-\"\\"];

/// Bytes for the kind of response and its status, then its body.
pub(crate) fn authorizations(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => single(&input.text()),
        1 => batched(&input.text()),
        2 => {
            let secret = input.text();
            let shown = excerpt(&input.text(), &[&secret, "1.2"]);
            assert!(shown.chars().count() <= 200 && !shown.contains(char::is_control));
            assert!(!shown.contains("channel_data") && !shown.contains("shared_secret"));
        }
        _ => whole(&mut input),
    }
}

/// The same response as serde_json sees it, field by field.
fn single(text: &str) {
    let response = Auth::from_json(text);
    let Ok(expected) = serde_json::from_str::<Value>(text) else {
        // Some JSON it does not read: halves of surrogate pairs, for example.
        let json = serde_json::from_str::<&RawValue>(text).is_ok();
        return assert!(json || response.is_err_and(|error| error.kind() == ErrorKind::Auth));
    };
    let good = |name| expected.get(name).is_none_or(|it| it.is_null() || it.is_string());
    let text_of = |name: &str| expected.get(name).and_then(Value::as_str);
    let accepted =
        text_of("auth").is_some() && ["channel_data", "shared_secret"].into_iter().all(good);
    assert_eq!(response.is_ok(), accepted, "{text:?}");
    match response {
        Ok(auth) => {
            assert_eq!(Some(&*auth.auth), text_of("auth"));
            assert_eq!(auth.channel_data.as_deref(), text_of("channel_data"));
            let secret = auth.shared_secret.as_ref().map(|secret| secret.expose());
            assert_eq!(secret, text_of("shared_secret"));
            for shown in [text_of("channel_data"), secret].into_iter().flatten() {
                let debug = format!("{auth:?}");
                assert!(shown.len() < 32 || !debug.contains(shown), "{debug} shows {shown}");
            }
        }
        Err(error) => assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Auth, false)),
    }
}

/// Each channel has its own response, which is that to a single request.
fn batched(text: &str) {
    let http = HttpAuthorizer::new("");
    let reply = ResponseText { text, encoding: None, secrets: &["secret"], place: "here" };
    let Ok(responses) = http.read_batch(&reply, "1.2", &CHANNELS) else {
        let json = serde_json::from_str::<Value>(text);
        return assert!(!json.is_ok_and(|json| json.is_object()), "{text:?}");
    };
    assert_eq!(responses.len(), CHANNELS.len());
    let Ok(json) = serde_json::from_str::<Value>(text) else { return };
    let json = json.get("1.2").filter(|it| it.is_object()).unwrap_or(&json);
    for (channel, response) in CHANNELS.iter().zip(responses) {
        let expected = json.get(channel).and_then(alone).map(|auth| auth.auth);
        match response {
            Ok(auth) => assert_eq!(expected, Some(auth.auth), "{text:?}"),
            Err(error) => {
                assert!(expected.is_none() && error.kind() == ErrorKind::Auth, "{text:?}")
            }
        }
    }
}

/// What one channel's part of the response would be by itself.
fn alone(part: &Value) -> Option<Auth> {
    let status = part.get("status").filter(|status| !status.is_null());
    let number = |status: &Value| number(&status.to_string());
    let good = status.is_none_or(|status| matches!(number(status), Some(200..300)));
    let data = part.get("data").filter(|_| good)?;
    Auth::from_json(data.as_str().unwrap_or(&data.to_string())).ok()
}

/// A body of any bytes under any status.
fn whole(input: &mut Input<'_>) {
    let status = input.pick(&[200, 204, 301, 400, 403, 408, 429, 500, 503]);
    let header = input.text();
    let retry_after = retry_after(status, Some(&header), Duration::ZERO);
    assert!(retry_after.is_none_or(|wait| wait.as_secs() <= 24 * 60 * 60));
    let encoding = input.pick(&[None, Some("gzip"), Some("br, x-gzip"), Some("identity")]);
    let encoding = encoding.and_then(coding);
    let location = (input.byte() % 2 == 0).then(|| input.text());
    let body = input.take(usize::MAX).to_vec();
    let is_text = std::str::from_utf8(&body).is_ok();
    let response = HttpResponse {
        status,
        retry_after,
        #[cfg(feature = "publisher")]
        date: None,
        encoding,
        location,
        body,
    };
    match response.read("host", &["secret"], |reply| Ok(reply.text.to_owned())) {
        Ok(text) => {
            assert!(is_success(status) && is_text);
            single(&text);
        }
        Err(error) if is_success(status) => {
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, None));
            assert!(!is_text && !error.is_retryable());
        }
        Err(error) => {
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(status)));
            assert_eq!(error.retry_after(), retry_after);
            assert!(error.to_string().len() < 2000);
        }
    }
}
