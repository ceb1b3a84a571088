//! Answers to the handshake that are none.

use std::io::Write;
use std::net::TcpStream;

use pusher_channels::ErrorKind;

use crate::peers::{answer, failure, until_gone};

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

/// Sends the beginning, and then the rest for as long as it is taken.
fn endless(mut stream: TcpStream, beginning: &str, rest: &str) {
    let rest = rest.repeat(64 * 1024 / rest.len());
    let mut result = stream.write_all(beginning.as_bytes());
    while result.is_ok() {
        result = stream.write_all(rest.as_bytes());
    }
}

#[test]
fn garbage_is_a_failed_handshake() {
    let long = "x".repeat(100_000);
    for reply in [
        "\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{28}\r\n\r\n",
        "\u{81}\u{2}{}",
        "HTTP/1.1 101\r\n\r\n",
        "HTTP/1.1 -1 No\r\n\r\n",
        "HTTP/1.1 99999 No\r\n\r\n",
        "HTTP/9.9 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\n\n",
        &format!("{SWITCH}\r\n"),
        &format!("{SWITCH}Sec-WebSocket-Accept: \u{fffd}\r\n\r\n"),
        &format!("{SWITCH}no colon\r\n\r\n"),
        &format!("{SWITCH}: no name\r\n\r\n"),
        &format!("{SWITCH}X: {long}\r\n\r\n"),
        &format!("{SWITCH}{}\r\n", "X: y\r\n".repeat(10_000)),
        &format!("HTTP/1.1 101 {long}\r\n\r\n"),
        &long,
    ] {
        let reply = reply.to_owned();
        let shown = reply.clone();
        let (error, _) = failure(false, move |stream| answer(stream, &reply));
        let kinds = [ErrorKind::Handshake, ErrorKind::Io, ErrorKind::Timeout];
        assert!(kinds.contains(&error.kind()), "{shown:.80}: {error:?}");
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn statuses_that_are_no_upgrade_are_told() {
    for status in [200, 204, 304, 418, 599] {
        let reply = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 5\r\n\r\nwords");
        let (error, _) = failure(false, move |stream| answer(stream, &reply));
        assert_eq!(error.kind(), ErrorKind::Handshake, "{status}: {error:?}");
        assert_eq!(error.http_status(), Some(status));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_without_end_is_given_up() {
    crate::support::alone("hostile::handshake::an_answer_without_end_is_given_up", || {
        let before = super::peak();
        for (beginning, rest) in [
            ("", "\0"),
            ("", "HTTP/1.1 "),
            ("HTTP/1.1 101 Switching Protocols\r\n", "X: y\r\n"),
            ("HTTP/1.1 101 Switching Protocols\r\nX: ", "y"),
            ("HTTP/1.1 503 Busy\r\n\r\n", "words"),
            ("HTTP/1.1 302 Found\r\nLocation: ws://", "a"),
        ] {
            let (error, _) = failure(false, move |stream| endless(stream, beginning, rest));
            let kinds = [ErrorKind::Handshake, ErrorKind::Io, ErrorKind::Timeout];
            assert!(kinds.contains(&error.kind()), "{beginning}: {error:?}");
        }
        let grown = super::peak() - before;
        println!("endless answers took {grown} MiB");
        assert!(grown < 32, "{grown} MiB");
    });
}

#[test]
fn one_that_hangs_up_after_half_a_line_is_told() {
    let (error, _) = failure(false, |mut stream| {
        stream.write_all(b"HTTP/1.1 101 Swi").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        until_gone(stream);
    });
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Handshake), "{error:?}");
}
