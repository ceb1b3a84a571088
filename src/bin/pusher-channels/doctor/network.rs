//! What comes before the connection: the host's name, its addresses, and what speaks on its port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::bounded;

use super::{Fault, advice};
use crate::exit::{TIMED_OUT, UNREACHABLE};
use crate::time::{instant, wall};

/// How much of a response is read.
const MAX_HEAD: usize = 16 * 1024;

/// Where a URL leads.
pub(super) struct Place {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

/// What speaks on a port, as far as a plain HTTP request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    Tls,
    Unknown,
}

impl Place {
    /// Reads a URL that the library has checked.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = scheme.eq_ignore_ascii_case("wss");
        let authority = rest.split(['/', '?']).next()?;
        let default = if tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            // In brackets a colon is a part of the address.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, default),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port, tls })
    }

    pub(super) fn resolve(&self, timeout: Duration) -> Result<Vec<SocketAddr>, Fault> {
        let target = (self.host.clone(), self.port);
        let (sender, receiver) = bounded(1);
        // The system's resolver cannot be interrupted; if it is late, its result is not wanted any more.
        let resolver = thread::Builder::new()
            .spawn(move || drop(sender.send(target.to_socket_addrs().map(Vec::from_iter))));
        let resolved = resolver.and_then(|_| {
            let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
            receiver.recv_timeout(timeout).unwrap_or_else(late)
        });
        let fault = |code, why: &str| Fault {
            code,
            what: format!("resolving `{}` failed: {why}", self.host),
            advice: advice::ON_NAME.to_owned(),
        };
        match resolved {
            Ok(addresses) if addresses.is_empty() => Err(fault(UNREACHABLE, "it has no address")),
            Ok(addresses) => Ok(addresses),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(fault(TIMED_OUT, &format!("no answer within {} s", timeout.as_secs_f64())))
            }
            Err(error) => Err(fault(UNREACHABLE, &error.to_string())),
        }
    }

    /// Connects to the first address that accepts. Reading and writing block for at most `timeout` each.
    fn connect(&self, timeout: Duration) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends an HTTP request without TLS, and returns what comes back.
    fn plain_request(&self, timeout: Duration) -> io::Result<Vec<u8>> {
        exchange(self.connect(timeout)?, &self.host, timeout)
    }

    /// Connects with TLS. Certificates are not checked: a clock that is wrong makes them invalid, and nothing secret is
    /// sent.
    #[cfg(tls = "native")]
    fn connect_tls(&self, timeout: Duration) -> io::Result<impl Read + Write> {
        let connector = native_tls::TlsConnector::builder()
            .danger_accept_invalid_certs(true)
            .danger_accept_invalid_hostnames(true)
            .build()
            .map_err(io::Error::other)?;
        let stream = self.connect(timeout)?;
        connector
            .connect(&self.host, stream)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    #[cfg(not(tls = "native"))]
    #[expect(clippy::unused_self, reason = "as with `native-tls`")]
    fn connect_tls(&self, _: Duration) -> io::Result<TcpStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns what speaks on the port.
    pub(super) fn speaks(&self, timeout: Duration) -> Speaks {
        match self.plain_request(timeout).map_or(Speaks::Unknown, |response| spoken(&response)) {
            // Some close the connection without a word.
            Speaks::Unknown if self.connect_tls(timeout).is_ok() => Speaks::Tls,
            speaks => speaks,
        }
    }
}

fn spoken(response: &[u8]) -> Speaks {
    // nginx and others name their mistake in HTTP.
    let text = String::from_utf8_lossy(response).to_ascii_lowercase();
    match response {
        // The alert or the handshake of TLS.
        [0x15 | 0x16, 3, ..] => Speaks::Tls,
        _ if text.contains("to an https server") || text.contains("to https port") => Speaks::Tls,
        _ if text.starts_with("http/") => Speaks::Http,
        _ => Speaks::Unknown,
    }
}

fn exchange(mut stream: impl Read + Write, host: &str, timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = instant() + timeout;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let is_enough =
            response.len() >= MAX_HEAD || response.windows(4).any(|end| end == b"\r\n\r\n");
        if is_enough || instant() >= deadline {
            return Ok(response);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(response),
            Ok(length) => response.extend(buffer.iter().take(length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before tells something.
            Err(_) if !response.is_empty() => return Ok(response),
            Err(error) => return Err(error),
        }
    }
}

/// Returns how long it takes to connect.
pub(super) fn reach(address: &SocketAddr, timeout: Duration) -> io::Result<Duration> {
    let start = instant();
    TcpStream::connect_timeout(address, timeout)?;
    Ok(start.elapsed())
}

/// Returns by how many seconds this device's clock is ahead of the server's, by the `Date` header; `None` if there is
/// none.
pub(super) fn clock_ahead(place: &Place, timeout: Duration) -> Option<i64> {
    let response = match place.tls {
        true => exchange(place.connect_tls(timeout).ok()?, &place.host, timeout),
        false => place.plain_request(timeout),
    };
    ahead(&String::from_utf8_lossy(&response.ok()?), wall())
}

fn ahead(head: &str, now: SystemTime) -> Option<i64> {
    let date = head.lines().skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim())
    })?;
    let date = httpdate::parse_http_date(date).ok()?;
    match now.duration_since(date) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).ok(),
        Err(behind) => i64::try_from(behind.duration().as_secs()).ok().map(|seconds| -seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_urls() {
        for (url, host, port, tls) in [
            ("wss://ws-eu.pusher.com:443/app/key?protocol=7", "ws-eu.pusher.com", 443, true),
            ("ws://127.0.0.1:6001/app/key", "127.0.0.1", 6001, false),
            ("ws://[::1]:6001/app/key", "::1", 6001, false),
            ("wss://[::1]/app/key", "::1", 443, true),
            ("ws://h?x=:1", "h", 80, false),
        ] {
            let place = Place::of(url).unwrap();
            assert_eq!((place.host.as_str(), place.port, place.tls), (host, port, tls), "{url}");
        }
    }

    #[test]
    fn first_bytes_tell_what_speaks() {
        for (response, expected) in [
            (&b"HTTP/1.1 404 Not Found\r\n\r\n"[..], Speaks::Http),
            (b"\x15\x03\x01\x00\x02\x02\x46", Speaks::Tls),
            (
                b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port",
                Speaks::Tls,
            ),
            (b"Client sent an HTTP request to an HTTPS server.", Speaks::Tls),
            (b"SSH-2.0-OpenSSH_9", Speaks::Unknown),
            (b"", Speaks::Unknown),
        ] {
            assert_eq!(spoken(response), expected);
        }
    }

    #[test]
    fn date_header_tells_the_difference() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let head = format!("HTTP/1.1 200 OK\r\nServer: x\r\ndate: {date}\r\n\r\n");
        assert_eq!(ahead(&head, now(784_111_777)), Some(0));
        assert_eq!(ahead(&head, now(784_111_977)), Some(200));
        assert_eq!(ahead(&head, now(784_111_677)), Some(-100));
        let body = format!("HTTP/1.1 200 OK\r\n\r\nDate: {date}\r\n");
        for head in [body.as_str(), "", "HTTP/1.1 200 OK\r\nDate: today\r\n\r\n"] {
            assert_eq!(ahead(head, now(0)), None);
        }
    }
}
