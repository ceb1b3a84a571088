//! Deadlines, interruption and refusals, step by step.

use std::error::Error as _;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use socket2::{Domain, Socket, Type};

use super::*;
use crate::ErrorKind;
use crate::util::time_scale::scaled;

const SHORT: Duration = scaled(Duration::from_millis(200));

/// Interrupts a dial as soon as `ready` reports that it has reached that step.
pub(super) fn interrupted(
    connector: WebSocketConnector,
    url: String,
    ready: &mpsc::Receiver<()>,
) -> Error {
    let interrupt = Interrupt::default();
    let dialing = interrupt.clone();
    let result = spawn(move || connector.dial(&url, soon(), &dialing).map(|_| ()));
    ready.recv_timeout(LONG).unwrap();
    interrupt.interrupt();
    let error = result.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().ends_with("interrupted by disconnect"), "{error}");
    error
}

pub(super) fn timed_out(connector: &WebSocketConnector, url: &str, step: &str) {
    let deadline = clock::now() + SHORT;
    let error = connector.dial(url, deadline, &Interrupt::default()).map(|_| ()).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(error.to_string().starts_with(step), "{error}");
    assert!(clock::now() < deadline + AT_ONCE);
}

/// A connector whose lookups report that they have begun, and end when the sender is dropped.
fn stalled_lookup() -> (WebSocketConnector, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (started, ready) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let connector = connector().with_lookup(Arc::new(move |_, _| {
        let _ = started.send(());
        let _ = held.lock().unwrap().recv();
        Err(io::ErrorKind::NotFound.into())
    }));
    (connector, ready, release)
}

/// A connector whose lookups report that they return.
pub(super) fn announcing(address: SocketAddr) -> (WebSocketConnector, mpsc::Receiver<()>) {
    let (started, ready) = mpsc::channel();
    let connector = connector().with_lookup(Arc::new(move |_, _| {
        let _ = started.send(());
        Ok(vec![address])
    }));
    (connector, ready)
}

/// An address of this machine that does not accept: the queue of its listener is full.
#[cfg(target_os = "linux")]
fn black_hole() -> (SocketAddr, Socket, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        queued.push(stream);
    }
    (address, listener, queued)
}

#[test]
fn stalled_lookup_times_out_and_can_be_interrupted() {
    let (connector, ready, _release) = stalled_lookup();
    timed_out(&connector, "ws://slow.test/", "resolving slow.test timed out");
    ready.recv_timeout(LONG).unwrap();
    let error = interrupted(connector, "ws://slow.test/".to_owned(), &ready);
    assert!(error.to_string().starts_with("resolving slow.test"));
}

#[test]
fn interrupt_before_the_dial_ends_it_at_once() {
    let interrupt = Interrupt::default();
    interrupt.interrupt();
    let (connector, _ready, _release) = stalled_lookup();
    let error = connector.dial("ws://slow.test", soon(), &interrupt).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn at_most_four_lookups_run() {
    let (connector, ready, release) = stalled_lookup();
    for _ in 0..4 {
        timed_out(&connector, "ws://slow.test/", "resolving slow.test timed out");
        ready.recv_timeout(LONG).unwrap();
    }
    let error = dial(&connector, "ws://slow.test/").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
    assert!(error.to_string().contains("4 earlier lookups"), "{error}");

    // Once they have ended, names can be looked up again.
    drop(release);
    let end = soon();
    loop {
        let error = dial(&connector, "ws://slow.test/").map(|_| ()).unwrap_err();
        if error.to_string() == "resolving slow.test failed: entity not found" {
            assert!(error.source().unwrap().is::<io::Error>());
            break;
        }
        assert!(clock::now() < end, "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn unanswered_tcp_connection_times_out_and_can_be_interrupted() {
    let (address, _listener, _queued) = black_hole();
    timed_out(&connector(), &format!("ws://{address}"), &format!("connecting to {address} timed"));
    let (connector, ready) = announcing(address);
    let error = interrupted(connector, "ws://silent.test/".to_owned(), &ready);
    // The interrupt may come just before the step begins, and is found then.
    assert!(error.to_string().contains("silent.test"), "{error}");
}

#[test]
fn silent_peer_times_out_in_the_websocket_handshake() {
    let (_listener, address) = listen();
    let step = "WebSocket handshake with 127.0.0.1 timed out";
    timed_out(&connector(), &format!("ws://{address}"), step);
}

#[test]
fn dripping_peer_does_not_extend_the_deadline() {
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        let _ = stream.set_nodelay(true);
        while stream.write_all(b"H").is_ok() {}
    });
    let deadline = clock::now() + SHORT;
    let url = format!("ws://{address}");
    let error = connector().dial(&url, deadline, &Interrupt::default()).map(|_| ()).unwrap_err();
    // Either the deadline or the limit of a head ends it.
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Handshake), "{error:?}");
}

