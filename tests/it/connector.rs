//! Custom connectors and connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, Sender, unbounded};
use pusher_channels::{
    Client, Connection, Connector, Error, ErrorKind, Interrupt, Message, Options, State, Tls,
};

use crate::support::memory::{ESTABLISHED, Loopback, MemoryConnector, MemoryPeer, text};
use crate::support::{SOON, quick};

#[test]
fn client_runs_over_a_connection_in_memory() {
    let (dials, dialled) = unbounded();
    let client = quick(Options::url("ws://memory/app"))
        .connector(Arc::new(MemoryConnector(dials)))
        .build()
        .unwrap();
    let room = client.public_channel("room").unwrap();
    let events = room.bind("event");
    room.subscribe();
    client.connect();
    for round in 0..3 {
        let peer = dialled.recv_timeout(SOON).unwrap();
        peer.to_client.send(text(ESTABLISHED)).unwrap();
        let subscribe = peer.from_client.recv_timeout(SOON).unwrap();
        assert_eq!(subscribe, r#"{"event":"pusher:subscribe","data":{"channel":"room"}}"#);
        peer.to_client
            .send(text(
                r#"{"event":"pusher_internal:subscription_succeeded","channel":"room","data":"{}"}"#,
            ))
            .unwrap();
        let frame = format!(r#"{{"event":"event","channel":"room","data":"{round}"}}"#);
        peer.to_client.send(text(&frame)).unwrap();
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), round.to_string());
        assert_eq!(client.socket_id().as_deref(), Some("9.9"));
        peer.to_client.send(Message::Close(Some(4200), "again".into())).unwrap();
    }
    client.close(SOON).unwrap();
}

/// A connector that fails in every way.
struct Broken(Mutex<u32>);

impl Connector for Broken {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        let mut calls = self.0.lock().unwrap();
        *calls += 1;
        match *calls {
            1 => Err(Error::new(ErrorKind::Tls, "refused on purpose")),
            2 => {
                drop(calls);
                panic!("on purpose")
            }
            _ => Ok(Box::new(BrokenConnection)),
        }
    }
}

struct BrokenConnection;

impl Connection for BrokenConnection {
    fn recv(&self) -> Result<Message, Error> {
        panic!("on purpose")
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        unreachable!("it is never connected")
    }

    fn close(&self, _: u16) {}
}

#[test]
fn connector_that_fails_or_panics_is_a_failed_attempt() {
    let client =
        quick(Options::url("ws://broken")).connector(Broken(Mutex::new(0))).build().unwrap();
    let states = client.bind_states();
    client.connect();
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        let change = states.recv_timeout(SOON).unwrap();
        kinds.extend(change.cause.map(|cause| cause.kind()));
    }
    assert_eq!(kinds, [ErrorKind::Tls, ErrorKind::Internal, ErrorKind::Internal]);
    client.close(SOON).unwrap();
}

/// Panics in its first `send`, or in its first `close`.
#[derive(Clone)]
struct BreaksOnce {
    in_send: bool,
    broken: Arc<AtomicBool>,
    sent: Sender<String>,
}

struct BreaksOnceConnection(BreaksOnce, Loopback);

impl Connector for BreaksOnce {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(BreaksOnceConnection(self.clone(), Loopback::established())))
    }
}

impl Connection for BreaksOnceConnection {
    fn recv(&self) -> Result<Message, Error> {
        self.1.recv()
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        assert!(!self.0.in_send || self.0.broken.swap(true, Ordering::Relaxed), "on purpose");
        let _ = self.0.sent.send(text.to_owned());
        Ok(())
    }

    fn close(&self, code: u16) {
        self.1.close(code);
        assert!(self.0.in_send || self.0.broken.swap(true, Ordering::Relaxed), "on purpose");
    }
}

#[test]
fn panicking_connection_ends_no_other_thread() {
    for in_send in [true, false] {
        let (sent, pings) = unbounded();
        let connector = BreaksOnce { in_send, broken: Arc::default(), sent };
        let broken = Arc::clone(&connector.broken);
        // The timer thread pings at once, and in the second case closes at once, since there is no pong.
        let soon = Duration::from_millis(5);
        let client = quick(Options::url("ws://broken"))
            .connector(connector)
            .activity_timeout(soon)
            .pong_timeout(if in_send { SOON } else { soon })
            .build()
            .unwrap();
        let states = client.bind_states();
        client.connect();
        let cause = states.iter().find_map(|change| change.cause).unwrap();
        let expected = if in_send { ErrorKind::Internal } else { ErrorKind::Timeout };
        assert_eq!(cause.kind(), expected);
        while !broken.load(Ordering::Relaxed) {
            states.recv_timeout(SOON).unwrap();
        }
        if !in_send {
            // Those from before.
            pings.try_iter().count();
        }
        let ping = pings.recv_timeout(SOON).expect("the timer thread still runs");
        assert!(ping.contains("pusher:ping"), "{ping}");
        client.close(SOON).unwrap();
    }
}

/// Panics while it is read, and calls the client when it is dropped.
struct Clinging(Arc<OnceLock<Client>>, Sender<State>);

struct ClingingConnection(Arc<OnceLock<Client>>, Sender<State>);

impl Connector for Clinging {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(ClingingConnection(Arc::clone(&self.0), self.1.clone())))
    }
}

impl Connection for ClingingConnection {
    fn recv(&self) -> Result<Message, Error> {
        panic!("on purpose")
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self, _: u16) {}
}

impl Drop for ClingingConnection {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.get().unwrap().state());
    }
}

