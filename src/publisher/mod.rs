//! The server's side of an app: [`Publisher`] publishes events and queries channels by the HTTP API of Pusher and
//! compatible servers, [`Webhook`] reads what a server reports.
//!
//! It is for backends and trusted devices, since it needs the app's secret.
//!
//! ```no_run
//! use pusher_channels::{Options, Publisher};
//!
//! # fn main() -> Result<(), pusher_channels::Error> {
//! let publisher = Publisher::new(Options::cluster("eu", "app-key"), "app-id", "app-secret")?;
//! publisher.trigger(&["chat"], "message", "Hello")?; // blocks for at most 10 s
//! # Ok(())
//! # }
//! ```

mod builder;
mod event;
mod limits;
mod request;
mod response;
mod target;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::auth::http::Http;
use crate::util::clock;
use crate::{Error, Options};
use event::{Rules, info_names, to_json};
use request::{App, Call};

pub use builder::PublisherBuilder;
pub use event::{BatchEvent, Info, TriggerOptions};
pub use response::{CachedEvent, ChannelInfo};
pub use webhook::{Webhook, WebhookEvent};

/// The API's name in messages.
const WHAT: &str = "HTTP API";

/// Publishes events and queries channels, by the HTTP API of an app.
///
/// It needs no [`Client`](crate::Client) and keeps no thread. A clone is cheap and shares its connections; it can be
/// used from all threads at once.
///
/// # Servers
///
/// With [`Options::cluster`] the API is at `https://api-{cluster}.pusher.com`; with [`Options::host`] and
/// [`Options::url`] it is at the host, port and path prefix that clients connect to, over HTTPS if they use TLS.
/// soketi, Reverb and sockudo have both on one port. The descriptions of clients in the options are ignored.
///
/// # Blocking
///
/// Every method that sends a request blocks for at most the [timeout](PublisherBuilder::timeout), by default 10 s.
/// [`interrupt`](Self::interrupt) ends it early. A failed request is not repeated; [`Error::is_retryable`] and
/// [`Error::retry_after`] tell whether and when that makes sense. If no response came, the server may have published
/// the event all the same. Idle connections are reused for 3 seconds.
///
/// # Data
///
/// As Pusher's own server libraries do, it sends a string as it is and anything else as its JSON, so that
/// [`Event::data`](crate::Event::data) returns the string and [`Event::json`](crate::Event::json) the value. Events on
/// `private-encrypted-` channels are encrypted with a key made from the
/// [master key](PublisherBuilder::encryption_master_key).
///
/// # Errors
///
/// Arguments are checked first: the message names the limit, and nothing is sent. A request can fail with
///
/// - [`Auth`](crate::ErrorKind::Auth): the server responds with 401 or 403. If the request's time may be the cause, the
///   message says by how much this device's clock differs from the server's; Pusher allows 600 s
/// - [`TooLarge`](crate::ErrorKind::TooLarge) with status 413, [`RateLimited`](crate::ErrorKind::RateLimited) with
///   status 429, [`Server`](crate::ErrorKind::Server) with any other status. [`Error::http_status`] returns the
///   status. The message has up to 200 characters of the server's text
/// - [`Json`](crate::ErrorKind::Json): the response is not that of the API, for example an HTML page
/// - [`Protocol`](crate::ErrorKind::Protocol): the response is not HTTP
/// - [`Dns`](crate::ErrorKind::Dns), [`Io`](crate::ErrorKind::Io), [`Proxy`](crate::ErrorKind::Proxy),
///   [`Timeout`](crate::ErrorKind::Timeout), [`Tls`](crate::ErrorKind::Tls): the network failed
///
/// What the HTTP library logs is documented for [`HttpAuthorizer`](crate::HttpAuthorizer#logging): URLs at `debug`,
/// whose signatures allow a request to be replayed for ten minutes.
///
/// See [Pusher's documentation](https://pusher.com/docs/channels/library_auth_reference/rest-api/).
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    app: App,
    http: Http,
    rules: Rules,
    headers: Vec<(String, String)>,
}

