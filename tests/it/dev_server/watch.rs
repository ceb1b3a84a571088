//! What a program sees of what happens on the server.

use pusher_channels::testing::{Activity, Server};
use pusher_channels::{Client, SecretAuthorizer};

use crate::support::SOON;

#[test]
fn watcher_sees_connections_subscriptions_and_events_in_order() {
    let server = Server::start().unwrap();
    let activity = server.watch();
    let next = || activity.recv_timeout(SOON).unwrap();
    let signer = SecretAuthorizer::new(server.key(), server.secret());
    let client = Client::builder(server.options()).authorizer(signer).build().unwrap();
    let chat = client.channel("private-chat").unwrap();
    chat.subscribe();
    client.connect();
    chat.wait_subscribed(SOON).unwrap();
    let id = client.socket_id().unwrap();
    let is = |one: &String| *one == id;
    assert!(matches!(next(), Activity::Connected { socket_id, .. } if is(&socket_id)));
    assert!(matches!(next(), Activity::Subscribed { socket_id, channel, .. }
        if is(&socket_id) && channel == "private-chat"));

    server.publish("private-chat", "message", "hello");
    let Activity::Published { channel, event, data, receivers, .. } = next() else {
        panic!("not published");
    };
    assert_eq!((&*channel, &*event, &*data, receivers), ("private-chat", "message", "hello", 1));

    chat.trigger("client-x", &[1]).unwrap();
    let Activity::ClientEvent { socket_id, channel, event, data, .. } = next() else {
        panic!("no client event");
    };
    assert_eq!((&*channel, &*event, &*data), ("private-chat", "client-x", "[1]"));
    assert!(is(&socket_id));

    chat.unsubscribe();
    assert!(matches!(next(), Activity::Unsubscribed { socket_id, channel, .. }
        if is(&socket_id) && channel == "private-chat"));
    client.close(SOON).unwrap();
    assert!(matches!(next(), Activity::Disconnected { socket_id, .. } if is(&socket_id)));

    let second = server.watch();
    assert!(activity.recv_timeout(SOON).is_err(), "the first is disconnected");
    drop(server);
    assert!(second.recv_timeout(SOON).is_err(), "disconnected with the server");
}