#[test]
fn connection_with_a_panicked_reader_may_call_the_client_when_dropped() {
    let (dropped, drops) = unbounded();
    let handle = Arc::new(OnceLock::new());
    let connector = Clinging(Arc::clone(&handle), dropped);
    let client = quick(Options::url("ws://x")).connector(connector).build().unwrap();
    handle.set(client.clone()).unwrap();
    client.connect();
    for _ in 0..3 {
        drops.recv_timeout(SOON).expect("it waits for itself");
    }
    client.close(SOON).unwrap();
}

/// A connector that is slower than it may be.
struct Slow(Sender<()>, Receiver<()>);

impl Connector for Slow {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        self.0.send(()).unwrap();
        let _ = self.1.recv_timeout(SOON);
        Err(Error::new(ErrorKind::Io, "too late"))
    }
}

#[test]
fn hanging_connector_delays_only_close() {
    let ((call, called), (release, released)) = (unbounded(), unbounded());
    let connector = Slow(call, released);
    let client = Client::builder(Options::url("ws://slow")).connector(connector).build().unwrap();
    client.connect();
    // A dial that is given up before would not call it.
    called.recv_timeout(SOON).unwrap();
    client.disconnect();
    assert_eq!(client.state(), State::Disconnected);
    let error = client.close(Duration::from_millis(50)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    drop(release);
    client.close(SOON).unwrap();
}

/// Dials for ever, unless it is interrupted.
struct Endless(Sender<()>);

impl Connector for Endless {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        panic!("the client can be interrupted");
    }

    fn connect_interruptibly(
        &self,
        _: &str,
        _: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        let (wake, woken) = unbounded();
        interrupt.on_interrupt(move || wake.send(()).unwrap());
        self.0.send(()).unwrap();
        woken.recv_timeout(SOON * 2).unwrap();
        assert!(interrupt.is_interrupted());
        // Registered late, it is called immediately.
        let (wake, woken) = unbounded();
        interrupt.clone().on_interrupt(move || wake.send(()).unwrap());
        woken.try_recv().unwrap();
        Err(Error::new(ErrorKind::Closed, "interrupted"))
    }
}

#[test]
fn custom_dial_can_be_interrupted() {
    let (dialling, started) = unbounded();
    let client = Client::builder(Options::url("ws://nowhere/app/key"))
        .connector(Arc::new(Endless(dialling)))
        .connect_timeout(SOON * 3)
        .build()
        .unwrap();
    for end in [Client::disconnect, Client::reconnect, |client: &Client| drop(client.close(SOON))] {
        client.connect();
        started.recv_timeout(SOON).unwrap();
        end(&client);
    }
    // Two of its dials ended before: none is waited for.
    client.close(SOON).unwrap();
    assert_eq!(client.state(), State::Disconnected);
}

/// What it has called on an interruption works while it dials only.
struct Outdated(MemoryConnector);

impl Connector for Outdated {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        self.0.connect(url, deadline)
    }

    fn connect_interruptibly(
        &self,
        url: &str,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Connection>, Error> {
        let (wake, _woken) = unbounded();
        interrupt.on_interrupt(move || wake.send(()).unwrap());
        self.connect(url, deadline)
    }
}

#[test]
fn panic_on_interrupt_after_the_dial_loses_no_dial() {
    let (dials, dialled) = unbounded();
    let client = quick(Options::url("ws://memory/app"))
        .connector(Outdated(MemoryConnector(dials)))
        .build()
        .unwrap();
    client.connect();
    let mut peers: Vec<MemoryPeer> = Vec::new();
    for again in [Client::reconnect, Client::reconnect, Client::disconnect] {
        peers.push(dialled.recv_timeout(SOON).unwrap());
        peers.last().unwrap().to_client.send(text(ESTABLISHED)).unwrap();
        client.wait_connected(SOON).unwrap();
        again(&client);
    }
    client.close(SOON).unwrap();
}

#[test]
fn custom_connector_accepts_any_url_scheme() {
    struct Seen(Sender<String>);

    impl Connector for Seen {
        fn connect(&self, url: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
            let _ = self.0.send(url.to_owned());
            Err(Error::new(ErrorKind::Io, "no server is there"))
        }
    }

    let (first, second, third) = ("unix:///run/pusher.sock", "own:1?a#b", "http://host/app");
    let (seen, urls) = unbounded();
    let client = quick(Options::url(first)).connector(Seen(seen)).build().unwrap();
    client.connect();
    assert_eq!(urls.recv_timeout(SOON).unwrap(), first);
    client.switch(Options::url(second)).unwrap();
    while urls.recv_timeout(SOON).unwrap() != second {}
    client.switch(Options::custom(move |_| third.to_owned())).unwrap();
    while urls.recv_timeout(SOON).unwrap() != third {}
    for wrong in ["/run/pusher.sock", "ws://", "wss://h:0/"] {
        let error = client.switch(Options::url(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
    }
    client.close(SOON).unwrap();

    // The built-in connector accepts its own schemes only, in `switch` too.
    let error = Client::new(Options::url(first)).unwrap_err();
    assert!(error.to_string().starts_with("unsupported URL scheme `unix`"), "{error}");
    let client = Client::new(Options::url("ws://h/")).unwrap();
    let error = client.switch(Options::url(first)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn settings_are_checked_with_a_custom_connector() {
    let builder =
        || Client::builder(Options::url("own:1")).connector(Slow(unbounded().0, unbounded().1));
    builder().build().unwrap();
    let with_header = builder().header("Origin", "https://app.test");
    let asking = builder().headers_with(Vec::new);
    for builder in [with_header, asking] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("must not be combined with a `connector`"), "{error}");
    }
    if cfg!(tls) {
        let tls = Tls::default().root_certificate_pem(b"no certificate");
        let error = builder().tls(tls).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("root_certificate_pem"), "{error}");
    }
}
