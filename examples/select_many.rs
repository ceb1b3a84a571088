//! Waits for events of several channels and for state changes on one thread.
//!
//! Run it with `cargo run --example select_many`.

use std::time::Duration;

use pusher_channels::crossbeam_channel::{select, tick};
use pusher_channels::{Client, Reconnect, State, testing};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = testing::Server::start()?;
    let client = Client::builder(server.options())
        .reconnect(Reconnect::default().initial(Duration::from_millis(200)))
        .build()?;
    let [news, sport] = [client.public_channel("news")?, client.public_channel("sport")?];
    let (headlines, results) = (news.bind("headline"), sport.bind("result"));
    let (states, resumed) = (client.bind_states(), news.bind_resumed());
    news.subscribe();
    sport.subscribe();
    client.connect();

    let clock = tick(Duration::from_millis(100));
    let mut ticks = 0;
    loop {
        select! {
            recv(*headlines) -> event => println!("headline: {}", event?.data()),
            recv(*results) -> event => println!("result:   {}", event?.data()),
            recv(*resumed) -> gap => println!("events of the last {:?} may be missing", gap?.length()),
            recv(*states) -> change => {
                let change = change?;
                println!("state:    {:?}, next dial in {:?}", change.current, change.retry_in);
                if change.current == State::Disconnected {
                    return Ok(());
                }
            }
            recv(clock) -> _ => {
                // The server publishes, and once drops the connection.
                ticks += 1;
                match ticks {
                    5 => server.drop_connections(),
                    20 => client.disconnect(),
                    _ => {
                        server.publish("news", "headline", &format!("number {ticks}"));
                        server.publish("sport", "result", &format!("{ticks} : 0"));
                    }
                }
            }
        }
    }
}
