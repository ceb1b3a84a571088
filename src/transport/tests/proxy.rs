//! Scripted proxies, from the dial to the WebSocket behind them.

use std::error::Error as _;
use std::io;
use std::thread;

use super::dial::{announcing, interrupted, refusing, timed_out};
use super::*;
use crate::{ErrorKind, Proxy};

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const SOCKS_SUCCESS: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";
const TARGET: &str = "ws://server.test/app/key";

/// Names other than the proxy's are not looked up here.
fn through(proxy: &str, addresses: Vec<SocketAddr>) -> WebSocketConnector {
    let lookup = move |host: &str, _| match host {
        "proxy.test" => Ok(addresses.clone()),
        _ => Err(io::Error::other(format!("{host} was looked up"))),
    };
    connector().with_lookup(Arc::new(lookup)).with_proxy(&Proxy::new(proxy).unwrap())
}

fn refused(proxy: &str, address: SocketAddr, url: &str) -> Error {
    let error = dial(&through(proxy, vec![address]), url).map(|_| ()).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    error
}

/// Speaks SOCKS5 up to the request, and returns the credentials and the request without the port.
fn take_socks(stream: &mut TcpStream) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let header = bytes(2);
    let methods = bytes(header[1].into());
    let method = *methods.last().unwrap();
    stream.write_all(&[5, method]).unwrap();
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let mut credentials = Vec::new();
    if method == 2 {
        bytes(1);
        for _ in 0..2 {
            let length = bytes(1)[0];
            credentials.push(length);
            credentials.extend(bytes(length.into()));
        }
        stream.write_all(&[1, 0]).unwrap();
    }
    let mut request = vec![0; 5];
    stream.read_exact(&mut request).unwrap();
    let rest = match request[3] {
        1 => 3,
        3 => request[4].into(),
        _ => 15,
    };
    let mut address = vec![0; rest + 2];
    stream.read_exact(&mut address).unwrap();
    request.extend(&address[..rest]);
    (credentials, request)
}

/// Serves as the server behind the proxy.
fn serve(stream: TcpStream) {
    let mut server = tungstenite::accept(stream).unwrap();
    server.send("hello".into()).unwrap();
    let message = server.read().unwrap();
    server.send(message).unwrap();
    let _ = server.read();
}

fn talks(connector: &WebSocketConnector, url: &str) {
    let socket = Arc::new(dial(connector, url).unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));
    let long = "x".repeat(100_000);
    socket.send(&long).unwrap();
    assert_eq!(recv(&socket).unwrap(), text(&long));
}

#[test]
fn http_proxy_resolves_the_servers_name() {
    let (address, heads) = raw_peer(|mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(ESTABLISHED).unwrap();
        serve(stream);
        head
    });
    talks(&through("http://user:pass@proxy.test:3128", vec![address]), TARGET);
    let head = heads.recv_timeout(LONG).unwrap();
    assert!(head.starts_with("CONNECT server.test:80 HTTP/1.1\r\nHost: server.test:80\r\n"));
    assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
}

#[test]
fn socks_proxy_resolves_the_servers_name() {
    for (scheme, credentials) in [("socks5://", ""), ("socks5h://", "user:pass@")] {
        let (address, request) = raw_peer(|mut stream| {
            let request = take_socks(&mut stream);
            stream.write_all(SOCKS_SUCCESS).unwrap();
            serve(stream);
            request
        });
        let proxy = format!("{scheme}{credentials}proxy.test");
        talks(&through(&proxy, vec![address]), TARGET);
        let (sent, request) = request.recv_timeout(LONG).unwrap();
        assert_eq!(request, b"\x05\x01\0\x03\x0bserver.test");
        let expected: &[u8] = if credentials.is_empty() { b"" } else { b"\x04user\x04pass" };
        assert_eq!(sent, expected);
    }
}

#[test]
fn literal_addresses_are_sent_to_the_proxy_as_addresses() {
    let (address, heads) = raw_peer(|mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(ESTABLISHED).unwrap();
        serve(stream);
        head
    });
    talks(&through("http://proxy.test", vec![address]), "ws://[::1]:6001/app");
    assert!(heads.recv_timeout(LONG).unwrap().starts_with("CONNECT [::1]:6001 HTTP/1.1\r\n"));

    let (address, request) = raw_peer(|mut stream| {
        let request = take_socks(&mut stream);
        stream.write_all(SOCKS_SUCCESS).unwrap();
        serve(stream);
        request
    });
    talks(&through("socks5://proxy.test", vec![address]), "ws://[::1]:6001/app");
    let request = request.recv_timeout(LONG).unwrap().1;
    assert_eq!(request, [&[5, 1, 0, 4][..], &[0; 15], &[1]].concat());
}

#[test]
fn response_may_come_byte_by_byte() {
    for (proxy, response) in
        [("http://proxy.test", ESTABLISHED), ("socks5://proxy.test", SOCKS_SUCCESS)]
    {
        let (address, _peer) = raw_peer(move |mut stream| {
            stream.set_nodelay(true).unwrap();
            if response == ESTABLISHED {
                read_head(&mut stream);
            } else {
                take_socks(&mut stream);
            }
            for byte in response {
                stream.write_all(&[*byte]).unwrap();
                // So that they are read one by one, most of the time.
                thread::yield_now();
            }
            serve(stream);
        });
        talks(&through(proxy, vec![address]), TARGET);
    }
}

#[test]
fn bytes_behind_the_response_are_kept() {
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        // A server's hello of a protocol in which it speaks first.
        stream.write_all(&[ESTABLISHED, b"HTTP/1.1 503 Not now\r\n\r\n"].concat()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = refused("http://proxy.test", address, TARGET);
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Handshake, Some(503)));
}

