//! The client's handshake without a socket, for every way in which its input may be cut.

use super::*;
use crate::config::headers::Headers;
use crate::config::options::websocket_url;
use crate::transport::head::MAX_HEAD;

/// RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
/// Sun, 06 Nov 1994 08:49:37 GMT
const WALL: Duration = Duration::from_secs(784_111_777);
const PLAIN: &str = "ws://h/app/key";
const SECURE: &str = "wss://h/app/key";

/// What is left of the input.
type End = Result<Vec<u8>, Error>;

fn begin(url: &str, headers: &[(&str, &str)]) -> (Handshake, String) {
    let mut added = Headers::default();
    headers.iter().for_each(|(name, value)| added.push(name, value));
    let url = websocket_url(url).unwrap();
    let (handshake, request) = Handshake::new(&url, &added.collect().unwrap(), KEY);
    (handshake, String::from_utf8(request).unwrap())
}

/// How it ends. `None`: it waits for more.
fn run(url: &str, parts: &[&[u8]]) -> Option<End> {
    let (mut handshake, _) = begin(url, &[]);
    let mut bytes = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        bytes.extend_from_slice(part);
        let mut is_all = false;
        loop {
            match handshake.advance(Input { bytes: &bytes, is_all, wall: WALL }) {
                Ok(Progress::Wait) => break,
                Ok(Progress::WaitBriefly) if index + 1 < parts.len() => break,
                Ok(Progress::WaitBriefly) => is_all = true,
                Ok(Progress::Done(length)) => {
                    bytes.drain(..length);
                    bytes.extend(parts[index + 1..].concat());
                    return Some(Ok(bytes));
                }
                Err(refusal) => return Some(Err(refusal)),
            }
        }
    }
    None
}

/// Runs it in one piece, cut in two everywhere, and byte by byte: it is the same every time.
fn run_cut(url: &str, input: &[u8]) -> End {
    let end = run(url, &[input]).expect("the input is whole");
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    let cuts = (0..=input.len()).map(|cut| vec![&input[..cut], &input[cut..]]);
    for parts in cuts.chain([bytes]) {
        match (&end, run(url, &parts).expect("the input is whole")) {
            (Ok(rest), Ok(cut)) => assert_eq!(&cut, rest, "{parts:?}"),
            (Err(refusal), Err(cut)) => {
                assert_eq!(
                    (cut.text(), cut.http_status()),
                    (refusal.text(), refusal.http_status()),
                    "{parts:?}"
                );
            }
            (end, cut) => panic!("{end:?}, but cut {cut:?}"),
        }
    }
    end
}

fn accepted(head: &str) {
    for length in 0..head.len() {
        assert!(run(PLAIN, &[&head.as_bytes()[..length]]).is_none(), "{length} of {head}");
    }
    let input = [head.as_bytes(), b"\x81\x02{}"].concat();
    assert_eq!(run_cut(PLAIN, &input).expect(head), b"\x81\x02{}");
}

fn refused(url: &str, response: &str) -> Error {
    let refusal = run_cut(url, response.as_bytes()).expect_err(response);
    assert!(refusal.text().len() < 500 && !refusal.text().contains("canary"), "{refusal:?}");
    refusal
}

#[test]
fn request_leaves_the_default_port_out_of_host() {
    for (url, host) in [
        ("wss://h:443/app/k", "h"),
        ("ws://h:80/app/k", "h"),
        ("ws://h/app/k", "h"),
        ("wss://h:80/app/k", "h:80"),
        ("ws://h:443/app/k", "h:443"),
        ("wss://h:6001/app/k", "h:6001"),
        ("wss://[::1]:443/app/k", "[::1]"),
        ("wss://[::1]:6001/app/k", "[::1]:6001"),
    ] {
        let (_, request) = begin(url, &[]);
        assert!(
            request.starts_with(&format!("GET /app/k HTTP/1.1\r\nHost: {host}\r\n")),
            "{request}"
        );
    }
}

#[test]
fn request_has_the_required_fields_and_a_user_agent() {
    let (_, request) = begin("ws://h/app/k?protocol=7&a=b%20c", &[]);
    let agent = concat!("pusher-channels/", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "GET /app/k?protocol=7&a=b%20c HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nUser-Agent: {agent}\r\n\r\n"
    );
    assert_eq!(request, expected);
    for url in ["ws://h", "ws://h/"] {
        assert!(begin(url, &[]).1.starts_with("GET / HTTP/1.1\r\n"), "{url}");
    }
    assert!(begin("ws://h?x=1", &[]).1.starts_with("GET /?x=1 HTTP/1.1\r\n"));
}

