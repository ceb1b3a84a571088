//! The client on private, presence and encrypted channels of the in-process server.

mod authorization;
mod authorizers;
mod by_name;
mod closing;
#[cfg(feature = "encrypted")]
mod encrypted;
mod fairness;
mod interruption;
mod many;
mod presence;
#[cfg(target_os = "linux")]
mod recovery;
#[cfg(feature = "encrypted")]
mod secrets;

use pusher_channels::testing::Server;
use pusher_channels::{
    Auth, AuthRequest, Authorizer, Channel, ChannelStatus, Client, Error, ErrorKind,
    HttpAuthorizer, SecretAuthorizer,
};
use serde_json::{Value, json};

use crate::server_channels::signature;
use crate::support::{SOON, next, quick};

fn http(server: &Server) -> HttpAuthorizer {
    HttpAuthorizer::new(&server.auth_url())
}

/// Signs for channels of every kind.
fn secret(server: &Server) -> SecretAuthorizer {
    let authorizer =
        SecretAuthorizer::new(server.key(), server.secret()).member("me", &json!({"name": "Me"}));
    #[cfg(feature = "encrypted")]
    let authorizer = authorizer.encryption_master_key(&server.encryption_master_key());
    authorizer
}

/// Signs with this `channel_data`, valid or not.
fn as_member(server: &Server, channel_data: &Value) -> impl Authorizer + use<> {
    let (key, secret) = (server.key().to_owned(), server.secret().to_owned());
    let data = channel_data.to_string();
    move |request: &AuthRequest| {
        let text = format!("{}:{}:{data}", request.socket_id(), request.channel());
        let auth = format!("{key}:{}", signature(&secret, &text));
        Ok(Auth::new(auth).channel_data(data.as_str()))
    }
}

