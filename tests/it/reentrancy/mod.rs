//! Every method may be called from every place where the user's code runs inside the client, and every
//! last handle may be dropped there.

mod endless;
mod errors;
mod logging;
mod places;

use std::fmt::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pusher_channels::crossbeam_channel::{bounded, unbounded};
use pusher_channels::testing::Server;
use pusher_channels::{Client, ErrorKind, PublicChannel, Queue, SecretAuthorizer, State};
use serde_json::json;

use crate::support::{SOON, spawn};
use places::Place;

/// Long enough to begin waiting, on a thread that the awaited thing may need.
const BRIEFLY: Duration = Duration::from_millis(1);

fn secret(server: &Server) -> SecretAuthorizer {
    SecretAuthorizer::new(server.key(), server.secret()).member("7", &json!({"name": "Ann"}))
}

/// What may be called: on a client, which is at this server.
type Call = fn(&Client, &Server);

const CALLS: [(&str, Call); 26] = [
    ("connect", |client, _| client.connect()),
    ("disconnect", |client, _| client.disconnect()),
    ("reconnect", |client, _| client.reconnect()),
    ("network_changed", |client, _| client.network_changed()),
    ("switch", |client, server| {
        if let Err(error) = client.switch(server.options()) {
            assert_eq!(error.kind(), ErrorKind::Closed, "in a place that comes with the end");
        }
    }),
    ("close", close),
    ("signin", |client, _| client.signin()),
    ("signin_with", |client, server| client.signin_with(secret(server))),
    ("signout", |client, _| client.signout()),
    ("state", |client, _| _ = client.state()),
    ("stats", |client, _| _ = client.stats()),
    ("socket_id", |client, _| _ = client.socket_id()),
    ("debug", |client, _| {
        let room = client.presence_channel("presence-room").unwrap();
        write!(String::new(), "{client:?} {room:?} {:?}", client.user()).unwrap();
    }),
    ("ping", |client, _| _ = client.ping(BRIEFLY)),
    ("wait_connected", |client, _| _ = client.wait_connected(BRIEFLY)),
    ("wait_signed_in", |client, _| _ = client.wait_signed_in(BRIEFLY)),
    ("wait_subscribed", |client, _| _ = room(client).wait_subscribed(BRIEFLY)),
    ("bind", |client, _| {
        let queue = Queue::drop_oldest(1);
        drop((client.bind("event"), client.bind_with("event", queue), client.bind_all()));
        drop(client.bind_all_with(queue));
        drop((client.bind_states(), client.bind_connected(), client.bind_errors()));
    }),
    ("the user's", |client, _| {
        let user = client.user();
        drop((user.current(), user.bind("event"), user.bind_with("event", Queue::unbounded())));
        drop((user.bind_all(), user.bind_watchlist(), user.bind_signed_in()));
        drop((user.bind_signin_error(), user.bind_all_with(Queue::unbounded())));
    }),
    ("a channel's", |client, _| {
        let room = room(client);
        let state = (room.name(), room.status(), room.is_subscribed(), room.subscription_count());
        drop((state, room.bind("event"), room.bind_with("event", Queue::unbounded())));
        drop((room.bind_all(), room.bind_subscription_succeeded(), room.bind_subscription_error()));
        drop((room.bind_subscription_count(), room.bind_cache_miss(), room.bind_resumed()));
        drop(room.bind_all_with(Queue::unbounded()));
    }),
    ("by name", |client, _| {
        let presence = client.channel("presence-room").unwrap();
        _ = presence.trigger("client-a", "b");
        drop((presence, client.channels()));
    }),
    ("subscribe", |client, _| {
        room(client).subscribe();
        client.presence_channel("presence-room").unwrap().subscribe();
    }),
    ("unsubscribe", |client, _| {
        room(client).unsubscribe();
        client.private_channel("private-room").unwrap().unsubscribe();
    }),
    ("*_with", |client, server| {
        for subscribe in [false, true] {
            let private = client.private_channel_with("private-room", secret(server)).unwrap();
            let presence = client.presence_channel_with("presence-room", secret(server)).unwrap();
            if subscribe {
                private.subscribe();
                presence.subscribe();
            }
        }
        #[cfg(feature = "encrypted")]
        client.private_encrypted_channel_with("private-encrypted-a", secret(server)).unwrap();
    }),
    ("trigger", |client, _| {
        let private = client.private_channel("private-room").unwrap();
        let presence = client.presence_channel("presence-room").unwrap();
        // Whether they are subscribed depends on the place.
        _ = (private.trigger("client-a", "b"), presence.trigger("client-a", "b"));
    }),
    ("members", |client, _| {
        let presence = client.presence_channel("presence-room").unwrap();
        drop((presence.members(), presence.bind_member_added(), presence.bind_member_removed()));
    }),
];

