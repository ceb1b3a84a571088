//! Events to publish, and the bodies of the requests that publish them.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::limits::{self, Limits};
use crate::protocol::USER_CHANNEL_PREFIX;
use crate::util::secret::Secret;
use crate::wire::{ChannelKind, data_of};
use crate::{Error, ErrorKind};

/// What a server can report about a channel.
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/#get-channels-fetch-info-for-multiple-channels).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Info {
    /// The number of users, on presence channels only: Pusher refuses it for others, with status 400.
    UserCount,
    /// The number of subscriptions. At Pusher the app must have it enabled.
    SubscriptionCount,
    /// The last event, on cache channels only.
    Cache,
}

impl Info {
    fn name(self) -> &'static str {
        match self {
            Self::UserCount => "user_count",
            Self::SubscriptionCount => "subscription_count",
            Self::Cache => "cache",
        }
    }
}

/// Returns the parameter `info`; empty for none.
pub(super) fn info_names(info: &[Info]) -> String {
    info.iter().map(|info| info.name()).collect::<Vec<_>>().join(",")
}

/// Options of one event. By default it goes to all subscribers, and nothing is reported.
///
/// # Example
///
/// ```
/// use pusher_channels::publisher::{Info, TriggerOptions};
///
/// let options = TriggerOptions::new().exclude("1234.5678").info([Info::SubscriptionCount]);
/// ```
#[must_use = "options do nothing until they are passed to `trigger_with`"]
#[derive(Clone, Debug, Default)]
pub struct TriggerOptions {
    socket_id: Option<String>,
    info: Vec<Info>,
}

impl TriggerOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Excludes one connection, such as that of the client on whose behalf the event is published. It is named by
    /// [`Client::socket_id`](crate::Client::socket_id). Default: none.
    ///
    /// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/excluding-event-recipients/).
    #[doc(alias = "socket_id")]
    pub fn exclude(mut self, socket_id: &str) -> Self {
        self.socket_id = Some(socket_id.to_owned());
        self
    }

    /// Sets what the server reports about the channels of the event. Default: nothing. Some servers ignore it.
    pub fn info(mut self, info: impl IntoIterator<Item = Info>) -> Self {
        self.info = info.into_iter().collect();
        self
    }
}

/// An event of a batch, see [`Publisher::trigger_batch`](super::Publisher::trigger_batch).
#[must_use = "an event does nothing until it is passed to `trigger_batch`"]
#[derive(Clone)]
pub struct BatchEvent {
    channel: String,
    event: String,
    json: Result<String, Error>,
    options: TriggerOptions,
}

impl BatchEvent {
    /// Creates an event for one channel. If `data` cannot be serialized as JSON, the batch fails.
    pub fn new(channel: &str, event: &str, data: &(impl Serialize + ?Sized)) -> Self {
        Self {
            channel: channel.to_owned(),
            event: event.to_owned(),
            json: to_json(data),
            options: TriggerOptions::new(),
        }
    }

    /// Sets the options. Default: [`TriggerOptions::new`].
    pub fn options(mut self, options: TriggerOptions) -> Self {
        self.options = options;
        self
    }
}

impl fmt::Debug for BatchEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, event, options, .. } = self;
        f.debug_struct("BatchEvent")
            .field("channel", channel)
            .field("event", event)
            .field("options", options)
            .finish_non_exhaustive()
    }
}

pub(super) fn to_json(data: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(data).map_err(|error| {
        let message = "the data of an event must be serializable as JSON";
        Error::message(ErrorKind::Json, message).caused_by(error)
    })
}

/// What every event must fulfil before it is sent.
pub(super) struct Rules {
    pub(super) limits: Limits,
    /// That of encrypted channels.
    pub(super) master_key: Option<Secret>,
}

impl Rules {
    /// Returns the body of a request that publishes the event.
    pub(super) fn event(
        &self,
        channels: &[&str],
        event: &str,
        json: &str,
        options: &TriggerOptions,
    ) -> Result<String, Error> {
        limits::channels(channels.len())?;
        for channel in channels {
            self.limits.channel(channel)?;
        }
        let body = self.fields(channels, event, json, options).map_err(|error| match channels {
            [channel] => error.on_channel(channel),
            _ => error,
        })?;
        Ok(Value::Object(body).to_string())
    }

