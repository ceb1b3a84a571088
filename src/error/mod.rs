//! The one error type: opaque, cheap to clone, with a kind to match on.

mod chain;

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::error::Category;

use crate::util::guard::Owned;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, wherever it went wrong.
///
/// It is cheap to clone, since one failure may be sent to many receivers. Match on [`kind`](Self::kind);
/// the text is for people and may change. Both forms of it are one line:
///
/// - `{error}` says what failed and, of failures of I/O, DNS and TLS and of time-outs of `wait_*`, why: the
///   immediate cause, as in "connecting to 10.0.0.7:6001 failed: connection refused".
/// - `{error:#}` adds all causes, each once: at most 8, of at most 300 characters each. Use it in logs.
///
/// The causes themselves are in [`source`](std::error::Error::source). A printer that walks them and
/// shows each with `{}`, as `anyhow`'s does, repeats what `{error}` says of the immediate one.
///
/// # Example
///
/// ```
/// use pusher_channels::{Error, ErrorKind};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = Error::new(ErrorKind::Io, refused);
/// assert_eq!(error.kind(), ErrorKind::Io);
/// assert_eq!(error.to_string(), "input or output failed: connection refused");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    /// Empty: the kind's own words.
    message: String,
    channel: Option<String>,
    close_code: Option<u16>,
    http_status: Option<u16>,
    retry_after: Option<Duration>,
    /// It will not pass, although others of its kind may.
    lasting: bool,
    timeout: Option<Timeout>,
    /// What there is to do; empty if nothing.
    hint: &'static str,
    /// The message says what the source says, in better words.
    explained: bool,
    /// It may be the user's.
    source: Option<Owned<Arc<dyn std::error::Error + Send + Sync>>>,
}

/// The classes of [`Error`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An authorization was refused, or its answer made no sense.
    Auth,
    /// The connection or the client is closed.
    Closed,
    /// An option, a URL or a setting is wrong.
    Config,
    /// [`Client::close`](crate::Client::close) was called on one of the client's own threads, which would wait for
    /// itself.
    Deadlock,
    /// An encrypted event could not be decrypted.
    Decryption,
    /// The host's name could not be resolved.
    Dns,
    /// The WebSocket handshake was refused; [`Error::http_status`] tells how, if the server answered with HTTP.
    Handshake,
    /// A fault of this library; please report it.
    Internal,
    /// A channel's or an event's name is not allowed.
    InvalidName,
    /// The network, or the operating system, failed.
    Io,
    /// Something is not the JSON that was expected.
    Json,
    /// There is no connection: call `connect()`, or wait for it.
    NotConnected,
    /// No user is signed in: call `signin()`.
    NotSignedIn,
    /// The channel is not subscribed.
    NotSubscribed,
    /// The server sent something that is not the Pusher protocol.
    Protocol,
    /// A proxy does not let the connection through, or does not speak like one; [`Error::http_status`] tells what an
    /// HTTP proxy answered. See [`Proxy`](crate::Proxy).
    Proxy,
    /// Too much in too little time.
    RateLimited,
    /// The server reported an error, or closed the connection with a code.
    Server,
    /// A deadline passed.
    Timeout,
    /// A message or a name is longer than allowed.
    TooLarge,
    /// The TLS handshake failed, for example because the certificate is not trusted.
    Tls,
}

/// The deadlines that an [`Error`] of kind [`ErrorKind::Timeout`] can be about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// A dial, up to `pusher:connection_established`:
    /// [`connect_timeout`](crate::ClientBuilder::connect_timeout), 15 s by default, or the operating system's own.
    Connect,
    /// The server's confirmation of a subscription:
    /// [`subscribe_timeout`](crate::ClientBuilder::subscribe_timeout), 30 s by default.
    Subscribe,
    /// The server's confirmation of a sign-in:
    /// [`signin_timeout`](crate::ClientBuilder::signin_timeout), 30 s by default.
    SignIn,
    /// The server's answer to a ping of the keep-alive:
    /// [`pong_timeout`](crate::ClientBuilder::pong_timeout), 30 s by default. The connection counts as lost.
    Pong,
    /// The answer of an authorizer, a user authenticator or an HTTP endpoint, by its own time-out or by the
    /// one of the subscription or sign-in that it is for.
    Auth,
    /// The argument of `wait_*`, [`Client::ping`](crate::Client::ping) or
    /// [`Client::close`](crate::Client::close).
    Wait,
}

