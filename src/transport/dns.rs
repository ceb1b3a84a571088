//! Names to addresses, with a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use mio::Waker;

use super::dial::DialContext;
use crate::util::guard::write_log;
use crate::util::sync::lock;
use crate::{Error, ErrorKind};

pub(crate) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Starts a thread that runs a lookup.
type Start = fn(Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// So many threads may hang in the system's resolver at once.
const MAX_LOOKUPS: usize = 4;

/// Resolves names by the system, whose resolver can neither be given a deadline nor be interrupted.
///
/// So it runs on a thread of its own, which may outlive the dial that asked: a dial that gives up
/// leaves it behind, and it ends when the system answers.
pub(crate) struct Resolver {
    lookup: Lookup,
    start: Start,
    running: Arc<Mutex<Running>>,
    /// Those who find all threads taken wait for one, instead of failing.
    queues: bool,
}

/// The lookups that have not ended.
#[derive(Default)]
struct Running {
    count: usize,
    /// Those to wake when one ends.
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

    /// For many dials at once: those that find all threads taken wait for one until their deadline.
    pub(crate) fn queueing() -> Self {
        Self { queues: true, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn queueing_with(lookup: Lookup) -> Self {
        Self { queues: true, ..Self::with(lookup) }
    }

    /// On a machine that has no thread left.
    #[cfg(test)]
    pub(crate) fn without_threads() -> Self {
        Self { start: |_| Err(io::ErrorKind::WouldBlock.into()), ..Self::default() }
    }

    /// `host` is a name, or a literal address without brackets.
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
            return Err(Error::message(ErrorKind::Dns, format!("{host} has no address")));
        }
        Ok(addresses)
    }

    /// Starts a lookup. `None`: all threads are taken, and the dial is woken when one is free.
    fn begin(
        &self,
        dial: &DialContext,
        host: &str,
        port: u16,
    ) -> Result<Option<Arc<Mutex<Answer>>>, Error> {
        let Some(slot) = Slot::take(&self.running, self.queues.then(|| dial.poller.waker())) else {
            if self.queues {
                return Ok(None);
            }
            let message = format!(
                "{host} was not looked up: {MAX_LOOKUPS} earlier lookups are still unanswered; \
                 check the name servers of this machine"
            );
            return Err(Error::message(ErrorKind::Dns, message));
        };
        let answer = Arc::new(Mutex::new(None));
        let told = Arc::clone(&answer);
        let waker = Arc::clone(dial.poller.waker());
        let lookup = Arc::clone(&self.lookup);
        let name = host.to_owned();
        let work = move || {
            let result = lookup(&name, port);
            // Before the answer is told, so that whoever has it can look up again.
            drop(slot);
            *lock(&told) = Some(result);
            wake(&waker);
        };
        // What was to run is dropped if it cannot be started, and the slot with it.
        (self.start)(Box::new(work)).map_err(|error| {
            let message = format!("starting a thread to resolve {host} failed");
            Error::message(ErrorKind::Io, message).caused_by(error)
        })?;
        Ok(Some(answer))
    }
}

fn start_thread(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    thread::Builder::new().name("pusher-dns".to_owned()).spawn(work).map(drop)
}

type Answer = Option<io::Result<Vec<SocketAddr>>>;

/// Counts one lookup until it is dropped.
struct Slot(Arc<Mutex<Running>>);

impl Slot {
    /// If there is none, `waker` is used when there is one again.
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

fn wake(waker: &Waker) {
    if let Err(error) = waker.wake() {
        write_log!(Debug, "a dial could not be told about a lookup: {error}");
    }
}
