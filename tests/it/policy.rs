//! Code of the user's that the client runs, and what it may do there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use pusher_channels::testing::Server;
use pusher_channels::{
    Auth, AuthRequest, Authorizer, Client, Error, ErrorKind, Options, Reconnect, State,
};

use crate::support::{SOON, accept, alone, greet, linger, listen, quick, spawn};

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
        assert_eq!(error.kind(), ErrorKind::Deadlock, "{error}");
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
    let client = quick(options).build().unwrap();
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

/// Asks for a subscription and a new dial at the first frame that is sent, and panics at the second.
struct PanickingLogger {
    client: OnceLock<Client>,
    frames: AtomicU32,
}

impl Log for PanickingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let is_sent = record.args().to_string().starts_with("out ");
        let Some(client) = self.client.get().filter(|_| is_sent) else {
            return;
        };
        match self.frames.fetch_add(1, Ordering::SeqCst) {
            0 => {
                client.public_channel("room").unwrap().subscribe();
                client.reconnect();
            }
            1 => panic!("on purpose"),
            _ => {}
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_loses_no_dial() {
    alone("policy::a_logger_that_panics_loses_no_dial", || {
        static LOGGER: PanickingLogger =
            PanickingLogger { client: OnceLock::new(), frames: AtomicU32::new(0) };
        log::set_logger(&LOGGER).unwrap();
        log::set_max_level(LevelFilter::Trace);
        let server = Server::start().unwrap();
        let client = quick(server.options()).build().unwrap();
        LOGGER.client.set(client.clone()).unwrap();
        client.connect();
        let first = client.wait_connected(SOON).unwrap();
        assert!(client.ping(SOON).is_err());
        let second = client.wait_connected(SOON).unwrap();
        assert_ne!(first, second);
        client.close(SOON).unwrap();
    });
}

#[test]
fn an_authorizer_that_panics_when_it_is_interrupted_is_closed_like_any_other() {
    struct Uninterruptible;

    impl Authorizer for Uninterruptible {
        fn authorize(&self, _: &AuthRequest) -> Result<Auth, Error> {
            Err(Error::new(ErrorKind::Auth, "nobody is let in"))
        }

        fn interrupt(&self) {
            panic!("on purpose");
        }
    }

    let (listener, options) = listen();
    drop(listener);
    let client = quick(options).authorizer(Uninterruptible).build().unwrap();
    let states = client.bind_states();
    client.connect();
    client.close(SOON).unwrap();
    assert_eq!(states.iter().last().unwrap().current, State::Disconnected);
}
