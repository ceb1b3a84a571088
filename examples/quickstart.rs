//! Receives a few events: from a server in this process, or from yours with PUSHER_URL=ws://host:port/app/key.

use pusher_channels::{Client, Options, testing};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = testing::Server::start()?;
    let options = match std::env::var("PUSHER_URL") {
        Ok(url) => Options::url(&url),
        Err(_) => server.options(),
    };
    let client = Client::new(options)?; // nothing runs yet
    let chat = client.public_channel("chat")?;
    let messages = chat.bind("message"); // a receiver of its own
    chat.subscribe(); // stays subscribed across reconnects
    client.connect(); // returns immediately

    chat.wait_subscribed(std::time::Duration::from_secs(10))?;
    println!("subscribed to {} as {:?}; waiting for 3 events", chat.name(), client.socket_id());
    for text in ["Hello", "from", "the server"] {
        server.publish("chat", "message", text); // has no subscribers if PUSHER_URL is set
    }
    for event in messages.iter().take(3) {
        println!("{}: {}", event.name(), event.data());
    }
    Ok(())
}
