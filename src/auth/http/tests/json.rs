//! Responses with unusual types of JSON, or deeply nested.

use super::super::response::{ResponseText, excerpt};
use super::*;

const LEVELS: usize = 10_000;

fn nested() -> String {
    "[".repeat(LEVELS) + &"]".repeat(LEVELS)
}

fn batched(part: &str) -> Result<Auth, Error> {
    let text = format!(r#"{{"private-a":{part},"x":{}}}"#, nested());
    let reply = ResponseText { text: &text, encoding: None, secrets: &[], place: "here" };
    HttpAuthorizer::new("").read_batch(&reply, "1.2", &["private-a"]).unwrap().remove(0)
}

#[test]
fn status_may_be_a_float_or_a_string() {
    for status in ["200", "200.0", "\"200\"", "\" 2e2 \"", "null"] {
        let part = format!(r#"{{"status":{status},"data":{{"auth":"k:s"}}}}"#);
        assert_eq!(batched(&part).unwrap().auth, "k:s", "{status}");
    }
    for status in ["403", "403.0", "\"403\""] {
        let part = format!(r#"{{"status":{status},"data":"no entry"}}"#);
        assert_eq!(batched(&part).unwrap_err().http_status(), Some(403), "{status}");
    }
    for status in ["-1", "70000", "\"\"", "\"no\"", "true", "[200]"] {
        let part = format!(r#"{{"status":{status},"data":{{"auth":"k:s"}}}}"#);
        let error = batched(&part).unwrap_err();
        assert!(error.to_string().ends_with("that is not a number"), "{error}");
    }
}

#[test]
fn text_of_a_part_is_not_changed() {
    let data = r#"{ "auth" : "k:s", "channel_data" : "{\"n\":1.0}" }"#;
    assert_eq!(
        batched(&format!(r#"{{"data":{data}}}"#)).unwrap().channel_data.as_deref(),
        Some(r#"{"n":1.0}"#)
    );
    let quoted = serde_json::Value::from(data);
    assert_eq!(batched(&format!(r#"{{"data":{quoted}}}"#)).unwrap().auth, "k:s");
}

#[test]
fn deeply_nested_response_is_read() {
    let deep = nested();
    let auth = Auth::from_json(&format!(r#"{{"x":{deep},"auth":"k:s"}}"#)).unwrap();
    assert_eq!(auth.auth, "k:s");
    let wrong = Auth::from_json(&format!(r#"{{"auth":{deep}}}"#)).unwrap_err();
    assert!(wrong.to_string().ends_with("that is not a string"), "{wrong}");
    assert!(Auth::from_json(&deep).unwrap_err().to_string().ends_with("has no `auth`"));
    assert!(batched(&deep).unwrap_err().to_string().ends_with("does not have the channel"));
    let error = batched(&format!(r#"{{"status":500,"data":{{"x":{deep},"error":"down"}}}}"#));
    assert!(error.unwrap_err().to_string().ends_with("HTTP 500: down"));
    assert_eq!(excerpt(&format!(r#"{{"x":{deep},"message":"no"}}"#), &[]), "no");
    assert_eq!(excerpt(&format!(r#"{{"error":{{"x":{deep},"message":"no"}}}}"#), &[]), "no");
    assert_eq!(excerpt(&deep, &[]), "");
}
