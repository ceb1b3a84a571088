//! The frames of the protocol: those that are sent, and the data of those that are received.
//!
//! See [the protocol's events](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/#events).

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::close_code::hint;
use crate::util::redact::without_signatures;
use crate::wire::{id, number, pick};
use crate::{Auth, Error, ErrorKind, Event, UserAuth};

pub(super) const PING: &str = r#"{"event":"pusher:ping","data":{}}"#;
pub(super) const PONG: &str = r#"{"event":"pusher:pong","data":{}}"#;

/// `data` is an object, which all servers accept here; some do not accept a string.
pub(super) fn subscribe(channel: &str, auth: Option<&Auth>) -> String {
    let mut data = format!(r#""channel":{}"#, Value::from(channel));
    if let Some(auth) = auth {
        data.push_str(&format!(r#","auth":{}"#, Value::from(auth.auth.as_str())));
        // It is part of what was signed, on private channels too. The shared secret is not sent.
        if let Some(channel_data) = &auth.channel_data {
            data.push_str(&format!(r#","channel_data":{}"#, Value::from(channel_data.as_str())));
        }
    }
    format!(r#"{{"event":"pusher:subscribe","data":{{{data}}}}}"#)
}

pub(super) fn unsubscribe(channel: &str) -> String {
    format!(r#"{{"event":"pusher:unsubscribe","data":{{"channel":{}}}}}"#, Value::from(channel))
}

/// A confirmation, where the server sends none.
pub(super) fn confirmation(channel: &str) -> String {
    let (event, channel) = ("pusher_internal:subscription_succeeded", Value::from(channel));
    format!(r#"{{"event":"{event}","channel":{channel},"data":"{{}}"}}"#)
}

pub(super) fn signin(auth: &UserAuth) -> String {
    let (auth, user_data) = (Value::from(auth.auth.as_str()), Value::from(auth.user_data.as_str()));
    format!(r#"{{"event":"pusher:signin","data":{{"auth":{auth},"user_data":{user_data}}}}}"#)
}

/// Servers forward the data unchanged, and one of them accepts only JSON that is not a string.
pub(super) fn client_event(channel: &str, event: &str, data: &str) -> String {
    let (channel, event) = (Value::from(channel), Value::from(event));
    format!(r#"{{"event":{event},"channel":{channel},"data":{data}}}"#)
}

pub(super) struct Established {
    pub(super) socket_id: String,
    /// In whole seconds. Some servers do not send it, and less than one second counts as missing.
    pub(super) activity_timeout: Option<Duration>,
}

impl Established {
    pub(super) fn parse(event: &Event) -> Result<Self, Error> {
        let [socket_id, activity_timeout] = pick(event.data(), ["socket_id", "activity_timeout"]);
        let socket_id = socket_id.and_then(id).ok_or_else(|| {
            Error::message(
                ErrorKind::Protocol,
                "pusher:connection_established came without a socket_id: is this a Pusher-compatible server?",
            )
        })?;
        let seconds = activity_timeout.and_then(number).filter(|&seconds| seconds > 0);
        Ok(Self { socket_id, activity_timeout: seconds.map(Duration::from_secs) })
    }
}

/// The data of a `pusher:error` or of an error about a subscription.
pub(super) struct Refusal {
    pub(super) code: Option<u16>,
    pub(super) channel: Option<String>,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn parse(event: &Event) -> Self {
        let [code, status, channel, message, error] =
            pick(event.data(), ["code", "status", "channel", "message", "error"]);
        let code_of = |json| number(json).and_then(|code| code.try_into().ok());
        let channel = event.channel().map(str::to_owned).or_else(|| channel.and_then(id));
        Self {
            // soketi-rs and others put the protocol's code into `status`.
            code: code.and_then(code_of).or_else(|| status.and_then(code_of)),
            channel: channel.filter(|name| !name.is_empty()),
            message: message.and_then(id).or_else(|| error.and_then(id)).unwrap_or_default(),
        }
    }

    /// The refusal of a connection that is not established yet.
    pub(super) fn of_connection(&self) -> Error {
        self.error("the server refused the connection").with_hint(hint(self.code))
    }

    pub(super) fn error(&self, what: &str) -> Error {
        let mut message = what.to_owned();
        if let Some(code) = self.code {
            message.push_str(&format!(" ({code})"));
        }
        if !self.message.is_empty() {
            message.push_str(": ");
            message.extend(without_secrets(&self.message).chars().take(500));
        }
        let error = match self.code {
            Some(status @ 400..=599) => {
                Error::message(ErrorKind::Auth, message).with_http_status(status)
            }
            code => Error::message(ErrorKind::Server, message).with_close_code(code),
        };
        match &self.channel {
            Some(channel) => error.on_channel(channel),
            None => error,
        }
    }
}

/// The text before the `auth` that a server quotes, and the length of it that is still shown.
const QUOTING: [(&str, usize); 2] = [(", but got ", 0), (" auth data: ", " auth data".len())];

/// Returns a server's text without signatures and signed data.
fn without_secrets(message: &str) -> String {
    without_signatures(&without_signed_data(message)).into_owned()
}

/// Servers quote what should have been signed, including the user's data, and then the signature that they
/// received.
fn without_signed_data(message: &str) -> Cow<'_, str> {
    let message = QUOTING.iter().fold(message, |text, (quoting, shown)| {
        text.find(quoting).and_then(|at| text.get(..at + shown)).unwrap_or(text)
    });
    match (message.find('{'), message.rfind('}')) {
        (Some(start), Some(end)) if start < end => {
            let (before, rest) = message.split_at(start);
            let after = rest.get(end - start + 1..).unwrap_or_default();
            Cow::Owned(format!("{before}{{…}}{after}"))
        }
        (Some(start), _) => Cow::Owned(format!("{}{{…", message.split_at(start).0)),
        _ => Cow::Borrowed(message),
    }
}

/// Returns the error of a connection that the server has closed.
pub(super) fn close_error(code: Option<u16>, reason: &str) -> Error {
    let mut message = match code {
        // Connections report these codes for a close frame without a code, and for no close frame (RFC 6455, 7.4.1).
        None | Some(1005) => "the server closed the connection without a code".to_owned(),
        Some(1006) => "the connection ended without a close frame".to_owned(),
        Some(code) => format!("the server closed the connection ({code})"),
    };
    let reason = reason.trim();
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(&without_secrets(reason));
    }
    Error::message(ErrorKind::Server, message).with_close_code(code).with_hint(hint(code))
}

/// Returns the error of a connection that ended before `pusher:connection_established`. Some servers refuse a wrong
/// key so, without a code.
pub(super) fn unestablished(error: Error) -> Error {
    let kind = match (error.close_code(), error.kind()) {
        // A custom connection may report no more than that it is closed. It is retried.
        (None | Some(1005 | 1006), ErrorKind::Closed | ErrorKind::Server) => ErrorKind::Server,
        (None | Some(1005 | 1006), ErrorKind::Io) => ErrorKind::Io,
        _ => return error,
    };
    let message = "the connection closed before `pusher:connection_established`";
    Error::message(kind, message)
        .with_close_code(error.close_code())
        .with_hint("check the app key")
        .caused_by(error)
}
