//! What there is to be compared with: tungstenite on a blocking socket, and nothing else.

use std::net::TcpStream;

use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

use super::CHANNEL;

pub(crate) type Bare = WebSocket<TcpStream>;

/// A connection that has said what the client says.
pub(crate) fn connect(url: &str) -> Bare {
    let rest = url.strip_prefix("ws://").expect("a ws:// URL");
    let host = rest.split('/').next().expect("a host");
    let stream = TcpStream::connect(host).expect("the blaster listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let (mut bare, _) = tungstenite::client::client_with_config(url, stream, Some(config))
        .expect("the blaster accepts");
    let greeting = read(&mut bare);
    assert!(greeting.contains("pusher:connection_established"), "{greeting}");
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{CHANNEL}"}}}}"#);
    bare.send(Message::text(subscribe)).expect("the blaster reads");
    let answer = read(&mut bare);
    assert!(answer.contains("subscription_succeeded"), "{answer}");
    bare
}

/// The text of the next message.
pub(crate) fn read(bare: &mut Bare) -> Utf8Bytes {
    match bare.read().expect("the blaster sends") {
        Message::Text(text) => text,
        other => panic!("{other:?} instead of a text"),
    }
}
