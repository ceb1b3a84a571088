//! `publish`: publishes events by the HTTP API.

use clap::Args;
use pusher_channels::Publisher;
use pusher_channels::publisher::TriggerOptions;

use crate::data;
use crate::exit::Failure;
use crate::options::Server;

/// Publish events on channels, by the server's HTTP API
///
/// Unlike `trigger` it needs the app's id and secret, and works for every channel and every event. Done when the server
/// has accepted the events. A failed request is not repeated.
#[derive(Args)]
#[command(
    after_help = crate::EXIT_CODES,
    override_usage = "pusher-channels publish [OPTIONS] <CHANNEL>... <EVENT> <DATA>"
)]
pub(crate) struct Publish {
    /// Names of up to 100 channels, then the name of the events, then their data: JSON, or text; `-` reads standard
    /// input, one event a line
    #[arg(
        value_names = ["CHANNEL", "EVENT", "DATA"], num_args = 3.., required = true, allow_negative_numbers = true
    )]
    what: Vec<String>,
    /// Id of the app [env: PUSHER_APP_ID]
    #[arg(long, value_name = "ID")]
    app_id: Option<String>,
    /// App secret [env: PUSHER_APP_SECRET]. Visible to other users of the machine
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// Socket id of a connection that does not get the events
    #[arg(long, value_name = "SOCKET_ID")]
    exclude: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Publish {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let [channels @ .., event, data] = self.what.as_slice() else {
            return Err(Failure::usage("a channel, an event and its data must be given"));
        };
        let publisher = self.server.publisher(self.app_id.as_deref(), self.secret.as_deref())?;
        data::each(data, |data| self.send(&publisher, channels, event, data))
    }

    fn send(
        &self,
        publisher: &Publisher,
        channels: &[String],
        event: &str,
        data: &serde_json::value::RawValue,
    ) -> Result<(), Failure> {
        let options = TriggerOptions::new();
        let options = match &self.exclude {
            Some(socket_id) => options.exclude(socket_id),
            None => options,
        };
        publisher.trigger_with(channels, event, data, options)?;
        Ok(())
    }
}
