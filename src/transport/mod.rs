//! Bytes: DNS, TCP, proxy, TLS, WebSocket. It knows nothing of the protocol.
//!
//! A dial resolves the host, connects, and does the handshakes of the proxy, of TLS and of WebSocket. Each step waits
//! in a [`DialContext`], so that it has the deadline and can be interrupted. TLS and WebSocket run over [`memory`];
//! only [`handshake_stream`], [`Pipe`] and [`WebSocket`] read and write a socket.

mod connector;
mod dial;
mod dns;
mod frames;
mod handshake;
mod handshake_stream;
mod head;
mod memory;
mod pipe;
mod poller;
mod proxy;
mod route;
mod session;
mod tcp;
mod tls;
mod websocket;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use crate::config::headers::Headers;
use crate::config::options::websocket_url;
use crate::config::tls::is_not_tls;
use crate::{Error, ErrorKind, Proxy};

pub use connector::{Connection, Connector, Interrupt, Message};
use dial::DialContext;
pub(crate) use dns::Resolver;
use handshake::USE_PLAIN;
pub(crate) use pipe::{Pipe, Secure};
#[cfg(feature = "testing")]
pub(crate) use poller::{Poller, wake};
pub(crate) use route::Route;
pub(crate) use tls::SharedTls;
pub(crate) use websocket::WebSocket;

/// Opens WebSockets.
pub(crate) struct WebSocketConnector {
    tls: Arc<SharedTls>,
    proxy: Proxy,
    resolver: Resolver,
    headers: Headers,
    max_message_size: usize,
}

impl WebSocketConnector {
    /// Fails if `tls` is invalid or not supported.
    pub(crate) fn new(tls: Arc<SharedTls>, max_message_size: usize) -> Result<Self, Error> {
        tls.check()?;
        Ok(Self {
            tls,
            proxy: Proxy::none(),
            resolver: Resolver::default(),
            headers: Headers::default(),
            max_message_size,
        })
    }

    pub(crate) fn with_proxy(mut self, proxy: &Proxy) -> Self {
        self.proxy = proxy.clone();
        self
    }

    /// Fails if one of them is invalid.
    pub(crate) fn with_headers(mut self, headers: Headers) -> Result<Self, Error> {
        headers.check()?;
        self.headers = headers;
        Ok(self)
    }

    #[cfg(test)]
    pub(crate) fn with_lookup(mut self, lookup: dns::Lookup) -> Self {
        self.resolver = Resolver::with(lookup);
        self
    }

    /// Opens a connection to `url`, until `deadline` or an interrupt.
    ///
    /// A lookup that is given up may go on in the background until the system responds.
    pub(crate) fn dial(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<WebSocket, Error> {
        let url = websocket_url(url)?;
        let headers = self.headers.collect()?;
        let host = url.host.as_str();
        if url.secure {
            self.tls.connector()?.prepare()?;
        }
        let proxy = self.proxy.server_for(url.secure, host, url.port);
        let route = Route { host, port: url.port, proxy: proxy.map(AsRef::as_ref) };
        let dial = DialContext::new(deadline, interrupt)?;
        let (mut peer, memory) = route.open(dial, &self.resolver)?;
        let name = self.tls.settings().name().unwrap_or(host);
        let explain = |error| self.tls.explain(error, name);
        let stream = if url.secure {
            peer.dial.begin(format!("TLS handshake with {host}"))?;
            peer.listen();
            let stream = self.tls.connector()?.handshake(&mut peer, name, memory).map_err(explain);
            stream.map_err(|error| hint_at_plain(error, peer.is_silent()))?
        } else {
            tls::Stream::Plain(memory)
        };
        peer.dial.begin(format!("WebSocket handshake with {host}"))?;
        // In TLS 1.3 a server may refuse its client only now.
        let codec = handshake::request(&mut peer, stream, &url, &headers, self.max_message_size)
            .map_err(explain)?;
        Ok(WebSocket::new(peer.dial.poller, peer.socket, codec))
    }
}

impl Connector for WebSocketConnector {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        self.connect_interruptibly(url, deadline, &Interrupt::default())
    }

    fn connect_interruptibly(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(self.dial(url, deadline, interrupt)?))
    }
}

/// Adds to the error of a TLS handshake that the peer may not speak TLS, if it sent nothing or something else.
fn hint_at_plain(error: Error, is_silent: bool) -> Error {
    let text = match error.kind() {
        ErrorKind::Io if is_silent => return error.with_hint(USE_PLAIN),
        ErrorKind::Timeout if is_silent => format!("{} without any response", error.text()),
        // Its text already suggests that the peer does not speak TLS.
        ErrorKind::Tls if is_not_tls(&error) => {
            let text = format!("{} Then use `.tls(false)` or `ws://`", error.text());
            return error.with_message(text);
        }
        _ => return error,
    };
    error.with_message(text).with_hint(USE_PLAIN)
}
