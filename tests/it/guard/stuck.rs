//! Methods of a connection that do not return: `send` and `close` must not wait, but may.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::thread::Builder;

use pusher_channels::{StateChange, Timeout};

use super::*;

const PONG: Duration = Duration::from_millis(200);

/// A client whose first connection waits in `send` until it is closed.
fn blocked(activity: Duration) -> (Client, Arc<AtomicU32>) {
    let (client, dials) = own(Faults {
        send: |line| {
            if line.number == 1 {
                line.wait_for_close();
            }
        },
        ..Faults::default()
    });
    let client = client.activity_timeout(activity).pong_timeout(PONG).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    (client, dials)
}

fn loss(states: &Receiver<StateChange>) -> Error {
    loop {
        let change = states.recv_timeout(SOON).unwrap();
        if change.current == State::Reconnecting {
            return change.cause.unwrap();
        }
    }
}

#[test]
fn blocked_send_is_abandoned_after_the_pong_timeout() {
    let (client, dials) = blocked(SOON * 10);
    let states = client.bind_states();
    // On this thread. Nothing else is to be sent.
    client.public_channel("room").unwrap().subscribe();
    let error = loss(&states);
    assert_eq!(error.timeout(), Some(Timeout::Pong));
    assert!(error.to_string().contains("`send` has not returned for 200 ms"), "{error}");
    connects_again(&client, &dials, 2);
    client.close(SOON).unwrap();
}

#[test]
fn blocked_ping_delays_no_deadline() {
    let (client, dials) = blocked(Duration::from_millis(50));
    connects_again(&client, &dials, 2);
    client.close(SOON).unwrap();
}

#[test]
fn frames_behind_a_blocked_send_are_bounded() {
    let (client, dials) = blocked(SOON * 10);
    let states = client.bind_states();
    let held = client.public_channel("held").unwrap();
    let thread = Builder::new().spawn(move || held.subscribe()).unwrap();
    // Each pair leaves two frames: together far more than the limit.
    let room = client.public_channel("room").unwrap();
    let pairs = (0..100_000).take_while(|_| states.is_empty());
    pairs.for_each(|_| {
        room.subscribe();
        room.unsubscribe();
    });
    let error = loss(&states);
    let kind = error.kind();
    assert!(kind == ErrorKind::TooLarge || error.timeout() == Some(Timeout::Pong), "{error}");
    connects_again(&client, &dials, 2);
    thread.join().unwrap();
    client.close(SOON).unwrap();
}

#[test]
fn blocked_close_delays_no_dial() {
    static HELD: Mutex<Option<Receiver<()>>> = Mutex::new(None);
    static RETURNS: AtomicBool = AtomicBool::new(false);
    let (release, held) = unbounded::<()>();
    *HELD.lock().unwrap() = Some(held);
    let (client, dials) = own(Faults {
        close: |line| {
            if line.number == 1 {
                let held = HELD.lock().unwrap().take().unwrap();
                assert!(held.recv_timeout(SOON).is_err());
                RETURNS.store(true, Ordering::SeqCst);
            }
        },
        ..Faults::default()
    });
    let client = client.pong_timeout(PONG).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let user = client.clone();
    let thread = Builder::new().spawn(move || user.reconnect()).unwrap();
    connects_again(&client, &dials, 2);
    // On whichever thread it runs.
    assert!(HELD.lock().unwrap().is_none() && !RETURNS.load(Ordering::SeqCst));
    drop(release);
    thread.join().unwrap();
    client.close(SOON).unwrap();
}

#[test]
fn close_ends_the_client_during_a_blocked_send() {
    let (client, _dials) = blocked(SOON * 10);
    let room = client.public_channel("room").unwrap();
    let thread = Builder::new().spawn(move || room.subscribe()).unwrap();
    while client.stats().frames_out == 0 {
        std::thread::yield_now();
    }
    client.close(SOON).unwrap();
    thread.join().unwrap();
}

/// Says which dial's connection is being closed.
static CLOSING: OnceLock<Sender<u32>> = OnceLock::new();
/// Let a close return: those of all connections but the last, and the last one's.
static HELD: OnceLock<[Receiver<()>; 2]> = OnceLock::new();

#[test]
fn another_takes_over_once_one_of_too_many_that_block_returns() {
    /// So many may block and be replaced. The next one is waited for.
    const MOST: u32 = 8;
    let ((closing, closed), (release, held), (release_last, last_held)) =
        (unbounded(), unbounded(), unbounded());
    CLOSING.set(closing).unwrap();
    HELD.set([held, last_held]).unwrap();
    let (client, dials) = own(Faults {
        close: |line| {
            if line.number <= MOST + 1 {
                CLOSING.get().unwrap().send(line.number).unwrap();
                let _ = HELD.get().unwrap()[usize::from(line.number > MOST)].recv_timeout(SOON * 4);
            }
        },
        ..Faults::default()
    });
    let client = client.pong_timeout(PONG / 10).connect_timeout(SOON * 10).build().unwrap();
    client.connect();
    let reconnect = |number| {
        connects_again(&client, &dials, number);
        let user = client.clone();
        let thread = Builder::new().spawn(move || user.reconnect()).unwrap();
        assert_eq!(closed.recv_timeout(SOON), Ok(number));
        thread
    };
    let threads: Vec<_> = (1..=MOST + 1).map(reconnect).collect();
    // The dial waits behind the last one, which nothing supervises any more.
    release.send(()).unwrap();
    connects_again(&client, &dials, MOST + 2);
    drop((release, release_last));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.close(SOON).unwrap();
}
