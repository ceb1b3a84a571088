//! Failing networks.

use std::error::Error as _;
use std::time::Instant;

use socket2::SockRef;

use super::*;

const SHORT: Duration = scaled(Duration::from_millis(300));

fn timed_out(http: HttpAuthorizer) {
    let start: Instant = clock::now();
    let error = spawn(move || authorize(&http).unwrap_err()).recv_timeout(LONG).unwrap();
    assert!(error.is_timeout() && error.is_retryable(), "{error:?}");
    assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: the request timed out");
    assert!(!format!("{error:#}").contains("global"), "the library's word for the limit");
    let took = clock::now() - start;
    assert!(took >= SHORT / 2 && took < LONG / 2, "{took:?}");
}

#[test]
fn silent_endpoint_times_out() {
    // Never accepted.
    let (_listener, address) = listen();
    timed_out(HttpAuthorizer::new(&format!("http://{address}")).timeout(SHORT));

    let hold = |bytes: &'static [u8]| {
        peer(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(bytes).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    timed_out(HttpAuthorizer::new(&hold(b"")).timeout(SHORT));
    timed_out(
        HttpAuthorizer::new(&hold(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")).timeout(SHORT),
    );

    let half = hold(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nno");
    let error = authorize(&HttpAuthorizer::new(&half).timeout(SHORT)).unwrap_err();
    assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: HTTP 403: no");
}

#[test]
fn response_that_comes_byte_by_byte_times_out() {
    let url = peer(|mut stream| {
        read_request(&mut stream);
        let (_keep, never) = mpsc::channel::<()>();
        while stream.write_all(b"H").is_ok() {
            let _ = never.recv_timeout(Duration::from_millis(20));
        }
    });
    let http = HttpAuthorizer::new(&url).timeout(SHORT);
    let error = spawn(move || authorize(&http).unwrap_err()).recv_timeout(LONG).unwrap();
    assert!(error.kind() == ErrorKind::Timeout || error.kind() == ErrorKind::Auth, "{error:?}");
}

#[test]
fn refused_connection_is_an_io_error_with_its_cause() {
    let (listener, address) = listen();
    drop(listener);
    let error =
        authorize(&HttpAuthorizer::new(&format!("http://{address}/path?canary"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    let cause = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn lost_connection_is_an_io_error() {
    for reset in [false, true] {
        let url = peer(move |mut stream| {
            read_request(&mut stream);
            if reset {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
        });
        let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.is_retryable() && error.source().is_some());
    }
}

#[test]
fn unknown_host_is_a_dns_error() {
    let http = HttpAuthorizer::new("http://name.invalid/").timeout(LONG / 2);
    let error = authorize(&http).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Dns | ErrorKind::Timeout), "{error:?}");
    assert!(error.to_string().contains("name.invalid") && error.source().is_some(), "{error:?}");
}

#[test]
fn extreme_timeouts_do_not_panic() {
    let (url, _seen) = server("200 OK", GOOD);
    assert!(authorize(&HttpAuthorizer::new(&url).timeout(Duration::MAX)).is_ok());
    let error = authorize(&HttpAuthorizer::new(&url).timeout(Duration::ZERO)).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

#[test]
fn interruption_ends_running_requests_only() {
    interrupts_behind("");
    interrupts_behind("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
    interrupts_behind("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nno");
}

/// The endpoint sends this part of its first response.
fn interrupts_behind(part: &'static str) {
    let (requested, wait) = mpsc::channel();
    let first = std::sync::atomic::AtomicBool::new(true);
    let url = peer(move |mut stream| {
        read_request(&mut stream);
        if first.swap(false, Ordering::SeqCst) {
            stream.write_all(part.as_bytes()).unwrap();
            requested.send(()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        } else {
            reply(&mut stream, "200 OK", GOOD);
        }
    });
    let http = Arc::new(HttpAuthorizer::new(&url));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || authorize(&http))
    };
    wait.recv_timeout(LONG).unwrap();
    http.interrupt();
    let error = result.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{part}: {error:?}");
    assert!(error.is_retryable());
    http.interrupt();
    http.interrupt();
    assert!(authorize(&http).is_ok());
}

#[test]
fn connection_is_reused() {
    let (listener, address) = listen();
    let accepted = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..2 {
            read_request(&mut stream);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", GOOD.len());
            stream.write_all(format!("{head}{GOOD}").as_bytes()).unwrap();
        }
    });
    let http = HttpAuthorizer::new(&format!("http://{address}")).timeout(LONG);
    authorize(&http).unwrap();
    // Equal settings keep the connections.
    http.use_tls(&Tls::default());
    authorize(&http).unwrap();
    accepted.recv_timeout(LONG).unwrap();
}
