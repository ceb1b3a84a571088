//! Who may join a channel: the question, the answer, and those who answer.

mod attach;
pub(crate) mod http;
mod signer;
mod user;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::util::secret::Secret;
use crate::wire::pick;
use crate::{Error, ErrorKind, Proxy, Tls};

pub use attach::ClientSettings;
pub use http::{HttpAuthorizer, HttpUserAuthenticator};
pub use signer::SecretAuthorizer;
#[cfg(feature = "testing")]
pub(crate) use signer::sign;
pub use user::{UserAuth, UserAuthRequest, UserAuthenticator};

/// Answers whether this client may join a channel: an HTTP endpoint of yours, or code of yours.
///
/// The client asks once for each subscription on each connection, on a thread of its own, so blocking
/// is fine; at most 4 questions are asked at once, see [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations). What comes back after the
/// connection is gone, or the channel is not wanted any more, is dropped.
///
/// An error that [is retryable](Error::is_retryable) is tried again with back-off; any other waits for
/// `subscribe()` to be called again.
///
/// A closure needs its argument's type:
///
/// ```
/// use pusher_channels::{Auth, AuthRequest, Authorizer};
///
/// let authorizer = |request: &AuthRequest| Ok(Auth::new("key:signature"));
/// let auth = authorizer.authorize(&AuthRequest::new("1.2", "private-room")).unwrap();
/// ```
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/authorizing-users/).
pub trait Authorizer: Send + Sync {
    /// Answers one question.
    ///
    /// # Errors
    ///
    /// Whatever went wrong. Make it retryable or not by its kind, see [`Error::is_retryable`].
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error>;

    /// For how long questions are collected, to be asked together by
    /// [`authorize_many`](Self::authorize_many). Default: `None`, they are asked one by one.
    fn batch_window(&self) -> Option<Duration> {
        None
    }

    /// Returns the host and port that are asked, if they are always the same: `app.example.org:443`.
    ///
    /// The client asks once, when it gets the authorizer. All that return the same share their workers, see
    /// [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations). Default: `None`, and it
    /// shares them with none but itself; clones of an `Arc` are one.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// Answers several questions, in their order. Default: one by one.
    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        requests.iter().map(|request| self.authorize(request)).collect()
    }

    /// Returns the authorizer that a client asks in place of this one, with the client's TLS settings and proxy, and
    /// with state that is only the client's. Default: `None`, the client asks this one.
    ///
    /// Called on the caller's thread each time that a client gets the authorizer. [`endpoint`](Self::endpoint) is
    /// that of this one in any case; everything else is called on what is returned.
    ///
    /// An authorizer around another one attaches that too, or its requests are made with default settings and end
    /// only with their own timeout:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use pusher_channels::{Auth, AuthRequest, Authorizer, ClientSettings, Error};
    ///
    /// struct Counted(Arc<dyn Authorizer>);
    ///
    /// impl Authorizer for Counted {
    ///     fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
    ///         println!("attempt {}", request.attempt());
    ///         self.0.authorize(request)
    ///     }
    ///
    ///     fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
    ///         Some(Arc::new(Self(self.0.attach(client)?)))
    ///     }
    ///
    ///     fn interrupt(&self) {
    ///         self.0.interrupt();
    ///     }
    /// }
    /// ```
    fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
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

impl<F> Authorizer for F
where
    F: Fn(&AuthRequest) -> Result<Auth, Error> + Send + Sync,
{
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self(request)
    }
}

macro_rules! authorizer_behind {
    ([$($generic:tt)*] $type:ty, $own_name:expr) => {
        impl<$($generic)*> Authorizer for $type {
            fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
                (**self).authorize(request)
            }
            fn batch_window(&self) -> Option<Duration> {
                (**self).batch_window()
            }
            fn endpoint(&self) -> Option<String> {
                let own_name: fn(&Self) -> Option<String> = $own_name;
                (**self).endpoint().or_else(|| own_name(self))
            }
            fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
                (**self).authorize_many(requests)
            }
            fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn Authorizer>> {
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
authorizer_behind!([A: Authorizer + ?Sized] Arc<A>, |this| Some(format!("{:p}", Arc::as_ptr(this))));
authorizer_behind!([] Box<dyn Authorizer>, |_| None);
authorizer_behind!([] Box<dyn Authorizer + Send + Sync>, |_| None);

/// What an [`Authorizer`] is asked.
#[derive(Clone, Debug)]
pub struct AuthRequest {
    socket_id: String,
    channel: String,
    attempt: u32,
}

impl AuthRequest {
    /// A first question, to try out an authorizer.
    pub fn new(socket_id: &str, channel: &str) -> Self {
        Self::attempt_number(socket_id, channel, 1)
    }

    pub(crate) fn attempt_number(socket_id: &str, channel: &str, attempt: u32) -> Self {
        Self { socket_id: socket_id.to_owned(), channel: channel.to_owned(), attempt }
    }

    /// The connection that the answer is for.
    pub fn socket_id(&self) -> &str {
        &self.socket_id
    }

    /// The full name of the channel.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// How often it has been asked for this subscription on this connection, this time included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// What an [`Authorizer`] answers.
#[derive(Clone)]
pub struct Auth {
    pub(crate) auth: String,
    pub(crate) channel_data: Option<String>,
    pub(crate) shared_secret: Option<Secret>,
}

impl Auth {
    /// The signature, as the server wants it: `key:hex`.
    pub fn new(auth: impl Into<String>) -> Self {
        Self { auth: auth.into(), channel_data: None, shared_secret: None }
    }

    /// What other members learn of this one: the JSON text that was signed. Needed on presence channels.
    pub fn channel_data(mut self, channel_data: impl Into<String>) -> Self {
        self.channel_data = Some(channel_data.into());
        self
    }

    /// The key of an encrypted channel: 32 bytes in base64. It is never sent to the server.
    pub fn shared_secret(mut self, base64: impl Into<String>) -> Self {
        self.shared_secret = Some(Secret::new(base64.into()));
        self
    }

    /// Reads the answer of an endpoint: `{"auth":…,"channel_data":…,"shared_secret":…}`, the last two
    /// optional.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] if it is no such JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::message(ErrorKind::Auth, format!("the answer {what}"));
        if let Err(error) = serde_json::from_str::<&RawValue>(text) {
            return Err(wrong("is not JSON").caused_by(error));
        }
        let names = ["auth", "channel_data", "shared_secret"];
        let [auth, channel_data, shared_secret] = pick(text, names);
        let field = |name: &str, json: Option<&str>| match json.filter(|json| *json != "null") {
            None => Ok(None),
            // Not read leniently, since it was signed as it is.
            Some(json) => serde_json::from_str(json)
                .map(Some)
                .map_err(|_| wrong(&format!("has a `{name}` that is not a string"))),
        };
        let auth = field("auth", auth)?.ok_or_else(|| wrong("has no `auth`"))?;
        Ok(Self {
            auth,
            channel_data: field("channel_data", channel_data)?,
            shared_secret: field("shared_secret", shared_secret)?.map(Secret::new),
        })
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("auth", &"[redacted]")
            .field("channel_data", &self.channel_data.as_ref().map(|_| "[redacted]"))
            .field("shared_secret", &self.shared_secret)
            .finish()
    }
}
