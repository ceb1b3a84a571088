//! Coming from another client: you write this there, and that here.
//!
//! - [dart_pusher_channels](#dart_pusher_channels) 1.2.3
//! - [pusher-js](#pusher-js) 8.6 and [Laravel Echo](#laravel-echo) 2
//! - [pusher-websocket-java](#pusher-websocket-java) 2.4.4
//!
//! The largest difference is the same for all of them: nothing calls you back. `bind` returns a
//! [`Binding`](crate::Binding), a receiver with a queue of its own, and your code takes events out of it when and on
//! which thread it likes: `for event in &binding`, `try_recv()`, or `select!` over several. To have callbacks, run one
//! thread (the example `callbacks` has `on(channel, event, closure)` and `off`):
//!
//! ```
//! use pusher_channels::{Client, testing::Server};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = Server::start()?;
//! # let client = Client::new(server.options())?;
//! let messages = client.public_channel("chat")?.bind("message");
//! let thread = std::thread::spawn(move || {
//!     for event in &messages {
//!         println!("{}", event.data()); // your callback
//!     }
//! });
//! client.close(Duration::from_secs(1))?; // disconnects the binding, so the thread ends
//! thread.join().map_err(|_| "the callback panicked")?;
//! # Ok(())
//! # }
//! ```
//!
//! Names of other clients also find their counterpart in the search of this documentation: `bind_global`, `whisper`,
//! `dispose` and others.
//!
//! # dart_pusher_channels
//!
//! What differs beyond names: channels are resubscribed without your help; close codes decide whether and when to
//! reconnect; the first dial is retried too; `disconnect()` also cancels a wait; the state can be read; an error frame
//! does not count as a lost connection; `trigger` on a channel that is not subscribed is an error.
//!
//! ```
//! use pusher_channels::{Client, HttpAuthorizer, Options, Reconnect};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! // PusherChannelsClient.websocket(options: PusherChannelsOptions.fromCluster(scheme: 'wss', cluster: 'eu', key: 'key'),
//! //   connectionErrorHandler: (e, trace, refresh) => refresh(), minimumReconnectDelayDuration: Duration(seconds: 1))
//! let client = Client::builder(Options::cluster("eu", "key"))
//!     .reconnect(Reconnect::default().min(Duration::from_secs(1)))
//!     .build()?;
//! // client.privateChannel('private-chat', authorizationDelegate: …forPrivateChannel(authorizationEndpoint: …))
//! let authorizer = HttpAuthorizer::new("https://example.org/pusher/auth").header("Authorization", "Bearer t");
//! let chat = client.private_channel_with("private-chat", authorizer)?;
//! let messages = chat.bind("message"); // chat.bind('message').listen(…)
//! chat.subscribe(); // once: no onConnectionEstablished.listen((_) => chat.subscribeIfNotUnsubscribed())
//! # Ok(())
//! # }
//! ```
//!
//! Options and client:
//!
//! | Dart | here |
//! |---|---|
//! | `PusherChannelsOptions.fromCluster(scheme:, cluster:, key:, host:, port:)` | [`Options::cluster`](crate::Options::cluster); [`tls(false)`](crate::Options::tls) for `ws`, [`domain`](crate::Options::domain) for `host:`, [`port`](crate::Options::port) |
//! | `PusherChannelsOptions.fromHost(scheme:, host:, key:, port:)` | [`Options::host`](crate::Options::host) |
//! | `PusherChannelsOptions.custom(uriResolver:)` | [`Options::custom`](crate::Options::custom), or [`Options::url`](crate::Options::url) for a fixed URL |
//! | `shouldSupplyMetadataQueries: false` | [`Options::without_metadata`](crate::Options::without_metadata) |
//! | `metadata: PusherChannelsOptionsMetadata(client:, version:, protocol:)` | [`Options::metadata`](crate::Options::metadata) with [`Metadata`](crate::Metadata) |
//! | `options.uri` | [`Options::to_url`](crate::Options::to_url) |
//! | `PusherChannelsClient.websocket(…)` | [`Client::new`](crate::Client::new) or [`Client::builder`](crate::Client::builder) |
//! | `PusherChannelsClient.custom(connectionDelegate:)`, `PusherChannelsConnection` | [`ClientBuilder::connector`](crate::ClientBuilder::connector) with a [`Connector`](crate::Connector); `sendEvent`, `connect(on…Callback)`, `close` are `send`, `recv`, `close` of [`Connection`](crate::Connection) |
//! | `PusherChannelsConnection.ping()` | not here, because the client itself sends `pusher:ping`, and responds to WebSocket pings of the server |
//! | `connectionErrorHandler: (exception, trace, refresh)` | nothing: the client reconnects by itself; [`Reconnect::with`](crate::Reconnect::with) to decide, [`bind_states`](crate::Client::bind_states) to be notified, with [`cause`](crate::StateChange::cause) |
//! | `minimumReconnectDelayDuration` | [`Reconnect::min`](crate::Reconnect::min) |
//! | `defaultActivityDuration` | [`activity_timeout`](crate::ClientBuilder::activity_timeout) |
//! | `activityDurationOverride` | [`override_activity_timeout`](crate::ClientBuilder::override_activity_timeout) |
//! | `waitForPongDuration` | [`pong_timeout`](crate::ClientBuilder::pong_timeout) |
//! | `await client.connect()` | [`connect()`](crate::Client::connect), then [`wait_connected(timeout)`](crate::Client::wait_connected), which returns the failure |
//! | `client.disconnect()`, `reconnect()` | the same; both return immediately |
//! | `client.dispose()`, `isDisposed` | [`close(timeout)`](crate::Client::close), or drop it; [`ErrorKind::Closed`](crate::ErrorKind::Closed) |
//! | `client.socketId` | [`socket_id()`](crate::Client::socket_id), `None` unless connected |
//! | `client.eventStream` | [`client.bind_all()`](crate::Client::bind_all) |
//! | `client.pusherErrorEventStream` | [`bind_errors()`](crate::Client::bind_errors) |
//! | `client.lifecycleStream` | [`bind_states()`](crate::Client::bind_states), and [`state()`](crate::Client::state) at any time |
//! | `client.onConnectionEstablished` | [`bind_connected()`](crate::Client::bind_connected). To subscribe there is not necessary |
//! | `client.sendEvent`, `client.trigger` (internal) | not here, because frames of the protocol are the client's own; events are sent by `trigger` of a channel |
//! | constants `k…` | not here, because each setter's documentation states its default |
//! | `PusherChannelsPackageLogger.enableLogs(handler:)`, `disableLogs` | any logger of the crate `log`; frames are logged at `trace`, without secrets |
//!
//! States: `inactive` is [`State::Initialized`](crate::State::Initialized), `pendingConnection` is `Connecting`,
//! `establishedConnection` is `Connected`, `reconnecting` and `connectionError` are `Reconnecting`, `disconnected` is
//! `Disconnected`, `disposed` is a closed client. `gotPusherError` is not here, because an error frame does not end the
//! connection. `Failed` is new: the server has refused the client permanently.
//!
//! Channels:
//!
//! | Dart | here |
//! |---|---|
//! | `client.publicChannel(name)` | [`public_channel(name)?`](crate::Client::public_channel) |
//! | `client.privateChannel(name, authorizationDelegate:)` | [`private_channel_with`](crate::Client::private_channel_with), or [`private_channel`](crate::Client::private_channel) with the client's [`authorizer`](crate::ClientBuilder::authorizer) |
//! | `client.presenceChannel(name, authorizationDelegate:)` | [`presence_channel_with`](crate::Client::presence_channel_with), [`presence_channel`](crate::Client::presence_channel) |
//! | `client.privateEncryptedChannel(name, authorizationDelegate:)` | `private_encrypted_channel_with`, `private_encrypted_channel` (feature `encrypted`) |
//! | `eventDataEncodeDelegate:` | [`Event::bytes`](crate::Event::bytes): the plaintext as it is |
//! | `forceCreateNewInstance: true` | not here, because two channels of one name would share one subscription; a second call returns the same channel, and another authorizer replaces the old one |
//! | `channel.name`, `channel.state?.status` | [`name()`](crate::PublicChannel::name), [`status()`](crate::PublicChannel::status) |
//! | `ChannelStatus.idle`, `pendingSubscription`, `subscribed`, `unsubscribed` | [`ChannelStatus`](crate::ChannelStatus) `Idle`, `Pending`, `Subscribed`, `Unsubscribed`; `Failed` is new |
//! | `channel.state?.subscriptionCount`, `whenSubscriptionCount()` | [`subscription_count()`](crate::PublicChannel::subscription_count), [`bind_subscription_count()`](crate::PublicChannel::bind_subscription_count), on every type of channel |
//! | `subscribe()`, `subscribeIfNotUnsubscribed()` | [`subscribe()`](crate::PublicChannel::subscribe), once; it survives reconnects |
//! | `unsubscribe()` | [`unsubscribe()`](crate::PublicChannel::unsubscribe) |
//! | `bind(name).listen(…)`, `bindToAll()` | [`bind`](crate::PublicChannel::bind), [`bind_all`](crate::PublicChannel::bind_all) |
//! | `subscription.cancel()` | drop the binding |
//! | `whenSubscriptionSucceeded()` | [`bind_subscription_succeeded()`](crate::PublicChannel::bind_subscription_succeeded), or [`wait_subscribed`](crate::PublicChannel::wait_subscribed) |
//! | `onSubscriptionError(errorType:)`, `onAuthenticationSubscriptionFailed()` | [`bind_subscription_error()`](crate::PublicChannel::bind_subscription_error); `AuthError` is [`ErrorKind::Auth`](crate::ErrorKind::Auth) |
//! | `channel.trigger(eventName:, data:)` | [`trigger(event, &data)?`](crate::PrivateChannel::trigger), which says if it was not sent |
//! | `whenMemberAdded()`, `whenMemberRemoved()` | [`bind_member_added()`](crate::PresenceChannel::bind_member_added), [`bind_member_removed()`](crate::PresenceChannel::bind_member_removed) |
//! | `state.members`: `membersCount`, `getAsMap()`, `getMemberInfo(id)` | [`members()`](crate::PresenceChannel::members): [`len()`](crate::Members::len), [`iter()`](crate::Members::iter), [`get(id)`](crate::Members::get) |
//! | `getMyId()`, `getMyMemberInfo()` | [`members().me()`](crate::Members::me) |
//! | `members.updateMember`, `removeMember`, `updateMe`, `merge` | not here, because a snapshot does not change |
//! | `MemberInfo.id`, `info` | [`Member::id`](crate::Member::id), [`info`](crate::Member::info) (JSON text), [`json`](crate::Member::json) |
//! | `event.name`, `channelName`, `userId` | [`name()`](crate::Event::name), [`channel()`](crate::Event::channel), [`user_id()`](crate::Event::user_id) |
//! | `event.data`, `tryGetDataAsMap()` | [`data()`](crate::Event::data), [`json::<T>()`](crate::Event::json) |
//! | `event.rootObject` | [`raw()`](crate::Event::raw) |
//! | `Channel.memberAddedEventName` and other names of events | the strings, such as `"pusher:member_added"`, in [`bind_all`](crate::PublicChannel::bind_all); each also has a `bind_…` of its own |
//! | `PusherChannelsTriggerEvent`, `ChannelTriggerEvent`, `PusherChannelsReadEvent(rootObject:)`, `tryParseFromDynamic` | not here, because `trigger` takes name and data, and events come from the server |
//! | `event.channel` (the object) | not here, because events do not keep channels alive; `channel()` is its name |
//!
//! Authorization:
//!
//! | Dart | here |
//! |---|---|
//! | `EndpointAuthorizableChannelTokenAuthorizationDelegate.forPrivateChannel`, `forPresenceChannel`, `forPrivateEncryptedChannel` | [`HttpAuthorizer::new`](crate::HttpAuthorizer::new), for all kinds |
//! | `headers:` | [`header`](crate::HttpAuthorizer::header), or [`headers_with`](crate::HttpAuthorizer::headers_with) for tokens that change |
//! | `overrideContentTypeHeader: false` | [`header("Content-Type", …)`](crate::HttpAuthorizer::header), or [`json()`](crate::HttpAuthorizer::json) |
//! | `parser:` | [`parser`](crate::HttpAuthorizer::parser) |
//! | `onAuthFailed:` | [`bind_subscription_error`](crate::PrivateChannel::bind_subscription_error) |
//! | `EndpointAuthorizableChannelAuthorizationDelegate.authorizationData(socketId, channelName)` | [`Authorizer::authorize`](crate::Authorizer::authorize), or a closure; it may block |
//! | `PrivateChannelAuthorizationData(authKey:)`, `Presence…(channelDataEncoded:)`, `PrivateEncrypted…(key:)` | [`Auth::new`](crate::Auth::new), [`channel_data`](crate::Auth::channel_data), [`shared_secret`](crate::Auth::shared_secret) |
//! | `PusherChannelsException`, its `message` | [`Error`](crate::Error): [`kind()`](crate::Error::kind), the text, [`source()`](std::error::Error::source) |
//!
//! # pusher-js
//!
//! What differs beyond names: the waits between attempts grow, with jitter, and a server that keeps closing with 4200
//! meets no storm of attempts; the client leaves `Connected` the moment the connection is lost; a subscription that is
//! refused or gets no response ends in an error and can be retried; an unsubscribed channel never comes back; a refused
//! sign-in can be retried on the same connection, also as another user.
//!
//! ```
//! use pusher_channels::{Client, HttpAuthorizer, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! // const pusher = new Pusher('key', { cluster: 'eu', channelAuthorization: { endpoint: '/pusher/auth' } })
//! let client = Client::builder(Options::cluster("eu", "key"))
//!     .authorizer(HttpAuthorizer::new("https://example.org/pusher/auth"))
//!     .build()?;
//! // const channel = pusher.subscribe('private-chat')
//! let channel = client.private_channel("private-chat")?;
//! channel.subscribe();
//! // channel.bind('message', (data) => console.log(data.text))
//! let messages = channel.bind("message");
//! // pusher.connection.bind('state_change', ({ previous, current }) => …)
//! let states = client.bind_states();
//! client.connect(); // the constructor of pusher-js does this
//! # Ok(())
//! # }
//! ```
//!
//! Options:
//!
//! | pusher-js | here |
//! |---|---|
//! | `cluster` | [`Options::cluster`](crate::Options::cluster) |
//! | `wsHost`, `wsPort`, `wssPort`, `wsPath`, `forceTLS` | [`Options::host`](crate::Options::host), [`port`](crate::Options::port), [`path_prefix`](crate::Options::path_prefix), [`tls`](crate::Options::tls) |
//! | `channelAuthorization`: `endpoint`, `params`, `headers` | [`ClientBuilder::authorizer`](crate::ClientBuilder::authorizer) with [`HttpAuthorizer`](crate::HttpAuthorizer): a whole URL, [`param`](crate::HttpAuthorizer::param), [`header`](crate::HttpAuthorizer::header) |
//! | `paramsProvider`, `headersProvider` | [`params_with`](crate::HttpAuthorizer::params_with), [`headers_with`](crate::HttpAuthorizer::headers_with) |
//! | `customHandler` | a closure, or an [`Authorizer`](crate::Authorizer) of your own |
//! | `transport: 'ajax'`, `'jsonp'` | a POST, or [`get()`](crate::HttpAuthorizer::get); JSONP is not here, because there is no browser |
//! | `userAuthentication` (the same keys) | [`ClientBuilder::user_authenticator`](crate::ClientBuilder::user_authenticator) with [`HttpUserAuthenticator`](crate::HttpUserAuthenticator) |
//! | `authEndpoint`, `auth`, `authTransport`, `authorizer` (deprecated) | as `channelAuthorization` |
//! | `activityTimeout`, `pongTimeout` | [`activity_timeout`](crate::ClientBuilder::activity_timeout), [`pong_timeout`](crate::ClientBuilder::pong_timeout) |
//! | `unavailableTimeout` | not here, because [`State::Reconnecting`](crate::State::Reconnecting) begins at once; the time since then is [`stats().state_for`](crate::Stats::state_for) |
//! | `enabledTransports`, `disabledTransports`, `httpHost`, `httpPort`, `httpsPort`, `httpPath`, `ignoreNullOrigin` | not here, because there is one transport, WebSocket; a [`Connector`](crate::Connector) replaces it |
//! | `enableStats`, `disableStats`, `statsHost`, `timelineParams` | not here, because nothing is sent to Pusher but the protocol; [`stats()`](crate::Client::stats) counts for you |
//! | `nacl` | the feature `encrypted` |
//!
//! The client:
//!
//! | pusher-js | here |
//! |---|---|
//! | `new Pusher(key, options)` | [`Client::builder`](crate::Client::builder), then [`connect()`](crate::Client::connect) |
//! | `pusher.subscribe(name)` | the method of its type, such as [`private_channel(name)?`](crate::Client::private_channel), then [`subscribe()`](crate::PrivateChannel::subscribe); or [`channel(name)?`](crate::Client::channel) for any name |
//! | `pusher.unsubscribe(name)` | [`unsubscribe()`](crate::PublicChannel::unsubscribe) of the channel |
//! | `pusher.channel(name)`, `allChannels()`, `channels` | [`channel(name)?`](crate::Client::channel), [`channels()`](crate::Client::channels) |
//! | `pusher.subscribeAll()` | not here, because `connect()` subscribes to all wanted channels |
//! | `pusher.bind(event, fn)`, `bind_global(fn)` | [`client.bind(event)`](crate::Client::bind), [`bind_all()`](crate::Client::bind_all) |
//! | `unbind(event, fn)`, `unbind_global`, `unbind_all` | drop the binding |
//! | third argument `context` of `bind` | not here, because closures and threads have their own |
//! | `pusher.connect()`, `disconnect()` | [`connect()`](crate::Client::connect), [`disconnect()`](crate::Client::disconnect) |
//! | `pusher.switchCluster({ appKey, cluster })` | [`switch(Options::cluster(cluster, key))?`](crate::Client::switch) |
//! | `pusher.signin()` | [`signin()`](crate::Client::signin); [`signout()`](crate::Client::signout) too |
//! | `pusher.send_event(name, data, channel)` | [`trigger`](crate::PrivateChannel::trigger) of the channel; other frames are not here, because they are the protocol's |
//! | `pusher.shouldUseTLS()`, `connection.isUsingTLS()` | [`Options::to_url`](crate::Options::to_url) begins with `wss` |
//! | `pusher.key`, `options`, `config` | not here, because you have just passed them |
//! | `pusher.sessionID`, `timeline`, `timelineSender`, `global_emitter` | not here, because they are internal or for Pusher's statistics |
//! | `Pusher.log`, `Pusher.logToConsole` | any logger of the crate `log` |
//! | `Pusher.instances`, `isReady`, `ready`, `Runtime`, `ScriptReceivers`, `DependenciesReceivers`, `auth_callbacks` | not here, because they serve the loading of scripts in a browser |
//!
//! The connection:
//!
//! | pusher-js | here |
//! |---|---|
//! | `connection.state` | [`state()`](crate::Client::state) |
//! | `connection.socket_id` | [`socket_id()`](crate::Client::socket_id) |
//! | `connection.bind('state_change', fn)` | [`bind_states()`](crate::Client::bind_states) |
//! | `bind('connected', fn)` | [`bind_connected()`](crate::Client::bind_connected), or [`wait_connected`](crate::Client::wait_connected) |
//! | `bind('connecting' \| 'unavailable' \| 'failed' \| 'disconnected', fn)` | [`bind_states()`](crate::Client::bind_states), then compare [`current`](crate::StateChange::current) |
//! | `bind('connecting_in', fn)` | [`StateChange::retry_in`](crate::StateChange::retry_in) |
//! | `bind('error', fn)`, `err.data.code` | [`bind_errors()`](crate::Client::bind_errors) and [`StateChange::cause`](crate::StateChange::cause), [`close_code()`](crate::Error::close_code) |
//! | `bind('message', fn)` | [`bind_all()`](crate::Client::bind_all), and [`raw()`](crate::Event::raw) of its events; `pusher_internal:` frames only in the log |
//! | events `online`, `offline` of the browser | [`network_changed()`](crate::Client::network_changed) |
//!
//! States: `initialized`, `connecting`, `connected`, `disconnected` have the same names. `unavailable`, and
//! `connecting` after a loss, are `Reconnecting`. `failed` means there that the browser has no transport, here that the
//! client has given up; there, a client with a wrong key is `disconnected`.
//!
//! Channels and users:
//!
//! | pusher-js | here |
//! |---|---|
//! | `channel.name`, `subscribed` | [`name()`](crate::PublicChannel::name), [`is_subscribed()`](crate::PublicChannel::is_subscribed) |
//! | `subscriptionPending`, `subscriptionCancelled` | [`status()`](crate::PublicChannel::status): `Pending`, `Unsubscribed` |
//! | `cancelSubscription()`, `reinstateSubscription()` | [`unsubscribe()`](crate::PublicChannel::unsubscribe), [`subscribe()`](crate::PublicChannel::subscribe) |
//! | `channel.bind(event, fn)`, `bind_global(fn)` | [`bind(event)`](crate::PublicChannel::bind), [`bind_all()`](crate::PublicChannel::bind_all) |
//! | `fn(data, metadata)`, `metadata.user_id` | [`event.json::<T>()`](crate::Event::json), [`event.user_id()`](crate::Event::user_id) |
//! | `channel.emit(event, data)` | not here, because a binding receives from the server only; use a channel of crossbeam |
//! | `channel.trigger('client-x', data)` | [`trigger("client-x", &data)?`](crate::PrivateChannel::trigger) |
//! | `channel.authorize(socketId, callback)` | [`Authorizer::authorize`](crate::Authorizer::authorize) |
//! | `channel.disconnect()`, `handleEvent`, `handle…Event` | not here, because they are internal |
//! | `bind('pusher:subscription_succeeded')` | [`bind_subscription_succeeded()`](crate::PublicChannel::bind_subscription_succeeded), [`wait_subscribed`](crate::PublicChannel::wait_subscribed) |
//! | `bind('pusher:subscription_error')`, `status` | [`bind_subscription_error()`](crate::PublicChannel::bind_subscription_error), [`http_status()`](crate::Error::http_status) |
//! | `bind('pusher:subscription_count')`, `subscriptionCount` | [`bind_subscription_count()`](crate::PublicChannel::bind_subscription_count), [`subscription_count()`](crate::PublicChannel::subscription_count) |
//! | `bind('pusher:cache_miss')` | [`bind_cache_miss()`](crate::PublicChannel::bind_cache_miss) |
//! | `bind('pusher:member_added' \| 'pusher:member_removed')` | [`bind_member_added()`](crate::PresenceChannel::bind_member_added), [`bind_member_removed()`](crate::PresenceChannel::bind_member_removed) |
//! | `channel.members`: `count`, `get(id)`, `each(fn)`, `me`, `myID` | [`members()`](crate::PresenceChannel::members): [`len()`](crate::Members::len), [`get(id)`](crate::Members::get), [`iter()`](crate::Members::iter), [`me()`](crate::Members::me) and its [`id()`](crate::Member::id) |
//! | `members.addMember`, `removeMember`, `reset`, `setMyID`, `onSubscription` | not here, because a snapshot does not change |
//! | encrypted channels (`with-encryption` builds) | `private_encrypted_channel` (feature `encrypted`); `bind_decryption_error` reports what could not be decrypted |
//! | `pusher.user.bind(event, fn)`, `bind_global` | [`user().bind(event)`](crate::User::bind), [`bind_all()`](crate::User::bind_all) |
//! | `pusher.user.user_data`, `signin_requested` | [`user().current()`](crate::User::current) |
//! | `pusher.user.signinDonePromise` | [`wait_signed_in`](crate::Client::wait_signed_in), [`bind_signed_in`](crate::User::bind_signed_in); [`bind_signin_error`](crate::User::bind_signin_error) |
//! | `pusher.user.watchlist.bind('online' \| 'offline', fn)` | [`bind_watchlist()`](crate::User::bind_watchlist), then compare [`name()`](crate::WatchlistEvent::name) |
//! | `pusher.user.serverToUserChannel` | not here, because it is an implementation detail |
//! | plug-in `pusher-js-auth` | [`batched`](crate::HttpAuthorizer::batched) |
//!
//! # Laravel Echo
//!
//! ```
//! use pusher_channels::{Client, HttpAuthorizer, Options};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! // new Echo({ broadcaster: 'reverb', key: 'key', wsHost: 'push.example.org', wsPort: 8080, forceTLS: false,
//! //   authEndpoint: '/broadcasting/auth', bearerToken: 't' })
//! let client = Client::builder(Options::host("push.example.org", "key").port(8080).tls(false))
//!     .authorizer(
//!         HttpAuthorizer::new("https://example.org/broadcasting/auth").header("Authorization", "Bearer t"),
//!     )
//!     .build()?;
//! // Echo.private('orders').listen('OrderShipped', …)
//! let orders = client.private_channel("private-orders")?;
//! let shipped = orders.bind(r"App\Events\OrderShipped");
//! orders.subscribe();
//! client.connect();
//! # Ok(())
//! # }
//! ```
//!
//! | Echo | here |
//! |---|---|
//! | `broadcaster: 'pusher'`, `'reverb'` | [`Options::cluster`](crate::Options::cluster), [`Options::host`](crate::Options::host) |
//! | `broadcaster: 'socket.io'`, `'null'`, a class | not here, because socket.io is another protocol; [`testing::Server`](../../testing/struct.Server.html) for tests |
//! | `key`, `host`, and all options of pusher-js | as above |
//! | `authEndpoint` (default `/broadcasting/auth`), `auth.headers` | [`HttpAuthorizer::new`](crate::HttpAuthorizer::new) with the whole URL, [`header`](crate::HttpAuthorizer::header) |
//! | `userAuthentication` (default `/broadcasting/user-auth`) | [`HttpUserAuthenticator`](crate::HttpUserAuthenticator) |
//! | `bearerToken` | [`header("Authorization", "Bearer …")`](crate::HttpAuthorizer::header), or [`headers_with`](crate::HttpAuthorizer::headers_with) |
//! | `csrfToken` | [`header("X-CSRF-TOKEN", …)`](crate::HttpAuthorizer::header), but a device has no session of a browser |
//! | `namespace` (default `App.Events`) | write the whole name of the event; see below |
//! | `client`, `Pusher`, `withoutInterceptors` | not here, because there is no other client underneath |
//! | `Echo.channel(name)`, `private`, `join`, `encryptedPrivate` | [`public_channel`](crate::Client::public_channel), [`private_channel`](crate::Client::private_channel), [`presence_channel`](crate::Client::presence_channel), `private_encrypted_channel`, with the prefix in the name, then [`subscribe()`](crate::PublicChannel::subscribe) |
//! | `Echo.leave(name)`, `leaveChannel(name)` | [`unsubscribe()`](crate::PublicChannel::unsubscribe) of the channel |
//! | `Echo.leaveAllChannels()` | [`unsubscribe()`](crate::PublicChannel::unsubscribe) of each of [`channels()`](crate::Client::channels) |
//! | `Echo.listen(channel, event, fn)` | the channel's [`bind(event)`](crate::PublicChannel::bind) |
//! | `Echo.socketId()` | [`socket_id()`](crate::Client::socket_id) |
//! | `Echo.connect()`, `disconnect()`, `connector` | [`connect()`](crate::Client::connect), [`disconnect()`](crate::Client::disconnect); the client itself |
//! | `connector.signin()` | [`signin()`](crate::Client::signin) |
//! | `registerInterceptors()`, header `X-Socket-ID` | send [`socket_id()`](crate::Client::socket_id) as `X-Socket-ID` with your own requests, for Laravel's `toOthers()` |
//! | `.listen('OrderShipped', fn)` | [`bind(r"App\Events\OrderShipped")`](crate::PublicChannel::bind) |
//! | `.listen('.order.shipped', fn)` (with `broadcastAs`) | `bind("order.shipped")`, without the dot |
//! | `.listenToAll(fn)` | [`bind_all()`](crate::PublicChannel::bind_all), and skip names that begin with `pusher:` |
//! | `.notification(fn)` | `bind(r"Illuminate\Notifications\Events\BroadcastNotificationCreated")` |
//! | `.stopListening`, `stopListeningToAll`, `stopListeningForWhisper` | drop the binding |
//! | `.whisper(name, data)`, `listenForWhisper(name, fn)` | [`trigger("client-name", &data)?`](crate::PrivateChannel::trigger), [`bind("client-name")`](crate::PrivateChannel::bind). Not on encrypted channels, because the protocol has no client events there |
//! | `.subscribed(fn)`, `.error(fn)` | [`bind_subscription_succeeded()`](crate::PublicChannel::bind_subscription_succeeded), [`bind_subscription_error()`](crate::PublicChannel::bind_subscription_error) |
//! | `.on(event, fn)` | [`bind(event)`](crate::PublicChannel::bind) |
//! | `.here(fn)` | [`members()`](crate::PresenceChannel::members) after each value of [`bind_subscription_succeeded()`](crate::PresenceChannel::bind_subscription_succeeded) |
//! | `.joining(fn)`, `.leaving(fn)` | [`bind_member_added()`](crate::PresenceChannel::bind_member_added), [`bind_member_removed()`](crate::PresenceChannel::bind_member_removed); `info()` of the member is what `fn` gets |
//! | `useEcho` and other hooks of React and Vue | not here, because there is no such framework |
//!
//! # pusher-websocket-java
//!
//! What differs beyond names: the client retries without a limit, not six times; subscribing twice is no error;
//! malformed frames are reported and do not end a thread.
//!
//! ```
//! use pusher_channels::{Client, HttpAuthorizer, Options};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! // PusherOptions options = new PusherOptions().setCluster("eu").setActivityTimeout(30000)
//! //     .setChannelAuthorizer(new HttpChannelAuthorizer("https://example.org/pusher/auth"));
//! // Pusher pusher = new Pusher("key", options);
//! let client = Client::builder(Options::cluster("eu", "key"))
//!     .authorizer(HttpAuthorizer::new("https://example.org/pusher/auth"))
//!     .activity_timeout(Duration::from_secs(30))
//!     .build()?;
//! // PrivateChannel channel = pusher.subscribePrivate("private-chat", listener, "message");
//! let channel = client.private_channel("private-chat")?;
//! let messages = channel.bind("message");
//! channel.subscribe();
//! client.connect(); // pusher.connect();
//! # Ok(())
//! # }
//! ```
//!
//! | Java | here |
//! |---|---|
//! | `new Pusher(key, options)` | [`Client::builder`](crate::Client::builder) |
//! | `setCluster`, `setHost`, `setWsPort`, `setWssPort` | [`Options::cluster`](crate::Options::cluster), [`Options::host`](crate::Options::host), [`port`](crate::Options::port) |
//! | `setUseTLS`, `setEncrypted` (deprecated), `isUseTLS`, `isEncrypted` | [`Options::tls`](crate::Options::tls) |
//! | `setChannelAuthorizer`, `setAuthorizer` (deprecated), `getChannelAuthorizer`, `getAuthorizer` | [`ClientBuilder::authorizer`](crate::ClientBuilder::authorizer) |
//! | `setUserAuthenticator`, `getUserAuthenticator` | [`ClientBuilder::user_authenticator`](crate::ClientBuilder::user_authenticator) |
//! | `setActivityTimeout`, `setPongTimeout` (ms), and their getters | [`activity_timeout`](crate::ClientBuilder::activity_timeout), [`pong_timeout`](crate::ClientBuilder::pong_timeout), a `Duration` |
//! | `setMaxReconnectionAttempts` (default 6), and its getter | [`Reconnect::max_attempts`](crate::Reconnect::max_attempts); default: no limit |
//! | `setMaxReconnectGapInSeconds` (default 30), and its getter | [`Reconnect::max`](crate::Reconnect::max), default 30 s |
//! | `setProxy(java.net.Proxy)`, `getProxy` | [`ClientBuilder::proxy`](crate::ClientBuilder::proxy) with [`Proxy`](crate::Proxy): HTTP or SOCKS5 |
//! | `buildUrl(key)`, `PusherOptions.LIB_VERSION` | [`Options::to_url`](crate::Options::to_url), [`Metadata::default`](crate::Metadata) |
//! | getters of options | not here, because you have just set them |
//! | `connect()`, `disconnect()` | [`connect()`](crate::Client::connect), [`disconnect()`](crate::Client::disconnect); `connect()` again after a loss is not necessary |
//! | `connect(listener, states…)`, `connection.bind(state, listener)` | [`bind_states()`](crate::Client::bind_states), then compare [`current`](crate::StateChange::current) |
//! | `connection.unbind(state, listener)` | drop the binding |
//! | `getConnection()`, `Client` (the interface) | [`Client`](crate::Client) itself; a trait is not here, since tests can use [`testing::Server`](../../testing/struct.Server.html) |
//! | `connection.getState()`, `getSocketId()`, `connect()` | [`state()`](crate::Client::state), [`socket_id()`](crate::Client::socket_id), [`connect()`](crate::Client::connect) |
//! | `onConnectionStateChange(change)`: `getPreviousState`, `getCurrentState` | [`StateChange`](crate::StateChange): `previous`, `current`, and `cause`, `retry_in`, `attempt` |
//! | `onError(message, code, e)` | [`bind_errors()`](crate::Client::bind_errors): the text, [`close_code()`](crate::Error::close_code), [`source()`](std::error::Error::source) |
//! | `ConnectionState.CONNECTING`, `CONNECTED`, `RECONNECTING`, `DISCONNECTED` | [`State`](crate::State) with the same names |
//! | `ConnectionState.DISCONNECTING`, `ALL` | not here, because `disconnect()` changes the state at once, and a binding receives all states |
//! | `subscribe(name)`, `subscribePrivate`, `subscribePresence`, `subscribePrivateEncrypted` | [`public_channel`](crate::Client::public_channel), [`private_channel`](crate::Client::private_channel), [`presence_channel`](crate::Client::presence_channel), `private_encrypted_channel`, then [`subscribe()`](crate::PublicChannel::subscribe), which may be called again |
//! | `subscribe(name, listener, events…)` | one [`bind`](crate::PublicChannel::bind) for each event, before [`subscribe()`](crate::PublicChannel::subscribe) |
//! | `unsubscribe(name)` | [`unsubscribe()`](crate::PublicChannel::unsubscribe) of the channel |
//! | `getChannel(name)`, `getPrivateChannel`, `getPresenceChannel`, `getPrivateEncryptedChannel` | the methods that create them return the same channel again; or [`channel(name)?`](crate::Client::channel) |
//! | `channel.getName()`, `isSubscribed()`, `getCount()` | [`name()`](crate::PublicChannel::name), [`is_subscribed()`](crate::PublicChannel::is_subscribed), [`subscription_count()`](crate::PublicChannel::subscription_count) |
//! | `channel.bind(event, listener)`, `bindGlobal(listener)` | [`bind(event)`](crate::PublicChannel::bind), [`bind_all()`](crate::PublicChannel::bind_all) |
//! | `unbind(event, listener)`, `unbindGlobal(listener)` | drop the binding |
//! | `ChannelState.INITIAL`, `SUBSCRIBE_SENT`, `SUBSCRIBED`, `UNSUBSCRIBED`, `FAILED` | [`ChannelStatus`](crate::ChannelStatus): `Idle`, `Pending`, `Subscribed`, `Unsubscribed`, `Failed` |
//! | `onSubscriptionSucceeded(channel)` | [`bind_subscription_succeeded()`](crate::PublicChannel::bind_subscription_succeeded), [`wait_subscribed`](crate::PublicChannel::wait_subscribed) |
//! | `onAuthenticationFailure(message, e)` | [`bind_subscription_error()`](crate::PrivateChannel::bind_subscription_error) |
//! | `onDecryptionFailure(event, reason)` | `bind_decryption_error()` of the encrypted channel |
//! | `onEvent(PusherEvent)`: `getEventName`, `getChannelName`, `getUserId`, `getData` | [`Event`](crate::Event): `name()`, `channel()`, `user_id()`, `data()` |
//! | `PusherEvent.getProperty(key)`, `toJson()`, `fromJson` | [`raw()`](crate::Event::raw), the frame as JSON text; creating events is not here, because the server sends them |
//! | `privateChannel.trigger(event, String data)` | [`trigger(event, &data)?`](crate::PrivateChannel::trigger): serializable data, not JSON text |
//! | `presenceChannel.getUsers()`, `getMe()` | [`members()`](crate::PresenceChannel::members), [`me()`](crate::Members::me) |
//! | `onUsersInformationReceived(channel, users)` | [`members()`](crate::PresenceChannel::members) after [`bind_subscription_succeeded()`](crate::PresenceChannel::bind_subscription_succeeded) |
//! | `userSubscribed`, `userUnsubscribed` | [`bind_member_added()`](crate::PresenceChannel::bind_member_added), [`bind_member_removed()`](crate::PresenceChannel::bind_member_removed) |
//! | `User.getId()`, `getInfo()`, `getInfo(Class)` (of a channel) | [`Member::id`](crate::Member::id), [`info`](crate::Member::info), [`json::<T>()`](crate::Member::json) |
//! | `pusher.signin()`, `user()` | [`signin()`](crate::Client::signin), [`user()`](crate::Client::user) |
//! | `user.userId()`, `bind`, `bindGlobal`, `unbind`, `unbindGlobal` | [`current()`](crate::User::current), [`bind`](crate::User::bind), [`bind_all`](crate::User::bind_all); drop the binding |
//! | `ChannelAuthorizer.authorize(channelName, socketId)` returning JSON | [`Authorizer::authorize`](crate::Authorizer::authorize) returning [`Auth`](crate::Auth); [`Auth::from_json`](crate::Auth::from_json) reads JSON |
//! | `UserAuthenticator.authenticate(socketId)` | [`UserAuthenticator::authenticate`](crate::UserAuthenticator::authenticate), [`UserAuth::from_json`](crate::UserAuth::from_json) |
//! | `AuthorizationFailureException`, `AuthenticationFailureException` | [`Error::new(ErrorKind::Auth, …)`](crate::Error::new); another kind, such as `Io`, is retried |
//! | `HttpChannelAuthorizer`, `HttpAuthorizer` (deprecated), `HttpUserAuthenticator` | [`HttpAuthorizer`](crate::HttpAuthorizer), [`HttpUserAuthenticator`](crate::HttpUserAuthenticator) |
//! | `setHeaders(map)`, `isSSL()` | [`header`](crate::HttpAuthorizer::header), [`headers_with`](crate::HttpAuthorizer::headers_with); the URL |
//! | `UrlEncodedConnectionFactory(map)`, `ConnectionFactory` | [`param`](crate::HttpAuthorizer::param), [`params_with`](crate::HttpAuthorizer::params_with); [`json()`](crate::HttpAuthorizer::json), [`url_with`](crate::HttpAuthorizer::url_with) |
//! | `Factory`, `WebSocketConnection`, `WebSocketClientWrapper`, `WebSocketListener` | not here, because they are internal; a [`Connector`](crate::Connector) replaces the connection |
//! | everything runs on the event thread | the threads are yours; see the first paragraphs |
