//! Reconnect policies of the user's own.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pusher_channels::{Client, ErrorKind, Reconnect, State};

use crate::support::{SOON, refusing};

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

#[test]
fn policy_may_call_every_method() {
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
        assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}");
        None
    });
    done.recv_timeout(SOON).unwrap();
    client.close(SOON).unwrap();
    assert_eq!(client.state(), State::Disconnected);
}

#[test]
fn decision_after_a_disconnect_is_ignored() {
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
fn policy_sees_the_attempt_and_the_error_and_may_give_up() {
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
fn panicking_policy_is_replaced_by_the_default() {
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
