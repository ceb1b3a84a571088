//! A client that does nothing by itself.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::support::SOON;
use pusher_channels::testing::Server;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Sends and reads only what the test says.
pub(crate) struct Raw(pub(crate) WebSocket<TcpStream>);

impl Raw {
    pub(crate) fn connect(server: &Server) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(tungstenite::client(server.url(), stream).unwrap().0)
    }

    pub(crate) fn established(server: &Server) -> Self {
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

    pub(crate) fn exchange(&mut self, frame: &str) -> Value {
        self.send(frame);
        self.read()
    }
}
