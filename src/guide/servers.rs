//! Pusher and compatible servers: settings, measured peculiarities, and what to check when it does not work.
//!
//! | server | measured | settings |
//! |---|---|---|
//! | [Pusher](#pusher) | no: by its documentation and the source of its libraries | [`Options::cluster`](crate::Options::cluster) |
//! | [soketi](#soketi) | 1.6.1, in every run of CI | [`Options::host`](crate::Options::host), port 6001 |
//! | [Laravel Reverb](#laravel-reverb) | the version of June 2026, frame by frame | [`Options::host`](crate::Options::host), port 8080 |
//! | [sockudo](#sockudo) | 5.2.0, frame by frame | [`Options::host`](crate::Options::host), port 6001 |
//!
//! What was measured is built into the client: nothing on this page needs a setting unless it says so.
//! [`testing::Settings`](../../testing/struct.Settings.html) reproduces most of it in your tests.
//!
//! # Pusher
//!
//! ```
//! use pusher_channels::Options;
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let options = Options::cluster("eu", "app-key");
//! assert!(options.to_url()?.starts_with("wss://ws-eu.pusher.com:443/app/app-key?"));
//! # Ok(())
//! # }
//! ```
//!
//! Key and cluster are in the dashboard under "App Keys". Under "App Settings" enable what you need: client events,
//! subscription counting. If "authorized connections" is enabled, Pusher closes connections with 4009 that neither sign
//! in nor join a private or presence channel in time; the client then ends in [`State::Failed`](crate::State::Failed).
//!
//! # Laravel Reverb
//!
//! ```
//! use pusher_channels::{Client, HttpAuthorizer, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! // REVERB_HOST, REVERB_APP_KEY and REVERB_PORT of the app's `.env`; `.tls(false)` if REVERB_SCHEME is `http`.
//! let options = Options::host("127.0.0.1", "app-key").port(8080).tls(false);
//! let authorizer = HttpAuthorizer::new("https://app.example.org/broadcasting/auth")
//!     .headers_with(|| vec![("Authorization".to_owned(), format!("Bearer {}", token()))]);
//! let client = Client::builder(options).authorizer(authorizer).build()?;
//! let orders = client.private_channel("private-orders")?; // `new PrivateChannel('orders')` in Laravel
//! let shipped = orders.bind(r"App\Events\OrderShipped"); // what `broadcastAs()` returns, if the class has it
//! # fn token() -> String { String::new() }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Options::from_env`](crate::Options::from_env) reads `REVERB_APP_KEY`, `REVERB_HOST`, `REVERB_PORT` and
//!   `REVERB_SCHEME`, or `PUSHER_…`.
//! - `REVERB_HOST` in an app's `.env` is often `localhost`, which a device cannot use. Events that are `ShouldBroadcast`
//!   are published by the queue: `php artisan queue:work` must run.
//! - Laravel adds the prefixes `private-` and `presence-` to the names of channels; here they are a part of the name.
//! - The default middleware of `/broadcasting/auth` expects the session of a browser; a token alone gets 403. For
//!   devices with Sanctum tokens, see "Authorizing Private Broadcast Channels" in [Laravel's
//!   documentation](https://laravel.com/docs/sanctum#authorizing-private-broadcast-channels); with a prefix such as
//!   `api` the path is `/api/broadcasting/auth`.
//! - If `allowed_origins` in `config/reverb.php` is not `*`, set [`.header("Origin",
//!   "https://app.example.org")`](crate::ClientBuilder::header).
//!
//! | seen | what the client does |
//! |---|---|
//! | No sign-in: `pusher:signin` gets error 4200 | the sign-in fails at once |
//! | A refused subscription is an error 4009 that names no channel | it fails the channel that it can mean; if there are several, it is the source of their time-out |
//! | A quota of connections is error 4004, and the connection stays open | the client does not wait for more: it ends in [`State::Failed`](crate::State::Failed) |
//! | A wrong key is error 4001, then the TCP connection is dropped | ends in [`State::Failed`](crate::State::Failed), not in a retry |
//! | Client events of more than 10,000 bytes close the connection with 1009 | [`trigger`](crate::PrivateChannel::trigger) refuses more than 10 KiB of data; keep below 9 KB, since the limit is that of the whole frame |
//! | Client events are decoded and encoded again: `{}` arrives as `[]`; a string, a number or a boolean is refused with 4200, which [`bind_errors`](crate::Client::bind_errors) reports | send objects with fields, or lists |
//! | No `private-encrypted-cache-…`, no subscription counts, no watchlist, no events to users, no webhooks | nothing arrives |
//! | Only connections with a channel are pinged by the server | the client pings by itself |
//!
//! # soketi
//!
//! ```
//! use pusher_channels::Options;
//!
//! // SOKETI_DEFAULT_APP_KEY; without a certificate, soketi speaks plain `ws`.
//! let options = Options::host("127.0.0.1", "app-key").port(6001).tls(false);
//! ```
//!
//! | seen | what the client does |
//! |---|---|
//! | It closes a connection with 4201, 120 s after the last frame that *it* sent | the client pings, after the 30 s that soketi announces |
//! | A refused subscription is `pusher:subscription_error` with status 401 | fails the channel, [`http_status()`](crate::Error::http_status) is 401 |
//! | Sign-in must be enabled for the app (`enableUserAuthentication`); otherwise there is no response | fails after [`signin_timeout`](crate::ClientBuilder::signin_timeout), 30 s. A refused sign-in closes with 4009: [`State::Failed`](crate::State::Failed) |
//! | With sign-in enabled, connections that do not sign in within 30 s are closed with 4009 | ends in [`State::Failed`](crate::State::Failed); call [`signin`](crate::Client::signin) before `connect` |
//! | A full app closes with 4100 | retried with back-off, at least 1 s |
//! | An event whose data is `""` is not sent | nothing arrives |
//! | No subscription counts, no watchlist | nothing arrives |
//! | The HTTP API reports errors with status 200 and `{"error":…,"code":…}` | look at the body when you publish |
//!
//! # sockudo
//!
//! ```
//! use pusher_channels::{Client, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let options = Options::host("127.0.0.1", "app-key").port(6001).tls(false);
//! // Only if the app's configuration lists allowed origins.
//! let client = Client::builder(options).header("Origin", "https://app.example.org").build()?;
//! # Ok(())
//! # }
//! ```
//!
//! | seen | what the client does |
//! |---|---|
//! | A wrong key, a disabled app or a full app: the handshake succeeds, then TCP is dropped without a frame | retried with back-off, since it looks like a failure of the network; the error says to check the app key |
//! | Watchlist events have a format of their own | delivered by [`User::bind_watchlist`](crate::User::bind_watchlist) like Pusher's |
//! | A refused subscription is an error 4009 that names no channel | as on Reverb |
//! | `presence-cache-…` is always refused; client events on `private-cache-…` are refused with 4301 | [`bind_errors`](crate::Client::bind_errors) receives it |
//! | A second subscription to a presence channel gets no response | the client sends one only |
//! | Client events on presence channels have no user id | [`Event::user_id`](crate::Event::user_id) is `None` |
//! | It pings after 120 s, and closes with 4201 after 30 s more | the client responds |
//!
//! # Other servers
//!
//! soketi-rs 1.3.1 and pusher-fake 6.1.0 were measured too. Both repeat `member_added` for each connection of a member,
//! which is reported once here. For a server with other limits on names see
//! [`check_channel_names`](crate::ClientBuilder::check_channel_names); for one behind a path, as nginx does it,
//! [`Options::path_prefix`](crate::Options::path_prefix); for a Unix socket or a serial line, a
//! [`Connector`](crate::Connector).
//!
//! # When it does not work
//!
//! First read the error. It names the step, the host and what to do. `{error:#}` shows all causes:
//!
//! ```no_run
//! use pusher_channels::{Client, Options};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let client = Client::new(Options::host("push.example.org", "app-key"))?;
//! client.connect();
//! if let Err(error) = client.wait_connected(Duration::from_secs(20)) {
//!     eprintln!("{error:#}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Then, in this order (`pusher-channels doctor`, feature `cli`, checks 2 to 6 by itself):
//!
//! 1. **The log.** With a logger (`env_logger`, `RUST_LOG=pusher_channels=debug`) every attempt is a line. At
//!    `pusher_channels::frames=trace` every frame is.
//! 2. **The URL**: print [`Options::to_url`](crate::Options::to_url). A cluster and a host are different things, and so
//!    are the ports of a server's HTTP API, of its WebSocket and of its metrics. `ws` on a port that speaks TLS, or the
//!    reverse, is named by the error.
//! 3. **The key.** [`close_code()`](crate::Error::close_code) 4001 is an unknown key. On sockudo the connection is
//!    dropped instead.
//! 4. **The origin.** Status 403 of the handshake, or error 4009 before the connection is established: set `Origin`
//!    with [`header`](crate::ClientBuilder::header).
//! 5. **TLS.** The error says what is wrong with the certificate. For an authority of your own see
//!    [`Tls::root_certificate_pem`](crate::Tls::root_certificate_pem). "Not yet valid" often means that the clock of
//!    the machine is wrong.
//! 6. **The channel.** [`wait_subscribed`](crate::PublicChannel::wait_subscribed) returns why it is not subscribed:
//!
//!    | error | check |
//!    |---|---|
//!    | [`Auth`](crate::ErrorKind::Auth) with [`http_status()`](crate::Error::http_status) 401, 403, 419 | the token, the middleware and CSRF protection of your endpoint |
//!    | [`Auth`](crate::ErrorKind::Auth) with 302, or HTML instead of JSON | the endpoint redirects to a login page: send `Accept: application/json` (the default) and a token |
//!    | invalid signature | key or secret of the endpoint are those of another app |
//!    | [`Timeout`](crate::ErrorKind::Timeout) with [`timeout()`](crate::Error::timeout) `Subscribe` | the server did not respond: is this kind of channel supported? |
//!
//! 7. **The event.** [`bind_all`](crate::Client::bind_all) shows what arrives on all channels, under which name. An
//!    event that your backend publishes with the `socket_id` of this client is not sent to it.
//! 8. **Whether it was there at all.** Publish by hand, with the debug console of Pusher's dashboard or the server's
//!    HTTP API ([`Publisher`](../../publisher/struct.Publisher.html), or `pusher-channels publish`).
//!    [`Stats::frames_in`](crate::Stats::frames_in) counts frames even if no binding wants them.
