//! Callbacks in the manner of pusher-js: `on(channel, event, closure)`, all of them called on one thread.
//!
//! Run it with `cargo run --example callbacks`. If PUSHER_APP_KEY or REVERB_APP_KEY is set, it connects to the server
//! that the environment names (see `Options::from_env`), and prints the messages of the channel `chat` until it is
//! stopped.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pusher_channels::crossbeam_channel::{bounded, select};
use pusher_channels::{Client, Event, Options, StateChange, testing::Server};

const LIMIT: Duration = Duration::from_secs(10);

/// What closures are called with.
enum Received {
    Event(Event),
    State(StateChange),
}

/// A closure with its id.
type Callback = (u64, Arc<dyn Fn(&Received) + Send + Sync>);

/// Calls closures for the events and states of a client, one after another.
///
/// All channels share one queue, so that their events stay in order. A slow closure delays the others; when 4,096
/// events wait, the oldest is dropped. For work that takes long, let the closure send to a thread of yours.
#[derive(Clone, Default)]
struct Callbacks {
    registered: Arc<Mutex<Vec<Callback>>>,
    last_id: Arc<AtomicU64>,
}

impl Callbacks {
    /// Starts the thread. It ends when the client is closed, or the last handle of the client is dropped. A closure that
    /// owns such a handle keeps the client alive, so then call `close`.
    fn start(client: &Client) -> std::io::Result<(Self, JoinHandle<()>)> {
        let callbacks = Self::default();
        let (events, states) = (client.bind_all(), client.bind_states());
        let on_thread = callbacks.clone();
        let run = move || {
            loop {
                let received = select! {
                    recv(*events) -> event => event.map(Received::Event),
                    recv(*states) -> change => change.map(Received::State),
                };
                match received {
                    Ok(received) => on_thread.call(&received),
                    Err(_) => break,
                }
            }
            // What else was received before the end. Then nobody calls the closures any more.
            let events = events.try_iter().map(Received::Event);
            let rest = events.chain(states.try_iter().map(Received::State));
            rest.for_each(|received| on_thread.call(&received));
            drop(on_thread.replace(|_| Vec::new()));
        };
        let thread = thread::Builder::new().name("callbacks".to_owned()).spawn(run)?;
        Ok((callbacks, thread))
    }

    /// Calls the closure for each event of this name on this channel, the `pusher:…` events included, until `off`.
    fn on(&self, channel: &str, event: &str, f: impl Fn(&Event) + Send + Sync + 'static) -> u64 {
        let (channel, name) = (channel.to_owned(), event.to_owned());
        self.add(move |received| match received {
            Received::Event(e) if e.name() == name && e.channel() == Some(&channel) => f(e),
            _ => {}
        })
    }

    /// Calls the closure for each change of the connection's state, until `off`.
    fn on_state(&self, f: impl Fn(&StateChange) + Send + Sync + 'static) -> u64 {
        self.add(move |received| match received {
            Received::State(change) => f(change),
            Received::Event(_) => {}
        })
    }

    /// Removes what `on` or `on_state` has added. A call that has begun on the other thread still ends.
    fn off(&self, id: u64) {
        drop(self.replace(|old| old.iter().filter(|callback| callback.0 != id).cloned().collect()));
    }

    fn add(&self, f: impl Fn(&Received) + Send + Sync + 'static) -> u64 {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().push((id, Arc::new(f)));
        id
    }

    /// Returns the old list, to be dropped outside the lock: a closure owns values whose `drop` may call `off`.
    fn replace(&self, new: impl FnOnce(&[Callback]) -> Vec<Callback>) -> Vec<Callback> {
        let mut registered = self.lock();
        let new = new(&registered);
        std::mem::replace(&mut registered, new)
    }

    /// Holds no lock meanwhile, so closures may call `on` and `off`. One that panics costs this call only (except with
    /// `panic = "abort"`).
    fn call(&self, received: &Received) {
        let present = self.lock().clone();
        for (id, callback) in present {
            let is_on = self.lock().iter().any(|callback| callback.0 == id);
            if is_on && catch_unwind(AssertUnwindSafe(|| callback(received))).is_err() {
                eprintln!("callback {id} panicked");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Callback>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let keys = ["PUSHER_APP_KEY", "REVERB_APP_KEY"];
    if keys.iter().any(|key| std::env::var_os(key).is_some()) {
        let client = Client::new(Options::from_env()?)?;
        let (callbacks, thread) = Callbacks::start(&client)?;
        callbacks.on_state(|change| println!("state: {:?}", change.current));
        callbacks.on("chat", "message", |event| println!("message: {}", event.data()));
        client.public_channel("chat")?.subscribe();
        client.connect();
        return thread.join().map_err(|_| "the thread of the callbacks panicked".into());
    }

    let server = Server::start()?;
    let client = Client::new(server.options())?;
    let (callbacks, thread) = Callbacks::start(&client)?;

    // pusher.connection.bind('state_change', …)
    callbacks.on_state(|change| println!("state: {:?} -> {:?}", change.previous, change.current));

    // const chat = pusher.subscribe('chat'); chat.bind('pusher:subscription_succeeded', …)
    let chat = client.channel("chat")?;
    callbacks.on("chat", "pusher:subscription_succeeded", |_| println!("subscribed"));

    // chat.bind('message', …)
    let printing = callbacks.on("chat", "message", |event| println!("message: {}", event.data()));
    callbacks
        .on("chat", "message", |event| assert_ne!(event.data(), "two", "a bug, for this example"));

    // A callback may remove others, or itself: chat.unbind('message', …)
    let inner = callbacks.clone();
    callbacks.on("chat", "mute", move |_| {
        println!("muted");
        inner.off(printing);
    });

    let (ended, end) = bounded(1);
    callbacks.on("chat", "end", move |_| {
        let _ = ended.try_send(());
    });

    chat.subscribe();
    client.connect();
    chat.wait_subscribed(LIMIT)?;
    for text in ["one", "two", "three"] {
        server.publish("chat", "message", text);
    }
    server.publish("chat", "mute", "");
    server.publish("chat", "message", "four");
    server.publish("chat", "end", "");
    end.recv_timeout(LIMIT)?;

    client.close(LIMIT)?; // ends the thread
    thread.join().map_err(|_| "the thread of the callbacks panicked")?;
    Ok(())
}
