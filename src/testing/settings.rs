//! How a [`Server`](super::Server) behaves.

use std::fmt;
use std::io;

use zeroize::Zeroizing;

use super::tls::Acceptor;

/// How a [`Server`](super::Server) behaves. The default is as Pusher documents it.
///
/// The styles reproduce how other Pusher-compatible servers differ.
///
/// # Example
///
/// ```
/// use pusher_channels::testing::{CloseStyle, DataStyle, Server, Settings};
///
/// # fn main() -> std::io::Result<()> {
/// // Similar to Reverb.
/// let settings = Settings::default()
///     .activity_timeout(Some(30))
///     .error_data(DataStyle::Text)
///     .close_style(CloseStyle::Drop);
/// let server = Server::start_with(settings)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) port: u16,
    pub(super) activity_timeout: Option<u64>,
    pub(super) subscription_counts: bool,
    pub(super) data: DataStyle,
    pub(super) error_data: DataStyle,
    pub(super) close: CloseStyle,
    pub(super) presence: PresenceStyle,
    pub(super) repeat_member_added: bool,
    pub(super) client_event_limit: Option<u32>,
    pub(super) auth_refusal: ChannelRefusal,
    pub(super) signin_refusal: SigninRefusal,
    pub(super) user_events_without_subscription: bool,
    pub(super) watchlist: WatchlistStyle,
    pub(super) user_data_as_object: bool,
    pub(super) presence_by_signin: bool,
    pub(super) app_id: String,
    pub(super) cors: bool,
    pub(super) webhook: Option<String>,
    /// The chain and the key, in PEM.
    pub(super) tls: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "app-key".to_owned(),
            secret: "app-secret".to_owned(),
            port: 0,
            activity_timeout: Some(120),
            subscription_counts: false,
            data: DataStyle::Text,
            error_data: DataStyle::Object,
            close: CloseStyle::Code,
            presence: PresenceStyle::Documented,
            repeat_member_added: false,
            client_event_limit: Some(10),
            auth_refusal: ChannelRefusal::ErrorFrame(None),
            signin_refusal: SigninRefusal::ErrorFrame(Some(4009)),
            user_events_without_subscription: false,
            watchlist: WatchlistStyle::Documented,
            user_data_as_object: false,
            presence_by_signin: false,
            app_id: "app-id".to_owned(),
            cors: true,
            webhook: None,
            tls: None,
        }
    }
}

impl Settings {
    /// Sets the app key. Connections with another key are closed with 4001. Default: `app-key`.
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    /// Sets the app secret. Default: `app-secret`.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    /// Sets the app id, which is in the paths of the HTTP API. Default: `app-id`.
    pub fn app_id(mut self, app_id: &str) -> Self {
        self.app_id = app_id.to_owned();
        self
    }

    /// Sets the port on 127.0.0.1. Use the port of a server that was dropped to replace it: its URLs stay. Default: 0,
    /// any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the activity timeout that is sent to clients, in seconds; `None` omits it. Default: 120.
    ///
    /// The server itself never closes an idle connection.
    pub fn activity_timeout(mut self, seconds: Option<u64>) -> Self {
        self.activity_timeout = seconds;
        self
    }

    /// Sends the subscription count of a channel to its subscribers on every change, as Pusher does for apps
    /// with this option. Default: `false`.
    pub fn subscription_counts(mut self, on: bool) -> Self {
        self.subscription_counts = on;
        self
    }

    /// Sets the shape of `data` in the protocol's own events, except errors. Default: [`DataStyle::Text`].
    pub fn data_style(mut self, style: DataStyle) -> Self {
        self.data = style;
        self
    }

    /// Sets the shape of `data` in errors. Default: [`DataStyle::Object`]; Reverb sends [`DataStyle::Text`].
    pub fn error_data(mut self, style: DataStyle) -> Self {
        self.error_data = style;
        self
    }

    /// Sets how the server closes connections: those with a wrong key, and those closed by
    /// [`Server::close_all`](super::Server::close_all),
    /// [`Server::terminate_user`](super::Server::terminate_user) or [`SigninRefusal::Close`].
    /// Default: [`CloseStyle::Code`].
    pub fn close_style(mut self, style: CloseStyle) -> Self {
        self.close = style;
        self
    }

    /// Sets the shape of members of presence channels. Default: [`PresenceStyle::Documented`].
    pub fn presence_style(mut self, style: PresenceStyle) -> Self {
        self.presence = style;
        self
    }

