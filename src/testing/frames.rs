//! The frames that the server sends.

use serde_json::{Value, json};

use super::presence::{Member, Members};
use super::settings::{DataStyle, Settings, WatchlistStyle};

/// A frame; `data` is JSON. Written by hand to keep the order of Pusher's fields.
fn frame(event: &str, channel: Option<&str>, data: Option<&str>) -> String {
    let mut frame = format!("{{\"event\":{}", quote(event));
    for (name, value) in [("channel", channel.map(quote)), ("data", data.map(str::to_owned))] {
        if let Some(value) = value {
            frame.push_str(&format!(",\"{name}\":{value}"));
        }
    }
    frame.push('}');
    frame
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// Applies a style; [`DataStyle::Absent`] omits empty data.
fn styled(style: DataStyle, data: &Value) -> Option<String> {
    let is_empty = data.as_object().is_none_or(serde_json::Map::is_empty);
    match style {
        DataStyle::Object => Some(data.to_string()),
        DataStyle::Absent if is_empty => None,
        DataStyle::Text | DataStyle::Absent => Some(quote(&data.to_string())),
    }
}

/// A published event, with `text` as a string.
pub(super) fn published(channel: &str, event: &str, text: &str) -> String {
    frame(event, Some(channel), Some(&quote(text)))
}

/// A client event as it is relayed; `data` is JSON.
pub(super) fn relayed(
    channel: &str,
    event: &str,
    data: Option<&str>,
    user_id: Option<&Value>,
) -> String {
    let mut frame = frame(event, Some(channel), data);
    if let Some(user_id) = user_id {
        frame.truncate(frame.len() - 1);
        frame.push_str(&format!(",\"user_id\":{user_id}}}"));
    }
    frame
}

/// The protocol's own frames, in the styles of the settings.
impl Settings {
    fn protocol(&self, event: &str, channel: Option<&str>, data: &Value) -> String {
        frame(event, channel, styled(self.data, data).as_deref())
    }

    pub(super) fn established(&self, socket_id: &str) -> String {
        let mut data = json!({"socket_id": socket_id});
        if let (Some(seconds), Some(fields)) = (self.activity_timeout, data.as_object_mut()) {
            fields.insert("activity_timeout".to_owned(), seconds.into());
        }
        self.protocol("pusher:connection_established", None, &data)
    }

    pub(super) fn ping(&self) -> String {
        self.protocol("pusher:ping", None, &json!({}))
    }

    pub(super) fn pong(&self) -> String {
        self.protocol("pusher:pong", None, &json!({}))
    }

    pub(super) fn subscription_succeeded(&self, channel: &str) -> String {
        self.protocol("pusher_internal:subscription_succeeded", Some(channel), &json!({}))
    }

    pub(super) fn presence_succeeded(&self, channel: &str, members: &Members) -> String {
        let data = members.presence(self.presence);
        self.protocol("pusher_internal:subscription_succeeded", Some(channel), &data)
    }

    pub(super) fn member_added(&self, channel: &str, member: &Member) -> String {
        let data = member.added(self.presence);
        self.protocol("pusher_internal:member_added", Some(channel), &data)
    }

    pub(super) fn member_removed(&self, channel: &str, member: &Member) -> String {
        let data = member.removed(self.presence);
        self.protocol("pusher_internal:member_removed", Some(channel), &data)
    }

    pub(super) fn subscription_count(&self, channel: &str, count: u64) -> String {
        let data = json!({"subscription_count": count});
        self.protocol("pusher_internal:subscription_count", Some(channel), &data)
    }

    /// Pusher sends no data with this event.
    pub(super) fn cache_miss(&self, channel: &str) -> String {
        let data = (self.data == DataStyle::Object).then_some("{}");
        frame("pusher:cache_miss", Some(channel), data)
    }

    pub(super) fn error(&self, code: Option<u16>, message: &str) -> String {
        let data = json!({"code": code, "message": message});
        frame("pusher:error", None, styled(self.error_data, &data).as_deref())
    }

    pub(super) fn subscription_error(&self, channel: &str, status: u16, message: &str) -> String {
        let data = json!({"type": "AuthError", "error": message, "status": status});
        let data = styled(self.error_data, &data);
        frame("pusher:subscription_error", Some(channel), data.as_deref())
    }

    pub(super) fn internal_subscription_error(&self, channel: &str) -> String {
        self.protocol("pusher_internal:subscription_error", Some(channel), &json!({}))
    }

    pub(super) fn signin_success(&self, user_data: &str) -> String {
        self.protocol("pusher:signin_success", None, &json!({"user_data": user_data}))
    }

    /// The watchlist events for these users; none if there are no users.
    pub(super) fn watchlist(&self, online: &[&str], offline: &[&str]) -> Vec<String> {
        let changes = [("online", online), ("offline", offline)];
        let changes = changes.into_iter().filter(|(_, ids)| !ids.is_empty());
        match self.watchlist {
            WatchlistStyle::Documented => {
                let events: Vec<Value> =
                    changes.map(|(name, ids)| json!({"name": name, "user_ids": ids})).collect();
                if events.is_empty() {
                    return Vec::new();
                }
                let data = json!({"events": events});
                vec![self.protocol("pusher_internal:watchlist_events", None, &data)]
            }
            WatchlistStyle::Bare => changes
                .map(|(name, ids)| frame(name, None, Some(&json!({"user_ids": ids}).to_string())))
                .collect(),
        }
    }
}

pub(super) const REFUSED: &str = "The subscription was refused";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_frames_are_as_pusher_documents_them() {
        let settings = Settings::default();
        for (frame, expected) in [
            (
                settings.established("1.2"),
                r#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":120,\"socket_id\":\"1.2\"}"}"#,
            ),
            (settings.pong(), r#"{"event":"pusher:pong","data":"{}"}"#),
            (
                settings.subscription_succeeded("c"),
                r#"{"event":"pusher_internal:subscription_succeeded","channel":"c","data":"{}"}"#,
            ),
            (settings.cache_miss("c"), r#"{"event":"pusher:cache_miss","channel":"c"}"#),
            (
                settings.error(None, "no"),
                r#"{"event":"pusher:error","data":{"code":null,"message":"no"}}"#,
            ),
            (
                published("c", "e\"", r#"{"a":"é"}"#),
                r#"{"event":"e\"","channel":"c","data":"{\"a\":\"é\"}"}"#,
            ),
        ] {
            assert_eq!(frame, expected);
        }
    }

    #[test]
    fn styles_change_the_shape_of_data_and_omit_only_empty_data() {
        let object = Settings::default().data_style(DataStyle::Object).activity_timeout(None);
        assert_eq!(
            object.established("1.2"),
            r#"{"event":"pusher:connection_established","data":{"socket_id":"1.2"}}"#
        );
        let absent = Settings::default().data_style(DataStyle::Absent);
        assert_eq!(absent.pong(), r#"{"event":"pusher:pong"}"#);
        assert!(absent.subscription_count("c", 3).contains(r#""{\"subscription_count\":3}""#));
        let text = Settings::default().error_data(DataStyle::Text);
        assert_eq!(
            text.error(Some(4009), "no"),
            r#"{"event":"pusher:error","data":"{\"code\":4009,\"message\":\"no\"}"}"#
        );
    }
}
