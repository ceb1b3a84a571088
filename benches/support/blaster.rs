//! The other end, in a process of its own so that its CPU time is not counted.
//!
//! The bench starts its own executable again. What a connection is to be sent is in its URL.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::{CHANNEL, EVENT, nanos, tls};

const ROLE: &str = "PUSHER_BENCH_ROLE";

/// So many frames differ from each other.
const CYCLE: usize = 64;
/// So much at least goes out in one write.
const WRITE: usize = 256 * 1024;
/// So much may be on its way, or wait in the consumer's queue.
const WINDOW: usize = 8 * 1024 * 1024;

/// Channels of this prefix report when their subscribing began.
pub(crate) const PROBE: &str = "probe-";

/// What a connection is sent once it has subscribed.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    Nothing,
    /// So many events of that many bytes of data, as fast as they are read.
    Flood {
        size: usize,
        events: usize,
    },
    /// As `Flood`, on so many channels in turn.
    Channels {
        size: usize,
        events: usize,
        channels: usize,
    },
    /// As many as there is time for.
    Endless {
        size: usize,
    },
    /// One thousand events a second that have the time they were sent.
    Paced {
        events: usize,
    },
}

impl Load {
    fn to_path(self) -> String {
        match self {
            Self::Nothing => "/app/nothing".to_owned(),
            Self::Flood { size, events } => format!("/app/flood-{size}-{events}"),
            Self::Channels { size, events, channels } => {
                format!("/app/channels-{size}-{events}-{channels}")
            }
            Self::Endless { size } => format!("/app/endless-{size}"),
            Self::Paced { events } => format!("/app/paced-{events}"),
        }
    }

    fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/app/")?.split('-');
        let kind = parts.next()?;
        let mut number = || parts.next()?.parse().ok();
        Some(match kind {
            "nothing" => Self::Nothing,
            "flood" => Self::Flood { size: number()?, events: number()? },
            "channels" => {
                Self::Channels { size: number()?, events: number()?, channels: number()? }
            }
            "endless" => Self::Endless { size: number()? },
            "paced" => Self::Paced { events: number()? },
            _ => return None,
        })
    }
}

/// The number that the events carry, in turn.
pub(crate) fn mark(index: usize) -> String {
    format!(r#"{{\"n\":{}"#, 1000 + index % CYCLE)
}

/// Frames of one size, encoded.
pub(crate) struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    /// `size` is that of the data after decoding.
    pub(crate) fn new(size: usize) -> Self {
        Self::in_turn(CYCLE, |index| text(CHANNEL, size, index))
    }

    /// Each is on the next one of so many channels.
    pub(crate) fn on_channels(size: usize, channels: usize) -> Self {
        Self::in_turn(channels, |index| text(&channel(index), size, index))
    }

    fn in_turn(cycle: usize, text: impl Fn(usize) -> String) -> Self {
        let mut frames = Self { bytes: Vec::new(), ends: Vec::new() };
        while frames.bytes.len() < WRITE {
            for index in 0..cycle {
                frame(&text(index), &mut frames.bytes);
                frames.ends.push(frames.bytes.len());
            }
        }
        frames
    }

    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    fn first(&self, count: usize) -> &[u8] {
        let end = count.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        &self.bytes[..end.unwrap_or_default()]
    }

    fn window(&self) -> usize {
        (WINDOW / self.bytes.len()).max(4)
    }
}

