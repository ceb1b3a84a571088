//! A TCP relay that does to connections what networks do to them. What happens to which connection
//! follows from the seed; when, from how many bytes have passed.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use socket2::SockRef;

/// So often a relay's thread that waits for bytes looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(10);
const SLOW: usize = 1000;
/// Only so many bytes are sent one by one, or nothing else would get done.
const SINGLE: usize = 2048;
const STUCK: Duration = Duration::from_secs(5);

/// A relay on a free port of this machine. Dropping it ends all connections and threads.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    seed: u64,
    /// Faults come within the first 2^reach bytes of a direction.
    reach: u32,
    mode: Mutex<Mode>,
    changed: Condvar,
    counts: Counts,
}

/// How often which fault has struck.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) reset: AtomicUsize,
    pub(crate) black_holed: AtomicUsize,
    pub(crate) paused: AtomicUsize,
    pub(crate) throttled: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Storm,
    /// Everything passes at once; what has been cut off stays so.
    Calm,
    Stopped,
}

/// What happens to one direction of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) delay: Duration,
    pub(crate) pieces: Pieces,
    pub(crate) throttled: bool,
    /// After so many bytes, for so long; in order.
    pub(crate) pauses: Vec<(usize, Duration)>,
    /// After so many bytes.
    pub(crate) end: Option<(usize, End)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    AsTheyCome,
    Halves,
    Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides see an orderly end.
    Close,
    /// Both sides see a reset.
    Reset,
    /// Nothing passes in this direction any more, not even the end of the connection.
    BlackHole,
}

impl Lane {
    /// Nothing happens to it.
    pub(crate) fn clean() -> Self {
        Self {
            delay: Duration::ZERO,
            pieces: Pieces::AsTheyCome,
            throttled: false,
            pauses: Vec::new(),
            end: None,
        }
    }

    fn random(rng: &mut Rng, reach: u32) -> Self {
        // As many in the first bytes, where the handshakes are, as in all the others.
        let position = |rng: &mut Rng| {
            let limit = if rng.bool() { 1 << rng.u32(4..=reach) } else { 1 << reach };
            rng.usize(..limit)
        };
        let delay = if rng.bool() { rng.u64(..40) } else { 0 };
        let pieces = match rng.u32(..10) {
            0..6 => Pieces::AsTheyCome,
            6..8 => Pieces::Halves,
            _ => Pieces::Bytes,
        };
        let mut pauses: Vec<_> = (0..[0, 0, 1, 2][rng.usize(..4)])
            .map(|_| (position(rng), Duration::from_millis(rng.u64(10..700))))
            .collect();
        pauses.sort_unstable();
        let end = (rng.u32(..3) == 0).then(|| {
            let end = [End::Close, End::Reset, End::BlackHole][rng.usize(..3)];
            (position(rng), end)
        });
        let throttled = rng.u32(..16) == 0;
        Self { delay: Duration::from_millis(delay), pieces, throttled, pauses, end }
    }
}

/// What happens to one connection.
fn plan(shared: &Shared, number: u64) -> [Lane; 2] {
    let mut rng = Rng::with_seed(shared.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9)));
    if rng.u32(..4) == 0 {
        return [Lane::clean(), Lane::clean()];
    }
    [Lane::random(&mut rng, shared.reach), Lane::random(&mut rng, shared.reach)]
}

/// One connection, as its two threads share it.
struct Link {
    client: TcpStream,
    server: TcpStream,
    ended: AtomicBool,
}

