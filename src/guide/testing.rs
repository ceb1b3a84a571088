//! Testing your app without a network, with the in-process server of this crate.
//!
//! [`testing::Server`](../../testing/struct.Server.html) is Pusher-compatible: every kind of channel, client events,
//! sign-in, authorization, and faults on demand. It listens on 127.0.0.1, on a free port, so tests can run in parallel
//! and offline.
//!
//! # Setting up
//!
//! ```sh
//! cargo add --dev pusher-channels --no-default-features --features testing
//! ```
//!
//! A dev-dependency with another feature does not change what you ship: with `resolver = "2"` or later (the default
//! since edition 2021) Cargo builds your program without the server.
//!
//! Let the app take [`Options`](crate::Options) and an authorizer instead of making them. The rest of this page tests
//! this app:
//!
//! ```
//! use pusher_channels::{Authorizer, Binding, Client, Error, Event, Options, PrivateChannel};
//!
//! pub struct Orders {
//!     pub client: Client,
//!     pub channel: PrivateChannel,
//!     pub placed: Binding<Event>,
//! }
//!
//! impl Orders {
//!     pub fn open(options: Options, authorizer: impl Authorizer + 'static) -> Result<Self, Error> {
//!         let client = Client::builder(options).authorizer(authorizer).build()?;
//!         let channel = client.private_channel("private-orders")?;
//!         let placed = channel.bind("placed");
//!         channel.subscribe();
//!         client.connect();
//!         Ok(Self { client, channel, placed })
//!     }
//! }
//! ```
//!
//! # Events
//!
//! ```
//! # use pusher_channels::{Authorizer, Binding, Client, Event, Options, PrivateChannel};
//! # struct Orders { client: Client, channel: PrivateChannel, placed: Binding<Event> }
//! # impl Orders {
//! #     fn open(options: Options, authorizer: impl Authorizer + 'static) -> Result<Self, pusher_channels::Error> {
//! #         let client = Client::builder(options).authorizer(authorizer).build()?;
//! #         let channel = client.private_channel("private-orders")?;
//! #         let placed = channel.bind("placed");
//! #         channel.subscribe();
//! #         client.connect();
//! #         Ok(Self { client, channel, placed })
//! #     }
//! # }
//! use pusher_channels::{HttpAuthorizer, testing::Server};
//! use std::time::Duration;
//!
//! const LIMIT: Duration = Duration::from_secs(10);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start()?;
//! let orders = Orders::open(server.options(), HttpAuthorizer::new(&server.auth_url()))?;
//! orders.channel.wait_subscribed(LIMIT)?;
//!
//! server.publish("private-orders", "placed", &["soup", "tea"]);
//! let order: Vec<String> = orders.placed.recv_timeout(LIMIT)?.json()?;
//! assert_eq!(order, ["soup", "tea"]);
//! # Ok(())
//! # }
//! ```
//!
//! - An event that is published after `wait_subscribed` has returned is not lost.
//! - To test that something does *not* arrive, do not sleep: publish a second event that must arrive, then look.
//! - Give waits a generous limit, such as 10 s. It costs time only if the test fails.
//! - [`wait_for`](../../testing/struct.Server.html#method.wait_for) waits for the server's side, such as
//!   `server.wait_for(LIMIT, |server| server.subscribers("private-orders") == 2)`.
//!
//! # What the app sends
//!
//! Subscribe a second client, or read what the server has received:
//!
//! ```
//! # use pusher_channels::{Authorizer, Binding, Client, Event, Options, PrivateChannel};
//! # struct Orders { client: Client, channel: PrivateChannel, placed: Binding<Event> }
//! # impl Orders {
//! #     fn open(options: Options, authorizer: impl Authorizer + 'static) -> Result<Self, pusher_channels::Error> {
//! #         let client = Client::builder(options).authorizer(authorizer).build()?;
//! #         let channel = client.private_channel("private-orders")?;
//! #         let placed = channel.bind("placed");
//! #         channel.subscribe();
//! #         client.connect();
//! #         Ok(Self { client, channel, placed })
//! #     }
//! # }
//! use pusher_channels::{SecretAuthorizer, testing::Server};
//! use std::time::Duration;
//!
//! const LIMIT: Duration = Duration::from_secs(10);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start()?;
//! let secret = || SecretAuthorizer::new(server.key(), server.secret());
//! let (app, other) = (Orders::open(server.options(), secret())?, Orders::open(server.options(), secret())?);
//! let seen = other.channel.bind("client-seen");
//! app.channel.wait_subscribed(LIMIT)?;
//! other.channel.wait_subscribed(LIMIT)?;
//!
//! app.channel.trigger("client-seen", &7)?;
//! assert_eq!(seen.recv_timeout(LIMIT)?.json::<u32>()?, 7);
//! assert!(server.recorded().iter().any(|frame| frame.contains("client-seen")));
//! # Ok(())
//! # }
//! ```
//!
//! # Lost connections
//!
//! A client waits a random time of up to 1 s before its first new attempt. Tests that lose connections are faster with
//! a shorter wait, so let the app take it as a setting: `Reconnect::default().initial(Duration::from_millis(10))`.
//!
//! ```
//! # use pusher_channels::{Authorizer, Binding, Client, Event, Options, PrivateChannel};
//! # struct Orders { client: Client, channel: PrivateChannel, placed: Binding<Event> }
//! # impl Orders {
//! #     fn open(options: Options, authorizer: impl Authorizer + 'static) -> Result<Self, pusher_channels::Error> {
//! #         let client = Client::builder(options).authorizer(authorizer).build()?;
//! #         let channel = client.private_channel("private-orders")?;
//! #         let placed = channel.bind("placed");
//! #         channel.subscribe();
//! #         client.connect();
//! #         Ok(Self { client, channel, placed })
//! #     }
//! # }
//! use pusher_channels::{SecretAuthorizer, State, testing::Server};
//! use std::time::Duration;
//!
//! const LIMIT: Duration = Duration::from_secs(20);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start()?;
//! let orders = Orders::open(server.options(), SecretAuthorizer::new(server.key(), server.secret()))?;
//! let (resumed, states) = (orders.channel.bind_resumed(), orders.client.bind_states());
//! orders.channel.wait_subscribed(LIMIT)?;
//!
//! server.drop_connections(); // as a pulled cable does, but noticed at once
//! let gap = resumed.recv_timeout(LIMIT)?;
//! println!("the app fetches what it may have missed in {:?}", gap.length());
//!
//! server.close_all(4001, "no such app"); // for good: the client gives up
//! assert!(states.iter().any(|change| change.current == State::Failed));
//! # Ok(())
//! # }
//! ```
//!
//! | fault | call |
//! |---|---|
//! | the connection is lost | [`drop_connections()`](../../testing/struct.Server.html#method.drop_connections), [`close_all(code, reason)`](../../testing/struct.Server.html#method.close_all) |
//! | the server is down | drop it; start another one with [`Settings::port`](../../testing/struct.Settings.html#method.port) and its old port |
//! | the server refuses connections | [`refuse(n)`](../../testing/struct.Server.html#method.refuse), HTTP 503 |
//! | the server hangs | [`silence(true)`](../../testing/struct.Server.html#method.silence): only time-outs notice it |
//! | the server sends nonsense | [`send_raw(text)`](../../testing/struct.Server.html#method.send_raw) |
//! | a channel is refused | [`refuse_channel(name, refusal)`](../../testing/struct.Server.html#method.refuse_channel) |
//! | an encrypted channel gets a new key | [`rotate_encryption_key(name)`](../../testing/struct.Server.html#method.rotate_encryption_key) |
//! | the user is terminated | [`terminate_user(id)`](../../testing/struct.Server.html#method.terminate_user) |
//!
//! # Authorization
//!
//! The endpoint at `auth_url()` accepts everyone. Make it fail, or replace it by a closure:
//!
//! ```
//! # use pusher_channels::{Authorizer, Binding, Client, Event, Options, PrivateChannel};
//! # struct Orders { client: Client, channel: PrivateChannel, placed: Binding<Event> }
//! # impl Orders {
//! #     fn open(options: Options, authorizer: impl Authorizer + 'static) -> Result<Self, pusher_channels::Error> {
//! #         let client = Client::builder(options).authorizer(authorizer).build()?;
//! #         let channel = client.private_channel("private-orders")?;
//! #         let placed = channel.bind("placed");
//! #         channel.subscribe();
//! #         client.connect();
//! #         Ok(Self { client, channel, placed })
//! #     }
//! # }
//! use pusher_channels::{AuthRequest, Error, ErrorKind, HttpAuthorizer, testing::Server};
//! use std::time::Duration;
//!
//! const LIMIT: Duration = Duration::from_secs(10);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start()?;
//! server.fail_auth(403);
//! let orders = Orders::open(server.options(), HttpAuthorizer::new(&server.auth_url()))?;
//! let Err(refused) = orders.channel.wait_subscribed(LIMIT) else { panic!("it must be refused") };
//! assert_eq!((refused.kind(), refused.http_status()), (ErrorKind::Auth, Some(403)));
//!
//! server.fail_auth(200); // ends the fault; the app requests it again
//! orders.channel.subscribe();
//! orders.channel.wait_subscribed(LIMIT)?;
//!
//! let logged_out = |_: &AuthRequest| Err(Error::new(ErrorKind::Auth, "no session"));
//! let orders = Orders::open(server.options(), logged_out)?;
//! assert_eq!(orders.channel.wait_subscribed(LIMIT).map_err(|error| error.kind()), Err(ErrorKind::Auth));
//! # Ok(())
//! # }
//! ```
//!
//! [`delay_auth`](../../testing/struct.Server.html#method.delay_auth) makes it slow, [`fail_auth_times(n,
//! 503)`](../../testing/struct.Server.html#method.fail_auth_times) tests retries, and
//! [`auth_requests()`](../../testing/struct.Server.html#method.auth_requests) returns what was sent to it: headers and
//! body. An authorizer of your own needs no server at all:
//!
//! ```
//! use pusher_channels::{Auth, AuthRequest, Authorizer, Error, ErrorKind};
//!
//! /// This app may listen to its own device only.
//! fn own_device(request: &AuthRequest) -> Result<Auth, Error> {
//!     if request.channel() != "private-device-7" {
//!         return Err(Error::new(ErrorKind::Auth, "another device"));
//!     }
//!     Ok(Auth::new("app-key:signature"))
//! }
//!
//! assert!(own_device.authorize(&AuthRequest::new("1.2", "private-device-7")).is_ok());
//! assert!(own_device.authorize(&AuthRequest::new("1.2", "private-device-8")).is_err());
//! ```
//!
//! # Presence and users
//!
//! [`Settings`](../../testing/struct.Settings.html) also makes the server behave as another one does: how it closes
//! connections, refuses, and lists members. `user_id` and `user_info` of a member are parameters of the request to
//! `auth_url()`:
//!
//! ```
//! use pusher_channels::testing::{CloseStyle, DataStyle, Server, Settings};
//! use pusher_channels::{Client, HttpAuthorizer};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let like_reverb = Settings::default().error_data(DataStyle::Text).close_style(CloseStyle::Drop);
//! let server = Server::start_with(like_reverb)?;
//! let ann = HttpAuthorizer::new(&server.auth_url())
//!     .param("user_id", "ann")
//!     .param("user_info", r#"{"name":"Ann"}"#);
//! let client = Client::builder(server.options()).authorizer(ann).build()?;
//! let room = client.presence_channel("presence-room")?;
//! room.subscribe();
//! client.connect();
//! room.wait_subscribed(Duration::from_secs(10))?;
//! assert_eq!(room.members().me().map(|me| me.info().to_owned()).as_deref(), Some(r#"{"name":"Ann"}"#));
//! # Ok(())
//! # }
//! ```
//!
//! # Continuous integration
//!
//! The server needs loopback and a free port, nothing else: no service container, no account, no secret. Over it the
//! client speaks plain `ws`, so build the tests with the TLS feature that you ship, or with none, whichever is faster.
//! Logs help to read a failure: set up `env_logger` in the test and run it with `RUST_LOG=pusher_channels=debug`.
//!
//! For a server outside the test, to develop against with any client: `pusher-channels serve` (feature `cli`).
//!
//! To test against a real server as well, this repository starts soketi 1.6.1 from npm; see `.ci/run`, step `soketi`,
//! and `tests/it/soketi`.
