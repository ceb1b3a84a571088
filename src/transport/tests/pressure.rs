//! Many senders, peers that do not read, and what a connection costs when nothing happens.

use std::collections::HashMap;

use super::*;
use crate::ErrorKind;
use crate::transport::memory::IDLE;
use crate::util::clock;

#[test]
fn order_of_each_sender_is_kept() {
    const SENDERS: usize = 4;
    const EACH: usize = 500;
    let (address, peer) = peer(|mut server| {
        let mut next: HashMap<String, usize> = HashMap::new();
        for _ in 0..SENDERS * EACH {
            let message = server.read().unwrap().into_text().unwrap();
            let (sender, number) = message.as_str().split_once(' ').unwrap();
            let expected = next.entry(sender.to_owned()).or_default();
            assert_eq!(number.parse(), Ok(*expected));
            *expected += 1;
            server.send("noise".into()).unwrap();
        }
        next.len()
    });
    let socket = open(address);
    let _messages = drain(&socket);
    for sender in 0..SENDERS {
        let socket = Arc::clone(&socket);
        spawn(move || {
            for number in 0..EACH {
                socket.send(&format!("{sender} {number}")).unwrap();
            }
        });
    }
    assert_eq!(peer.recv_timeout(LONG).unwrap(), SENDERS);
}

#[test]
fn unread_messages_are_limited_and_sent_later_without_blocking() {
    let (go, gone) = mpsc::channel::<usize>();
    let (address, peer) = peer(move |mut server| {
        let count = gone.recv_timeout(LONG).unwrap();
        for number in 0..count {
            let message = server.read().unwrap().into_text().unwrap();
            assert!(message.starts_with(&format!("{number} ")));
        }
        server.send("all of it".into()).unwrap();
        let _ = server.read();
    });
    let socket = open(address);
    let messages = drain(&socket);
    let mut count = 0;
    let error = loop {
        let started = clock::now();
        let result = socket.send(&format!("{count} {}", "x".repeat(64 * 1024)));
        assert!(clock::now() - started < AT_ONCE);
        match result {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().starts_with("the peer does not read"), "{error}");
    assert!(count > 60, "{count}");
    go.send(count).unwrap();
    assert_eq!(messages.recv_timeout(LONG).unwrap().unwrap(), text("all of it"));
    socket.send("there is room again").unwrap();
    drop(socket);
    drop(messages);
    drop(peer);
}

#[test]
fn unanswerable_pings_end_the_connection() {
    let (address, peer) = peer(|mut server| {
        let pings = frame(9, &[b'x'; 125]).repeat(512);
        while server.get_mut().write_all(&pings).is_ok() {}
    });
    let socket = open(address);
    let error = recv(&socket).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    drop(socket);
    peer.recv_timeout(LONG).unwrap();
}

/// Returns how often the thread has waited so far.
#[cfg(target_os = "linux")]
fn waits_of(thread: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn idle_connection_does_not_wake_up() {
    let (address, _peer) = peer(|mut server| {
        server.send("hello".into()).unwrap();
        let _ = server.read();
    });
    let socket = open(address);
    let (send, receive_thread) = mpsc::channel();
    let reader = Arc::clone(&socket);
    let result = spawn(move || {
        assert_eq!(reader.recv().unwrap(), text("hello"));
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        send.send(link.file_name().unwrap().to_str().unwrap().to_owned()).unwrap();
        reader.recv()
    });
    let thread = receive_thread.recv_timeout(LONG).unwrap();
    // Time has to pass here: it is what is measured.
    let pass = |time| assert!(result.recv_timeout(time).is_err());
    pass(Duration::from_millis(200));
    let before = waits_of(&thread);
    pass(Duration::from_millis(500));
    assert_eq!(waits_of(&thread), before);
    socket.close(1000);
    assert!(result.recv_timeout(LONG).unwrap().is_err());
}

/// Sends a flood, then echoes, after so long that the client waits. Reports when so much of the flood is underway that a
/// read is full.
fn flood(server: &mut tungstenite::WebSocket<impl Read + Write>, underway: &mpsc::Sender<()>) {
    for index in 0..1_000 {
        server.send("x".repeat(1_000).into()).unwrap();
        if index == 64 {
            underway.send(()).unwrap();
        }
    }
    let (_never, pause) = mpsc::channel::<()>();
    while let Ok(message) = server.read() {
        let _ = pause.recv_timeout(scaled(Duration::from_millis(10)));
        server.send(message).unwrap();
    }
}

fn returns_room(socket: WebSocket, underway: &mpsc::Receiver<()>, idle: usize) {
    let socket = Arc::new(socket);
    underway.recv_timeout(LONG).unwrap();
    let mut most = 0;
    for _ in 0..1_000 {
        assert_eq!(recv(&socket).unwrap(), text(&"x".repeat(1_000)));
        most = most.max(socket.room());
    }
    assert!(most > 16 * 1024, "{most}");
    let late = clock::now() + LONG;
    while clock::now() < late {
        socket.send("echo").unwrap();
        assert_eq!(recv(&socket).unwrap(), text("echo"));
        if socket.room() <= idle {
            return;
        }
    }
    panic!("{} bytes are kept", socket.room());
}

#[test]
fn quiet_wait_frees_the_memory_of_a_flood() {
    let (send, underway) = mpsc::channel();
    let (address, _peer) = peer(move |mut server| flood(&mut server, &send));
    let socket = dial(&connector(), &format!("ws://{address}")).unwrap();
    returns_room(socket, &underway, IDLE);
}

#[cfg(tls)]
#[test]
fn quiet_wait_frees_the_memory_of_a_flood_over_tls() {
    let (send, underway) = mpsc::channel();
    let (tls, address) = tls::serve(move |server| flood(server, &send));
    let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap();
    let socket = dial(&connector, &format!("wss://{address}")).unwrap();
    returns_room(socket, &underway, 2 * IDLE);
}
