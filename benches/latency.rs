//! How late events come out of the client, how soon what it sends arrives at the peer, how long calls take that
//! need its lock, and whether it sleeps when there is nothing to do.
//!
//! `cargo bench --bench latency`; a few seconds only with `PUSHER_BENCH_QUICK=1`.

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
use std::thread;
use std::time::{Duration, Instant};

use pusher_channels::{Client, Event, Options, PublicChannel, Queue, State};
use tungstenite::Message;

use support::bare::{self, Model};
use support::blaster::{Blaster, Load, PROBE, run_if_child};
use support::figures::{Series, sleeps};
use support::{CHANNEL, EVENT, SOON, nanos, print_machine, quick};

/// Between two things sent.
const PAUSE: Duration = Duration::from_millis(2);

/// Payload of the flood that something is sent against, in bytes.
const FLOOD: usize = 1024;

struct Connected {
    client: Client,
    channel: PublicChannel,
    binding: pusher_channels::Binding<Event>,
}

impl Connected {
    fn new(url: &str, queue: Queue) -> Self {
        let client = Client::new(Options::url(url)).expect("a client");
        let channel = client.public_channel(CHANNEL).expect("a channel");
        let binding = channel.bind_with(EVENT, queue);
        channel.subscribe();
        client.connect();
        channel.wait_subscribed(SOON).expect("the blaster confirms");
        Self { client, channel, binding }
    }

    fn close(self) {
        self.client.close(SOON).expect("the client closes");
    }
}