/// One event whose data is a string of JSON: short keys, so that a sixth of it are escaped quotes.
fn text(channel: &str, size: usize, index: usize) -> String {
    let mut data = mark(index).replace('\\', "");
    for member in 0.. {
        let more = format!(r#","k{}":"v{:03}""#, member % 10, member * 7 % 1000);
        if data.len() + more.len() + 1 > size {
            break;
        }
        data.push_str(&more);
    }
    // A space is JSON too, where nothing else fits.
    data.extend(std::iter::repeat_n(' ', size.saturating_sub(data.len() + 1)));
    data.push('}');
    let data = data.replace('"', "\\\"");
    format!(r#"{{"event":"{EVENT}","channel":"{channel}","data":"{data}"}}"#)
}

/// The name of one of many channels.
pub(crate) fn channel(index: usize) -> String {
    format!("{CHANNEL}-{index}")
}

/// Adds a frame as a server sends it: whole and not masked.
fn frame(text: &str, bytes: &mut Vec<u8>) {
    bytes.push(0x81);
    match text.len() {
        short @ ..126 => bytes.push(short as u8),
        long @ ..0x1_0000 => {
            bytes.push(126);
            bytes.extend((long as u16).to_be_bytes());
        }
        longer => {
            bytes.push(127);
            bytes.extend((longer as u64).to_be_bytes());
        }
    }
    bytes.extend(text.as_bytes());
}

/// The process, as seen by the bench. Killed when dropped.
pub(crate) struct Blaster {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Blaster {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().expect("the path of this executable");
        let mut child = Command::new(this)
            .env(ROLE, "blaster")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this executable starts again");
        let stdin = child.stdin.take().expect("is piped");
        let stdout = BufReader::new(child.stdout.take().expect("is piped"));
        let mut blaster = Self { child, stdin, stdout, port: 0 };
        blaster.port = blaster.line().parse().expect("a port");
        blaster
    }

    pub(crate) fn url(&self, load: Load) -> String {
        format!("ws://127.0.0.1:{}{}", self.port, load.to_path())
    }

    /// The same over TLS. Only for `Load::Flood`.
    pub(crate) fn url_tls(&self, load: Load) -> String {
        format!("wss://127.0.0.1:{}{}", self.port, load.to_path())
    }

    /// One more write's worth of events has been consumed.
    pub(crate) fn consumed(&mut self) {
        self.stdin.write_all(b"+").expect("the blaster reads");
    }

    /// Next line that it has printed.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the blaster writes");
        line.trim().to_owned()
    }

    /// How long the subscribe frames of a connection, which has ended, took to reach the blaster: in
    /// the order in which they came, in nanoseconds.
    pub(crate) fn probes(&mut self) -> Vec<u64> {
        self.line().split_whitespace().map(|took| took.parse().expect("a time")).collect()
    }
}

impl Drop for Blaster {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays the blaster and does not return, if this process is one.
pub(crate) fn run_if_child() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("an address").port());
    let config = tls::server();
    let credit = Arc::new(Credit::default());
    let taken = Arc::clone(&credit);
    thread::spawn(move || {
        // Until the bench has ended, however it did.
        let mut bytes = [0; 64];
        while let Ok(1..) = io::stdin().read(&mut bytes[..1]) {
            taken.add(1);
        }
        std::process::exit(0);
    });
    for stream in listener.incoming().flatten() {
        let (credit, config) = (Arc::clone(&credit), Arc::clone(&config));
        // A connection that breaks is the bench's to notice.
        thread::spawn(move || match tls::is_tls(&stream) {
            true => serve_tls(tls::accept(stream, config), &credit).ok(),
            false => serve(stream, &credit).ok(),
        });
    }
}

/// How many writes the consumer is ready for.
#[derive(Default)]
struct Credit(Mutex<usize>, Condvar);

impl Credit {
    fn set(&self, writes: usize) {
        *self.0.lock().expect("no panics") = writes;
    }

    fn add(&self, writes: usize) {
        *self.0.lock().expect("no panics") += writes;
        self.1.notify_one();
    }

