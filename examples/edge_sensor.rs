//! A device publishes readings, executes commands, and survives a restart of the server without losing a reading.

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
        // For devices that may store the app's secret; others use an `HttpAuthorizer`.
        .authorizer(SecretAuthorizer::new("app-key", "app-secret"))
        .reconnect(Reconnect::default().initial(Duration::from_millis(300)))
        .build()?;
    let boiler = client.private_channel("private-boiler")?;
    boiler.subscribe();
    Ok((client, boiler))
}

/// Measures at an interval that commands change, until a command stops it. Readings wait while disconnected.
fn sensor(options: Options) -> Outcome<()> {
    let (client, boiler) = join(options)?;
    let (states, commands) = (client.bind_states(), boiler.bind("client-pace"));
    client.connect();
    let mut clock = tick(Duration::from_millis(200));
    let (mut number, mut waiting) = (0u32, VecDeque::new());
    loop {
        select! {
            recv(clock) -> _ => {
                number += 1;
                waiting.push_back(number);
                if waiting.len() > KEPT {
                    waiting.pop_front(); // bounded: drop the oldest
                }
            }
            recv(*commands) -> command => match command?.json::<u64>()? {
                0 => break,
                pace => clock = tick(Duration::from_millis(pace)),
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
    println!("sensor: told to stop after {number} readings, {} unsent", waiting.len());
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
                println!("the server is gone");
                server = Server::start_with(Settings::default().port(port))?;
                println!("the server is back after {:?}", resumed.recv_timeout(LIMIT)?.length());
            }
            10 => boiler.trigger("client-pace", &150)?,
            15 => boiler.trigger("client-pace", &0)?,
            _ => {}
        }
    }
    device.join().map_err(|_| "the sensor panicked")??;
    println!("the server has {} connection left, the operator's", server.connections());
    Ok(())
}
