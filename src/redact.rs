//! Keeps secrets out of the log.

use serde_json::Value;

const SECRETS: [&str; 4] = ["auth", "shared_secret", "channel_data", "user_data"];

/// A server that does not like a signature quotes what should have been signed, a user's data included.
const SIGNED: [&str; 2] = ["::user::", "Invalid signature"];

/// What is nested deeper is not shown: reading it takes the stack of the thread that logs.
const MAX_DEPTH: usize = 16;
/// The same for strings that hold JSON with strings that hold JSON, and so on.
const MAX_STRINGS: usize = 3;

/// Returns the frame for the log: secrets replaced, also inside strings that hold JSON. What is not JSON is
/// not shown, since nobody knows what it is.
pub(crate) fn redact(frame: &str) -> String {
    redact_text(frame, MAX_STRINGS)
}

fn redact_text(text: &str, strings: usize) -> String {
    if depth(text) > MAX_DEPTH {
        return format!("[{} bytes that are nested too deeply]", text.len());
    }
    match serde_json::from_str(text) {
        Ok(mut value) => {
            redact_value(&mut value, strings);
            value.to_string()
        }
        Err(_) => format!("[{} bytes that are no JSON]", text.len()),
    }
}

/// Returns how deeply the objects and arrays of a JSON text are nested, without recursion.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn redact_value(value: &mut Value, strings: usize) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if SECRETS.contains(&key.as_str()) {
                    *value = Value::from("[redacted]");
                } else {
                    redact_value(value, strings);
                }
            }
        }
        Value::Array(values) => {
            values.iter_mut().for_each(|value| redact_value(value, strings));
        }
        Value::String(text) => {
            if SIGNED.iter().any(|signed| text.contains(signed)) {
                *text = "[redacted]".to_owned();
            }
            // Only what can hold a secret is opened; the rest is shown as it came.
            if SECRETS.iter().any(|secret| text.contains(secret)) {
                *text = match strings.checked_sub(1) {
                    Some(strings) => redact_text(text, strings),
                    None => "[redacted]".to_owned(),
                };
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
    fn deep_nesting_is_not_shown() {
        let nested = |levels: usize| {
            format!(r#"{{"data":{}"canary"{}}}"#, "[".repeat(levels), "]".repeat(levels))
        };
        assert!(redact(&nested(MAX_DEPTH - 1)).contains("canary"));
        for levels in [MAX_DEPTH, 127, 10_000] {
            assert!(redact(&nested(levels)).contains("nested too deeply"), "{levels}");
        }
        // A bracket in a string nests nothing, nor does one after an escaped quote.
        let flat = format!(r#"{{"data":"a\"{}"}}"#, "[{".repeat(1_000));
        assert!(redact(&flat).contains("[{[{"));
        assert!(redact(&"[".repeat(100_000)).contains("nested too deeply"));
    }

    #[test]
    fn strings_in_strings_end_somewhere() {
        let mut text = r#"{"auth":"canary"}"#.to_owned();
        for level in 1..10 {
            text = format!(r#"{{"data":{}}}"#, Value::from(text));
            let shown = redact(&text);
            assert!(shown.contains("[redacted]") && !shown.contains("canary"), "{level}: {shown}");
        }
    }
}
