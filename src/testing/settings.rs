//! How a [`Server`](super::Server) behaves.

use std::fmt;

/// How a [`Server`](super::Server) behaves. The default is what Pusher documents.
///
/// The styles make it behave as other Pusher-compatible servers do, which a client has to cope with.
///
/// # Example
///
/// ```
/// use pusher_channels::testing::{CloseStyle, DataStyle, Server, Settings};
///
/// # fn main() -> std::io::Result<()> {
/// // Much as Reverb.
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
        }
    }
}

impl Settings {
    /// The app's key. Default: `app-key`. Connections with another one are refused with 4001.
    pub fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    /// The app's secret. Default: `app-secret`.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    /// The port on 127.0.0.1. Default: 0, any free one. With the port of a server that has ended, a
    /// new one takes its place.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The activity timeout that clients are told, in seconds; `None` leaves it out. Default: 120.
    ///
    /// The server itself never ends a quiet connection.
    pub fn activity_timeout(mut self, seconds: Option<u64>) -> Self {
        self.activity_timeout = seconds;
        self
    }

    /// Whether the subscribers of a channel are told how many they are, at every change, as Pusher
    /// does for an app that has it enabled. Default: `false`.
    pub fn subscription_counts(mut self, on: bool) -> Self {
        self.subscription_counts = on;
        self
    }

    /// The shape of `data` in the protocol's own events, errors excepted. Default: [`DataStyle::Text`].
    pub fn data_style(mut self, style: DataStyle) -> Self {
        self.data = style;
        self
    }

    /// The shape of `data` in errors. Default: [`DataStyle::Object`]; Reverb sends [`DataStyle::Text`].
    pub fn error_data(mut self, style: DataStyle) -> Self {
        self.error_data = style;
        self
    }

    /// How connections are ended: those with a wrong key, and those that
    /// [`Server::close_all`](super::Server::close_all),
    /// [`Server::terminate_user`](super::Server::terminate_user) or [`SigninRefusal::Close`] ends.
    /// Default: [`CloseStyle::Code`].
    pub fn close_style(mut self, style: CloseStyle) -> Self {
        self.close = style;
        self
    }

    /// How members of presence channels are told. Default: [`PresenceStyle::Documented`].
    pub fn presence_style(mut self, style: PresenceStyle) -> Self {
        self.presence = style;
        self
    }

    /// Whether a member is announced again with each further connection, as soketi-rs and pusher-fake
    /// do. Default: `false`.
    pub fn repeat_member_added(mut self, on: bool) -> Self {
        self.repeat_member_added = on;
        self
    }

    /// How many client events a connection may send in a second; `None`: as many as it likes.
    /// Default: 10. Those above it are dropped and answered with an error of code 4301.
    pub fn client_event_limit(mut self, limit: Option<u32>) -> Self {
        self.client_event_limit = limit;
        self
    }

    /// How a subscription whose authorization is wrong is refused. Default:
    /// [`ChannelRefusal::ErrorFrame`] without a code.
    pub fn auth_refusal(mut self, refusal: ChannelRefusal) -> Self {
        self.auth_refusal = refusal;
        self
    }

    /// How a sign-in that is wrong is refused: its signature, or what it says of the user. Default:
    /// [`SigninRefusal::ErrorFrame`] with 4009.
    ///
    /// [`Server::refuse_signin`](super::Server::refuse_signin) refuses right ones too.
    pub fn signin_refusal(mut self, refusal: SigninRefusal) -> Self {
        self.signin_refusal = refusal;
        self
    }

    /// Whether an event for a user goes to all connections that are signed in as that user, as on
    /// soketi and sockudo, instead of those that have also subscribed to the user's own channel.
    /// Default: `false`.
    pub fn user_events_without_subscription(mut self, on: bool) -> Self {
        self.user_events_without_subscription = on;
        self
    }

    /// How users are told who of their watchlist comes and goes. Default:
    /// [`WatchlistStyle::Documented`].
    pub fn watchlist_style(mut self, style: WatchlistStyle) -> Self {
        self.watchlist = style;
        self
    }

    /// Whether [`Server::user_auth_url`](super::Server::user_auth_url) answers `user_data` as a JSON
    /// object, as some endpoints do, instead of a string. What is signed is the object's text as it
    /// stands in the answer. Default: `false`.
    pub fn user_data_as_object(mut self, on: bool) -> Self {
        self.user_data_as_object = on;
        self
    }

    /// Whether [`Server::auth_url`](super::Server::auth_url) leaves `channel_data` out for presence
    /// channels, so that only users who are signed in may join, as themselves. Default: `false`.
    pub fn presence_by_signin(mut self, on: bool) -> Self {
        self.presence_by_signin = on;
        self
    }
}

impl fmt::Debug for Settings {
    /// Without the secret.
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
            .finish_non_exhaustive()
    }
}

/// The shape of `data` in the protocol's own events. Events that are published always carry text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataStyle {
    /// A string that holds JSON, as Pusher sends it.
    Text,
    /// The JSON itself.
    Object,
    /// No `data` where it would be empty; elsewhere as [`Text`](Self::Text).
    Absent,
}

/// How the server ends a connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseStyle {
    /// A close frame with the code, as Pusher does.
    Code,
    /// An error frame with the code, then a close frame without one, as soketi-rs does.
    Empty,
    /// An error frame with the code, then the TCP connection is dropped, as Reverb does.
    Drop,
    /// An error frame with the code, and nothing more: the connection stays open, as on Reverb with
    /// some codes.
    Open,
}

/// How the members of presence channels are told. A further shape is [`DataStyle::Object`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceStyle {
    /// `ids`, `hash` and `count`; ids are strings, also those that were signed as numbers.
    Documented,
    /// No `ids`, as on pusher-fake.
    NoIds,
    /// An id that was signed as a number stays one, in `ids` and wherever else the member is named, as
    /// on soketi and Reverb. In `hash` it is a string, as JSON wants it. With this style a user may
    /// sign in with such an id too.
    NumericIds,
    /// `hash` is an empty array, as Reverb sends it when it knows no member.
    EmptyHash,
}

/// How the server refuses a subscription; see [`Server::refuse_channel`](super::Server::refuse_channel)
/// and [`Settings::auth_refusal`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelRefusal {
    /// `pusher:error` with this code or none, which does not name the channel: Reverb and sockudo
    /// send 4009.
    ErrorFrame(Option<u16>),
    /// `pusher:subscription_error` on the channel with this status, as soketi does: 401.
    SubscriptionError(u16),
    /// `pusher_internal:subscription_error` on the channel, as pusher-fake does.
    InternalSubscriptionError,
    /// No answer at all.
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
    /// `pusher:error` with this code or none, which says what is wrong; the connection stays. sockudo
    /// sends 4009.
    ErrorFrame(Option<u16>),
    /// `pusher:error` with this code, then the connection is ended with it, as soketi does with 4009;
    /// see [`Settings::close_style`].
    Close(u16),
    /// The server does not know sign-in: `pusher:error` 4200 with `Invalid message format`, and the
    /// connection stays, as on Reverb.
    Unknown,
    /// No answer at all, as on soketi for an app without user authentication.
    Silence,
}

/// How users are told who of their watchlist is online.
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
    /// Events that are called `online` and `offline`, each on its own, with an object as `data`. The
    /// first of them come before `pusher:signin_success`, as on sockudo.
    Bare,
}
