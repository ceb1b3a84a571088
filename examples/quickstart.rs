//! Receives three events from an in-process server, or from yours with PUSHER_URL=ws://host:port/app/key.
//!
//! Run it with `cargo run --example quickstart`.

use pusher_channels::{Client, Options, testing};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = testing::Server::start()?;
    let options = match std::env::var("PUSHER_URL") {
        Ok(url) => Options::url(&url),
        Err(_) => server.options(),
    };
    let client = Client::new(options)?; // starts no thread
    let chat = client.public_channel("chat")?;
    let messages = chat.bind("message"); // a receiver with its own queue
    chat.subscribe(); // stays subscribed across reconnects
    client.connect(); // returns immediately

    chat.wait_subscribed(std::time::Duration::from_secs(10))?;
    println!("subscribed to {} as {:?}; waiting for 3 events", chat.name(), client.socket_id());
    for text in ["Hello", "from", "the server"] {
        server.publish("chat", "message", text); // has no subscriber if PUSHER_URL is set
    }
    for event in messages.iter().take(3) {
        println!("{}: {}", event.name(), event.data());
    }
    Ok(())
}