#[test]
fn websocket_handshake_can_be_interrupted() {
    let (reached, ready) = mpsc::channel();
    let (address, _peer) = raw_peer(move |mut stream| {
        read_head(&mut stream);
        reached.send(()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let error = interrupted(connector(), format!("ws://{address}"), &ready);
    assert!(error.to_string().starts_with("WebSocket handshake with 127.0.0.1"));
}

#[cfg(tls)]
#[test]
fn tls_handshake_times_out_and_can_be_interrupted() {
    let (_listener, silent) = listen();
    let step = "TLS handshake with 127.0.0.1 timed out";
    let tls = Tls::default().danger_accept_invalid_certs(true);
    let accepting = || WebSocketConnector::new(shared(&tls), 1).unwrap();
    let connector = accepting();
    // Else a busy machine spends the short time on the platform's roots.
    connector.tls.connector().unwrap().prepare().unwrap();
    timed_out(&connector, &format!("wss://{silent}"), step);

    let (reached, ready) = mpsc::channel();
    let (address, _peer) = raw_peer(move |mut stream| {
        stream.read_exact(&mut [0; 32]).unwrap();
        reached.send(()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = interrupted(accepting(), format!("wss://{address}"), &ready);
    assert!(error.to_string().starts_with("TLS handshake with 127.0.0.1"));
}

#[cfg(not(tls))]
#[test]
fn error_without_tls_names_the_features() {
    let error = dial(&connector(), "wss://localhost/").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`native-tls` or `rustls`"));
}

#[test]
fn http_refusal_has_its_status() {
    for (head, status, hint) in [
        ("HTTP/1.1 401 Unauthorized", 401, "check host, path and key"),
        ("HTTP/1.0 404 Not Found", 404, "check host, path and key"),
        ("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1", 503, "it requests a wait of 1 s"),
        (
            "HTTP/1.1 301 Moved Permanently\r\nLocation: wss://other.test/",
            301,
            "redirects are not followed: `wss://other.test/` speaks TLS",
        ),
    ] {
        let (address, _peer) = raw_peer(move |mut stream| respond(&mut stream, head));
        let error = dial(&connector(), &format!("ws://{address}")).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert_eq!(error.http_status(), Some(status));
        assert_eq!(error.retry_after(), (status == 503).then_some(Duration::from_secs(1)));
        assert!(
            error.to_string().starts_with("WebSocket handshake with 127.0.0.1 failed: the server")
        );
        assert!(error.to_string().contains(&format!("HTTP {status}; {hint}")), "{error}");
    }
}

#[test]
fn invalid_handshake_response_is_an_error() {
    for (head, why) in [
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "switched protocols without the `Sec-WebSocket-Accept`",
        ),
        ("HTTP/1.1 101 Switching Protocols", "switched protocols without `Upgrade: websocket`"),
        ("220 mail.test ESMTP", "responded with the greeting of a mail or FTP server"),
    ] {
        let (address, _peer) = raw_peer(move |mut stream| respond(&mut stream, head));
        let error = dial(&connector(), &format!("ws://{address}")).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        let words = format!("WebSocket handshake with 127.0.0.1 failed: the server {why}");
        assert!(error.to_string().starts_with(&words), "{error}");
    }
}

#[test]
fn close_during_the_handshake_is_named() {
    for (response, end) in [
        (
            "",
            "the peer closed the connection; if this port speaks TLS, use `.tls(true)` or `wss://`",
        ),
        ("HTTP/1.1 101 Swi", "the peer closed the connection in the middle of its response"),
        (
            "HTTP/1.1 100 Continue\r\n\r\n",
            "the peer closed the connection in the middle of its response",
        ),
    ] {
        let (address, _peer) = raw_peer(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(response.as_bytes()).unwrap();
        });
        let error = dial(&connector(), &format!("ws://{address}")).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().ends_with(end), "{error}");
    }
    // What was not read turns the end into a reset.
    let (address, _peer) = raw_peer(|mut stream| stream.read_exact(&mut [0]).unwrap());
    let error = dial(&connector(), &format!("ws://{address}")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("if this port speaks TLS, use `.tls(true)`"), "{error}");
}

#[test]
fn invalid_url_is_a_config_error() {
    for url in ["http://h/", "h/app", "ws:///app", "ws://", "", "ws://a b/", "ws://[]/"] {
        let error = dial(&connector(), url).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
    }
}

#[test]
fn request_has_host_path_and_query() {
    let (address, heads) = raw_peer(|mut stream| read_head(&mut stream));
    let connector = resolving_to(vec![address]);
    let url = format!("ws://host.test:{}/app/key?protocol=7&a=b%20c", address.port());
    let _ = dial(&connector, &url);
    let head = heads.recv_timeout(LONG).unwrap();
    assert!(head.starts_with("GET /app/key?protocol=7&a=b%20c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("Host: host.test:{}\r\n", address.port())), "{head}");
}

/// An address that refuses: it was free a moment ago.
pub(super) fn refusing() -> SocketAddr {
    listen().1
}

#[test]
fn next_address_is_tried_when_one_refuses() {
    let (address, _peer) = peer(|mut server| server.send("hello".into()).unwrap());
    let connector = resolving_to(vec![refusing(), "[::1]:1".parse().unwrap(), address]);
    let socket = Arc::new(dial(&connector, "ws://two.test/").unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));
}

#[cfg(target_os = "linux")]
#[test]
fn next_address_is_tried_when_one_is_silent() {
    let (silent, _listener, _queued) = black_hole();
    let (address, _peer) = peer(|mut server| server.send("hello".into()).unwrap());
    let started = clock::now();
    let connector = resolving_to(vec![silent, silent, address]);
    let socket = Arc::new(dial(&connector, "ws://two.test/").unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));
    assert!(clock::now() - started >= Duration::from_millis(500), "two head starts");
}

#[test]
fn error_counts_the_addresses_that_refused() {
    let both = resolving_to(vec![refusing(), refusing()]);
    let error = dial(&both, "ws://two.test:81/").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("none of its 2 addresses"), "{error}");
    let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);

    let error = dial(&connector(), &format!("ws://{}", refusing())).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("connecting to 127.0.0.1:"), "{error}");
}

#[test]
fn host_without_an_address_is_an_error() {
    let error = dial(&resolving_to(Vec::new()), "ws://none.test/").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns);
}

#[test]
fn names_are_resolved_by_the_system() {
    let (address, _peer) = peer(|mut server| server.send("hello".into()).unwrap());
    let url = format!("ws://localhost:{}/", address.port());
    assert_eq!(recv(&Arc::new(dial(&connector(), &url).unwrap())).unwrap(), text("hello"));
}

#[test]
fn ipv6_literal_is_dialed_without_a_lookup() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => return eprintln!("NOT TESTED: this machine has no ::1 ({error})"),
    };
    let address = listener.local_addr().unwrap();
    let _peer = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        tungstenite::accept(stream).unwrap().send("hello".into()).unwrap();
    });
    let connector = connector().with_lookup(Arc::new(|_, _| Err(io::ErrorKind::NotFound.into())));
    let socket = dial(&connector, &format!("ws://[::1]:{}/", address.port())).unwrap();
    assert_eq!(recv(&Arc::new(socket)).unwrap(), text("hello"));
}
