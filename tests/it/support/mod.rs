//! Scripted peers, clients to set against them, and what the tests have in common.

pub(crate) mod memory;
#[path = "../../../src/util/time_scale.rs"]
pub(crate) mod time_scale;

use std::any::type_name;
use std::borrow::BorrowMut;
#[cfg(all(target_os = "linux", tls))]
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Once, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use pusher_channels::{Binding, Client, ClientBuilder, Error, ErrorKind, Options, Reconnect};
use tungstenite::{Message, WebSocket};

pub(crate) use time_scale::scaled;

/// No test waits longer than this for something that must happen.
pub(crate) const SOON: Duration = scaled(Duration::from_secs(10));

/// What must not wait for anything else takes less than this.
pub(crate) const AT_ONCE: Duration = scaled(Duration::from_secs(1));

#[expect(clippy::disallowed_methods, reason = "the tests have no part in the library's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A listener on a free port of this machine, and the options that lead to it.
pub(crate) fn listen() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = options(listener.local_addr().unwrap());
    (listener, options)
}

pub(crate) fn options(address: SocketAddr) -> Options {
    Options::host(&address.ip().to_string(), "key").port(address.port()).tls(false)
}

/// A port that refuses connections.
pub(crate) fn refusing() -> Options {
    let (listener, options) = listen();
    drop(listener);
    options
}

/// Runs a peer on a thread. The receiver gets the result, or an error if the thread panicked.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (done, wait) = mpsc::channel();
    thread::Builder::new()
        .name("peer".to_owned())
        .spawn(move || {
            // A test that has failed already does not wait for it.
            let _ = done.send(work());
        })
        .unwrap();
    wait
}

/// Accepts the next connection and does the WebSocket handshake.
pub(crate) fn accept(listener: &TcpListener) -> WebSocket<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    tungstenite::accept(stream).unwrap()
}

/// Accepts the next connection and establishes it.
pub(crate) fn establish(listener: &TcpListener) -> WebSocket<TcpStream> {
    let mut socket = accept(listener);
    send_established(&mut socket);
    socket
}

pub(crate) fn send_established(socket: &mut WebSocket<TcpStream>) {
    send(
        socket,
        r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#,
    );
}

/// Waits for a subscription to `room`, and confirms it.
pub(crate) fn confirm_room(socket: &mut WebSocket<TcpStream>) {
    wait_for(socket, "pusher:subscribe");
    send(
        socket,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"room","data":"{}"}"#,
    );
}

pub(crate) fn send(socket: &mut WebSocket<TcpStream>, frame: &str) {
    socket.send(Message::text(frame)).unwrap();
}

/// Reads until a frame of this event arrives.
pub(crate) fn wait_for(socket: &mut WebSocket<TcpStream>, event: &str) {
    let wanted = format!(r#""event":"{event}""#);
    while !socket.read().unwrap().into_text().unwrap().contains(&wanted) {}
}

/// Reads until the connection ends. Returns the code of the close frame, if there was one.
pub(crate) fn wait_for_close(mut socket: impl BorrowMut<WebSocket<TcpStream>>) -> Option<u16> {
    loop {
        match socket.borrow_mut().read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Reads and ignores everything until the connection ends.
pub(crate) fn wait_for_end(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
}

/// Reads the head of a request.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A client that reconnects quickly.
pub(crate) fn quick(options: Options) -> ClientBuilder {
    let policy = Reconnect::default().initial(Duration::from_millis(5));
    Client::builder(options).reconnect(policy.max(Duration::from_millis(20)))
}

pub(crate) fn next<T>(binding: &Binding<T>) -> T {
    binding.recv_timeout(SOON).expect("nothing came")
}

#[track_caller]
pub(crate) fn check(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
}

const CHILD: &str = "PUSHER_CHANNELS_TEST_CHILD";

/// Runs the body in a process that runs nothing but this test, and shows what it prints.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    alone_as::<F>(body);
}

/// As [`alone`], for the test in which the closure `T` is written.
pub(crate) fn alone_as<T>(body: impl FnOnce()) {
    alone_set_up::<T>(|child| child, body);
}

/// As [`alone`], with this variable in the child's environment.
#[cfg(all(target_os = "linux", tls))]
pub(crate) fn alone_with<F: FnOnce()>(name: &str, value: impl AsRef<OsStr>, body: F) {
    alone_set_up::<F>(|child| child.env(name, value), body);
}

fn alone_set_up<T>(set_up: impl FnOnce(&mut Command) -> &mut Command, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return body();
    }
    let mut child = only::<T>(Command::new(std::env::current_exe().unwrap()));
    let output = set_up(child.env(CHILD, "1")).output();
    println!("{}", passed(&output.unwrap()));
}

/// Adds the arguments that run only the test in which the closure `T` is written.
pub(crate) fn only<T>(mut command: Command) -> Command {
    // `it::module::test::{{closure}}`
    let (_, test) = type_name::<T>().split_once("::").unwrap();
    let test = test.strip_suffix("::{{closure}}").unwrap();
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}

/// Returns what a child printed that ran one test.
pub(crate) fn passed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "the child ran no test: {text}");
    text.into_owned()
}

struct Logger<F>(F);

impl<F: Fn(&Record<'_>) + Send + Sync> Log for Logger<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        (self.0)(record);
    }

    fn flush(&self) {}
}

/// Makes this the logger of the process, so the test must be [`alone`].
pub(crate) fn log_to(level: LevelFilter, log: impl Fn(&Record<'_>) + Send + Sync + 'static) {
    log::set_logger(Box::leak(Box::new(Logger(log)))).unwrap();
    log::set_max_level(level);
}

/// Says on standard error, once for the whole run, that some tests did not run.
pub(crate) fn skipped(once: &Once, message: &str) {
    once.call_once(|| {
        // Not `eprintln!`, which the test runner hides when a test passes.
        let _ = std::io::stderr().write_all(format!("\n*** {message} ***\n").as_bytes());
    });
}
