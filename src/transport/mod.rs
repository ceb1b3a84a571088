//! Bytes: DNS, TCP, proxy, TLS, WebSocket.
//!
//! TLS and WebSocket run over [`memory`]; only [`wait::Line`] and [`WebSocket`] touch the socket. Every
//! step of a dial waits in [`wait::Dial`], so that each one has the deadline and can be interrupted.

mod dns;
mod handshake;
#[cfg(feature = "testing")]
mod http;
mod memory;
mod pipe;
mod proxy;
mod route;
mod session;
mod tcp;
mod tls;
mod wait;
mod websocket;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tungstenite::http::Uri;

use crate::tls::Asked;
use crate::{Connection, Connector, Error, ErrorKind, Interrupt, Proxy, Tls};

pub(crate) use dns::Resolver;
#[cfg(feature = "testing")]
pub(crate) use handshake::accept;
#[cfg(feature = "testing")]
pub(crate) use http::Exchange;
pub(crate) use pipe::Pipe;
pub(crate) use route::Route;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) use tls::{check as check_tls, roots as tls_roots};
pub(crate) use websocket::WebSocket;

/// Opens WebSockets.
pub(crate) struct WebSocketConnector {
    tls: tls::TlsConnector,
    asked: Asked,
    /// What the server's certificate must have instead of the URL's host.
    server_name: Option<String>,
    proxy: Proxy,
    resolver: Resolver,
    max_message_size: usize,
}

impl WebSocketConnector {
    /// Fails if something of `tls` cannot be read, or cannot be had.
    pub(crate) fn new(tls: &Tls, max_message_size: usize) -> Result<Self, Error> {
        Ok(Self {
            tls: tls::TlsConnector::new(tls)?,
            asked: tls.asked(),
            server_name: tls.name().map(str::to_owned),
            proxy: Proxy::none(),
            resolver: Resolver::default(),
            max_message_size,
        })
    }

    pub(crate) fn with_proxy(mut self, proxy: &Proxy) -> Self {
        self.proxy = proxy.clone();
        self
    }

    #[cfg(test)]
    pub(crate) fn with_lookup(mut self, lookup: dns::Lookup) -> Self {
        self.resolver = Resolver::with(lookup);
        self
    }

    /// Opens a connection to `url`, by `deadline` and unless interrupted.
    ///
    /// A lookup of the host's name that is given up may go on in the background until the system answers.
    pub(crate) fn dial(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<WebSocket, Error> {
        let target = Target::parse(url)?;
        let host = target.host.as_str();
        if target.tls {
            self.tls.prepare()?;
        }
        let proxy = self.proxy.server_for(target.tls, host, target.port);
        let route = Route { host, port: target.port, proxy: proxy.map(AsRef::as_ref) };
        let dial = wait::Dial::new(deadline, interrupt)?;
        let (mut line, memory) = route.open(dial, &self.resolver)?;
        let name = self.server_name.as_deref().unwrap_or(host);
        let explain = |error| self.asked.explain(error, name);
        let stream = if target.tls {
            line.dial.begin(format!("TLS handshake with {host}"))?;
            self.tls.handshake(&mut line, name, memory).map_err(explain)?
        } else {
            tls::Stream::Plain(memory)
        };
        line.dial.begin(format!("WebSocket handshake with {host}"))?;
        // In TLS 1.3 a server may refuse its client only now.
        let websocket = handshake::request(&mut line, stream, target.uri, self.max_message_size)
            .map_err(explain)?;
        Ok(WebSocket::new(line, websocket))
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

/// Where a URL leads.
struct Target {
    uri: Uri,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    tls: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |why| Error::message(ErrorKind::Config, format!("the URL {why}"));
        let uri: Uri = url.parse().map_err(|error| wrong("is not valid").caused_by(error))?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong("begins neither with ws:// nor with wss://")),
        };
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let host = host.to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { uri, host, port, tls })
    }
}

/// What the locks here guard stays right when a thread panics, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
