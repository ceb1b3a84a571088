//! A custom connection: a pair of in-memory queues with a small server behind it. It could be a Unix socket to
//! a gateway, a serial line, or a recording.
//!
//! Run it with `cargo run --example own_connection`.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, Sender, unbounded};
use pusher_channels::{Client, Connection, Connector, Error, ErrorKind, Message, Options};

const LIMIT: Duration = Duration::from_secs(10);

/// The client's end.
struct Pipe {
    received: Receiver<Message>,
    to_server: Sender<String>,
    /// Wakes `recv` when this side closes.
    close: Mutex<Option<Sender<Message>>>,
}

impl Connection for Pipe {
    fn recv(&self) -> Result<Message, Error> {
        self.received.recv().map_err(|_| Error::new(ErrorKind::Closed, "the pipe is closed"))
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        let sent = self.to_server.send(text.to_owned());
        sent.map_err(|_| Error::new(ErrorKind::Io, "the server is gone"))
    }

    fn close(&self, code: u16) {
        let sender = self.close.lock().ok().and_then(|mut close| close.take());
        if let Some(sender) = sender {
            let _ = sender.send(Message::Close(Some(code), "closed here".to_owned()));
        }
    }
}

/// Opens pipes, each to a server thread.
struct Pipes;

impl Connector for Pipes {
    fn connect(&self, url: &str, _deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        println!("connecting to {url}");
        let (to_client, received) = unbounded();
        let (to_server, requests) = unbounded();
        let close = Mutex::new(Some(to_client.clone()));
        thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || serve(&to_client, &requests))?;
        Ok(Box::new(Pipe { received, to_server, close }))
    }
}

/// Establishes the connection, and responds to each subscription with a confirmation and an event.
fn serve(client: &Sender<Message>, requests: &Receiver<String>) {
    let send = |frame: &str| client.send(Message::Text(frame.to_owned())).is_ok();
    send(r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\"}"}"#);
    for request in requests {
        println!("the server received {request}");
        if request.contains("pusher:subscribe") {
            send(
                r#"{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}"#,
            );
            send(r#"{"event":"headline","channel":"news","data":"sent without a network"}"#);
        }
    }
}

fn main() -> Result<(), Error> {
    let client =
        Client::builder(Options::url("ws://in-memory/app/key")).connector(Pipes).build()?;
    let news = client.public_channel("news")?;
    let headlines = news.bind("headline");
    news.subscribe();
    client.connect();
    news.wait_subscribed(LIMIT)?;
    let headline =
        headlines.recv_timeout(LIMIT).map_err(|error| Error::new(ErrorKind::Timeout, error))?;
    println!("headline: {}", headline.data());
    client.close(LIMIT)
}
