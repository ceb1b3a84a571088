//! An open connection: what it receives, and how it ends.

use std::io;

use socket2::SockRef;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message as Frame, protocol::frame::coding::CloseCode};

use super::*;
use crate::ErrorKind;
use crate::wire::batch::Inbox;

/// Keeps the connection open until the client ends it.
fn linger(server: &mut Server) {
    while server.read().is_ok() {}
}

#[test]
fn messages_are_sent_and_received() {
    let (address, peer) = peer(|mut server| {
        let got = server.read().unwrap();
        server.send(got.clone()).unwrap();
        server.send("a\u{e9}\u{1f600}".into()).unwrap();
        linger(&mut server);
        got
    });
    let socket = open(address);
    socket.send("to the server").unwrap();
    assert_eq!(recv(&socket).unwrap(), text("to the server"));
    assert_eq!(recv(&socket).unwrap(), text("a\u{e9}\u{1f600}"));
    drop(socket);
    assert_eq!(peer.recv_timeout(LONG).unwrap(), Frame::text("to the server"));
}

#[test]
fn frames_received_with_the_handshake_are_kept() {
    let (address, _peer) = raw_peer(|mut stream| {
        let head = read_head(&mut stream);
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let mut bytes = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(frame(1, b"first"));
        bytes.extend(frame(1, b"second"));
        stream.write_all(&bytes).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), text("first"));
    assert_eq!(recv(&socket).unwrap(), text("second"));
}

#[test]
fn incomplete_frame_waits_for_the_rest() {
    let (go, gone) = mpsc::channel::<()>();
    let (address, _peer) = peer(move |mut server| {
        let bytes = frame(1, b"in two halves");
        let stream = server.get_mut();
        stream.write_all(&frame(1, b"before")).unwrap();
        stream.write_all(&bytes[..6]).unwrap();
        gone.recv_timeout(LONG).unwrap();
        stream.write_all(&bytes[6..]).unwrap();
        linger(&mut server);
    });
    let socket = open(address);
    let messages = drain(&socket);
    assert_eq!(messages.recv_timeout(LONG).unwrap().unwrap(), text("before"));
    assert!(messages.try_recv().is_err());
    go.send(()).unwrap();
    assert_eq!(messages.recv_timeout(LONG).unwrap().unwrap(), text("in two halves"));
}

#[test]
fn recv_many_returns_all_received_texts_and_ignores_binary() {
    let (address, _peer) = peer(|mut server| {
        let bytes = [frame(1, b"1"), frame(2, b"binary"), frame(1, b"2"), frame(1, b"3")].concat();
        server.get_mut().write_all(&bytes).unwrap();
        linger(&mut server);
    });
    let socket = open(address);
    let messages = within(LONG, move || {
        let mut messages = Vec::new();
        while messages.len() < 3 {
            socket.recv_many(&mut messages).unwrap();
        }
        messages
    });
    assert_eq!(messages, [text("1"), text("2"), text("3")]);
}

#[test]
fn batch_begins_with_messages_left_by_recv() {
    let (address, _peer) = peer(|mut server| {
        let bytes = [frame(1, b"1"), frame(1, b"2"), frame(1, b"3")].concat();
        server.get_mut().write_all(&bytes).unwrap();
        linger(&mut server);
    });
    let socket = open(address);
    let messages = within(LONG, move || {
        let mut messages = vec![socket.recv().unwrap()];
        let mut inbox = Inbox::default();
        while messages.len() < 3 {
            socket.recv_batch(&mut inbox).unwrap();
            inbox.drain(&mut messages);
        }
        messages
    });
    assert_eq!(messages, [text("1"), text("2"), text("3")]);
}

#[test]
fn ping_gets_a_pong_while_only_receiving() {
    let (address, peer) = peer(|mut server| {
        server.send(Frame::Ping("are you there".into())).unwrap();
        server.read().unwrap()
    });
    let socket = open(address);
    let _messages = drain(&socket);
    assert_eq!(peer.recv_timeout(LONG).unwrap(), Frame::Pong("are you there".into()));
}

