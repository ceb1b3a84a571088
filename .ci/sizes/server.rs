//! Serves `ws` and `wss` for the subscribers that are measured. Prints both URLs, and the certificate to trust for the
//! latter. Publishes an event to both for each line that it reads, and ends with the input.

use std::io;

use pusher_channels::testing::{Server, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let servers = [
        Server::start()?,
        Server::start_with(Settings::default().tls(chain.as_bytes(), key.as_bytes()))?,
    ];
    for server in &servers {
        println!("{}", server.url());
    }
    println!("{chain}");
    for line in io::stdin().lines() {
        line?;
        for server in &servers {
            server.publish("readings", "reading", "21.5");
        }
    }
    Ok(())
}
