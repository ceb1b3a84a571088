//! A device publishes readings and receives commands, and keeps its readings across a restart of the server.
//!
//! Run it with `cargo run --example edge_sensor`.

use std::error::Error;
use std::time::Duration;

use pusher_channels::crossbeam_channel::{select, tick};
use pusher_channels::testing::{Server, Settings};
use pusher_channels::{Client, Options, Outbox, PrivateChannel, Reconnect, SecretAuthorizer};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(10);

fn join(options: Options) -> Outcome<(Client, PrivateChannel)> {
    let client = Client::builder(options)
        // For devices that may hold the app secret; others use an `HttpAuthorizer`.
        .authorizer(SecretAuthorizer::new("app-key", "app-secret"))
        .reconnect(Reconnect::default().initial(Duration::from_millis(300)))
        // Without a connection the newest thousand readings wait.
        .outbox(Outbox::new(1000))
        .build()?;
    let boiler = client.private_channel("private-boiler")?;
    boiler.subscribe();
    Ok((client, boiler))
}

/// Measures at an interval that commands set, until one stops it.
fn sensor(options: Options) -> Outcome<()> {
    let (client, boiler) = join(options)?;
    let (states, commands) = (client.bind_states(), boiler.bind("client-interval"));
    client.connect();
    let mut clock = tick(Duration::from_millis(200));
    let mut number = 0u32;
    loop {
        select! {
            recv(clock) -> _ => {
                number += 1;
                boiler.trigger("client-reading", &serde_json::json!({ "number": number }))?;
            }
            recv(*commands) -> command => match command?.json::<[u64; 1]>()? {
                [0] => break,
                [interval] => clock = tick(Duration::from_millis(interval)),
            },
            recv(*states) -> change => println!("sensor: {:?}", change?.current),
        }
    }
    println!("sensor: stopped after {number} readings, {} unsent", client.stats().outbox);
    Ok(client.close(Duration::from_secs(1))?)
}

fn main() -> Outcome<()> {
    let mut server = Server::start()?;
    let (operator, boiler) = join(server.options())?;
    let (readings, resumed) = (boiler.bind("client-reading"), boiler.bind_resumed());
    operator.connect();
    boiler.wait_subscribed(LIMIT)?;

    let options = server.options();
    let device = std::thread::Builder::new().name("sensor".into()).spawn(|| sensor(options))?;
    for count in 1..=15 {
        println!("operator: reading {}", readings.recv_timeout(LIMIT)?.data());
        match count {
            5 => {
                let port = server.port();
                drop(server);
                println!("the server has stopped");
                server = Server::start_with(Settings::default().port(port))?;
                println!("resubscribed after {:?}", resumed.recv_timeout(LIMIT)?.length());
            }
            10 => boiler.trigger("client-interval", &[150])?,
            15 => boiler.trigger("client-interval", &[0])?,
            _ => {}
        }
    }
    device.join().map_err(|_| "the sensor panicked")??;
    println!("connections left: {} (the operator)", server.connections());
    Ok(())
}
