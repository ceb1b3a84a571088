//! User code that panics or does not return costs that call only.

mod logger;
mod stuck;
mod stuck_logger;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, Sender, unbounded};
use pusher_channels::{
    Client, Connection, Connector, Error, ErrorKind, Interrupt, Message, Options, State,
};

use crate::support::memory::Loopback;
use crate::support::{SOON, quick};

/// What the methods of a custom connection do beside their work.
#[derive(Clone)]
struct Faults {
    dial: fn(u32, &Interrupt) -> Result<(), Error>,
    send: fn(&Line),
    close: fn(&Line),
    drop: fn(u32),
}

impl Default for Faults {
    fn default() -> Self {
        Self { dial: |_, _| Ok(()), send: |_| {}, close: |_| {}, drop: |_| {} }
    }
}

/// Establishes connections that receive nothing more.
#[derive(Clone)]
struct Own {
    faults: Faults,
    dials: Arc<AtomicU32>,
}

struct Line {
    /// The number of its dial, from 1.
    number: u32,
    faults: Faults,
    loopback: Loopback,
    /// Dropped by `close`, which ends [`wait_for_close`](Self::wait_for_close).
    open: Mutex<Option<Sender<()>>>,
    closed: Receiver<()>,
}

impl Connector for Own {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        unreachable!("the client calls the other one")
    }

    fn connect_interruptibly(
        &self,
        _: &str,
        _: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        let number = self.dials.fetch_add(1, Ordering::SeqCst) + 1;
        (self.faults.dial)(number, interrupt)?;
        let ((open, closed), loopback) = (unbounded(), Loopback::established());
        let open = Mutex::new(Some(open));
        Ok(Box::new(Line { number, faults: self.faults.clone(), loopback, open, closed }))
    }
}

impl Line {
    fn wait_for_close(&self) {
        assert!(self.closed.recv_timeout(SOON).is_err());
    }
}

impl Connection for Line {
    fn recv(&self) -> Result<Message, Error> {
        self.loopback.recv()
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        (self.faults.send)(self);
        Ok(())
    }

    fn close(&self, code: u16) {
        self.open.lock().unwrap().take();
        self.loopback.close(code);
        (self.faults.close)(self);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        (self.faults.drop)(self.number);
    }
}

fn own(faults: Faults) -> (pusher_channels::ClientBuilder, Arc<AtomicU32>) {
    let dials = Arc::new(AtomicU32::new(0));
    let connector = Own { faults, dials: Arc::clone(&dials) };
    (quick(Options::url("own://line")).connector(connector), dials)
}

/// Waits until the client is connected by this dial or a later one.
fn connects_again(client: &Client, dials: &AtomicU32, dial: u32) {
    let ids = client.bind_connected();
    while client.state() != State::Connected || dials.load(Ordering::SeqCst) < dial {
        ids.recv_timeout(SOON).unwrap_or_else(|_| panic!("no dial {dial}: {:?}", client.state()));
    }
}

#[test]
fn panicking_interrupt_on_the_timer_thread_loses_no_dial() {
    let (client, dials) = own(Faults {
        dial: |number, interrupt| {
            if number > 2 {
                return Ok(());
            }
            let (wake, interrupted) = unbounded();
            interrupt.on_interrupt(move || {
                let _ = wake.send(());
                panic!("on purpose");
            });
            interrupted.recv_timeout(SOON).unwrap();
            Err(Error::new(ErrorKind::Closed, "interrupted"))
        },
        ..Faults::default()
    });
    // Two dials are given up by the clock.
    let client = client.connect_timeout(Duration::from_millis(20)).build().unwrap();
    client.connect();
    connects_again(&client, &dials, 3);
    client.close(SOON).unwrap();
}

#[test]
fn each_method_of_a_connection_may_panic_on_each_thread() {
    let faults: [(&str, Faults); 4] = [
        ("send", Faults { send: |_| panic!("on purpose"), ..Faults::default() }),
        ("close", Faults { close: |_| panic!("on purpose"), ..Faults::default() }),
        ("drop", Faults { drop: |_| panic!("on purpose"), ..Faults::default() }),
        (
            "all",
            Faults {
                send: |_| panic!("on purpose"),
                close: |_| panic!("on purpose"),
                drop: |_| panic!("on purpose"),
                ..Faults::default()
            },
        ),
    ];
    for (name, faults) in faults {
        println!("{name}");
        let (client, dials) = own(faults);
        // There are no pongs, so the timer thread abandons every connection.
        let beat = Duration::from_millis(30);
        let client = client.activity_timeout(beat).pong_timeout(beat).build().unwrap();
        client.connect();
        connects_again(&client, &dials, 4);
        // From a thread of the user's.
        client.reconnect();
        let room = client.public_channel("room").unwrap();
        room.subscribe();
        connects_again(&client, &dials, 7);
        client.close(SOON).unwrap();
    }
}

#[test]
fn panic_payload_may_panic_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose, of the payload");
        }
    }
    let (client, dials) = own(Faults {
        dial: |number, _| if number < 3 { std::panic::panic_any(Bomb) } else { Ok(()) },
        ..Faults::default()
    });
    let client = client.build().unwrap();
    client.connect();
    connects_again(&client, &dials, 3);
    client.close(SOON).unwrap();
}
