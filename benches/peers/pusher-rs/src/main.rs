//! pusher-rs on tokio. It parses the data of every event into a `serde_json::Value`.

use std::sync::Mutex;

use peers::{CHANNEL, EVENT, KEY, Task};
use pusher_rs::{PusherClient, PusherConfig};

#[tokio::main]
async fn main() {
    let task = Task::from_args();
    let config = PusherConfig {
        app_key: KEY.to_owned(),
        host: Some(format!("127.0.0.1:{}", task.port)),
        ..PusherConfig::default()
    };
    let mut client = PusherClient::new(config).expect("a client");
    let task = Mutex::new(task);
    let handler = move |event: pusher_rs::Event| {
        let mut task = task.lock().expect("no panics");
        let number = |name| event.data[name].as_u64().expect("a number");
        if task.is_paced() {
            task.sent_at(number("t"));
        } else {
            task.count(number("size") as usize);
        }
    };
    client.bind(EVENT, handler).await.expect("bound");
    client.connect().await.expect("connected");
    client.subscribe(CHANNEL).await.expect("subscribed");
    std::future::pending::<()>().await;
}
