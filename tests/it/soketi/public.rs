//! The client on public channels, over `ws` and over `wss`.

use std::time::Duration;

use pusher_channels::{Client, ClientBuilder, ErrorKind, Options, State, StateChange, Tls};
use serde_json::{Value, json};

use super::support::{DISABLED_KEY, ONE_CONNECTION_KEY, Soketi};
use crate::support::{SOON, quick};

/// Runs a test over `ws` and, where this build has TLS, over `wss`.
pub(super) fn over_both(test: impl Fn(&Soketi, ClientBuilder)) {
    for tls in [false, true] {
        if tls && cfg!(not(tls)) {
            continue;
        }
        if let Some(soketi) = Soketi::start(tls) {
            test(&soketi, client(&soketi, soketi.key(), tls));
        }
    }
}

pub(super) fn client(soketi: &Soketi, key: &str, tls: bool) -> ClientBuilder {
    let options = Options::host("127.0.0.1", key).port(soketi.port()).tls(tls);
    let builder = quick(options);
    match tls {
        true => builder.tls(Tls::default().root_certificate_pem(soketi.ca_pem().as_bytes())),
        false => builder,
    }
}

pub(super) fn connect(builder: ClientBuilder) -> Client {
    let client = builder.build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

#[test]
fn events_arrive_in_order_and_unchanged() {
    over_both(|soketi, builder| {
        let client = connect(builder);
        let (room, other) =
            (client.public_channel("room").unwrap(), client.public_channel("other").unwrap());
        let (events, all) = (room.bind("event"), client.bind_all());
        let confirmed = room.bind_subscription_succeeded();
        room.subscribe();
        other.subscribe();
        room.wait_subscribed(SOON).unwrap();
        other.wait_subscribed(SOON).unwrap();
        assert_eq!(confirmed.recv_timeout(SOON).unwrap().channel(), Some("room"));
        for number in 0..50 {
            let data = json!({"number": number, "text": "\"quoted\" \u{fc} \u{1f600}\n"});
            soketi.publish("room", "event", &data.to_string());
        }
        soketi.publish("other", "event", "{}");
        for number in 0..50 {
            let event = events.recv_timeout(SOON).unwrap();
            let data: Value = event.json().unwrap();
            assert_eq!(data, json!({"number": number, "text": "\"quoted\" \u{fc} \u{1f600}\n"}));
        }
        while all.recv_timeout(SOON).unwrap().channel() != Some("other") {}
        assert!(events.is_empty(), "an event of another channel came");

        room.unsubscribe();
        client.ping(SOON).unwrap();
        soketi.publish("room", "event", "{}");
        soketi.publish("other", "event", "{}");
        while all.recv_timeout(SOON).unwrap().channel() != Some("other") {}
        assert!(events.is_empty(), "an event came after unsubscribe()");
    });
}

#[test]
fn cache_channel_sends_cache_miss_and_repeats_the_last_event() {
    over_both(|soketi, builder| {
        let client = connect(builder);
        let cache = client.public_channel("cache-room").unwrap();
        let (miss, events) = (cache.bind_cache_miss(), cache.bind("event"));
        cache.subscribe();
        assert_eq!(miss.recv_timeout(SOON).unwrap().data(), "");
        soketi.publish("cache-room", "event", r#"{"number":1}"#);
        soketi.publish("cache-room", "event", r#"{"number":2}"#);
        let numbers = [events.recv_timeout(SOON).unwrap(), events.recv_timeout(SOON).unwrap()];
        assert_eq!(
            numbers.map(|event| event.data().to_owned()),
            [r#"{"number":1}"#, r#"{"number":2}"#]
        );
        cache.unsubscribe();
        cache.subscribe();
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), r#"{"number":2}"#);
        assert!(miss.is_empty());
    });
}

#[test]
fn ping_gets_a_pong() {
    over_both(|_, builder| {
        let client = connect(builder);
        assert!(client.ping(SOON).unwrap() < SOON);
        assert!(client.ping(SOON).unwrap() > Duration::ZERO);
    });
}

#[test]
fn client_reconnects_and_resubscribes_after_a_server_restart() {
    for tls in [false, cfg!(tls)] {
        let Some(mut soketi) = Soketi::start(tls) else {
            return;
        };
        let client = connect(client(&soketi, soketi.key(), tls));
        let rooms = ["one", "two"].map(|name| client.public_channel(name).unwrap());
        let events = rooms.each_ref().map(|room| room.bind("event"));
        let (states, resumed) = (client.bind_states(), rooms[0].bind_resumed());
        for room in &rooms {
            room.subscribe();
            room.wait_subscribed(SOON).unwrap();
        }
        soketi.terminate();
        let cause = states.recv_timeout(SOON).unwrap().cause.unwrap();
        assert_eq!(cause.close_code(), Some(4200), "{cause:?}");
        soketi.restart();
        let gap = resumed.recv_timeout(3 * SOON).unwrap();
        assert!(gap.length() > Duration::ZERO);
        for (room, events) in rooms.iter().zip(&events) {
            room.wait_subscribed(SOON).unwrap();
            soketi.publish(room.name(), "event", "{}");
            events.recv_timeout(SOON).unwrap();
        }
    }
}

/// What the first attempt of a client ends with.
fn first_end(builder: ClientBuilder) -> (Client, StateChange) {
    let client = builder.build().unwrap();
    let states = client.bind_states();
    client.connect();
    loop {
        let change = states.recv_timeout(SOON).unwrap();
        if change.cause.is_some() {
            return (client, change);
        }
    }
}

#[test]
fn wrong_key_and_disabled_app_fail_permanently() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    for (key, code) in [("wrong", 4001), (DISABLED_KEY, 4003)] {
        let (client, change) = first_end(client(&soketi, key, false));
        assert_eq!(change.current, State::Failed);
        let error = client.wait_connected(SOON).unwrap_err();
        assert_eq!((error.kind(), error.close_code()), (ErrorKind::Server, Some(code)));
        assert!(!error.is_retryable());
    }
}

#[test]
fn app_over_its_quota_is_retried_until_there_is_room() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    let first = connect(client(&soketi, ONE_CONNECTION_KEY, false));
    let (second, change) = first_end(client(&soketi, ONE_CONNECTION_KEY, false));
    assert_eq!(change.current, State::Reconnecting);
    assert_eq!(change.cause.unwrap().close_code(), Some(4100));
    assert!(change.retry_in.unwrap() >= Duration::from_secs(1));
    first.close(SOON).unwrap();
    second.wait_connected(3 * SOON).unwrap();
}

#[test]
fn hundred_clients_each_receive_every_event() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let client = client(&soketi, soketi.key(), false).build().unwrap();
            let room = client.public_channel("room").unwrap();
            let events = room.bind("event");
            room.subscribe();
            client.connect();
            (client, room, events)
        })
        .collect();
    for (_, room, _) in &clients {
        room.wait_subscribed(3 * SOON).unwrap();
    }
    for number in 0..20 {
        soketi.publish("room", "event", &number.to_string());
    }
    for (_, _, events) in &clients {
        for number in 0..20 {
            assert_eq!(events.recv_timeout(SOON).unwrap().data(), number.to_string());
        }
    }
}