#[test]
fn refusal_says_why_the_proxy_refused() {
    let url = "http://user:canary@proxy.test:8080";
    let (address, _peer) = raw_peer(|mut stream| respond(&mut stream, "HTTP/1.1 407 x"));
    let error = refused(url, address, TARGET);
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert_eq!(error.http_status(), Some(407));
    assert!(!error.is_retryable());
    let message = "the proxy proxy.test:8080 does not accept these credentials: HTTP 407";
    assert_eq!(error.to_string(), message);

    let (address, _peer) = raw_peer(|mut stream| {
        take_socks(&mut stream);
        stream.write_all(b"\x05\x04").unwrap();
    });
    let error = refused("socks5://user:canary@proxy.test", address, TARGET);
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Proxy, None));
    assert!(error.is_retryable() && error.to_string().contains("host"), "{error}");
}

#[test]
fn garbage_and_early_ends_are_errors() {
    for proxy in ["http://user:canary@proxy.test", "socks5://user:canary@proxy.test"] {
        let (address, _peer) = raw_peer(|mut stream| {
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.write_all(b"220 mail.test ESMTP\r\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = refused(proxy, address, TARGET);
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
        assert!(error.to_string().contains("another kind of proxy"), "{error}");

        let begin: &[u8] = if proxy.starts_with("http") { b"HTTP/1.1 200 OK\r\n" } else { b"\x05" };
        for begin in [b"", begin] {
            let (address, _peer) = raw_peer(move |mut stream| {
                // All of it, since an unread rest would turn the end into a reset.
                let length = if begin.starts_with(b"H") || proxy.starts_with("http") {
                    read_head(&mut stream).len()
                } else {
                    stream.read(&mut [0; 16]).unwrap()
                };
                assert!(length > 0);
                stream.write_all(begin).unwrap();
            });
            let error = refused(proxy, address, TARGET);
            assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
            let message = error.to_string();
            assert!(message.starts_with("connecting through the proxy proxy.test:"), "{message}");
            assert!(message.ends_with("to server.test:80 failed: the peer closed the connection"));
        }
    }
}

#[test]
fn long_host_name_for_socks_is_a_config_error() {
    let (_listener, address) = listen();
    let url = format!("ws://{}/", "n".repeat(256));
    let error = refused("socks5://proxy.test", address, &url);
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[test]
fn silent_and_dripping_proxies_time_out() {
    for (proxy, port) in [("http://proxy.test", 80), ("socks5://proxy.test", 1080)] {
        let (_listener, address) = listen();
        let step =
            format!("connecting through the proxy proxy.test:{port} to server.test:80 timed out");
        timed_out(&through(proxy, vec![address]), TARGET, &step);
    }
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        let (_keep, never) = mpsc::channel::<()>();
        let mut head = ESTABLISHED.iter().take(20).chain(std::iter::repeat(&b'x'));
        while head.next().is_some_and(|byte| stream.write_all(&[*byte]).is_ok()) {
            let _ = never.recv_timeout(Duration::from_millis(5));
        }
    });
    let step = "connecting through the proxy proxy.test:80 to server.test:80 timed out";
    timed_out(&through("http://proxy.test", vec![address]), TARGET, step);
}

#[test]
fn endless_head_is_an_error() {
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(&[b'x'; 1024]).is_ok() {}
    });
    let error = refused("http://proxy.test", address, TARGET);
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.to_string().contains("more than 16384 bytes"), "{error}");
}

#[test]
fn every_step_with_a_proxy_can_be_interrupted() {
    for proxy in ["http://proxy.test", "socks5://u:p@proxy.test"] {
        let (reached, ready) = mpsc::channel();
        let (address, _peer) = raw_peer(move |mut stream| {
            // In SOCKS, the second step.
            if proxy.starts_with("socks") {
                stream.read_exact(&mut [0; 4]).unwrap();
                stream.write_all(b"\x05\x02").unwrap();
            }
            stream.read_exact(&mut [0; 3]).unwrap();
            reached.send(()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = interrupted(through(proxy, vec![address]), TARGET.to_owned(), &ready);
        assert!(
            error.to_string().starts_with("connecting through the proxy proxy.test:"),
            "{error}"
        );
    }

    let (_listener, address) = listen();
    let (connector, ready) = announcing(address);
    let connector = connector.with_proxy(&Proxy::new("http://proxy.test").unwrap());
    let error = interrupted(connector, TARGET.to_owned(), &ready);
    assert!(error.to_string().contains("proxy.test"), "{error}");
}

#[test]
fn all_addresses_of_the_proxy_are_tried() {
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(ESTABLISHED).unwrap();
        serve(stream);
    });
    talks(
        &through("http://proxy.test", vec![refusing(), "[::1]:1".parse().unwrap(), address]),
        TARGET,
    );

    let error = refused("http://proxy.test:81", refusing(), TARGET);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("connecting to the proxy proxy.test:"), "{error}");
    assert!(error.source().unwrap().is::<io::Error>());
    let error = dial(&through("http://other.test", Vec::new()), TARGET).map(|_| ()).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Dns, "resolving other.test failed: other.test was looked up")
    );
}

#[test]
fn exceptions_are_dialed_without_the_proxy() {
    let (address, _peer) = peer(|mut server| server.send("hello".into()).unwrap());
    let proxy = Proxy::new(&format!("http://{}", refusing())).unwrap();
    let connector = connector().with_proxy(&proxy.no_proxy("127.0.0.0/8"));
    let socket = Arc::new(dial(&connector, &format!("ws://{address}")).unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));
}