impl Publisher {
    /// Creates a publisher with default settings. The key of the app is in the options.
    ///
    /// # Errors
    ///
    /// As [`PublisherBuilder::build`].
    pub fn new(options: Options, app_id: &str, secret: &str) -> Result<Self, Error> {
        Self::builder(options, app_id, secret).build()
    }

    /// Returns a builder, to change settings.
    pub fn builder(options: Options, app_id: &str, secret: &str) -> PublisherBuilder {
        PublisherBuilder::new(options, app_id, secret)
    }

    /// Publishes an event to all subscribers of up to 100 channels.
    ///
    /// An encrypted channel must be the only one, since each has a key of its own. See [`Publisher`] for how the data
    /// is sent, and for how long this blocks.
    ///
    /// # Errors
    ///
    /// - [`InvalidName`](crate::ErrorKind::InvalidName): the name of a channel has more than 200 characters or others
    ///   than letters, digits and `_-=@,.;`, or that of the event has more than 200 characters; or one is empty
    /// - [`TooLarge`](crate::ErrorKind::TooLarge): there are more than 100 channels, or the data as it is sent has more
    ///   than 10,240 bytes (see [`PublisherBuilder::max_data`])
    /// - [`Json`](crate::ErrorKind::Json): the data cannot be serialized as JSON
    /// - [`Config`](crate::ErrorKind::Config): there is no channel, an encrypted channel is not the only one, or its
    ///   master key is missing or invalid
    /// - [those of every request](Self#errors)
    ///
    /// # Example
    ///
    /// ```no_run
    /// # fn main() -> Result<(), pusher_channels::Error> {
    /// # let options = pusher_channels::Options::cluster("eu", "app-key");
    /// # let publisher = pusher_channels::Publisher::new(options, "app-id", "app-secret")?;
    /// publisher.trigger(&["chat"], "message", "Hello")?;
    /// publisher.trigger(&["room-1", "room-2"], "move", &serde_json::json!({"x": 1}))?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "publish")]
    pub fn trigger(
        &self,
        channels: &[impl AsRef<str>],
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        self.trigger_with(channels, event, data, TriggerOptions::new()).map(drop)
    }

