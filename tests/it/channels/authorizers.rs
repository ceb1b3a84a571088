//! Authorizers of every kind, well-behaved or not.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{
    Auth, AuthRequest, Authorizer, Channel, ChannelStatus, Client, Error, ErrorKind, State,
    UserAuthRequest,
};

use super::{connected, fails, join, receives, secret};
use crate::support::{SOON, next, quick, refusing};

#[test]
fn authorizer_panic_fails_its_channel_only() {
    let server = Server::start().unwrap();
    let signs = secret(&server);
    let client = connected(&server, move |request: &AuthRequest| match request.channel() {
        "private-panic" => panic!("as the test wants it"),
        _ => signs.authorize(request),
    });
    let wrong = client.private_channel("private-panic").unwrap();
    let failures = wrong.bind_subscription_error();
    for _ in 0..10 {
        wrong.subscribe();
        let error = fails(&wrong);
        assert!(format!("{error:#}").contains("the authorizer panicked"), "{error:#}");
        assert_eq!((error.kind(), next(&failures).kind()), (ErrorKind::Auth, ErrorKind::Auth));
    }
    let right = client.private_channel("private-right").unwrap();
    join(&right);
    receives(&server, &right);
    assert_eq!((client.state(), server.dials()), (State::Connected, 1));
    client.close(SOON).unwrap();
}

#[test]
fn missing_authorizer_says_what_to_do() {
    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    client.connect();
    let channels: [Box<dyn Channel>; 2] = [
        Box::new(client.private_channel("private-room").unwrap()),
        Box::new(client.presence_channel("presence-room").unwrap()),
    ];
    for channel in channels {
        channel.subscribe();
        let error = fails(&*channel);
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        let said = ["ClientBuilder::authorizer", "private_channel_with"];
        assert!(said.iter().all(|said| text.contains(said)), "{text}");
    }
    let public = client.public_channel("public").unwrap();
    join(&public);
    receives(&server, &public);
}

#[test]
fn new_authorizer_replaces_the_old_one_and_retries() {
    let server = Server::start().unwrap();
    let refuses = |_: &AuthRequest| Err(Error::new(ErrorKind::Auth, "not you"));
    let client = connected(&server, refuses);
    let room = client.private_channel("private-room").unwrap();
    let other = client.private_channel("private-other").unwrap();
    for channel in [&room, &other] {
        channel.subscribe();
        assert!(fails(channel).to_string().contains("not you"));
    }
    let again = client.private_channel_with("private-room", secret(&server)).unwrap();
    room.wait_subscribed(SOON).unwrap();
    receives(&server, &again);
    // It stays for later authorizations of that channel.
    server.drop_connections();
    let resumed = room.bind_resumed();
    if !room.is_subscribed() {
        room.wait_subscribed(SOON).unwrap();
    } else {
        next(&resumed);
    }
    receives(&server, &room);
    other.subscribe();
    fails(&other);
}

#[test]
fn closures_arcs_and_boxes_are_authorizers() {
    let server = Server::start().unwrap();
    let signs = secret(&server);
    let by_closure = move |request: &AuthRequest| signs.authorize(request);
    let shared: Arc<dyn Authorizer> = Arc::new(secret(&server));
    let boxed: Box<dyn Authorizer> = Box::new(secret(&server));
    let boxed_with_bounds: Box<dyn Authorizer + Send + Sync> = Box::new(secret(&server));
    let client = connected(&server, Arc::clone(&shared));
    let rooms = [
        client.private_channel("private-default").unwrap(),
        client.private_channel_with("private-closure", by_closure).unwrap(),
        client.private_channel_with("private-shared", shared).unwrap(),
        client.private_channel_with("private-boxed", boxed).unwrap(),
        client.private_channel_with("private-boxed-2", boxed_with_bounds).unwrap(),
        client.private_channel_with("private-typed", Arc::new(secret(&server))).unwrap(),
    ];
    for room in rooms {
        join(&room);
        receives(&server, &room);
    }
}