    pub(super) fn batch(&self, events: &[BatchEvent]) -> Result<String, Error> {
        limits::batch(events.len())?;
        let fields = |event: &BatchEvent| {
            self.limits.channel(&event.channel)?;
            let json = event.json.as_ref().map_err(Error::clone)?;
            let mut fields = self.fields(&[&event.channel], &event.event, json, &event.options)?;
            fields.remove("channels");
            fields.insert("channel".to_owned(), Value::from(&*event.channel));
            Ok(Value::Object(fields))
        };
        let numbered = events.iter().zip(1..).map(|(event, number)| {
            fields(event).map_err(|error: Error| {
                error.at(&format!("event {number} of the batch")).on_channel(&event.channel)
            })
        });
        let batch = numbered.collect::<Result<Vec<_>, _>>()?;
        Ok(Value::Object(Map::from_iter([("batch".to_owned(), Value::from(batch))])).to_string())
    }

    pub(super) fn to_user(&self, user_id: &str, event: &str, json: &str) -> Result<String, Error> {
        limits::user_id(user_id)?;
        let channel = format!("{USER_CHANNEL_PREFIX}{user_id}");
        let options = TriggerOptions::new();
        Ok(Value::Object(self.fields(&[&channel], event, json, &options)?).to_string())
    }

    /// The channels must have been checked.
    fn fields(
        &self,
        channels: &[&str],
        event: &str,
        json: &str,
        options: &TriggerOptions,
    ) -> Result<Map<String, Value>, Error> {
        limits::event(event)?;
        let data = self.data(channels, json)?;
        self.limits.data(&data)?;
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("name", event.into());
        add("channels", channels.into());
        add("data", data.into());
        if let Some(socket_id) = &options.socket_id {
            limits::socket_id(socket_id)?;
            add("socket_id", socket_id.as_str().into());
        }
        if !options.info.is_empty() {
            add("info", info_names(&options.info).into());
        }
        Ok(fields)
    }

    /// Returns the data as it is sent: a string as it is, anything else as its JSON; on encrypted channels the
    /// encrypted JSON, as Pusher's server libraries do.
    fn data(&self, channels: &[&str], json: &str) -> Result<String, Error> {
        let is_encrypted =
            |channel: &&str| ChannelKind::of(channel) == ChannelKind::PrivateEncrypted;
        match channels {
            [channel] if is_encrypted(channel) => self.encrypt(channel, json),
            // Each channel has a key of its own.
            _ if channels.iter().any(is_encrypted) => {
                let message = "an encrypted channel must be the only channel of an event";
                Err(Error::message(ErrorKind::Config, message))
            }
            _ => Ok(data_of(json).into_owned()),
        }
    }

