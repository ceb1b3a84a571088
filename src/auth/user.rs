//! The authentication of the user of a connection: requests, responses and the authenticator.

use std::fmt;
use std::sync::Arc;

use super::{fields, impl_for_pointers, invalid, missing, string};
use crate::{ClientSettings, Error, Proxy, Tls};

/// Authenticates the user of this client, for sign-in: by an HTTP endpoint of yours, or by code of yours.
///
/// The client makes one request on each connection that signs in, on a worker thread, so an authenticator may block. A
/// response that comes after the connection is lost is dropped.
///
/// A request whose error [is retryable](Error::is_retryable) is repeated with back-off. After any other error the
/// sign-in has failed; the client tries again on the next connection, or when `signin()` is called.
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
    /// Returns the identity of the user, signed for the connection of the request.
    ///
    /// # Errors
    ///
    /// Any. Its kind decides whether the request is repeated, see [`Error::is_retryable`].
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error>;

    /// Returns the host and port that requests go to, if they are always the same: `app.example.org:443`.
    ///
    /// Called once, when the authenticator is passed to a client. Authenticators and authorizers with the same endpoint
    /// share their workers, see [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations).
    /// Default: `None`, the authenticator counts as an endpoint of its own; so do all clones of an `Arc` together.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// Returns the authenticator that a client uses in place of this one, see
    /// [`Authorizer::attach`](crate::Authorizer::attach). Default: `None`, the client uses this one.
    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn UserAuthenticator>> {
        self.use_tls(client.tls());
        self.use_proxy(client.proxy());
        None
    }

    /// Superseded by [`attach`](Self::attach), whose default calls it.
    #[doc(hidden)]
    fn use_tls(&self, tls: &Tls) {
        let _ = tls;
    }

    /// Superseded by [`attach`](Self::attach), whose default calls it.
    #[doc(hidden)]
    fn use_proxy(&self, proxy: &Proxy) {
        let _ = proxy;
    }

    /// Makes a running request return soon, with an error. Called when the client is closed. Default: does nothing, and
    /// [`Client::close`](crate::Client::close) waits for it.
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

impl_for_pointers!(UserAuthenticator {
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        (**self).authenticate(request)
    }
});

/// A request to a [`UserAuthenticator`].
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
    /// Creates the request of a first attempt, to test an authenticator.
    pub fn new(socket_id: &str) -> Self {
        Self::attempt_number(socket_id, 1)
    }

    pub(crate) fn attempt_number(socket_id: &str, attempt: u32) -> Self {
        Self { socket_id: socket_id.to_owned(), attempt }
    }

    /// Returns the socket id of the connection that the response is for.
    pub fn socket_id(&self) -> &str {
        &self.socket_id
    }

    /// Returns which attempt this is on this connection, beginning with 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// The response of a [`UserAuthenticator`].
///
/// ```
/// use pusher_channels::UserAuth;
///
/// // What Pusher's server libraries return for a user.
/// let auth = UserAuth::new("key:signature", r#"{"id":"7","user_info":{"name":"Ann"}}"#);
/// ```
#[derive(Clone)]
pub struct UserAuth {
    pub(crate) auth: String,
    pub(crate) user_data: String,
}

impl UserAuth {
    /// Creates a response with the signature in the protocol's form, `key:hex`, and the JSON text that was signed: an
    /// object with the user's `id`.
    pub fn new(auth: impl Into<String>, user_data: impl Into<String>) -> Self {
        Self { auth: auth.into(), user_data: user_data.into() }
    }

