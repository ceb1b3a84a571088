//! What came out of the machine, in the forms in which tests look at it.

use std::time::Duration;

use super::super::harness::short;
use super::super::{ChannelNotification, Notification, Output, UserNotification};
use crate::{Error, Event, Gap, StateChange};

#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// One letter for each output: Dial, close (H), Send, call of the policy (Q); state, connected, error, event as
    /// `v`, failed channel as `f`, number (a channel's count), resumed, another one of a channel, of the user.
    pub(super) order: String,
    /// One line for each output but dials, closes, pings, and what is notified of the connection.
    pub(super) lines: Vec<String>,
    pub(super) dials: Vec<(u64, Duration)>,
    pub(super) closes: Vec<(u64, u16)>,
    pub(super) sends: Vec<String>,
    pub(super) policy_calls: Vec<(u64, u32, Option<Error>)>,
    pub(super) states: Vec<StateChange>,
    pub(super) connected: Vec<String>,
    pub(super) errors: Vec<Error>,
    pub(super) events: Vec<Event>,
    pub(super) failed: Vec<(String, Error)>,
    pub(super) counts: Vec<(String, u64)>,
    pub(super) resumed: Vec<(String, Gap)>,
}

impl Outputs {
    /// The frames that were sent: `subscribe room`, `ping`, ….
    pub(super) fn sent(&self) -> Vec<String> {
        self.sends.iter().map(|frame| short(frame)).collect()
    }

    pub(super) fn event_names(&self) -> Vec<&str> {
        self.events.iter().map(Event::name).collect()
    }

    #[track_caller]
    pub(super) fn state(&self) -> &StateChange {
        assert_eq!(self.states.len(), 1, "one change of state: {:?}", self.states);
        &self.states[0]
    }

    #[track_caller]
    pub(super) fn error(&self) -> &Error {
        assert_eq!(self.errors.len(), 1, "one error: {:?}", self.errors);
        &self.errors[0]
    }

    pub(super) fn add(&mut self, output: Output, now: Duration) {
        self.lines.extend(line(&output));
        let letter = match output {
            Output::Dial { generation, deadline } => {
                self.dials.push((generation, deadline.saturating_sub(now)));
                'D'
            }
            Output::Close { generation, code } => {
                self.closes.push((generation, code));
                'H'
            }
            Output::Send { frame, .. } => {
                self.sends.push(frame);
                'S'
            }
            Output::CallPolicy { call, attempt, error } => {
                self.policy_calls.push((call, attempt, error));
                'Q'
            }
            Output::Notify(notification) => self.add_notification(notification),
            Output::Authorize { .. }
            | Output::Authenticate { .. }
            | Output::Abandon { .. }
            | Output::Log(..) => return,
        };
        self.order.push(letter);
    }

    fn add_notification(&mut self, notification: Notification) -> char {
        match notification {
            Notification::State(change) => {
                self.states.push(change);
                's'
            }
            Notification::Connected(socket_id) => {
                self.connected.push(socket_id);
                'c'
            }
            Notification::Error(error) => {
                self.errors.push(error);
                'e'
            }
            Notification::Event(event) => {
                self.events.push(event);
                'v'
            }
            Notification::User(_) => 'u',
            Notification::Channel(name, ChannelNotification::Failed(error)) => {
                self.failed.push((name.to_string(), error));
                'f'
            }
            Notification::Channel(name, ChannelNotification::Count(count)) => {
                self.counts.push((name.to_string(), count));
                'n'
            }
            Notification::Channel(name, ChannelNotification::Resumed(gap)) => {
                self.resumed.push((name.to_string(), gap));
                'r'
            }
            Notification::Channel(..) => 'o',
        }
    }
}

fn line(output: &Output) -> Option<String> {
    Some(match output {
        Output::Send { frame, .. } => sent(frame)?,
        Output::Authorize { channel, attempt, .. } => format!("authorize {channel} {attempt}"),
        Output::Authenticate { attempt, .. } => format!("authenticate {attempt}"),
        Output::Notify(notification) => notified(notification)?,
        _ => return None,
    })
}

fn sent(frame: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(frame).expect("a frame is JSON");
    let data = &value["data"];
    Some(match (value["event"].as_str(), data["channel"].as_str()) {
        (Some("pusher:ping"), _) => return None,
        (Some("pusher:subscribe"), Some(name)) => format!("subscribe {name}"),
        (Some("pusher:unsubscribe"), Some(name)) => format!("unsubscribe {name}"),
        (Some("pusher:signin"), _) => {
            format!("signin {}", data["user_data"].as_str().expect("text"))
        }
        _ => frame.to_owned(),
    })
}

fn notified(notification: &Notification) -> Option<String> {
    Some(match notification {
        Notification::State(_) | Notification::Connected(_) => return None,
        Notification::Error(error) => {
            format!("error {} {:?}", error.channel().unwrap_or("-"), error.kind())
        }
        Notification::Event(event) => {
            let (name, channel) = (event.name(), event.channel().unwrap_or("-"));
            match name.contains(':') {
                true => format!("event {channel} {name}"),
                false => format!("event {channel} {name} {}", event.data()),
            }
        }
        Notification::User(UserNotification::SignedIn(user)) => format!("signed in {}", user.id()),
        Notification::User(UserNotification::Failed(error)) => {
            format!("signin failed {:?}", error.kind())
        }
        Notification::User(UserNotification::Watchlist(event)) => {
            format!("watchlist {} {:?}", event.name(), event.user_ids())
        }
        Notification::Channel(name, notification) => match notification {
            ChannelNotification::Failed(error) => format!("failed {name} {:?}", error.kind()),
            ChannelNotification::Count(count) => format!("count {name} {count}"),
            ChannelNotification::Resumed(_) => format!("resumed {name}"),
            ChannelNotification::MemberAdded(member) => {
                format!("added {name} {} {}", member.id(), member.info())
            }
            ChannelNotification::MemberRemoved(member) => {
                format!("removed {name} {} {}", member.id(), member.info())
            }
            #[cfg(feature = "encrypted")]
            ChannelNotification::Undecryptable(error) => {
                format!("undecryptable {name} {:?}", error.kind())
            }
        },
    })
}
