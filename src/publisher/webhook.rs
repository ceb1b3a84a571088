//! Webhooks: requests by which a server reports to a backend what happens on its channels.

use std::fmt;

use serde_json::value::RawValue;

use super::limits;
use crate::auth::signature::is_signed;
use crate::wire::{data_of, each_element, id, number, pick, text};
use crate::{Error, ErrorKind};

/// Longer bodies are refused.
const MAX_BODY: usize = 1024 * 1024;
const KEY: &str = "X-Pusher-Key";
const SIGNATURE: &str = "X-Pusher-Signature";

/// A webhook whose signature is right: what has happened on the channels of an app.
///
/// # Example
///
/// In the handler of your HTTP server, pass the headers and the body as they were received:
///
/// ```
/// use pusher_channels::{Webhook, publisher::WebhookEvent};
///
/// # fn main() -> Result<(), pusher_channels::Error> {
/// # let body = br#"{"time_ms":1327078148132,"events":[{"name":"channel_occupied","channel":"chat"}]}"#;
/// # let headers = [
/// #     ("X-Pusher-Key".to_owned(), "app-key".to_owned()),
/// #     ("X-Pusher-Signature".to_owned(), "2f33f6cebe7de59b2c5e4c76d72fdb402e84d6f833642f2fcf3698968642aa7b".to_owned()),
/// # ];
/// let headers = headers.iter().map(|(name, value)| (name, value));
/// let webhook = Webhook::verify("app-key", "app-secret", headers, body)?;
/// for event in webhook.events() {
///     match event {
///         WebhookEvent::ChannelOccupied { channel, .. } => println!("{channel} has subscribers"),
///         WebhookEvent::ChannelVacated { channel, .. } => println!("{channel} has none"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/webhooks/).
#[derive(Clone, Debug)]
pub struct Webhook {
    time_ms: u64,
    events: Vec<WebhookEvent>,
}

/// An event of a [`Webhook`].
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// The channel has its first subscriber.
    #[non_exhaustive]
    ChannelOccupied {
        /// The name of the channel.
        channel: String,
    },
    /// The channel has lost its last subscriber.
    #[non_exhaustive]
    ChannelVacated {
        /// The name of the channel.
        channel: String,
    },
    /// A user has joined a presence channel.
    #[non_exhaustive]
    MemberAdded {
        /// The name of the channel.
        channel: String,
        /// The id of the user.
        user_id: String,
    },
    /// A user has left a presence channel.
    #[non_exhaustive]
    MemberRemoved {
        /// The name of the channel.
        channel: String,
        /// The id of the user.
        user_id: String,
    },
    /// A client has sent a client event.
    #[non_exhaustive]
    ClientEvent {
        /// The name of the channel.
        channel: String,
        /// The name of the event.
        event: String,
        /// The data: a string as it is, anything else as JSON.
        data: String,
        /// The socket id of the sender.
        socket_id: Option<String>,
        /// The user id of the sender, on presence channels.
        user_id: Option<String>,
    },
    /// A client has subscribed to a cache channel that has no event.
    #[non_exhaustive]
    CacheMiss {
        /// The name of the channel.
        channel: String,
    },
    /// The number of subscriptions has changed.
    #[non_exhaustive]
    SubscriptionCount {
        /// The name of the channel.
        channel: String,
        /// The number of subscriptions.
        count: u64,
    },
    /// An event that this version does not know, or that lacks a field.
    #[non_exhaustive]
    Other {
        /// The name of the event; empty if it has none.
        name: String,
        /// The event as JSON.
        json: String,
    },
}

