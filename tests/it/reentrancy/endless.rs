//! User's code that gives the client more to do whenever it is called.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, Sender, unbounded};
use pusher_channels::{Client, Connection, Connector, Error, ErrorKind, Message, Options, State};

use super::room;
use crate::support::{SOON, quick};

/// Every frame leads to another one, until it closes the client in the `close_at`th.
#[derive(Clone)]
struct Endless {
    client: Arc<OnceLock<Client>>,
    sent: Arc<AtomicU32>,
    close_at: u32,
    hung_up: Sender<u16>,
}

struct EndlessConnection {
    endless: Endless,
    to_self: Sender<Message>,
    received: Receiver<Message>,
}

impl Connector for Endless {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        let (to_self, received) = unbounded();
        let greeting =
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"9.9\"}"}"#;
        to_self.send(Message::Text(greeting.to_owned())).unwrap();
        Ok(Box::new(EndlessConnection { endless: self.clone(), to_self, received }))
    }
}

impl Connection for EndlessConnection {
    fn recv(&self) -> Result<Message, Error> {
        self.received.recv().map_err(|_| Error::new(ErrorKind::Closed, "closed"))
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
        let _ = self.endless.hung_up.send(code);
        let _ = self.to_self.send(Message::Close(Some(code), String::new()));
    }
}

#[test]
fn whoever_carries_actions_out_does_not_leave_them_when_the_client_closes() {
    // A user's thread leaves the rest to the timer thread after some rounds, whichever they are.
    for close_at in 1..=8 {
        let (hung_up, codes) = unbounded();
        let (client, sent) = (Arc::default(), Arc::default());
        let endless = Endless { client, sent, close_at, hung_up };
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
