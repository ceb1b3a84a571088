//! Two servers: the client fails over to the other one, and moves back with `switch`. Channels and bindings
//! stay.
//!
//! Run it with `cargo run --example failover`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{Client, Options, Reconnect};

const LIMIT: Duration = Duration::from_secs(10);

/// Every dial uses the next of these URLs.
fn rotate(urls: Vec<String>) -> Options {
    let next = AtomicUsize::new(0);
    Options::custom(move |_metadata| {
        let index = next.fetch_add(1, Ordering::Relaxed) % urls.len();
        println!("dialling server {}", index + 1);
        urls.get(index).cloned().unwrap_or_default()
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (first, second) = (Server::start()?, Server::start()?);
    let client = Client::builder(rotate(vec![first.url(), second.url()]))
        .reconnect(Reconnect::default().initial(Duration::from_millis(100)))
        .build()?;
    let news = client.public_channel("news")?;
    let (headlines, gaps) = (news.bind("headline"), news.bind_resumed());
    news.subscribe();
    client.connect();
    news.wait_subscribed(LIMIT)?;
    first.publish("news", "headline", "all is well");
    println!("from server 1: {}", headlines.recv_timeout(LIMIT)?.data());

    // The first server goes down, and refuses further connections.
    first.refuse(usize::MAX);
    first.drop_connections();
    let gap = gaps.recv_timeout(LIMIT)?;
    println!("resubscribed after {} ms: fetch what may have been missed", gap.length().as_millis());
    second.publish("news", "headline", "server 1 is down");
    println!("from server 2: {}", headlines.recv_timeout(LIMIT)?.data());

    // Move on purpose, for example to another cluster.
    first.refuse(0);
    client.switch(first.options())?;
    gaps.recv_timeout(LIMIT)?;
    first.publish("news", "headline", "back again");
    println!("from server 1: {}", headlines.recv_timeout(LIMIT)?.data());

    let stats = client.stats();
    println!(
        "{} dials, {} connections, {} frames in, {} out",
        stats.dials, stats.connections, stats.frames_in, stats.frames_out
    );
    client.close(LIMIT)?;
    Ok(())
}
