//! Scripted far sides of a connection, and clients to set against them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pusher_channels::{Client, ClientBuilder, Options, Reconnect};
use tungstenite::{Message, WebSocket};

/// No test waits longer than this for something that is to happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "the tests have no part in the library's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A listener on a free port of this machine, and the way to it.
pub(crate) fn listen() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = options(listener.local_addr().unwrap());
    (listener, options)
}

pub(crate) fn options(address: SocketAddr) -> Options {
    Options::host(&address.ip().to_string(), "key").port(address.port()).tls(false)
}

/// Runs a far side on a thread. What it returns tells that it is done.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (done, wait) = mpsc::channel();
    thread::Builder::new()
        .name("far-side".to_owned())
        .spawn(move || {
            // A test that has failed already does not wait for it.
            let _ = done.send(work());
        })
        .unwrap();
    wait
}

/// Takes the next connection and upgrades it.
pub(crate) fn accept(listener: &TcpListener) -> WebSocket<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    tungstenite::accept(stream).unwrap()
}

pub(crate) fn say(socket: &mut WebSocket<TcpStream>, frame: &str) {
    socket.send(Message::text(frame)).unwrap();
}

/// Sends what makes the client connected.
pub(crate) fn greet(socket: &mut WebSocket<TcpStream>) {
    say(
        socket,
        r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#,
    );
}

/// Reads until a frame of this event comes.
pub(crate) fn hear(socket: &mut WebSocket<TcpStream>, event: &str) {
    let wanted = format!(r#""event":"{event}""#);
    while !socket.read().unwrap().into_text().unwrap().contains(&wanted) {}
}

/// Reads until the connection ends, and tells whether a close frame came before.
pub(crate) fn linger(mut socket: WebSocket<TcpStream>) -> Option<u16> {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// A client that comes back quickly.
pub(crate) fn quick(options: Options) -> ClientBuilder {
    let policy = Reconnect::default().initial(Duration::from_millis(5));
    Client::builder(options).reconnect(policy.max(Duration::from_millis(20)))
}

const CHILD: &str = "PUSHER_CHANNELS_TEST_CHILD";

/// Runs `body` in a process that runs nothing but this test, and shows what it prints.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "the child ran no test: {text}");
    println!("{text}");
}