    /// As [`trigger`](Self::trigger), with options: a connection that does not get the event, and what the server
    /// reports about the channels. Returns that by channel; empty if nothing was requested.
    ///
    /// # Errors
    ///
    /// - [`Config`](crate::ErrorKind::Config): the socket id is not two numbers with a dot between them
    /// - those of [`trigger`](Self::trigger)
    pub fn trigger_with(
        &self,
        channels: &[impl AsRef<str>],
        event: &str,
        data: &(impl Serialize + ?Sized),
        options: TriggerOptions,
    ) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        let channels: Vec<_> = channels.iter().map(AsRef::as_ref).collect();
        let body = self.0.rules.event(&channels, event, &to_json(data)?, &options)?;
        self.call(Call::post("/events", "", body)).map(|json| response::channels(&json))
    }

    /// Publishes up to 10 events in one request. Returns what the server reported about the channel of each, in the
    /// order of the events. No request is sent for no events.
    ///
    /// # Errors
    ///
    /// If one event is refused here, none is sent.
    ///
    /// - [`TooLarge`](crate::ErrorKind::TooLarge): there are more than 10 events
    /// - those of [`trigger_with`](Self::trigger_with); the message names the event by its number, beginning with 1
    pub fn trigger_batch(&self, events: &[BatchEvent]) -> Result<Vec<ChannelInfo>, Error> {
        let body = self.0.rules.batch(events)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let json = self.call(Call::post("/batch_events", "", body))?;
        Ok(response::batch(&json, events.len()))
    }

    /// Returns the occupied channels whose names begin with `prefix`, all for an empty one, with what was requested
    /// about each.
    ///
    /// [`Info::UserCount`] needs the prefix `presence-`. soketi ignores the prefix and returns all.
    ///
    /// # Errors
    ///
    /// [Those of every request](Self#errors), and [`TooLarge`](crate::ErrorKind::TooLarge) if the response is longer
    /// than [`max_body`](PublisherBuilder::max_body).
    pub fn channels(
        &self,
        prefix: &str,
        info: &[Info],
    ) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        let call = Call::get("/channels", "")
            .param("filter_by_prefix", prefix)
            .param("info", &info_names(info));
        self.call(call).map(|json| response::channels(&json))
    }

    /// Returns whether the channel is occupied, with what was requested about it.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName), see [`trigger`](Self::trigger), and [those of every
    /// request](Self#errors).
    pub fn channel(&self, name: &str, info: &[Info]) -> Result<ChannelInfo, Error> {
        self.0.rules.limits.channel(name)?;
        let call = Call::get("/channels/{}", name).param("info", &info_names(info));
        let json = self.call(call).map_err(|error| error.on_channel(name))?;
        Ok(response::channel(&json))
    }

    /// Returns the ids of the users on a presence channel. The server refuses other channels.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName), see [`trigger`](Self::trigger), and [those of every
    /// request](Self#errors).
    pub fn presence_users(&self, name: &str) -> Result<Vec<String>, Error> {
        self.0.rules.limits.channel(name)?;
        let users = self.call(Call::get("/channels/{}/users", name));
        users.and_then(|json| response::users(&json)).map_err(|error| error.on_channel(name))
    }

    /// Sends an event to all connections on which the user is signed in, see
    /// [`Client::signin`](crate::Client::signin).
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName) if the id is empty, has more than 200 characters or a control
    /// character, and those of [`trigger`](Self::trigger).
    ///
    /// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/server-to-user-messages/).
    pub fn send_to_user(
        &self,
        user_id: &str,
        event: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        let body = self.0.rules.to_user(user_id, event, &to_json(data)?)?;
        self.call(Call::post("/events", "", body)).map(drop)
    }

    /// Closes all connections on which the user is signed in. Pusher closes them with code 4009, after which clients do
    /// not reconnect.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::ErrorKind::InvalidName) if the id is empty, has more than 200 characters or a control
    /// character, and [those of every request](Self#errors).
    ///
    /// See [Pusher's documentation](https://pusher.com/docs/channels/server_api/terminating-user-connections/).
    #[doc(alias = "terminate_user_connections")]
    pub fn terminate_user(&self, user_id: &str) -> Result<(), Error> {
        limits::user_id(user_id)?;
        let call = Call::post("/users/{}/terminate_connections", user_id, "{}".to_owned());
        self.call(call).map(drop)
    }

    /// Makes the running requests of all clones return soon, with an error of kind [`Io`](crate::ErrorKind::Io). Later
    /// requests work again.
    pub fn interrupt(&self) {
        self.0.http.interrupt();
    }

    /// Sends the request and returns the JSON object of a successful response.
    fn call(&self, mut call: Call) -> Result<String, Error> {
        let Inner { app, http, headers, .. } = &*self.0;
        let signed = app.sign(&call, clock::wall().as_secs());
        let place = format!("{WHAT} at {}", app.target.authority);
        let body = call.body.take();
        let response = http.send(&signed.url, &place, headers, body)?;
        let mut secrets = vec![app.secret.expose(), &*signed.signature];
        for (_, value) in headers {
            secrets.push(value);
            secrets.extend(value.split_whitespace());
        }
        response::body(&response, &place, &secrets, clock::wall())
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let App { target, id, .. } = &self.0.app;
        f.debug_struct("Publisher")
            .field("host", &target.authority)
            .field("key", &target.key)
            .field("app_id", id)
            .finish_non_exhaustive()
    }
}
