//! What the server makes of a client's frames.

use serde_json::Value;

use super::frames::REFUSED;
use super::settings::ChannelRefusal;
use super::state::State;
use crate::protocol::{ChannelKind, check_channel};

/// Pusher's code for a client event that it does not take.
const CLIENT_EVENT_REJECTED: u16 = 4301;

impl State {
    /// Takes in one frame.
    pub(super) fn receive(&mut self, id: u64, frame: &str) {
        self.record(frame);
        if !self.answers(id) {
            return;
        }
        let Ok(frame) = serde_json::from_str::<Value>(frame) else {
            return self.complain(id, None, "The message is not valid JSON");
        };
        let Some(event) = frame.get("event").and_then(Value::as_str) else {
            return self.complain(id, None, "The message has no event");
        };
        let data = frame.get("data").unwrap_or(&Value::Null);
        match event {
            "pusher:ping" => self.send(id, self.settings.pong()),
            "pusher:pong" => {}
            "pusher:subscribe" => self.receive_subscribe(id, data),
            "pusher:unsubscribe" => self.receive_unsubscribe(id, data),
            event if event.starts_with("client-") => self.receive_client_event(id),
            event => self.complain(id, None, &format!("Unknown event {event:.100}")),
        }
    }

    fn receive_subscribe(&mut self, id: u64, data: &Value) {
        let Some(name) = channel_name(data) else {
            return self.complain(id, None, "The subscription names no channel");
        };
        match self.refusal(name) {
            Some(ChannelRefusal::ErrorFrame(code)) => return self.complain(id, code, REFUSED),
            Some(ChannelRefusal::SubscriptionError(status)) => {
                return self.send(id, self.settings.subscription_error(name, status));
            }
            Some(ChannelRefusal::InternalSubscriptionError) => {
                return self.send(id, self.settings.internal_subscription_error(name));
            }
            Some(ChannelRefusal::Silence) => return,
            None => {}
        }
        if name.starts_with("private-") || name.starts_with("presence-") {
            let message = format!("Subscription to channel {name:.200} is not supported");
            return self.complain(id, None, &message);
        }
        if check_channel(name, ChannelKind::Public, true).is_err() {
            return self.complain(id, None, &format!("Invalid channel name: {name:.200}"));
        }
        if !self.subscribe(id, name) {
            self.complain(id, None, &format!("Existing subscription to channel {name}"));
        }
    }

    fn receive_unsubscribe(&mut self, id: u64, data: &Value) {
        let Some(name) = channel_name(data) else {
            return self.complain(id, None, "The message names no channel to unsubscribe from");
        };
        if !self.unsubscribe(id, name) {
            let message = format!(
                "No current subscription to channel {name:.200}, or subscription in progress"
            );
            self.complain(id, None, &message);
        }
    }

    fn receive_client_event(&mut self, id: u64) {
        let message = "Client event rejected - only supported on private and presence channels";
        self.complain(id, Some(CLIENT_EVENT_REJECTED), message);
    }

    fn complain(&mut self, id: u64, code: Option<u16>, message: &str) {
        self.send(id, self.settings.error(code, message));
    }
}

fn channel_name(data: &Value) -> Option<&str> {
    data.get("channel").and_then(Value::as_str)
}
