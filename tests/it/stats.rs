//! The client's statistics.

use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{AuthRequest, Error, ErrorKind, Queue, State};

use crate::support::{SOON, quick};

#[test]
fn stats_count_frames_events_dials_and_requests() {
    let server = Server::start().unwrap();
    let refuses = |_: &AuthRequest| Err(Error::new(ErrorKind::Auth, "not you"));
    let client = quick(server.options()).authorizer(refuses).build().unwrap();
    let fresh = client.stats();
    assert_eq!((fresh.state, fresh.state_for), (State::Initialized, Duration::ZERO));
    assert_eq!((fresh.dials, fresh.frames_in, fresh.bytes_out, fresh.last_ping), (0, 0, 0, None));

    let room = client.public_channel("room").unwrap();
    let few = room.bind_with("event", Queue::drop_newest(3));
    let newest = room.bind_with("event", Queue::drop_oldest(3));
    let all = room.bind("event");
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    let idle = client.stats();
    assert!(idle.state_for > Duration::ZERO && idle.state_for < SOON);
    assert_eq!(
        (idle.state, idle.dials, idle.connections, idle.attempt),
        (State::Connected, 1, 1, 0)
    );
    // In: `connection_established` and the confirmation. Out: the subscription.
    let subscribe = server.recorded().concat();
    assert_eq!((idle.frames_in, idle.frames_out), (2, 1));
    assert_eq!(idle.bytes_out, subscribe.len() as u64);

    for number in 0..10 {
        server.publish("room", "event", &number);
    }
    for _ in 0..10 {
        all.recv_timeout(SOON).unwrap();
    }
    let frame = r#"{"event":"event","channel":"room","data":"0"}"#;
    let busy = client.stats();
    assert_eq!(busy.frames_in - idle.frames_in, 10);
    assert_eq!(busy.bytes_in - idle.bytes_in, 10 * frame.len() as u64);
    assert_eq!(busy.events_delivered - idle.events_delivered, 3 + 10 + 10);
    assert_eq!(busy.events_dropped, few.dropped() + newest.dropped());
    assert_eq!(busy.events_dropped, 7 + 7);

    let took = client.ping(SOON).unwrap();
    assert_eq!(client.stats().last_ping, Some(took));
    let refused = client.private_channel("private-room").unwrap();
    refused.subscribe();
    refused.wait_subscribed(SOON).unwrap_err();
    assert_eq!((client.stats().auth_requests, client.stats().auth_failures), (1, 1));

    server.refuse(1);
    server.drop_connections();
    assert!(server.wait_for(SOON, |server| server.subscribers("room") == 1));
    room.wait_subscribed(SOON).unwrap();
    let back = client.stats();
    assert_eq!((back.dials, back.connections, back.attempt), (3, 2, 2));
    assert!(back.frames_in > busy.frames_in);
    client.close(SOON).unwrap();
    assert_eq!(client.stats().state, State::Disconnected);
    assert_eq!(client.stats().dials, 3);
}