impl Error {
    /// An error of `kind`, told by a message or caused by another error.
    ///
    /// It is for authorizers, resolvers and connectors of your own. With a message, `Display` shows
    /// it; with an error, `Display` shows the kind's words (and that error, if the kind is `Io`, `Dns` or
    /// `Tls`) and the error is the [`source`](std::error::Error::source). The client may show or drop that
    /// error at any time, so neither must call the client, nor drop its last handle: it would wait for
    /// itself for ever.
    ///
    /// # Example
    ///
    /// ```
    /// use pusher_channels::{Error, ErrorKind};
    /// use std::error::Error as _;
    ///
    /// let cause = "12x".parse::<u32>().unwrap_err();
    /// let error = Error::new(ErrorKind::Config, cause);
    /// assert!(error.source().is_some());
    /// ```
    pub fn new<C: Into<Cause>>(kind: ErrorKind, message_or_source: C) -> Self {
        // Text converts into the same box as an error does; only its type tells that it is the message.
        let texts = [type_name::<&str>(), type_name::<String>(), type_name::<Cow<'_, str>>()];
        let is_text = texts.contains(&type_name::<C>());
        let cause = message_or_source.into();
        if is_text {
            Self::message(kind, cause.to_string())
        } else {
            Self::message(kind, "").caused_by(cause)
        }
    }

    pub(crate) fn message(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            channel: None,
            close_code: None,
            http_status: None,
            retry_after: None,
            lasting: false,
            timeout: None,
            hint: "",
            explained: false,
            source: None,
        }))
    }

    pub(crate) fn timed_out(which: Timeout, message: impl Into<String>) -> Self {
        Self::message(ErrorKind::Timeout, message).with_timeout(which)
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    pub(crate) fn caused_by(self, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        self.edit(|inner| inner.source = Some(Owned::new(Arc::from(cause))))
    }

    pub(crate) fn with_message(self, message: String) -> Self {
        self.edit(|inner| inner.message = message)
    }

    /// The same, at a place that its message did not name.
    pub(crate) fn at(self, place: &str) -> Self {
        let message = format!("{place}: {}", self.text());
        self.with_message(message)
    }

    pub(crate) fn on_channel(self, name: &str) -> Self {
        self.edit(|inner| inner.channel = Some(name.to_owned()))
    }

    pub(crate) fn with_close_code(self, code: Option<u16>) -> Self {
        self.edit(|inner| inner.close_code = code)
    }

    pub(crate) fn with_http_status(self, status: u16) -> Self {
        self.edit(|inner| inner.http_status = Some(status))
    }

    pub(crate) fn with_retry_after(self, wait: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(wait))
    }

    pub(crate) fn lasting(self) -> Self {
        self.edit(|inner| inner.lasting = true)
    }

    /// Of no effect on other kinds than [`ErrorKind::Timeout`].
    pub(crate) fn with_timeout(self, which: Timeout) -> Self {
        self.edit(|inner| inner.timeout = Some(which).filter(|_| inner.kind == ErrorKind::Timeout))
    }

    /// Adds what there is to do. It is shown behind the causes.
    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        self.edit(|inner| inner.hint = hint)
    }

    /// The message says what the source says, in better words: only `{:#}` shows the source.
    pub(crate) fn explained(self) -> Self {
        self.edit(|inner| inner.explained = true)
    }

    /// The message alone.
    pub(crate) fn text(&self) -> &str {
        match &*self.0.message {
            "" => self.0.kind.words(),
            message => message,
        }
    }

    /// How much memory it takes, as far as that is known: a cause may be of the user's.
    pub(crate) fn size(&self) -> usize {
        fn cause(error: &Error) -> Option<&Error> {
            error.0.source.as_ref()?.get()?.downcast_ref()
        }
        let texts =
            |inner: &Inner| inner.message.len() + inner.channel.as_ref().map_or(0, String::len);
        let chain = std::iter::successors(Some(self), |error| cause(error)).take(16);
        chain.map(|error| size_of::<Inner>() + texts(&error.0)).sum()
    }

    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns `true` if a deadline passed. [`timeout`](Self::timeout) returns which one.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Returns which deadline passed.
    ///
    /// `None` for errors of other kinds, and for time-outs that are not the client's own: those of the
    /// operating system on an open connection, and those of your authorizers and connectors.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use pusher_channels::{Client, Options, Timeout};
    ///
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// let client = Client::new(Options::cluster("eu", "app-key"))?; // not connected
    /// let error = client.wait_connected(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.timeout(), Some(Timeout::Wait));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(&self) -> Option<Timeout> {
        self.0.timeout
    }

    /// Whether the same thing may succeed later without a change: the network, a deadline, HTTP
    /// 408, 429 and 5xx, close codes other than 4000–4099 and 4300 and above, and what a SOCKS5 proxy
    /// answers unless it is about credentials or its rules.
    ///
    /// An error about a subscription or a sign-in returns `true` only while the client tries again by itself: the
    /// authorizer or authenticator will be asked again. One that has failed stays so on this connection.
    ///
    /// See [the protocol's close codes](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#error-codes).
    pub fn is_retryable(&self) -> bool {
        if self.0.lasting {
            return false;
        }
        if let Some(code) = self.0.close_code {
            return !matches!(code, 4000..=4099 | 4300..=4999);
        }
        if let Some(status) = self.0.http_status {
            return matches!(status, 408 | 429 | 500..=599);
        }
        match self.0.kind {
            ErrorKind::Dns
            | ErrorKind::Handshake
            | ErrorKind::Io
            | ErrorKind::NotConnected
            | ErrorKind::Protocol
            | ErrorKind::Proxy
            | ErrorKind::RateLimited
            | ErrorKind::Server
            | ErrorKind::Timeout => true,
            ErrorKind::Auth
            | ErrorKind::Closed
            | ErrorKind::Config
            | ErrorKind::Deadlock
            | ErrorKind::Decryption
            | ErrorKind::Internal
            | ErrorKind::InvalidName
            | ErrorKind::Json
            | ErrorKind::NotSignedIn
            | ErrorKind::NotSubscribed
            | ErrorKind::TooLarge
            | ErrorKind::Tls => false,
        }
    }

    /// The code of the WebSocket close frame, or of the `pusher:error` frame, that this is about.
    ///
    /// Of a time-out of `wait_*` this is `None`, as are [`http_status`](Self::http_status) and
    /// [`retry_after`](Self::retry_after): the failure behind it is the [`source`](std::error::Error::source).
    pub fn close_code(&self) -> Option<u16> {
        self.0.close_code
    }

    /// The HTTP status that the server, a proxy or an endpoint answered with.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// How long the server, a proxy or an endpoint asked to wait, in `Retry-After` of a status 429 or 503: a number
    /// of seconds, or a date, of which this device's clock makes a wait. At most a day.
    ///
    /// See [RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The channel that this is about.
    pub fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }
}

