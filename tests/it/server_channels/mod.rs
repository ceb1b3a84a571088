//! The in-process server's private, presence and encrypted channels, seen by a raw client.

pub(crate) mod endpoint;

use hmac::{Hmac, KeyInit, Mac};
use pusher_channels::testing::{ChannelRefusal, DataStyle, PresenceStyle, Server, Settings};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::server::raw::Raw;
use crate::support::SOON;

pub(crate) const SUCCEEDED: &str = "pusher_internal:subscription_succeeded";

pub(crate) fn signature(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A raw client that knows its socket's id, and can sign.
pub(crate) struct Signed {
    pub(crate) raw: Raw,
    pub(crate) socket_id: String,
    key: String,
    secret: String,
}

impl Signed {
    pub(crate) fn new(server: &Server) -> Self {
        let mut raw = Raw::connect(server);
        let socket_id = data(&raw.read())["socket_id"].as_str().unwrap().to_owned();
        Self { raw, socket_id, key: server.key().to_owned(), secret: server.secret().to_owned() }
    }

    pub(crate) fn auth(&self, channel: &str, channel_data: Option<&str>) -> String {
        let rest = channel_data.map_or_else(String::new, |data| format!(":{data}"));
        let signature = signature(&self.secret, &format!("{}:{channel}{rest}", self.socket_id));
        format!("{}:{signature}", self.key)
    }

    pub(crate) fn say_subscribe(&mut self, channel: &str, auth: &str, channel_data: Option<&str>) {
        let mut data = json!({"channel": channel, "auth": auth});
        if let Some(channel_data) = channel_data {
            data["channel_data"] = channel_data.into();
        }
        self.raw.send(&json!({"event": "pusher:subscribe", "data": data}).to_string());
    }

    /// Sends a validly signed request and returns the response.
    pub(crate) fn subscribe(&mut self, channel: &str, channel_data: Option<&str>) -> Value {
        let auth = self.auth(channel, channel_data);
        self.say_subscribe(channel, &auth, channel_data);
        self.raw.read()
    }

    fn subscribed(server: &Server, channel: &str, channel_data: Option<&str>) -> Self {
        let mut client = Self::new(server);
        assert_eq!(client.subscribe(channel, channel_data)["event"], SUCCEEDED);
        client
    }

    /// The server sends nothing.
    pub(crate) fn assert_quiet(&mut self) {
        assert_eq!(self.raw.exchange(r#"{"event":"pusher:ping"}"#)["event"], "pusher:pong");
    }
}

/// What `data` holds, which is text as Pusher sends it.
pub(crate) fn data(frame: &Value) -> Value {
    match &frame["data"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        data => data.clone(),
    }
}

pub(crate) fn error(frame: &Value) -> (Option<u64>, String) {
    assert_eq!((&frame["event"], &frame["channel"]), (&json!("pusher:error"), &Value::Null));
    let data = data(frame);
    (data["code"].as_u64(), data["message"].as_str().unwrap().to_owned())
}

#[test]
fn private_subscription_needs_a_valid_signature() {
    let server = Server::start().unwrap();
    for channel in ["private-a", "private-cache-a", "private-encrypted-a"] {
        let mut client = Signed::new(&server);
        let right = client.auth(channel, None);
        let text = format!("{}:{channel}", client.socket_id);
        let expected = format!("Invalid signature: Expected HMAC SHA256 hex digest of {text}");
        for (auth, expected) in [
            ("app-key:0123", expected.as_str()),
            (&right.to_uppercase().replace("APP-KEY", "app-key"), &expected),
            (&client.auth("private-b", None), &expected),
            (&client.auth(channel, Some("{}")), &expected),
            (&right.replace("app-key", "other-key"), "Invalid key"),
            (&right["app-key:".len()..], "Invalid key"),
            ("", "Invalid key"),
        ] {
            client.say_subscribe(channel, auth, None);
            let (code, message) = error(&client.raw.read());
            assert_eq!(code, None);
            assert!(message.starts_with(expected), "{auth}: {message}");
        }
        assert_eq!(server.subscribers(channel), 0);
        let response = client.subscribe(channel, None);
        let expected = json!({"event": SUCCEEDED, "channel": channel, "data": "{}"});
        assert_eq!(response, expected);
        assert_eq!(server.subscribers(channel), 1);
        if channel.contains("cache") {
            assert_eq!(client.raw.read()["event"], "pusher:cache_miss");
        }
        let (_, message) = error(&client.subscribe(channel, None));
        assert_eq!(message, format!("Existing subscription to channel {channel}"));
        client.assert_quiet();
    }
}

#[test]
fn channel_data_of_a_private_channel_is_signed() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    assert_eq!(client.subscribe("private-a", Some("{\"x\":1}"))["event"], SUCCEEDED);
    let auth = client.auth("private-b", Some("{\"x\":1}"));
    client.say_subscribe("private-b", &auth, Some("{\"x\":2}"));
    assert!(error(&client.raw.read()).1.starts_with("Invalid signature"));
}

#[test]
fn private_events_and_refusals() {
    let server = Server::start().unwrap();
    let mut client = Signed::subscribed(&server, "private-a", None);
    assert_eq!(server.publish("private-a", "e", &json!({"n": 1})), 1);
    assert_eq!(client.raw.read_text(), r#"{"event":"e","channel":"private-a","data":"{\"n\":1}"}"#);
    for channel in ["private-r", "presence-r", "private-encrypted-r"] {
        server.refuse_channel(channel, ChannelRefusal::SubscriptionError(401));
        let response = client.subscribe(channel, None);
        assert_eq!(response["event"], "pusher:subscription_error");
        assert_eq!(
            (&response["channel"], &response["data"]["status"]),
            (&json!(channel), &json!(401))
        );
    }
    server.allow_channel("private-r");
    assert_eq!(client.subscribe("private-r", None)["event"], SUCCEEDED);
    client.raw.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"private-r"}}"#);
    assert!(server.wait_for(SOON, |server| server.subscribers("private-r") == 0));
}

#[test]
fn invalid_signatures_are_refused_in_every_style() {
    for (refusal, event, code) in [
        (ChannelRefusal::ErrorFrame(Some(4009)), "pusher:error", json!(4009)),
        (ChannelRefusal::SubscriptionError(401), "pusher:subscription_error", Value::Null),
        (
            ChannelRefusal::InternalSubscriptionError,
            "pusher_internal:subscription_error",
            json!(null),
        ),
        (ChannelRefusal::Silence, "pusher:pong", Value::Null),
    ] {
        let server = Server::start_with(Settings::default().auth_refusal(refusal)).unwrap();
        let mut client = Signed::new(&server);
        client.say_subscribe("private-a", "app-key:wrong", None);
        client.raw.send(r#"{"event":"pusher:ping"}"#);
        let response = client.raw.read();
        assert_eq!((&response["event"], &data(&response)["code"]), (&json!(event), &code));
    }
}

const ANN: &str = r#"{"user_id":"ann","user_info":{"name":"Ann"}}"#;
const SEVEN: &str = r#"{"user_id":7}"#;

#[test]
fn members_are_announced_once_for_all_their_connections() {
    let server = Server::start().unwrap();
    let mut first = Signed::new(&server);
    let response = first.subscribe("presence-r", Some(ANN));
    assert!(response["data"].is_string());
    let expected = json!({"ids": ["ann"], "hash": {"ann": {"name": "Ann"}}, "count": 1});
    assert_eq!(data(&response), json!({"presence": expected}));

    let mut second = Signed::new(&server);
    let response = second.subscribe("presence-r", Some(SEVEN));
    let hash = json!({"7": null, "ann": {"name": "Ann"}});
    let expected = json!({"ids": ["7", "ann"], "hash": hash, "count": 2});
    assert_eq!(data(&response), json!({"presence": expected}));
    let added = first.raw.read_text();
    let expected = r#"{"event":"pusher_internal:member_added","channel":"presence-r","data":"{\"user_id\":\"7\"}"}"#;
    assert_eq!(added, expected);

    // Another connection of the same member: no notification.
    let mut third = Signed::new(&server);
    let response = third.subscribe("presence-r", Some(r#"{"user_id":"7","user_info":1}"#));
    assert_eq!(data(&response)["presence"]["count"], 2);
    assert_eq!(server.subscribers("presence-r"), 3);
    first.assert_quiet();
    second.raw.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"presence-r"}}"#);
    assert!(server.wait_for(SOON, |server| server.subscribers("presence-r") == 2));
    first.assert_quiet();
    second.assert_quiet();

    drop(third);
    let removed = first.raw.read();
    assert_eq!(removed["event"], "pusher_internal:member_removed");
    assert_eq!(data(&removed), json!({"user_id": "7"}));
    assert_eq!(server.publish("presence-r", "e", "x"), 1);
    assert_eq!(first.raw.read()["data"], "x");
    assert_eq!(data(&second.subscribe("presence-r", Some(SEVEN)))["presence"]["count"], 2);
    assert_eq!(data(&first.raw.read()), json!({"user_id": "7"}));
}

#[test]
fn presence_subscriptions_need_channel_data() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    let long_id = json!({"user_id": "x".repeat(129)}).to_string();
    let large = json!({"user_id": "x", "user_info": "x".repeat(1100)}).to_string();
    let wrong = ["", "{", "[]", "{}", r#"{"user_id":""}"#, r#"{"user_id":{}}"#, &long_id, &large];
    for channel_data in wrong {
        let (code, message) = error(&client.subscribe("presence-r", Some(channel_data)));
        assert!(code.is_none() && message.contains("channel_data"), "{channel_data}: {message}");
    }
    assert!(error(&client.subscribe("presence-r", None)).1.contains("channel_data"));
    client.say_subscribe("presence-r", &client.auth("presence-r", Some(ANN)), Some(SEVEN));
    assert!(error(&client.raw.read()).1.starts_with("Invalid signature"));
    assert_eq!(server.subscribers("presence-r"), 0);
    client.subscribe("presence-cache-r", Some(ANN));
    assert_eq!(client.raw.read()["event"], "pusher:cache_miss");
}

#[test]
fn presence_channel_has_at_most_a_hundred_members() {
    let server = Server::start().unwrap();
    let member = |number: u32| json!({"user_id": number.to_string()}).to_string();
    let clients: Vec<_> = (0..100)
        .map(|number| Signed::subscribed(&server, "presence-r", Some(&member(number))))
        .collect();
    let mut late = Signed::new(&server);
    let (code, message) = error(&late.subscribe("presence-r", Some(&member(100))));
    assert!(code.is_none() && message.contains("presence-r is full"), "{message}");
    // Not another member.
    let response = late.subscribe("presence-r", Some(&member(5)));
    assert_eq!(data(&response)["presence"]["count"], 100);
    drop(clients);
    assert!(server.wait_for(SOON, |server| server.subscribers("presence-r") == 1));
}

#[test]
fn presence_styles_change_the_members() {
    for (style, presence, id) in [
        (
            PresenceStyle::Documented,
            json!({"ids": ["7"], "hash": {"7": null}, "count": 1}),
            json!("7"),
        ),
        (PresenceStyle::NoIds, json!({"hash": {"7": null}, "count": 1}), json!("7")),
        (PresenceStyle::NumericIds, json!({"ids": [7], "hash": {"7": null}, "count": 1}), json!(7)),
        (PresenceStyle::EmptyHash, json!({"ids": ["7"], "hash": [], "count": 1}), json!("7")),
    ] {
        for shape in [DataStyle::Text, DataStyle::Object, DataStyle::Absent] {
            let settings = Settings::default().presence_style(style).data_style(shape);
            let server = Server::start_with(settings).unwrap();
            let mut first = Signed::new(&server);
            let response = first.subscribe("presence-r", Some(SEVEN));
            assert_eq!(response["data"].is_object(), shape == DataStyle::Object);
            assert_eq!(data(&response)["presence"], presence, "{style:?}");
            let mut second = Signed::subscribed(&server, "presence-r", Some(r#"{"user_id":8}"#));
            assert_eq!(data(&first.raw.read())["user_id"].is_u64(), id.is_u64());
            first.raw.send(r#"{"event":"client-a","channel":"presence-r"}"#);
            assert_eq!(second.raw.read()["user_id"], id);
            drop(first);
            assert_eq!(data(&second.raw.read()), json!({"user_id": id}));
        }
    }
}

#[test]
fn member_added_can_be_repeated() {
    let server = Server::start_with(Settings::default().repeat_member_added(true)).unwrap();
    let mut first = Signed::subscribed(&server, "presence-r", Some(ANN));
    let _second = Signed::subscribed(&server, "presence-r", Some(ANN));
    assert_eq!(data(&first.raw.read()), serde_json::from_str::<Value>(ANN).unwrap());
}

#[test]
fn presence_channels_get_no_subscription_count() {
    let server = Server::start_with(Settings::default().subscription_counts(true)).unwrap();
    let mut member = Signed::subscribed(&server, "presence-r", Some(ANN));
    member.assert_quiet();
    assert_eq!(member.subscribe("private-a", None)["event"], SUCCEEDED);
    assert_eq!(data(&member.raw.read()), json!({"subscription_count": 1}));
}

#[test]
fn client_events_go_to_the_other_subscribers() {
    let server = Server::start().unwrap();
    for (channel, of_ann, of_seven) in
        [("private-cache-a", None, None), ("presence-cache-a", Some(ANN), Some(SEVEN))]
    {
        let mut ann = Signed::subscribed(&server, channel, of_ann);
        let mut seven = Signed::subscribed(&server, channel, of_seven);
        assert_eq!(seven.raw.read()["event"], "pusher:cache_miss");
        assert_eq!(ann.raw.read()["event"], "pusher:cache_miss");
        if of_ann.is_some() {
            ann.raw.read();
        }
        // As they were sent, byte by byte.
        for json in [
            r#"{"b":1.50,"a":[]}"#,
            r#""{\"a\":1}""#,
            r#""text""#,
            "null",
            "12345678901234567890123",
        ] {
            ann.raw.send(&format!(r#"{{"event":"client-x","channel":"{channel}","data":{json}}}"#));
            let user = if of_ann.is_some() { r#","user_id":"ann""# } else { "" };
            let expected =
                format!(r#"{{"event":"client-x","channel":"{channel}","data":{json}{user}}}"#);
            assert_eq!(seven.raw.read_text(), expected);
        }
        ann.assert_quiet();
        // Nor is it the channel's last event.
        let mut late = Signed::subscribed(&server, channel, of_ann);
        assert_eq!(late.raw.read()["event"], "pusher:cache_miss");
    }
}

#[test]
fn invalid_client_events_are_rejected() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    client.raw.subscribe("public");
    client.raw.read();
    for channel in ["private-a", "private-encrypted-a"] {
        client.subscribe(channel, None);
    }
    let mut other = Signed::subscribed(&server, "private-a", None);
    let large = json!("x".repeat(10 * 1024 + 1)).to_string();
    for (channel, json, part) in [
        (json!("public"), "{}", "only supported on private and presence"),
        (json!("private-encrypted-a"), "{}", "only supported on private and presence"),
        (json!("private-b"), "{}", "not subscribed"),
        (json!(7), "{}", "no channel"),
        (json!("private-a"), &large, "10 kB"),
    ] {
        client.raw.send(&format!(r#"{{"event":"client-x","channel":{channel},"data":{json}}}"#));
        let (code, message) = error(&client.raw.read());
        assert_eq!(code, Some(4301));
        assert!(message.contains(part), "{message}");
    }
    other.assert_quiet();
    let largest = json!("\n".repeat(10 * 1024));
    let frame = json!({"event": "client-x", "channel": "private-a", "data": largest});
    client.raw.send(&frame.to_string());
    assert_eq!(other.raw.read()["data"], largest);
}

#[test]
fn client_events_are_rate_limited() {
    const EVENT: &str = r#"{"event":"client-x","channel":"private-a","data":{}}"#;
    let settings = [Settings::default(), Settings::default().client_event_limit(Some(2))];
    for (settings, limit) in settings.into_iter().zip([10, 2]) {
        let server = Server::start_with(settings).unwrap();
        let mut client = Signed::subscribed(&server, "private-a", None);
        let mut other = Signed::subscribed(&server, "private-a", None);
        (0..200).for_each(|_| client.raw.send(EVENT));
        client.raw.send(r#"{"event":"pusher:ping"}"#);
        let mut refused = 0;
        loop {
            let response = client.raw.read();
            if response["event"] == "pusher:pong" {
                break;
            }
            assert_eq!(error(&response).0, Some(4301));
            refused += 1;
        }
        let relayed = 200 - refused;
        assert!((limit..100).contains(&relayed), "{relayed}");
        (0..relayed).for_each(|_| assert_eq!(other.raw.read()["event"], "client-x"));
        other.assert_quiet();
        // Its neighbour has a limit of its own.
        other.raw.send(EVENT);
        assert_eq!(client.raw.read()["event"], "client-x");
    }
    let server = Server::start_with(Settings::default().client_event_limit(None)).unwrap();
    let mut client = Signed::subscribed(&server, "private-a", None);
    let mut other = Signed::subscribed(&server, "private-a", None);
    (0..200).for_each(|_| client.raw.send(EVENT));
    (0..200).for_each(|_| assert_eq!(other.raw.read()["event"], "client-x"));
    client.assert_quiet();
}

/// Decrypts a published event with the key of the endpoint.
#[cfg(feature = "encrypted")]
fn open(frame: &Value, shared_secret: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use crypto_secretbox::aead::Aead;
    use crypto_secretbox::{KeyInit, Nonce, XSalsa20Poly1305};

    let field = |name: &str| STANDARD.decode(data(frame)[name].as_str().unwrap()).unwrap();
    let key: [u8; 32] = STANDARD.decode(shared_secret).unwrap().try_into().unwrap();
    let nonce: [u8; 24] = field("nonce").try_into().unwrap();
    let opened = XSalsa20Poly1305::new(&key.into())
        .decrypt(&Nonce::from(nonce), field("ciphertext").as_slice());
    opened.ok().map(|text| String::from_utf8(text).unwrap())
}

#[cfg(feature = "encrypted")]
#[test]
fn encrypted_events_decrypt_with_the_shared_secret() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use sha2::Digest;

    const CHANNEL: &str = "private-encrypted-cache-a";
    let server = Server::start().unwrap();
    let mut client = Signed::subscribed(&server, CHANNEL, None);
    assert_eq!(client.raw.read()["event"], "pusher:cache_miss");
    let key = |channel: &str| {
        let response = endpoint::form(&server, &[("socket_id", "1.2"), ("channel_name", channel)]);
        response.json()["shared_secret"].as_str().unwrap().to_owned()
    };
    let first = key(CHANNEL);
    assert_eq!(first, key(CHANNEL));
    assert_ne!(first, key("private-encrypted-b"));
    let master = STANDARD.decode(server.encryption_master_key()).unwrap();
    let derived = Sha256::new().chain_update(CHANNEL).chain_update(master).finalize();
    assert_eq!(STANDARD.encode(derived), first);

    for (sent, expected) in [(json!("hé"), "hé"), (json!({"a": 1}), r#"{"a":1}"#), (json!(""), "")]
    {
        assert_eq!(server.publish(CHANNEL, "e", &sent), 1);
        let frame = client.raw.read();
        assert!(frame["data"].is_string(), "{frame}");
        assert_eq!(open(&frame, &first).as_deref(), Some(expected));
        assert_eq!(open(&frame, &key("private-encrypted-b")), None);
    }
    server.rotate_encryption_key(CHANNEL);
    let second = key(CHANNEL);
    assert_ne!(first, second);
    server.publish(CHANNEL, "e", "later");
    let frame = client.raw.read();
    assert_eq!((open(&frame, &first), open(&frame, &second)), (None, Some("later".to_owned())));
    // The cached event is encrypted too.
    let mut late = Signed::subscribed(&server, CHANNEL, None);
    assert_eq!(late.raw.read(), frame);

    server.publish_plain(CHANNEL, "e", &json!({"plain": true}));
    assert_eq!(client.raw.read()["data"], r#"{"plain":true}"#);
}

#[cfg(not(feature = "encrypted"))]
#[test]
fn event_that_cannot_be_encrypted_is_not_published() {
    let server = Server::start().unwrap();
    let mut client = Signed::subscribed(&server, "private-encrypted-a", None);
    assert_eq!(server.publish("private-encrypted-a", "e", "x"), 0);
    client.assert_quiet();
    assert_eq!(server.publish_plain("private-encrypted-a", "e", "x"), 1);
    assert_eq!(client.raw.read()["data"], "x");
}
