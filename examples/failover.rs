//! Two servers: the client dials the other one when a dial fails, and switches on request.
//! Channels and bindings stay.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{Client, Options, Reconnect};

const LIMIT: Duration = Duration::from_secs(10);

/// Returns options whose every dial goes to the next of these servers.
fn walk(urls: Vec<String>) -> Options {
    let next = AtomicUsize::new(0);
    Options::custom(move |_metadata| {
        let index = next.fetch_add(1, Ordering::Relaxed) % urls.len();
        println!("dialling server {}", index + 1);
        urls.get(index).cloned().unwrap_or_default()
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (first, second) = (Server::start()?, Server::start()?);
    let client = Client::builder(walk(vec![first.url(), second.url()]))
        .reconnect(Reconnect::default().initial(Duration::from_millis(100)))
        .build()?;
    let news = client.public_channel("news")?;
    let (headlines, gaps) = (news.bind("headline"), news.bind_resumed());
    news.subscribe();
    client.connect();
    news.wait_subscribed(LIMIT)?;
    first.publish("news", "headline", "all is well");
    println!("server 1 says: {}", headlines.recv_timeout(LIMIT)?.data());

    // The first server goes down, and then refuses connections for a while.
    first.refuse(usize::MAX);
    first.drop_connections();
    let gap = gaps.recv_timeout(LIMIT)?;
    println!("subscribed again after {} ms: fetch what was missed", gap.length().as_millis());
    second.publish("news", "headline", "server 1 is down");
    println!("server 2 says: {}", headlines.recv_timeout(LIMIT)?.data());

    // Switching on request, for example to another cluster.
    first.refuse(0);
    client.switch(first.options())?;
    gaps.recv_timeout(LIMIT)?;
    first.publish("news", "headline", "back again");
    println!("server 1 says: {}", headlines.recv_timeout(LIMIT)?.data());

    let stats = client.stats();
    println!(
        "{} dials, {} connections, {} frames in, {} out",
        stats.dials, stats.connections, stats.frames_in, stats.frames_out
    );
    client.close(LIMIT)?;
    Ok(())
}
