//! What a thousand channels cost: to subscribe to, to come back to, and to receive on; and what a look
//! at the statistics costs.
//!
//! `cargo bench --bench channels`; a second only with `PUSHER_BENCH_QUICK=1`.

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

use std::time::{Duration, Instant};

use pusher_channels::testing::Server;
use pusher_channels::{Binding, Client, Event, PublicChannel, Reconnect};

use support::figures::{Series, resident};
use support::{EVENT, SOON, print_machine, quick};

/// Events that are published in one round, whatever the number of channels.
const EVENTS: usize = 2_000;

struct Bench {
    server: Server,
    client: Client,
    channels: Vec<(PublicChannel, Binding<Event>)>,
}

impl Bench {
    /// Connected, with nothing subscribed.
    fn new(channels: usize) -> Self {
        let server = Server::start().expect("a server");
        let at_once = Reconnect::default().initial(Duration::from_millis(1));
        let client = Client::builder(server.options()).reconnect(at_once).build();
        let client = client.expect("a client");
        let channel = |number| client.public_channel(&format!("channel-{number}"));
        let channels = (0..channels)
            .map(|number| channel(number).expect("a channel"))
            .map(|channel| (channel.clone(), channel.bind(EVENT)))
            .collect();
        client.connect();
        client.wait_connected(SOON).expect("it connects");
        Self { server, client, channels }
    }

    fn wait_subscribed(&self) {
        for (channel, _) in &self.channels {
            channel.wait_subscribed(SOON).expect("the server confirms");
        }
    }

    fn subscribe(&self) -> Duration {
        let start = Instant::now();
        for (channel, _) in &self.channels {
            channel.subscribe();
        }
        self.wait_subscribed();
        start.elapsed()
    }

    /// From the loss of the connection until all is subscribed again.
    fn come_back(&self) -> Duration {
        let connected = self.client.bind_connected();
        let start = Instant::now();
        self.server.drop_connections();
        connected.recv_timeout(SOON).expect("the client comes back");
        self.wait_subscribed();
        start.elapsed()
    }

    /// Publishes events on all channels in turn, and receives them.
    fn receive(&self) -> Duration {
        let start = Instant::now();
        for (channel, _) in self.channels.iter().cycle().take(EVENTS) {
            self.server.publish(channel.name(), EVENT, "{}");
        }
        for (_, binding) in self.channels.iter().cycle().take(EVENTS) {
            binding.recv_timeout(SOON).expect("the event comes");
        }
        start.elapsed()
    }
}

fn print(what: &str, millis: &Series) {
    let (least, median, most) = (millis.min(), millis.median(), millis.max());
    println!("{what:<48} {median:>9.2} ms ({least:.2} to {most:.2})");
}

fn main() {
    print_machine();
    println!("The server is in the same process, and takes its share of every figure.");
    let (many, rounds) = if quick() { (100, 2) } else { (1_000, 9) };
    let before = resident();
    let one = Bench::new(1);
    let empty = resident();
    let bench = Bench::new(many);
    let (mut subscribe, mut come_back) = (Series::default(), Series::default());
    let (mut of_many, mut of_one) = (Series::default(), Series::default());
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    one.subscribe();
    for _ in 0..rounds {
        subscribe.push(millis(bench.subscribe()));
        come_back.push(millis(bench.come_back()));
        of_many.push(millis(bench.receive()));
        of_one.push(millis(one.receive()));
        for (channel, _) in &bench.channels {
            channel.unsubscribe();
        }
    }
    print(&format!("subscribe to {many} channels"), &subscribe);
    print(&format!("come back to {many} channels"), &come_back);
    print(&format!("{EVENTS} events over {many} channels"), &of_many);
    print(&format!("{EVENTS} events on one channel"), &of_one);
    if let (Some(before), Some(empty), Some(after)) = (before, empty, resident()) {
        println!(
            "resident: {before} kB, {empty} with one channel, {after} with {many} and their queues"
        );
    }

    let looks = if quick() { 10_000 } else { 1_000_000 };
    let start = Instant::now();
    for _ in 0..looks {
        std::hint::black_box(bench.client.stats());
    }
    let nanos = start.elapsed().as_nanos() as f64 / f64::from(looks);
    println!("stats(): {nanos:.0} ns, undisturbed");
}
