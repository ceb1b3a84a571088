//! Resolves host names, with a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use mio::Waker;

use super::dial::DialContext;
use super::poller::wake;
use crate::util::sync::lock;
use crate::{Error, ErrorKind};

pub(crate) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Starts a thread that runs a lookup.
type Start = fn(Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// How many threads may be in the system's resolver at once.
const MAX_LOOKUPS: usize = 4;

/// Resolves names by the system's resolver, which has no deadline and cannot be interrupted.
///
/// So each lookup runs on a thread of its own. A dial that is given up leaves the thread behind; it ends when the
/// system responds.
pub(crate) struct Resolver {
    lookup: Lookup,
    start: Start,
    running: Arc<Mutex<Running>>,
    /// Dials that find all threads taken wait for one instead of failing.
    queues: bool,
}

/// The running lookups.
#[derive(Default)]
struct Running {
    count: usize,
    /// The dials to wake when one ends.
    waiting: Vec<Weak<Waker>>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::with(Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())))
    }
}

impl Resolver {
    pub(super) fn with(lookup: Lookup) -> Self {
        Self { lookup, start: start_thread, running: Arc::default(), queues: false }
    }

    /// Returns a resolver for many dials at once: those that find all threads taken wait for one.
    pub(crate) fn queueing() -> Self {
        Self { queues: true, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn queueing_with(lookup: Lookup) -> Self {
        Self { queues: true, ..Self::with(lookup) }
    }

    /// Returns the resolver of a machine that has no thread left.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Self {
        Self { start: |_| Err(io::ErrorKind::WouldBlock.into()), ..Self::default() }
    }

    /// Resolves `host`, a name or a literal address without brackets.
    pub(super) fn resolve(
        &self,
        dial: &mut DialContext,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        dial.begin(format!("resolving {host}"))?;
        let response = dial.wait_for(|dial| self.begin(dial, host, port))?;
        let addresses = dial
            .wait_for(|_| Ok(lock(&response).take()))?
            .map_err(|error| dial.failed(ErrorKind::Dns).caused_by(error))?;
        if addresses.is_empty() {
            return Err(dial.failed_because(ErrorKind::Dns, "the host has no address"));
        }
        Ok(addresses)
    }

    /// Starts a lookup. Returns `None` if all threads are taken. The dial is woken when one is free.
    fn begin(
        &self,
        dial: &DialContext,
        host: &str,
        port: u16,
    ) -> Result<Option<Arc<Mutex<Response>>>, Error> {
        let Some(slot) = Slot::take(&self.running, self.queues.then(|| dial.poller.waker())) else {
            if self.queues {
                return Ok(None);
            }
            let why = format!(
                "{MAX_LOOKUPS} earlier lookups are still running; check the name servers of this machine"
            );
            return Err(dial.failed_because(ErrorKind::Dns, &why));
        };
        let response = Arc::new(Mutex::new(None));
        let output = Arc::clone(&response);
        let waker = Arc::clone(dial.poller.waker());
        let lookup = Arc::clone(&self.lookup);
        let name = host.to_owned();
        let work = move || {
            let result = lookup(&name, port);
            // First, so that a dial that has the response can start another lookup.
            drop(slot);
            *lock(&output) = Some(result);
            wake(&waker);
        };
        // If it cannot be started, it is dropped, and the slot with it.
        (self.start)(Box::new(work)).map_err(|error| {
            let message = format!("starting a thread to resolve {host} failed");
            Error::message(ErrorKind::Io, message).caused_by(error)
        })?;
        Ok(Some(response))
    }
}

fn start_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name("pusher-dns".to_owned()).spawn(work).map(drop)
}

type Response = Option<io::Result<Vec<SocketAddr>>>;

/// One of the running lookups.
struct Slot(Arc<Mutex<Running>>);

impl Slot {
    /// Returns `None` if all are taken. `waker` is then used when one is free.
    fn take(running: &Arc<Mutex<Running>>, waker: Option<&Arc<Waker>>) -> Option<Self> {
        let mut now = lock(running);
        if now.count == MAX_LOOKUPS {
            now.waiting.retain(|waiting| waiting.strong_count() > 0);
            now.waiting.extend(waker.map(Arc::downgrade));
            return None;
        }
        now.count += 1;
        Some(Self(Arc::clone(running)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let waiting = {
            let mut now = lock(&self.0);
            now.count -= 1;
            std::mem::take(&mut now.waiting)
        };
        for waker in waiting.iter().filter_map(Weak::upgrade) {
            wake(&waker);
        }
    }
}
