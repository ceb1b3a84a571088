//! A device publishes readings and receives commands, and keeps its readings across a restart of the server.
//!
//! Run it with `cargo run --example edge_sensor`.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use pusher_channels::crossbeam_channel::{select, tick};
use pusher_channels::testing::{Server, Settings};
use pusher_channels::{Client, ErrorKind, Options, PrivateChannel, Reconnect, SecretAuthorizer};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LIMIT: Duration = Duration::from_secs(10);
const KEPT: usize = 1000;

fn join(options: Options) -> Outcome<(Client, PrivateChannel)> {
    let client = Client::builder(options)
        // For devices that may hold the app secret; others use an `HttpAuthorizer`.
        .authorizer(SecretAuthorizer::new("app-key", "app-secret"))
        .reconnect(Reconnect::default().initial(Duration::from_millis(300)))
        .build()?;
    let boiler = client.private_channel("private-boiler")?;
    boiler.subscribe();
    Ok((client, boiler))
}

/// Measures at an interval that commands set, until one stops it. Readings are kept while there is no connection.
fn sensor(options: Options) -> Outcome<()> {
    let (client, boiler) = join(options)?;
    let (states, commands) = (client.bind_states(), boiler.bind("client-interval"));
    client.connect();
    let mut clock = tick(Duration::from_millis(200));
    let (mut number, mut waiting) = (0u32, VecDeque::new());
    loop {
        select! {
            recv(clock) -> _ => {
                number += 1;
                waiting.push_back(number);
                if waiting.len() > KEPT {
                    waiting.pop_front(); // bounded: the oldest is dropped
                }
            }
            recv(*commands) -> command => match command?.json::<u64>()? {
                0 => break,
                interval => clock = tick(Duration::from_millis(interval)),
            },
            recv(*states) -> change => println!("sensor: {:?}", change?.current),
        }
        while let Some(reading) = waiting.front() {
            use ErrorKind::{NotConnected, NotSubscribed, RateLimited};
            match boiler.trigger("client-reading", reading) {
                Ok(()) => drop(waiting.pop_front()),
                Err(error)
                    if matches!(error.kind(), NotConnected | NotSubscribed | RateLimited) =>
                {
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    println!("sensor: stopped after {number} readings, {} unsent", waiting.len());
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
            10 => boiler.trigger("client-interval", &150)?,
            15 => boiler.trigger("client-interval", &0)?,
            _ => {}
        }
    }
    device.join().map_err(|_| "the sensor panicked")??;
    println!("connections left: {} (the operator)", server.connections());
    Ok(())
}
