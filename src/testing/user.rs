//! A user who has signed in.

use std::collections::BTreeSet;

use serde_json::Value;

use super::presence::{Member, id_text, is_id};
use crate::protocol::USER_CHANNEL_PREFIX;

/// Pusher's limit for a watchlist, in ids.
pub(super) const MAX_WATCHLIST: usize = 100;

/// The user whose own channel this is.
pub(super) fn user_of(channel: &str) -> Option<&str> {
    channel.strip_prefix(USER_CHANNEL_PREFIX)
}

/// The user's own channel.
pub(super) fn channel_of(user: &str) -> String {
    format!("{USER_CHANNEL_PREFIX}{user}")
}

pub(super) struct User {
    pub(super) id: String,
    /// The id as it was signed: text or a number.
    signed_id: Value,
    info: Option<Value>,
    /// The ids of other users; at most [`MAX_WATCHLIST`].
    pub(super) watchlist: BTreeSet<String>,
    /// The client has sent a longer watchlist.
    pub(super) cut: bool,
}

impl User {
    /// Reads `user_data`; the error says what is wrong with it.
    pub(super) fn parse(user_data: &str, numeric: bool) -> Result<Self, &'static str> {
        let data: Value = serde_json::from_str(user_data).map_err(|_| "it is not valid JSON")?;
        let signed_id = data.get("id").cloned().unwrap_or_default();
        if !is_id(&signed_id, numeric) {
            return Err("its id must be a string of 1 to 128 characters");
        }
        let watched = match data.get("watchlist") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(ids)) if ids.iter().all(|id| is_id(id, numeric)) => ids,
            Some(_) => return Err("its watchlist must be an array of ids"),
        };
        Ok(Self {
            id: id_text(&signed_id),
            info: data.get("user_info").cloned(),
            signed_id,
            watchlist: watched.iter().take(MAX_WATCHLIST).map(id_text).collect(),
            cut: watched.len() > MAX_WATCHLIST,
        })
    }

    /// The member as which the user joins a presence channel without `channel_data`.
    pub(super) fn member(&self) -> Result<Member, &'static str> {
        Member::new(self.signed_id.clone(), self.info.clone())
    }
}
