//! User code that does not return: a reconnect policy, `Options::custom`, `headers_with`, a connector. Most tests
//! run alone in a child process, since they count threads or keep the log.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use log::LevelFilter;
use pusher_channels::crossbeam_channel::unbounded;
use pusher_channels::testing::Server;
use pusher_channels::{
    Client, ClientBuilder, Connection, Connector, Error, ErrorKind, Options, Reconnect, State,
    StateChange,
};

use crate::process::threads;
use crate::support::memory::{ESTABLISHED, MemoryConnector, text};
use crate::support::{SOON, alone, log_to, now, quick, refusing, scaled};

/// Blocks its first caller until it is lifted.
struct Barrier {
    came: mpsc::Sender<()>,
    held: Mutex<Option<mpsc::Receiver<()>>>,
    calls: AtomicUsize,
}

/// Dropping it releases the blocked caller.
struct Lift(#[expect(dead_code, reason = "dropping it is what counts")] mpsc::Sender<()>);

impl Barrier {
    fn new() -> (Arc<Self>, mpsc::Receiver<()>, Lift) {
        let ((came, wait), (lift, held)) = (mpsc::channel(), mpsc::channel());
        let held = Mutex::new(Some(held));
        (Arc::new(Self { came, held, calls: AtomicUsize::new(0) }), wait, Lift(lift))
    }

    fn pass(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            self.came.send(()).unwrap();
            assert!(held.recv().is_err());
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn keep_warnings() {
    log_to(LevelFilter::Warn, |record| {
        let text = record.args().to_string();
        if text.contains("the next dial waits") {
            WARNINGS.lock().unwrap().push(text);
        }
    });
}

/// Waits for the one warning that the next dial waits for this.
fn is_warned_of(code: &str) {
    let deadline = now() + SOON;
    while WARNINGS.lock().unwrap().is_empty() {
        assert!(now() < deadline, "nothing is said");
        std::thread::yield_now();
    }
    let warnings = WARNINGS.lock().unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains(code), "{warnings:?}");
}

fn clients_threads() -> Vec<String> {
    let mut threads = threads();
    threads.retain(|name| name.starts_with("pusher-"));
    threads
}

/// Dials two thousand times, in every way there is.
fn dial_again(client: &Client, options: &Options) {
    for round in 0..2000 {
        match round % 4 {
            0 => client.switch(options.clone()).unwrap(),
            1 => {
                client.disconnect();
                client.connect();
            }
            _ => client.reconnect(),
        }
    }
    let threads = clients_threads();
    assert!(threads.len() <= 5, "{} threads: {threads:?}", threads.len());
}

/// It does not wait for what does not return, and names it.
fn close_names(client: &Client, code: &str) {
    let before = now();
    let error = client.close(Duration::from_millis(50)).unwrap_err();
    assert!(now() - before < SOON, "close waited");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains(code), "{error}");
    assert!(error.to_string().contains("pusher-"), "{error}");
}

#[test]
fn blocked_policy_has_one_thread_and_the_client_connects_once_it_returns() {
    alone(|| {
        let (barrier, came, lift) = Barrier::new();
        let server = Server::start().unwrap();
        let is_up = Arc::new(AtomicBool::new(false));
        let (up, live, dead) = (Arc::clone(&is_up), server.url(), refusing().to_url().unwrap());
        let options = Options::custom(move |_| match up.load(Ordering::SeqCst) {
            true => live.clone(),
            false => dead.clone(),
        });
        let called = Arc::clone(&barrier);
        let policy = Reconnect::with(move |_| {
            called.pass();
            Some(Duration::ZERO)
        });
        let client = Client::builder(options.clone()).reconnect(policy).build().unwrap();
        client.connect();
        came.recv_timeout(SOON).unwrap();
        dial_again(&client, &options);
        // Each of these fails while the policy is blocked.
        let states = client.bind_states();
        for _ in 0..100 {
            client.reconnect();
            while states.recv_timeout(SOON).unwrap().cause.is_none() {}
        }
        let threads = clients_threads();
        assert_eq!(threads.iter().filter(|name| *name == "pusher-policy").count(), 1);
        assert_eq!((barrier.calls(), client.state()), (1, State::Reconnecting));
        is_up.store(true, Ordering::SeqCst);
        drop(lift);
        client.wait_connected(SOON).unwrap();
        client.close(SOON).unwrap();
    });
}

#[test]
fn blocked_resolver_has_one_thread_and_the_client_connects_once_it_returns() {
    alone(|| {
        keep_warnings();
        let (barrier, came, lift) = Barrier::new();
        let server = Server::start().unwrap();
        let (called, live) = (Arc::clone(&barrier), server.url());
        let options = Options::custom(move |_| {
            called.pass();
            live.clone()
        });
        let client = quick(options.clone()).build().unwrap();
        client.connect();
        came.recv_timeout(SOON).unwrap();
        dial_again(&client, &options);
        is_warned_of("`Options::custom` has not returned");
        dial_again(&client, &options);
        assert_eq!((barrier.calls(), client.stats().dials), (1, 1));
        drop(lift);
        client.wait_connected(SOON).unwrap();
        assert_eq!((barrier.calls(), client.stats().dials), (2, 2), "the newest one only");
        client.close(SOON).unwrap();
        is_warned_of("`Options::custom` has not returned");
    });
}

/// Its first dial hangs beyond the deadline.
struct Hanging(Arc<Barrier>, MemoryConnector);

impl Connector for Hanging {
    fn connect(&self, url: &str, deadline: Instant) -> Result<Box<dyn Connection>, Error> {
        self.0.pass();
        self.1.connect(url, deadline.max(now() + SOON))
    }
}

#[test]
fn blocked_connector_has_one_thread_and_the_client_connects_once_it_returns() {
    alone(|| {
        let (barrier, came, lift) = Barrier::new();
        let (dials, dialled) = unbounded();
        let connector = Hanging(Arc::clone(&barrier), MemoryConnector(dials));
        let options = Options::url("ws://memory/app");
        let client = quick(options.clone()).connector(connector).build().unwrap();
        client.connect();
        came.recv_timeout(SOON).unwrap();
        dial_again(&client, &options);
        assert_eq!(barrier.calls(), 1);
        drop(lift);
        let dropped = dialled.recv_timeout(SOON).unwrap();
        let far = dialled.recv_timeout(SOON).unwrap();
        far.to_client.send(text(ESTABLISHED)).unwrap();
        client.wait_connected(SOON).unwrap();
        assert_eq!((barrier.calls(), client.stats().dials), (2, 2));
        client.close(SOON).unwrap();
        drop(dropped);
    });
}

#[test]
fn dial_abandoned_in_the_resolver_calls_no_connector() {
    let (barrier, came, lift) = Barrier::new();
    let options = Options::custom(move |_| {
        barrier.pass();
        "ws://memory/app".to_owned()
    });
    let (dials, dialled) = unbounded();
    let client = quick(options).connector(Arc::new(MemoryConnector(dials))).build().unwrap();
    client.connect();
    came.recv_timeout(SOON).unwrap();
    client.reconnect();
    drop(lift);
    let far = dialled.recv_timeout(SOON).unwrap();
    far.to_client.send(text(ESTABLISHED)).unwrap();
    client.wait_connected(SOON).unwrap();
    assert!(dialled.is_empty());
    client.close(SOON).unwrap();
}

/// Dials that fail since this is called and does not return: their errors, the log and `close` name it.
fn is_named(code: &str, build: impl FnOnce(Arc<Barrier>) -> ClientBuilder) {
    keep_warnings();
    let (barrier, came, lift) = Barrier::new();
    let limit = scaled(Duration::from_millis(20));
    let client = build(Arc::clone(&barrier)).connect_timeout(limit).build().unwrap();
    let states = client.bind_states();
    client.connect();
    came.recv_timeout(SOON).unwrap();
    // The dial that hangs, and two that wait for it.
    let mut failed = 0;
    while failed < 3 {
        let StateChange { cause, .. } = states.recv_timeout(SOON).unwrap();
        if let Some(cause) = cause {
            assert!(cause.is_timeout(), "{cause}");
            let text = cause.to_string();
            assert!(text.contains(&format!(": {code} has not returned for ")), "{text}");
            failed += 1;
        }
    }
    is_warned_of(&format!("the next dial waits: {code} has not returned for "));
    close_names(&client, &format!("({code} has not returned for "));
    assert_eq!(barrier.calls(), 1);
    drop(lift);
    client.close(SOON).unwrap();
}

#[test]
fn blocked_resolver_is_named() {
    alone(|| {
        is_named("the function given to `Options::custom`", |barrier| {
            quick(Options::custom(move |_| {
                barrier.pass();
                String::new()
            }))
        });
    });
}

#[test]
fn blocked_headers_with_is_named() {
    alone(|| {
        is_named("the function given to `headers_with`", |barrier| {
            quick(refusing()).headers_with(move || {
                barrier.pass();
                Vec::new()
            })
        });
    });
}

#[test]
fn blocked_connector_is_named() {
    alone(|| {
        is_named("the connector", |barrier| {
            let connector = Hanging(barrier, MemoryConnector(unbounded().0));
            quick(Options::url("ws://memory/app")).connector(connector)
        });
    });
}

#[test]
fn close_names_a_blocked_policy() {
    alone(|| {
        let (barrier, came, lift) = Barrier::new();
        let policy = Reconnect::with(move |_| {
            barrier.pass();
            None
        });
        let client = Client::builder(refusing()).reconnect(policy).build().unwrap();
        client.connect();
        came.recv_timeout(SOON).unwrap();
        close_names(&client, "`Reconnect::with` has not returned");
        drop(lift);
        client.close(SOON).unwrap();
    });
}
