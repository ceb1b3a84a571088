//! The handshakes without sockets, for every way in which their input may be cut.

use super::*;
use crate::Proxy;
use std::sync::Arc;

fn server(url: &str) -> Arc<ProxyServer> {
    Arc::clone(Proxy::new(url).unwrap().server_for(true, "h", 1).unwrap())
}

/// Sun, 06 Nov 1994 08:49:37 GMT
const WALL: Duration = Duration::from_secs(784_111_777);

/// Each piece that is sent.
type Sent = Vec<Vec<u8>>;
/// What is left of the input.
type End = Result<Vec<u8>, Error>;

/// Returns what is sent, and how it ends: with the rest of the input or an error, or `None` if it waits for more.
fn run(url: &str, host: &str, parts: &[&[u8]]) -> (Sent, Option<End>) {
    let server = server(url);
    let (mut handshake, first) = Handshake::new(&server, host, 443).unwrap();
    let mut sent = vec![first];
    let mut input = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        input.extend_from_slice(part);
        loop {
            match handshake.advance(&input, WALL) {
                Ok(Progress::Wait) => break,
                Ok(Progress::Send(length, bytes)) => {
                    input.drain(..length);
                    sent.push(bytes);
                }
                Ok(Progress::Done(length)) => {
                    input.drain(..length);
                    input.extend(parts[index + 1..].concat());
                    return (sent, Some(Ok(input)));
                }
                Err(refusal) => return (sent, Some(Err(named(refusal, &server)))),
            }
        }
    }
    (sent, None)
}

/// Runs it in one piece, cut in two everywhere, and byte by byte: it is the same every time.
fn run_cut(url: &str, host: &str, input: &[u8]) -> (Sent, End) {
    let (sent, end) = run(url, host, &[input]);
    let end = end.expect("the input is whole");
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    let cuts = (0..=input.len()).map(|cut| vec![&input[..cut], &input[cut..]]);
    for parts in cuts.chain([bytes]) {
        let (sent_cut, end_cut) = run(url, host, &parts);
        assert_eq!(sent_cut, sent, "{parts:?}");
        match (&end, end_cut.expect("the input is whole")) {
            (Ok(rest), Ok(rest_cut)) => assert_eq!(&rest_cut, rest, "{parts:?}"),
            (Err(error), Err(cut)) => assert_eq!(cut.to_string(), error.to_string(), "{parts:?}"),
            (end, cut) => panic!("{end:?}, but cut {cut:?}"),
        }
    }
    (sent, end)
}

/// No prefix of it is enough.
fn waits(url: &str, input: &[u8]) {
    for length in 0..input.len() {
        assert!(run(url, "h", &[&input[..length]]).1.is_none(), "{length}");
    }
}

fn refused(url: &str, input: &[u8]) -> Error {
    let error = run_cut(url, "host.test", input).1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    error
}

const AGENT: &str = concat!("User-Agent: pusher-channels/", env!("CARGO_PKG_VERSION"));

#[test]
fn connect_sends_names_and_addresses() {
    for (host, target) in
        [("host.test", "host.test:443"), ("1.2.3.4", "1.2.3.4:443"), ("::1", "[::1]:443")]
    {
        let (sent, end) = run_cut("http://p", host, b"HTTP/1.1 200 OK\r\n\r\n");
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{AGENT}\r\n\r\n");
        assert_eq!(sent, [request.into_bytes()]);
        assert!(end.unwrap().is_empty());
    }
}

#[test]
fn connect_sends_credentials_at_once() {
    let (sent, _) = run_cut("http://user:p%C3%A4ss@p", "h", b"HTTP/1.1 200 OK\r\n\r\n");
    let request = String::from_utf8(sent[0].clone()).unwrap();
    assert!(request.contains("\r\nProxy-Authorization: Basic dXNlcjpww6Rzcw==\r\n"), "{request}");
    let (sent, _) = run("http://p", "h", &[]);
    assert!(!String::from_utf8(sent[0].clone()).unwrap().contains("Authorization"));
}

#[test]
fn connect_leaves_what_follows_the_head() {
    for head in [
        "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
        "HTTP/1.0 200\r\n\r\n",
        "HTTP/1.1 204 \r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\nVia: x\n\n",
        "HTTP/1.1 200 OK\r\n\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 x\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        waits("http://p", head.as_bytes());
        let input = [head.as_bytes(), b"\r\n\r\nHTTP/1.1 101\r\n"].concat();
        assert_eq!(run_cut("http://p", "h", &input).1.unwrap(), b"\r\n\r\nHTTP/1.1 101\r\n");
    }
}

