//! Far sides that mean harm. After each attack the client goes on, or loses the connection with an
//! error that says why and comes back; nothing else is lost, and memory stays bounded.

mod auth;
mod floods;
mod frames;
mod handshake;
mod websocket;

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use pusher_channels::{
    Binding, Client, ClientBuilder, Error, Event, PublicChannel, State, StateChange,
};
use tungstenite::WebSocket;

use crate::support::{SOON, accept, greet, hear, listen, quick, say};

/// A client that is subscribed to a channel of a far side of the test's own making.
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

    fn say(&mut self, frame: &str) {
        say(&mut self.socket, frame);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// What comes later arrives, on the same connection.
    #[track_caller]
    fn goes_on(&mut self) {
        self.count += 1;
        let data = self.count.to_string();
        self.say(&format!(r#"{{"event":"mark","channel":"room","data":"{data}"}}"#));
        assert_eq!(self.marks.recv_timeout(SOON).expect("a later event").data(), data);
        let states: Vec<_> = self.states.try_iter().collect();
        assert!(states.is_empty(), "{states:?}");
    }

    /// Why the connection was lost. The client has come back, with its channel.
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

/// Takes the next connection, and confirms the channel.
fn serve(listener: &TcpListener) -> WebSocket<TcpStream> {
    let mut socket = accept(listener);
    socket.get_ref().set_write_timeout(Some(SOON * 3)).unwrap();
    greet(&mut socket);
    hear(&mut socket, "pusher:subscribe");
    say(
        &mut socket,
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"room","data":"{}"}"#,
    );
    socket
}

/// A frame of WebSocket by hand: `first` has its flags and opcode.
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

/// The most memory that this process has had so far, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