/// When the event was sent, by what it says.
fn sent_at(frame: &str) -> u64 {
    let (_, time) = frame.split_once(r#"\"t\":"#).expect("a paced event");
    time.split('}').next().and_then(|time| time.parse().ok()).expect("a time")
}

fn since(sent: u64) -> f64 {
    nanos().saturating_sub(sent) as f64 / 1e3
}

/// How late paced events come, in µs: through a bare loop, through a model of a client, and through the client.
fn receive(blaster: &Blaster, rounds: usize, events: usize) {
    let [mut bare_late, mut model_late, mut client_late] = [(); 3].map(|()| Series::default());
    let url = blaster.url(Load::Paced { events });
    for _ in 0..rounds {
        let mut bare = bare::connect(&url);
        bare_late.extend((0..events).map(|_| since(sent_at(&bare::read(&mut bare)))));
        drop(bare);
        let model = Model::connect(&url);
        model_late.extend((0..events).map(|_| {
            let text = model.events.recv_timeout(SOON).expect("an event");
            since(sent_at(&text))
        }));
        drop(model);
        let connected = Connected::new(&url, Queue::default());
        client_late.extend((0..events).map(|_| {
            let event = connected.binding.recv_timeout(SOON).expect("an event");
            since(sent_at(event.raw()))
        }));
        connected.close();
    }
    heading(&format!("{} events, 1,000/s: from the blaster to the consumer", rounds * events));
    row("bare blocking loop", &bare_late, None);
    row("model with one hop", &model_late, Some(&bare_late));
    row("client, recv()", &client_late, Some(&bare_late));
    row("client, by the model", &client_late, Some(&model_late));
}

/// How long it takes until what is sent has been read by the blaster, and how long the call takes.
fn send(blaster: &mut Blaster, count: usize) {
    let (arrival, call) = bare_send(blaster, count);
    heading(&format!("{count} subscribe frames: from the call to the blaster"));
    row("bare write, idle", &arrival, None);
    let mut calls = Vec::from([("bare write, idle", call)]);
    let inflow = 2 * count * usize::try_from(PAUSE.as_millis()).expect("a short pause");
    let loads = [
        ("client, idle", Load::Nothing),
        ("client, 1,000 events/s", Load::Paced { events: inflow }),
        ("client, flood", Load::Endless { size: FLOOD }),
    ];
    for (name, load) in loads {
        let (client_arrival, call) = client_send(blaster, load, count);
        row(name, &client_arrival, Some(&arrival));
        calls.push((name, call));
    }
    heading("of that, the call");
    let bare = &calls[0].1;
    for (index, (name, call)) in calls.iter().enumerate() {
        row(name, call, (index > 0).then_some(bare));
    }
}

fn bare_send(blaster: &mut Blaster, count: usize) -> (Series, Series) {
    let mut bare = bare::connect(&blaster.url(Load::Nothing));
    let mut call = Series::default();
    for _ in 0..count {
        let start = Instant::now();
        let frame =
            format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{PROBE}{}"}}}}"#, nanos());
        bare.send(Message::text(frame)).expect("the blaster reads");
        call.push(start.elapsed().as_secs_f64() * 1e6);
        thread::sleep(PAUSE);
    }
    drop(bare);
    (arrivals(blaster, count), call)
}

fn client_send(blaster: &mut Blaster, load: Load, count: usize) -> (Series, Series) {
    let connected = Connected::new(&blaster.url(load), Queue::default());
    let mut call = Series::default();
    thread::scope(|scope| {
        // Takes what comes in, as a program would, until the binding is disconnected.
        let binding = &connected.binding;
        scope.spawn(move || while binding.recv().is_ok() {});
        for _ in 0..count {
            let start = Instant::now();
            let name = format!("{PROBE}{}", nanos());
            let probe = connected.client.public_channel(&name).expect("a channel");
            probe.subscribe();
            call.push(start.elapsed().as_secs_f64() * 1e6);
            thread::sleep(PAUSE);
            probe.unsubscribe();
        }
        assert!(connected.channel.is_subscribed(), "the connection was lost");
        connected.client.close(SOON).expect("the client closes");
    });
    (arrivals(blaster, count), call)
}

fn arrivals(blaster: &mut Blaster, count: usize) -> Series {
    let mut series = Series::default();
    series.extend(blaster.probes().into_iter().map(|took| took as f64 / 1e3));
    assert_eq!(series.len(), count, "some were never read");
    series
}

/// How long calls take that need the client's lock: idle, and while events come in as fast as they can.
fn calls(blaster: &mut Blaster, count: usize) {
    heading_in("ns", &format!("{count} calls of each kind, one every 50 µs or so"));
    let loads = [
        ("idle", Load::Nothing),
        ("flood of 64 B", Load::Endless { size: 64 }),
        ("flood of 1 KiB", Load::Endless { size: FLOOD }),
    ];
    let mut idle = None;
    for (name, load) in loads {
        let series = calls_under(&blaster.url(load), count);
        blaster.probes();
        for ((call, series), index) in series.iter().zip(0..) {
            let idle = idle.as_ref().map(|idle: &[(&str, Series); 3]| &idle[index].1);
            row(&format!("{call}, {name}"), series, idle);
        }
        idle.get_or_insert(series);
    }
}

fn calls_under(url: &str, count: usize) -> [(&'static str, Series); 3] {
    let connected = Connected::new(url, Queue::default());
    let Connected { client, channel, binding } = &connected;
    let time = |call: &dyn Fn()| {
        let mut series = Series::default();
        for _ in 0..count {
            let start = Instant::now();
            call();
            series.push(start.elapsed().as_secs_f64() * 1e9);
            thread::sleep(Duration::from_micros(50));
        }
        series
    };
    let series = thread::scope(|scope| {
        scope.spawn(move || while binding.recv().is_ok() {});
        let series = [
            ("state()", time(&|| assert_eq!(client.state(), State::Connected))),
            ("stats()", time(&|| assert_eq!(black_box(client.stats()).connections, 1))),
            ("bind() and drop", time(&|| drop(channel.bind("other")))),
        ];
        assert!(channel.is_subscribed(), "the connection was lost");
        client.close(SOON).expect("the client closes");
        series
    });
    connected.close();
    series
}

/// How often the threads of a connected client wake up if nothing happens: never.
fn sleep(blaster: &mut Blaster, time: Duration) {
    let connected = Connected::new(&blaster.url(Load::Nothing), Queue::default());
    // What the confirmation has woken is asleep again.
    thread::sleep(Duration::from_millis(100));
    let before = sleeps();
    thread::sleep(time);
    let after = sleeps();
    println!();
    match before.zip(after) {
        Some((before, after)) => {
            let woken = after - before;
            println!("wake-ups of a connected client in {time:?} without traffic: {woken}");
            assert_eq!(woken, 0, "an idle client sleeps");
        }
        None => println!("wake-ups of an idle client: not reported on this system"),
    }
    connected.close();
    blaster.probes();
}

fn heading(what: &str) {
    heading_in("µs", what);
}

fn heading_in(unit: &str, what: &str) {
    println!("\n{what}");
    println!("{unit:<32}{:>10}{:>10}{:>12}{:>18}", "p50", "p99", "max", "p50, p99");
}

fn row(name: &str, series: &Series, bare: Option<&Series>) {
    let [p50, p99, max] = [series.median(), series.quantile(0.99), series.max()];
    let ratio =
        bare.map(|bare| format!("{:.2}x, {:.2}x", p50 / bare.median(), p99 / bare.quantile(0.99)));
    println!("{name:<32}{p50:>10.1}{p99:>10.1}{max:>12.1}{:>18}", ratio.unwrap_or_default());
}

fn main() {
    run_if_child();
    print_machine();
    let mut blaster = Blaster::start();
    let (rounds, events, sent, idle) = if quick() { (1, 500, 200, 1) } else { (5, 2000, 2000, 5) };
    receive(&blaster, rounds, events);
    send(&mut blaster, sent);
    calls(&mut blaster, sent);
    sleep(&mut blaster, Duration::from_secs(idle));
}
