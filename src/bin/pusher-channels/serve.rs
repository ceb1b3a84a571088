//! `serve`: runs the development server.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use crossbeam_channel::select;
use pusher_channels::testing::{Activity, Server, Settings};

use crate::exit::{FAILED, Failure};
use crate::interrupt::interruptions;
use crate::output::{Output, printable};
use crate::time::text_now;

/// Run a development server on this machine, which needs no account
///
/// It prints what to put into a Laravel app's `.env`, and then every connection, subscription and event. It authorizes
/// everybody, and only programs on this machine can reach it.
#[derive(Args)]
#[command(after_help = crate::EXIT_CODES)]
pub(crate) struct Serve {
    /// Port on 127.0.0.1; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 6001)]
    port: u16,
    /// App id
    #[arg(long, value_name = "ID", default_value = "app-id")]
    app_id: String,
    /// App key
    #[arg(long, value_name = "KEY", default_value = "app-key")]
    key: String,
    /// App secret. It protects nothing here, and is printed
    #[arg(long, value_name = "SECRET", default_value = "app-secret")]
    secret: String,
    /// PEM files of a certificate for 127.0.0.1 and of its key, to serve TLS
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// Send webhooks to this `http://` URL
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let interruptions = interruptions()?;
        let server = Server::start_with(self.settings()?).map_err(|error| {
            Failure::new(FAILED, format!("starting the server failed: {error}"))
        })?;
        let activity = server.watch();
        let output = Output::new(false);
        output.line(&self.introduction(&server))?;
        loop {
            select! {
                // Disconnected only if there cannot be a signal any more.
                recv(interruptions) -> _ => return Ok(()),
                recv(activity) -> activity => match activity {
                    Ok(activity) => output.line(&described(&output, &activity))?,
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default()
            .port(self.port)
            .app_id(&self.app_id)
            .key(&self.key)
            .secret(&self.secret);
        if let Some([certificate, key]) = self.tls.as_deref() {
            settings = settings.tls(&read(certificate)?, &read(key)?);
        }
        Ok(match &self.webhook {
            Some(url) => settings.webhook(url),
            None => settings,
        })
    }

    /// Returns what programs need to reach the server: variables that Laravel and a shell can read.
    fn introduction(&self, server: &Server) -> String {
        let Self { app_id, key, secret, .. } = self;
        let url = server.url();
        let url = url.split('?').next().unwrap_or_default();
        let (scheme, port) = (if self.tls.is_some() { "https" } else { "http" }, server.port());
        format!(
            "\
# listening on {url}
# auth endpoints: {} and /broadcasting/auth, {}
# for the .env of a Laravel app:
BROADCAST_CONNECTION=pusher
PUSHER_APP_ID={app_id}
PUSHER_APP_KEY={key}
PUSHER_APP_SECRET={secret}
PUSHER_HOST=127.0.0.1
PUSHER_PORT={port}
PUSHER_SCHEME={scheme}{}
# end with Ctrl-C",
            server.auth_url(),
            server.user_auth_url(),
            master_key(server),
        )
    }
}

/// Returns the line of the key of encrypted channels, which is another each time.
#[cfg(feature = "encrypted")]
fn master_key(server: &Server) -> String {
    format!("\n{}={}", crate::options::MASTER_KEY, server.encryption_master_key())
}

#[cfg(not(feature = "encrypted"))]
fn master_key(_: &Server) -> &'static str {
    ""
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format!("reading `{}` failed: {error}", path.display())))
}

fn described(output: &Output, activity: &Activity) -> String {
    let channel = |name: &str| output.painted("36", &printable(name));
    let event = |name: &str| output.painted("1", &printable(name));
    let text = match activity {
        Activity::Connected { socket_id, .. } => format!("{socket_id} connected"),
        Activity::Disconnected { socket_id, .. } => format!("{socket_id} disconnected"),
        Activity::Subscribed { socket_id, channel: name, .. } => {
            format!("{socket_id} subscribed to {}", channel(name))
        }
        Activity::Unsubscribed { socket_id, channel: name, .. } => {
            format!("{socket_id} unsubscribed from {}", channel(name))
        }
        Activity::Published { channel: name, event: event_name, data, receivers, .. } => format!(
            "published to {receivers}: {} {} {}",
            channel(name),
            event(event_name),
            printable(data)
        ),
        Activity::ClientEvent { socket_id, channel: name, event: event_name, data, .. } => format!(
            "{socket_id} triggered: {} {} {}",
            channel(name),
            event(event_name),
            printable(data)
        ),
        Activity::Missed(count) => format!("({count} more, because printing was too slow)"),
        // Of a later version.
        other => format!("{other:?}"),
    };
    format!("{} {text}", output.painted("2", &text_now()))
}
