//! Who the user of a connection is: the question, the answer, and those who answer.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::wire::pick;
use crate::{ClientSettings, Error, ErrorKind, Proxy, Tls};

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

    /// Returns the host and port that are asked, if they are always the same: `app.example.org:443`.
    ///
    /// The client asks once, when it gets the authenticator. All that return the same share their workers, see
    /// [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations). Default: `None`, and it
    /// shares them with none but itself; clones of an `Arc` are one.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// Returns the authenticator that a client asks in place of this one, see
    /// [`Authorizer::attach`](crate::Authorizer::attach). Default: `None`, the client asks this one.
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

    /// Ends soon what is under way, since the client that asks is closed. Default: nothing;
    /// [`Client::close`](crate::Client::close) then waits for it.
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
    ([$($generic:tt)*] $type:ty, $own_name:expr) => {
        impl<$($generic)*> UserAuthenticator for $type {
            fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
                (**self).authenticate(request)
            }
            fn endpoint(&self) -> Option<String> {
                let own_name: fn(&Self) -> Option<String> = $own_name;
                (**self).endpoint().or_else(|| own_name(self))
            }
            fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn UserAuthenticator>> {
                (**self).attach(client)
            }
            fn use_tls(&self, tls: &Tls) {
                (**self).use_tls(tls);
            }
            fn use_proxy(&self, proxy: &Proxy) {
                (**self).use_proxy(proxy);
            }
            fn interrupt(&self) {
                (**self).interrupt();
            }
        }
    };
}
authenticator_behind!([A: UserAuthenticator + ?Sized] Arc<A>, |this| Some(format!("{:p}", Arc::as_ptr(this))));
authenticator_behind!([] Box<dyn UserAuthenticator>, |_| None);
authenticator_behind!([] Box<dyn UserAuthenticator + Send + Sync>, |_| None);

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
        let wrong = |what: &str| Error::message(ErrorKind::Auth, format!("the answer {what}"));
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return Err(wrong("is not JSON").caused_by(error));
        }
        if !text.trim_start().starts_with('{') {
            return Err(wrong("is not a JSON object"));
        }
        let [auth, user_data] = pick(text, ["auth", "user_data"]);
        let field = |name: &str, json: Option<&str>| {
            let json = json.filter(|json| *json != "null").map(str::to_owned);
            json.ok_or_else(|| wrong(&format!("has no `{name}`")))
        };
        let auth = serde_json::from_str(&field("auth", auth)?)
            .map_err(|_| wrong("has an `auth` that is not a string"))?;
        let user_data = match field("user_data", user_data)? {
            // Byte for byte, since it is this text that was signed.
            object if object.starts_with('{') => object,
            string => serde_json::from_str(&string)
                .map_err(|_| wrong("has a `user_data` that is neither a string nor an object"))?,
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
    use std::error::Error as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn an_answer_is_read() {
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
    fn an_answer_that_is_wrong_is_told_and_not_shown() {
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
            (r#"{"auth":["canary"],"user_data":"canary"}"#, "has an `auth` that is not a string"),
            (r#"{"auth":"canary"}"#, "has no `user_data`"),
            (r#"{"auth":"canary","user_data":null}"#, "has no `user_data`"),
            (
                r#"{"auth":"canary","user_data":["canary"]}"#,
                "has a `user_data` that is neither a string nor an object",
            ),
            (
                r#"{"auth":"canary","user_data":7}"#,
                "has a `user_data` that is neither a string nor an object",
            ),
        ] {
            let error = UserAuth::from_json(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth);
            assert_eq!(error.to_string(), format!("the answer {what}"));
            assert_eq!(error.source().is_some(), what == "is not JSON", "{error:?}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let deep = format!(r#"{{"auth":"k:s","user_data":{{"a":{}"#, "[".repeat(1_000_000));
        assert_eq!(UserAuth::from_json(&deep).unwrap_err().kind(), ErrorKind::Auth);
    }

    #[test]
    fn an_answer_is_not_shown() {
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

    /// As a builder takes it.
    fn ask(authenticator: impl UserAuthenticator + 'static) -> UserAuth {
        assert!(authenticator.attach(&ClientSettings::default()).is_none());
        authenticator.interrupt();
        authenticator.authenticate(&UserAuthRequest::attempt_number("1.2", 4)).unwrap()
    }

    #[test]
    fn closures_and_pointers_answer_too() {
        let attempt = |request: &UserAuthRequest| {
            Ok(UserAuth::new("k:s", format!("{} {}", request.socket_id(), request.attempt())))
        };
        assert_eq!(ask(attempt).user_data, "1.2 4");

        let counting = Arc::new(Counting::default());
        assert_eq!(ask(Arc::clone(&counting)).user_data, "1.2");
        ask(Arc::clone(&counting) as Arc<dyn UserAuthenticator>);
        ask(Box::new(Arc::clone(&counting)) as Box<dyn UserAuthenticator>);
        ask(Box::new(Arc::clone(&counting)) as Box<dyn UserAuthenticator + Send + Sync>);
        let [asked, tls, interrupted, proxy] = &counting.0;
        assert_eq!(asked.load(Ordering::SeqCst), 16);
        assert_eq!((tls.load(Ordering::SeqCst), interrupted.load(Ordering::SeqCst)), (4, 4));
        assert_eq!(proxy.load(Ordering::SeqCst), 4);
    }
}
