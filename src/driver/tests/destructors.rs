//! The cause of an error may be the user's. Where the client lets go of its last copy, its destructor may use the
//! client like any code of theirs.

use std::fmt;
use std::sync::OnceLock;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::protocol::Backoff;
use crate::{Connection, Error, ErrorKind};

/// Fails each dial after two signals.
struct Failing {
    told: Receiver<()>,
    client: &'static OnceLock<Client>,
    dropped: Sender<State>,
}

#[derive(Debug)]
struct Cause(&'static OnceLock<Client>, Sender<State>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl std::error::Error for Cause {}

impl Drop for Cause {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.get().unwrap().state());
    }
}

impl Connector for Failing {
    fn connect(&self, _: &str, _: std::time::Instant) -> Result<Box<dyn Connection>, Error> {
        let _ = self.told.recv();
        let _ = self.told.recv();
        Err(Error::new(ErrorKind::Io, Cause(self.client, self.dropped.clone())))
    }
}

/// Connects a client that lives as long as the test's process, since nothing would end it if it were stuck.
fn failing(
    client: &'static OnceLock<Client>,
    queue: Queue,
) -> (&'static Client, Sender<()>, Receiver<State>) {
    let ((tell, told), (dropped, states)) = (bounded(0), unbounded());
    let none = Duration::ZERO;
    let backoff = Backoff { initial: none, min: none, max: none, max_attempts: None };
    let connector = Arc::new(Failing { told, client, dropped });
    let settings = Settings { queue, ..settings(connector, Policy::Backoff(backoff)) };
    let client = client.get_or_init(|| start(Options::url("ws://memory/app"), settings));
    client.connect();
    (client, tell, states)
}

#[test]
fn that_of_a_failure_which_the_next_one_replaces() {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let (client, tell, dropped) = failing(&CLIENT, Queue::default());
    for _ in 0..3 {
        tell.send_timeout((), 10 * AT_ONCE).unwrap();
        tell.send_timeout((), 10 * AT_ONCE).unwrap();
    }
    for _ in 0..2 {
        assert_ne!(dropped.recv_timeout(10 * AT_ONCE).unwrap(), State::Connected);
    }
    drop(tell);
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn that_of_a_failure_which_comes_too_late() {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let (client, tell, dropped) = failing(&CLIENT, Queue::default());
    tell.send_timeout((), 10 * AT_ONCE).unwrap();
    client.disconnect();
    tell.send_timeout((), 10 * AT_ONCE).unwrap();
    assert_eq!(dropped.recv_timeout(10 * AT_ONCE).unwrap(), State::Disconnected);
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn that_of_a_failure_which_has_no_room_in_a_queue() {
    static CLIENTS: [OnceLock<Client>; 2] = [const { OnceLock::new() }; 2];
    for (client, queue) in CLIENTS.iter().zip([Queue::drop_oldest(1), Queue::drop_newest(1)]) {
        let (client, tell, dropped) = failing(client, queue);
        let states = client.bind_states();
        for _ in 0..3 {
            tell.send_timeout((), 10 * AT_ONCE).unwrap();
            tell.send_timeout((), 10 * AT_ONCE).unwrap();
        }
        dropped.recv_timeout(10 * AT_ONCE).unwrap();
        assert!(states.dropped() > 0);
        drop(tell);
        client.close(10 * AT_ONCE).unwrap();
    }
}
