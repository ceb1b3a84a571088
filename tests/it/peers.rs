//! Far sides that misbehave: each failure says which step it was, and the client comes back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use pusher_channels::{Client, Error, ErrorKind, State, StateChange};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;

use crate::support::{SOON, accept, greet, hear, linger, listen, quick, say, spawn};

const SHORT: Duration = Duration::from_millis(150);

/// Lets the first connection fail by `misbehave`, takes the second one as it should be, and gives
/// why the first one failed.
pub(crate) fn failure(
    tls: bool,
    misbehave: impl FnOnce(TcpStream) + Send + 'static,
) -> (Error, Vec<StateChange>) {
    let (listener, options) = listen();
    // The second connection is plain, so only the first one is asked for over TLS.
    let url = options.clone().to_url().unwrap();
    let secure = options.tls(true).to_url().unwrap();
    let first = std::sync::atomic::AtomicBool::new(tls);
    let options = pusher_channels::Options::custom(move |_| {
        match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => secure.clone(),
            false => url.clone(),
        }
    });
    // Long enough for the connection that is as it should be, on a busy machine too.
    let client = quick(options).connect_timeout(SHORT * 10).build().unwrap();
    let states = client.bind_states();
    let ended = spawn(move || {
        misbehave(listener.accept().unwrap().0);
        let mut socket = accept(&listener);
        greet(&mut socket);
        linger(socket)
    });
    client.connect();
    let mut changes = Vec::new();
    while changes.last().is_none_or(|change: &StateChange| change.current != State::Connected) {
        changes.push(states.recv_timeout(SOON).unwrap());
    }
    client.close(SOON).unwrap();
    assert_eq!(ended.recv_timeout(SOON).unwrap(), Some(1000));
    let states: Vec<_> = changes.iter().map(|change| change.current).collect();
    assert_eq!(states, [State::Connecting, State::Reconnecting, State::Connected]);
    assert_eq!(changes[1].attempt, 1);
    assert!(changes[1].retry_in.is_some());
    (changes[1].cause.clone().unwrap(), changes)
}

fn check(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
}

pub(crate) fn until_gone(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
}

/// Reads the request, and answers with these bytes.
pub(crate) fn answer(mut stream: TcpStream, reply: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream.write_all(reply.as_bytes()).unwrap();
    until_gone(stream);
}

#[test]
fn a_silent_far_side_times_out_in_the_websocket_handshake() {
    let (error, _) = failure(false, until_gone);
    check(&error, ErrorKind::Timeout, "WebSocket handshake");
}

#[test]
#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn a_far_side_that_stalls_in_tls_times_out_there() {
    let (error, _) = failure(true, until_gone);
    check(&error, ErrorKind::Timeout, "TLS handshake");
}

#[test]
fn a_far_side_that_hangs_up_is_told_as_such() {
    let (error, _) = failure(false, drop);
    check(&error, ErrorKind::Io, "WebSocket handshake");
}

#[test]
fn an_upgrade_followed_by_silence_times_out_waiting_for_the_greeting() {
    let (error, _) = failure(false, |stream| {
        linger(tungstenite::accept(stream).unwrap());
    });
    check(&error, ErrorKind::Timeout, "pusher:connection_established");
}

#[test]
fn a_wrong_accept_key_is_a_failed_handshake() {
    let (error, _) = failure(false, |stream| {
        answer(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        );
    });
    check(&error, ErrorKind::Handshake, "handshake");
}

#[test]
fn http_refusals_tell_their_status() {
    for (status, line) in [(401, "Unauthorized"), (404, "Not Found"), (503, "Busy")] {
        let reply = format!("HTTP/1.1 {status} {line}\r\nContent-Length: 0\r\n\r\n");
        let (error, _) = failure(false, move |stream| answer(stream, &reply));
        check(&error, ErrorKind::Handshake, &status.to_string());
        assert_eq!(error.http_status(), Some(status));
    }
}

#[test]
fn a_redirect_is_not_followed_and_says_where_to() {
    let (error, _) = failure(false, |stream| {
        answer(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        );
    });
    check(&error, ErrorKind::Handshake, "ws://elsewhere/");
    assert_eq!(error.http_status(), Some(302));
}

#[test]
fn half_a_frame_and_then_the_end_is_a_lost_connection() {
    let (error, _) = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        // A text frame of 100 bytes, of which 3 come.
        socket.get_mut().write_all(&[0x81, 100, b'{', b'"', b'e']).unwrap();
    });
    check(&error, ErrorKind::Io, "before `pusher:connection_established`");
    check(&error, ErrorKind::Io, "ended without a close frame; check the app key");
}

#[test]
fn a_reset_is_a_lost_connection() {
    let (error, _) = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        socket.flush().unwrap();
        // With no lingering, closing resets.
        socket2::SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    });
    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Server), "{error:?}");
}

#[test]
fn a_far_side_that_is_no_pusher_server_is_told_as_such() {
    let (error, _) = failure(false, |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        say(&mut socket, r#"{"event":"pusher:connection_established","data":{"id":"1.2"}}"#);
        linger(socket);
    });
    check(&error, ErrorKind::Protocol, "socket_id");
}

