//! Names to addresses, with a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::lock;
use super::wait::Dial;
use crate::{Error, ErrorKind};

pub(crate) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// So many threads may hang in the system's resolver at once.
const MAX_LOOKUPS: usize = 4;

/// Resolves names by the system, whose resolver can neither be given a deadline nor be interrupted.
///
/// So it runs on a thread of its own, which may outlive the dial that asked: a dial that gives up
/// leaves it behind, and it ends when the system answers.
pub(super) struct Resolver {
    lookup: Lookup,
    running: Arc<AtomicUsize>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::with(Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())))
    }
}

impl Resolver {
    pub(super) fn with(lookup: Lookup) -> Self {
        Self { lookup, running: Arc::default() }
    }

    /// `host` is a name, or a literal address without brackets.
    pub(super) fn resolve(
        &self,
        dial: &mut Dial,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        dial.begin(format!("resolving {host}"))?;
        let answer = self.start(dial, host, port)?;
        let result = loop {
            let arrived = lock(&answer).take();
            match arrived {
                Some(result) => break result,
                None => dial.wait(None)?,
            }
        };
        let addresses = result.map_err(|error| dial.failed(ErrorKind::Dns).caused_by(error))?;
        if addresses.is_empty() {
            return Err(Error::message(ErrorKind::Dns, format!("{host} has no address")));
        }
        Ok(addresses)
    }

    fn start(&self, dial: &Dial, host: &str, port: u16) -> Result<Arc<Mutex<Answer>>, Error> {
        let running = Running::count(&self.running).ok_or_else(|| {
            let message = format!(
                "{host} was not looked up: {MAX_LOOKUPS} earlier lookups are still unanswered; \
                 check the name servers of this machine"
            );
            Error::message(ErrorKind::Dns, message)
        })?;
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        let waker = Arc::clone(dial.wait.waker());
        let lookup = Arc::clone(&self.lookup);
        let host = host.to_owned();
        let work = move || {
            let result = lookup(&host, port);
            // Before the answer is told, so that whoever has it can look up again.
            drop(running);
            *lock(&slot) = Some(result);
            if let Err(error) = waker.wake() {
                log::debug!("the dial could not be told about the addresses: {error}");
            }
        };
        thread::Builder::new()
            .name("pusher-dns".to_owned())
            .spawn(work)
            .map_err(|error| dial.failed(ErrorKind::Io).caused_by(error))?;
        Ok(answer)
    }
}

type Answer = Option<io::Result<Vec<SocketAddr>>>;

/// Counts one lookup until it is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn count(running: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |running| (running < MAX_LOOKUPS).then_some(running + 1);
        running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(running)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
