//! What clients hold that have nothing to do, and what events keep that are kept.
//!
//! `cargo bench --bench memory`; a second or two only with `PUSHER_BENCH_QUICK=1`.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot go on should fail"
)]

#[path = "../tests/allocations/counting.rs"]
mod counting;
mod support;

use std::sync::atomic::Ordering;

use pusher_channels::{Client, Event, Options, Queue};

use support::blaster::{Blaster, Frames, Load, run_if_child};
use support::figures::{Series, own_threads, resident};
use support::{CHANNEL, EVENT, SOON, print_machine, quick};

/// The bytes that are allocated and not freed.
fn live() -> usize {
    counting::LIVE_BYTES.load(Ordering::SeqCst)
}

/// Connected and subscribed, with one binding.
fn connect(url: &str, queue: Queue) -> (Client, pusher_channels::Binding<Event>) {
    let client = Client::new(Options::url(url)).expect("a client");
    let channel = client.public_channel(CHANNEL).expect("a channel");
    let binding = channel.bind_with(EVENT, queue);
    channel.subscribe();
    client.connect();
    channel.wait_subscribed(SOON).expect("the blaster confirms");
    (client, binding)
}

/// Bytes from the allocator, resident kB and threads for each of so many idle clients.
fn idle(blaster: &mut Blaster, count: usize, figures: &mut [Series; 3]) {
    let url = blaster.url(Load::Nothing);
    let before = (live(), resident(), own_threads());
    let clients: Vec<_> = (0..count).map(|_| connect(&url, Queue::default())).collect();
    let after = (live(), resident(), own_threads());
    let each = |more: u64| more as f64 / count as f64;
    figures[0].push(each(after.0.saturating_sub(before.0) as u64));
    if let Some((before, after)) = before.1.zip(after.1) {
        figures[1].push(each(after.saturating_sub(before)));
    }
    figures[2].push(each(after.2.saturating_sub(before.2) as u64));
    for (client, _) in clients {
        client.close(SOON).expect("the client closes");
        blaster.probes();
    }
}

/// Bytes that are held for one event in so many that is kept, by the bytes of the frames of those.
fn pinned(blaster: &mut Blaster, size: usize, events: usize, every: usize) -> f64 {
    let write = Frames::new(size).count();
    let before = live();
    let mut kept: Vec<Event> = Vec::with_capacity(events / every + 1);
    let (client, binding) = connect(&blaster.url(Load::Flood { size, events }), Queue::unbounded());
    for number in 0..events {
        let event = binding.recv_timeout(SOON).expect("an event");
        if number % every == 0 {
            kept.push(event);
        }
        if (number + 1) % write == 0 {
            blaster.consumed();
        }
    }
    // What the client itself holds is not the events'.
    client.close(SOON).expect("the client closes");
    drop((client, binding));
    let held = live().saturating_sub(before);
    let frames: usize = kept.iter().map(|event| event.raw().len()).sum();
    held as f64 / frames as f64
}

fn main() {
    run_if_child();
    print_machine();
    let rounds = if quick() { 1 } else { 5 };
    println!("{rounds} rounds of each, in turn; medians");
    let mut blaster = Blaster::start();

    let counts = [1, if quick() { 20 } else { 100 }];
    let mut all = counts.map(|_| <[Series; 3]>::default());
    // The first one pays for what is there once for all.
    idle(&mut blaster, 1, &mut Default::default());
    for _ in 0..rounds {
        for (count, figures) in counts.into_iter().zip(&mut all) {
            idle(&mut blaster, count, figures);
        }
    }
    println!(
        "\n{:<26}{:>16}{:>16}{:>10}",
        "each idle client", "bytes held", "resident kB", "threads"
    );
    for (count, [held, resident, threads]) in counts.iter().zip(&all) {
        println!(
            "{:<26}{:>16.0}{:>16.1}{:>10.1}",
            format!("of {count}"),
            held.median(),
            resident.median(),
            threads.median()
        );
    }

    println!(
        "\n{:<26}{:>20}{:>20}",
        "bytes held by those of", "all are kept", "one in 100 is kept"
    );
    println!("{:<26}{:>20}{:>20}", "the kept events' frames", "", "");
    let share = if quick() { 10 } else { 1 };
    for (size, events) in [(64, 100_000), (1024, 20_000), (16 * 1024, 2_000)] {
        let mut ratios = [Series::default(), Series::default()];
        for _ in 0..rounds {
            for (every, series) in [1, 100].into_iter().zip(&mut ratios) {
                series.push(pinned(&mut blaster, size, events / share, every));
            }
        }
        let [all, few] = ratios.map(|series| series.median());
        println!("{:<26}{all:>20.2}{few:>20.2}", format!("{size} bytes of data"));
    }
}
