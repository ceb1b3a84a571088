//! Channels whose names are known at run time alone.

use pusher_channels::testing::Server;
use pusher_channels::{AnyChannel, Channel, ChannelStatus, Client, ErrorKind, Options, State};
use serde_json::Value;

use super::{connected, join, receives, secret};
use crate::support::{SOON, next};

const NAMES: [&str; 8] = [
    "cache-room",
    "presence-cache-room",
    "presence-room",
    "private-cache-room",
    "private-encrypted-cache-room",
    "private-encrypted-room",
    "private-room",
    "room",
];

/// The names of the types of channels that this build has, sorted.
fn names() -> impl DoubleEndedIterator<Item = &'static str> {
    NAMES.into_iter().filter(|name| cfg!(feature = "encrypted") || !name.contains("encrypted"))
}

fn wanted(client: &Client) -> Vec<String> {
    client.channels().iter().map(|channel| channel.name().to_owned()).collect()
}

#[test]
fn names_of_every_kind_lead_to_channels_of_their_type() {
    let server = Server::start().unwrap();
    let client = connected(&server, secret(&server));
    // In another order than they are listed in.
    for name in names().rev() {
        let channel = client.channel(name).unwrap();
        let misses = channel.bind_cache_miss();
        channel.subscribe();
        channel.wait_subscribed(SOON).unwrap();
        if name.contains("cache-") {
            assert_eq!(next(&misses).channel(), Some(name));
        }
        receives(&server, &channel);
        let is = [
            channel.as_public().is_some(),
            channel.as_private().is_some(),
            channel.as_presence().is_some(),
        ];
        let encrypted = name.contains("encrypted");
        let prefixed = |prefix| name.starts_with(prefix);
        let private = prefixed("private-") && !encrypted;
        assert_eq!(
            is,
            [name.ends_with("room") && !name.contains("pr"), private, prefixed("presence-")]
        );
        #[cfg(feature = "encrypted")]
        assert_eq!(channel.as_private_encrypted().is_some(), encrypted);
        if let AnyChannel::Presence(lobby) = channel {
            assert_eq!(lobby.members().me().unwrap().id(), "me");
        }
    }
    assert!(wanted(&client).into_iter().eq(names()));
}

#[test]
fn the_same_name_is_the_same_channel_whatever_it_is_asked_by() {
    let client = Client::new(Options::cluster("eu", "key")).unwrap();
    let typed = client.presence_channel("presence-room").unwrap();
    let named = client.channel("presence-room").unwrap();
    typed.subscribe();
    assert_eq!(named.status(), ChannelStatus::Pending);
    AnyChannel::from(typed.clone()).unsubscribe();
    assert_eq!(
        (named.status(), typed.status()),
        (ChannelStatus::Unsubscribed, ChannelStatus::Unsubscribed)
    );
    let converted: [AnyChannel; 2] = [
        client.public_channel("room").unwrap().into(),
        client.private_channel("private-room").unwrap().into(),
    ];
    assert!(converted[0].as_public().is_some() && converted[1].as_private().is_some());
    let dynamic: &dyn Channel = &named;
    assert_eq!(dynamic.name(), "presence-room");
    assert!(
        format!("{named:?}").contains("PresenceChannel { name: \"presence-room\""),
        "{named:?}"
    );
}

#[test]
fn names_are_checked_as_those_of_typed_methods() {
    let client = Client::new(Options::cluster("eu", "key")).unwrap();
    let lax = Client::builder(Options::cluster("eu", "key")).check_channel_names(false);
    let lax = lax.build().unwrap();
    for bad in ["a b", "private-ä", "#server-to-user-7", &"x".repeat(165)] {
        let typed = match bad.starts_with("private-") {
            true => client.private_channel(bad).unwrap_err(),
            false => client.public_channel(bad).unwrap_err(),
        };
        let error = client.channel(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        assert_eq!(error.to_string(), typed.to_string());
        assert_eq!(lax.channel(bad).unwrap().name(), bad);
    }
    for client in [client, lax] {
        assert_eq!(client.channel("").unwrap_err().kind(), ErrorKind::InvalidName);
        assert!(wanted(&client).is_empty());
    }
}

#[test]
fn channels_are_those_wanted_whatever_the_connection_does() {
    let server = Server::start().unwrap();
    let client = connected(&server, secret(&server));
    let states = client.bind_states();
    for name in ["c", "private-b", "a", "b"] {
        join(&client.channel(name).unwrap());
    }
    let idle = client.channel("idle").unwrap();
    client.channel("b").unwrap().unsubscribe();
    let expected = ["a", "c", "private-b"];
    assert_eq!(wanted(&client), expected);
    server.refuse(1);
    server.drop_connections();
    while next(&states).current != State::Connected {
        assert_eq!(wanted(&client), expected);
    }
    for channel in client.channels() {
        channel.wait_subscribed(SOON).unwrap();
    }
    assert_eq!((wanted(&client), server.subscribers("b")), (expected.map(str::to_owned).into(), 0));
    client.disconnect();
    assert_eq!(wanted(&client), expected);
    client.channels().iter().for_each(AnyChannel::unsubscribe);
    idle.subscribe();
    assert_eq!(wanted(&client), ["idle"]);
    client.close(SOON).unwrap();
    assert_eq!(wanted(&client), ["idle"]);
}

#[test]
fn trigger_is_an_error_on_channels_without_client_events() {
    let server = Server::start().unwrap();
    let client = connected(&server, secret(&server));
    for name in names() {
        let channel = client.channel(name).unwrap();
        join(&channel);
        let sent = channel.trigger("client-a", &[1]);
        if channel.as_private().is_some() || channel.as_presence().is_some() {
            sent.unwrap();
            let expected = [Value::from("client-a"), name.into(), [1].into_iter().collect()];
            assert!(server.wait_for(SOON, |server| {
                server.recorded().iter().any(|frame| {
                    let frame: Value = serde_json::from_str(frame).unwrap();
                    ["event", "channel", "data"].map(|field| frame[field].clone()) == expected
                })
            }));
        } else {
            let error = sent.unwrap_err();
            assert_eq!((error.kind(), error.channel()), (ErrorKind::InvalidName, Some(name)));
            let kind = if name.contains("encrypted") { "an encrypted" } else { "a public" };
            let text = format!("sending the client event failed: {kind} channel has none");
            assert!(error.to_string().starts_with(&text), "{error}");
        }
    }
}
