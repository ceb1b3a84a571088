//! Peers that break the WebSocket protocol, or use it in unusual ways.

use std::io::Write;
use std::time::Duration;

use pusher_channels::{ErrorKind, State};
use tungstenite::protocol::CloseFrame;

use super::{Stage, frame};
use crate::support::{SOON, check, establish, next, spawn, wait_for, wait_for_close};

#[test]
fn fragmented_message_is_one_message() {
    let mut stage = Stage::new();
    let events = stage.room.bind("e");
    let data = "é".repeat(50_000);
    let text = format!(r#"{{"event":"e","channel":"room","data":"{data}"}}"#);
    let mut bytes = frame(0x01, b"");
    for (number, byte) in text.bytes().enumerate() {
        bytes.extend(frame(0x00, &[byte]));
        match number % 1000 {
            0 => bytes.extend(frame(0x89, b"in between")),
            1 => bytes.extend(frame(0x00, b"")),
            _ => {}
        }
    }
    bytes.extend(frame(0x80, b""));
    stage.raw(&bytes);
    assert_eq!(events.recv_timeout(SOON).unwrap().data(), data);
    stage.goes_on();
}

#[test]
fn binary_messages_are_ignored_and_empty_texts_are_errors() {
    let mut stage = Stage::new();
    for bytes in [
        frame(0x82, b""),
        frame(0x82, &[0xff; 100_000]),
        frame(0x82, br#"{"event":"mark","channel":"room","data":"canary"}"#),
        [frame(0x02, b"{"), frame(0x00, b"\xff"), frame(0x80, b"")].concat(),
        frame(0x89, b""),
        frame(0x8a, b""),
        frame(0x89, &[0xff; 125]),
    ] {
        stage.raw(&bytes);
        stage.goes_on();
    }
    assert!(stage.errors.is_empty());
    for empty in [frame(0x81, b""), [frame(0x01, b""), frame(0x80, b"")].concat()] {
        stage.raw(&empty);
        assert_eq!(stage.errors.recv_timeout(SOON).unwrap().kind(), ErrorKind::Protocol);
        stage.goes_on();
    }
}

#[test]
fn broken_websocket_frames_are_protocol_errors() {
    let mut stage = Stage::new();
    let mut wrong = vec![
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a continuation of nothing that goes on", frame(0x00, b"x")),
        ("a message within a message", [frame(0x01, b"{"), frame(0x81, b"{}")].concat()),
        ("a ping in pieces", frame(0x09, b"")),
        ("a long ping", frame(0x89, &[0; 126])),
        ("a long close", frame(0x88, &[0x03; 126])),
        ("a masked frame", vec![0x81, 0x82, 1, 2, 3, 4, 5, 6]),
        ("text that is not UTF-8", frame(0x81, b"{\"event\":\"\xff\"}")),
        ("a surrogate in UTF-8", frame(0x81, b"\xed\xa0\x80")),
        ("half a character", frame(0x81, b"\xc3")),
        ("half a character in pieces", [frame(0x01, b"\xe2\x82"), frame(0x80, b"x")].concat()),
        ("a close of one byte", frame(0x88, b"\x03")),
    ];
    wrong.extend(
        (3..8).chain(11..16).map(|opcode| ("a reserved opcode", frame(0x80 | opcode, b"x"))),
    );
    wrong.extend([0x10, 0x20, 0x40, 0x70].map(|bit| ("a reserved bit", frame(0x81 | bit, b"{}"))));
    for (what, bytes) in wrong {
        stage.raw(&bytes);
        let error = stage.lost();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{what}: {error:?}");
    }
    assert!(stage.errors.is_empty());
}

#[test]
fn impossible_lengths_end_the_connection_without_allocation() {
    let mut stage = Stage::new();
    let head = |first: u8, length: u64| [vec![first, 127], length.to_be_bytes().to_vec()].concat();
    for length in [1024 * 1024 + 1, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for first in [0x81, 0x82, 0x01] {
            stage.raw(&head(first, length));
            let error = stage.lost();
            let kinds = [ErrorKind::TooLarge, ErrorKind::Protocol];
            assert!(kinds.contains(&error.kind()), "{length}: {error:?}");
        }
    }
    // Together they are too long.
    stage.raw(&frame(0x01, b""));
    let piece = frame(0x00, &[b'x'; 1000]).repeat(100);
    while stage.socket.get_mut().write_all(&piece).is_ok() && stage.states.is_empty() {}
    assert_eq!(stage.lost().kind(), ErrorKind::TooLarge);
}

#[test]
fn unusual_close_codes_end_the_connection() {
    let mut stage = Stage::new();
    for code in [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 3000, 5000, 65535] {
        stage.raw(&frame(0x88, &code.to_be_bytes()));
        let error = stage.lost();
        assert!(
            matches!(error.kind(), ErrorKind::Server | ErrorKind::Protocol),
            "{code}: {error:?}"
        );
    }
    for reason in [&b"\xff"[..], &[0; 123], "\u{202e}\u{7}".as_bytes()] {
        stage.raw(&frame(0x88, &[b"\x0f\xa0"[..].to_vec(), reason.to_vec()].concat()[..]));
        // 4000 ends it for good, unless the frame is not even one.
        let change = stage.states.recv_timeout(SOON).unwrap();
        let cause = change.cause.unwrap();
        match change.current {
            State::Failed => assert_eq!(cause.close_code(), Some(4000)),
            State::Reconnecting => assert_eq!(cause.kind(), ErrorKind::Protocol),
            other => panic!("{other:?}"),
        }
        stage = Stage::new();
    }
}

#[test]
fn message_that_never_ends_is_a_pong_timeout() {
    let short = Duration::from_millis(300);
    let stage = Stage::with(|builder| builder.activity_timeout(short).pong_timeout(short));
    let mut stream = stage.socket.get_ref().try_clone().unwrap();
    let ended = spawn(move || {
        let empty = frame(0x00, b"").repeat(100);
        let mut result = stream.write_all(&frame(0x01, b"{"));
        while result.is_ok() {
            result = stream.write_all(&empty);
        }
    });
    let change = stage.states.recv_timeout(SOON).unwrap();
    let cause = change.cause.unwrap();
    assert_eq!(
        (change.current, cause.kind()),
        (State::Reconnecting, ErrorKind::Timeout),
        "{cause}"
    );
    ended.recv_timeout(SOON).unwrap();
    let _again = establish(&stage.listener);
    stage.client.wait_connected(SOON).unwrap();
}

#[test]
fn message_over_the_limit_closes_with_1009() {
    let mut stage = Stage::with(|builder| builder.max_message_size(10_000));
    stage.send(&format!(r#"{{"event":"event","data":"{}"}}"#, "x".repeat(20_000)));
    assert_eq!(wait_for_close(&mut stage.socket), Some(1009));
    check(&stage.lost(), ErrorKind::TooLarge, "max_message_size");
}

#[test]
fn close_codes_decide_and_their_reasons_are_in_the_error() {
    for (code, expected) in
        [(4001, State::Failed), (4300, State::Failed), (1011, State::Reconnecting)]
    {
        let mut stage = Stage::new();
        let reason = "because".into();
        stage.socket.close(Some(CloseFrame { code: code.into(), reason })).unwrap();
        let change = next(&stage.states);
        assert_eq!(change.current, expected, "{code}");
        let cause = change.cause.unwrap();
        assert_eq!(cause.close_code(), Some(code));
        check(&cause, ErrorKind::Server, "because");
    }
}

#[test]
fn silent_peer_is_pinged_and_then_abandoned() {
    let short = Duration::from_millis(150);
    let mut stage = Stage::with(|builder| builder.activity_timeout(short).pong_timeout(short));
    wait_for(&mut stage.socket, "pusher:ping");
    check(&next(&stage.states).cause.unwrap(), ErrorKind::Timeout, "ping");
    let _again = establish(&stage.listener);
    stage.client.wait_connected(SOON).unwrap();
}