/// A client that is connected to a far side of the test's own making.
fn connected() -> (Client, TcpListener, tungstenite::WebSocket<TcpStream>) {
    let (listener, options) = listen();
    let client = quick(options).max_message_size(10_000).build().unwrap();
    client.connect();
    let mut socket = accept(&listener);
    greet(&mut socket);
    client.wait_connected(SOON).unwrap();
    (client, listener, socket)
}

#[test]
fn what_makes_no_sense_is_an_error_and_nothing_else() {
    let (client, _listener, mut socket) = connected();
    let (errors, events) = (client.bind_errors(), client.bind("event"));
    let nested = format!(r#"{{"event":"event","data":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let odd = [
        "",
        "{",
        "null",
        "7",
        "[]",
        r#""text""#,
        "{}",
        r#"{"event":null}"#,
        r#"{"event":7}"#,
        r#"{"event":"event","data":"\x"}"#,
        r#"{"event":"event"} and more"#,
    ];
    for frame in odd {
        say(&mut socket, frame);
        let error = errors.recv_timeout(SOON).unwrap();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{frame:?}");
    }
    socket.send(Message::binary(vec![0u8; 100])).unwrap();
    say(&mut socket, &nested);
    assert_eq!(events.recv_timeout(SOON).unwrap().data().len(), 8001);
    assert!(events.is_empty() && errors.is_empty());
    assert_eq!(client.state(), State::Connected);
}

#[test]
fn every_protocol_event_is_survived_with_data_of_every_shape() {
    let (client, _listener, mut socket) = connected();
    let room = client.public_channel("room").unwrap();
    let last = room.bind("last");
    room.subscribe();
    hear(&mut socket, "pusher:subscribe");
    let shapes = [
        "",
        r#","data":null"#,
        r#","data":7"#,
        r#","data":[]"#,
        r#","data":{}"#,
        r#","data":"""#,
        r#","data":"null""#,
        r#","data":"{}""#,
        r#","data":"[]""#,
        r#","data":"{\"code\":null}""#,
        r#","data":{"code":"x","message":7,"channel":9}"#,
        r#","data":{"code":99999}"#,
        r#","data":{"subscription_count":-1}"#,
        r#","data":{"subscription_count":1e99}"#,
        r#","data":"\ud800""#,
    ];
    for event in [
        "pusher:connection_established",
        "pusher:error",
        "pusher:ping",
        "pusher:pong",
        "pusher:cache_miss",
        "pusher:subscription_error",
        "pusher:signin_success",
        "pusher:delta",
        "pusher_internal:subscription_succeeded",
        "pusher_internal:subscription_error",
        "pusher_internal:subscription_count",
        "pusher_internal:member_added",
        "pusher_internal:member_removed",
        "pusher_internal:watchlist_events",
        "pusher_internal:x",
    ] {
        for data in shapes {
            for channel in
                ["", r#","channel":"room""#, r#","channel":"unknown""#, r#","channel":7"#]
            {
                say(&mut socket, &format!(r#"{{"event":"{event}"{channel}{data}}}"#));
            }
        }
    }
    say(&mut socket, r#"{"event":"last","channel":"room"}"#);
    last.recv_timeout(SOON).unwrap();
    assert_eq!(client.state(), State::Connected);
}

#[test]
fn a_message_over_the_limit_ends_the_connection_with_an_error_and_1009() {
    let (client, listener, mut socket) = connected();
    let states = client.bind_states();
    say(&mut socket, &format!(r#"{{"event":"event","data":"{}"}}"#, "x".repeat(20_000)));
    assert_eq!(linger(socket), Some(1009));
    let cause = states.recv_timeout(SOON).unwrap().cause.unwrap();
    check(&cause, ErrorKind::TooLarge, "max_message_size");
    let mut again = accept(&listener);
    greet(&mut again);
    client.wait_connected(SOON).unwrap();
}

#[test]
fn close_codes_decide_and_reasons_are_told() {
    for (code, expected) in
        [(4001, State::Failed), (4300, State::Failed), (1011, State::Reconnecting)]
    {
        let (client, _listener, mut socket) = connected();
        let states = client.bind_states();
        let reason = "because".into();
        socket.close(Some(CloseFrame { code: code.into(), reason })).unwrap();
        let change = states.recv_timeout(SOON).unwrap();
        assert_eq!(change.current, expected, "{code}");
        let cause = change.cause.unwrap();
        assert_eq!(cause.close_code(), Some(code));
        check(&cause, ErrorKind::Server, "because");
    }
}

#[test]
fn a_far_side_that_goes_silent_is_pinged_and_then_given_up() {
    let (listener, options) = listen();
    let client = quick(options).activity_timeout(SHORT).pong_timeout(SHORT).build().unwrap();
    let states = client.bind_states();
    client.connect();
    let mut socket = accept(&listener);
    greet(&mut socket);
    hear(&mut socket, "pusher:ping");
    let cause = loop {
        if let Some(cause) = states.recv_timeout(SOON).unwrap().cause {
            break cause;
        }
    };
    check(&cause, ErrorKind::Timeout, "ping");
    let mut again = accept(&listener);
    greet(&mut again);
    client.wait_connected(SOON).unwrap();
}
