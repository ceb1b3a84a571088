//! Connects ureq to endpoints in the way the WebSocket connects, TLS included, so that one deadline covers a whole
//! request, and it can be interrupted at any time.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{fmt, io};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Agent, Error};

use super::request::{address_of, is_secure};
use crate::config::proxy::ProxyServer;
use crate::transport::{Pipe, Resolver, Route, Secure, SharedTls};
use crate::util::clock;
use crate::{Interrupt, Proxy};

/// Longer timeouts are cut to this, so that adding them to a time cannot overflow.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How endpoints are reached.
pub(super) struct Network {
    pub(super) tls: Arc<SharedTls>,
    /// The name that certificates must have, instead of the URL's host.
    pub(super) server_name: Option<String>,
    pub(super) proxy: Proxy,
    pub(super) resolver: Arc<Resolver>,
}

/// Makes an agent that connects through `network`.
pub(super) fn agent(config: Config, network: Arc<Network>) -> Agent {
    Agent::with_parts(config, DialConnector(network), NoResolver)
}

impl Network {
    /// Returns the proxy that leads to this URL.
    pub(super) fn proxy_for(&self, uri: &Uri) -> Option<&ProxyServer> {
        let (host, port) = address_of(uri);
        self.proxy.server_for(is_secure(uri), host, port).map(AsRef::as_ref)
    }

    /// Returns the name that the certificate of this URL's server must have.
    pub(super) fn name_for<'a>(&'a self, uri: &'a Uri) -> &'a str {
        self.server_name.as_deref().unwrap_or(address_of(uri).0)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// Names are resolved as a part of the dial.
#[derive(Debug)]
struct NoResolver;

impl UreqResolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

#[derive(Debug)]
struct DialConnector(Arc<Network>);

impl Connector for DialConnector {
    type Out = DialTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<DialTransport>, Error> {
        let Self(network) = self;
        let (host, port) = address_of(details.uri);
        let route = Route { host, port, proxy: network.proxy_for(details.uri) };
        let name = network.name_for(details.uri);
        let secure = details.needs_tls().then(|| Secure { tls: &network.tls, name });
        let interrupt = Arc::new(DialInterrupt::default());
        // First, so that everything else can be interrupted.
        let handle: Weak<DialInterrupt> = Arc::downgrade(&interrupt);
        (details.register_shutdown)(handle)?;
        let deadline = deadline(details.timeout)?;
        let resolver = &network.resolver;
        let pipe = Pipe::open(&route, secure.as_ref(), resolver, deadline, &interrupt.0)
            .map_err(|error| Error::Other(Box::new(error)))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(DialTransport { pipe, buffers, _interrupt: interrupt }))
    }
}

/// Interrupts one connection.
#[derive(Debug, Default)]
struct DialInterrupt(Interrupt);

impl ShutdownHandle for DialInterrupt {
    fn shutdown(&self) {
        self.0.interrupt();
    }
}

/// A connection of ureq's.
#[derive(Debug)]
struct DialTransport {
    pipe: Pipe,
    buffers: LazyBuffers,
    /// ureq keeps a weak reference only.
    _interrupt: Arc<DialInterrupt>,
}

impl Transport for DialTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let deadline = deadline(timeout)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.pipe.write_all(output, deadline).map_err(|error| failed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let deadline = deadline(timeout)?;
        let room = self.buffers.input_append_buf();
        let read = self.pipe.read(room, deadline).map_err(|error| failed(error, timeout))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.pipe.is_open()
    }

    fn is_tls(&self) -> bool {
        self.pipe.is_secure()
    }
}

/// Called before each read and write, since a peer that sends byte by byte never makes one wait.
fn deadline(timeout: NextTimeout) -> Result<Instant, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    let now = clock::now();
    Ok(now.checked_add(*timeout.after).unwrap_or(now + MAX_TIMEOUT))
}

/// ureq treats some I/O errors after a response as its end, so their kinds are kept.
fn failed(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
