//! `disconnect`, `close` and drop take effect within a second, in every phase of a connection.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use pusher_channels::{Client, Options, Proxy, Reconnect, State};

use crate::support::{AT_ONCE, SOON, accept, establish, listen, now, spawn, wait_for_close};

/// A client in a phase that does not end by itself.
struct Stuck {
    client: Client,
    /// Receives when the peer has seen the end of the connection; some phases have no peer.
    ended: Option<mpsc::Receiver<()>>,
    _keep: Box<dyn std::any::Any>,
}

fn client(options: Options) -> Client {
    // Longer than any test waits: nothing ends by its own deadline here.
    let minute = Duration::from_secs(60);
    let builder = Client::builder(options).connect_timeout(minute).activity_timeout(minute);
    builder.reconnect(Reconnect::with(move |_| Some(minute))).build().unwrap()
}

/// The peer goes as far as `reach`, and then waits for the end.
fn stuck(
    tls: bool,
    reach: impl FnOnce(TcpListener) -> Box<dyn FnOnce() + Send> + Send + 'static,
) -> Stuck {
    let (listener, options) = listen();
    let client = client(options.tls(tls));
    let (reached, wait) = mpsc::channel();
    let ended = spawn(move || {
        let wait_for_end = reach(listener);
        reached.send(()).unwrap();
        wait_for_end();
    });
    client.connect();
    wait.recv_timeout(SOON).unwrap();
    Stuck { client, ended: Some(ended), _keep: Box::new(()) }
}

/// Reads until the end of the connection.
fn until_gone(mut stream: TcpStream) -> Box<dyn FnOnce() + Send> {
    Box::new(move || {
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
    })
}

fn in_tls() -> Stuck {
    stuck(true, |listener| {
        let (mut stream, _) = listener.accept().unwrap();
        // The first byte of the client's hello; no response.
        stream.read_exact(&mut [0]).unwrap();
        until_gone(stream)
    })
}

/// A proxy that does not respond.
fn in_proxy(scheme: &str) -> Stuck {
    let (listener, _) = listen();
    let proxy = Proxy::new(&format!("{scheme}://{}", listener.local_addr().unwrap())).unwrap();
    let minute = Duration::from_secs(60);
    let options = Options::host("server.invalid", "key").tls(false);
    let builder = Client::builder(options).proxy(proxy).connect_timeout(minute);
    let client = builder.build().unwrap();
    client.connect();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    let ended = spawn(until_gone(stream));
    Stuck { client, ended: Some(ended), _keep: Box::new(()) }
}

fn in_websocket() -> Stuck {
    stuck(false, |listener| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        until_gone(stream)
    })
}

fn in_establishment() -> Stuck {
    stuck(false, |listener| {
        let socket = accept(&listener);
        Box::new(move || _ = wait_for_close(socket))
    })
}

fn in_connection() -> Stuck {
    let stuck = stuck(false, |listener| {
        let socket = establish(&listener);
        Box::new(move || assert_eq!(wait_for_close(socket), Some(1000)))
    });
    stuck.client.wait_connected(SOON).unwrap();
    stuck
}

/// A connection with an unresponsive peer.
fn in_dead_connection() -> Stuck {
    let (listener, options) = listen();
    let client = client(options);
    client.connect();
    let socket = establish(&listener);
    client.wait_connected(SOON).unwrap();
    Stuck { client, ended: None, _keep: Box::new(socket) }
}

fn in_back_off() -> Stuck {
    let (listener, options) = listen();
    let client = client(options);
    let states = client.bind_states();
    client.connect();
    drop(listener.accept().unwrap());
    while states.recv_timeout(SOON).unwrap().retry_in.is_none() {}
    Stuck { client, ended: None, _keep: Box::new(listener) }
}

/// A policy that has not returned yet.
fn in_policy() -> Stuck {
    let (listener, options) = listen();
    let (called, wait) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let policy = Reconnect::with(move |_| {
        called.send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(AT_ONCE / 2);
        None
    });
    let client = Client::builder(options).reconnect(policy).build().unwrap();
    client.connect();
    drop(listener.accept().unwrap());
    wait.recv_timeout(SOON).unwrap();
    Stuck { client, ended: None, _keep: Box::new(release) }
}