    /// Sends `member_added` again for each further connection of a member, as soketi-rs and pusher-fake do.
    /// Default: `false`.
    pub fn repeat_member_added(mut self, on: bool) -> Self {
        self.repeat_member_added = on;
        self
    }

    /// Sets how many client events a connection may send per second; `None` sets no limit. Further ones are
    /// dropped with an error of code 4301. Default: 10.
    pub fn client_event_limit(mut self, limit: Option<u32>) -> Self {
        self.client_event_limit = limit;
        self
    }

    /// Sets how a subscription with invalid authorization is refused. Default: [`ChannelRefusal::ErrorFrame`]
    /// without a code.
    pub fn auth_refusal(mut self, refusal: ChannelRefusal) -> Self {
        self.auth_refusal = refusal;
        self
    }

    /// Sets how a sign-in with an invalid signature or invalid `user_data` is refused. Default:
    /// [`SigninRefusal::ErrorFrame`] with 4009.
    ///
    /// [`Server::refuse_signin`](super::Server::refuse_signin) refuses valid ones too.
    pub fn signin_refusal(mut self, refusal: SigninRefusal) -> Self {
        self.signin_refusal = refusal;
        self
    }

    /// Sends an event for a user to all connections that are signed in as that user, as soketi and sockudo do,
    /// instead of those that are also subscribed to the user's own channel. Default: `false`.
    pub fn user_events_without_subscription(mut self, on: bool) -> Self {
        self.user_events_without_subscription = on;
        self
    }

    /// Sets the shape of watchlist events. Default: [`WatchlistStyle::Documented`].
    pub fn watchlist_style(mut self, style: WatchlistStyle) -> Self {
        self.watchlist = style;
        self
    }

    /// Makes [`Server::user_auth_url`](super::Server::user_auth_url) return `user_data` as a JSON object, as some
    /// endpoints do, instead of a string. The signature is that of the object's text in the response. Default:
    /// `false`.
    pub fn user_data_as_object(mut self, on: bool) -> Self {
        self.user_data_as_object = on;
        self
    }

    /// Makes [`Server::auth_url`](super::Server::auth_url) omit `channel_data` for presence channels, so that only
    /// users who are signed in can join. Default: `false`.
    pub fn presence_by_signin(mut self, on: bool) -> Self {
        self.presence_by_signin = on;
        self
    }

    /// Makes the server speak TLS, with this certificate chain and its private key, both in PEM. Then all URLs begin
    /// with `wss` or `https`, and clients need the certificate's authority: see
    /// [`Tls::root_certificate_pem`](crate::Tls::root_certificate_pem). Default: no TLS.
    ///
    /// The certificate should have the address 127.0.0.1. The key is in PKCS#8, or with rustls also in PKCS#1 or SEC1.
    ///
    /// Starting the server fails with [`InvalidInput`](std::io::ErrorKind::InvalidInput) if they cannot be used, and
    /// with [`Unsupported`](std::io::ErrorKind::Unsupported) if this build has no TLS.
    pub fn tls(mut self, cert_chain_pem: &[u8], key_pem: &[u8]) -> Self {
        self.tls = Some((cert_chain_pem.to_vec(), Zeroizing::new(key_pem.to_vec())));
        self
    }

    /// Sends webhooks to this URL, which begins with `http://`: `channel_occupied`, `channel_vacated`, `member_added`,
    /// `member_removed`, `client_event`, `cache_miss`, and `subscription_count` if
    /// [`subscription_counts`](Self::subscription_counts) is on. They are signed as Pusher's, and sent at once. Default:
    /// none.
    ///
    /// One thread sends them in order, up to 50 in a request. A request that is not accepted with a 2xx status within
    /// 5 seconds is sent 3 times in all, then its events are dropped. At most 1,000 events wait; then the oldest are
    /// dropped. Both are logged as a warning. Those that wait when the server is dropped are dropped too.
    ///
    /// Starting the server fails with [`InvalidInput`](std::io::ErrorKind::InvalidInput) if the URL cannot be used.
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhook = Some(url.to_owned());
        self
    }

    /// Sets whether web pages of other origins may use the endpoints and the HTTP API, with every header and with
    /// credentials (CORS): the response to a request with `Origin` allows that origin, and preflights get a response.
    /// Default: `true`, since every request is authorized anyway.
    ///
    /// The WebSocket accepts every origin in either case.
    pub fn cors(mut self, on: bool) -> Self {
        self.cors = on;
        self
    }

    pub(super) fn acceptor(&self) -> io::Result<Option<Acceptor>> {
        let Some((chain, key)) = &self.tls else {
            return Ok(None);
        };
        Acceptor::new(chain, key).map(Some).map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::Other => io::ErrorKind::InvalidInput,
                kind => kind,
            };
            io::Error::new(kind, format!("Settings::tls: {error}"))
        })
    }
}

