//! How ureq reaches an endpoint: by the dial of the WebSocket, so that a request has one deadline for everything,
//! and can be interrupted at any time. TLS is ureq's, on top.

use std::sync::{Arc, Weak};
use std::time::Instant;
use std::{fmt, io};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
#[cfg(feature = "native-tls")]
use ureq::unversioned::transport::NativeTlsConnector;
#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
use ureq::unversioned::transport::RustlsConnector;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Agent, Error};

use super::agents::LONGEST;
use super::request::address_of;
use crate::Interrupt;
use crate::config::proxy::ProxyServer;
use crate::transport::{Pipe, Resolver, Route};
use crate::util::clock;

/// An agent whose connections are made here.
pub(super) fn agent(
    config: Config,
    resolver: Arc<Resolver>,
    proxy: Option<Arc<ProxyServer>>,
) -> Agent {
    let carrier = Carrier { resolver, proxy };
    #[cfg(feature = "native-tls")]
    let carrier = carrier.chain(NativeTlsConnector::default());
    #[cfg(all(feature = "rustls", not(feature = "native-tls")))]
    let carrier = carrier.chain(RustlsConnector::default());
    Agent::with_parts(config, carrier, NoLookup)
}

/// The names are resolved as part of the dial.
#[derive(Debug)]
struct NoLookup;

impl UreqResolver for NoLookup {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

struct Carrier {
    resolver: Arc<Resolver>,
    proxy: Option<Arc<ProxyServer>>,
}

impl Connector for Carrier {
    type Out = Carried;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Carried>, Error> {
        let (host, port) = address_of(details.uri);
        let route = Route { host, port, proxy: self.proxy.as_deref() };
        let switch = Arc::new(Switch::default());
        // Before anything is done, so that all of it can be interrupted.
        let handle: Weak<Switch> = Arc::downgrade(&switch);
        (details.register_shutdown)(handle)?;
        let deadline = deadline(details.timeout)?;
        let pipe = Pipe::open(&route, &self.resolver, deadline, &switch.0)
            .map_err(|error| Error::Other(Box::new(error)))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Carried { pipe, buffers, _switch: switch }))
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

/// Ends one connection, whatever it is doing.
#[derive(Debug, Default)]
struct Switch(Interrupt);

impl ShutdownHandle for Switch {
    fn shutdown(&self) {
        self.0.interrupt();
    }
}

/// One connection of ureq's.
#[derive(Debug)]
struct Carried {
    pipe: Pipe,
    buffers: LazyBuffers,
    /// ureq keeps no more than a weak one.
    _switch: Arc<Switch>,
}

impl Transport for Carried {
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
}

/// Asked before every read and write, since a peer that drips never lets one wait.
fn deadline(timeout: NextTimeout) -> Result<Instant, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    let now = clock::now();
    Ok(now.checked_add(*timeout.after).unwrap_or(now + LONGEST))
}

/// ureq takes some errors of I/O after an answer for its end, so they stay what they are.
fn failed(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