    fn take(&self) {
        let mut left = self.0.lock().expect("no panics");
        while *left == 0 {
            left = self.1.wait(left).expect("no panics");
        }
        *left -= 1;
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Accepts a WebSocket, sends `pusher:connection_established`, and returns what is to be sent.
fn accept<S: Read + Write>(stream: S) -> Result<(WebSocket<S>, Load)> {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "tungstenite's type")]
    let look = |request: &Request, response: Response| -> std::result::Result<_, ErrorResponse> {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let mut socket =
        tungstenite::accept_hdr_with_config(stream, look, Some(WebSocketConfig::default()))
            .map_err(|error| error.to_string())?;
    let load = Load::of_path(&path).ok_or("an unknown path")?;
    let established = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}"#;
    socket.send(Message::text(established))?;
    Ok((socket, load))
}

fn serve(stream: TcpStream, credit: &Credit) -> Result<()> {
    stream.set_nodelay(true)?;
    let raw = stream.try_clone()?;
    let (mut socket, load) = accept(stream)?;
    let probes = read(&mut socket, raw, load, credit)?;
    if matches!(load, Load::Nothing | Load::Endless { .. }) || !probes.is_empty() {
        println!("{}", probes.join(" "));
    }
    Ok(())
}

/// Over TLS nothing is read while the flood goes out.
fn serve_tls(stream: tls::Accepted, credit: &Credit) -> Result<()> {
    let (mut socket, load) = accept(stream)?;
    socket.read()?;
    socket.send(confirmation(CHANNEL))?;
    send(socket.get_mut(), load, credit)?;
    while socket.read().is_ok() {}
    Ok(())
}

fn confirmation(channel: &str) -> Message {
    Message::text(format!(
        r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
    ))
}

/// Reads until the end. Subscribing to [`CHANNEL`] starts the load.
fn read(
    socket: &mut WebSocket<TcpStream>,
    raw: TcpStream,
    load: Load,
    credit: &Credit,
) -> Result<Vec<String>> {
    let mut raw = Some(raw);
    let mut probes = Vec::new();
    thread::scope(|scope| {
        while let Ok(message) = socket.read() {
            let arrived = nanos();
            let Message::Text(text) = message else {
                continue;
            };
            if !text.contains("pusher:subscribe") {
                continue;
            }
            let (_, name) = text.split_once(r#""channel":""#).ok_or("no channel")?;
            let name = name.split('"').next().unwrap_or_default();
            if let Some(sent) = name.strip_prefix(PROBE) {
                probes.push(arrived.saturating_sub(sent.parse()?).to_string());
                continue;
            }
            socket.send(confirmation(name))?;
            if let Some(mut raw) = raw.take_if(|_| name == CHANNEL) {
                // A connection that the bench ends is not reported.
                scope.spawn(move || send(&mut raw, load, credit).ok());
            }
        }
        Ok(probes)
    })
}

fn flood(raw: &mut impl Write, frames: &Frames, events: usize, credit: &Credit) -> io::Result<()> {
    credit.set(frames.window());
    let mut left = events;
    while left > 0 {
        credit.take();
        let count = left.min(frames.count());
        raw.write_all(frames.first(count))?;
        left -= count;
    }
    raw.flush()
}

fn send(raw: &mut impl Write, load: Load, credit: &Credit) -> io::Result<()> {
    match load {
        Load::Nothing => Ok(()),
        Load::Flood { size, events } => flood(raw, &Frames::new(size), events, credit),
        Load::Channels { size, events, channels } => {
            flood(raw, &Frames::on_channels(size, channels), events, credit)
        }
        Load::Endless { size } => {
            let frames = Frames::new(size);
            loop {
                raw.write_all(&frames.bytes)?;
            }
        }
        Load::Paced { events } => {
            let mut bytes = Vec::new();
            let mut next = Instant::now();
            for _ in 0..events {
                next += Duration::from_millis(1);
                thread::sleep(next.saturating_duration_since(Instant::now()));
                bytes.clear();
                let sent = nanos();
                let text = format!(
                    r#"{{"event":"{EVENT}","channel":"{CHANNEL}","data":"{{\"t\":{sent}}}"}}"#
                );
                frame(&text, &mut bytes);
                raw.write_all(&bytes)?;
            }
            Ok(())
        }
    }
}
