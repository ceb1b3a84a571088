//! A synchronous, thread-based client for the [Pusher Channels protocol](https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/),
//! version 7.
//!
//! Events arrive through [`crossbeam_channel`] receivers, one per binding, so a program can block on
//! `recv()`, poll `try_recv()` once a frame, or `select!` over many. There is no async runtime
//! anywhere. It speaks to Pusher's own service and to servers that are compatible with it.
//!
//! ```no_run
//! use std::time::Duration;
//! use pusher_channels::{Client, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let client = Client::new(Options::cluster("eu", "app-key"))?; // nothing runs yet
//! let chat = client.public_channel("chat")?;                     // a handle; no I/O
//! let messages = chat.bind("message");                           // a receiver of its own
//! chat.subscribe();                                              // wanted from now on
//! client.connect();                                              // returns at once
//! chat.wait_subscribed(Duration::from_secs(20))?;                // a wrong key ends here
//! for event in &messages {
//!     println!("{}", event.data());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! When the client gives up ([`State::Failed`], for example on a wrong key), receivers are not
//! disconnected: they stay silent until [`Client::connect`] or [`Client::close`] is called. So wait with a
//! limit, as above, or watch [`Client::bind_states`].
//!
//! # What waits and what does not
//!
//! Every method returns at once, whatever the network does, but for those that say **Blocking** in
//! their documentation: [`Client::wait_connected`], [`Client::wait_signed_in`], [`Client::ping`],
//! [`Client::close`] and [`PublicChannel::wait_subscribed`]. Each takes the longest time that it may wait. All handles may
//! be used from all threads at once.
//!
//! # Channels
//!
//! | prefix | type | |
//! |---|---|---|
//! | none | [`PublicChannel`] | anybody may listen |
//! | `private-` | [`PrivateChannel`] | needs an [`Authorizer`]; takes client events |
//! | `presence-` | [`PresenceChannel`] | the same, and tells who is there |
//! | `private-encrypted-` | `PrivateEncryptedChannel` | needs an [`Authorizer`]; the server cannot read it |
//!
//! Each has a variant with `cache-` behind the prefix, which repeats the last event to new subscribers.
//!
//! An [`Authorizer`] is [an HTTP endpoint](HttpAuthorizer) of yours, a closure, or
//! [the app's secret itself](SecretAuthorizer). It is asked on a thread of its own, again after every
//! lost connection; a failure that may pass is tried again with back-off, and one that will not pass
//! waits for `subscribe()`.
//!
//! # Signed-in users
//!
//! A client can sign in as a user of your app ([`Client::signin`]), whom a [`UserAuthenticator`]
//! vouches for. [`Client::user`] then gives what the server sends to this user alone, and who of the
//! user's watchlist is online.
//!
//! # Lost connections
//!
//! `connect()`, `subscribe()` and `signin()` say what is wanted. The client sees to it again after every lost
//! connection, as its [`Reconnect`] policy says: by default for ever, also when the first dial fails.
//! Bindings stay. The protocol repeats no event, so [`PublicChannel::bind_resumed`] tells when and
//! for how long a channel was away.
//!
//! A connection that is silent is checked with a ping, and counts as lost if the ping is not answered.
//! [`Client::network_changed`] checks it at once.
//!
//! # Proxies
//!
//! A client connects directly unless [`ClientBuilder::proxy`] gets a [`Proxy`]: an HTTP proxy, a SOCKS5
//! proxy, or [what the environment says](Proxy::from_env).
//!
//! # Slow consumers
//!
//! The client never waits for a consumer. Each binding has a [`Queue`], by default of the newest 4,096
//! values and at most 64 MiB; [`Binding::dropped`] counts what did not fit.
//!
//! # Bounds
//!
//! Whatever a server, an endpoint or a consumer does, nothing takes more than this:
//!
//! | what | default | setter | beyond it |
//! |---|---|---|---|
//! | queue of a binding | 4,096 values and 64 MiB | [`ClientBuilder::queue`], `bind_with`, [`Queue::max_bytes`] | the oldest is dropped (or the newest, see [`Queue`]), counted by [`Binding::dropped`] |
//! | message of the server | 1 MiB | [`ClientBuilder::max_message_size`] | the connection is lost, with [`ErrorKind::TooLarge`] |
//! | members of a presence channel | 16 MiB | [`ClientBuilder::max_members_bytes`] | infos are left out first, then members; one [`ErrorKind::TooLarge`] |
//! | events of an encrypted channel that wait for its key | as the client's queue | [`ClientBuilder::queue`] | the oldest fails, with [`ErrorKind::Decryption`] |
//! | frames that wait to be sent | 4 MiB, and 256 KiB of answers to WebSocket pings | | the connection is lost: the peer does not read |
//! | memory that a kept event keeps beside its own frame | 16 KiB of text and 128 frames that came with it | | see [`Event`] |
//! | subscribe frames without an answer | 512 KiB | | further channels stay pending; [`ClientBuilder::subscribe_timeout`] counts from sending |
//! | a subscribe or sign-in frame | 1 MiB | | that channel or sign-in fails, with [`ErrorKind::TooLarge`] |
//! | client events | 10 KiB of data, 200 characters of name, 10 a second | [`ClientBuilder::client_event_limit`] for the rate | an error of `trigger` |
//! | a channel's name | 164 characters | [`ClientBuilder::check_channel_names`] | [`ErrorKind::InvalidName`] |
//! | response of an endpoint | 256 KiB | [`HttpAuthorizer::max_body`] | [`ErrorKind::TooLarge`] |
//! | head of a handshake's response | 16 KiB, 128 fields | | the dial fails, with [`ErrorKind::Handshake`] |
//! | authorizations at once | 4, of which an endpoint that is new, slow or not the only one uses half | [`ClientBuilder::max_authorizations`] | the rest waits |
//! | authorizers given up that still block | 16 | | the next one is waited for |
//! | dials, and calls of [`Reconnect::with`], at once | 1 each | | the newest waits |
//! | lookups of names at once | 4 for the client, 4 for each endpoint | | a dial fails, with [`ErrorKind::Dns`]; a request waits |
//! | wait that a server or an endpoint asks for | 1 hour | | it counts as 1 hour |
//! | nesting of JSON | any: it is not followed | | |
//! | stack of each thread | 2 MiB, at least 256 KiB | [`ClientBuilder::stack_size`] | [`ErrorKind::Config`] |
//!
//! The bounds of queues and members are for each binding and each channel: multiply them, and set them on small devices.
//! [`Queue::unbounded`] has none.
//!
//! What waits has a deadline: see the timeouts of [`ClientBuilder`] and [`HttpAuthorizer::timeout`].
//!
//! # Threads
//!
//! | thread | lives | does |
//! |---|---|---|
//! | `pusher-reader` | for one dial and the connection that it becomes | dials, reads, and hands events to the bindings |
//! | `pusher-timer` | from the first `connect()` to the end of the client | keeps the deadlines |
//! | `pusher-actions` | for a moment, with a [`Connection`] of your own | sends and closes what is due by the clock, so that your code holds up no deadline |
//! | `pusher-dns` | for one lookup of a name: the server's, a proxy's or an endpoint's | asks the system, which cannot be interrupted |
//! | `pusher-policy` | for one call of [`Reconnect::with`]'s function | runs your function |
//! | `pusher-auth` | while there are authorizations to request; at most [`max_authorizations`](ClientBuilder::max_authorizations), by default 4 | runs your [`Authorizer`] and [`UserAuthenticator`] |
//!
//! An idle client wakes up for its heartbeat only. A send is written by the thread that calls, if the
//! socket is free; else by the reader, which is woken for it.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `native-tls` | yes | TLS by the platform: OpenSSL, Secure Transport, SChannel |
//! | `native-tls-vendored` | | the same with OpenSSL compiled in, for systems without it; heavy |
//! | `rustls` | | TLS by rustls, with the platform's trusted roots; used if `native-tls` is off |
//! | `encrypted` | yes | `PrivateEncryptedChannel` |
//! | `testing` | | `testing::Server`, an in-process server for tests |
//!
//! Without any TLS, `wss://` is an error that says so.
//!
//! # Logging
//!
//! Through [`log`]; the targets are module paths. What happens to a client has the target
//! `pusher_channels::protocol`, and names host and port, never the path, which has the app key. Full queues are reported
//! by `pusher_channels::driver`, and settings that are dangerous by `pusher_channels::tls`:
//!
//! | level | lines |
//! |---|---|
//! | `error` | the client gave up, with the cause and what to do |
//! | `warn` | the first failed dial of an outage with its causes and the next attempt, then at most one line a minute until it is over; connections that do not last, one line a minute; failed subscriptions, sign-ins and other requests, 8 at once and then one a minute; code of yours that holds up the next dial |
//! | `info` | connected, lost, subscribed, signed in, gave up: one line each |
//! | `debug` | every attempt, every change of the state, and what the levels above held back |
//!
//! Whole frames are logged at `trace` only, under `pusher_channels::frames`, with authorizations, signatures and
//! user data redacted. The libraries behind it are less discreet: `tungstenite` and `ureq_proto` log all that they
//! send and receive at `trace` (but for the client's handshake), and `ureq` the URLs at `debug`. Keep these three
//! targets out of a log that others read.
#![forbid(unsafe_code)]
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
mod model;
pub mod prelude;
mod protocol;
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
pub use client::{Channel, PresenceChannel, PrivateChannel, PublicChannel};
pub use client::{Client, ClientBuilder, User};
pub use config::{Attempt, Metadata, Options, Proxy, Reconnect, Tls, TlsVersion};
pub use error::{Error, ErrorKind, Timeout};
pub use model::{ChannelStatus, Event, Gap, Member, Members, State, StateChange};
pub use model::{Stats, UserData, WatchlistEvent};
pub use transport::{Connection, Connector, Interrupt, Message};
