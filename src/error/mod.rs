//! The error type of all methods: opaque, cheap to clone, with a kind to match on.

mod chain;
mod kind;

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::error::Category;

use crate::util::guard::Owned;

pub use kind::{ErrorKind, Timeout};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The error of all methods, receivers and callbacks of this crate.
///
/// It is cheap to clone, since one failure may be sent to many receivers. Match on [`kind`](Self::kind); the text is
/// for people and may change. Both of its forms are one line:
///
/// - `{error}` says what failed. For I/O, DNS and TLS failures and for time-outs of `wait_*` it adds the immediate
///   cause, as in "connecting to 10.0.0.7:6001 failed: connection refused".
/// - `{error:#}` adds all causes, each once: at most 8, of at most 300 characters each. Use it in logs.
///
/// The causes themselves are in [`source`](std::error::Error::source). A printer that walks them and shows each with
/// `{}`, as `anyhow`'s does, repeats the immediate one.
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
    /// Empty: the text of the kind.
    message: String,
    channel: Option<String>,
    close_code: Option<u16>,
    http_status: Option<u16>,
    retry_after: Option<Duration>,
    /// Not retryable, although others of its kind are.
    permanent: bool,
    timeout: Option<Timeout>,
    /// What the user can do; may be empty.
    hint: &'static str,
    /// The message replaces the text of the source.
    explained: bool,
    /// May be an error of the user's.
    source: Option<Owned<Arc<dyn std::error::Error + Send + Sync>>>,
}

/// Returns `true` if a client must not connect again after this close code.
pub(crate) fn is_permanent(close_code: u16) -> bool {
    matches!(close_code, 4000..=4099 | 4300..=4999)
}

impl Error {
    /// Creates an error of `kind` from a message or from another error.
    ///
    /// Use it in authorizers, resolvers and connectors of your own. With a message, `Display` shows the message. With
    /// an error, `Display` shows the text of the kind (and that error, if the kind is `Io`, `Dns` or `Tls`), and the
    /// error becomes the [`source`](std::error::Error::source).
    ///
    /// The client may show or drop the source at any time. Neither must call the client or drop its last handle: it
    /// would deadlock.
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
        // Text converts into the same box as an error does; only the type shows that it is the message.
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
            permanent: false,
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

    #[cfg(feature = "publisher")]
    pub(crate) fn with_kind(self, kind: ErrorKind) -> Self {
        self.edit(|inner| inner.kind = kind)
    }

    /// Puts a place in front of the message.
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

    pub(crate) fn permanent(self) -> Self {
        self.edit(|inner| inner.permanent = true)
    }

    /// Has no effect on other kinds than [`ErrorKind::Timeout`].
    pub(crate) fn with_timeout(self, which: Timeout) -> Self {
        self.edit(|inner| inner.timeout = Some(which).filter(|_| inner.kind == ErrorKind::Timeout))
    }

    /// Adds what the user can do, shown behind the causes.
    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        self.edit(|inner| inner.hint = hint)
    }

    /// Marks the message as replacing the text of the source: only `{:#}` shows the source.
    pub(crate) fn explained(self) -> Self {
        self.edit(|inner| inner.explained = true)
    }

    /// Returns the message, without channel, causes and hint.
    pub(crate) fn text(&self) -> &str {
        match &*self.0.message {
            "" => self.0.kind.words(),
            message => message,
        }
    }

    /// Returns its size in bytes, without causes of other types.
    pub(crate) fn size(&self) -> usize {
        fn cause(error: &Error) -> Option<&Error> {
            error.0.source.as_ref()?.get()?.downcast_ref()
        }
        let texts =
            |inner: &Inner| inner.message.len() + inner.channel.as_ref().map_or(0, String::len);
        let chain = std::iter::successors(Some(self), |error| cause(error)).take(16);
        chain.map(|error| size_of::<Inner>() + texts(&error.0)).sum()
    }

    /// Returns the kind, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns `true` if a time limit passed. [`timeout`](Self::timeout) returns which one.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Returns which time limit passed.
    ///
    /// `None` for errors of other kinds, and for time-outs that are not the client's own: those of the operating
    /// system on an open connection, and those of your authorizers and connectors.
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

    /// Returns `true` if the same operation may succeed later without a change: after failures of the network,
    /// time-outs, HTTP 408, 429 and 5xx, close codes other than 4000–4099 and 4300 and above, and replies of a SOCKS5
    /// proxy that are not about credentials or its rules.
    ///
    /// An error about a subscription or a sign-in returns `true` only while the client tries again by itself. One
    /// that has failed stays failed on this connection.
    ///
    /// See [the protocol's close
    /// codes](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#error-codes).
    pub fn is_retryable(&self) -> bool {
        if self.0.permanent {
            return false;
        }
        if let Some(code) = self.0.close_code {
            return !is_permanent(code);
        }
        if let Some(status) = self.0.http_status {
            return matches!(status, 408 | 429 | 500..=599);
        }
        matches!(
            self.0.kind,
            ErrorKind::Dns
                | ErrorKind::Handshake
                | ErrorKind::Io
                | ErrorKind::NotConnected
                | ErrorKind::Protocol
                | ErrorKind::Proxy
                | ErrorKind::RateLimited
                | ErrorKind::Server
                | ErrorKind::Timeout
        )
    }

    /// Returns the code of the WebSocket close frame or of the `pusher:error` frame.
    ///
    /// It is `None` for a time-out of `wait_*`, as are [`http_status`](Self::http_status) and
    /// [`retry_after`](Self::retry_after): the failure behind it is the [`source`](std::error::Error::source).
    pub fn close_code(&self) -> Option<u16> {
        self.0.close_code
    }

    /// Returns the HTTP status of the response by the server, a proxy or an endpoint.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// Returns the wait that the server, a proxy or an endpoint requested, in `Retry-After` of a status 429 or 503: a
    /// number of seconds, or a date, converted by this device's clock. At most a day.
    ///
    /// See [RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the name of the channel that the error is about.
    pub fn channel(&self) -> Option<&str> {
        self.0.channel.as_deref()
    }
}

/// Deserializes a server's JSON for the user. The error shows no value of it, as that may be private: `serde_json`
/// quotes a value of another type.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        if error.classify() != Category::Data {
            return error.into();
        }
        Error::message(ErrorKind::Json, "").caused_by(json_words(&error))
    })
}

/// Returns the text of the error without the value that it quotes.
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
