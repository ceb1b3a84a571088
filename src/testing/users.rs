//! What a test does with users.

use serde::Serialize;

use super::settings::SigninRefusal;
use super::signin::channel_of;
use super::{Server, auth, text_of};

/// Users.
///
/// A client signs in with what [`user_auth_url`](Self::user_auth_url) gives it. It may then subscribe
/// to its user's own channel, `#server-to-user-ID`, and to presence channels without `channel_data`,
/// as that user. If the user has a watchlist, it is told who of it is online, and who comes and goes
/// from then on: see [`WatchlistStyle`](super::WatchlistStyle). News that are not true, or have other
/// names, can be sent with [`send_raw`](Self::send_raw). A second sign-in on a connection takes the
/// place of the first.
impl Server {
    /// Where users are signed in, such as `http://127.0.0.1:54322/pusher/user-auth`.
    ///
    /// It takes `socket_id` as Pusher documents it: in a form that is posted, in a JSON object, or in
    /// the query; the answer is `{"auth":…,"user_data":…}`. Whoever asks is who the parameters say:
    ///
    /// - `user_id`, or else `user-SOCKET_ID`;
    /// - `user_info` (JSON), which presence channels show;
    /// - `watchlist`: an array of ids in JSON, or ids with commas between them.
    ///
    /// Nothing of it is checked before the sign-in, so `user_data` can be made wrong.
    pub fn user_auth_url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.auth_port, auth::USER_PATH)
    }

    /// How many of the requests in [`auth_count`](Self::auth_count) were to
    /// [`user_auth_url`](Self::user_auth_url).
    pub fn user_auth_count(&self) -> usize {
        self.shared.read(|state| state.auth.user_count())
    }

    /// How many connections are signed in as this user.
    pub fn signed_in(&self, user: &str) -> usize {
        self.shared.read(|state| state.signed_in(user))
    }

    /// Sends an event to a user, and tells how many connections it goes to: those that are signed in
    /// as the user and have subscribed to the user's own channel, or as
    /// [`Settings::user_events_without_subscription`](super::Settings::user_events_without_subscription)
    /// says. `data` is sent as [`publish`](Self::publish) does it.
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

    /// Ends all connections of a user with 4009, as [`Settings::close_style`](super::Settings::close_style)
    /// says, and tells how many they were.
    pub fn terminate_user(&self, user: &str) -> usize {
        self.shared.act(|state| state.terminate(user))
    }

    /// Refuses all sign-ins from now on, right ones too; `None` ends it. Who is signed in stays so.
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