#[test]
fn close_by_the_peer_follows_its_messages_and_is_confirmed() {
    let (address, peer) = peer(|mut server| {
        server.send("last words".into()).unwrap();
        let code = CloseCode::from(4001);
        server.close(Some(CloseFrame { code, reason: "unknown app".into() })).unwrap();
        let reply = server.read().unwrap();
        (reply, server)
    });
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), text("last words"));
    assert_eq!(recv(&socket).unwrap(), Message::Close(Some(4001), "unknown app".to_owned()));
    let (reply, _server) = peer.recv_timeout(LONG).unwrap();
    assert!(matches!(reply, Frame::Close(Some(frame)) if u16::from(frame.code) == 4001));
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(socket.send("too late").unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn end_without_a_close_frame_is_an_io_error() {
    let (address, _peer) = peer(|mut server| {
        server.send("last words".into()).unwrap();
        server.get_mut().write_all(&frame(1, b"torn apart")[..5]).unwrap();
    });
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), text("last words"));
    is_cut(&recv(&socket).unwrap_err());
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn close_frame_without_a_code_has_none() {
    let (address, _peer) = peer(|mut server| {
        server.get_mut().write_all(&frame(8, b"")).unwrap();
        // The confirmation comes before the end of the connection.
        let _ = server.read();
    });
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), Message::Close(None, String::new()));
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn reset_is_an_io_error() {
    let (go, gone) = mpsc::channel::<()>();
    let (address, _peer) = peer(move |server| {
        gone.recv_timeout(LONG).unwrap();
        SockRef::from(server.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let socket = open(address);
    go.send(()).unwrap();
    let error = recv(&socket).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(socket.send("too late").unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn message_over_the_limit_closes_with_1009() {
    for whole in [true, false] {
        let (address, peer) = peer(move |mut server| {
            server.send("small".into()).unwrap();
            let size = u64::try_from(LIMIT).unwrap() + 1;
            let mut head = vec![0x81, 127];
            head.extend(size.to_be_bytes());
            if whole {
                head.resize(head.len() + LIMIT + 1, b'x');
            }
            let _ = server.get_mut().write_all(&head);
            loop {
                match server.read() {
                    Ok(Frame::Close(frame)) => return frame.map(|frame| u16::from(frame.code)),
                    Ok(_) => {}
                    // The rest of the message was not read, so that a reset may outrun the frame.
                    Err(_) if whole => return Some(1009),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let socket = open(address);
        assert_eq!(recv(&socket).unwrap(), text("small"));
        let error = recv(&socket).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("1048577 bytes, but the limit is 1048576"), "{error}");
        drop(socket);
        assert_eq!(peer.recv_timeout(LONG).unwrap(), Some(1009));
    }
}

#[test]
fn message_at_the_limit_and_fragments_arrive() {
    let (address, _peer) = peer(|mut server| {
        server.send("x".repeat(LIMIT).into()).unwrap();
        let mut begin = frame(1, b"in ");
        begin[0] &= 0x7f;
        let bytes = [begin, frame(9, b"ping between"), frame(0, b"pieces")].concat();
        server.get_mut().write_all(&bytes).unwrap();
        linger(&mut server);
    });
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), text(&"x".repeat(LIMIT)));
    assert_eq!(recv(&socket).unwrap(), text("in pieces"));
}

#[test]
fn invalid_frame_is_a_protocol_error() {
    for (bytes, code) in [
        (frame(1, b"\xff\xfe"), 1007),
        (frame(3, b"reserved"), 1002),
        (vec![0x81, 0x80, 0, 0, 0, 0], 1002),
    ] {
        let (address, peer) = peer(move |mut server| {
            server.get_mut().write_all(&bytes).unwrap();
            match server.read().unwrap() {
                Frame::Close(frame) => frame.map(|frame| u16::from(frame.code)),
                other => panic!("{other}"),
            }
        });
        let error = recv(&open(address)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(peer.recv_timeout(LONG).unwrap(), Some(code));
    }
}

#[test]
fn close_wakes_recv_and_notifies_the_peer() {
    let (address, peer) = peer(|mut server| server.read().unwrap());
    let socket = open(address);
    let messages = drain(&socket);
    socket.close(1000);
    socket.close(1001);
    let error = messages.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.to_string(), "the connection was closed from this side");
    let frame = peer.recv_timeout(LONG).unwrap();
    assert!(matches!(frame, Frame::Close(Some(frame)) if frame.code == CloseCode::Normal));
    assert_eq!(socket.send("too late").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn close_does_not_wait_for_a_peer_that_keeps_sending() {
    let (address, _peer) =
        peer(
            |mut server| {
                while server.get_mut().write_all(&frame(1, b"and another thing")).is_ok() {}
            },
        );
    let socket = open(address);
    assert_eq!(recv(&socket).unwrap(), text("and another thing"));
    let started = clock::now();
    socket.close(1000);
    assert_eq!(recv(&socket).unwrap_err().kind(), ErrorKind::Closed);
    assert!(clock::now() - started < AT_ONCE);
}

#[test]
fn close_wakes_recv_when_the_peer_is_silent() {
    let (end, ended) = mpsc::channel::<()>();
    let (address, _peer) = peer(move |server| {
        let _ = ended.recv();
        drop(server);
    });
    let socket = open(address);
    let messages = drain(&socket);
    // Only time shows that the reader has begun to wait.
    assert!(messages.recv_timeout(Duration::from_millis(100)).is_err());
    socket.close(1000);
    let error = messages.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    drop(end);
}

#[test]
fn drop_closes_the_tcp_connection() {
    let (address, peer) = peer(|mut server| server.read().is_err());
    drop(open(address));
    assert!(peer.recv_timeout(LONG).unwrap());
}
