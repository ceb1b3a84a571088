//! How many events a second go through the client, and what each costs, beside a bare loop over
//! tungstenite and a model of a client on the same bytes; over TCP, over TLS, and on a thousand channels.
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

use pusher_channels::{Binding, Client, Event, Options, PublicChannel, Queue, Tls};

use support::bare::{self, Model};
use support::blaster::{Blaster, Frames, Load, channel, mark, run_if_child};
use support::figures::{Series, cpu_nanos};
use support::{CHANNEL, EVENT, SOON, print_machine, quick, tls};

/// Which events are looked at; over time, all of those that differ.
const LOOK_EVERY: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Bare,
    Model,
    Taken,
    Data,
    Json,
}

const CASES: [(Case, &str); 5] = [
    (Case::Bare, "bare tungstenite"),
    (Case::Model, "model with one hop"),
    (Case::Taken, "client, recv()"),
    (Case::Data, "client, recv(), data()"),
    (Case::Json, "client, recv(), json()"),
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

fn round(blaster: &mut Blaster, case: Case, load: &Flood, figures: &mut Figures) {
    let &Flood { secure, size, events } = load;
    let flood = Load::Flood { size, events };
    let url = if secure { blaster.url_tls(flood) } else { blaster.url(flood) };
    let write = Frames::new(size).count();
    let mut meter = Meter { blaster, write, seen: 0, start: None };
    match case {
        Case::Bare => {
            let mut bare = bare::connect(&url);
            while meter.seen < events {
                let text = black_box(bare::read(&mut bare));
                let index = meter.seen;
                meter.count(|| text.contains(&mark(index)));
            }
            meter.finish(figures);
        }
        Case::Model => {
            let model = Model::connect(&url);
            while meter.seen < events {
                let text = model.events.try_recv().or_else(|_| model.events.recv_timeout(SOON));
                let text = black_box(text.expect("an event"));
                let index = meter.seen;
                meter.count(|| text.contains(&mark(index)));
            }
            meter.finish(figures);
        }
        Case::Taken | Case::Data | Case::Json => client_round(&url, case, meter, events, figures),
    }
}

fn client_round(url: &str, case: Case, mut meter: Meter<'_>, events: usize, figures: &mut Figures) {
    let tls = Tls::default().danger_accept_invalid_certs(true);
    let client = Client::builder(Options::url(url)).tls(tls).build().expect("a client");
    let channel = client.public_channel(CHANNEL).expect("a channel");
    let binding = channel.bind_with(EVENT, Queue::unbounded());
    channel.subscribe();
    client.connect();
    while meter.seen < events {
        // Looks at the clock only if it has to wait.
        let event = binding.try_recv().or_else(|_| binding.recv_timeout(SOON));
        let event = black_box(event.expect("an event"));
        match case {
            Case::Data => assert!(black_box(event.data()).ends_with('}')),
            Case::Json => {
                let value = event.json::<serde_json::Value>().expect("it is JSON");
                assert!(black_box(value).is_object());
            }
            _ => {}
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

struct Flood {
    secure: bool,
    size: usize,
    events: usize,
}

fn flood(blaster: &mut Blaster, load: &Flood, rounds: usize) {
    let mut all = CASES.map(|_| Figures::default());
    for _ in 0..rounds {
        for ((case, _), figures) in CASES.iter().zip(&mut all) {
            round(blaster, *case, load, figures);
        }
    }
    let carrier = if load.secure { "TLS" } else { "TCP" };
    println!("\n{} bytes of data over {carrier}, {} events a round", load.size, load.events);
    heading("events/s");
    for ((_, name), figures) in CASES.iter().zip(&all) {
        row(name, figures, &all[0]);
    }
}

fn heading(unit: &str) {
    println!(
        "{:<26}{unit:>14}{:>10}{:>10}{:>14}{:>10}",
        "", "of bare", "spread", "CPU µs/event", "of bare"
    );
}

fn row(name: &str, figures: &Figures, bare: &Figures) {
    let Figures { rate, cpu } = figures;
    println!(
        "{name:<26}{:>14.0}{:>10.2}{:>10.2}{:>14.2}{:>10.2}",
        rate.median(),
        rate.median() / bare.rate.median(),
        rate.min() / rate.median(),
        cpu.median(),
        cpu.median() / bare.cpu.median(),
    );
}

/// Many channels, each with so many bindings, which all get its events.
struct Many {
    client: Client,
    bindings: Vec<Vec<Binding<Event>>>,
}

impl Many {
    fn connect(url: &str, channels: usize, bindings: usize) -> Self {
        let client = Client::new(Options::url(url)).expect("a client");
        let channels: Vec<_> = (0..channels)
            .map(|index| client.public_channel(&channel(index)).expect("a channel"))
            .collect();
        let bind = |_| {
            let bind = |channel: &PublicChannel| channel.bind_with(EVENT, Queue::unbounded());
            channels.iter().map(bind).collect()
        };
        let bindings = (0..bindings).map(bind).collect();
        channels.iter().for_each(|channel| channel.subscribe());
        client.connect();
        channels.iter().for_each(|channel| channel.wait_subscribed(SOON).expect("confirmed"));
        Self { client, bindings }
    }

    /// Takes the events of all bindings, in the order in which the channels got theirs.
    fn take(&self, mut meter: Meter<'_>, events: usize, figures: &mut Figures) {
        let start = self.client.public_channel(CHANNEL).expect("a channel");
        start.subscribe();
        while meter.seen < events {
            for binding in &self.bindings {
                let binding = &binding[meter.seen % binding.len()];
                let event = binding.try_recv().or_else(|_| binding.recv_timeout(SOON));
                black_box(event.expect("an event"));
            }
            meter.count(|| true);
        }
        meter.finish(figures);
        assert!(self.bindings.iter().flatten().all(|binding| binding.dropped() == 0));
    }
}

/// One channel beside many.
fn channels(blaster: &mut Blaster, rounds: usize, many: usize, events: usize) {
    const SIZE: usize = 64;
    let cases = [(1, 1), (many, 1), (many, 100)];
    let mut all = cases.map(|_| Figures::default());
    for _ in 0..rounds {
        for (&(channels, bindings), figures) in cases.iter().zip(&mut all) {
            // Each event is taken as often as there are bindings.
            let events = events / bindings;
            let load = Load::Channels { size: SIZE, events, channels };
            let clients = Many::connect(&blaster.url(load), channels, bindings);
            let write = Frames::on_channels(SIZE, channels).count();
            let meter = Meter { blaster, write, seen: 0, start: None };
            clients.take(meter, events, figures);
            clients.client.close(SOON).expect("the client closes");
        }
    }
    println!(
        "\n{SIZE} bytes of data over TCP on many channels; \"of bare\" is of one channel here"
    );
    heading("events/s");
    for ((channels, bindings), figures) in cases.iter().zip(&all) {
        row(&format!("{channels} channels, {bindings} bindings"), figures, &all[0]);
    }
}

fn main() {
    run_if_child();
    print_machine();
    let (rounds, share) = if quick() { (1, 20) } else { (5, 1) };
    println!(
        "{rounds} rounds of each, in turn; medians; spread is the slowest of them by the median"
    );
    let mut blaster = Blaster::start();
    let only = only();
    for secure in [false, true] {
        if secure && !tls::AVAILABLE {
            println!("\nover TLS: not measured without the feature native-tls");
            continue;
        }
        for (size, events) in [(64, 600_000), (1024, 200_000), (16 * 1024, 24_000)] {
            if only.is_none_or(|only| only == size) {
                flood(&mut blaster, &Flood { secure, size, events: events / share }, rounds);
            }
        }
    }
    if only.is_none() {
        channels(&mut blaster, rounds, if quick() { 100 } else { 1000 }, 500_000 / share);
    }
}
