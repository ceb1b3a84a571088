//! The handle of the signed-in user.

use std::fmt;

use super::Client;
use crate::binding::{Binding, Queue};
use crate::driver::Selector;
use crate::{Error, Event, UserData, WatchlistEvent};

/// The signed-in user: events that the server sends to this user, on all of the user's connections, and watchlist
/// events.
///
/// A handle: cheap to clone and usable from every thread. Bindings can be made before [`Client::signin`], and stay
/// across reconnects and changes of the user. See
/// [server-to-user events](https://pusher.com/docs/channels/server_api/server-to-user-events/).
///
/// # Example
///
/// ```no_run
/// use pusher_channels::{Client, HttpUserAuthenticator, Options};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// let client = Client::builder(Options::cluster("eu", "app-key"))
///     .user_authenticator(HttpUserAuthenticator::new("https://example.org/pusher/user-auth"))
///     .build()?;
/// let notes = client.user().bind("note");
/// client.signin();
/// client.connect();
/// println!("signed in as {}", client.wait_signed_in(Duration::from_secs(10))?.id());
/// for note in &notes {
///     println!("{}", note.data());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct User(Client);

impl User {
    pub(crate) fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// Returns the user that is signed in on the current connection; `None` until the server has confirmed it.
    ///
    /// Never blocks; [`Client::wait_signed_in`] waits.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Client, Options};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::cluster("eu", "app-key"))?;
    /// assert_eq!(client.user().current(), None);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "user_data")]
    pub fn current(&self) -> Option<UserData> {
        self.0.shared().with_core(|core| core.machine.signed_in().cloned())
    }

    /// The old name of [`current`](Self::current).
    #[deprecated(since = "0.2.0", note = "use `current`")]
    pub fn data(&self) -> Option<UserData> {
        self.current()
    }

    /// Returns a binding that receives the events of this name that are sent to the user.
    pub fn bind(&self, event: &str) -> Binding<Event> {
        self.bind_events(event, None)
    }

    /// Like [`bind`](Self::bind), with a queue for this binding alone.
    pub fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
        self.bind_events(event, Some(queue))
    }

    /// Returns a binding that receives all events that are sent to the user.
    #[doc(alias = "bind_global")]
    pub fn bind_all(&self) -> Binding<Event> {
        self.bind_all_events(None)
    }

    /// Like [`bind_all`](Self::bind_all), with a queue for this binding alone.
    pub fn bind_all_with(&self, queue: Queue) -> Binding<Event> {
        self.bind_all_events(Some(queue))
    }

    /// Returns a binding that receives the users of the watchlist that are online after each sign-in, and then every
    /// user that comes online or goes offline.
    #[doc(alias = "watchlist")]
    pub fn bind_watchlist(&self) -> Binding<WatchlistEvent> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.watchlist), "", None)
    }

    /// Returns a binding that receives the user's data each time the server confirms a sign-in: once on each
    /// connection.
    #[doc(alias = "pusher:signin_success")]
    pub fn bind_signed_in(&self) -> Binding<UserData> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.signed_in), "", None)
    }

    /// Returns a binding that receives an error each time a sign-in fails.
    ///
    /// If the error [is retryable](Error::is_retryable), the client tries again with back-off. Otherwise it tries
    /// again on the next connection, or when [`Client::signin`] is called.
    pub fn bind_signin_error(&self) -> Binding<Error> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.errors), "", None)
    }

    fn bind_events(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        self.0.shared().bind(Selector::User(|user, name| user.events.named(name)), event, queue)
    }

    fn bind_all_events(&self, queue: Option<Queue>) -> Binding<Event> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.events.all), "", queue)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("current", &self.current()).finish_non_exhaustive()
    }
}