impl Link {
    /// Both threads end, and with them the sockets.
    fn end(&self, how: End) {
        for socket in [&self.client, &self.server] {
            if how == End::Reset {
                // A socket that is gone already needs no reset.
                let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
            } else {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        self.ended.store(true, Ordering::Release);
    }
}

impl Relay {
    /// Relays to `target`, calmly until [`Self::storm`].
    pub(crate) fn start(target: SocketAddr, seed: u64, reach: u32) -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), target, seed, reach)
    }

    pub(crate) fn start_on(at: SocketAddr, target: SocketAddr, seed: u64, reach: u32) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            seed,
            reach,
            mode: Mutex::new(Mode::Calm),
            changed: Condvar::new(),
            counts: Counts::default(),
        });
        let accepting = start("relay-accept", {
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { shared, address, accepting: Some(accepting) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    pub(crate) fn storm(&self) {
        self.shared.set(Mode::Storm);
    }

    pub(crate) fn calm(&self) {
        self.shared.set(Mode::Calm);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.set(Mode::Stopped);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, STUCK);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
        self.changed.notify_all();
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    /// Waits, but only while it storms.
    fn wait(&self, time: Duration) {
        let mode = self.mode.lock().unwrap();
        drop(self.changed.wait_timeout_while(mode, time, |mode| *mode == Mode::Storm).unwrap());
    }
}

#[expect(clippy::disallowed_methods, reason = "the relay has no part in the library's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(work).unwrap()
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for number in 0.. {
        let (client, _) = listener.accept().unwrap();
        if shared.mode() == Mode::Stopped {
            break;
        }
        shared.counts.connections.fetch_add(1, Ordering::Relaxed);
        let lanes = match shared.mode() {
            Mode::Storm => plan(shared, number),
            Mode::Calm | Mode::Stopped => [Lane::clean(), Lane::clean()],
        };
        threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(shared);
        threads.push(start("relay-up", move || {
            if let Ok(link) = dial(client, shared.target) {
                relay(&Arc::new(link), &shared, lanes);
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn dial(client: TcpStream, target: SocketAddr) -> io::Result<Link> {
    let server = TcpStream::connect_timeout(&target, STUCK)?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(STUCK))?;
    }
    Ok(Link { client, server, ended: AtomicBool::new(false) })
}

fn relay(link: &Arc<Link>, shared: &Arc<Shared>, [up, down]: [Lane; 2]) {
    let other = start("relay-down", {
        let (link, shared) = (Arc::clone(link), Arc::clone(shared));
        move || Pump { shared: &shared, link: &link, lane: down, passed: 0 }.run(false)
    });
    Pump { shared, link, lane: up, passed: 0 }.run(true);
    other.join().unwrap();
}

/// One direction at work.
struct Pump<'a> {
    shared: &'a Shared,
    link: &'a Link,
    lane: Lane,
    passed: usize,
}

impl Pump<'_> {
    fn run(mut self, up: bool) {
        let (mut from, to) = match up {
            true => (&self.link.client, &self.link.server),
            false => (&self.link.server, &self.link.client),
        };
        if self.lane.throttled {
            self.shared.counts.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let mut bytes = [0; 16 * 1024];
        let mut swallowing = false;
        while self.is_wanted() {
            let read = match from.read(&mut bytes) {
                Ok(0) if swallowing => return self.keep_silent(),
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if is_late(&error) => continue,
                Err(_) => return self.link.end(End::Reset),
            };
            if swallowing {
                continue;
            }
            match self.pass(&bytes[..read], to) {
                Ok(None) => {}
                Ok(Some(End::BlackHole)) => swallowing = true,
                Ok(Some(end)) => return self.link.end(end),
                Err(_) => return self.link.end(End::Close),
            }
        }
        // The other direction may have something to say yet.
        let _ = to.shutdown(Shutdown::Write);
    }

    fn is_wanted(&self) -> bool {
        if self.shared.mode() == Mode::Stopped {
            self.link.end(End::Close);
        }
        !self.link.ended.load(Ordering::Acquire)
    }

    /// The other side does not learn that this one has gone, not while it storms.
    fn keep_silent(&self) {
        while self.is_wanted() && self.shared.mode() == Mode::Storm {
            self.shared.wait(TICK);
        }
        self.link.end(End::Close);
    }

    /// Passes bytes on, up to the fault that is due in them.
    fn pass(&mut self, mut bytes: &[u8], to: &TcpStream) -> io::Result<Option<End>> {
        self.shared.wait(self.lane.delay);
        while !bytes.is_empty() {
            let storm = self.shared.mode() == Mode::Storm;
            if let Some(&(at, time)) = self.lane.pauses.first().filter(|_| storm) {
                if at <= self.passed {
                    self.lane.pauses.remove(0);
                    self.shared.counts.paused.fetch_add(1, Ordering::Relaxed);
                    self.shared.wait(time);
                    continue;
                }
            }
            if let Some((at, end)) = self.lane.end.filter(|_| storm) {
                if at <= self.passed {
                    let counts = &self.shared.counts;
                    let count = match end {
                        End::Close => &counts.closed,
                        End::Reset => &counts.reset,
                        End::BlackHole => &counts.black_holed,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    return Ok(Some(end));
                }
            }
            let (now, later) = bytes.split_at(self.piece(bytes.len(), storm));
            (&mut &*to).write_all(now)?;
            self.passed += now.len();
            bytes = later;
            if self.lane.throttled && storm {
                self.shared.wait(Duration::from_secs(1) * now.len() as u32 / SLOW as u32);
            }
            if self.link.ended.load(Ordering::Acquire) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// How many of the bytes go out at once.
    fn piece(&self, waiting: usize, storm: bool) -> usize {
        if !storm {
            return waiting;
        }
        let mut piece = match self.lane.pieces {
            Pieces::AsTheyCome => waiting,
            Pieces::Halves => waiting.div_ceil(2),
            Pieces::Bytes if self.passed < SINGLE => 1,
            Pieces::Bytes => waiting,
        };
        if self.lane.throttled {
            piece = piece.min(SLOW / 20);
        }
        // To the byte.
        let marks = self.lane.pauses.first().map(|&(at, _)| at);
        for at in marks.into_iter().chain(self.lane.end.map(|(at, _)| at)) {
            if at > self.passed {
                piece = piece.min(at - self.passed);
            }
        }
        piece
    }
}

fn is_late(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
