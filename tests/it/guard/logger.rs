//! A logger that panics, as `println!` does when the standard output is closed.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use log::LevelFilter;
use pusher_channels::testing::Server;
use pusher_channels::{Auth, AuthRequest, Authorizer, Queue};

use super::*;
use crate::support::memory::{ESTABLISHED, MemoryConnector, text};
use crate::support::{SOON, alone, log_to, quick};

/// Whether the logger panics.
static BROKEN: AtomicBool = AtomicBool::new(true);
static LOST: AtomicU32 = AtomicU32::new(0);

fn install(level: LevelFilter) {
    log_to(level, |_| {
        // Not on the threads of the test and of the server.
        let thread = std::thread::current();
        let threads = ["pusher-reader", "pusher-timer", "pusher-auth", "pusher-actions"];
        let is_own = thread.name().is_some_and(|name| threads.contains(&name));
        if is_own && BROKEN.load(Ordering::SeqCst) {
            LOST.fetch_add(1, Ordering::SeqCst);
            panic!("failed printing to stdout: Broken pipe (os error 32)");
        }
    });
}

#[test]
fn panicking_logger_loses_only_its_lines() {
    alone(|| {
        install(LevelFilter::Debug);
        let server = Server::start().unwrap();
        let called = Arc::new(AtomicU32::new(0));
        let (count, signs) = (Arc::clone(&called), secret(&server));
        let authorizer = move |request: &AuthRequest| {
            count.fetch_add(1, Ordering::SeqCst);
            signs.authorize(request)
        };
        server.refuse(2);
        let client = quick(server.options()).authorizer(authorizer).build().unwrap();
        let room = client.private_channel("private-room").unwrap();
        let gaps = room.bind_resumed();
        room.subscribe();
        client.connect();
        // The authorizer is called for every connection, after failed dials too.
        for round in 1..4 {
            room.wait_subscribed(SOON).unwrap();
            assert_eq!(called.load(Ordering::SeqCst), round);
            server.refuse(1);
            server.drop_connections();
            gaps.recv_timeout(SOON).unwrap();
        }
        // The reader thread logs that a binding overflows.
        let (last, events) = (room.bind_with("event", Queue::drop_oldest(1)), room.bind("event"));
        for number in 0..3 {
            server.publish("private-room", "event", &number);
        }
        assert_eq!(events.iter().take(3).count(), 3);
        assert_eq!((last.dropped(), client.stats().connections), (2, 4));
        assert_eq!(client.state(), State::Connected);
        assert!(LOST.load(Ordering::SeqCst) > 10);
        client.close(SOON).unwrap();
    });
}

fn secret(server: &Server) -> pusher_channels::SecretAuthorizer {
    pusher_channels::SecretAuthorizer::new(server.key(), server.secret())
}

#[test]
fn panicking_logger_at_trace_loses_only_its_lines() {
    alone(|| {
        install(LevelFilter::Trace);
        let (dials, dialled) = unbounded();
        let connector = Arc::new(MemoryConnector(dials));
        let (called, calls) = unbounded();
        let authorizer = move |_: &AuthRequest| {
            called.send(()).unwrap();
            Ok(Auth::new("key:signature"))
        };
        let client = quick(Options::url("ws://memory/app")).connector(connector);
        let client = client.authorizer(authorizer).build().unwrap();
        let events = client.bind("event");
        // Both need an action in the same batch: a frame, which is logged, and an auth worker.
        client.public_channel("room").unwrap().subscribe();
        client.private_channel("private-room").unwrap().subscribe();
        client.connect();
        let far = dialled.recv_timeout(SOON).unwrap();
        far.to_client.send(text(ESTABLISHED)).unwrap();
        client.wait_connected(SOON).unwrap();
        far.to_client.send(text(r#"{"event":"event","channel":"room","data":""}"#)).unwrap();
        events.recv_timeout(SOON).unwrap();
        calls.recv_timeout(SOON).unwrap();
        assert_eq!(client.stats().connections, 1);
        assert!(LOST.load(Ordering::SeqCst) > 2);
        client.close(SOON).unwrap();
    });
}

#[test]
fn built_in_connection_recovers_from_a_panicking_logger() {
    alone(|| {
        // tungstenite logs each frame, in the middle of reading it.
        install(LevelFilter::Trace);
        let server = Server::start().unwrap();
        let client = quick(server.options()).build().unwrap();
        let states = client.bind_states();
        client.connect();
        let mut failed = 0;
        while failed < 3 {
            failed += u32::from(states.recv_timeout(SOON).unwrap().current == State::Reconnecting);
        }
        BROKEN.store(false, Ordering::SeqCst);
        client.wait_connected(SOON).unwrap();
        client.close(SOON).unwrap();
    });
}

#[test]
fn panicking_logger_at_a_frame_loses_no_dial() {
    alone(|| {
        static CLIENT: OnceLock<Client> = OnceLock::new();
        static FRAMES: AtomicU32 = AtomicU32::new(0);
        // Subscribes and reconnects at the first frame that is sent, and panics at the second.
        log_to(LevelFilter::Trace, |record| {
            let is_sent = record.args().to_string().starts_with("out ");
            let Some(client) = CLIENT.get().filter(|_| is_sent) else {
                return;
            };
            match FRAMES.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    client.public_channel("room").unwrap().subscribe();
                    client.reconnect();
                }
                1 => panic!("on purpose"),
                _ => {}
            }
        });
        let server = Server::start().unwrap();
        let client = quick(server.options()).build().unwrap();
        CLIENT.set(client.clone()).unwrap();
        client.connect();
        let first = client.wait_connected(SOON).unwrap();
        assert!(client.ping(SOON).is_err());
        let second = client.wait_connected(SOON).unwrap();
        assert_ne!(first, second);
        client.close(SOON).unwrap();
    });
}