#[test]
fn headers_replace_defaults_and_earlier_ones_in_any_case() {
    let (_, request) = begin(
        "wss://h/",
        &[
            ("Cookie", "a=1"),
            ("USER-AGENT", "mine/1"),
            ("host", "other:81"),
            ("cookie", "b=2"),
            ("Origin", "https://app.test"),
        ],
    );
    let lines: Vec<&str> = request.split("\r\n").collect();
    assert_eq!(lines[1], "host: other:81");
    assert_eq!(
        lines[6..],
        ["USER-AGENT: mine/1", "cookie: b=2", "Origin: https://app.test", "", ""]
    );
}

#[test]
fn tokens_are_found_in_lists_of_any_case_and_lines() {
    for connection in [
        "Connection: Upgrade",
        "connection: upgrade",
        "Connection: keep-alive, Upgrade",
        "CONNECTION: UPGRADE,keep-alive",
        "Connection: ,, keep-alive ,\t uPgrade ,",
        "Connection: keep-alive\r\nConnection: Upgrade",
        "Connection: Upgrade\r\nX: y\r\nConnection: close",
        "Connection:\r\n keep-alive,\r\n\tUpgrade",
    ] {
        for upgrade in
            ["Upgrade: WebSocket", "upgrade: h2c, websocket", "Upgrade: x\r\nUpgrade: websocket"]
        {
            accepted(&format!(
                "HTTP/1.1 101 Switching Protocols\r\n{connection}\r\n{upgrade}\r\n{ACCEPT}\r\n"
            ));
        }
    }
}

const SWITCH: &str = "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";