impl Webhook {
    /// Checks the signature of a webhook and reads its events. It never blocks.
    ///
    /// `key` and `secret` are those of the app. `headers` are those of the request, their names in upper or lower case;
    /// the first of a name counts. `body` must be as it was received, since the signature covers its bytes.
    ///
    /// A webhook can be replayed by anyone who has seen it; compare [`time_ms`](Self::time_ms) if that matters.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Config`]: the secret is empty
    /// - [`ErrorKind::Auth`]: a header is missing, the key is another app's, or the signature is wrong
    /// - [`ErrorKind::TooLarge`]: the body has more than 1 MiB
    /// - [`ErrorKind::Json`]: the body is signed, but is not the JSON of a webhook
    pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
        key: &str,
        secret: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) -> Result<Self, Error> {
        limits::secret(secret)?;
        if body.len() > MAX_BODY {
            let message = format!("a webhook must have at most {MAX_BODY} bytes");
            return Err(Error::message(ErrorKind::TooLarge, message));
        }
        let (mut given_key, mut signature) = (None, None);
        for (name, value) in headers {
            let name = name.as_ref();
            let place = match () {
                () if name.eq_ignore_ascii_case(KEY) => &mut given_key,
                () if name.eq_ignore_ascii_case(SIGNATURE) => &mut signature,
                () => continue,
            };
            place.get_or_insert(value);
        }
        let refused = |why: &str| Error::message(ErrorKind::Auth, format!("the webhook {why}"));
        let given_key = given_key.ok_or_else(|| refused("has no header `X-Pusher-Key`"))?;
        let signature = signature.ok_or_else(|| refused("has no header `X-Pusher-Signature`"))?;
        if given_key.as_ref() != key.as_bytes() {
            return Err(refused("is for another app: its `X-Pusher-Key` differs"));
        }
        let signature = std::str::from_utf8(signature.as_ref()).unwrap_or_default();
        if !is_signed(secret, body, signature) {
            return Err(refused(
                "has a wrong signature; check the secret, and that the body is unchanged",
            ));
        }
        Self::read(body)
    }

    fn read(body: &[u8]) -> Result<Self, Error> {
        let invalid = |what: &str| Error::message(ErrorKind::Json, format!("the webhook {what}"));
        let json: &RawValue = serde_json::from_slice(body)
            .map_err(|error| invalid("is not JSON").caused_by(error))?;
        let [time_ms, events] = pick(json.get(), ["time_ms", "events"]);
        let events = events.filter(|events| events.starts_with('['));
        let mut found = Vec::new();
        each_element(events.ok_or_else(|| invalid("has no `events`"))?, |event| {
            found.push(WebhookEvent::read(event));
        });
        let time_ms = time_ms.and_then(number).ok_or_else(|| invalid("has no `time_ms`"))?;
        Ok(Self { time_ms, events: found })
    }

    /// Returns when the server made the webhook, in milliseconds since 1970 by its clock.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Returns the events, in the order of the webhook.
    pub fn events(&self) -> &[WebhookEvent] {
        &self.events
    }
}

impl WebhookEvent {
    fn read(json: &str) -> Self {
        let [name] = pick(json, ["name"]);
        let name = name.and_then(text).unwrap_or_default();
        Self::known(&name, json).unwrap_or_else(|| Self::Other { name, json: json.to_owned() })
    }

    fn known(name: &str, json: &str) -> Option<Self> {
        let [channel, user_id, event, data, socket_id, count] =
            pick(json, ["channel", "user_id", "event", "data", "socket_id", "subscription_count"]);
        let channel = text(channel?)?;
        let user_id = user_id.and_then(id);
        Some(match name {
            "channel_occupied" => Self::ChannelOccupied { channel },
            "channel_vacated" => Self::ChannelVacated { channel },
            "member_added" => Self::MemberAdded { channel, user_id: user_id? },
            "member_removed" => Self::MemberRemoved { channel, user_id: user_id? },
            "client_event" => Self::ClientEvent {
                channel,
                event: text(event?)?,
                data: data.map(data_of).unwrap_or_default().into_owned(),
                socket_id: socket_id.and_then(id),
                user_id,
            },
            "cache_miss" => Self::CacheMiss { channel },
            "subscription_count" => Self::SubscriptionCount { channel, count: number(count?)? },
            _ => return None,
        })
    }

    /// Returns the name of the channel; `None` for [`Other`](Self::Other).
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::ChannelOccupied { channel }
            | Self::ChannelVacated { channel }
            | Self::MemberAdded { channel, .. }
            | Self::MemberRemoved { channel, .. }
            | Self::ClientEvent { channel, .. }
            | Self::CacheMiss { channel }
            | Self::SubscriptionCount { channel, .. } => Some(channel),
            Self::Other { .. } => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::ChannelOccupied { .. } => "ChannelOccupied",
            Self::ChannelVacated { .. } => "ChannelVacated",
            Self::MemberAdded { .. } => "MemberAdded",
            Self::MemberRemoved { .. } => "MemberRemoved",
            Self::ClientEvent { .. } => "ClientEvent",
            Self::CacheMiss { .. } => "CacheMiss",
            Self::SubscriptionCount { .. } => "SubscriptionCount",
            Self::Other { .. } => "Other",
        }
    }
}

