//! A synchronous, thread-based client for the [Pusher Channels protocol](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/),
//! version 7.
//!
//! Events arrive through [`crossbeam_channel`](https://docs.rs/crossbeam-channel) receivers, one per binding, so a
//! program can block on `recv()`, poll `try_recv()` once per frame of a game, or `select!` over many. There is no async
//! runtime in the dependency tree. The client connects to Pusher's own service and to compatible servers.
//!
//! ```no_run
//! use std::time::Duration;
//! use pusher_channels::{Client, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let client = Client::new(Options::cluster("eu", "app-key"))?; // nothing runs yet
//! let chat = client.public_channel("chat")?;                     // a handle; no I/O
//! let messages = chat.bind("message");                           // a receiver of its own
//! chat.subscribe();                                              // survives reconnects
//! client.connect();                                              // returns immediately
//! chat.wait_subscribed(Duration::from_secs(20))?;                // reports a wrong key
//! for event in &messages {
//!     println!("{}", event.data());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! If the client gives up ([`State::Failed`], for example after a wrong key), receivers are not disconnected: they
//! stay silent until [`Client::connect`] or [`Client::close`] is called. So wait with a limit, as above, or watch
//! [`Client::bind_states`].
//!
//! # Guides
//!
//! The module [`guide`] has pages about [servers](guide::servers), [devices](guide::devices), [games](guide::games),
//! [testing your app](guide::testing), and [coming from another client](guide::coming_from).
//!
//! # What blocks
//!
//! Five methods block, for at most their `timeout`: [`Client::wait_connected`], [`Client::wait_signed_in`],
//! [`Client::ping`], [`Client::close`] and [`PublicChannel::wait_subscribed`], which all types of channels have. All
//! others return immediately, whatever the network does. Every handle can be used from all threads at once. Each request
//! of a [`Publisher`](publisher/struct.Publisher.html) blocks, by default for at most 10 s.
//!
//! # Channels
//!
//! | prefix | type | properties |
//! |---|---|---|
//! | none | [`PublicChannel`] | open to anyone who knows the app key |
//! | `private-` | [`PrivateChannel`] | needs an [`Authorizer`]; has client events |
//! | `presence-` | [`PresenceChannel`] | needs an [`Authorizer`]; has client events and a list of members |
//! | `private-encrypted-` | [`PrivateEncryptedChannel`](struct.PrivateEncryptedChannel.html) | needs an [`Authorizer`]; the server cannot read its events |
//!
//! Each has a cache variant, with `cache-` after the prefix: the server repeats the last event to new subscribers.
//! [`Client::channel`] takes any of these names and returns an [`AnyChannel`].
//!
//! An [`Authorizer`] is [an HTTP endpoint](HttpAuthorizer) of yours, a closure, or [the app's secret
//! itself](SecretAuthorizer). The client calls it on a thread of its own, for each subscription on each connection.
//! Transient failures are retried with back-off; after a permanent one the subscription has failed, until the next
//! connection or call of `subscribe()`.
//!
//! # Signed-in users
//!
//! A client can sign in as a user of your app ([`Client::signin`]), identified by a [`UserAuthenticator`].
//! [`Client::user`] then receives the events that the server sends to this user, and which users of the watchlist are
//! online.
//!
//! # Lost connections
//!
//! `connect()`, `subscribe()` and `signin()` declare what is wanted. The client restores it after every lost
//! connection, as its [`Reconnect`] policy says: by default without limit, also if the first dial fails. Bindings stay.
//! The protocol does not replay events: [`PublicChannel::bind_resumed`] receives when and for how long a channel missed
//! them.
//!
//! The client checks a silent connection with a ping; without a response, the connection counts as lost.
//! [`Client::network_changed`] checks it at once.
//!
//! # Proxies
//!
//! A client connects directly unless [`ClientBuilder::proxy`] is given a [`Proxy`]: an HTTP proxy, a SOCKS5 proxy, or
//! [that of the environment](Proxy::from_env).
//!
//! # Slow consumers
//!
//! The client never waits for a consumer. Each binding has a [`Queue`], by default of the newest 4,096 values and at
//! most 64 MiB; [`Binding::dropped`] counts the values that did not fit.
//!
//! # Bounds
//!
//! Whatever a server, an endpoint or a consumer does, these limits hold:
//!
//! | limit | default | setter | when exceeded |
//! |---|---|---|---|
//! | queue of a binding | 4,096 values and 64 MiB | [`ClientBuilder::queue`], `bind_with`, `bind_all_with`, [`Queue::max_bytes`] | the oldest is dropped (or the newest, see [`Queue`]) and counted by [`Binding::dropped`] |
//! | message of the server | 1 MiB | [`ClientBuilder::max_message_size`] | the connection is lost, with [`ErrorKind::TooLarge`] |
//! | members of a presence channel | 16 MiB | [`ClientBuilder::max_members_bytes`] | infos are omitted first, then members; one [`ErrorKind::TooLarge`] |
//! | events of an encrypted channel that wait for its key | as the client's queue | [`ClientBuilder::queue`] | the oldest fails, with [`ErrorKind::Decryption`] |
//! | frames that wait to be sent | 4 MiB, and 256 KiB of WebSocket pongs | | the connection is lost: the peer does not read |
//! | memory that a stored event retains beside its own frame | the frames that arrived with it, see [`Event`] | | |
//! | subscribe frames without a response | 512 KiB | | further channels stay pending; [`ClientBuilder::subscribe_timeout`] counts from sending |
//! | a subscribe or sign-in frame | 1 MiB | | that channel or sign-in fails, with [`ErrorKind::TooLarge`] |
//! | client events | 10 KiB of data, 200 characters of name, 10 a second | [`ClientBuilder::client_event_limit`] for the rate | an error of `trigger`; with an outbox the rate makes events wait |
//! | client events that wait | no outbox; with one its number, 1 MiB and 1 h | [`ClientBuilder::outbox`], [`Outbox`] | the oldest is dropped and counted by [`Stats::outbox_dropped`] |
//! | a channel's name | 164 characters | [`ClientBuilder::check_channel_names`] | [`ErrorKind::InvalidName`] |
//! | response of an endpoint | 256 KiB | [`HttpAuthorizer::max_body`] | [`ErrorKind::TooLarge`] |
//! | head of the response to a handshake | 16 KiB, 128 fields | | the dial fails, with [`ErrorKind::Handshake`] |
//! | concurrent authorizations | 4, of which an endpoint that is new, slow or not the only one uses half | [`ClientBuilder::max_authorizations`] | the others wait |
//! | timed-out authorizer calls that still block | 16 | | a further one counts as a concurrent authorization until it returns |
//! | concurrent dials, and calls of [`Reconnect::with`] | 1 each | | the newest waits |
//! | concurrent lookups of host names | 4 for the client, 4 for each endpoint | | a dial fails, with [`ErrorKind::Dns`]; a request waits |
//! | wait that a server or an endpoint requests | 1 hour | | counts as 1 hour |
//! | requests of a [`Publisher`](publisher/struct.Publisher.html) | 100 channels an event, 10 events a batch, 10 KiB of data, 200 characters of a name; 4 MiB of a response, 1 MiB of a webhook | its builder for data and response | an error, before anything is sent |
//! | nesting of JSON | none: parsing does not recurse | | |
//! | stack of each thread | 2 MiB, at least 256 KiB | [`ClientBuilder::stack_size`] | [`ErrorKind::Config`] |
//!
//! The limits of queues and members apply to each binding and each channel, so the memory adds up; lower them on small
//! devices. [`Queue::unbounded`] has no limit.
//!
//! Every wait has a deadline: see the timeouts of [`ClientBuilder`] and [`HttpAuthorizer::timeout`].
//!
//! # Threads
//!
//! | thread | lives | does |
//! |---|---|---|
//! | `pusher-reader` | for one dial and the connection that it becomes | dials, reads, and queues events for the bindings |
//! | `pusher-timer` | from the first `connect()` to the end of the client | keeps the deadlines |
//! | `pusher-actions` | briefly, if there is a logger or a [`Connection`] of your own | sends, closes and logs when a deadline demands it, so that your code delays no deadline |
//! | `pusher-dns` | for one lookup of a host name: the server's, a proxy's or an endpoint's | calls the system's resolver, which cannot be interrupted |
//! | `pusher-policy` | for one call of [`Reconnect::with`]'s function | runs your function |
//! | `pusher-auth` | while there are authorizations to request; at most [`max_authorizations`](ClientBuilder::max_authorizations), by default 4 | runs your [`Authorizer`] and [`UserAuthenticator`] |
//!
//! An idle client wakes up for its heartbeat only. The calling thread writes a frame itself if the socket is free;
//! otherwise it wakes the reader, which writes it.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `native-tls` | yes | TLS by the platform: OpenSSL, Secure Transport, SChannel |
//! | `native-tls-vendored` | | the same with OpenSSL compiled in, for systems without it; takes minutes to compile |
//! | `rustls` | | TLS by rustls, with the platform's trusted roots; used if `native-tls` is off |
//! | `encrypted` | yes | [`PrivateEncryptedChannel`](struct.PrivateEncryptedChannel.html) |
//! | `testing` | | [`testing::Server`](testing/struct.Server.html), an in-process server for tests and development |
//! | `publisher` | | [`Publisher`](publisher/struct.Publisher.html), which publishes and queries by the HTTP API, and [`Webhook`](publisher/struct.Webhook.html) |
//! | `cli` | | the program `pusher-channels`: `listen`, `trigger`, `publish`, `serve`, `doctor`; a library does not need it |
//!
//! Without a TLS feature, a `wss://` or `https://` URL is an error of kind [`Config`](ErrorKind::Config).
//!
//! # Logging
//!
//! The client logs through [`log`](https://docs.rs/log). Lines about connections, channels and users have the target
//! `pusher_channels::protocol`; they name host and port, never the path, which contains the app key. Lines about full
//! queues have the target `pusher_channels::driver`, those about dangerous settings `pusher_channels::tls`:
//!
//! | level | lines |
//! |---|---|
//! | `error` | the client gave up, with the cause and a hint |
//! | `warn` | the first failed dial of an outage with its causes and the next attempt, then at most one line a minute until it is over; connections that do not last, one line a minute; failed subscriptions, sign-ins and other requests, 8 at once and then one a minute; client events that the outbox drops; code of yours that delays the next dial |
//! | `info` | connected, lost, subscribed, signed in, gave up: one line each |
//! | `debug` | every attempt, every change of the state, and the lines that the limits above suppress |
//!
//! Frames are logged at `trace` only, under `pusher_channels::frames`, with authorizations, signatures and user data
//! redacted. The underlying libraries redact nothing: `tungstenite` and `ureq_proto` log everything that they send and
//! receive at `trace` (except the client's handshake), and `ureq` logs URLs at `debug`. Exclude these three targets
//! from logs that others read.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Examples and benchmarks of this package print; the library does not.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod auth;
mod binding;
mod client;
mod config;
mod driver;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(doc, doctest))]
pub mod guide;
mod model;
pub mod prelude;
mod protocol;
#[cfg(feature = "publisher")]
#[cfg_attr(docsrs, doc(cfg(feature = "publisher")))]
pub mod publisher;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod util;
mod wire;

pub use crossbeam_channel;

pub use auth::{Auth, AuthRequest, Authorizer, ClientSettings, HttpAuthorizer, SecretAuthorizer};
pub use auth::{HttpUserAuthenticator, UserAuth, UserAuthRequest, UserAuthenticator};
pub use binding::{Binding, Queue};
#[cfg(feature = "encrypted")]
pub use client::PrivateEncryptedChannel;
pub use client::{AnyChannel, Channel, PresenceChannel, PrivateChannel, PublicChannel};
pub use client::{Client, ClientBuilder, User};
pub use config::{Attempt, Metadata, Options, Outbox, Proxy, Reconnect, Tls, TlsVersion};
pub use error::{Error, ErrorKind, Timeout};
pub use model::{ChannelStatus, Event, Gap, Member, Members, State, StateChange};
pub use model::{Stats, UserData, WatchlistEvent};
#[cfg(feature = "publisher")]
pub use publisher::{Publisher, Webhook};
pub use transport::{Connection, Connector, Interrupt, Message};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
