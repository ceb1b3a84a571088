//! User code that gives the client more to do whenever it is called.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Sender, unbounded};
use pusher_channels::{Client, Connection, Connector, Error, Message, Options, State};

use super::room;
use crate::support::memory::Loopback;
use crate::support::{SOON, quick};

/// Every frame leads to another one, until it closes the client in the `close_at`th.
#[derive(Clone)]
struct Endless {
    client: Arc<OnceLock<Client>>,
    sent: Arc<AtomicU32>,
    close_at: u32,
    closed: Sender<u16>,
}

struct EndlessConnection {
    endless: Endless,
    loopback: Loopback,
}

impl Connector for Endless {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        let (endless, loopback) = (self.clone(), Loopback::established());
        Ok(Box::new(EndlessConnection { endless, loopback }))
    }
}

impl Connection for EndlessConnection {
    fn recv(&self) -> Result<Message, Error> {
        self.loopback.recv()
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        let client = self.endless.client.get().unwrap();
        let sent = self.endless.sent.fetch_add(1, Ordering::Relaxed) + 1;
        if sent == self.endless.close_at {
            // It cannot end from within; the time is for the timer thread, to be gone.
            client.close(Duration::from_millis(50)).unwrap_err();
        } else if sent % 2 == 0 {
            room(client).subscribe();
        } else {
            room(client).unsubscribe();
        }
        Ok(())
    }

    fn close(&self, code: u16) {
        let _ = self.endless.closed.send(code);
        self.loopback.close(code);
    }
}

#[test]
fn actions_are_carried_out_when_the_client_closes_in_one_of_them() {
    // A user's thread leaves the rest to the timer thread after some rounds, whichever they are.
    for close_at in 1..=8 {
        let (closed, codes) = unbounded();
        let (client, sent) = (Arc::default(), Arc::default());
        let endless = Endless { client, sent, close_at, closed };
        let handle = Arc::clone(&endless.client);
        let client = quick(Options::url("ws://own")).connector(endless).build().unwrap();
        handle.set(client.clone()).unwrap();
        client.connect();
        client.wait_connected(SOON).unwrap();
        room(&client).subscribe();
        assert_eq!(codes.recv_timeout(SOON), Ok(1000), "closed at {close_at}");
        client.close(SOON).unwrap();
        assert_eq!(client.state(), State::Disconnected);
    }
}
