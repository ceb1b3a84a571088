//! The other end of every program: a server that speaks as much of the protocol as one subscription needs, then sends
//! as fast as the program reads, or one event a millisecond.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use peers::{CHANNEL, EVENT, nanos};
use tungstenite::{Message, WebSocket};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a program has until it is connected and subscribed.
const LIMIT: Duration = Duration::from_secs(15);
/// How long a program is left alone once it has subscribed: what it says meanwhile is read, and its memory settles.
const SETTLE: Duration = Duration::from_millis(300);
/// So many writes may be on their way: no more events than a queue of this client holds by default.
const WINDOW: usize = 4;

#[derive(Clone, Copy)]
pub enum Load {
    /// Events of so many bytes of data, as fast as they are taken.
    Flood { size: usize },
    /// So many events that have the time they were sent, one each millisecond.
    Paced { events: usize },
}

/// How many events one write of a flood has.
pub fn write_len(size: usize) -> usize {
    match size {
        ..512 => 1024,
        512..4096 => 512,
        _ => 64,
    }
}

/// One event whose data is a string of JSON, of so many bytes once it is decoded: short members, so that a sixth of them
/// are escaped quotes. `size` is one of them.
pub fn text(size: usize) -> String {
    let mut data = format!(r#"{{"size":{size}"#);
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
    event(&data)
}

fn event(data: &str) -> String {
    let data = data.replace('"', "\\\"");
    format!(r#"{{"event":"{EVENT}","channel":"{CHANNEL}","data":"{data}"}}"#)
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

/// Serves one program until it ends. Reports when it has subscribed and is idle; starts at the first `credit`, and of a
/// flood sends one more write for each further one.
pub fn serve(
    listener: &TcpListener,
    load: Load,
    idle: &Sender<()>,
    credit: &Receiver<()>,
) -> Result<()> {
    let stream = accept(listener)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut raw = stream.try_clone()?;
    let mut socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
    let established = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}"#;
    socket.send(Message::text(established))?;
    while !socket.read()?.to_text()?.contains("pusher:subscribe") {}
    socket.send(Message::text(format!(
        r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{CHANNEL}","data":"{{}}"}}"#
    )))?;
    settle(&mut socket, &raw)?;
    idle.send(())?;
    credit.recv()?;
    match load {
        Load::Flood { size } => flood(&mut raw, size, credit)?,
        Load::Paced { events } => paced(&mut raw, events)?,
    }
    // The program ends the connection.
    raw.set_read_timeout(None)?;
    while socket.read().is_ok() {}
    Ok(())
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let end = Instant::now() + LIMIT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads, and so responds to pings.
fn settle(socket: &mut WebSocket<TcpStream>, raw: &TcpStream) -> Result<()> {
    let end = Instant::now() + SETTLE;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        raw.set_read_timeout(Some(left))?;
        match socket.read() {
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            other => drop(other?),
        }
    }
    Ok(())
}

fn flood(raw: &mut TcpStream, size: usize, credit: &Receiver<()>) -> Result<()> {
    let mut one = Vec::new();
    frame(&text(size), &mut one);
    let bytes = one.repeat(write_len(size));
    for _ in 1..WINDOW {
        raw.write_all(&bytes)?;
    }
    raw.write_all(&bytes)?;
    while credit.recv().is_ok() {
        raw.write_all(&bytes)?;
    }
    Ok(())
}

fn paced(raw: &mut TcpStream, events: usize) -> Result<()> {
    let mut bytes = Vec::new();
    let mut next = Instant::now();
    for _ in 0..events {
        next += Duration::from_millis(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        bytes.clear();
        frame(&event(&format!(r#"{{"t":{}}}"#, nanos())), &mut bytes);
        raw.write_all(&bytes)?;
    }
    Ok(())
}