    #[cfg(feature = "encrypted")]
    fn encrypt(&self, channel: &str, json: &str) -> Result<String, Error> {
        let master_key = self.master_key.as_ref().ok_or_else(|| {
            let message = "encrypted channels need the app's master key; set it with \
                           encryption_master_key()";
            Error::message(ErrorKind::Config, message)
        })?;
        let shared_secret = Secret::new(crate::auth::shared_secret(master_key, channel)?);
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|error| {
            Error::message(ErrorKind::Io, format!("drawing a random nonce failed: {error}"))
        })?;
        Ok(crate::protocol::Key::parse(shared_secret.expose())?.encrypt(nonce, json))
    }

    #[cfg(not(feature = "encrypted"))]
    fn encrypt(&self, _channel: &str, _json: &str) -> Result<String, Error> {
        let _ = &self.master_key;
        let message =
            "this build cannot encrypt: turn on the feature `encrypted` of pusher-channels";
        Err(Error::message(ErrorKind::Config, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules { limits: Limits::default(), master_key: None }
    }

    fn event(channels: &[&str], data: &impl Serialize, options: &TriggerOptions) -> Value {
        let json = to_json(data).unwrap();
        serde_json::from_str(&rules().event(channels, "e", &json, options).unwrap()).unwrap()
    }

    #[test]
    fn string_is_sent_as_it_is_and_anything_else_as_json() {
        let data = |data: &dyn Fn() -> Value| data()["data"].as_str().unwrap().to_owned();
        let none = TriggerOptions::new();
        for (text, sent) in [("hello \"ü\"", "hello \"ü\""), ("", ""), ("{\"a\":1}", "{\"a\":1}")]
        {
            assert_eq!(data(&|| event(&["c"], &text, &none)), sent);
        }
        assert_eq!(data(&|| event(&["c"], &["a", "b"], &none)), r#"["a","b"]"#);
        assert_eq!(data(&|| event(&["c"], &1, &none)), "1");
        assert_eq!(data(&|| event(&["c"], &(), &none)), "null");
    }

    #[test]
    fn options_are_sent_if_set() {
        let plain = event(&["a", "b"], &1, &TriggerOptions::new());
        assert_eq!(plain, serde_json::json!({"name": "e", "channels": ["a", "b"], "data": "1"}));
        let options =
            TriggerOptions::new().exclude("1.2").info([Info::UserCount, Info::SubscriptionCount]);
        let body = event(&["a"], &1, &options);
        assert_eq!(
            (&body["socket_id"], &body["info"]),
            (&"1.2".into(), &"user_count,subscription_count".into())
        );
    }

    #[test]
    fn batch_has_one_channel_an_event_and_names_the_wrong_one() {
        let good = BatchEvent::new("a", "e", "x").options(TriggerOptions::new().exclude("1.2"));
        let body: Value =
            serde_json::from_str(&rules().batch(std::slice::from_ref(&good)).unwrap()).unwrap();
        let expected = serde_json::json!({"batch": [
            {"name": "e", "channel": "a", "data": "x", "socket_id": "1.2"},
        ]});
        assert_eq!(body, expected);

        let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
        for (wrong, kind) in [
            (BatchEvent::new("a b", "e", "x"), ErrorKind::InvalidName),
            (BatchEvent::new("a", "", "x"), ErrorKind::InvalidName),
            (BatchEvent::new("a", "e", &"canary".repeat(2000)), ErrorKind::TooLarge),
            (BatchEvent::new("a", "e", &unwritable), ErrorKind::Json),
            (good.clone().options(TriggerOptions::new().exclude("x")), ErrorKind::Config),
            (BatchEvent::new("private-encrypted-a", "e", "x"), ErrorKind::Config),
        ] {
            let channel = wrong.channel.clone();
            let error = rules().batch(&[good.clone(), wrong]).unwrap_err();
            assert_eq!((error.kind(), error.channel()), (kind, Some(&*channel)), "{error}");
            assert!(error.to_string().contains("event 2 of the batch: "), "{error}");
        }
        assert_eq!(rules().batch(&vec![good; 11]).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn users_event_goes_to_the_users_channel() {
        let body: Value = serde_json::from_str(&rules().to_user("u 1", "e", "1").unwrap()).unwrap();
        assert_eq!(body["channels"], serde_json::json!(["#server-to-user-u 1"]));
        rules().to_user("", "e", "1").unwrap_err();
    }

    #[test]
    fn data_is_not_shown() {
        let event = BatchEvent::new("a", "e", "canary");
        assert!(!format!("{event:?}").contains("canary"));
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn encrypted_event_is_json_under_the_channels_key_with_a_fresh_nonce() {
        const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let channel = "private-encrypted-a";
        let master_key = Secret::new(MASTER.to_owned());
        let shared = crate::auth::shared_secret(&master_key, channel).unwrap();
        let key = crate::protocol::Key::parse(&shared).unwrap();
        let rules = Rules { master_key: Some(master_key), ..rules() };
        let send = |channels: &[&str]| {
            rules.event(channels, "e", r#""hello""#, &TriggerOptions::new()).map(|body| {
                let body: Value = serde_json::from_str(&body).unwrap();
                body["data"].as_str().unwrap().to_owned()
            })
        };
        let (first, second) = (send(&[channel]).unwrap(), send(&[channel]).unwrap());
        assert_ne!(first, second);
        for data in [&first, &second] {
            assert_eq!(key.decrypt(data).unwrap(), br#""hello""#);
        }
        for channels in [&[channel, "a"][..], &["a", channel], &[channel, channel]] {
            let error = send(channels).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("only channel"), "{error}");
        }
        assert_eq!(send(&["a", "private-a"]).unwrap(), "hello");
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn encryption_needs_the_master_key() {
        let send = |rules: &Rules| {
            let options = TriggerOptions::new();
            rules.event(&["private-encrypted-a"], "e", "1", &options).unwrap_err()
        };
        let error = send(&rules());
        assert!(error.to_string().contains("set it with encryption_master_key()"), "{error}");
        let wrong = Rules { master_key: Some(Secret::new("canary".to_owned())), ..rules() };
        let error = send(&wrong);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
