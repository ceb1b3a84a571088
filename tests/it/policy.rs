//! Code of the user's that the client runs, and what it may do there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pusher_channels::{Client, ErrorKind, Options, Reconnect, State};

use crate::support::{SOON, accept, greet, linger, listen, spawn};

type Shared = Arc<OnceLock<Client>>;

/// A client whose policy runs `act` with the client itself, against a port that refuses.
fn acting(
    act: impl Fn(&Client) -> Option<Duration> + Send + Sync + 'static,
) -> (Client, mpsc::Receiver<()>) {
    let client_for_policy = Shared::default();
    let (done, wait) = mpsc::channel();
    let handle = Arc::clone(&client_for_policy);
    let policy = Reconnect::with(move |_| {
        let decision = handle.get().and_then(&act);
        // The test may be over.
        let _ = done.send(());
        decision
    });
    let client = Client::builder(refusing()).reconnect(policy).build().unwrap();
    client_for_policy.set(client.clone()).unwrap();
    client.connect();
    (client, wait)
}

fn refusing() -> Options {
    let (listener, options) = listen();
    drop(listener);
    options
}

#[test]
fn a_policy_may_call_every_method() {
    let (client, done) = acting(|client| {
        assert_eq!(client.state(), State::Reconnecting);
        let room = client.public_channel("room").unwrap();
        let _events = room.bind_all();
        room.subscribe();
        room.unsubscribe();
        client.network_changed();
        client.connect();
        assert!(client.ping(Duration::ZERO).is_err());
        assert!(client.wait_connected(Duration::ZERO).unwrap_err().is_timeout());
        assert!(room.wait_subscribed(Duration::ZERO).is_err());
        let error = client.close(SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        None
    });
    done.recv_timeout(SOON).unwrap();
    client.close(SOON).unwrap();
    assert_eq!(client.state(), State::Disconnected);
}

#[test]
fn what_a_policy_decides_after_a_disconnect_does_nothing() {
    let (client, done) = acting(|client| {
        client.disconnect();
        Some(Duration::ZERO)
    });
    let states = client.bind_states();
    done.recv_timeout(SOON).unwrap();
    client.close(SOON).unwrap();
    assert!(states.iter().all(|change| change.current != State::Connecting));
}

#[test]
fn a_policy_sees_the_attempt_and_the_error_and_may_give_up() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let policy = Reconnect::with(move |attempt| {
        log.lock().unwrap().push((attempt.number(), attempt.error().unwrap().kind()));
        (attempt.number() < 3).then_some(Duration::ZERO)
    });
    let client = Client::builder(refusing()).reconnect(policy).build().unwrap();
    client.connect();
    let error = client.wait_connected(SOON).unwrap_err();
    assert_eq!((client.state(), error.kind()), (State::Failed, ErrorKind::Io));
    let io = ErrorKind::Io;
    assert_eq!(*seen.lock().unwrap(), [(1, io), (2, io), (3, io)]);
}

#[test]
fn a_policy_that_panics_leaves_the_decision_to_the_default() {
    let policy = Reconnect::with(|_| panic!("on purpose"));
    let client = Client::builder(refusing()).reconnect(policy).build().unwrap();
    let states = client.bind_states();
    client.connect();
    let change = loop {
        let change = states.recv_timeout(SOON).unwrap();
        if change.retry_in.is_some() {
            break change;
        }
    };
    assert_eq!(change.current, State::Reconnecting);
    client.close(SOON).unwrap();
}

#[test]
fn a_resolver_is_asked_for_every_dial_and_may_fail() {
    let (listener, _) = listen();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let options = Options::custom(move |metadata| {
        assert_eq!(metadata.protocol, 7);
        match count.fetch_add(1, Ordering::Relaxed) + 1 {
            1 => "no URL".to_owned(),
            2 => panic!("on purpose"),
            _ => format!("ws://127.0.0.1:{port}/app/key"),
        }
    });
    let client = crate::support::quick(options).build().unwrap();
    let states = client.bind_states();
    let ended = spawn(move || {
        let mut socket = accept(&listener);
        greet(&mut socket);
        linger(socket)
    });
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.close(SOON).unwrap();
    assert_eq!(ended.recv_timeout(SOON).unwrap(), Some(1000));
    let causes: Vec<_> =
        states.try_iter().filter_map(|change| change.cause).map(|cause| cause.kind()).collect();
    assert_eq!(causes, [ErrorKind::Config, ErrorKind::Config]);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
