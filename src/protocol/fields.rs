//! The fields of a JSON object, each for itself: one that cannot be read takes no other with it.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::unescape;

/// The fields by their names, as JSON text; of equal names the last.
pub(crate) type Fields<'a> = BTreeMap<Key, &'a RawValue>;

/// Not read as a `String`, which refuses halves of surrogate pairs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

/// None if it is no object.
pub(crate) fn fields(json: &str) -> Fields<'_> {
    serde_json::from_str(json).unwrap_or_default()
}

/// What a JSON string holds; `None` for any other valid JSON.
pub(crate) fn text(json: &str) -> Option<String> {
    json.strip_prefix('"')?.strip_suffix('"').map(unescape)
}

/// An id of a user is a string, or a number on some servers, which is its text here.
pub(crate) fn id(json: &str) -> Option<String> {
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Some(json.to_owned());
    }
    text(json).filter(|id| !id.is_empty())
}

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(text(raw.get()).unwrap_or_default()))
    }
}
