//! The first steps of all dials: a name is resolved, its addresses are tried, and a proxy, if there is one, is
//! requested to connect to the server. It knows nothing of what follows.

use super::dial::DialContext;
use super::dns::Resolver;
use super::handshake_stream::HandshakeStream;
use super::memory::MemoryStream;
use super::{proxy, tcp};
use crate::Error;
use crate::config::proxy::ProxyServer;
use crate::util::url::authority;

/// Where to connect, and through which proxy.
pub(crate) struct Route<'a> {
    /// A name, or a literal address without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) proxy: Option<&'a ProxyServer>,
}

impl Route<'_> {
    /// Connects. The memory has what was received behind a proxy's response.
    pub(super) fn open(
        &self,
        mut dial: DialContext,
        resolver: &Resolver,
    ) -> Result<(HandshakeStream, MemoryStream), Error> {
        let (who, host, port) = match self.proxy {
            Some(proxy) => ("the proxy ", proxy.host.as_str(), proxy.port),
            None => ("", self.host, self.port),
        };
        let addresses = resolver.resolve(&mut dial, host, port)?;
        let target = format!("{who}{}", authority(host, port));
        let socket = tcp::connect(&mut dial, &target, &addresses)?;
        let mut peer = HandshakeStream::new(dial, socket);
        let mut memory = MemoryStream::default();
        if let Some(proxy) = self.proxy {
            proxy::tunnel(&mut peer, &mut memory, proxy, self.host, self.port)?;
        }
        Ok((peer, memory))
    }
}
