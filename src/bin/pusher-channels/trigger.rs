//! `trigger`: sends client events.

use std::thread;
use std::time::Duration;

use clap::Args;
use pusher_channels::{AnyChannel, Client, ErrorKind};
use serde_json::value::RawValue;

use crate::data;
use crate::exit::Failure;
use crate::options::{Access, Server};

/// How many client events are sent in a second. Servers accept 10; what the network delays arrives closer together.
const PER_SECOND: u32 = 8;

/// How long to wait if the limit is reached.
const PAUSE: Duration = Duration::from_millis(100);

/// Send client events to the other subscribers of a channel
///
/// The channel must be a private or a presence channel, and the name of the event must begin with `client-`. Done when
/// the server has read the events, which it does not confirm one by one.
#[derive(Args)]
#[command(after_help = crate::EXIT_CODES)]
pub(crate) struct Trigger {
    /// Name of the channel
    channel: String,
    /// Name of the events
    event: String,
    /// JSON, or text; `-` reads standard input, one event a line
    #[arg(allow_negative_numbers = true)]
    data: String,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    access: Access,
}

impl Trigger {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let timeout = self.server.timeout;
        let builder = self.server.client(&self.access)?.subscribe_timeout(timeout);
        let client = builder.client_event_limit(Some(PER_SECOND)).build()?;
        let channel = client.channel(&self.channel)?;
        channel.subscribe();
        client.connect();
        channel.wait_subscribed(timeout)?;
        // Not before: what went wrong until then was retried.
        let errors = client.bind_errors();
        data::each(&self.data, |data| self.send(&channel, data))?;
        // The server reads in order, so it has read the events when it responds.
        client.ping(timeout)?;
        let refusal = errors.try_iter().next();
        close(&client);
        refusal.map_or(Ok(()), |error| Err(error.into()))
    }

    #[expect(clippy::disallowed_methods, reason = "a signal ends the sleep with the process")]
    fn send(&self, channel: &AnyChannel, data: &RawValue) -> Result<(), Failure> {
        loop {
            match channel.trigger(&self.event, data) {
                Err(error) if error.kind() == ErrorKind::RateLimited => thread::sleep(PAUSE),
                result => return Ok(result?),
            }
        }
    }
}

fn close(client: &Client) {
    // The process ends anyway.
    let _ = client.close(Duration::from_secs(2));
}
