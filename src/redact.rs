//! Keeps secrets out of the log.

use serde_json::Value;

const SECRETS: [&str; 4] = ["auth", "shared_secret", "channel_data", "user_data"];

/// A server that does not like a signature quotes what should have been signed, a user's data included.
const SIGNED: [&str; 2] = ["::user::", "Invalid signature"];

/// The frame for the log: secrets replaced, also inside strings that hold JSON. What is no JSON is
/// not shown, since nobody knows what it is.
pub(crate) fn redact(frame: &str) -> String {
    match serde_json::from_str(frame) {
        Ok(mut value) => {
            redact_value(&mut value);
            value.to_string()
        }
        Err(_) => format!("[{} bytes that are no JSON]", frame.len()),
    }
}

fn redact_value(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if SECRETS.contains(&key.as_str()) {
                    *value = Value::from("[redacted]");
                } else {
                    redact_value(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact_value),
        Value::String(text) => {
            if SIGNED.iter().any(|signed| text.contains(signed)) {
                *text = "[redacted]".to_owned();
            }
            // Only what can hold a secret is opened; the rest is shown as it came.
            if SECRETS.iter().any(|secret| text.contains(secret)) {
                *text = redact(text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_wherever_they_are() {
        let frame = r#"{"event":"pusher:subscribe","data":{"channel":"c","auth":"canary1","channel_data":"canary2"}}"#;
        let shown = redact(frame);
        assert!(shown.contains("pusher:subscribe") && !shown.contains("canary"), "{shown}");
        let nested =
            r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"canary\",\"x\":1}"}"#;
        let shown = redact(nested);
        assert!(shown.contains('x') && !shown.contains("canary"), "{shown}");
        let quoted =
            r#"{"event":"pusher:error","data":{"message":"of 1.2::user::{\"id\":\"canary\"}"}}"#;
        assert!(!redact(quoted).contains("canary"));
        assert!(!redact("{\"auth\":\"canary\"").contains("canary"));
        assert!(!redact(r#"{"data":"broken \"auth\":\"canary"}"#).contains("canary"));
    }

    #[test]
    fn deep_nesting_is_not_shown_and_does_no_harm() {
        let deep = "[".repeat(100_000);
        assert!(redact(&deep).contains("no JSON"));
    }
}
