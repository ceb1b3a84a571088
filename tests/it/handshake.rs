//! The client's WebSocket handshake: its request, the headers in it, and the responses that it accepts.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use pusher_channels::{Client, ErrorKind, Options, State};
use tungstenite::WebSocket;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

use crate::support::{SOON, listen, quick, read_head, send_established, spawn, wait_for_close};

fn accept_request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = read_head(&mut stream);
    (stream, head)
}

/// Switches to WebSocket with these lines beside the key.
fn switch(stream: &mut TcpStream, head: &str, lines: &str) {
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\n{lines}Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).unwrap();
}

#[test]
fn early_hints_and_a_list_of_connection_options_are_accepted() {
    let (listener, options) = listen();
    let client = quick(options).build().unwrap();
    let ended = spawn(move || {
        let (mut stream, head) = accept_request(&listener);
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").unwrap();
        let lines = "connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n";
        switch(&mut stream, &head, lines);
        let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
        send_established(&mut socket);
        wait_for_close(socket)
    });
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.close(SOON).unwrap();
    assert_eq!(ended.recv_timeout(SOON).unwrap(), Some(1000));
}

#[test]
fn extension_that_was_not_offered_fails_the_dial() {
    let (listener, options) = listen();
    let client = quick(options).build().unwrap();
    let states = client.bind_states();
    let _peer = spawn(move || {
        let (mut stream, head) = accept_request(&listener);
        let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Extensions: permessage-deflate\r\n";
        switch(&mut stream, &head, lines);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    client.connect();
    let cause = states.iter().find_map(|change| change.cause).unwrap();
    assert_eq!(cause.kind(), ErrorKind::Handshake);
    assert!(cause.to_string().contains("extension `permessage-deflate`"), "{cause}");
    client.close(SOON).unwrap();
}

#[test]
fn headers_with_is_called_before_each_dial_and_its_failure_fails_the_dial() {
    let (listener, options) = listen();
    let dials = AtomicUsize::new(0);
    let client = quick(options)
        .header("Origin", "https://app.test")
        .header("Cookie", "fixed")
        .headers_with(move || match dials.fetch_add(1, Ordering::Relaxed) {
            1 => panic!("on purpose"),
            2 => vec![("Upgrade".to_owned(), "h2c".to_owned())],
            dial => vec![("cookie".to_owned(), format!("dial={dial}"))],
        })
        .build()
        .unwrap();
    let states = client.bind_states();
    let heads = spawn(move || {
        let refusal = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n";
        [(), ()].map(|()| {
            let (mut stream, head) = accept_request(&listener);
            stream.write_all(refusal).unwrap();
            head
        })
    });
    client.connect();
    let causes: Vec<_> = states.iter().filter_map(|change| change.cause).take(4).collect();
    client.close(SOON).unwrap();
    let kinds: Vec<_> = causes.iter().map(|cause| cause.kind()).collect();
    use ErrorKind::{Config, Handshake};
    assert_eq!(kinds, [Handshake, Config, Config, Handshake]);
    assert_eq!(causes[0].http_status(), Some(503));
    assert_eq!(causes[0].retry_after(), Some(Duration::ZERO));
    assert!(causes[1].to_string().contains("`headers_with` panicked"), "{}", causes[1]);
    assert!(causes[2].to_string().contains("`Upgrade` must not be set"), "{}", causes[2]);
    for (head, cookie) in heads.recv_timeout(SOON).unwrap().iter().zip(["dial=0", "dial=3"]) {
        assert!(head.contains("\r\nOrigin: https://app.test\r\n"), "{head}");
        assert!(
            head.contains(&format!("\r\ncookie: {cookie}\r\n")) && !head.contains("fixed"),
            "{head}"
        );
        let agent = concat!("\r\nUser-Agent: pusher-channels/", env!("CARGO_PKG_VERSION"), "\r\n");
        assert!(head.contains(agent), "{head}");
    }
}

#[test]
fn invalid_headers_are_refused_by_build() {
    let builder = || Client::builder(Options::host("h", "k"));
    for (name, value) in
        [("Sec-WebSocket-Key", "x"), ("", "x"), ("a b", "x"), ("a", "b\r\nc: d"), ("a", "\0")]
    {
        let error = builder().header(name, value).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name:?}");
    }
    let client = builder().headers_with(|| panic!("build must not call it")).build().unwrap();
    assert_eq!(client.state(), State::Initialized);
}

#[test]
fn headers_with_may_call_the_client() {
    let (_listener, options) = listen();
    let cell: Arc<OnceLock<Client>> = Arc::default();
    let within = Arc::clone(&cell);
    let (called, calls) = mpsc::channel();
    let client = quick(options)
        .headers_with(move || {
            if let Some(client) = within.get() {
                client.disconnect();
                let _ = called.send(client.state());
            }
            Vec::new()
        })
        .build()
        .unwrap();
    cell.set(client.clone()).unwrap();
    client.connect();
    assert_eq!(calls.recv_timeout(SOON).unwrap(), State::Disconnected);
    client.close(SOON).unwrap();
}
