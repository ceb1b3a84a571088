//! Who the user of a connection is: the question, the answer, and those who answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::{Error, ErrorKind, Tls};

/// Answers who the user of this client is, for sign-in: an HTTP endpoint of yours, or code of yours.
///
/// The client asks once on each connection that signs in, on a thread of its own, so blocking is fine. What
/// comes back after the connection is gone is dropped.
///
/// An error that [is retryable](Error::is_retryable) is tried again with back-off; any other waits for
/// `signin()` to be called again.
///
/// A closure needs its argument's type:
///
/// ```
/// use pusher_channels::{UserAuth, UserAuthRequest, UserAuthenticator};
///
/// let authenticator =
///     |request: &UserAuthRequest| Ok(UserAuth::new("key:signature", r#"{"id":"7"}"#));
/// let auth = authenticator.authenticate(&UserAuthRequest::new("1.2")).unwrap();
/// ```
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authenticating-users/).
pub trait UserAuthenticator: Send + Sync {
    /// Answers who the user is.
    ///
    /// # Errors
    ///
    /// Whatever went wrong. Make it retryable or not by its kind, see [`Error::is_retryable`].
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error>;

    /// A client that will use this authenticator tells its TLS settings. Default: they are ignored.
    fn use_tls(&self, tls: &Tls) {
        let _ = tls;
    }

    /// A client that uses this authenticator is closed: gives up soon what is under way. Default:
    /// nothing; [`Client::close`](crate::Client::close) then waits for it.
    fn interrupt(&self) {}
}

impl<F> UserAuthenticator for F
where
    F: Fn(&UserAuthRequest) -> Result<UserAuth, Error> + Send + Sync,
{
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        self(request)
    }
}

macro_rules! authenticator_behind {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> UserAuthenticator for $type {
            fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
                (**self).authenticate(request)
            }
            fn use_tls(&self, tls: &Tls) {
                (**self).use_tls(tls);
            }
            fn interrupt(&self) {
                (**self).interrupt();
            }
        }
    };
}
authenticator_behind!([A: UserAuthenticator + ?Sized] Arc<A>);
authenticator_behind!([] Box<dyn UserAuthenticator + Send + Sync>);

/// What a [`UserAuthenticator`] is asked.
///
/// ```
/// use pusher_channels::UserAuthRequest;
///
/// let request = UserAuthRequest::new("1234.5678");
/// assert_eq!((request.socket_id(), request.attempt()), ("1234.5678", 1));
/// ```
#[derive(Clone, Debug)]
pub struct UserAuthRequest {
    socket_id: String,
    attempt: u32,
}

impl UserAuthRequest {
    /// A first question, to try out an authenticator.
    pub fn new(socket_id: &str) -> Self {
        Self::attempt_number(socket_id, 1)
    }

    pub(crate) fn attempt_number(socket_id: &str, attempt: u32) -> Self {
        Self { socket_id: socket_id.to_owned(), attempt }
    }

    /// The connection that the answer is for.
    pub fn socket_id(&self) -> &str {
        &self.socket_id
    }

    /// How often it has been asked for this connection, this time included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// What a [`UserAuthenticator`] answers.
///
/// ```
/// use pusher_channels::UserAuth;
///
/// // What a server library of Pusher's makes of a user.
/// let auth = UserAuth::new("key:signature", r#"{"id":"7","user_info":{"name":"Ann"}}"#);
/// ```
#[derive(Clone)]
pub struct UserAuth {
    pub(crate) auth: String,
    pub(crate) user_data: String,
}

impl UserAuth {
    /// The signature, as the server wants it: `key:hex`; and who the user is: the JSON text that was
    /// signed, an object with the `id`.
    pub fn new(auth: impl Into<String>, user_data: impl Into<String>) -> Self {
        Self { auth: auth.into(), user_data: user_data.into() }
    }

    /// Reads the answer of an endpoint: `{"auth":…,"user_data":…}`. The user data is a string with the JSON
    /// text that was signed, or an object, whose text is then taken as it stands in the answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] if it is no such JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            let message = format!("the answer to the user authentication {what}");
            Error::message(ErrorKind::Auth, message)
        };
        let answer: HashMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                // The cause is not kept: it quotes what is there instead.
                Category::Data => wrong("is no JSON object"),
                _ => wrong("is no JSON").caused_by(error),
            })?;
        let field = |name: &str| {
            let value = answer.get(name).map(|value| value.get()).filter(|value| *value != "null");
            value.ok_or_else(|| wrong(&format!("has no {name}")))
        };
        let auth = serde_json::from_str(field("auth")?)
            .map_err(|_| wrong("has an auth that is no string"))?;
        let user_data = match field("user_data")? {
            // Byte for byte, since it is this text that was signed.
            object if object.starts_with('{') => object.to_owned(),
            string => serde_json::from_str(string)
                .map_err(|_| wrong("has a user_data that is neither a string nor an object"))?,
        };
        Ok(Self { auth, user_data })
    }
}

impl fmt::Debug for UserAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAuth")
            .field("auth", &"[redacted]")
            .field("user_data", &"[redacted]")
            .finish()
    }
}
