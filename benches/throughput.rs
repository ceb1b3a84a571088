//! How many events a second go through the client, and what each costs, beside a bare loop over
//! tungstenite on the same bytes.
//!
//! `cargo bench --bench throughput`; a few seconds only with `PUSHER_BENCH_QUICK=1`, and one size only
//! with, for example, `PUSHER_BENCH_SIZE=64`.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot go on should fail"
)]

mod support;

use std::hint::black_box;
use std::time::Instant;

use pusher_channels::{Client, Options, Queue};

use support::blaster::{Blaster, Frames, Load, mark, run_if_child};
use support::figures::{Series, cpu_nanos};
use support::{CHANNEL, EVENT, SOON, bare, print_machine, quick};

/// Which events are looked at; over time, all of those that differ.
const LOOK_EVERY: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Bare,
    Receive,
    Data,
}

const CASES: [(Case, &str); 3] = [
    (Case::Bare, "bare tungstenite"),
    (Case::Receive, "client, recv()"),
    (Case::Data, "client, recv() and data()"),
];

/// One case's figures of one size.
#[derive(Default)]
struct Figures {
    /// Events a second.
    rate: Series,
    /// CPU time for each event, in microseconds.
    cpu: Series,
}

/// Counts the events, and the time from the first to the last.
struct Meter<'a> {
    blaster: &'a mut Blaster,
    /// How many events one write of the blaster's holds.
    write: usize,
    seen: usize,
    start: Option<(Instant, u64)>,
}

impl Meter<'_> {
    fn count(&mut self, raw: impl FnOnce() -> bool) {
        if self.start.is_none() {
            self.start = Some((Instant::now(), cpu_nanos()));
        }
        if self.seen % LOOK_EVERY == 0 {
            assert!(raw(), "event {} is out of order", self.seen);
        }
        self.seen += 1;
        if self.seen % self.write == 0 {
            self.blaster.consumed();
        }
    }

    fn finish(&self, figures: &mut Figures) {
        let cpu_end = cpu_nanos();
        let (start, cpu_start) = self.start.expect("there were events");
        let events = self.seen as f64;
        figures.rate.push(events / start.elapsed().as_secs_f64());
        figures.cpu.push(cpu_end.saturating_sub(cpu_start) as f64 / 1e3 / events);
    }
}

fn round(blaster: &mut Blaster, case: Case, size: usize, events: usize, figures: &mut Figures) {
    let url = blaster.url(Load::Flood { size, events });
    let write = Frames::new(size).count();
    let mut meter = Meter { blaster, write, seen: 0, start: None };
    if case == Case::Bare {
        let mut bare = bare::connect(&url);
        while meter.seen < events {
            let text = black_box(bare::read(&mut bare));
            let index = meter.seen;
            meter.count(|| text.contains(&mark(index)));
        }
        return meter.finish(figures);
    }
    let client = Client::new(Options::url(&url)).expect("a client");
    let channel = client.public_channel(CHANNEL).expect("a channel");
    let binding = channel.bind_with(EVENT, Queue::unbounded());
    channel.subscribe();
    client.connect();
    while meter.seen < events {
        // Looks at the clock only if it has to wait.
        let event = binding.try_recv().or_else(|_| binding.recv_timeout(SOON));
        let event = black_box(event.expect("an event"));
        if case == Case::Data {
            assert!(black_box(event.data()).ends_with('}'));
        }
        let index = meter.seen;
        meter.count(|| event.raw().contains(&mark(index)));
    }
    meter.finish(figures);
    assert_eq!(binding.dropped(), 0);
    assert!(binding.is_empty(), "there are more events than were sent");
    client.close(SOON).expect("the client closes");
}

/// One size alone, for profiling.
fn only() -> Option<usize> {
    std::env::var("PUSHER_BENCH_SIZE").ok()?.parse().ok()
}

fn main() {
    run_if_child();
    print_machine();
    let (rounds, share) = if quick() { (2, 4) } else { (9, 1) };
    println!("{rounds} rounds of each, in turn; median (least to most)");
    let mut blaster = Blaster::start();
    let only = only();
    for (size, events) in [(64, 600_000), (1024, 200_000), (16 * 1024, 24_000)] {
        if only.is_some_and(|only| only != size) {
            continue;
        }
        let events = events / share;
        let mut all = CASES.map(|_| Figures::default());
        for _ in 0..rounds {
            for ((case, _), figures) in CASES.iter().zip(&mut all) {
                round(&mut blaster, *case, size, events, figures);
            }
        }
        println!("\n{size} bytes of data, {events} events a round");
        println!(
            "{:<26}{:>32}{:>8}{:>24}{:>8}",
            "", "events/s", "of bare", "CPU µs/event", "of bare"
        );
        let (rate, cpu) = (all[0].rate.median(), all[0].cpu.median());
        for ((_, name), figures) in CASES.iter().zip(&all) {
            let Figures { rate: rates, cpu: costs } = figures;
            println!(
                "{name:<26}{:>32}{:>8}{:>24}{:>8}",
                format!("{:.0} ({:.0} to {:.0})", rates.median(), rates.min(), rates.max()),
                format!("1/{:.2}", rate / rates.median()),
                format!("{:.2} ({:.2} to {:.2})", costs.median(), costs.min(), costs.max()),
                format!("{:.2}x", costs.median() / cpu),
            );
        }
    }
}
