//! The outputs of the machine.

use std::fmt;
use std::time::Duration;

use log::Level;

use crate::model::event::ChannelName;
use crate::{Error, Event, Gap, Member, StateChange, UserData, WatchlistEvent};

/// One thing for the driver to do. The order of the outputs counts.
#[derive(Debug)]
pub(crate) enum Output {
    /// Dial, and report with this generation. Give up at the deadline.
    Dial { generation: u64, deadline: Duration },
    /// Close the dial or the connection of this generation. Reports about it are dropped.
    Close { generation: u64, code: u16 },
    /// Send a frame on the connection of this generation.
    Send { generation: u64, frame: String },
    /// Call the user's reconnect policy, and report with [`super::Machine::handle_decision`].
    CallPolicy { call: u64, attempt: u32, error: Option<Error> },
    /// Call the channel's authorizer, and report with [`super::Machine::handle_authorization`].
    Authorize { request_id: u64, channel: ChannelName, socket_id: String, attempt: u32 },
    /// Call the user's authenticator, and report with [`super::Machine::handle_authentication`].
    Authenticate { request_id: u64, socket_id: String, attempt: u32 },
    /// Stop waiting for the call of this request: its time is over.
    Abandon { request_id: u64 },
    /// Notify the bindings.
    Notify(Notification),
    /// Write to the log, once no lock is held.
    Log(Level, LogLine),
}

/// A line for the log. Its error is formatted by the driver, once no lock is held: a cause may be the user's.
#[derive(Debug)]
pub(crate) struct LogLine {
    text: String,
    error: Option<Error>,
    end: String,
}

impl LogLine {
    pub(super) fn because(self, error: &Error) -> Self {
        Self { error: Some(error.clone()), ..self }
    }

    pub(super) fn and(self, end: String) -> Self {
        Self { end, ..self }
    }
}

impl From<String> for LogLine {
    fn from(text: String) -> Self {
        Self { text, error: None, end: String::new() }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A server's text with line breaks would look like lines of the client.
        for part in self.text.split(char::is_control) {
            f.write_str(part)?;
        }
        if let Some(error) = &self.error {
            write!(f, ": {error:#}")?;
        }
        f.write_str(&self.end)
    }
}

/// A notification for bindings.
#[derive(Debug)]
pub(crate) enum Notification {
    State(StateChange),
    Connected(String),
    Error(Error),
    /// An event, for the bindings of its channel and of the client.
    Event(Event),
    Channel(ChannelName, ChannelNotification),
    User(UserNotification),
}

/// A notification about the signed-in user, other than an event.
#[derive(Debug)]
pub(crate) enum UserNotification {
    SignedIn(UserData),
    Failed(Error),
    Watchlist(WatchlistEvent),
}

/// A notification about one channel, other than an event.
#[derive(Debug)]
pub(crate) enum ChannelNotification {
    Failed(Error),
    Count(u64),
    Resumed(Gap),
    MemberAdded(Member),
    MemberRemoved(Member),
    #[cfg(feature = "encrypted")]
    Undecryptable(Error),
}
