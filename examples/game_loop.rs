//! A loop of 60 frames per second that polls for events once per frame and never blocks on them.
//!
//! Run it with `cargo run --example game_loop`.

#![allow(clippy::disallowed_methods, reason = "a game has a clock, and sleeps between frames")]

use std::time::{Duration, Instant};

use pusher_channels::{Client, testing};

const FRAME: Duration = Duration::from_micros(16_667);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = testing::Server::start()?;
    let client = Client::new(server.options())?;
    let world = client.public_channel("world")?;
    let moves = world.bind("move");
    let states = client.bind_states();
    world.subscribe();
    client.connect();
    println!("running 120 frames while the client connects");

    let start = Instant::now();
    let (mut position, mut longest) = (0i64, Duration::ZERO);
    for frame in 0..120u32 {
        let begin = Instant::now();
        if let Ok(change) = states.try_recv() {
            println!("frame {frame}: {:?} -> {:?}", change.previous, change.current);
        }
        for event in moves.try_iter() {
            position += event.json::<i64>()?;
            println!("frame {frame}: moved to {position}");
        }
        longest = longest.max(begin.elapsed());
        if frame % 20 == 19 {
            server.publish("world", "move", &i64::from(frame)); // another player
        }
        // A real game waits for the display.
        let next = start + FRAME * (frame + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    println!("the longest poll took {longest:?}");
    client.close(Duration::from_secs(1))?;
    Ok(())
}
