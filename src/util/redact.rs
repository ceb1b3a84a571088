//! Keeps secrets out of the log.

use std::borrow::Cow;

use serde_json::Value;

/// The number of hex digits of an HMAC-SHA256.
const SIGNATURE: usize = 64;
/// The fewest digits of a signature that was cut at the end of a text.
const CUT_SIGNATURE: usize = 32;
/// The colon between a key and a signature, as text, in URLs and in JSON, each split where the hex digits begin.
const COLONS: [(&str, &str); 3] = [(":", ""), ("%", "3a"), ("\\u", "003a")];

/// The longest excerpt of a text of a server or an endpoint, in characters.
const EXCERPT: usize = 200;
/// Shorter texts are not treated as secrets: replacing them would damage words.
const SHORTEST_SECRET: usize = 6;
/// Words of at least this length with a digit are treated as tokens.
const TOKEN: usize = 24;

const SECRETS: [&str; 4] = ["auth", "shared_secret", "channel_data", "user_data"];

/// Servers that refuse a signature quote it, or what should have been signed, including the user's data.
const SIGNED: [&str; 3] = ["::user::", "Invalid signature", " auth data: "];

/// Deeper nesting is not shown, since parsing it uses the stack of the thread that logs.
const MAX_DEPTH: usize = 16;
/// The same for strings that hold JSON with strings that hold JSON, and so on.
const MAX_STRINGS: usize = 3;

/// Returns the frame with secrets replaced, also inside strings that hold JSON. What is not JSON is not shown.
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
            without_signatures(&value.to_string()).into_owned()
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
            // Only what can hold a secret is parsed; the rest is shown unchanged.
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

/// Replaces the signature of each `key:signature`, even if it is cut at the end of the text. Must be called before a
/// text is shortened.
pub(crate) fn without_signatures(text: &str) -> Cow<'_, str> {
    let is_hex = |c: char| c.is_ascii_hexdigit();
    let (mut shown, mut done, mut from) = (String::new(), 0, 0);
    while let Some((before, after)) = text.get(from..).and_then(|rest| {
        let start = from + rest.find(is_hex)?;
        text.split_at_checked(start)
    }) {
        let end = after.find(|c| !is_hex(c)).unwrap_or(after.len());
        from = before.len() + end;
        let (digits, rest) = after.split_at(end);
        if let Some(start) = signature(before, digits, rest.is_empty()) {
            shown.push_str(text.get(done..before.len() + start).unwrap_or_default());
            shown.push_str("[redacted]");
            done = from;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Returns where in the hex digits a signature begins, if they are one.
fn signature(before: &str, digits: &str, at_end: bool) -> Option<usize> {
    let (key, escape) = COLONS.iter().find_map(|(mark, escape)| {
        let start = digits.get(..escape.len())?;
        // JSON within JSON has more of them.
        let key = before.strip_suffix(mark)?.trim_end_matches('\\');
        start.eq_ignore_ascii_case(escape).then_some((key, escape.len()))
    })?;
    // Servers that people run themselves take any text as the key.
    let is_key = key.ends_with(|c: char| !c.is_whitespace());
    let least = if at_end { CUT_SIGNATURE } else { SIGNATURE };
    (is_key && digits.len() >= escape + least).then_some(escape)
}

/// Returns the target of a redirect without what may be a token.
pub(crate) fn shown_location(location: &str, secrets: &[&str]) -> String {
    let target = location.split(['?', '#']).next().unwrap_or_default();
    let (place, path) = match target.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            (format!("{scheme}//{host}"), path)
        }
        _ => (String::new(), target),
    };
    format!("{place}{}", clean(path, '/', secrets))
}

/// Replaces the secrets, and the words between `joint`s that look like tokens, and shortens the text.
pub(crate) fn clean(text: &str, joint: char, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        text = text.replace(secret, "[redacted]");
    }
    let words: Vec<&str> =
        text.split(joint).map(|word| if is_token(word) { "[redacted]" } else { word }).collect();
    words.join(&joint.to_string()).chars().take(EXCERPT).collect()
}

fn is_token(word: &str) -> bool {
    word.len() >= TOKEN && word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str =
        "278d425bdf160c739803:58DF8B0C36D6982B82C3ecf6b4662e34FE8C25BBA48F5369F135BF843651C3A4";

    #[test]
    fn signatures_are_replaced_in_any_text() {
        let redacted = "278d425bdf160c739803:[redacted]";
        for around in [
            "",
            "Received invalid JSON {}",
            "{} and {}, é {}",
            "'{}'",
            r#"{"data":"{\"auth2\":\"{}\"}"}"#,
            "a:b:{}:c",
        ] {
            let (text, expected) = (around.replace("{}", SIGNED), around.replace("{}", redacted));
            assert_eq!(without_signatures(&text), expected);
        }
        for colon in ["%3A", "%3a", "\\u003a", "\\\\u003A"] {
            let text = SIGNED.replace(':', colon);
            assert_eq!(without_signatures(&text), redacted.replace(':', colon));
        }
        for key in ["a2V5cw==", "my.app.", "app+", "é", "(key)", "a/"] {
            let (_, digits) = SIGNED.split_once(':').unwrap();
            let text = format!("got {key}:{digits}, sorry");
            assert_eq!(without_signatures(&text), format!("got {key}:[redacted], sorry"));
        }
        // Longer ones too, and what is left of one at the end.
        assert_eq!(without_signatures(&format!("{SIGNED}0a!")), format!("{redacted}!"));
        for left in [53, 60, 80] {
            assert_eq!(without_signatures(&SIGNED[..left]), redacted, "{left}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let (key, digits) = SIGNED.split_once(':').unwrap();
        for text in [
            "",
            "plain: text",
            &format!("the hash {digits} of a file"),
            &format!("\"{digits}\""),
            &format!(":{digits}"),
            &format!("{key}:{} more", &digits[..63]),
            &format!("trace:{}", &digits[..31]),
        ] {
            assert!(
                matches!(without_signatures(text), Cow::Borrowed(shown) if shown == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_traced_frame_shows_no_signature_wherever_it_is() {
        for frame in [
            format!(
                r#"{{"event":"pusher:error","data":{{"message":"Received invalid JSON {SIGNED}"}}}}"#
            ),
            format!(r#"{{"event":"pusher:error","data":"{{\"message\":\"got {SIGNED}\"}}"}}"#),
            format!(r#"{{"event":"e","data":"{{\"a\":\"{{\\\"b\\\":\\\"{SIGNED}\\\"}}\"}}"}}"#),
            format!(r#"{{"{SIGNED}":["{SIGNED}"]}}"#),
        ] {
            let shown = redact(&frame).to_ascii_lowercase();
            assert!(!shown.contains("58df8b0c36d6") && shown.contains("[redacted]"), "{shown}");
        }
    }

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
