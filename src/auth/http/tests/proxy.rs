//! Requests through scripted proxies.

use std::error::Error as _;

use super::*;
use crate::{HttpUserAuthenticator, Proxy, UserAuthRequest, UserAuthenticator as _};

/// A host that does not exist, so only the proxy can connect to it.
const ENDPOINT: &str = "http://endpoint.invalid:8080/auth";

/// A proxy that also plays the endpoint. Its channel gets the head of CONNECT and the first line of the request.
fn http_proxy(response: &'static str) -> (String, mpsc::Receiver<String>) {
    let (seen, heads) = mpsc::channel();
    let url = peer(move |mut stream| {
        let head = read_head(&mut stream);
        seen.send(head).unwrap();
        stream.write_all(format!("HTTP/1.1 {response}\r\n\r\n").as_bytes()).unwrap();
        if response.starts_with('2') {
            seen.send(read_request(&mut stream).line).unwrap();
            reply(&mut stream, "200 OK", GOOD);
        }
    });
    (format!("http://user:canary%40@{}", address_in(&url)), heads)
}

fn address_in(url: &str) -> &str {
    url.split('/').nth(2).unwrap()
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Takes user and password, checks the request, and sends `reply`.
fn socks_proxy(verdict: u8, response: &'static [u8]) -> String {
    let url = peer(move |mut stream| {
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(b"\x05\x02").unwrap();
        let mut credentials = [0; 13];
        stream.read_exact(&mut credentials).unwrap();
        assert_eq!(&credentials, b"\x01\x04user\x06canary");
        stream.write_all(&[1, verdict]).unwrap();
        if verdict != 0 {
            return;
        }
        let mut request = [0; 23];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"\x05\x01\0\x03\x10endpoint.invalid\x1f\x90");
        stream.write_all(response).unwrap();
        if response[1] == 0 {
            read_request(&mut stream);
            reply(&mut stream, "200 OK", GOOD);
        }
    });
    format!("socks5://user:canary@{}", address_in(&url))
}

fn with(proxy: &str) -> HttpAuthorizer {
    HttpAuthorizer::new(ENDPOINT).proxy(Proxy::new(proxy).unwrap()).timeout(LONG)
}

fn refused(http: &HttpAuthorizer) -> Error {
    let error = authorize(http).unwrap_err();
    let shown = format!("{error} {error:?} {http:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(error.to_string().starts_with("authorization at endpoint.invalid:8080: "), "{error}");
    error
}

#[test]
fn http_proxy_connects_to_the_endpoint() {
    let (proxy, heads) = http_proxy("200 Connection established");
    assert_eq!(authorize(&with(&proxy)).unwrap().auth, "key:signature");
    let head = heads.recv_timeout(LONG).unwrap();
    assert!(head.starts_with("CONNECT endpoint.invalid:8080 HTTP/1.1\r\n"), "{head}");
    // user:canary@
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpjYW5hcnlA\r\n"), "{head}");
    assert_eq!(heads.recv_timeout(LONG).unwrap(), "POST /auth HTTP/1.1");
}

#[test]
fn socks_proxy_connects_to_the_endpoint() {
    let http = with(&socks_proxy(0, b"\x05\0\0\x01\0\0\0\0\0\0"));
    assert_eq!(authorize(&http).unwrap().auth, "key:signature");
}

#[test]
fn users_are_authenticated_through_a_proxy() {
    let (proxy, heads) = http_proxy("200 OK");
    let http =
        HttpUserAuthenticator::new(ENDPOINT).parser(|_| Ok(crate::UserAuth::new("k:s", "{}")));
    http.use_proxy(&Proxy::new(&proxy).unwrap());
    http.authenticate(&UserAuthRequest::new("1.2")).unwrap();
    assert!(heads.recv_timeout(LONG).unwrap().starts_with("CONNECT endpoint.invalid:8080"));
}

#[test]
fn proxy_refusals_are_proxy_errors() {
    for (response, status, retryable, part) in [
        ("407 Who", 407, false, "does not accept these credentials: HTTP 407"),
        ("403 No", 403, false, "does not allow connections to endpoint.invalid:8080: HTTP 403"),
        ("502 Bad", 502, true, "cannot connect to endpoint.invalid:8080: HTTP 502"),
    ] {
        let (proxy, _heads) = http_proxy(response);
        let error = refused(&with(&proxy));
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Proxy, Some(status)));
        assert_eq!(error.is_retryable(), retryable);
        assert!(error.to_string().contains(part), "{error}");
    }
    for (verdict, response, retryable, part) in [
        (1, &b""[..], false, "does not accept these credentials"),
        (0, b"\x05\x02\0\x01\0\0\0\0\0\0", false, "does not allow this connection"),
        (0, b"\x05\x04\0\x01\0\0\0\0\0\0", true, "cannot reach the server's host"),
        (0, b"\x05\x09\0\x01\0\0\0\0\0\0", true, "SOCKS5 reply 9"),
    ] {
        let error = refused(&with(&socks_proxy(verdict, response)));
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Proxy, None), "{error:?}");
        assert_eq!(error.is_retryable(), retryable);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn unreachable_or_silent_proxy_is_named() {
    let (listener, address) = listen();
    drop(listener);
    let error = refused(&with(&format!("http://user:canary@{address}")));
    assert_eq!(error.kind(), ErrorKind::Io);
    let end = format!(": connecting to the proxy {address} failed: connection refused");
    assert!(error.to_string().ends_with(&end), "{error}");
    assert!(error.source().is_some());

    for scheme in ["http", "socks5"] {
        let (_listener, address) = listen();
        let http = with(&format!("{scheme}://user:canary@{address}")).timeout(LONG / 40);
        let error = spawn(move || refused(&http)).recv_timeout(LONG).unwrap();
        assert!(error.is_timeout(), "{error:?}");
    }
}

#[test]
fn interruption_ends_a_request_that_waits_for_a_proxy() {
    let (listener, address) = listen();
    let http = Arc::new(with(&format!("socks5://{address}")));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || authorize(&http))
    };
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    http.interrupt();
    let error = result.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
}

#[test]
fn own_proxy_takes_precedence_over_the_clients() {
    let (url, _seen) = server("200 OK", GOOD);
    let (listener, address) = listen();
    drop(listener);
    let dead = Proxy::new(&format!("http://{address}")).unwrap();

    let http = HttpAuthorizer::new(&url);
    authorize(&http).unwrap();
    http.use_proxy(&dead);
    assert!(authorize(&http).unwrap_err().to_string().contains("the proxy"));
    http.use_proxy(&dead.clone().no_proxy("127.0.0.1"));
    authorize(&http).unwrap();
    http.use_proxy(&dead.clone().no_proxy("127.0.0.1:1"));
    assert!(authorize(&http).is_err());
    http.use_proxy(&Proxy::none());
    authorize(&http).unwrap();

    let own = HttpAuthorizer::new(&url).proxy(Proxy::none());
    own.use_proxy(&dead);
    authorize(&own).unwrap();
}
