//! Client events that wait for a connection.

use pusher_channels::testing::Server;
use pusher_channels::{ErrorKind, Outbox, SecretAuthorizer, State};

use crate::support::{SOON, next, quick};

#[test]
fn what_is_triggered_without_a_connection_arrives_in_order_after_it() {
    let server = Server::start().unwrap();
    let authorizer = || SecretAuthorizer::new(server.key(), server.secret());
    let client =
        quick(server.options()).authorizer(authorizer()).outbox(Outbox::new(3)).build().unwrap();
    let bare = quick(server.options()).authorizer(authorizer()).build().unwrap();
    let states = client.bind_states();
    let room = client.private_channel("private-room").unwrap();
    assert_eq!(room.trigger("client-a", &0).unwrap_err().kind(), ErrorKind::NotConnected);
    room.subscribe();
    room.trigger("client-a", &1).unwrap();
    let bare_room = bare.private_channel("private-room").unwrap();
    bare_room.subscribe();
    assert_eq!(bare_room.trigger("client-a", &0).unwrap_err().kind(), ErrorKind::NotConnected);
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    room.trigger("client-a", &2).unwrap();

    let received = |server: &Server| -> Vec<String> {
        let is_event = |frame: &String| frame.contains("client-a");
        server.recorded().into_iter().filter(is_event).collect()
    };
    assert!(server.wait_for(SOON, |server| received(server).len() == 2));

    server.refuse(usize::MAX);
    server.drop_connections();
    while next(&states).current != State::Reconnecting {}
    for number in 3..7 {
        room.trigger("client-a", &number).unwrap();
    }
    let stats = client.stats();
    assert_eq!((stats.outbox, stats.outbox_dropped), (3, 1));
    server.refuse(0);

    assert!(server.wait_for(SOON, |server| received(server).len() == 5));
    let expected = [1, 2, 4, 5, 6].map(|number| {
        format!(r#"{{"event":"client-a","channel":"private-room","data":{number}}}"#)
    });
    assert_eq!(received(&server), expected);
    let stats = client.stats();
    assert_eq!((stats.outbox, stats.outbox_dropped), (0, 1));

    room.unsubscribe();
    assert_eq!(room.trigger("client-a", &7).unwrap_err().kind(), ErrorKind::NotSubscribed);
    client.close(SOON).unwrap();
    assert_eq!(client.stats().outbox, 0);
}

#[test]
fn an_outbox_that_could_keep_nothing_is_refused() {
    let server = Server::start().unwrap();
    for (outbox, name) in [
        (Outbox::new(1).max_bytes(0), "`Outbox::max_bytes`"),
        (Outbox::new(1).max_age(std::time::Duration::ZERO), "`Outbox::max_age`"),
    ] {
        let error = quick(server.options()).outbox(outbox).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("{name} must be greater than zero"));
    }
}
