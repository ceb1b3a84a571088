//! What came out of the machine, in the forms in which tests look at it.

use std::time::Duration;

use super::super::harness::short;
use super::super::{ChannelNotice, Notice, Output, UserNotice};
use crate::{Error, Event, Gap, StateChange};

#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// One letter for each output: Dial, Hangup, Send, Question to the policy; state, connected, error, event as
    /// `v`, failed channel as `f`, number (a channel's count), resumed, another one of a channel, of the user.
    pub(super) order: String,
    /// One line for each output but dials, closes, pings, and what is notified of the connection.
    pub(super) lines: Vec<String>,
    pub(super) dials: Vec<(u64, Duration)>,
    pub(super) hangups: Vec<(u64, u16)>,
    pub(super) sends: Vec<String>,
    pub(super) asks: Vec<(u64, u32, Option<Error>)>,
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
            Output::HangUp { generation, code } => {
                self.hangups.push((generation, code));
                'H'
            }
            Output::Send { frame, .. } => {
                self.sends.push(frame);
                'S'
            }
            Output::Ask { question, attempt, error } => {
                self.asks.push((question, attempt, error));
                'Q'
            }
            Output::Notify(notice) => self.add_notification(notice),
            Output::Authorize { .. }
            | Output::Authenticate { .. }
            | Output::Abandon { .. }
            | Output::Log(..) => return,
        };
        self.order.push(letter);
    }

    fn add_notification(&mut self, notice: Notice) -> char {
        match notice {
            Notice::State(change) => {
                self.states.push(change);
                's'
            }
            Notice::Connected(socket_id) => {
                self.connected.push(socket_id);
                'c'
            }
            Notice::Error(error) => {
                self.errors.push(error);
                'e'
            }
            Notice::Event(event) => {
                self.events.push(event);
                'v'
            }
            Notice::User(_) => 'u',
            Notice::Channel(name, ChannelNotice::Failed(error)) => {
                self.failed.push((name.to_string(), error));
                'f'
            }
            Notice::Channel(name, ChannelNotice::Count(count)) => {
                self.counts.push((name.to_string(), count));
                'n'
            }
            Notice::Channel(name, ChannelNotice::Resumed(gap)) => {
                self.resumed.push((name.to_string(), gap));
                'r'
            }
            Notice::Channel(..) => 'o',
        }
    }
}

fn line(output: &Output) -> Option<String> {
    Some(match output {
        Output::Send { frame, .. } => sent(frame)?,
        Output::Authorize { channel, attempt, .. } => format!("authorize {channel} {attempt}"),
        Output::Authenticate { attempt, .. } => format!("authenticate {attempt}"),
        Output::Notify(notice) => notified(notice)?,
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

fn notified(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::State(_) | Notice::Connected(_) => return None,
        Notice::Error(error) => {
            format!("error {} {:?}", error.channel().unwrap_or("-"), error.kind())
        }
        Notice::Event(event) => {
            let (name, channel) = (event.name(), event.channel().unwrap_or("-"));
            match name.contains(':') {
                true => format!("event {channel} {name}"),
                false => format!("event {channel} {name} {}", event.data()),
            }
        }
        Notice::User(UserNotice::SignedIn(user)) => format!("signed in {}", user.id()),
        Notice::User(UserNotice::Failed(error)) => format!("signin failed {:?}", error.kind()),
        Notice::User(UserNotice::Watchlist(event)) => {
            format!("watchlist {} {:?}", event.name(), event.user_ids())
        }
        Notice::Channel(name, notice) => match notice {
            ChannelNotice::Failed(error) => format!("failed {name} {:?}", error.kind()),
            ChannelNotice::Count(count) => format!("count {name} {count}"),
            ChannelNotice::Resumed(_) => format!("resumed {name}"),
            ChannelNotice::MemberAdded(member) => {
                format!("added {name} {} {}", member.id(), member.info())
            }
            ChannelNotice::MemberRemoved(member) => {
                format!("removed {name} {} {}", member.id(), member.info())
            }
            #[cfg(feature = "encrypted")]
            ChannelNotice::Undecryptable(error) => {
                format!("undecryptable {name} {:?}", error.kind())
            }
        },
    })
}
