//! Receives end-to-end encrypted events, across a key rotation.
//!
//! Run it with `cargo run --example encrypted`.

use std::time::Duration;

use pusher_channels::{Client, HttpAuthorizer, testing::Server};

const LIMIT: Duration = Duration::from_secs(10);
const WARD: &str = "private-encrypted-ward";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let client = Client::builder(server.options())
        .authorizer(HttpAuthorizer::new(&server.auth_url())) // returns the key as `shared_secret`
        .build()?;
    let ward = client.private_encrypted_channel(WARD)?;
    let (alarms, lost) = (ward.bind("alarm"), ward.bind_decryption_error());
    ward.subscribe();
    client.connect();
    ward.wait_subscribed(LIMIT)?;

    server.publish(WARD, "alarm", "bed 4 is calling");
    let alarm = alarms.recv_timeout(LIMIT)?;
    println!("on the wire: {}", alarm.raw());
    println!("decrypted:   {}", alarm.data());

    server.rotate_encryption_key(WARD);
    server.publish(WARD, "alarm", "bed 7 is calling");
    println!("new key:     {}", alarms.recv_timeout(LIMIT)?.data());
    println!(
        "requests to the endpoint: {} (to subscribe, and for the new key)",
        server.auth_count()
    );

    // A plaintext event on an encrypted channel is never delivered.
    server.publish_plain(WARD, "alarm", "all is well");
    println!("error:       {}", lost.recv_timeout(LIMIT)?);
    client.close(Duration::from_secs(1))?;
    println!("plaintext events delivered: {}", alarms.try_iter().count());
    Ok(())
}
