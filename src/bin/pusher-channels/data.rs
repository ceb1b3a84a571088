//! The data of events: JSON if the text is JSON, otherwise a string.

use std::io::{self, BufRead};

use serde_json::value::{RawValue, to_raw_value};

/// Returns the text as JSON on one line: itself if it is JSON, otherwise a string.
pub(crate) fn json(text: &str) -> Box<RawValue> {
    let as_it_is = serde_json::from_str::<Box<RawValue>>(text)
        // In JSON a line ends only between two tokens.
        .and_then(|json| RawValue::from_string(json.get().replace(['\n', '\r'], " ")));
    // A string can always be serialized.
    as_it_is.or_else(|_| to_raw_value(text)).unwrap_or_default()
}

/// Passes the data to `send`: the argument, or each line of standard input if it is `-`.
pub(crate) fn each<E: From<io::Error>>(
    argument: &str,
    mut send: impl FnMut(&RawValue) -> Result<(), E>,
) -> Result<(), E> {
    if argument != "-" {
        return send(&json(argument));
    }
    for line in io::stdin().lock().lines() {
        send(&json(&line?))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_stays_as_it_is() {
        for (text, expected) in [
            (r#"{"b":1,"a":12345678901234567890123}"#, r#"{"b":1,"a":12345678901234567890123}"#),
            ("{\n\"a\":\r\n\"\\n\"}", "{ \"a\":  \"\\n\"}"),
            ("5", "5"),
            ("hello", "\"hello\""),
            ("", "\"\""),
            ("{\"a\"", "\"{\\\"a\\\"\""),
        ] {
            assert_eq!(json(text).get(), expected);
        }
    }
}