/// A port with a full backlog, so that the system accepts no further connection.
#[cfg(target_os = "linux")]
fn in_tcp() -> Stuck {
    use socket2::{Domain, Socket, Type};

    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let first = TcpStream::connect_timeout(&address, SOON).unwrap();
    let client = client(crate::support::options(address));
    client.connect();
    let asking = format!(":{:04X} 02 ", address.port());
    let deadline = now() + SOON;
    while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&asking) {
        assert!(now() < deadline, "no connection is waiting");
        std::thread::yield_now();
    }
    Stuck { client, ended: None, _keep: Box::new((socket, first)) }
}

fn every_phase(mut test: impl FnMut(&str, Stuck)) {
    #[cfg(target_os = "linux")]
    test("tcp", in_tcp());
    test("HTTP proxy", in_proxy("http"));
    test("SOCKS proxy", in_proxy("socks5"));
    if cfg!(tls) {
        test("tls", in_tls());
    }
    test("websocket", in_websocket());
    test("establishment", in_establishment());
    test("connection", in_connection());
    test("dead connection", in_dead_connection());
    test("back-off", in_back_off());
    test("policy", in_policy());
}

fn check_ended(phase: &str, ended: Option<&mpsc::Receiver<()>>) {
    if let Some(ended) = ended {
        assert_eq!(ended.recv_timeout(AT_ONCE), Ok(()), "{phase}: the connection still stands");
    }
}

#[test]
fn disconnect_is_immediate_in_every_phase() {
    every_phase(|phase, stuck| {
        let states = stuck.client.bind_states();
        let start = now();
        stuck.client.disconnect();
        assert_eq!(stuck.client.state(), State::Disconnected, "{phase}");
        check_ended(phase, stuck.ended.as_ref());
        let change = states.recv_timeout(AT_ONCE).unwrap();
        assert_eq!(change.current, State::Disconnected, "{phase}");
        assert!(start.elapsed() < AT_ONCE, "{phase} took {:?}", start.elapsed());
        // Nothing that was under way reports anything more.
        stuck.client.close(AT_ONCE).unwrap();
        assert!(states.recv().is_err(), "{phase}");
    });
}

#[test]
fn close_ends_every_thread_immediately_in_every_phase() {
    every_phase(|phase, stuck| {
        let events = stuck.client.bind_all();
        stuck.client.close(AT_ONCE).unwrap_or_else(|error| panic!("{phase}: {error}"));
        check_ended(phase, stuck.ended.as_ref());
        assert!(events.recv().is_err(), "{phase}");
    });
}

#[test]
fn drop_ends_the_client_immediately_in_every_phase() {
    every_phase(|phase, stuck| {
        let events = stuck.client.bind_all();
        let start = now();
        drop(stuck.client);
        assert!(start.elapsed() < AT_ONCE / 4, "{phase}: drop has waited");
        let left = events.recv_timeout(AT_ONCE).unwrap_err();
        assert!(left.is_disconnected(), "{phase}: the binding still waits");
        check_ended(phase, stuck.ended.as_ref());
    });
}

#[test]
fn waits_end_with_disconnect_and_with_close() {
    let (_listener, options) = listen();
    let waiting = client(options);
    let channel = waiting.public_channel("room").unwrap();
    channel.subscribe();
    waiting.connect();
    for end in [Client::disconnect, |client: &Client| drop(client.close(AT_ONCE))] {
        waiting.connect();
        let (client, room) = (waiting.clone(), channel.clone());
        let connected = spawn(move || client.wait_connected(SOON).unwrap_err());
        let subscribed = spawn(move || room.wait_subscribed(SOON).unwrap_err());
        end(&waiting);
        for wait in [connected, subscribed] {
            let error = wait.recv_timeout(AT_ONCE).unwrap();
            assert!(!error.is_timeout(), "{error}");
        }
    }
}

#[test]
fn closed_client_stays_closed() {
    let (_listener, options) = listen();
    let client = client(options);
    client.close(AT_ONCE).unwrap();
    client.close(AT_ONCE).unwrap();
    client.connect();
    client.reconnect();
    assert_eq!(client.state(), State::Disconnected);
    let error = client.wait_connected(SOON).unwrap_err();
    assert_eq!(error.kind(), pusher_channels::ErrorKind::Closed);
    assert!(client.bind("event").recv().is_err());
    let room = client.public_channel("room").unwrap();
    room.subscribe();
    assert!(room.bind_all().recv().is_err());
}
