//! What a client holds that has nothing to do, before a flood and after it.

use super::*;

/// The client's own, its buffers for reading included, and a binding that was used.
const PER_CLIENT: usize = 40 * 1024;
/// What each further binding holds that was used: a block of its channel's, among others.
const PER_BINDING: usize = 2 * 1024;
const CLIENTS: usize = 10;
const BINDINGS: usize = 50;

/// Establishes, confirms, sends so many events in one go, and responds to whatever else is sent.
fn serve(events: usize) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = |text: &str| {
        let mut bytes = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(short @ ..126) => bytes.push(short),
            _ => bytes.extend([&[126], &(text.len() as u16).to_be_bytes()[..]].concat()),
        }
        bytes.extend(text.as_bytes());
        bytes
    };
    let confirmed = r#"{"event":"pusher_internal:subscription_succeeded","channel":"room"}"#;
    let mut bytes = text(confirmed);
    bytes.extend(text(&frame(64)).repeat(events));
    bytes.extend(text(r#"{"event":"end","channel":"room"}"#));
    let (bytes, pong) = (Arc::new(bytes), text(r#"{"event":"pusher:pong"}"#));
    thread::spawn(move || {
        for stream in listener.incoming().take(CLIENTS) {
            let (stream, bytes, pong) = (stream.unwrap(), Arc::clone(&bytes), pong.clone());
            thread::spawn(move || {
                let mut raw = stream.try_clone().unwrap();
                let mut socket = tungstenite::accept(stream).unwrap();
                let establishment =
                    r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#;
                socket.send(Message::text(establishment)).unwrap();
                socket.read().unwrap();
                drop(socket);
                raw.write_all(&bytes).unwrap();
                let mut ping = [0; 512];
                while let Ok(1..) = raw.read(&mut ping) {
                    let _ = raw.write_all(&pong);
                }
            });
        }
    });
    Options::url(&format!("ws://127.0.0.1:{port}/app/key"))
}

/// What each client holds once it is idle: without its peer's share, which is a thread and a socket.
fn held(events: usize, bindings: usize, activity: Duration) -> impl Fn() -> usize {
    let options = serve(events);
    let before = LIVE_BYTES.load(Ordering::SeqCst);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client =
                Client::builder(options.clone()).activity_timeout(activity).build().unwrap();
            let room = client.public_channel("room").unwrap();
            let events: Vec<_> = (0..bindings).map(|_| room.bind("message")).collect();
            let end = room.bind("end");
            room.subscribe();
            client.connect();
            end.recv_timeout(SOON).unwrap();
            events.iter().for_each(|binding| binding.try_iter().for_each(drop));
            (client, events, end)
        })
        .collect();
    move || {
        assert!(clients.iter().all(|(client, ..)| client.stats().connections == 1));
        LIVE_BYTES.load(Ordering::SeqCst).saturating_sub(before) / CLIENTS
    }
}

#[test]
fn an_idle_client_holds_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = held(0, 0, SOON * 100)();
    println!("{bytes} bytes for an idle client");
    assert!(bytes <= PER_CLIENT, "{bytes} bytes");
}

#[test]
fn a_client_gives_back_what_a_flood_took() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // It waits for a heartbeat.
    let held = held(5_000, BINDINGS, Duration::from_secs(1));
    println!("{} bytes after 5,000 events for each of {BINDINGS} bindings", held());
    let limit = PER_CLIENT + BINDINGS * PER_BINDING;
    let deadline = Instant::now() + SOON;
    while held() > limit {
        assert!(Instant::now() < deadline, "{} bytes, not {limit}", held());
        thread::yield_now();
    }
    println!("{} bytes once they are idle", held());
}
