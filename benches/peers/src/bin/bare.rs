//! The floor: tungstenite on a blocking socket, and nothing else. It reads messages and does not look into them.

use std::hint::black_box;
use std::net::TcpStream;

use peers::{CHANNEL, KEY, Task};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

fn read(socket: &mut WebSocket<TcpStream>) -> Utf8Bytes {
    match socket.read().expect("the server sends") {
        Message::Text(text) => text,
        other => panic!("{other:?} instead of a text"),
    }
}

fn main() {
    let mut task = Task::from_args();
    let stream = TcpStream::connect(("127.0.0.1", task.port)).expect("the server listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let url = format!("ws://127.0.0.1:{}/app/{KEY}?protocol=7", task.port);
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let (mut socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
        .expect("the server accepts");
    assert!(read(&mut socket).contains("pusher:connection_established"));
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{CHANNEL}"}}}}"#);
    socket.send(Message::text(subscribe)).expect("the server reads");
    assert!(read(&mut socket).contains("subscription_succeeded"));
    loop {
        let text = black_box(read(&mut socket));
        if task.is_paced() {
            task.text_sent_at(&text);
        } else {
            task.count(text.len());
        }
    }
}