fn connected(server: &Server, authorizer: impl Authorizer + 'static) -> Client {
    let client = quick(server.options()).authorizer(authorizer).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

fn join(channel: &dyn Channel) {
    channel.subscribe();
    channel.wait_subscribed(SOON).unwrap();
}

/// Published events arrive.
fn receives(server: &Server, channel: &dyn Channel) {
    let events = channel.bind("event");
    server.publish(channel.name(), "event", &json!({"n": 1}));
    assert_eq!(next(&events).data(), r#"{"n":1}"#, "{}", channel.name());
}

/// Failed at once, for a reason that names the channel.
fn fails(channel: &dyn Channel) -> Error {
    let error = channel.wait_subscribed(SOON).unwrap_err();
    assert_eq!(channel.status(), ChannelStatus::Failed, "{error}");
    assert_eq!(error.channel(), Some(channel.name()), "{error}");
    error
}

#[test]
fn every_kind_subscribes_and_receives() {
    for over_http in [true, false] {
        let server = Server::start().unwrap();
        let client = match over_http {
            true => connected(&server, http(&server)),
            false => connected(&server, secret(&server)),
        };
        let mut channels: Vec<Box<dyn Channel>> = Vec::new();
        for name in ["room", "cache-room"] {
            channels.push(Box::new(client.public_channel(name).unwrap()));
        }
        for name in ["private-room", "private-cache-room"] {
            channels.push(Box::new(client.private_channel(name).unwrap()));
        }
        for name in ["presence-room", "presence-cache-room"] {
            channels.push(Box::new(client.presence_channel(name).unwrap()));
        }
        #[cfg(feature = "encrypted")]
        for name in ["private-encrypted-room", "private-encrypted-cache-room"] {
            channels.push(Box::new(client.private_encrypted_channel(name).unwrap()));
        }
        for channel in &channels {
            let misses = channel.bind_cache_miss();
            join(&**channel);
            if channel.name().contains("cache-") {
                assert_eq!(next(&misses).channel(), Some(channel.name()));
            }
            receives(&server, &**channel);
            assert!(misses.is_empty());
        }
        // The next subscription repeats the last event of a cache channel.
        for channel in channels.iter().filter(|channel| channel.name().contains("cache-")) {
            let events = channel.bind("event");
            channel.unsubscribe();
            join(&**channel);
            assert_eq!(next(&events).data(), r#"{"n":1}"#);
        }
        client.close(SOON).unwrap();
    }
}

#[test]
fn name_of_another_kind_is_an_error() {
    let server = Server::start().unwrap();
    let client = Client::new(server.options()).unwrap();
    let mut errors = Vec::new();
    for name in ["private-a", "presence-a", "private-encrypted-a", "private-cache-a"] {
        errors.push(client.public_channel(name).unwrap_err());
    }
    for name in ["a", "cache-a", "presence-a", "private-encrypted-a", "Private-a", "private"] {
        errors.push(client.private_channel(name).unwrap_err());
        errors.push(client.private_channel_with(name, secret(&server)).unwrap_err());
    }
    for name in ["a", "private-a", "presence", "presence_a"] {
        errors.push(client.presence_channel(name).unwrap_err());
        errors.push(client.presence_channel_with(name, secret(&server)).unwrap_err());
    }
    #[cfg(feature = "encrypted")]
    for name in ["a", "private-a", "presence-a", "private-encrypted"] {
        errors.push(client.private_encrypted_channel(name).unwrap_err());
        errors.push(client.private_encrypted_channel_with(name, secret(&server)).unwrap_err());
    }
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
    }
}

#[test]
fn client_event_reaches_the_other_subscribers_only() {
    let server = Server::start().unwrap();
    let (ann, bob) = (
        connected(&server, as_member(&server, &json!({"user_id": "ann"}))),
        connected(&server, as_member(&server, &json!({"user_id": "bob"}))),
    );
    let (anns, bobs) = (
        ann.presence_channel("presence-room").unwrap(),
        bob.presence_channel("presence-room").unwrap(),
    );
    join(&anns);
    join(&bobs);
    let (heard, own) = (bobs.bind("client-move"), anns.bind("client-move"));
    let last = anns.bind("last");
    anns.trigger("client-move", &json!({"x": 1})).unwrap();
    let event = next(&heard);
    assert_eq!(event.json::<Value>().unwrap(), json!({"x": 1}));
    assert_eq!(event.user_id(), Some("ann"));
    server.publish("presence-room", "last", "");
    next(&last);
    assert!(own.is_empty());

    // Private channels have no user ids.
    let authorizer = || secret(&server);
    let (a, b) = (
        ann.private_channel_with("private-room", authorizer()).unwrap(),
        bob.private_channel_with("private-room", authorizer()).unwrap(),
    );
    join(&a);
    join(&b);
    let heard = b.bind_all();
    a.trigger("client-text", "hello").unwrap();
    let event = next(&heard);
    assert_eq!((event.name(), event.data(), event.user_id()), ("client-text", "hello", None));
}

#[test]
fn client_event_that_cannot_be_sent_is_an_error() {
    let server = Server::start().unwrap();
    let client = quick(server.options()).authorizer(secret(&server)).build().unwrap();
    let room = client.private_channel("private-room").unwrap();
    let kind = |event: &str, data: &str| {
        let error = room.trigger(event, data).unwrap_err();
        assert_eq!(error.channel(), Some("private-room"));
        error.kind()
    };
    assert_eq!(kind("client-a", ""), ErrorKind::NotConnected);
    client.connect();
    client.wait_connected(SOON).unwrap();
    assert_eq!(kind("client-a", ""), ErrorKind::NotSubscribed);
    join(&room);
    assert_eq!(kind("a", ""), ErrorKind::InvalidName);
    assert_eq!(kind("client-", ""), ErrorKind::InvalidName);
    assert_eq!(kind(&format!("client-{}", "a".repeat(194)), ""), ErrorKind::InvalidName);
    // With its quotes it is one byte too long.
    assert_eq!(kind("client-a", &"a".repeat(10_239)), ErrorKind::TooLarge);
    room.trigger("client-a", &"a".repeat(10_238)).unwrap();
    let no_json = std::collections::HashMap::from([(vec![1], 2)]);
    let error = room.trigger("client-a", &no_json).unwrap_err();
    assert_eq!((error.kind(), error.channel()), (ErrorKind::Json, Some("private-room")));
    let error = (0..1000).find_map(|_| room.trigger("client-a", "").err()).unwrap();
    assert_eq!((error.kind(), error.channel()), (ErrorKind::RateLimited, Some("private-room")));
    receives(&server, &room);
    room.unsubscribe();
    assert_eq!(kind("client-a", ""), ErrorKind::NotSubscribed);
}
