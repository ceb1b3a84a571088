//! The handle of the signed-in user.

use std::fmt;

use super::Client;
use crate::binding::{Binding, Queue};
use crate::driver::Selector;
use crate::{Error, Event, UserData, WatchlistEvent};

/// What concerns the signed-in user: events that the server sends to this user alone, on whichever
/// connection, and news of the users on the watchlist.
///
/// A handle: cheap to clone, and usable from every thread. Bindings can be made before
/// [`Client::signin`], and stay across lost connections and other users. See
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

    /// Who is signed in on the present connection; `None` until the server has confirmed it. Never
    /// blocks; [`Client::wait_signed_in`] waits.
    pub fn data(&self) -> Option<UserData> {
        self.0.shared().read(|core| core.machine.signed_in().cloned())
    }

    /// Receives the events of this name that are sent to the user.
    pub fn bind(&self, event: &str) -> Binding<Event> {
        self.bind_events(event, None)
    }

    /// As [`bind`](Self::bind), with a queue of its own.
    pub fn bind_with(&self, event: &str, queue: Queue) -> Binding<Event> {
        self.bind_events(event, Some(queue))
    }

    /// Receives all events that are sent to the user.
    pub fn bind_all(&self) -> Binding<Event> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.events.all), "", None)
    }

    /// Receives who of the user's watchlist is online or offline: those that are, after each sign-in,
    /// and then every change.
    pub fn bind_watchlist(&self) -> Binding<WatchlistEvent> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.watchlist), "", None)
    }

    /// Receives the user's data with every sign-in that the server confirms: one on each connection.
    pub fn bind_signed_in(&self) -> Binding<UserData> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.signed_in), "", None)
    }

    /// Receives why a sign-in failed. Those that may pass are tried again with back-off; the others
    /// wait for the next connection, or for [`Client::signin`].
    pub fn bind_signin_error(&self) -> Binding<Error> {
        self.0.shared().bind(Selector::User(|user, _| &mut user.errors), "", None)
    }

    fn bind_events(&self, event: &str, queue: Option<Queue>) -> Binding<Event> {
        self.0.shared().bind(Selector::User(|user, name| user.events.named(name)), event, queue)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("data", &self.data()).finish_non_exhaustive()
    }
}