#[test]
fn connect_explains_refusals_by_status() {
    for (url, head, status, retryable, part) in [
        (
            "http://p",
            "407 x\r\nProxy-Authenticate: basic realm=\"x\"",
            407,
            false,
            "p:80 requires credentials: HTTP",
        ),
        ("http://u:canary@p", "401 x", 401, false, "does not accept these credentials: HTTP 401"),
        ("http://p", "401 x", 401, false, "requires credentials: HTTP 401"),
        ("http://u:canary@p", "407 x", 407, false, "does not accept these credentials"),
        (
            "http://u:canary@p",
            "407 x\r\nPROXY-AUTHENTICATE: NTLM",
            407,
            false,
            "another scheme than Basic",
        ),
        (
            "http://p",
            "407 x\r\nno colon\r\nProxy-Authenticate: NTLM",
            407,
            false,
            "another scheme than Basic",
        ),
        (
            "http://p",
            "407 x\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic",
            407,
            false,
            "requires credentials",
        ),
        ("http://p", "403 x", 403, false, "does not allow connections to host.test:443: HTTP 403"),
        ("http://p", "502 x", 502, true, "cannot connect to host.test:443: HTTP 502"),
        ("http://p", "503 x", 503, true, "HTTP 503"),
        ("http://p", "504", 504, true, "HTTP 504"),
        ("http://p", "405 x", 405, false, "refuses CONNECT host.test:443 with HTTP 405"),
        ("http://p", "302 x\r\nLocation: http://canary/", 302, false, "HTTP 302"),
        ("http://p", "500 x", 500, true, "HTTP 500"),
    ] {
        let error = refused(url, format!("HTTP/1.1 {head}\r\n\r\nbody").as_bytes());
        assert_eq!(error.http_status(), Some(status), "{head}");
        assert_eq!(error.is_retryable(), retryable, "{head}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn connect_returns_the_wait_that_the_proxy_requests() {
    for (head, seconds) in [
        ("HTTP/1.1 503 x\r\nRetry-After: 7", Some(7)),
        ("HTTP/1.0 429 x\r\nretry-after:Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("HTTP/1.1 502 x\r\nRetry-After: 7", None),
        ("HTTP/1.1 503 x", None),
    ] {
        let error = refused("http://p", format!("{head}\r\n\r\n").as_bytes());
        assert_eq!(error.retry_after(), seconds.map(Duration::from_secs), "{head}");
    }
}

#[test]
fn connect_recognizes_other_protocols_early() {
    for input in [&b"\x05\xff"[..], b"S", b"HTTP/2", b"<html>", b"\r\n", b"http/1.1"] {
        let error = refused("http://p", input);
        assert!(error.to_string().contains("another kind of proxy"), "{error}");
        assert!(error.http_status().is_none() && error.is_retryable());
    }
    for head in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1",
        "HTTP/1.x 200 OK",
        "HTTP/1.1 +20 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1 099 x",
    ] {
        let error = refused("http://p", format!("{head}\r\n\r\n").as_bytes());
        assert!(error.to_string().contains("invalid HTTP status"), "{error}");
    }
}

#[test]
fn connect_accepts_heads_up_to_the_limit() {
    const LIMIT: usize = 16 * 1024;
    let head = |length: usize| {
        let mut head = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
        head.resize(length - 4, b'y');
        head.extend(b"\r\n\r\n");
        head
    };
    let end = |parts: &[&[u8]]| run("http://p", "h", parts).1;
    let good = [head(LIMIT), b"rest".to_vec()].concat();
    assert_eq!(end(&[&good]).unwrap().unwrap(), b"rest");
    let parts: Vec<&[u8]> = good.chunks(1000).collect();
    assert_eq!(end(&parts).unwrap().unwrap(), b"rest");
    for input in [head(LIMIT + 1), head(LIMIT + 1)[..=LIMIT].to_vec()] {
        let error = end(&[&input]).unwrap().unwrap_err();
        assert!(error.to_string().contains("more than 16384 bytes"), "{error}");
    }
    assert!(end(&[&head(LIMIT + 1)[..LIMIT]]).is_none());
    // Heads in between count too.
    let between = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(LIMIT);
    assert!(end(&[&between]).unwrap().is_err());
}

/// A reply of success with an address of each kind.
fn successes() -> [Vec<u8>; 4] {
    [
        b"\x05\0\0\x01\x01\x02\x03\x04\0\x50".to_vec(),
        [&b"\x05\0\0\x04"[..], &[7; 16], &[1, 2]].concat(),
        [&b"\x05\0\0\x03\x04name"[..], &[1, 2]].concat(),
        [&b"\x05\0\x63\x03\0"[..], &[1, 2]].concat(),
    ]
}

#[test]
fn socks_sends_names_and_addresses() {
    let long = "n".repeat(255);
    let name = |name: &str| [&[3, name.len() as u8][..], name.as_bytes()].concat();
    for (host, address) in [
        ("host.test", name("host.test")),
        ("1.2.3.4", vec![1, 1, 2, 3, 4]),
        ("::1", [&[4][..], &[0; 15], &[1]].concat()),
        (&long, name(&long)),
    ] {
        for success in successes() {
            let input = [&b"\x05\0"[..], &success, b"\x05rest"].concat();
            waits("socks5://p", &input[..2 + success.len()]);
            let (sent, end) = run_cut("socks5://p", host, &input);
            let request = [&[5, 1, 0][..], &address, &[1, 187]].concat();
            assert_eq!(sent, [vec![5, 1, 0], request]);
            assert_eq!(end.unwrap(), b"\x05rest");
        }
    }
}

#[test]
fn socks_sends_credentials_on_request() {
    let request = b"\x05\x01\0\x03\x01h\x01\xbb".to_vec();
    let credentials = b"\x01\x04user\x05p\xc3\xa4ss".to_vec();
    for version in [1, 5] {
        let input = [&[5, 2, version, 0][..], &successes()[0], b"rest"].concat();
        let (sent, end) = run_cut("socks5h://user:p%C3%A4ss@p", "h", &input);
        assert_eq!(sent, [b"\x05\x02\0\x02".to_vec(), credentials.clone(), request.clone()]);
        assert_eq!(end.unwrap(), b"rest");
    }
    let input = [&b"\x05\0"[..], &successes()[0]].concat();
    let (sent, end) = run_cut("socks5://user:pass@p", "h", &input);
    assert_eq!(sent, [b"\x05\x02\0\x02".to_vec(), request]);
    assert!(end.unwrap().is_empty());
}

#[test]
fn socks_explains_refusals() {
    let with = "socks5://u:canary@p";
    for (url, input, retryable, part) in [
        ("socks5://p", &b"\x05\xff"[..], false, "the proxy p:1080 requires credentials"),
        (with, b"\x05\xff", false, "another kind of authentication"),
        ("socks5://p", b"\x05\x02", true, "method 2"),
        (with, b"\x05\x01", true, "method 1"),
        (with, b"\x05\x02\x01\x01", false, "does not accept these credentials"),
        (with, b"\x05\x02\x05\xff", false, "does not accept these credentials"),
        (with, b"\x05\x02\x07", true, "another kind of proxy"),
        ("socks5://p", b"\x05\0\x05\x01", true, "reports a general failure (SOCKS5 reply 1)"),
        ("socks5://p", b"\x05\0\x05\x02", false, "does not allow"),
        ("socks5://p", b"\x05\0\x05\x03", true, "network"),
        ("socks5://p", b"\x05\0\x05\x04", true, "host"),
        ("socks5://p", b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0", true, "refused the connection"),
        ("socks5://p", b"\x05\0\x05\x06", true, "time to live"),
        ("socks5://p", b"\x05\0\x05\x07", false, "CONNECT"),
        ("socks5://p", b"\x05\0\x05\x08", false, "type of address"),
        ("socks5://p", b"\x05\0\x05\xff", true, "reply 255"),
        ("socks5://p", b"\x05\0\x05\0\0\x02", true, "unknown type 2"),
        ("socks5://p", b"\x05\0\x04", true, "another kind of proxy"),
        ("socks5://p", b"HTTP/1.1 400 Bad Request\r\n\r\n", true, "another kind of proxy"),
        ("socks5://p", b"\x04", true, "another kind of proxy"),
    ] {
        let error = refused(url, input);
        assert_eq!(error.is_retryable(), retryable, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.http_status(), None);
    }
}

#[test]
fn socks_refuses_a_long_host_name() {
    let server = server("socks5://p");
    let error = Handshake::new(&server, &"n".repeat(256), 443).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("256 bytes"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_input_breaks_a_handshake(input: Vec<u8>, prefix in 0_usize..6) {
        let begin: [&[u8]; 6] = [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 ", b"\x05", b"\x05\0\x05\0", b"\x05\x02\x01"];
        let input = [begin[prefix], &input].concat();
        for url in ["http://p", "socks5://u:p@p"] {
            let whole = run(url, "h", &[&input]).1.map(|end| end.map_err(|error| error.to_string()));
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            let cut = run(url, "h", &bytes).1.map(|end| end.map_err(|error| error.to_string()));
            proptest::prop_assert_eq!(whole, cut);
        }
    }
}
