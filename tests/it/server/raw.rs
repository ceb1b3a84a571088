//! A client without any sense of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use pusher_channels::testing::Server;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::LIMIT;

/// A client that says what it is told to, and reads only when asked.
pub(crate) struct Raw(pub(crate) WebSocket<TcpStream>);

impl Raw {
    pub(crate) fn connect(server: &Server) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        let stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(tungstenite::client(server.url(), stream).unwrap().0)
    }

    pub(crate) fn greeted(server: &Server) -> Self {
        let mut raw = Self::connect(server);
        assert_eq!(raw.read()["event"], "pusher:connection_established");
        raw
    }

    pub(crate) fn send(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).unwrap();
    }

    pub(crate) fn subscribe(&mut self, channel: &str) {
        self.send(&json!({"event": "pusher:subscribe", "data": {"channel": channel}}).to_string());
    }

    pub(crate) fn read_text(&mut self) -> String {
        self.0.read().unwrap().into_text().unwrap().as_str().to_owned()
    }

    pub(crate) fn read(&mut self) -> Value {
        serde_json::from_str(&self.read_text()).unwrap()
    }

    pub(crate) fn ask(&mut self, frame: &str) -> Value {
        self.send(frame);
        self.read()
    }
}
