//! Sign-in requests.

use serde_json::Value;

use super::State;
use crate::testing::settings::{PresenceStyle, SigninRefusal};
use crate::testing::signature::user_text;
use crate::testing::user::{MAX_WATCHLIST, User, channel_of};

/// Pusher's code for a watchlist that is too long.
const WATCHLIST_TOO_LONG: u16 = 4302;

/// Reverb's code for an event that it does not know.
const INVALID_MESSAGE: u16 = 4200;

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
                    self.send_error(id, Some(WATCHLIST_TOO_LONG), &message);
                }
            }
            Err(message) => self.refuse_signin(id, self.settings.signin_refusal, &message),
        }
    }

    /// Returns the user and `user_data` as it was sent; the error is sent to the client.
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
            SigninRefusal::ErrorFrame(code) => self.send_error(id, code, message),
            SigninRefusal::Close(code) => self.close_with_error(id, code, message),
            SigninRefusal::Unknown => {
                self.send_error(id, Some(INVALID_MESSAGE), "Invalid message format");
            }
            SigninRefusal::Silence => {}
        }
    }

    /// Checks that the connection may subscribe to the user's own channel; the error is sent to the client.
    pub(super) fn check_user(&self, id: u64, user: &str) -> Result<(), String> {
        let signed_in = self.user(id).is_some_and(|signed_in| signed_in.id == user);
        signed_in.then_some(()).ok_or_else(|| {
            format!("The connection is not signed in as the user of {:.200}", channel_of(user))
        })
    }
}