/// Shows no data and no ids.
impl fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(self.name());
        self.channel().map(|channel| out.field("channel", &channel));
        out.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::signature::sign;

    fn verify(body: &str, headers: &[(&str, &str)]) -> Result<Webhook, Error> {
        Webhook::verify("key", "secret", headers.iter().copied(), body.as_bytes())
    }

    fn signed(body: &str) -> Result<Webhook, Error> {
        verify(body, &[("x-pusher-key", "key"), ("x-pusher-signature", &sign("secret", body))])
    }

    #[test]
    fn events_of_every_kind_are_read() {
        let body = r##"{"time_ms":1327078148132,"events":[
            {"name":"channel_occupied","channel":"a"},
            {"name":"channel_vacated","channel":"a"},
            {"name":"member_added","channel":"presence-a","user_id":"u"},
            {"name":"member_removed","channel":"presence-a","user_id":17},
            {"name":"client_event","channel":"presence-a","event":"client-e","data":"{\"x\":1}","socket_id":"1.2","user_id":"u"},
            {"name":"client_event","channel":"private-a","event":"client-e","data":{"x":1}},
            {"name":"cache_miss","channel":"cache-a"},
            {"name":"subscription_count","channel":"a","subscription_count":3},
            {"name":"new","channel":"a"},
            {"name":"member_added","channel":"presence-a"},
            {"name":"cache_miss"},
            17
        ]}"##;
        let webhook = signed(body).unwrap();
        assert_eq!(webhook.time_ms(), 1_327_078_148_132);
        let (a, presence) = ("a".to_owned(), "presence-a".to_owned());
        let other =
            |name: &str, json: &str| WebhookEvent::Other { name: name.into(), json: json.into() };
        let client = |channel: &str, socket_id: Option<&str>, user_id: Option<&str>| {
            WebhookEvent::ClientEvent {
                channel: channel.into(),
                event: "client-e".into(),
                data: r#"{"x":1}"#.into(),
                socket_id: socket_id.map(str::to_owned),
                user_id: user_id.map(str::to_owned),
            }
        };
        let expected = [
            WebhookEvent::ChannelOccupied { channel: a.clone() },
            WebhookEvent::ChannelVacated { channel: a.clone() },
            WebhookEvent::MemberAdded { channel: presence.clone(), user_id: "u".into() },
            WebhookEvent::MemberRemoved { channel: presence, user_id: "17".into() },
            client("presence-a", Some("1.2"), Some("u")),
            client("private-a", None, None),
            WebhookEvent::CacheMiss { channel: "cache-a".into() },
            WebhookEvent::SubscriptionCount { channel: a, count: 3 },
            other("new", r#"{"name":"new","channel":"a"}"#),
            other("member_added", r#"{"name":"member_added","channel":"presence-a"}"#),
            other("cache_miss", r#"{"name":"cache_miss"}"#),
            other("", "17"),
        ];
        assert_eq!(webhook.events(), expected);
        let shown = format!("{webhook:?}");
        assert!(shown.contains("presence-a") && !shown.contains("\"u\""), "{shown}");
    }

    #[test]
    fn key_and_signature_must_be_right() {
        let body = r#"{"time_ms":1,"events":[]}"#;
        let good = sign("secret", body);
        verify(body, &[("X-PUSHER-KEY", "key"), ("a", "b"), ("X-Pusher-Signature", &good)])
            .unwrap();
        for (headers, part) in [
            (&[("X-Pusher-Signature", &*good)][..], "no header `X-Pusher-Key`"),
            (&[("X-Pusher-Key", "key")], "no header `X-Pusher-Signature`"),
            (&[("X-Pusher-Key", "canary"), ("X-Pusher-Signature", &good)], "another app"),
            (&[("X-Pusher-Key", "key"), ("X-Pusher-Signature", "canary")], "wrong signature"),
            (&[("X-Pusher-Key", "key"), ("X-Pusher-Signature", &good[1..])], "wrong signature"),
            // Only the first counts.
            (
                &[
                    ("X-Pusher-Key", "key"),
                    ("X-Pusher-Signature", "00"),
                    ("X-Pusher-Signature", &good),
                ],
                "wrong signature",
            ),
        ] {
            let error = verify(body, headers).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth);
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let headers = [("X-Pusher-Key", "key"), ("X-Pusher-Signature", &*good)];
        assert_eq!(verify("{}", &headers).unwrap_err().kind(), ErrorKind::Auth);
        let latin = [("X-Pusher-Key", &b"key"[..]), ("X-Pusher-Signature", &b"\xff"[..])];
        let error = Webhook::verify("key", "secret", latin, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
    }

    #[test]
    fn empty_secret_verifies_nothing() {
        let body = r#"{"time_ms":1,"events":[]}"#;
        let headers = [("X-Pusher-Key", "key".to_owned()), ("X-Pusher-Signature", sign("", body))];
        let error = Webhook::verify("key", "", headers, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), "the secret must not be empty");
    }

    #[test]
    fn signed_body_must_be_a_webhook_of_limited_size() {
        for (body, part) in [
            ("", "is not JSON"),
            ("{", "is not JSON"),
            ("[]", "has no `events`"),
            (r#"{"time_ms":1}"#, "has no `events`"),
            (r#"{"time_ms":1,"events":{}}"#, "has no `events`"),
            (r#"{"events":[]}"#, "has no `time_ms`"),
        ] {
            let error = signed(body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Json);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(signed(&" ".repeat(MAX_BODY)).unwrap_err().kind(), ErrorKind::Json);
        assert_eq!(signed(&" ".repeat(MAX_BODY + 1)).unwrap_err().kind(), ErrorKind::TooLarge);
        // Nesting costs no stack.
        let deep = format!(r#"{{"time_ms":1,"events":[{}]}}"#, "[".repeat(100_000));
        assert_eq!(signed(&deep).unwrap_err().kind(), ErrorKind::Json);
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let event = r#""name":"client_event","channel":"a","event":"client-e","data":"#;
        let deep = format!(r#"{{"time_ms":1,"events":[{{{event}{open}{close}}}]}}"#);
        assert_eq!(signed(&deep).unwrap().events()[0].channel(), Some("a"));
    }
}
