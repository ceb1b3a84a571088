//! Connects to the first of a host's addresses that accepts (RFC 8305, simplified).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::Token;
use mio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

use super::dial::DialContext;
use crate::Error;
use crate::util::clock;
use crate::util::guard::write_log;

/// How long after an attempt the next address is tried too.
const HEAD_START: Duration = Duration::from_millis(250);

const KEEP_ALIVE_TIME: Duration = Duration::from_secs(60);

/// Connects to one of `addresses`, which are those of `target`. The socket is registered with the dial's poller.
pub(super) fn connect(
    dial: &mut DialContext,
    target: &str,
    addresses: &[SocketAddr],
) -> Result<TcpStream, Error> {
    dial.begin(format!("connecting to {target}"))?;
    let socket = Race::new(addresses).run(dial)?;
    tune(&socket);
    Ok(socket)
}

/// The running attempts, and the addresses that are not tried yet.
struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(Token, TcpStream)>,
    started: usize,
    next_start: Instant,
    last_error: Option<io::Error>,
}

impl Race {
    fn new(addresses: &[SocketAddr]) -> Self {
        Self {
            waiting: alternate(addresses),
            running: Vec::new(),
            started: 0,
            next_start: clock::now(),
            last_error: None,
        }
    }

    fn run(mut self, dial: &mut DialContext) -> Result<TcpStream, Error> {
        loop {
            self.start_due(dial);
            if self.running.is_empty() {
                return Err(self.lost(dial));
            }
            dial.wait((!self.waiting.is_empty()).then_some(self.next_start))?;
            if let Some(socket) = self.winner(dial) {
                return Ok(socket);
            }
        }
    }

    /// Starts the next attempt when it is due, and those after it while they fail at once.
    fn start_due(&mut self, dial: &DialContext) {
        while self.running.is_empty() || clock::now() >= self.next_start {
            let Some(address) = self.waiting.pop_front() else {
                return;
            };
            let token = Token(self.started);
            self.started += 1;
            let attempt = TcpStream::connect(address).and_then(|mut socket| {
                dial.poller.register(&mut socket, token)?;
                Ok(socket)
            });
            match attempt {
                Ok(socket) => {
                    self.running.push((token, socket));
                    self.next_start = clock::now() + HEAD_START;
                }
                Err(error) => self.last_error = Some(error),
            }
        }
    }

    fn winner(&mut self, dial: &DialContext) -> Option<TcpStream> {
        for (token, socket) in std::mem::take(&mut self.running) {
            let result = if dial.poller.is_ready(token) { outcome(&socket) } else { Ok(false) };
            match result {
                Ok(true) => return Some(socket),
                Ok(false) => self.running.push((token, socket)),
                Err(error) => {
                    self.last_error = Some(error);
                    self.next_start = clock::now();
                }
            }
        }
        None
    }

    fn lost(self, dial: &DialContext) -> Error {
        let error = self.last_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
        let tried = match self.started {
            1 => String::new(),
            tried => format!(": none of its {tried} addresses can be reached"),
        };
        dial.broken(&tried, error)
    }
}

/// Returns `true` if the attempt has succeeded, `false` if it is still running: readiness may be spurious.
fn outcome(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Alternates between IPv4 and IPv6, beginning with the family of the first address.
fn alternate(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let longest = first.len().max(second.len());
    (0..longest)
        .flat_map(|index| [first.get(index).copied(), second.get(index).copied()])
        .flatten()
        .collect()
}

/// Sets socket options. A connection works without them, so a failure is only logged.
fn tune(socket: &TcpStream) {
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE_TIME);
    // Not every system can set it.
    #[cfg(any(windows, target_vendor = "apple", target_os = "android", target_os = "linux"))]
    let keep_alive = keep_alive.with_interval(Duration::from_secs(15));
    if let Err(error) = socket.set_nodelay(true) {
        write_log!(Debug, "setting TCP_NODELAY failed: {error}");
    }
    if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&keep_alive) {
        write_log!(Debug, "setting TCP keep-alive failed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_alternate_from_the_first() {
        let addresses: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"]
                .iter()
                .map(|address| address.parse().unwrap())
                .collect();
        let turns: Vec<_> = alternate(&addresses).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]);
    }
}
