//! Connecting to endpoints: lookups, several addresses, proxies, and one deadline for everything.

use std::io;
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::Proxy;
use crate::transport::Resolver;
#[cfg(target_os = "linux")]
use crate::util::testing::black_hole;

const SHORT: Duration = scaled(Duration::from_millis(300));

/// Resolves every name to these addresses.
fn resolving(mut http: HttpAuthorizer, addresses: Vec<SocketAddr>) -> HttpAuthorizer {
    let lookup = Arc::new(move |_: &str, _| Ok(addresses.clone()));
    http.endpoint.agents.resolver = Arc::new(Resolver::queueing_with(lookup));
    http
}

/// Lookups that signal their start, and return `address` when the sender is dropped.
fn stalled(
    mut http: HttpAuthorizer,
    address: SocketAddr,
) -> (HttpAuthorizer, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (started, ready) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let lookup = Arc::new(move |_: &str, _| {
        let _ = started.send(());
        let _ = held.lock().unwrap().recv();
        Ok(vec![address])
    });
    http.endpoint.agents.resolver = Arc::new(Resolver::queueing_with(lookup));
    (http, ready, release)
}

fn address_of(url: &str) -> SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

/// Returns the error of a request that times out, and checks that it does so in time.
fn late(http: HttpAuthorizer) -> Error {
    let start: Instant = clock::now();
    let http = http.timeout(SHORT);
    let error = spawn(move || authorize(&http).unwrap_err()).recv_timeout(LONG).unwrap();
    assert!(error.is_timeout() && error.is_retryable(), "{error:?}");
    assert_eq!(error.timeout(), Some(crate::Timeout::Auth));
    let took = clock::now() - start;
    assert!(took >= SHORT / 2 && took < LONG / 2, "{took:?}");
    error
}

/// Interrupts a request when `ready` receives, and checks its error.
fn interrupted(http: HttpAuthorizer, ready: &mpsc::Receiver<()>) {
    let http = Arc::new(http.timeout(LONG));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || authorize(&http))
    };
    ready.recv_timeout(LONG).unwrap();
    http.interrupt();
    let error = result.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(error.to_string().ends_with(": interrupted"), "{error}");
}

#[test]
fn stalled_lookup_times_out_and_can_be_interrupted() {
    let stalled = || stalled(HttpAuthorizer::new("http://slow.test/"), listen().1);
    let (http, _ready, _release) = stalled();
    let words = "authorization at slow.test:80: resolving slow.test timed out";
    assert_eq!(late(http).to_string(), words);
    let (http, ready, _release) = stalled();
    interrupted(http, &ready);
}

#[test]
fn lookup_without_a_thread_is_a_retryable_io_error() {
    let mut http = HttpAuthorizer::new("http://slow.test/");
    http.endpoint.agents.resolver = Arc::new(Resolver::without_threads());
    for _ in 0..9 {
        let error = authorize(&http).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.is_retryable());
        let words = "authorization at slow.test:80: starting a thread to resolve slow.test failed";
        assert!(error.to_string().starts_with(words), "{error}");
    }
}

#[test]
fn requests_wait_for_a_free_lookup() {
    let (url, _seen) = server("200 OK", GOOD);
    let (http, ready, release) =
        stalled(HttpAuthorizer::new("http://slow.test/"), address_of(&url));
    let http = Arc::new(http.timeout(LONG));
    let results: Vec<_> = (0..12)
        .map(|_| {
            let http = Arc::clone(&http);
            spawn(move || authorize(&http))
        })
        .collect();
    for _ in 0..4 {
        ready.recv_timeout(LONG).unwrap();
    }
    drop(release);
    for result in results {
        result.recv_timeout(LONG).unwrap().unwrap();
    }
    assert_eq!(ready.try_iter().count(), 8);
}

