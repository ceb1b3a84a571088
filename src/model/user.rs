//! The signed-in user, and the users of the watchlist.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::Error;
use crate::error::read_json;
use crate::wire::{data_of, each_element, id, pick};

/// The signed-in user, as the server has confirmed it.
///
/// Clones are cheap.
#[doc(alias = "user_data")]
#[derive(Clone, PartialEq, Eq)]
pub struct UserData {
    id: Arc<str>,
    json: Arc<str>,
}

impl UserData {
    /// Returns `None` unless it is a JSON object with an `id`: text, or a number on some servers.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let [id_json] = pick(json, ["id"]);
        Some(Self { id: id(id_json?)?.into(), json: json.into() })
    }

    /// Reads the data of a `pusher:signin_success`: the user's data is in a string on most servers, and an object on
    /// some.
    pub(crate) fn of_success(data: &str) -> Option<Self> {
        let [user_data] = pick(data, ["user_data"]);
        Self::parse(&data_of(user_data?))
    }

    /// Returns the user's id. If the server sends a number, this is its text.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the user's data as JSON text: the object of the authenticator, which has an `id`.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// Returns the user's data as JSON text.
    #[deprecated(since = "0.2.0", note = "use `as_str`")]
    pub fn data(&self) -> &str {
        self.as_str()
    }

    /// Deserializes the user's data as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Json`](crate::ErrorKind::Json) if the data does not match `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        read_json(&self.json)
    }
}

impl fmt::Debug for UserData {
    /// Omits the rest, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Users of the signed-in user's watchlist have come online or gone offline.
///
/// The watchlist is part of the user's data, see
/// [watchlist events](https://pusher.com/docs/channels/using_channels/watchlist-events/).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchlistEvent {
    name: String,
    user_ids: Vec<String>,
}

impl WatchlistEvent {
    /// Reads an entry of the server's list, or the data of a bare event.
    pub(crate) fn new(name: &str, json: &str) -> Self {
        let [ids] = pick(json, ["user_ids"]);
        let mut user_ids = Vec::new();
        each_element(ids.unwrap_or_default(), |user| user_ids.extend(id(user)));
        Self { name: name.to_owned(), user_ids }
    }

    /// Returns the memory that it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let ids = self.user_ids.iter().map(|id| size_of::<String>() + id.len());
        size_of::<Self>() + self.name.len() + ids.sum::<usize>()
    }

    /// Returns the name of the event: `online`, `offline`, or another name that the server sends.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the ids of the users that have come online or gone offline.
    pub fn user_ids(&self) -> &[String] {
        &self.user_ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_object_with_an_id_is_a_user() {
        let user = UserData::parse(r#" {"id":"9","n":[1]}"#).unwrap();
        assert_eq!((user.id(), user.as_str()), ("9", r#" {"id":"9","n":[1]}"#));
        assert_eq!(user.json::<Value>().unwrap()["n"][0], 1);
        assert_eq!(UserData::parse(r#"{"id":17}"#).unwrap().id(), "17");
        for odd in
            ["", "{}", "null", "[\"9\"]", "9", r#"{"id":""}"#, r#"{"id":null}"#, r#"{"id":{}}"#]
        {
            assert_eq!(UserData::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn signin_success_has_the_user_in_a_string_or_not() {
        for data in [r#"{"user_data":"{\"id\":\"9\"}"}"#, r#"{"auth":"a","user_data":{"id":"9"}}"#]
        {
            let user = UserData::of_success(data).unwrap();
            assert_eq!((user.id(), user.as_str()), ("9", r#"{"id":"9"}"#));
        }
        for odd in
            ["", "{}", "null", r#"{"user_data":null}"#, r#"{"user_data":"x"}"#, r#"{"id":"9"}"#]
        {
            assert_eq!(UserData::of_success(odd), None, "{odd}");
        }
    }

    #[test]
    fn watchlist_entries_in_every_shape() {
        let event =
            |data: Value| WatchlistEvent::new("online", &data.to_string()).user_ids().to_vec();
        assert_eq!(event(json!({"user_ids": ["2", 3, null, {}]})), ["2", "3"]);
        for odd in [json!({}), json!(null), json!({"user_ids": "2"}), json!([1])] {
            assert!(event(odd).is_empty());
        }
    }

    #[test]
    fn debug_shows_no_more_than_the_id() {
        let user = UserData::parse(r#"{"id":"9","n":"canary"}"#).unwrap();
        assert_eq!(format!("{user:?}"), r#"UserData { id: "9", .. }"#);
    }
}