    /// Reads the response of an endpoint: `{"auth":…,"user_data":…}`. The user data is a string with the JSON text
    /// that was signed, or an object, whose text is used exactly as it stands in the response.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) if the text is not such JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let [auth, user_data] = fields(text, ["auth", "user_data"])?;
        if !text.trim_start().starts_with('{') {
            return Err(invalid("is not a JSON object"));
        }
        let auth = string("auth", auth.ok_or_else(|| missing("auth"))?)?;
        let user_data = match user_data.ok_or_else(|| missing("user_data"))? {
            object if object.starts_with('{') => object.to_owned(),
            string => serde_json::from_str(string).map_err(|_| {
                invalid("has a field `user_data` that is neither a string nor an object")
            })?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use std::error::Error as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn response_is_read() {
        for (text, user_data) in [
            (r#"{"auth":"k:s","user_data":"{\"id\":\"7\"}"}"#, r#"{"id":"7"}"#),
            // An escaped name, unknown fields, and of two the last.
            (r#"{"x":[],"a\u0075th":"k:s","user_data":1,"user_data":"\u00e4"}"#, "ä"),
            ("{\"auth\":\"k:s\",\"user_data\":{}}", "{}"),
            (
                " {\"user_data\":\n{ \"b\":1,\t\"a\":1e5 }\n,\"auth\":\"k:s\"}",
                "{ \"b\":1,\t\"a\":1e5 }",
            ),
        ] {
            let auth = UserAuth::from_json(text).unwrap();
            assert_eq!((&*auth.auth, &*auth.user_data), ("k:s", user_data));
        }
    }

    #[test]
    fn invalid_response_is_explained_and_not_shown() {
        for (text, what) in [
            ("", "is not JSON"),
            ("canary", "is not JSON"),
            (r#"{"auth":"canary""#, "is not JSON"),
            (r#"{"auth":"canary"} canary"#, "is not JSON"),
            (r#""canary""#, "is not a JSON object"),
            (r#"["canary"]"#, "is not a JSON object"),
            ("null", "is not a JSON object"),
            (r#"{"user_data":"canary"}"#, "has no `auth`"),
            (r#"{"auth":null,"user_data":"canary"}"#, "has no `auth`"),
            (
                r#"{"auth":["canary"],"user_data":"canary"}"#,
                "has a field `auth` that is not a string",
            ),
            (r#"{"auth":"canary"}"#, "has no `user_data`"),
            (r#"{"auth":"canary","user_data":null}"#, "has no `user_data`"),
            (
                r#"{"auth":"canary","user_data":["canary"]}"#,
                "has a field `user_data` that is neither a string nor an object",
            ),
            (
                r#"{"auth":"canary","user_data":7}"#,
                "has a field `user_data` that is neither a string nor an object",
            ),
        ] {
            let error = UserAuth::from_json(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth);
            assert_eq!(error.to_string(), format!("the response {what}"));
            assert_eq!(error.source().is_some(), what == "is not JSON", "{error:?}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let deep = format!(r#"{{"auth":"k:s","user_data":{{"a":{}"#, "[".repeat(1_000_000));
        assert_eq!(UserAuth::from_json(&deep).unwrap_err().kind(), ErrorKind::Auth);
    }

    #[test]
    fn response_is_not_shown() {
        let shown = format!("{:?}", UserAuth::new("canary", "canary"));
        assert_eq!(shown, r#"UserAuth { auth: "[redacted]", user_data: "[redacted]" }"#);
    }

    #[derive(Default)]
    struct Counting([AtomicU32; 4]);

    impl UserAuthenticator for Counting {
        fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
            self.0[0].fetch_add(request.attempt(), Ordering::SeqCst);
            Ok(UserAuth::new("k:s", request.socket_id()))
        }
        fn use_tls(&self, _: &Tls) {
            self.0[1].fetch_add(1, Ordering::SeqCst);
        }
        fn use_proxy(&self, _: &Proxy) {
            self.0[3].fetch_add(1, Ordering::SeqCst);
        }
        fn interrupt(&self) {
            self.0[2].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Uses it as a client does.
    fn use_once(authenticator: impl UserAuthenticator + 'static) -> UserAuth {
        assert!(authenticator.attach(&ClientSettings::default()).is_none());
        authenticator.interrupt();
        authenticator.authenticate(&UserAuthRequest::attempt_number("1.2", 4)).unwrap()
    }

    #[test]
    fn closures_and_pointers_are_authenticators() {
        let attempt = |request: &UserAuthRequest| {
            Ok(UserAuth::new("k:s", format!("{} {}", request.socket_id(), request.attempt())))
        };
        assert_eq!(use_once(attempt).user_data, "1.2 4");

        let counting = Arc::new(Counting::default());
        assert_eq!(use_once(Arc::clone(&counting)).user_data, "1.2");
        use_once(Arc::clone(&counting) as Arc<dyn UserAuthenticator>);
        use_once(Box::new(Arc::clone(&counting)) as Box<dyn UserAuthenticator>);
        use_once(Box::new(Arc::clone(&counting)) as Box<dyn UserAuthenticator + Send + Sync>);
        let [called, tls, interrupted, proxy] = &counting.0;
        assert_eq!(called.load(Ordering::SeqCst), 16);
        assert_eq!((tls.load(Ordering::SeqCst), interrupted.load(Ordering::SeqCst)), (4, 4));
        assert_eq!(proxy.load(Ordering::SeqCst), 4);
    }
}