impl fmt::Debug for Settings {
    /// Omits the secret and the key of the certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("key", &self.key)
            .field("port", &self.port)
            .field("activity_timeout", &self.activity_timeout)
            .field("subscription_counts", &self.subscription_counts)
            .field("data_style", &self.data)
            .field("error_data", &self.error_data)
            .field("close_style", &self.close)
            .field("presence_style", &self.presence)
            .field("repeat_member_added", &self.repeat_member_added)
            .field("client_event_limit", &self.client_event_limit)
            .field("auth_refusal", &self.auth_refusal)
            .field("signin_refusal", &self.signin_refusal)
            .field("user_events_without_subscription", &self.user_events_without_subscription)
            .field("watchlist_style", &self.watchlist)
            .field("user_data_as_object", &self.user_data_as_object)
            .field("presence_by_signin", &self.presence_by_signin)
            .field("app_id", &self.app_id)
            .field("cors", &self.cors)
            .field("webhook", &self.webhook.is_some())
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// The shape of `data` in the protocol's own events. Published events always carry a string.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataStyle {
    /// A string that holds JSON, as Pusher sends it.
    Text,
    /// The JSON itself.
    Object,
    /// No `data` if it is empty, otherwise [`Text`](Self::Text).
    Absent,
}

/// How the server closes a connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseStyle {
    /// A close frame with the code, as Pusher does.
    Code,
    /// An error frame with the code, then a close frame without one, as soketi-rs does.
    Empty,
    /// An error frame with the code, then the TCP connection is dropped, as Reverb does.
    Drop,
    /// An error frame with the code; the connection stays open, as on Reverb with some codes.
    Open,
}

/// The shape of members of presence channels. [`DataStyle::Object`] is another variation.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceStyle {
    /// `ids`, `hash` and `count`; ids are strings, including those that were signed as numbers.
    Documented,
    /// No `ids`, as on pusher-fake.
    NoIds,
    /// An id that was signed as a number stays a number, except as a key of `hash`, as on soketi and Reverb.
    /// Users may sign in with such an id.
    NumericIds,
    /// `hash` is an empty array, as Reverb sends it for no members.
    EmptyHash,
}

/// How the server refuses a subscription; see [`Server::refuse_channel`](super::Server::refuse_channel)
/// and [`Settings::auth_refusal`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelRefusal {
    /// `pusher:error` with this code or none, without the channel's name. Reverb and sockudo send 4009.
    ErrorFrame(Option<u16>),
    /// `pusher:subscription_error` on the channel with this status, as soketi does: 401.
    SubscriptionError(u16),
    /// `pusher_internal:subscription_error` on the channel, as pusher-fake does.
    InternalSubscriptionError,
    /// No response.
    Silence,
}

/// How the server refuses a sign-in; see [`Settings::signin_refusal`] and
/// [`Server::refuse_signin`](super::Server::refuse_signin).
///
/// # Example
///
/// ```
/// use pusher_channels::testing::{Server, Settings, SigninRefusal};
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::start_with(Settings::default().signin_refusal(SigninRefusal::Close(4009)))?;
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigninRefusal {
    /// `pusher:error` with this code or none; the connection stays open. sockudo sends 4009.
    ErrorFrame(Option<u16>),
    /// `pusher:error` with this code, then a close with the same code; see [`Settings::close_style`]. soketi
    /// sends 4009.
    Close(u16),
    /// `pusher:error` 4200 with `Invalid message format`; the connection stays open, as on Reverb, which does
    /// not support sign-in.
    Unknown,
    /// No response, as on soketi for an app without user authentication.
    Silence,
}

/// The shape of watchlist events.
///
/// # Example
///
/// ```
/// use pusher_channels::testing::{Server, Settings, WatchlistStyle};
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::start_with(Settings::default().watchlist_style(WatchlistStyle::Bare))?;
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchlistStyle {
    /// `pusher_internal:watchlist_events`, with `online` and `offline` together, after
    /// `pusher:signin_success`.
    Documented,
    /// Separate events `online` and `offline` with an object as `data`. The first ones precede
    /// `pusher:signin_success`, as on sockudo.
    Bare,
}