#[cfg(target_os = "linux")]
#[test]
fn dead_first_address_costs_only_its_head_start() {
    let (dead, _kept) = black_hole();
    let (url, _seen) = server("200 OK", GOOD);
    let http = HttpAuthorizer::new("http://two.test/").timeout(LONG);
    let http = resolving(http, vec![dead, address_of(&url)]);
    let start: Instant = clock::now();
    spawn(move || authorize(&http)).recv_timeout(LONG).unwrap().unwrap();
    let took = clock::now() - start;
    assert!(took < 2 * AT_ONCE, "{took:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn unanswered_connect_times_out_and_can_be_interrupted() {
    let (dead, _kept) = black_hole();
    let error = late(resolving(HttpAuthorizer::new("http://dead.test/"), vec![dead]));
    assert_eq!(
        error.to_string(),
        "authorization at dead.test:80: connecting to dead.test:80 timed out"
    );
    let (http, ready, release) = stalled(HttpAuthorizer::new("http://dead.test/"), dead);
    drop(release);
    interrupted(http, &ready);
}

#[test]
fn next_address_is_tried_after_a_refusal() {
    let (url, _seen) = server("200 OK", GOOD);
    let refusing = listen().1;
    let http = HttpAuthorizer::new("http://two.test/");
    authorize(&resolving(http, vec![refusing, address_of(&url)])).unwrap();
    let error = authorize(&resolving(HttpAuthorizer::new("http://two.test/"), vec![])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dns, "{error:?}");
    assert!(error.to_string().starts_with("authorization at two.test:80: "), "{error}");
}

#[test]
fn proxy_that_sends_byte_by_byte_times_out() {
    for (scheme, first) in
        [("http", &b"HTTP/1.1 200 OK\r\nx: "[..]), ("socks5", b"\x05\0\x05\0\0\x03\xff")]
    {
        let url = peer(move |mut stream| {
            let _ = stream.read(&mut [0; 512]);
            let (_keep, never) = mpsc::channel::<()>();
            let mut drops = first.iter().chain(std::iter::repeat(&b'x'));
            while stream.write_all(&[*drops.next().unwrap()]).is_ok() {
                let _ = never.recv_timeout(scaled(Duration::from_millis(5)));
            }
        });
        let proxy = address_of(&url);
        let http = HttpAuthorizer::new("http://endpoint.invalid/")
            .proxy(Proxy::new(&format!("{scheme}://{proxy}")).unwrap());
        let error = late(http);
        let words =
            format!("connecting through the proxy {proxy} to endpoint.invalid:80 timed out");
        assert_eq!(error.to_string(), format!("authorization at endpoint.invalid:80: {words}"));
    }
}

#[test]
fn request_larger_than_the_socket_buffer_waits_and_times_out() {
    // It does not read, so the system's buffers are soon full.
    let (_listener, address) = listen();
    let large = "x".repeat(5 * 1024 * 1024);
    let http = HttpAuthorizer::new(&format!("http://{address}/"));
    assert_eq!(
        text_of(&late(http.param("large", &large))),
        "authorization at 127.0.0.1:PORT: the request timed out"
    );
    let url = peer(|mut stream| {
        assert!(read_request(&mut stream).body.len() > 5 * 1024 * 1024);
        reply(&mut stream, "200 OK", GOOD);
    });
    authorize(&HttpAuthorizer::new(&url).param("large", &large).timeout(3 * LONG)).unwrap();
}

#[test]
fn bytes_after_the_proxys_response_belong_to_the_endpoint() {
    let url = peer(|mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let body = GOOD.len();
        // All at once, before the request.
        let all = format!(
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: {body}\r\n\r\n{GOOD}"
        );
        stream.write_all(all.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let proxy = Proxy::new(&format!("http://{}", address_of(&url))).unwrap();
    authorize(&HttpAuthorizer::new("http://endpoint.invalid/").proxy(proxy).timeout(LONG)).unwrap();
}

#[test]
fn connection_closed_by_the_peer_is_not_reused() {
    let (closed, wait) = mpsc::channel();
    let url = peer(move |mut stream| {
        read_request(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{GOOD}", GOOD.len());
        stream.write_all(head.as_bytes()).unwrap();
        drop(stream);
        closed.send(()).unwrap();
    });
    let http = HttpAuthorizer::new(&url);
    for _ in 0..3 {
        authorize(&http).unwrap();
        wait.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn io_errors_keep_their_kind() {
    let (url, _seen) = server("200 OK", GOOD);
    let http = resolving(HttpAuthorizer::new("http://[::1]:1/"), vec![address_of(&url)]);
    // A literal address is not looked up.
    let error = authorize(&http).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error.to_string().starts_with("authorization at [::1]:1: connecting to [::1]:1 failed"),
        "{error}"
    );
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.is::<io::Error>());
}

// On other systems a reset may discard what was received.
#[cfg(target_os = "linux")]
#[test]
fn response_before_the_end_of_the_request_is_read() {
    let url = peer(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        // With the rest unread, the close resets the connection.
        reply(&mut stream, "413 Payload Too Large", "too much");
    });
    let http = HttpAuthorizer::new(&url).param("large", &"x".repeat(16 * 1024 * 1024));
    let error = authorize(&http.timeout(LONG)).unwrap_err();
    assert_eq!(error.http_status(), Some(413), "{error:?}");
    // Without a response, the error is why it could not be sent.
    let url = peer(|mut stream| stream.read_exact(&mut [0]).unwrap());
    let http = HttpAuthorizer::new(&url).param("large", &"x".repeat(16 * 1024 * 1024));
    let error = authorize(&http.timeout(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(error.is_retryable() && std::error::Error::source(&error).is_some(), "{error:?}");
}
