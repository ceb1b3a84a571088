//! What long messages leave behind that are no whole texts.

use std::net::TcpStream;
use std::sync::mpsc;

use tungstenite::WebSocket;

use super::*;

/// A server of one client, for what follows once that subscribes.
fn serve(
    script: impl FnOnce(&mut WebSocket<TcpStream>, &mut TcpStream) + Send + 'static,
) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut raw = stream.try_clone().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        let establishment =
            r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#;
        socket.send(Message::text(establishment)).unwrap();
        socket.read().unwrap();
        script(&mut socket, &mut raw);
        // Until the client goes.
        let _ = socket.read();
    });
    Options::url(&format!("ws://127.0.0.1:{port}/app/key"))
}

#[test]
fn long_messages_that_are_no_whole_texts_leave_no_memory_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let event = frame(500_000);
    let (begin, end) = event.split_at(250_000);
    // A text in two fragments, and a message that is ignored.
    for frames in [vec![(0x01, begin), (0x80, end)], vec![(0x82, &event)]] {
        let mut bytes = Vec::new();
        for (first, payload) in &frames {
            bytes.extend([*first, 127]);
            bytes.extend((payload.len() as u64).to_be_bytes());
            bytes.extend(payload.as_bytes());
        }
        let (go, gone) = mpsc::channel::<()>();
        let options = serve(move |socket, raw| {
            socket.send(Message::text(frame(64))).unwrap();
            gone.recv_timeout(SOON).unwrap();
            raw.write_all(&bytes).unwrap();
            socket.send(Message::text(frame(64))).unwrap();
            gone.recv_timeout(SOON).unwrap();
        });
        let client = Client::new(options).unwrap();
        let channel = client.public_channel("room").unwrap();
        let binding = channel.bind_with("message", Queue::default());
        channel.subscribe();
        client.connect();
        binding.recv_timeout(SOON).unwrap();
        let before = LIVE_BYTES.load(Ordering::SeqCst);
        go.send(()).unwrap();
        while binding.recv_timeout(SOON).unwrap().raw().len() > 1_000 {}
        let late = Instant::now() + SOON;
        // The reader gives it back before it waits, but for what it reads with in a flood.
        while LIVE_BYTES.load(Ordering::SeqCst) > before + 128 * 1024 {
            assert!(Instant::now() < late, "kept after {:#x}", frames[0].0);
            thread::yield_now();
        }
        go.send(()).unwrap();
        client.close(SOON).unwrap();
    }
}
