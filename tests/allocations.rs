//! How often a flood of events allocates, on the client's threads and on the consumer's, how much memory the
//! events keep that are kept, and how much a client holds that is idle.

#![cfg(test)]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on should fail"
)]

#[path = "allocations/counting.rs"]
mod counting;
#[path = "allocations/idle.rs"]
mod idle;
#[path = "allocations/long.rs"]
mod long;
#[path = "../src/util/time_scale.rs"]
mod time_scale;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pusher_channels::{Client, Event, Options, Queue};
use tungstenite::Message;

use counting::{ALLOCATIONS, LIVE_BYTES, OWN};

const SOON: Duration = time_scale::scaled(Duration::from_secs(20));

/// So many bytes at most are on their way: the consumer keeps up. For one that does not, the client takes new
/// buffers, three for each batch.
const WINDOW: usize = 128 * 1024;

/// How often a flood is tried. On a busy machine reads bring single events, and the consumer may fall behind; neither
/// is a flood of which the client reuses the buffers. One that allocates for each event fails in all of them.
const ATTEMPTS: usize = 10;

/// One in 31 is the queue's, which takes its memory in blocks.
const PER_EVENT: f64 = 0.05;

/// One at a time, since all threads are counted.
static ALONE: Mutex<()> = Mutex::new(());

/// A server that floods whoever subscribes, as fast as `taken` grows. It allocates nothing while it does.
fn flood(frame: &str, events: usize, taken: Arc<AtomicUsize>) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut bytes = vec![0x81, 126];
    bytes.extend((frame.len() as u16).to_be_bytes());
    bytes.extend(frame.as_bytes());
    assert!((126..0x1_0000).contains(&frame.len()));
    let window = WINDOW / bytes.len();
    let burst = window / 2;
    let bytes = bytes.repeat(burst);
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut raw = stream.try_clone().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        let establishment =
            r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#;
        socket.send(Message::text(establishment)).unwrap();
        socket.read().unwrap();
        let mut sent = 0;
        while sent < events {
            while sent + burst > taken.load(Ordering::SeqCst) + window {
                thread::yield_now();
            }
            let count = burst.min(events - sent);
            raw.write_all(&bytes[..bytes.len() / burst * count]).unwrap();
            sent += count;
        }
        // Until the client goes.
        let _ = socket.read();
    });
    Options::url(&format!("ws://127.0.0.1:{port}/app/key"))
}

fn frame(size: usize) -> String {
    let data = r#"\"k\":1,"#.repeat(size / 6 + 1);
    format!(r#"{{"event":"message","channel":"room","data":"{{{data}\"n\":1}}"}}"#)
}

/// Receives so many events of this size. Returns the allocations by the client for each event, and those by the
/// consumer for all of them, once it is under way.
fn run(size: usize, events: usize, mut consume: impl FnMut(Event)) -> (f64, usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let client = Client::new(flood(&frame(size), events, Arc::clone(&taken))).unwrap();
    let channel = client.public_channel("room").unwrap();
    let binding = channel.bind_with("message", Queue::default());
    channel.subscribe();
    client.connect();
    let counts = || (ALLOCATIONS.load(Ordering::SeqCst), OWN.get());
    let mut start = counts();
    for number in 0..events {
        if number == events / 10 {
            start = counts();
        }
        consume(binding.recv_timeout(SOON).unwrap());
        taken.fetch_add(1, Ordering::SeqCst);
    }
    let end = counts();
    assert_eq!(binding.dropped(), 0);
    client.close(SOON).unwrap();
    let counted = (events - events / 10) as f64;
    let own = end.1 - start.1;
    ((end.0 - start.0 - own) as f64 / counted, own)
}

#[test]
fn a_flood_allocates_next_to_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (size, events) in [(64, 100_000), (1_000, 50_000), (16_000, 5_000)] {
        let mut least = (f64::INFINITY, 0);
        for _ in 0..ATTEMPTS {
            let run = run(size, events, drop);
            if run.0 < least.0 {
                least = run;
            }
            if least.0 <= PER_EVENT {
                break;
            }
        }
        let (client, consumer) = least;
        println!("{size} bytes: {client:.4} allocations an event by the client");
        assert!(client <= PER_EVENT, "{client} allocations an event of {size} bytes");
        // The channel keeps a list of waiters, which grows with the first.
        assert!(consumer <= 4, "{consumer} allocations by who only takes");
    }
}

#[test]
fn events_that_are_kept_keep_little_more_than_their_frames() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (size, events) in [(64, 20_000), (1_000, 5_000), (16_000, 500)] {
        let mut kept = Vec::with_capacity(events);
        let before = LIVE_BYTES.load(Ordering::SeqCst);
        run(size, events, |event| kept.push(event));
        let bytes = LIVE_BYTES.load(Ordering::SeqCst).saturating_sub(before);
        let frames: usize = kept.iter().map(|event| event.raw().len()).sum();
        println!("{size} bytes: {:.2} times the frames", bytes as f64 / frames as f64);
        assert!(bytes <= 2 * frames + 64 * 1024, "{bytes} for {frames}");
    }
}
