//! Reads the fields of JSON that a server or an endpoint sent, without recursion: the values stay JSON text. An invalid
//! value does not affect the others.
//!
//! Servers differ in the types that they send, so the readers accept several:
//!
//! - [`number()`] takes a JSON number, or a string that holds one;
//! - [`id()`] takes a string, or a number, which is its text as it stands;
//! - [`data_of()`] takes an object, or a string that holds one.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::unescape;

/// Returns the JSON texts of the fields of these names; of equal names the last. All are `None` if the text
/// is not a JSON object.
pub(crate) fn pick<'a, const N: usize>(json: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    let read = each_field(json, |key, value| {
        for (name, found) in names.iter().zip(&mut found) {
            if *name == key {
                *found = Some(value);
            }
        }
    });
    read.map_or([None; N], |()| found)
}

/// Calls `take` with the name and the JSON text of each field, in order.
///
/// # Errors
///
/// The text is not a JSON object. Some fields may have been taken before that was found.
pub(crate) fn each_field<'a>(
    json: &'a str,
    take: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(EachField(take))?;
    deserializer.end()
}

/// Calls `take` with the JSON text of each element of an array, in order; with none if the text is not a JSON
/// array.
pub(crate) fn each_element<'a>(json: &'a str, take: impl FnMut(&'a str)) {
    // What comes from `pick` is valid, so nothing is taken of an array that is not one.
    let _ = serde_json::Deserializer::from_str(json).deserialize_seq(EachElement(take));
}

/// Returns the content of a JSON string; `None` for any other valid JSON. Half of a surrogate pair becomes
/// U+FFFD.
pub(crate) fn text(json: &str) -> Option<String> {
    string(json).map(Cow::into_owned)
}

/// Returns the content of a string, or a number as it stands: `1234.10` is another socket id than `1234.1`.
/// `None` for any other JSON and for an empty string.
pub(crate) fn id(json: &str) -> Option<String> {
    if is_number(json) {
        return Some(json.to_owned());
    }
    text(json).filter(|id| !id.is_empty())
}

/// Returns a number that is not negative: a JSON number, or a string that holds one with or without white
/// space around it.
///
/// A fraction is cut off (`1.9` is 1), and what is too large counts as the largest. `None` for negative
/// numbers and for what JSON does not count as numbers (`NaN`, `Infinity`, `0x10`, `+1`, `""`).
pub(crate) fn number(json: &str) -> Option<u64> {
    let text = string(json).unwrap_or(Cow::Borrowed(json));
    let text = text.trim();
    if !is_number(text) || serde_json::from_str::<&RawValue>(text).is_err() {
        return None;
    }
    // Not every integer is a float.
    if let Ok(integer) = text.parse() {
        return Some(integer);
    }
    let float: f64 = text.parse().ok()?;
    // The conversion cuts off the fraction, and ends at the largest integer.
    (float >= 0.0).then_some(float as u64)
}

/// Returns a JSON object that may be in a string.
pub(crate) fn data_of(json: &str) -> Cow<'_, str> {
    string(json).unwrap_or(Cow::Borrowed(json))
}

fn string(json: &str) -> Option<Cow<'_, str>> {
    let content = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(if content.contains('\\') {
        Cow::Owned(unescape(content))
    } else {
        Cow::Borrowed(content)
    })
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

struct EachField<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de str)> Visitor<'de> for EachField<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // serde_json refuses lone surrogates in strings, so keys are read as raw values too.
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            (self.0)(string(key.get()).unwrap_or_default(), value.get());
        }
        Ok(())
    }
}

struct EachElement<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for EachElement<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_in_any_type() {
        let long = format!("1{}", "0".repeat(400));
        for (json, expected) in [
            ("120", Some(120)),
            ("120.0", Some(120)),
            ("1.2e2", Some(120)),
            ("1.9", Some(1)),
            ("0.5", Some(0)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("1e400", Some(u64::MAX)),
            (&long, Some(u64::MAX)),
            ("1e-400", Some(0)),
            ("-1", None),
            ("-0.5", None),
            ("-1e400", None),
        ] {
            assert_eq!(number(json), expected, "{json}");
            assert_eq!(number(&format!("\"{json}\"")), expected, "in a string: {json}");
            assert_eq!(number(&format!("\" \\t{json}\\n \"")), expected, "with space: {json}");
        }
        assert_eq!(number(r#""\u0031\u0032""#), Some(12));
        for json in [
            "null",
            "true",
            "[1]",
            r#"{"a":1}"#,
            r#""""#,
            r#"" ""#,
            r#""NaN""#,
            r#""Infinity""#,
            r#""inf""#,
            r#""-Infinity""#,
            r#""+1""#,
            r#"".5""#,
            r#""1.""#,
            r#""0x10""#,
            r#""1,5""#,
            r#""1 2""#,
            r#""120s""#,
            r#""--1""#,
            r#""-""#,
            r#""01""#,
            r#""\"1\"""#,
        ] {
            assert_eq!(number(json), None, "{json}");
        }
    }

    #[test]
    fn an_id_is_a_text_or_a_number_as_it_stands() {
        for (json, expected) in [
            (r#""1234.10""#, Some("1234.10")),
            ("1234.10", Some("1234.10")),
            ("-7", Some("-7")),
            ("1e400", Some("1e400")),
            (r#""\u00e4\ud800""#, Some("ä\u{fffd}")),
            (r#"" ""#, Some(" ")),
            (r#""""#, None),
            ("null", None),
            ("true", None),
            ("{}", None),
            ("[7]", None),
        ] {
            assert_eq!(id(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn of_equal_names_the_last_is_taken() {
        let json = r#" {"a":1,"b":[ {} ],"\u0061":2,"\ud800":3,"A":4} "#;
        assert_eq!(pick(json, ["b", "a", "c"]), [Some("[ {} ]"), Some("2"), None]);
        assert_eq!(pick(json, ["\u{fffd}"]), [Some("3")]);
        for odd in ["", "null", "[]", "7", r#"{"a":1"#, r#"{"a":1}}"#, r#"{"a":1,}"#] {
            assert_eq!(pick(odd, ["a"]), [None], "{odd}");
        }
    }

    #[test]
    fn elements_come_in_order_and_only_from_arrays() {
        let all = |json| {
            let mut all = Vec::new();
            each_element(json, |element| all.push(element));
            all
        };
        assert_eq!(all(r#"[ 1, "\ud800" ,[2],{}]"#), ["1", r#""\ud800""#, "[2]", "{}"]);
        for odd in ["", "null", "{}", "7", r#""[1]""#] {
            assert!(all(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn depth_takes_no_stack() {
        const LEVELS: usize = 1_000_000;
        let deep = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
        let json = format!(r#"{{"x":{deep},"a":{deep},"b":7}}"#);
        assert_eq!(pick(&json, ["a", "b"]), [Some(&*deep), Some("7")]);
        let mut lengths = Vec::new();
        each_element(&deep, |element| lengths.push(element.len()));
        assert_eq!(lengths, [2 * LEVELS - 2]);
        assert_eq!((number(&deep), id(&deep)), (None, None));
        assert_eq!(pick(&"[".repeat(LEVELS), ["a"]), [None]);
    }
}
