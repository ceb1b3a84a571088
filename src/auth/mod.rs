//! Channel authorization and user authentication: requests, responses and the built-in implementations.

mod attach;
pub(crate) mod http;
pub(crate) mod signature;
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
#[cfg(all(feature = "publisher", feature = "encrypted"))]
pub(crate) use signer::shared_secret;
pub use user::{UserAuth, UserAuthRequest, UserAuthenticator};

/// Authorizes this client to subscribe to a channel: by an HTTP endpoint of yours, or by code of yours.
///
/// The client makes one request for each subscription on each connection, on a worker thread, so an authorizer may
/// block. At most 4 requests run at once, see
/// [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations). A response that comes after the
/// connection is lost or the channel is unsubscribed is dropped.
///
/// A request whose error [is retryable](Error::is_retryable) is repeated with back-off. After any other error the
/// subscription has failed; the client tries again on the next connection, or when `subscribe()` is called.
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
    /// Responds to one request.
    ///
    /// # Errors
    ///
    /// Any. Its kind decides whether the request is repeated, see [`Error::is_retryable`].
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error>;

    /// Returns for how long requests are collected, to be passed to [`authorize_many`](Self::authorize_many) together.
    /// Default: `None`, one request at a time.
    fn batch_window(&self) -> Option<Duration> {
        None
    }

    /// Returns the host and port that requests go to, if they are always the same: `app.example.org:443`.
    ///
    /// Called once, when the authorizer is passed to a client. Authorizers with the same endpoint share their workers,
    /// see [`ClientBuilder::max_authorizations`](crate::ClientBuilder::max_authorizations). Default: `None`, the
    /// authorizer counts as an endpoint of its own; so do all clones of an `Arc` together.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// Responds to several requests, in their order. Default: calls [`authorize`](Self::authorize) for each.
    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        requests.iter().map(|request| self.authorize(request)).collect()
    }

    /// Returns the authorizer that a client uses in place of this one, with the client's TLS settings and proxy, and
    /// with state of its own. Default: `None`, the client uses this one.
    ///
    /// Called on the caller's thread each time the authorizer is passed to a client. [`endpoint`](Self::endpoint) is
    /// called on this authorizer, everything else on the one returned.
    ///
    /// An authorizer that wraps another one attaches the inner one too. Otherwise the inner one's requests are made
    /// with default settings, and end only with their own timeout:
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

    /// Makes the running requests return soon, with an error. Called when the client is closed. Default: does nothing,
    /// and [`Client::close`](crate::Client::close) waits for them.
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

/// Implements a trait for the pointers to what implements it: with the methods given, and those that authorizers and
/// authenticators have in common.
macro_rules! impl_for_pointers {
    (impl [$($generic:tt)*] $trait:ident for $type:ty, $name:expr, { $($methods:tt)* }) => {
        impl<$($generic)*> $trait for $type {
            $($methods)*
            fn endpoint(&self) -> Option<String> {
                let name: fn(&Self) -> Option<String> = $name;
                (**self).endpoint().or_else(|| name(self))
            }
            fn attach(&self, client: &ClientSettings) -> Option<Arc<dyn $trait>> {
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
    ($trait:ident $methods:tt) => {
        impl_for_pointers!(
            impl [T: $trait + ?Sized] $trait for Arc<T>,
            |this| Some(format!("{:p}", Arc::as_ptr(this))),
            $methods
        );
        impl_for_pointers!(impl [] $trait for Box<dyn $trait>, |_| None, $methods);
        impl_for_pointers!(impl [] $trait for Box<dyn $trait + Send + Sync>, |_| None, $methods);
    };
}
use impl_for_pointers;

impl_for_pointers!(Authorizer {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        (**self).authorize(request)
    }
    fn batch_window(&self) -> Option<Duration> {
        (**self).batch_window()
    }
    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        (**self).authorize_many(requests)
    }
});

/// A request to an [`Authorizer`].
#[derive(Clone, Debug)]
pub struct AuthRequest {
    socket_id: String,
    channel: String,
    attempt: u32,
}

impl AuthRequest {
    /// Creates the request of a first attempt, to test an authorizer.
    pub fn new(socket_id: &str, channel: &str) -> Self {
        Self::attempt_number(socket_id, channel, 1)
    }

    pub(crate) fn attempt_number(socket_id: &str, channel: &str, attempt: u32) -> Self {
        Self { socket_id: socket_id.to_owned(), channel: channel.to_owned(), attempt }
    }

    /// Returns the socket id of the connection that the response is for.
    pub fn socket_id(&self) -> &str {
        &self.socket_id
    }

    /// Returns the full name of the channel.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Returns which attempt this is for the subscription on this connection, beginning with 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// The response of an [`Authorizer`].
#[derive(Clone)]
pub struct Auth {
    pub(crate) auth: String,
    pub(crate) channel_data: Option<String>,
    pub(crate) shared_secret: Option<Secret>,
}

impl Auth {
    /// Creates a response with a signature in the protocol's form, `key:hex`.
    pub fn new(auth: impl Into<String>) -> Self {
        Self { auth: auth.into(), channel_data: None, shared_secret: None }
    }

    /// Sets the data that other members see of this client: the JSON text that was signed. Required on presence
    /// channels.
    pub fn channel_data(mut self, channel_data: impl Into<String>) -> Self {
        self.channel_data = Some(channel_data.into());
        self
    }

    /// Sets the key of an encrypted channel: 32 bytes in base64. It is never sent to the server.
    pub fn shared_secret(mut self, base64: impl Into<String>) -> Self {
        self.shared_secret = Some(Secret::new(base64.into()));
        self
    }

    /// Reads the response of an endpoint: `{"auth":…,"channel_data":…,"shared_secret":…}`, the last two optional.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] if the text is not such JSON.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let [auth, channel_data, shared_secret] =
            fields(text, ["auth", "channel_data", "shared_secret"])?;
        let optional =
            |name: &str, json: Option<&str>| json.map(|json| string(name, json)).transpose();
        Ok(Self {
            auth: string("auth", auth.ok_or_else(|| missing("auth"))?)?,
            channel_data: optional("channel_data", channel_data)?,
            shared_secret: optional("shared_secret", shared_secret)?.map(Secret::new),
        })
    }
}

/// Returns the JSON texts of these fields of an endpoint's response; `null` counts as absent.
fn fields<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], Error> {
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Err(invalid("is not JSON").caused_by(error));
    }
    Ok(pick(text, names).map(|json| json.filter(|json| *json != "null")))
}

/// Reads a field strictly, since its text was signed as it is.
fn string(name: &str, json: &str) -> Result<String, Error> {
    serde_json::from_str(json)
        .map_err(|_| invalid(&format!("has a field `{name}` that is not a string")))
}

fn missing(name: &str) -> Error {
    invalid(&format!("has no `{name}`"))
}

fn invalid(what: &str) -> Error {
    Error::message(ErrorKind::Auth, format!("the response {what}"))
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
