//! Values that describe users.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::Error;
use crate::error::read_json;
use crate::wire::{data_of, each_element, id, pick};

/// Who is signed in, as the server has confirmed it.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData {
    id: Arc<str>,
    json: Arc<str>,
}

impl UserData {
    /// `None` unless it is a JSON object with an id: text, or a number on some servers.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let [id_json] = pick(json, ["id"]);
        Some(Self { id: id(id_json?)?.into(), json: json.into() })
    }

    /// What a `pusher:signin_success` tells: the user's data in a string, or as it is.
    pub(crate) fn of_success(data: &str) -> Option<Self> {
        let [user_data] = pick(data, ["user_data"]);
        Self::parse(&data_of(user_data?))
    }

    /// The user's id. A number that the server sends is its text here.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All that the authenticator told of the user, as JSON text: an object with an `id`.
    pub fn data(&self) -> &str {
        &self.json
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Json`](crate::ErrorKind::Json) if it is not of that shape.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        read_json(&self.json)
    }
}

impl fmt::Debug for UserData {
    /// Without the rest, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("id", &self.id).finish_non_exhaustive()
    }
}

/// News of the users on this user's watchlist.
///
/// The watchlist is part of the user's data, see
/// [watchlist events](https://pusher.com/docs/channels/using_channels/watchlist-events/).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchlistEvent {
    name: String,
    user_ids: Vec<String>,
}

impl WatchlistEvent {
    /// What an entry of the server's list, or the data of a bare event, tells.
    pub(crate) fn new(name: &str, json: &str) -> Self {
        let [ids] = pick(json, ["user_ids"]);
        let mut user_ids = Vec::new();
        each_element(ids.unwrap_or_default(), |user| user_ids.extend(id(user)));
        Self { name: name.to_owned(), user_ids }
    }

    /// How much memory it takes.
    pub(crate) fn size(&self) -> usize {
        let ids = self.user_ids.iter().map(|id| size_of::<String>() + id.len());
        size_of::<Self>() + self.name.len() + ids.sum::<usize>()
    }

    /// `online` or `offline`, or whatever else the server may tell.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The users that it is about.
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
        assert_eq!((user.id(), user.data()), ("9", r#" {"id":"9","n":[1]}"#));
        assert_eq!(user.json::<Value>().unwrap()["n"][0], 1);
        assert_eq!(UserData::parse(r#"{"id":17}"#).unwrap().id(), "17");
        for odd in
            ["", "{}", "null", "[\"9\"]", "9", r#"{"id":""}"#, r#"{"id":null}"#, r#"{"id":{}}"#]
        {
            assert_eq!(UserData::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_server_tells_the_user_in_a_string_or_not() {
        for data in [r#"{"user_data":"{\"id\":\"9\"}"}"#, r#"{"auth":"a","user_data":{"id":"9"}}"#]
        {
            let user = UserData::of_success(data).unwrap();
            assert_eq!((user.id(), user.data()), ("9", r#"{"id":"9"}"#));
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
