use pusher_channels::{Client, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("PUSHER_URL")?; // wss://host:port/app/key?protocol=7
    let client = Client::new(Options::url(&url))?;
    let channel = client.public_channel("readings")?;
    let readings = channel.bind("reading");
    channel.subscribe();
    client.connect();
    for reading in &readings {
        println!("{}", reading.data());
    }
    Ok(())
}
