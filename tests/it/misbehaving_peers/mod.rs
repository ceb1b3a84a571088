//! Peers that misbehave. The client ignores it, or loses the connection with an error that says why and
//! reconnects; nothing else is lost, and memory stays bounded.

mod auth_endpoints;
mod floods;
mod frames;
mod handshake;
mod websocket;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use pusher_channels::{
    Binding, Client, ClientBuilder, Error, Event, Options, PublicChannel, State, StateChange,
};
use tungstenite::WebSocket;

use crate::support::{
    AT_ONCE, SOON, confirm_room, establish, listen, next, quick, read_head, send, spawn,
    wait_for_close, wait_for_end,
};

/// A client that is subscribed to `room` of a scripted peer.
struct Stage {
    client: Client,
    listener: TcpListener,
    socket: WebSocket<TcpStream>,
    room: PublicChannel,
    marks: Binding<Event>,
    errors: Binding<Error>,
    states: Binding<StateChange>,
    count: u32,
}

impl Stage {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(edit: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let (listener, options) = listen();
        let client = edit(quick(options)).build().unwrap();
        let room = client.public_channel("room").unwrap();
        room.subscribe();
        client.connect();
        let socket = serve(&listener);
        room.wait_subscribed(SOON).unwrap();
        let (marks, errors, states) =
            (room.bind("mark"), client.bind_errors(), client.bind_states());
        Self { client, listener, socket, room, marks, errors, states, count: 0 }
    }

    fn send(&mut self, frame: &str) {
        send(&mut self.socket, frame);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// A later event arrives, on the same connection.
    #[track_caller]
    fn goes_on(&mut self) {
        self.count += 1;
        let data = self.count.to_string();
        self.send(&format!(r#"{{"event":"mark","channel":"room","data":"{data}"}}"#));
        assert_eq!(self.marks.recv_timeout(SOON).expect("a later event").data(), data);
        let states: Vec<_> = self.states.try_iter().collect();
        assert!(states.is_empty(), "{states:?}");
    }

    /// Returns why the connection was lost, after the client has reconnected and resubscribed.
    #[track_caller]
    fn lost(&mut self) -> Error {
        let change = self.states.recv_timeout(SOON).expect("a lost connection");
        assert_eq!(change.current, State::Reconnecting);
        self.socket = serve(&self.listener);
        let back = self.states.recv_timeout(SOON).unwrap();
        assert_eq!(back.current, State::Connected, "{back:?}");
        self.room.wait_subscribed(SOON).unwrap();
        self.goes_on();
        change.cause.expect("a cause")
    }
}

/// Establishes the next connection, and confirms the channel.
fn serve(listener: &TcpListener) -> WebSocket<TcpStream> {
    let mut socket = establish(listener);
    socket.get_ref().set_write_timeout(Some(SOON * 3)).unwrap();
    confirm_room(&mut socket);
    socket
}

/// Lets the first connection fail by `misbehave` and establishes the second. Returns the cause of the failure.
fn failure(tls: bool, misbehave: impl FnOnce(TcpStream) + Send + 'static) -> Error {
    let (listener, options) = listen();
    // Only the first connection is dialled over TLS.
    let url = options.clone().to_url().unwrap();
    let secure = options.tls(true).to_url().unwrap();
    let first = AtomicBool::new(tls);
    let options = Options::custom(move |_| match first.swap(false, Ordering::Relaxed) {
        true => secure.clone(),
        false => url.clone(),
    });
    // Long enough for the second connection, on a busy machine too.
    let client = quick(options).connect_timeout(AT_ONCE * 3 / 2).build().unwrap();
    let states = client.bind_states();
    let ended = spawn(move || {
        misbehave(listener.accept().unwrap().0);
        wait_for_close(establish(&listener))
    });
    client.connect();
    let changes = [next(&states), next(&states), next(&states)];
    client.close(SOON).unwrap();
    assert_eq!(ended.recv_timeout(SOON).unwrap(), Some(1000));
    let states = changes.each_ref().map(|change| change.current);
    assert_eq!(states, [State::Connecting, State::Reconnecting, State::Connected]);
    let [_, failed, _] = changes;
    assert!(failed.attempt == 1 && failed.retry_in.is_some(), "{failed:?}");
    failed.cause.unwrap()
}

/// Reads the request and responds with these bytes.
fn respond(mut stream: TcpStream, reply: &str) {
    read_head(&mut stream);
    stream.write_all(reply.as_bytes()).unwrap();
    wait_for_end(stream);
}

/// A WebSocket frame; `first` holds its flags and opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(u8::try_from(length).unwrap()),
        length => {
            frame.push(127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The peak memory of this process, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
