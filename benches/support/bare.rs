//! What there is to be compared with: tungstenite on a blocking socket, and nothing else; and a model of a client,
//! which hands one `String` per event to another thread.

use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

use pusher_channels::crossbeam_channel::{Receiver, unbounded};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

use super::CHANNEL;
use super::tls::{self, Stream};

pub(crate) type Bare = WebSocket<Box<dyn Stream>>;

/// A connection that has said what the client says.
pub(crate) fn connect(url: &str) -> Bare {
    open(url).0
}

/// The same, and its socket.
fn open(url: &str) -> (Bare, TcpStream) {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let host = rest.split('/').next().expect("a host");
    let stream = TcpStream::connect(host).expect("the blaster listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let socket = stream.try_clone().expect("another descriptor");
    let stream: Box<dyn Stream> = match scheme {
        "wss" => tls::connect(stream),
        _ => Box::new(stream),
    };
    let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
    let Ok((mut bare, _)) = tungstenite::client::client_with_config(url, stream, Some(config))
    else {
        panic!("the blaster does not accept");
    };
    let established = read(&mut bare);
    assert!(established.contains("pusher:connection_established"), "{established}");
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{CHANNEL}"}}}}"#);
    bare.send(Message::text(subscribe)).expect("the blaster reads");
    let confirmation = read(&mut bare);
    assert!(confirmation.contains("subscription_succeeded"), "{confirmation}");
    (bare, socket)
}

/// The text of the next message.
pub(crate) fn read(bare: &mut Bare) -> Utf8Bytes {
    match bare.read().expect("the blaster sends") {
        Message::Text(text) => text,
        other => panic!("{other:?} instead of a text"),
    }
}

/// A client without a protocol: a reader thread, and one `String` for each event that it hands over.
pub(crate) struct Model {
    pub(crate) events: Receiver<String>,
    socket: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Model {
    pub(crate) fn connect(url: &str) -> Self {
        let (mut bare, socket) = open(url);
        let (sender, events) = unbounded();
        let reader = thread::spawn(move || {
            while let Ok(Message::Text(text)) = bare.read() {
                if sender.send(text.as_str().to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { events, socket, reader: Some(reader) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.socket.shutdown(Shutdown::Both);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}
