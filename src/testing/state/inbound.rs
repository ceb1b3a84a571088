//! The frames of clients.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::State;
use crate::testing::frames::REFUSED;
use crate::testing::presence::Member;
use crate::testing::settings::ChannelRefusal;
use crate::testing::signature::{channel_text, sign};
use crate::testing::user::user_of;
use crate::wire::{ChannelKind, check_channel};

/// Pusher's code for a rejected client event.
const CLIENT_EVENT_REJECTED: u16 = 4301;

/// Pusher's limit for the data of an event, in bytes.
const MAX_CLIENT_EVENT: usize = 10 * 1024;

impl State {
    /// Handles one frame of a client.
    pub(in crate::testing) fn receive(&mut self, id: u64, text: &str) {
        self.recorded.push(text.to_owned(), text.len());
        if !self.answers(id) {
            return;
        }
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return self.send_error(id, None, "The message is not valid JSON");
        };
        let Some(event) = frame.get("event").and_then(Value::as_str) else {
            return self.send_error(id, None, "The message has no event");
        };
        let data = frame.get("data").unwrap_or(&Value::Null);
        match event {
            "pusher:ping" => self.send(id, self.settings.pong()),
            "pusher:pong" => {}
            "pusher:subscribe" => self.receive_subscribe(id, data),
            "pusher:unsubscribe" => self.receive_unsubscribe(id, data),
            "pusher:signin" => self.receive_signin(id, data),
            event if event.starts_with("client-") => self.receive_client_event(id, event, text),
            event => self.send_error(id, None, &format!("Unknown event {event:.100}")),
        }
    }

    fn receive_subscribe(&mut self, id: u64, data: &Value) {
        let Some(name) = channel_name(data) else {
            return self.send_error(id, None, "The subscription names no channel");
        };
        if let Some(refusal) = self.refused_channels.get(name).copied() {
            return self.refuse_subscription(id, name, refusal, REFUSED);
        }
        let kind = ChannelKind::of(name);
        let user = user_of(name);
        if user.is_none() && check_channel(name, kind, true).is_err() {
            return self.send_error(id, None, &format!("Invalid channel name: {name:.200}"));
        }
        let checked = match user {
            Some(user) => self.check_user(id, user).map(|()| None),
            None => self.check_auth(id, name, kind, data),
        };
        let joined =
            checked.map_err(|message| (self.settings.auth_refusal, message)).and_then(|member| {
                let refusal = ChannelRefusal::ErrorFrame(None);
                self.subscribe(id, name, member).map_err(|message| (refusal, message))
            });
        if let Err((refusal, message)) = joined {
            self.refuse_subscription(id, name, refusal, &message);
        }
    }

    /// Checks the authorization. Returns the member of a presence channel; the error is sent to the client.
    fn check_auth(
        &self,
        id: u64,
        name: &str,
        kind: ChannelKind,
        data: &Value,
    ) -> Result<Option<Member>, String> {
        if kind == ChannelKind::Public {
            return Ok(None);
        }
        let channel_data = data.get("channel_data").and_then(Value::as_str);
        let text = channel_text(self.socket_id(id), name, channel_data);
        self.check_signature("subscription", data, &text)?;
        if kind != ChannelKind::Presence {
            return Ok(None);
        }
        let (source, member) = match channel_data {
            Some(channel_data) => ("channel_data", Member::parse(channel_data)),
            None => {
                let user = self.user(id);
                let user = user.ok_or("Presence subscriptions need channel_data or a user")?;
                ("user_data", user.member())
            }
        };
        member.map(Some).map_err(|why| format!("Invalid {source} of {name}: {why}"))
    }

    /// Checks the `auth` of a request; `text` is what must have been signed.
    pub(super) fn check_signature(
        &self,
        wanted: &str,
        data: &Value,
        text: &str,
    ) -> Result<(), String> {
        let auth = data.get("auth").and_then(Value::as_str).unwrap_or_default();
        let (key, signature) = auth.split_once(':').unwrap_or((auth, ""));
        if key != self.settings.key {
            return Err(format!("Invalid key in {wanted} auth data: '{key:.200}'"));
        }
        if signature != sign(&self.settings.secret, text) {
            let message = "Invalid signature: Expected HMAC SHA256 hex digest of";
            return Err(format!("{message} {text}, but got {signature:.200}"));
        }
        Ok(())
    }

    fn refuse_subscription(&mut self, id: u64, name: &str, refusal: ChannelRefusal, message: &str) {
        match refusal {
            ChannelRefusal::ErrorFrame(code) => self.send_error(id, code, message),
            ChannelRefusal::SubscriptionError(status) => {
                self.send(id, self.settings.subscription_error(name, status, message));
            }
            ChannelRefusal::InternalSubscriptionError => {
                self.send(id, self.settings.internal_subscription_error(name));
            }
            ChannelRefusal::Silence => {}
        }
    }

    fn receive_unsubscribe(&mut self, id: u64, data: &Value) {
        let Some(name) = channel_name(data) else {
            return self.send_error(id, None, "The message names no channel to unsubscribe from");
        };
        if !self.unsubscribe(id, name) {
            let message = format!(
                "No current subscription to channel {name:.200}, or subscription in progress"
            );
            self.send_error(id, None, &message);
        }
    }

    fn receive_client_event(&mut self, id: u64, event: &str, frame: &str) {
        if let Err(why) = self.relay_client_event(id, event, frame) {
            let message = format!("Client event rejected - {why}");
            self.send_error(id, Some(CLIENT_EVENT_REJECTED), &message);
        }
    }

    fn relay_client_event(
        &mut self,
        id: u64,
        event: &str,
        frame: &str,
    ) -> Result<(), &'static str> {
        // `data` is relayed byte for byte: digits and the order of keys stay.
        let fields: HashMap<String, &RawValue> =
            serde_json::from_str(frame).map_err(|_| "the message is no JSON object")?;
        let json = |name: &str| fields.get(name).map(|value| value.get());
        let name: String = json("channel")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or("it names no channel")?;
        if !matches!(ChannelKind::of(&name), ChannelKind::Private | ChannelKind::Presence) {
            return Err("only supported on private and presence channels");
        }
        let data = json("data");
        let text: Option<String> = data.and_then(|json| serde_json::from_str(json).ok());
        let size = text.map_or(data.map_or(0, str::len), |text| text.len());
        if size > MAX_CLIENT_EVENT {
            return Err("the data is larger than 10 kB");
        }
        self.relay(id, &name, event, data)
    }

    pub(super) fn send_error(&mut self, id: u64, code: Option<u16>, message: &str) {
        self.send(id, self.settings.error(code, message));
    }
}

fn channel_name(data: &Value) -> Option<&str> {
    data.get("channel").and_then(Value::as_str)
}