/// Reads what a server sent, for the user. What it says is not in the error, as it may be private:
/// `serde_json` quotes the value that is not of the type that was asked for.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        if error.classify() != Category::Data {
            return error.into();
        }
        Error::message(ErrorKind::Json, "").caused_by(json_words(&error))
    })
}

/// The text of such an error without the value that it quotes.
fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.classify() != Category::Data || text.starts_with("missing field") {
        return text;
    }
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => format!("line {} column {}", error.line(), error.column()),
    }
}

impl ErrorKind {
    fn words(self) -> &'static str {
        match self {
            Self::Auth => "authorization failed",
            Self::Closed => "closed",
            Self::Config => "wrong setting",
            Self::Deadlock => "the thread would wait for itself",
            Self::Decryption => "decryption failed",
            Self::Dns => "the host's name could not be resolved",
            Self::Handshake => "the WebSocket handshake failed",
            Self::Internal => "internal fault",
            Self::InvalidName => "the name is not allowed",
            Self::Io => "input or output failed",
            Self::Json => "unexpected JSON",
            Self::NotConnected => "not connected",
            Self::NotSignedIn => "not signed in",
            Self::NotSubscribed => "not subscribed",
            Self::Protocol => "the server does not follow the protocol",
            Self::Proxy => "the proxy does not let the connection through",
            Self::RateLimited => "too many in too little time",
            Self::Server => "the server reported an error",
            Self::Timeout => "timed out",
            Self::TooLarge => "too large",
            Self::Tls => "the TLS handshake failed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        chain::write(self, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        let head = chain::Head(self).to_string();
        out.field("kind", &inner.kind).field("message", &head);
        if !inner.hint.is_empty() {
            out.field("hint", &inner.hint);
        }
        if let Some(timeout) = inner.timeout {
            out.field("timeout", &timeout);
        }
        if let Some(code) = inner.close_code {
            out.field("close_code", &code);
        }
        if let Some(status) = inner.http_status {
            out.field("http_status", &status);
        }
        if let Some(wait) = inner.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(source) = inner.source.as_ref().and_then(Owned::get) {
            out.field("source", source);
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source: &dyn std::error::Error = &**self.0.source.as_ref()?.get()?;
        Some(source)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Io,
        };
        Self::message(kind, "").caused_by(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::message(ErrorKind::Json, "").caused_by(error)
    }
}

#[cfg(test)]
mod tests;
