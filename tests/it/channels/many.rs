//! Hundreds of channels at once, with default limits.

use pusher_channels::testing::Server;
use pusher_channels::{Client, SecretAuthorizer, State};

use crate::support::{SOON, quick};

const MANY: usize = 1_000;

#[test]
fn thousand_public_channels_subscribe_and_receive() {
    let server = Server::start().unwrap();
    let client = Client::new(server.options()).unwrap();
    let channels: Vec<_> = (0..MANY)
        .map(|number| client.public_channel(&format!("channel-{number}")).unwrap())
        .collect();
    let bindings: Vec<_> = channels.iter().map(|channel| channel.bind("event")).collect();
    // Half of them before the connection is there, half on it.
    let (before, after) = channels.split_at(MANY / 2);
    for channel in before {
        channel.subscribe();
    }
    client.connect();
    client.wait_connected(SOON).unwrap();
    for channel in after {
        channel.subscribe();
    }
    for round in 0..2 {
        for channel in &channels {
            channel.wait_subscribed(SOON).unwrap();
        }
        for (number, channel) in channels.iter().enumerate() {
            assert_eq!(server.publish(channel.name(), "event", &number), 1);
        }
        for (number, binding) in bindings.iter().enumerate() {
            let event = binding.recv_timeout(SOON).unwrap();
            assert_eq!(event.data(), number.to_string());
            assert_eq!((binding.len(), binding.dropped()), (0, 0));
        }
        if round == 0 {
            server.drop_connections();
            assert!(server.wait_for(SOON, |server| server.dials() == 2));
            client.wait_connected(SOON).unwrap();
        }
    }
    let subscribes = server.recorded().iter().filter(|f| f.contains("pusher:subscribe")).count();
    assert_eq!(subscribes, 2 * MANY, "one for each channel and connection");
    assert_eq!((client.state(), client.stats().events_dropped), (State::Connected, 0));
}

#[test]
fn hundreds_of_private_channels_subscribe_concurrently() {
    let server = Server::start().unwrap();
    let signs = SecretAuthorizer::new(server.key(), server.secret());
    let client = quick(server.options()).authorizer(signs).build().unwrap();
    client.connect();
    let channels: Vec<_> = (0..300)
        .map(|number| client.private_channel(&format!("private-{number}")).unwrap())
        .collect();
    for channel in &channels {
        channel.subscribe();
    }
    for channel in &channels {
        channel.wait_subscribed(SOON).unwrap();
    }
    assert_eq!(client.stats().auth_requests, 300);
    assert_eq!(client.stats().auth_failures, 0);
}
