//! Peers that misbehave before the connection is established: the error names the step that failed.

use std::io::Write;
use std::time::Duration;

use pusher_channels::ErrorKind;

use super::{failure, respond};
use crate::support::{check, send, wait_for_close, wait_for_end};

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

/// Sends the beginning, and then the rest for as long as it is taken.
#[cfg(target_os = "linux")]
fn endless(mut stream: impl Write, beginning: &str, rest: &str) {
    let rest = rest.repeat(64 * 1024 / rest.len());
    let mut result = stream.write_all(beginning.as_bytes());
    while result.is_ok() {
        result = stream.write_all(rest.as_bytes());
    }
}

#[test]
fn silent_peer_times_out_in_the_websocket_handshake() {
    let error = failure(false, wait_for_end);
    check(&error, ErrorKind::Timeout, "WebSocket handshake");
}

#[test]
#[cfg(tls)]
fn tls_handshake_stall_reports_timeout_in_tls() {
    let error = failure(true, wait_for_end);
    check(&error, ErrorKind::Timeout, "TLS handshake");
}

#[test]
fn peer_that_closes_fails_the_websocket_handshake() {
    let error = failure(false, drop);
    check(&error, ErrorKind::Io, "WebSocket handshake");
}

#[test]
fn silence_after_the_upgrade_times_out_before_connection_established() {
    let error = failure(false, |stream| {
        wait_for_close(tungstenite::accept(stream).unwrap());
    });
    check(&error, ErrorKind::Timeout, "pusher:connection_established");
}

#[test]
fn wrong_accept_key_is_a_failed_handshake() {
    let error = failure(false, |stream| {
        respond(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        );
    });
    check(&error, ErrorKind::Handshake, "handshake");
}

#[test]
fn redirect_is_not_followed_and_its_location_is_in_the_error() {
    let error = failure(false, |stream| {
        respond(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        );
    });
    check(&error, ErrorKind::Handshake, "ws://elsewhere/");
    assert_eq!(error.http_status(), Some(302));
}

#[test]
fn half_a_frame_is_a_lost_connection() {
    let error = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        // A text frame of 100 bytes, of which 3 come.
        socket.get_mut().write_all(&[0x81, 100, b'{', b'"', b'e']).unwrap();
    });
    check(&error, ErrorKind::Io, "before `pusher:connection_established`");
    check(&error, ErrorKind::Io, "ended without a close frame; check the app key");
}

#[test]
fn reset_is_a_lost_connection() {
    let error = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        socket.flush().unwrap();
        // With no lingering, closing resets.
        socket2::SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    });
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Server), "{error:?}");
}

#[test]
fn peer_that_is_not_a_pusher_server_is_a_protocol_error() {
    let error = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        send(&mut socket, r#"{"event":"pusher:connection_established","data":{"id":"1.2"}}"#);
        wait_for_close(socket);
    });
    check(&error, ErrorKind::Protocol, "socket_id");
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
        let error = failure(false, move |stream| respond(stream, &reply));
        let kinds = [ErrorKind::Handshake, ErrorKind::Io, ErrorKind::Timeout];
        assert!(kinds.contains(&error.kind()), "{shown:.80}: {error:?}");
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn other_statuses_are_failed_handshakes_with_that_status() {
    for status in [200, 204, 304, 401, 404, 418, 503, 599] {
        let reply = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 5\r\n\r\nwords");
        let error = failure(false, move |stream| respond(stream, &reply));
        check(&error, ErrorKind::Handshake, &status.to_string());
        assert_eq!(error.http_status(), Some(status));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn endless_response_is_abandoned() {
    crate::support::alone(|| {
        let before = super::peak();
        for (beginning, rest) in [
            ("", "\0"),
            ("", "HTTP/1.1 "),
            ("HTTP/1.1 101 Switching Protocols\r\n", "X: y\r\n"),
            ("HTTP/1.1 101 Switching Protocols\r\nX: ", "y"),
            ("HTTP/1.1 503 Busy\r\n\r\n", "words"),
            ("HTTP/1.1 302 Found\r\nLocation: ws://", "a"),
        ] {
            let error = failure(false, move |stream| endless(stream, beginning, rest));
            let kinds = [ErrorKind::Handshake, ErrorKind::Io, ErrorKind::Timeout];
            assert!(kinds.contains(&error.kind()), "{beginning}: {error:?}");
        }
        let grown = super::peak() - before;
        println!("endless responses took {grown} MiB");
        assert!(grown < 32, "{grown} MiB");
    });
}

#[test]
fn close_after_half_a_line_is_a_failed_handshake() {
    let error = failure(false, |mut stream| {
        stream.write_all(b"HTTP/1.1 101 Swi").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        wait_for_end(stream);
    });
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Handshake), "{error:?}");
}
