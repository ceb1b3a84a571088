//! Publishes events by a server's HTTP API, as a backend does, and asks who receives them.
//!
//! Run it with `cargo run --example publish --features publisher`.

use std::time::Duration;

use pusher_channels::publisher::{BatchEvent, Info, TriggerOptions};
use pusher_channels::{Client, Publisher, SecretAuthorizer, testing};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = testing::Server::start()?;
    let publisher = Publisher::new(server.options(), server.app_id(), server.secret())?;

    // A client that receives, as it would on another device.
    let authorizer = SecretAuthorizer::new(server.key(), server.secret()).member("ann", &());
    let client = Client::builder(server.options()).authorizer(authorizer).build()?;
    let room = client.presence_channel("presence-room")?;
    let messages = room.bind("message");
    room.subscribe();
    client.connect();
    room.wait_subscribed(Duration::from_secs(10))?;

    // Each request blocks for at most 10 s.
    publisher.trigger(&["presence-room"], "message", "Hello")?;
    let options = TriggerOptions::new().info([Info::UserCount]);
    let info = publisher.trigger_with(&["presence-room"], "move", &[1, 2], options)?;
    let users = info.get("presence-room").and_then(|room| room.user_count);
    println!("users who were sent the event: {}", users.unwrap_or_default());
    publisher.trigger_batch(&[BatchEvent::new("presence-room", "message", "from a batch")])?;
    println!("users: {:?}", publisher.presence_users("presence-room")?);
    println!("channels: {:?}", publisher.channels("presence-", &[Info::UserCount])?);

    for event in messages.iter().take(2) {
        println!("{}: {}", event.name(), event.data());
    }
    if let Err(error) = publisher.trigger(&["no spaces"], "message", "Hello") {
        println!("{error}");
    }
    Ok(())
}
