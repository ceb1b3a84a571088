//! The cause of an error may be a value of the user's. Its destructor may use the client wherever the client drops
//! its last copy.

use std::sync::OnceLock;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::protocol::Backoff;
use crate::util::testing::Cause;

/// Fails each dial after two signals.
struct Failing {
    signals: Receiver<()>,
    client: &'static OnceLock<Client>,
    dropped: Sender<State>,
}

impl Connector for Failing {
    fn connect(&self, _: &str, _: std::time::Instant) -> Result<Box<dyn Connection>, Error> {
        let _ = self.signals.recv();
        let _ = self.signals.recv();
        let (client, dropped) = (self.client, self.dropped.clone());
        let report = move || _ = dropped.send(client.get().unwrap().state());
        Err(Error::new(ErrorKind::Io, Cause(report)))
    }
}

/// Connects a client that lives as long as the test's process, since nothing would end it if it were stuck.
fn failing(
    client: &'static OnceLock<Client>,
    queue: Queue,
) -> (&'static Client, Sender<()>, Receiver<State>) {
    let ((signal, signals), (dropped, states)) = (bounded(0), unbounded());
    let none = Duration::ZERO;
    let backoff = Backoff { initial: none, min: none, max: none, max_attempts: None };
    let connector = Arc::new(Failing { signals, client, dropped });
    let settings = Settings { queue, ..settings(connector, Policy::Backoff(backoff)) };
    let client = client.get_or_init(|| start(Options::url("ws://memory/app"), settings));
    client.connect();
    (client, signal, states)
}

#[test]
fn of_a_failure_that_the_next_one_replaces() {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let (client, signal, dropped) = failing(&CLIENT, Queue::default());
    for _ in 0..3 {
        signal.send_timeout((), 10 * AT_ONCE).unwrap();
        signal.send_timeout((), 10 * AT_ONCE).unwrap();
    }
    for _ in 0..2 {
        assert_ne!(dropped.recv_timeout(10 * AT_ONCE).unwrap(), State::Connected);
    }
    drop(signal);
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn of_a_failure_that_comes_too_late() {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let (client, signal, dropped) = failing(&CLIENT, Queue::default());
    signal.send_timeout((), 10 * AT_ONCE).unwrap();
    client.disconnect();
    signal.send_timeout((), 10 * AT_ONCE).unwrap();
    assert_eq!(dropped.recv_timeout(10 * AT_ONCE).unwrap(), State::Disconnected);
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn of_a_failure_that_a_full_queue_drops() {
    static CLIENTS: [OnceLock<Client>; 2] = [const { OnceLock::new() }; 2];
    for (client, queue) in CLIENTS.iter().zip([Queue::drop_oldest(1), Queue::drop_newest(1)]) {
        let (client, signal, dropped) = failing(client, queue);
        let states = client.bind_states();
        for _ in 0..3 {
            signal.send_timeout((), 10 * AT_ONCE).unwrap();
            signal.send_timeout((), 10 * AT_ONCE).unwrap();
        }
        dropped.recv_timeout(10 * AT_ONCE).unwrap();
        assert!(states.dropped() > 0);
        drop(signal);
        client.close(10 * AT_ONCE).unwrap();
    }
}
