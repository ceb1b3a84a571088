//! How clients sign in.

use std::collections::BTreeSet;

use serde_json::Value;

use super::presence::{Member, id_text, is_id};
use super::settings::{PresenceStyle, SigninRefusal};
use super::signature::user_text;
use super::state::State;
use crate::protocol::USER_CHANNEL_PREFIX;

/// Pusher's limit for a watchlist.
const MAX_WATCHLIST: usize = 100;

/// Pusher's code for a watchlist that is longer.
const WATCHLIST_TOO_LONG: u16 = 4302;

/// Reverb's code for what it does not know.
const INVALID_MESSAGE: u16 = 4200;

/// The user whose own channel this is.
pub(super) fn user_of(channel: &str) -> Option<&str> {
    channel.strip_prefix(USER_CHANNEL_PREFIX)
}

/// The user's own channel.
pub(super) fn channel_of(user: &str) -> String {
    format!("{USER_CHANNEL_PREFIX}{user}")
}

/// Who has signed in on a connection.
pub(super) struct User {
    pub(super) id: String,
    /// The id as it was signed, and the info: a member of presence channels.
    signed_id: Value,
    info: Option<Value>,
    /// The ids of others.
    pub(super) watchlist: BTreeSet<String>,
    /// There were more.
    cut: bool,
}

impl User {
    /// Reads `user_data`; the error says what is wrong with it.
    fn parse(user_data: &str, numeric: bool) -> Result<Self, &'static str> {
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

    /// Who joins a presence channel when the subscription does not say.
    pub(super) fn member(&self) -> Result<Member, &'static str> {
        Member::new(self.signed_id.clone(), self.info.clone())
    }
}

impl State {
    pub(super) fn receive_signin(&mut self, id: u64, data: &Value) {
        if let Some(refusal) = self.refused_signin {
            return self.refuse_signin(id, refusal, "The sign-in was refused");
        }
        match self.check_signin(id, data) {
            Ok((user, user_data)) => {
                let cut = user.cut;
                self.sign_in(id, user, user_data);
                if cut {
                    let message = format!(
                        "The watchlist has more than {MAX_WATCHLIST} ids: only the first are watched"
                    );
                    self.complain(id, Some(WATCHLIST_TOO_LONG), &message);
                }
            }
            Err(message) => self.refuse_signin(id, self.settings.signin_refusal, &message),
        }
    }

    /// The user, and `user_data` as it came, or what is wrong.
    fn check_signin<'a>(&self, id: u64, data: &'a Value) -> Result<(User, &'a str), String> {
        let user_data = data.get("user_data").and_then(Value::as_str);
        let user_data = user_data.ok_or("The sign-in has no user_data that is a string")?;
        self.check_signature("signin", data, &user_text(self.socket_id(id), user_data))?;
        let numeric = self.settings.presence == PresenceStyle::NumericIds;
        let user = User::parse(user_data, numeric);
        Ok((user.map_err(|why| format!("Invalid user_data: {why}"))?, user_data))
    }

    fn refuse_signin(&mut self, id: u64, refusal: SigninRefusal, message: &str) {
        match refusal {
            SigninRefusal::ErrorFrame(code) => self.complain(id, code, message),
            SigninRefusal::Close(code) => self.close_with_error(id, code, message),
            SigninRefusal::Unknown => {
                self.complain(id, Some(INVALID_MESSAGE), "Invalid message format");
            }
            SigninRefusal::Silence => {}
        }
    }

    /// Whether the connection may subscribe to the user's own channel; the error is what it is told.
    pub(super) fn check_user(&self, id: u64, user: &str) -> Result<(), String> {
        let signed_in = self.user(id).is_some_and(|signed_in| signed_in.id == user);
        signed_in.then_some(()).ok_or_else(|| {
            format!("The connection is not signed in as the user of {:.200}", channel_of(user))
        })
    }
}