/// It is called for one channel after the other, on a thread of the client.
#[test]
fn authorizer_may_call_the_client() {
    let server = Server::start().unwrap();
    let signs = secret(&server);
    let slot: Arc<OnceLock<Client>> = Arc::default();
    let seen: Arc<Mutex<Vec<State>>> = Arc::default();
    let authorizer = {
        let (slot, seen) = (Arc::clone(&slot), Arc::clone(&seen));
        move |request: &AuthRequest| {
            let client = slot.get().unwrap();
            seen.lock().unwrap().push(client.state());
            match request.channel() {
                "private-first" => {
                    assert_eq!(client.socket_id().as_deref(), Some(request.socket_id()));
                    client.private_channel("private-second")?.subscribe();
                    client.public_channel("public")?.subscribe();
                }
                "private-last" => {
                    client.private_channel("private-first")?.unsubscribe();
                    client.disconnect();
                }
                "private-closes" => {
                    // It cannot wait for itself.
                    let closed = client.close(SOON);
                    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Deadlock);
                }
                _ => {}
            }
            signs.authorize(request)
        }
    };
    let client = quick(server.options()).authorizer(authorizer).build().unwrap();
    slot.set(client.clone()).unwrap();
    client.connect();
    join(&client.private_channel("private-first").unwrap());
    client.private_channel("private-second").unwrap().wait_subscribed(SOON).unwrap();
    let public = client.public_channel("public").unwrap();
    public.wait_subscribed(SOON).unwrap();
    receives(&server, &public);
    let last = client.private_channel("private-last").unwrap();
    last.subscribe();
    assert_eq!(last.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::NotConnected);
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert!(seen.lock().unwrap().iter().all(|state| *state == State::Connected));

    last.unsubscribe();
    client.connect();
    let closes = client.private_channel("private-closes").unwrap();
    closes.subscribe();
    assert_eq!(closes.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::Closed);
    client.close(SOON).unwrap();
}

/// An authorizer that does not return delays its channel only: its thread is replaced.
#[test]
fn hanging_authorizer_does_not_delay_the_others() {
    let server = Server::start().unwrap();
    let signs = secret(&server);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let client = quick(server.options())
        .authorizer(move |request: &AuthRequest| {
            if request.channel() == "private-hangs" {
                let _ = held.lock().unwrap().recv();
            }
            signs.authorize(request)
        })
        .max_authorizations(1)
        .subscribe_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let hangs = client.private_channel("private-hangs").unwrap();
    let waits = client.private_channel("private-waits").unwrap();
    hangs.subscribe();
    waits.subscribe();
    assert!(fails(&hangs).is_timeout());
    waits.wait_subscribed(SOON).unwrap();
    receives(&server, &waits);
    // What the threads were counted as is right: one is started for another request.
    join(&client.private_channel("private-later").unwrap());
    assert_eq!(hangs.status(), ChannelStatus::Failed, "the late response is not awaited");
    drop(release);
    client.close(SOON).unwrap();
}

/// The same for a request about a connection that is gone.
#[test]
fn authorizer_that_hangs_since_the_last_connection_can_be_replaced() {
    let server = Server::start().unwrap();
    let signs = secret(&server);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (called, first) = std::sync::mpsc::channel();
    let held = Mutex::new(Some(held));
    let client = quick(server.options())
        .authorizer(move |request: &AuthRequest| {
            let hangs = held.lock().unwrap().take();
            if let Some(held) = hangs {
                called.send(()).unwrap();
                let _ = held.recv();
            }
            signs.authorize(request)
        })
        .max_authorizations(1)
        .subscribe_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    client.connect();
    first.recv_timeout(SOON).unwrap();
    server.drop_connections();
    // The request about the new connection waits for the thread, and then for another one.
    room.wait_subscribed(SOON).unwrap();
    assert_eq!(server.dials(), 2);
    drop(release);
    client.close(SOON).unwrap();
}

/// An authorizer that holds a client, and so itself, is let go of when the client is closed.
#[test]
fn close_drops_the_authorizers() {
    let server = Server::start().unwrap();
    let place: Arc<OnceLock<Client>> = Arc::default();
    let held = Arc::downgrade(&place);
    let refused = |_: &OnceLock<Client>| Error::new(ErrorKind::Auth, "refused");
    let (of_channels, of_users) = (Arc::clone(&place), Arc::clone(&place));
    let client = quick(server.options())
        .authorizer(move |_: &AuthRequest| Err(refused(&of_channels)))
        .user_authenticator(move |_: &UserAuthRequest| Err(refused(&of_users)))
        .build()
        .unwrap();
    place.set(client.clone()).unwrap();
    drop(place);
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.close(SOON).unwrap();
    assert!(held.upgrade().is_none(), "an authorizer is still there");
}

#[test]
fn authorizer_that_panics_in_interrupt_does_not_stop_close() {
    struct Uninterruptible;

    impl Authorizer for Uninterruptible {
        fn authorize(&self, _: &AuthRequest) -> Result<Auth, Error> {
            Err(Error::new(ErrorKind::Auth, "refused"))
        }

        fn interrupt(&self) {
            panic!("on purpose");
        }
    }

    let client = quick(refusing()).authorizer(Uninterruptible).build().unwrap();
    let states = client.bind_states();
    client.connect();
    client.close(SOON).unwrap();
    assert_eq!(states.iter().last().unwrap().current, State::Disconnected);
}
