//! What happens while an authorization is under way.

use std::sync::Arc;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{ChannelStatus, Client, ErrorKind, PrivateChannel, State};

use super::{http, join, receives};
use crate::server_channels::signature;
use crate::support::{AT_ONCE, SOON, next, now, quick};

/// A client whose endpoint has a request for `private-room` and does not respond. It makes one
/// request at a time.
fn waiting(server: &Server) -> (Client, PrivateChannel) {
    server.delay_auth(Duration::from_secs(60));
    let client =
        quick(server.options()).authorizer(http(server)).max_authorizations(1).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    assert!(server.wait_for(SOON, |server| server.auth_count() == 1));
    assert_eq!(room.status(), ChannelStatus::Pending);
    (client, room)
}

fn frames_about(server: &Server, channel: &str) -> Vec<String> {
    server.recorded().into_iter().filter(|frame| frame.contains(channel)).collect()
}

#[test]
fn pending_authorization_does_not_delay_other_channels() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    let start = now();
    let public = client.public_channel("public").unwrap();
    join(&public);
    let numbers = public.bind("number");
    for number in 0..200 {
        server.publish("public", "number", &number);
        assert_eq!(next(&numbers).json::<u32>().unwrap(), number);
    }
    client.ping(SOON).unwrap();
    assert_eq!(room.status(), ChannelStatus::Pending);
    assert!(now() - start < SOON);
    server.delay_auth(Duration::ZERO);
    room.wait_subscribed(SOON).unwrap();
    receives(&server, &room);
}

#[test]
fn unsubscribe_during_authorization_is_immediate() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    room.unsubscribe();
    assert_eq!(room.status(), ChannelStatus::Unsubscribed);
    assert_eq!(room.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::NotSubscribed);
    server.delay_auth(Duration::ZERO);
    // Its request follows the first response.
    join(&client.private_channel("private-other").unwrap());
    assert_eq!(frames_about(&server, "private-room"), [""; 0]);
    join(&room);
    assert_eq!(frames_about(&server, "private-room").len(), 1);
}

#[test]
fn disconnect_during_authorization_is_immediate() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    let start = now();
    client.disconnect();
    assert_eq!(client.state(), State::Disconnected);
    assert_eq!(room.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::NotConnected);
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert!(now() - start < AT_ONCE);
    server.delay_auth(Duration::ZERO);
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    assert_eq!(frames_about(&server, "private-room").len(), 1);
}

#[test]
fn close_interrupts_the_authorization_request() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    let start = now();
    client.close(AT_ONCE).unwrap();
    assert!(now() - start < AT_ONCE);
    assert_eq!(room.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::Closed);
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert_eq!(frames_about(&server, "private-room"), [""; 0]);
}

#[test]
fn close_leaves_the_requests_of_another_client_that_shares_the_authorizer() {
    let server = Server::start().unwrap();
    server.delay_auth(Duration::from_secs(60));
    let shared = Arc::new(http(&server));
    let rooms: [_; 2] = std::array::from_fn(|index| {
        let client = quick(server.options()).authorizer(Arc::clone(&shared)).build().unwrap();
        client.connect();
        let room = client.private_channel("private-room").unwrap();
        room.subscribe();
        assert!(server.wait_for(SOON, |server| server.auth_count() == index + 1));
        (client, room)
    });
    let [(closed, _), (client, room)] = rooms;
    let errors = room.bind_subscription_error();
    closed.close(AT_ONCE).unwrap();
    server.delay_auth(Duration::ZERO);
    room.wait_subscribed(SOON).unwrap();
    assert_eq!((errors.len(), server.auth_count()), (0, 2), "it was interrupted and retried");
    client.close(AT_ONCE).unwrap();
}

#[test]
fn drop_during_authorization_ends_the_connection_immediately() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    let events = room.bind_all();
    let start = now();
    drop(client);
    drop(room);
    assert!(events.recv_timeout(SOON).is_err());
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert!(now() - start < AT_ONCE);
    assert_eq!(frames_about(&server, "private-room"), [""; 0]);
}

#[test]
fn signature_for_a_lost_connection_is_never_sent() {
    let server = Server::start().unwrap();
    let (client, room) = waiting(&server);
    let old = client.socket_id().unwrap();
    let connections = client.bind_connected();
    server.drop_connections();
    let new = next(&connections);
    assert_ne!(old, new);
    // The first response precedes the second request.
    server.delay_auth(Duration::ZERO);
    room.wait_subscribed(SOON).unwrap();
    let sign = |socket_id: &str| signature(server.secret(), &format!("{socket_id}:private-room"));
    let frames = frames_about(&server, "private-room");
    assert_eq!(frames.len(), 1);
    assert!(frames[0].contains(&sign(&new)) && !frames[0].contains(&sign(&old)));
    let requests = server.auth_requests();
    let requested: Vec<_> = requests.iter().filter_map(|request| request.socket_id()).collect();
    assert_eq!(requested, [old, new]);
    receives(&server, &room);
}
