//! This client, with its defaults: one binding, and a loop that takes the data as text, or parsed into a
//! `serde_json::Value` if there is a fourth argument.

use std::hint::black_box;

use peers::{CHANNEL, EVENT, KEY, Task};
use pusher_channels::{Client, Options};
use serde_json::Value;

fn main() {
    let mut task = Task::from_args();
    let parsed = std::env::args().nth(4).is_some();
    let options = Options::host("127.0.0.1", KEY).port(task.port).tls(false);
    let client = Client::new(options).expect("a client");
    let channel = client.public_channel(CHANNEL).expect("a channel");
    let binding = channel.bind(EVENT);
    channel.subscribe();
    client.connect();
    for event in &binding {
        match (task.is_paced(), parsed) {
            (false, false) => task.count(black_box(event.data()).len()),
            (true, false) => task.text_sent_at(event.data()),
            (paced, true) => {
                let value: Value = black_box(event.json().expect("it is JSON"));
                let number = |name| value[name].as_u64().expect("a number");
                if paced {
                    task.sent_at(number("t"));
                } else {
                    task.count(number("size") as usize);
                }
            }
        }
        assert_eq!(binding.dropped(), 0, "the server sends no more than the queue holds");
    }
}
