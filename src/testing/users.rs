//! The methods about users.

use serde::Serialize;

use super::settings::SigninRefusal;
use super::user::channel_of;
use super::{Server, endpoint, text_of};

/// Users.
///
/// A client signs in with the response of [`user_auth_url`](Self::user_auth_url). It may then subscribe to its
/// user's own channel, `#server-to-user-ID`, and to presence channels without `channel_data`, as that user. A
/// user with a watchlist receives watchlist events; see [`WatchlistStyle`](super::WatchlistStyle). A second
/// sign-in on a connection replaces the first. Use [`send_raw`](Self::send_raw) to send watchlist events that
/// are wrong.
impl Server {
    /// Returns the URL of the endpoint that authorizes sign-ins, such as
    /// `http://127.0.0.1:54321/pusher/user-auth`.
    ///
    /// It is also at Laravel's path `/broadcasting/user-auth`. The parameters come as a posted form, a JSON object, or the query. The response is
    /// `{"auth":…,"user_data":…}`.
    ///
    /// - `socket_id`
    /// - `user_id`; default: `user-SOCKET_ID`
    /// - `user_info` (JSON), which presence channels show
    /// - `watchlist`: a JSON array of ids, or ids separated by commas
    ///
    /// The endpoint does not validate the user, so it can return `user_data` that the sign-in refuses.
    pub fn user_auth_url(&self) -> String {
        self.http_url(endpoint::USER_PATHS[0])
    }

    /// Returns how many of the requests in [`auth_count`](Self::auth_count) were to
    /// [`user_auth_url`](Self::user_auth_url).
    pub fn user_auth_count(&self) -> usize {
        self.shared.read(|state| state.auth.user_count())
    }

    /// Returns the number of connections that are signed in as this user.
    pub fn signed_in(&self, user: &str) -> usize {
        self.shared.read(|state| state.signed_in(user))
    }

    /// Sends an event to a user. Returns the number of receiving connections.
    ///
    /// These are the connections that are signed in as the user and subscribed to the user's own channel, or
    /// all that are signed in, with
    /// [`Settings::user_events_without_subscription`](super::Settings::user_events_without_subscription). `data`
    /// is sent as by [`publish`](Self::publish).
    ///
    /// # Example
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let server = pusher_channels::testing::Server::start()?;
    /// // Nobody is signed in here.
    /// assert_eq!(server.send_to_user("ann", "note", &serde_json::json!({"text": "hello"})), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_to_user(&self, user: &str, event: &str, data: &(impl Serialize + ?Sized)) -> usize {
        let Some(text) = text_of(&channel_of(user), event, data) else {
            return 0;
        };
        self.shared.act(|state| state.send_to_user(user, event, &text))
    }

    /// Closes all connections of a user with 4009, as [`Settings::close_style`](super::Settings::close_style)
    /// says. Returns their number.
    pub fn terminate_user(&self, user: &str) -> usize {
        self.shared.act(|state| state.terminate(user))
    }

    /// Refuses all new sign-ins, valid ones too. `None` ends the fault. Users who are signed in stay so.
    ///
    /// # Example
    ///
    /// A server that does not know sign-in:
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use pusher_channels::testing::{Server, SigninRefusal};
    ///
    /// let server = Server::start()?;
    /// server.refuse_signin(Some(SigninRefusal::Unknown));
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_signin(&self, refusal: Option<SigninRefusal>) {
        self.shared.act(|state| state.refused_signin = refusal);
    }
}
