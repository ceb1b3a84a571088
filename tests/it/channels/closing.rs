//! `close` does not wait for an endpoint, wherever the request to it hangs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{ErrorKind, HttpAuthorizer, HttpUserAuthenticator, Proxy};

use crate::support::{AT_ONCE, SOON, listen, now, quick, read_head, spawn};

/// Longer than the test runs, so that no request ends by itself.
const MINUTE: Duration = Duration::from_secs(60);

type Script = fn(&mut TcpStream);

/// A peer that goes as far as `reach`, and then sends drops if there are any. The receiver gets a value once it has
/// reached that.
fn peer(reach: Script, drops: Option<&'static [u8]>) -> (String, mpsc::Receiver<()>) {
    let (listener, _) = listen();
    let address = listener.local_addr().unwrap();
    let (reached, wait) = mpsc::channel();
    spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        reach(&mut stream);
        reached.send(()).unwrap();
        let (_keep, never) = mpsc::channel::<()>();
        while drops.is_some_and(|drop| stream.write_all(drop).is_ok()) {
            let _ = never.recv_timeout(Duration::from_millis(5));
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (address.to_string(), wait)
}

fn first_byte(stream: &mut TcpStream) {
    stream.read_exact(&mut [0]).unwrap();
}

fn request(stream: &mut TcpStream) {
    read_head(stream);
}

fn head(stream: &mut TcpStream) {
    read_head(stream);
    stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").unwrap();
}

fn response(stream: &mut TcpStream) {
    read_head(stream);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{").unwrap();
}

/// Closes a client whose request has come as far as that.
fn close_is_immediate(authorizer: HttpAuthorizer, reached: &mpsc::Receiver<()>, place: &str) {
    let server = Server::start().unwrap();
    let client = quick(server.options()).authorizer(authorizer.timeout(MINUTE)).build().unwrap();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    client.connect();
    reached.recv_timeout(SOON).expect(place);
    let start = now();
    client.close(AT_ONCE).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    assert!(now() - start < AT_ONCE, "{place}");
    assert_eq!(room.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::Closed, "{place}");
}

#[test]
fn close_interrupts_a_request_wherever_it_hangs() {
    for (place, reach, drops) in [
        ("no response", request as Script, None),
        ("a head in drops", head, Some(&b"y"[..])),
        ("half a body", response, None),
        ("a body in drops", response, Some(b" ")),
    ] {
        let (address, reached) = peer(reach, drops);
        let authorizer = HttpAuthorizer::new(&format!("http://{address}/auth"));
        close_is_immediate(authorizer, &reached, place);
    }
}

#[test]
fn close_interrupts_a_request_that_waits_for_a_proxy() {
    for (scheme, reach, drops) in [
        ("http", first_byte as Script, None),
        ("socks5", first_byte, None),
        ("http", head, Some(&b"y"[..])),
    ] {
        let (address, reached) = peer(reach, drops);
        let proxy = Proxy::new(&format!("{scheme}://{address}")).unwrap();
        let authorizer = HttpAuthorizer::new("http://endpoint.invalid/auth").proxy(proxy);
        close_is_immediate(authorizer, &reached, scheme);
    }
}

#[cfg(tls)]
#[test]
fn close_interrupts_a_tls_handshake_of_an_endpoint() {
    let (address, reached) = peer(first_byte, None);
    let authorizer = HttpAuthorizer::new(&format!("https://{address}/auth"));
    close_is_immediate(authorizer, &reached, "TLS");
}

#[test]
fn close_interrupts_a_user_authentication() {
    let (address, reached) = peer(request, None);
    let server = Server::start().unwrap();
    let authenticator = HttpUserAuthenticator::new(&format!("http://{address}/user"));
    let client =
        quick(server.options()).user_authenticator(authenticator.timeout(MINUTE)).build().unwrap();
    client.connect();
    client.signin();
    reached.recv_timeout(SOON).unwrap();
    let start = now();
    client.close(AT_ONCE).unwrap();
    assert!(now() - start < AT_ONCE);
    assert_eq!(client.wait_signed_in(SOON).unwrap_err().kind(), ErrorKind::Closed);
}