#[test]
fn informational_responses_are_skipped() {
    let good = format!("{SWITCH}{ACCEPT}\r\n");
    accepted(&format!("HTTP/1.1 100 Continue\r\n\r\n{good}"));
    accepted(&format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102\r\n\r\n{good}"));
    accepted(&good.replace("\r\n", "\n"));
    accepted(&format!(
        "{SWITCH}{ACCEPT}Sec-WebSocket-Extensions: \r\nSec-WebSocket-Protocol:,\r\n\r\n"
    ));
    let refusal = refused(PLAIN, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\n\r\n");
    assert_eq!(refusal.http_status(), Some(401));
}

#[test]
fn switch_to_another_protocol_is_refused() {
    let offered = |line: &str| format!("{SWITCH}{ACCEPT}{line}\r\n\r\n");
    for (head, part) in [
        (format!("HTTP/1.1 101 x\r\n{ACCEPT}Connection: Upgrade\r\n\r\n"), "`Upgrade: websocket`"),
        (
            format!("HTTP/1.1 101 x\r\n{ACCEPT}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
            "`Upgrade: websocket`",
        ),
        (format!("HTTP/1.1 101 x\r\n{ACCEPT}Upgrade: websocket\r\n\r\n"), "`Connection: Upgrade`"),
        (
            format!(
                "HTTP/1.1 101 x\r\n{ACCEPT}Upgrade: websocket\r\nConnection: no-upgrade\r\n\r\n"
            ),
            "`Connection: Upgrade`",
        ),
        (format!("{SWITCH}\r\n"), "Sec-WebSocket-Accept"),
        (format!("{SWITCH}Sec-WebSocket-Accept: {KEY}\r\n\r\n"), "Sec-WebSocket-Accept"),
        (format!("{SWITCH}{ACCEPT}{ACCEPT}\r\n"), "Sec-WebSocket-Accept"),
        (
            offered("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"),
            "extension `permessage-deflate`, which was not offered",
        ),
        (offered("sec-websocket-extensions: ,\r\nsec-websocket-extensions: x"), "extension `x`"),
        (offered("Sec-WebSocket-Protocol: chat"), "subprotocol `chat`, which was not offered"),
        (offered(": no name"), "not HTTP"),
        (offered("no colon"), "not HTTP"),
        (offered(&"X: y\r\n".repeat(200)), "not HTTP"),
        (offered("").replacen("1.1", "1.0", 1), "HTTP/1.0"),
    ] {
        let refusal = refused(PLAIN, &head);
        assert!(refusal.text().contains(part), "{head}: {refusal:?}");
        assert_eq!((refusal.http_status(), refusal.retry_after()), (None, None));
    }
}

#[test]
fn refusal_has_its_status_in_any_version_and_with_an_invalid_head() {
    for version in ["1.0", "1.1"] {
        for rest in ["Forbidden\r\n", "\r\n", "\u{1}\r\n", "x\r\nno colon\r\n", "x\nServer: y\n"] {
            for (status, hint) in [
                (200, "; check host, path and key"),
                (400, "; check host, path and key"),
                (401, "; check host, path and key"),
                (
                    403,
                    "; check host, path and key, and whether the server wants a header, such as `Origin`",
                ),
                (404, "; check host, path and key"),
                (408, ""),
                (429, ""),
                (500, ""),
                (503, ""),
                (304, "; redirects are not followed"),
            ] {
                let refusal = refused(SECURE, &format!("HTTP/{version} {status} {rest}\r\n"));
                assert_eq!(refusal.http_status(), Some(status));
                let text = format!("the server responded with HTTP {status}{hint}");
                assert!(refusal.text().starts_with(&text), "{refusal:?}");
                assert!(!hint.is_empty() || refusal.text() == text, "{refusal:?}");
            }
        }
    }
}

#[test]
fn refusal_has_the_wait_that_the_server_requests() {
    for (head, seconds) in [
        ("503 x\r\nRetry-After: 7", Some(7)),
        ("429 x\r\nretry-after:\t7 ", Some(7)),
        ("429 x\r\nRetry-After: Sun, 06 Nov 1994 08:50:36 GMT", Some(59)),
        ("503 x\r\nRetry-After: Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
        ("302 x\r\nRetry-After: 7", None),
        ("403 x\r\nRetry-After: 7", None),
    ] {
        let refusal = refused(PLAIN, &format!("HTTP/1.1 {head}\r\n\r\n"));
        assert_eq!(refusal.retry_after(), seconds.map(Duration::from_secs), "{head}");
        let hint = seconds.map(|seconds| format!("; it requests a wait of {seconds} s"));
        assert!(hint.is_none_or(|hint| refusal.text().ends_with(&hint)), "{refusal:?}");
    }
}

#[test]
fn redirect_names_the_location_without_secrets() {
    let long = format!("https://{}", "x".repeat(1000));
    for (url, location, end) in [
        (PLAIN, "ws://other.test/a?t=canary", "connect to `ws://other.test/a` if that is right"),
        (PLAIN, "/login#canary", "connect to `/login` if that is right"),
        (PLAIN, "HTTPS://h/app", "`HTTPS://h/app` speaks TLS, use `.tls(true)` or `wss://`"),
        (SECURE, "https://h/app", "connect to `https://h/app` if that is right"),
        (PLAIN, "http://user:canary@h/", "connect to `http://h/` if that is right"),
        (
            PLAIN,
            "/in/canary7890123456789012345/app",
            "connect to `/in/[redacted]/app` if that is right",
        ),
        (PLAIN, "http://h/ canary", "redirects are not followed"),
        (PLAIN, "?canary", "redirects are not followed"),
        (PLAIN, &long, "redirects are not followed"),
    ] {
        let refusal = refused(url, &format!("HTTP/1.1 302 x\r\nLocation: {location}\r\n\r\n"));
        assert!(refusal.text().ends_with(end), "{refusal:?}");
    }
}

#[test]
fn page_of_a_tls_port_is_recognized() {
    let hint = "this port speaks TLS, use `.tls(true)` or `wss://`";
    for page in [
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\r\n<head><title>400 The plain HTTP \
         request was sent to HTTPS port</title></head>",
        "HTTP/1.1 400 Bad Request\r\n\r\nReason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        "HTTP/1.1 400 \r\n\r\nBad Request\r\nThis combination of host and port requires TLS.\r\n",
    ] {
        let refusal = refused(PLAIN, page);
        assert_eq!(refusal.http_status(), Some(400));
        assert!(refusal.text().ends_with(hint), "{refusal:?}");
        assert!(!refused(SECURE, page).text().contains(hint));
    }
    assert!(!refused(PLAIN, "HTTP/1.1 400 x\r\n\r\n<a href=\"https://x\">").text().contains(hint));
    // A page that exceeds the limit is not waited for.
    let long = format!("HTTP/1.1 400 x\r\n\r\n{}", "x".repeat(10_000));
    let (mut handshake, _) = begin(PLAIN, &[]);
    let input = Input { bytes: long.as_bytes(), is_all: false, wall: WALL };
    assert_eq!(handshake.advance(input).unwrap_err().http_status(), Some(400));
}

#[test]
fn response_of_another_protocol_is_named() {
    let tls = "the server responded in TLS; if this port speaks TLS, use `.tls(true)` or `wss://`";
    for (input, text) in [
        (&b"\x15\x03\x01\0\x02\x02\x28"[..], tls),
        (b"\x16\x03\x03\0\x7a\x02", tls),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "responded in SSH; is this the right port?"),
        (b"<html>canary", "with a page without an HTTP head"),
        (b"\xef\xbb\xbf<!doctype html>", "with a page without an HTTP head"),
        (b"GET /app/canary HTTP/1.1\r\n", "with the request itself"),
        (b"220 mail.test canary\r\n", "with the greeting of a mail or FTP server"),
        (b"HTTP/2 200", "in another version of HTTP"),
        (b"canary\r\n\r\n", "with text that is not HTTP"),
        (b"\x81\x02{}", "with bytes that are not HTTP"),
    ] {
        let refusal = run(PLAIN, &[input]).unwrap().unwrap_err();
        assert!(refusal.text().contains(text) && !refusal.text().contains("canary"), "{refusal:?}");
        assert_eq!(refusal.http_status(), None);
        // However it is cut: the first bytes suffice to fail, if not to name the protocol.
        for cut in 1..input.len() {
            let cut = run(PLAIN, &[&input[..cut], &input[cut..]]).unwrap().unwrap_err();
            assert!(cut.text().starts_with("the server responded "), "{cut:?}");
        }
    }
    // Inside TLS it is no alert.
    assert!(
        run(SECURE, &[b"\x15\x03\x01"])
            .unwrap()
            .unwrap_err()
            .text()
            .contains("bytes that are not HTTP")
    );
    for status in ["20 OK", "2000 OK", "-1 No", "+20 x", "600 x", "099 x", "x", ""] {
        let refusal = refused(PLAIN, &format!("HTTP/1.1 {status}\r\n\r\n"));
        assert!(refusal.text().ends_with("with an invalid HTTP status"), "{refusal:?}");
    }
}

#[test]
fn heads_are_accepted_up_to_the_limit() {
    let head = |length: usize| {
        let mut head = format!("{SWITCH}{ACCEPT}X: ").into_bytes();
        head.resize(length - 4, b'y');
        head.extend(b"\r\n\r\n");
        head
    };
    let good = [head(MAX_HEAD), b"rest".to_vec()].concat();
    assert_eq!(run(PLAIN, &[&good]).unwrap().unwrap(), b"rest");
    let parts: Vec<&[u8]> = good.chunks(1000).collect();
    assert_eq!(run(PLAIN, &parts).unwrap().unwrap(), b"rest");
    assert!(run(PLAIN, &[&head(MAX_HEAD + 1)[..MAX_HEAD]]).is_none());
    let between = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD);
    for input in [&head(MAX_HEAD + 1), &head(MAX_HEAD + 1)[..=MAX_HEAD], &between] {
        let refusal = run(PLAIN, &[input]).unwrap().unwrap_err();
        assert!(refusal.text().ends_with("with a head of more than 16384 bytes"), "{refusal:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_input_breaks_the_handshake(input: Vec<u8>, prefix in 0_usize..6) {
        let begin: [&[u8]; 6] =
            [b"", b"HTTP/1.1 ", b"HTTP/1.1 101 x\r\n", b"HTTP/1.1 400 x\r\n", b"HTTP/1.1 100\r\n\r\n", b"\x15"];
        let input = [begin[prefix], &input].concat();
        let outcome = |end: Option<End>| end.map(|end| end.map_err(|refusal| refusal.http_status()));
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        proptest::prop_assert_eq!(outcome(run(PLAIN, &[&input])), outcome(run(PLAIN, &bytes)));
    }
}
