//! Games and other frame loops: what blocks, what a call costs, and which queue fits which event.
//!
//! # A frame
//!
//! A client never calls your code with an event. It puts the event into the queues of bindings, and a frame takes what
//! is there:
//!
//! ```
//! use pusher_channels::{Client, State, testing::Server};
//! use std::time::Duration;
//!
//! /// Whose move, and where to: any type that implements `serde::Deserialize`. The name is borrowed from the event.
//! type Move<'a> = (&'a str, f32);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::start()?;
//! let client = Client::new(server.options())?;
//! let world = client.public_channel("world")?;
//! let (moves, states, gaps) = (world.bind("move"), client.bind_states(), world.bind_resumed());
//! world.subscribe();
//! client.connect(); // returns immediately; the game runs while it connects
//! # world.wait_subscribed(Duration::from_secs(10))?;
//! # server.publish("world", "move", &("ann", 1.5));
//! # let mut frames = 0;
//!
//! let mut online = false;
//! loop {
//!     for change in states.try_iter() {
//!         online = change.current == State::Connected; // an icon
//!     }
//!     for event in moves.try_iter().take(256) {
//!         // At most 256 a frame, so that a flood cannot stall it.
//!         match event.json::<Move<'_>>() {
//!             Ok((player, x)) => println!("{player} is at {x}"),
//!             Err(error) => eprintln!("{error}"),
//!         }
//! #       frames = 1;
//!     }
//!     if let Ok(gap) = gaps.try_recv() {
//!         println!("fetch the world: events of the last {:?} may be missing", gap.length());
//!     }
//!     // … draw, and wait for the display
//! #   if frames > 0 { break; }
//! #   std::thread::yield_now();
//! }
//! # assert!(online);
//! client.close(Duration::from_secs(1))?; // or drop it, which does not wait
//! # Ok(())
//! # }
//! ```
//!
//! `try_recv`, `try_iter` and `len` are those of [`crossbeam_channel`]. If your engine stores state in a typed world
//! (as Bevy and `specs` do), handles and bindings fit: they are `Send + Sync + 'static`.
//!
//! ```
//! use pusher_channels::{Binding, Client, Event, PresenceChannel};
//!
//! fn is_a_resource<T: Send + Sync + 'static>() {}
//! is_a_resource::<(Client, PresenceChannel, Binding<Event>)>();
//! ```
//!
//! # What blocks
//!
//! Only `wait_connected`, `wait_subscribed`, `wait_signed_in`, `ping` and `close`, for at most the time that you pass.
//! Do not call them in a frame. Everything else returns immediately: `trigger` writes to the socket if it is free, and
//! otherwise leaves the frame to the reader thread; it never waits for the network.
//!
//! # What a call costs
//!
//! Medians on x86-64 with two cores (November 2026, `cargo bench --bench latency`):
//!
//! | call | cost |
//! |---|---|
//! | `try_recv()` on an empty binding | that of crossbeam-channel: no lock, no system call |
//! | [`state()`](crate::Client::state) | 0.1 µs |
//! | [`stats()`](crate::Client::stats) | 0.3 µs |
//! | [`bind`](crate::PublicChannel::bind), and dropping the binding | 1 µs |
//! | [`trigger`](crate::PrivateChannel::trigger) | serializing the data, and 12 µs for a `send` system call; 17 µs while 1,000 events a second arrive |
//! | [`Event::clone`](crate::Event) | a reference count |
//! | [`Event::data`](crate::Event::data), [`json`](crate::Event::json) | decodes on the first call, on your thread, then cached; a data string that needs no unescaping is not copied |
//! | [`members()`](crate::PresenceChannel::members) | a reference count. While you hold a snapshot, the next member that joins or leaves costs the client a copy of the table, so drop it at the end of the frame |
//!
//! An event is with its consumer 56 µs after the server has sent it (a bare blocking loop: 22 µs). While a flood of
//! events arrives, the first three calls may wait for the client's lock: they take 0.3 to 1.5 µs in the median, and up
//! to 0.5 ms in one call of a hundred, where the flood leaves no processor free.
//!
//! Events that arrive together share a buffer that is used again, so a flood allocates next to nothing. To keep a
//! single event for long, keep `event.data().to_owned()`.
//!
//! # Queues
//!
//! The client never waits for a frame. Each binding has a bounded queue, by default of the newest 4,096 values and 64
//! MiB; [`dropped()`](crate::Binding::dropped) counts what did not fit.
//!
//! | events | queue |
//! |---|---|
//! | positions, where only the newest counts | [`Queue::drop_oldest(n)`](crate::Queue::drop_oldest) with a few for each player |
//! | a log, chat, purchases | the default, and `dropped()` as an alarm |
//! | requests of which the first ones count | [`Queue::drop_newest(n)`](crate::Queue::drop_newest) |
//! | everything, in a tool that reads as fast as it can | [`Queue::unbounded()`](crate::Queue::unbounded) |
//!
//! ```
//! use pusher_channels::{Client, Options, Queue};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! # let client = Client::new(Options::url("ws://127.0.0.1:6001/app/key"))?;
//! let world = client.public_channel("world")?;
//! let positions = world.bind_with("position", Queue::drop_oldest(64));
//! assert_eq!(positions.dropped(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! While the game is paused or loads a level, queues fill up to their limits and stay there. When it goes on, discard
//! what is old: `positions.try_iter().for_each(drop)`.
//!
//! Bindings are independent: two bindings of the same event both receive it. Give each system of the game its own.
//!
//! # Sending
//!
//! Pusher allows 10 client events per second and connection, so the client refuses more with
//! [`RateLimited`](crate::ErrorKind::RateLimited), in a burst after the tenth. At 60 frames per second send every sixth
//! frame, or only changes. On a server of your own, set what it allows:
//! [`client_event_limit`](crate::ClientBuilder::client_event_limit).
//!
//! ```
//! use pusher_channels::{Client, Error, ErrorKind, PrivateChannel, SecretAuthorizer, testing::Server};
//! use std::time::{Duration, Instant};
//!
//! /// Sends the position ten times a second at most. A lost one does no harm: the next one replaces it.
//! fn send(room: &PrivateChannel, position: (f32, f32), last: &mut Option<Instant>) -> Result<(), Error> {
//!     use ErrorKind::{NotConnected, NotSubscribed, RateLimited};
//!
//!     if last.is_some_and(|last| last.elapsed() < Duration::from_millis(100)) {
//!         return Ok(());
//!     }
//!     *last = Some(Instant::now());
//!     match room.trigger("client-move", &position) {
//!         Err(error) if matches!(error.kind(), NotConnected | NotSubscribed | RateLimited) => Ok(()),
//!         result => result, // for example too large, or a wrong name
//!     }
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::start()?;
//! # let client = Client::builder(server.options())
//! #     .authorizer(SecretAuthorizer::new(server.key(), server.secret()))
//! #     .build()?;
//! # let room = client.private_channel("private-room")?;
//! # send(&room, (0.0, 0.0), &mut None)?; // not connected
//! # room.subscribe();
//! # client.connect();
//! # room.wait_subscribed(Duration::from_secs(10))?;
//! # let mut last = None;
//! # send(&room, (0.5, 0.0), &mut last)?;
//! # assert!(last.is_some());
//! # assert!(server.wait_for(Duration::from_secs(10), |server| server.recorded().iter().any(|it| it.contains("0.5"))));
//! # Ok(())
//! # }
//! ```
//!
//! Clients see your `user_id` on presence channels, added by the server, so a player cannot pretend to be another one.
//! But players can send anything: let a server decide what counts.
//!
//! # A thread of its own
//!
//! Where a game has a thread for the network, it blocks on all bindings at once, with `select!`:
//!
//! ```
//! use pusher_channels::crossbeam_channel::{bounded, select, tick};
//! use pusher_channels::{Client, testing::Server};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::start()?;
//! let client = Client::new(server.options())?;
//! let (world, chat) = (client.public_channel("world")?, client.public_channel("chat")?);
//! let (moves, lines) = (world.bind("move"), chat.bind("line"));
//! world.subscribe();
//! chat.subscribe();
//! client.connect();
//! # chat.wait_subscribed(Duration::from_secs(10))?;
//! # server.publish("chat", "line", "hello");
//!
//! let (to_game, from_network) = bounded::<String>(1024);
//! let second = tick(Duration::from_secs(1));
//! let network = std::thread::spawn(move || loop {
//!     select! {
//!         recv(*moves) -> event => match event {
//!             Ok(event) => drop(to_game.try_send(event.data().to_owned())),
//!             Err(_) => break, // the client was closed
//!         },
//!         recv(*lines) -> event => match event {
//!             Ok(event) => drop(to_game.try_send(event.data().to_owned())),
//!             Err(_) => break,
//!         },
//!         recv(second) -> _ => println!("{} moves dropped", moves.dropped()),
//!     }
//! });
//! # assert_eq!(from_network.recv_timeout(Duration::from_secs(10))?, "hello");
//! client.close(Duration::from_secs(1))?; // disconnects the bindings, so the thread ends
//! network.join().map_err(|_| "the thread panicked")?;
//! # Ok(())
//! # }
//! ```
//!
//! The examples `game_loop` and `select_many` of the repository are whole programs.
