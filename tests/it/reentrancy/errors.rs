//! The cause of an error may be the user's, and so is what happens when its last copy is dropped: here by a
//! full queue.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Sender, unbounded};
use pusher_channels::{
    Client, Connection, Connector, Error, ErrorKind, Options, Queue, Reconnect, State,
};

use crate::support::SOON;

static CLIENT: OnceLock<Client> = OnceLock::new();

struct Failing(Sender<State>);

#[derive(Debug)]
struct Cause(Sender<State>);

impl Connector for Failing {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        Err(Error::new(ErrorKind::Io, Cause(self.0.clone())))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl std::error::Error for Cause {}

impl Drop for Cause {
    fn drop(&mut self) {
        if let Some(client) = CLIENT.get() {
            client.network_changed();
            // The test may be over.
            let _ = self.0.send(client.state());
        }
    }
}

#[test]
fn error_dropped_by_a_full_queue_may_use_the_client() {
    let (sender, dropped) = unbounded();
    let fast = Duration::from_millis(1);
    let client = Client::builder(Options::host("name.example", "key"))
        .connector(Failing(sender))
        .reconnect(Reconnect::default().initial(fast).max(fast))
        .queue(Queue::drop_oldest(1))
        .build()
        .unwrap();
    let states = CLIENT.get_or_init(|| client).bind_states();
    CLIENT.get().unwrap().connect();
    for _ in 0..10 {
        assert_ne!(dropped.recv_timeout(SOON).unwrap(), State::Connected);
    }
    assert!(states.dropped() > 0);
    CLIENT.get().unwrap().close(SOON).unwrap();
}
