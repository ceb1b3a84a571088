//! Subscribes to a private channel that an HTTP endpoint authorizes, with a fresh token for each request, and
//! sends a client event.
//!
//! Run it with `cargo run --example private_http_auth`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pusher_channels::{Client, HttpAuthorizer, PrivateChannel, testing::Server};

const LIMIT: Duration = Duration::from_secs(10);

fn join(
    server: &Server,
    device: &'static str,
) -> Result<(Client, PrivateChannel), pusher_channels::Error> {
    let number = AtomicU32::new(0);
    let authorizer = HttpAuthorizer::new(&server.auth_url())
        .headers_with(move || {
            // Called before every request, so that no expired token is sent.
            let token = format!("Bearer {device}-{}", number.fetch_add(1, Ordering::Relaxed));
            vec![("authorization".to_owned(), token)]
        })
        .param("device", device)
        .timeout(Duration::from_secs(5));
    let client = Client::builder(server.options()).authorizer(authorizer).build()?;
    let orders = client.private_channel("private-orders")?;
    orders.subscribe();
    client.connect();
    Ok((client, orders))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let (kitchen, kitchen_orders) = join(&server, "kitchen")?;
    let (_bar, bar_orders) = join(&server, "bar")?;
    let (placed, seen) = (kitchen_orders.bind("placed"), bar_orders.bind("client-seen"));
    kitchen_orders.wait_subscribed(LIMIT)?;
    bar_orders.wait_subscribed(LIMIT)?;

    server.publish("private-orders", "placed", &["soup", "tea"]);
    let order: Vec<String> = placed.recv_timeout(LIMIT)?.json()?;
    println!("the kitchen received an order: {order:?}");
    kitchen_orders.trigger("client-seen", &order)?; // to the other subscribers only
    println!("the bar received a client event: {}", seen.recv_timeout(LIMIT)?.data());

    kitchen.reconnect(); // a new connection needs a new authorization
    kitchen_orders.wait_subscribed(LIMIT)?;
    for request in server.auth_requests() {
        let header = request.headers().iter().find(|(name, _)| name == "authorization");
        println!("request to the endpoint with {:?}", header.map(|(_, token)| token));
    }
    Ok(())
}