fn room(client: &Client) -> PublicChannel {
    client.public_channel("room").unwrap()
}

/// Whether this is one of the client's own threads.
fn is_the_clients() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with("pusher-"))
}

fn close(client: &Client, _: &Server) {
    let closed = client.close(BRIEFLY);
    if is_the_clients() {
        // It cannot wait for itself.
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Deadlock);
    }
    assert_eq!(client.state(), State::Disconnected);
}

/// Makes the call in the place, and sees it return.
fn calls_return(place: &Place) {
    let server = Arc::new(Server::start().unwrap());
    for (name, call) in CALLS {
        let cell = format!("{name} in {}", place.name);
        println!("{cell}");
        let (hand_over, handed) = bounded::<Client>(1);
        let (called, returned) = unbounded();
        let at = Arc::clone(&server);
        let (client, go) = place.start(&server, move || {
            // The sender is dropped after one client, so this acts once.
            if let Ok(client) = handed.recv_timeout(SOON) {
                call(&client, &at);
                let _ = called.send(is_the_clients());
            }
        });
        hand_over.send(client.clone()).unwrap();
        drop(hand_over);
        go(&client);
        let on_own = returned.recv_timeout(SOON).unwrap_or_else(|error| panic!("{cell}: {error}"));
        // A user's thread may find that one of the client's is carrying out actions.
        assert!(on_own || !place.is_the_clients, "{cell}");
        client.close(SOON).unwrap_or_else(|error| panic!("after {cell}: {error}"));
    }
}

type Last = fn(Client) -> Box<dyn Send>;

/// Drops the last handle in the place, and sees the client end.
fn last_handles_drop(place: &Place) {
    let server = Server::start().unwrap();
    let lasts: [(&str, Last); 5] = [
        ("client", |client| Box::new(client)),
        ("channel", |client| Box::new(room(&client))),
        ("user", |client| Box::new(client.user())),
        // It is no handle: it outlives them.
        ("binding", |client| Box::new((client.bind_states(), client))),
        ("binding after the client", |client| Box::new((client.clone(), client.bind_all()))),
    ];
    for (name, last) in lasts {
        let cell = format!("the last {name} dropped in {}", place.name);
        println!("{cell}");
        let (hand_over, handed) = bounded::<Client>(1);
        let (dropped, returned) = unbounded();
        let (client, go) = place.start(&server, move || {
            if let Ok(client) = handed.recv_timeout(SOON) {
                drop(last(client));
                let _ = dropped.send(());
            }
        });
        let states = client.bind_states();
        go(&client);
        hand_over.send(client).unwrap();
        drop(hand_over);
        returned.recv_timeout(SOON).unwrap_or_else(|error| panic!("{cell}: {error}"));
        let ended = loop {
            if let Err(error) = states.recv_timeout(SOON) {
                break error;
            }
        };
        assert!(ended.is_disconnected(), "{cell}: the client lives on");
    }
}

macro_rules! places {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            // On a thread of its own, so that a deadlock ends the test and not only the client.
            let done = spawn(|| {
                let place = places::$name();
                calls_return(&place);
                if place.is_the_clients {
                    last_handles_drop(&place);
                }
            });
            done.recv_timeout(SOON * 2).expect("a cell fails or hangs: the last one that is named");
        }
    )*};
}

places!(
    authorizer,
    authorizer_of_many,
    authenticator,
    headers_closure,
    parser_closure,
    policy,
    resolver,
    connector,
    own_recv,
    own_send_on_the_reader,
    own_send_on_the_timer,
    own_send_on_a_users_thread,
    own_close_on_the_timer,
    own_close_on_a_users_thread,
    drop_of_own_connection,
    drop_of_an_authorizer,
    drop_of_an_authenticator,
    drop_of_options,
    interrupt,
);
