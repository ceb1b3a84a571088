//! A daemon that carries out commands and sends readings, until SIGTERM or Ctrl-C ends it.
//!
//! Run it with `cargo run --example daemon`, which starts an in-process server, and ends after three commands
//! (`-- COUNT`: after COUNT commands). If PUSHER_APP_KEY or REVERB_APP_KEY is set, it connects to the server that the
//! environment names (see `Options::from_env`); then PUSHER_AUTH_URL must be the endpoint that authorizes, and
//! PUSHER_AUTH_TOKEN the token that it expects (with `pusher-channels serve`: its auth endpoint, and any token).
//!
//! Its readings are client events: they go to the other subscribers, not to your backend.
//!
//! A copy needs `cargo add ctrlc --features termination`, `cargo add log serde_json`, and the feature `testing`, or else
//! to be without what starts the `Server`. As a service of systemd:
//!
//! ```ini
//! # /etc/systemd/system/valve.service
//! [Unit]
//! Description=Valve 7
//! # No After=network-online.target: the client dials until there is a network. Restarts are not limited either.
//! StartLimitIntervalSec=0
//!
//! [Service]
//! Type=notify
//! ExecStart=/usr/local/bin/valve
//! # PUSHER_APP_KEY, PUSHER_HOST, PUSHER_AUTH_URL, PUSHER_AUTH_TOKEN, readable by root only; never PUSHER_APP_SECRET
//! EnvironmentFile=/etc/valve.env
//! DynamicUser=yes
//! WatchdogSec=60
//! Restart=on-failure
//! RestartSec=10
//! # With invalid settings another start would end in the same way.
//! RestartPreventExitStatus=78
//!
//! [Install]
//! WantedBy=multi-user.target
//! ```

#![allow(clippy::disallowed_methods, reason = "this program has a clock")]
#![allow(clippy::disallowed_macros, reason = "the logger is this program's own")]

use std::env;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, after, bounded, never, select, tick};
use pusher_channels::{
    Client, ErrorKind, HttpAuthorizer, Options, Outbox, PrivateChannel, State, Stats,
    testing::Server,
};

/// What a stop may take in all, well below the 90 s after which systemd kills a service.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// `EX_CONFIG` of sysexits.h.
const INVALID_SETTINGS: u8 = 78;

struct Settings {
    options: Options,
    authorizer: HttpAuthorizer,
}

fn main() -> ExitCode {
    static JOURNAL: Journal = Journal;
    if log::set_logger(&JOURNAL).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    match start() {
        // 0: stopped on request, so `Restart=on-failure` leaves it stopped.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}"); // with all causes
            let kind = error.downcast_ref().map(pusher_channels::Error::kind);
            match kind {
                Some(ErrorKind::Config | ErrorKind::InvalidName) => INVALID_SETTINGS.into(),
                // 1: the key or the token is refused, for example. It is tried again after `RestartSec`.
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn start() -> Result<(), Box<dyn Error>> {
    let (request_stop, stop) = bounded(1);
    ctrlc::set_handler(move || {
        let _ = request_stop.try_send(()); // full if it is the second signal
    })?;
    let count = env::args()
        .nth(1)
        .map(|count| count.parse().map_err(|_| invalid("COUNT must be a number")));
    let count = count.transpose()?;
    if ["PUSHER_APP_KEY", "REVERB_APP_KEY"].iter().any(|key| env::var_os(key).is_some()) {
        return run(settings()?, &stop, count.unwrap_or(usize::MAX));
    }
    let server = Server::start()?;
    let settings =
        Settings { options: server.options(), authorizer: HttpAuthorizer::new(&server.auth_url()) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.wait_for(Duration::from_secs(10), |s| s.subscribers("private-valve-7") == 1);
            for command in ["open", "close", "open"] {
                server.publish("private-valve-7", "command", command);
            }
        });
        run(settings, &stop, count.unwrap_or(3))
    })
}

fn settings() -> Result<Settings, pusher_channels::Error> {
    let variable = |name| env::var(name).map_err(|_| invalid(&format!("`{name}` must be set")));
    let bearer = format!("Bearer {}", variable("PUSHER_AUTH_TOKEN")?);
    let authorizer =
        HttpAuthorizer::new(&variable("PUSHER_AUTH_URL")?).header("Authorization", &bearer);
    Ok(Settings { options: Options::from_env()?, authorizer })
}

fn invalid(message: &str) -> pusher_channels::Error {
    pusher_channels::Error::new(ErrorKind::Config, message)
}

fn run(settings: Settings, stop: &Receiver<()>, mut count: usize) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(settings.options)
        .authorizer(settings.authorizer)
        // An hour of readings, and the time to send them.
        .outbox(Outbox::new(4_000).max_age(Duration::from_secs(2 * 3600)))
        .build()?;
    let valve = client.private_channel("private-valve-7")?;
    let (commands, states) = (valve.bind("command"), client.bind_states());
    let refused = valve.bind_subscription_error();
    valve.subscribe();
    client.connect();
    // Not only once it is connected: systemd ends a service that does not start, and the network may be down.
    notify("READY=1");

    let clock = tick(Duration::from_secs(1));
    let watchdog = watchdog_interval().map_or_else(never, tick);
    let mut health = Health::default();
    while count > 0 {
        select! {
            recv(stop) -> _ => break,
            recv(*commands) -> command => {
                log::info!("command: {}", command?.data());
                count -= 1;
            }
            // Waits in the outbox if it must.
            recv(clock) -> _ => {
                // An object, since Reverb refuses data that is a number or a string.
                let reading = serde_json::json!({ "value": 21.5 });
                if let Err(error) = valve.trigger("client-reading", &reading) {
                    log::warn!("a reading was dropped: {error}");
                }
            }
            recv(*states) -> change => {
                let change = change?;
                health.expect(change.retry_in.unwrap_or_default());
                notify(&format!("STATUS={:?}", change.current)); // for `systemctl status`
                if change.current == State::Failed {
                    return Err(change.cause.map_or_else(|| "the client gave up".into(), Into::into));
                }
            }
            recv(*refused) -> error => {
                let error = error?;
                if !error.is_retryable() {
                    return Err(error.into());
                }
            }
            recv(watchdog) -> _ => if health.is_good(&client.stats()) {
                notify("WATCHDOG=1");
            },
        }
    }

    notify("STOPPING=1");
    send_rest(&client, &valve, STOP_LIMIT / 2);
    log::info!("stopped, with {} readings unsent", client.stats().outbox);
    Ok(client.close(STOP_LIMIT / 2)?)
}

/// Waits for what waits for the rate limit. What waits for a connection is lost.
fn send_rest(client: &Client, valve: &PrivateChannel, limit: Duration) {
    let end = after(limit);
    let poll = tick(Duration::from_millis(50));
    while valve.is_subscribed() && client.stats().outbox > 0 && end.try_recv().is_err() {
        let _ = poll.recv();
    }
}

/// The watchdog is fed while this loop turns and the client is healthy: it receives frames (if nothing else, the
/// responses to the pings of its keep-alive), or it dials. An outage is no fault of the program: a restart would not end it,
/// and the readings in the outbox would be lost.
struct Health {
    seen: u64,
    good_until: Instant,
}

impl Health {
    /// More than the client needs to notice a dead connection (150 s) and to dial again (at most 30 s + 15 s).
    const PATIENCE: Duration = Duration::from_secs(300);

    /// The next frame or dial may take this long, and then some time.
    fn expect(&mut self, wait: Duration) {
        self.good_until = self.good_until.max(Instant::now() + wait + Self::PATIENCE);
    }

    fn is_good(&mut self, stats: &Stats) -> bool {
        let seen = stats.frames_in + stats.dials;
        if seen != self.seen {
            self.seen = seen;
            self.expect(Duration::ZERO);
        }
        let is_good = Instant::now() < self.good_until;
        if !is_good {
            log::error!("the client neither receives nor dials; no longer feeding the watchdog");
        }
        is_good
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { seen: 0, good_until: Instant::now() + Self::PATIENCE }
    }
}

/// Returns how often to feed the watchdog: twice in `WatchdogSec`; `None` if there is none.
fn watchdog_interval() -> Option<Duration> {
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    // The process for which it is set, which may be the parent of this one.
    let is_ours = env::var("WATCHDOG_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    (is_ours && micros > 0).then(|| Duration::from_micros(micros) / 2)
}

/// Sends a state to the service manager, if there is one; what `sd_notify` of libsystemd does.
fn notify(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = notify_at(&socket, state) {
        log::warn!("notifying the service manager failed: {error}");
    }
}

#[cfg(target_os = "linux")]
fn notify_at(socket: &std::ffi::OsStr, state: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::{ffi::OsStrExt, net};

    let address = match socket.as_bytes() {
        [b'@', name @ ..] => net::SocketAddr::from_abstract_name(name)?,
        _ => net::SocketAddr::from_pathname(socket)?,
    };
    let sender = net::UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(Duration::from_secs(1)))?;
    sender.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn notify_at(_socket: &std::ffi::OsStr, _state: &str) -> std::io::Result<()> {
    Ok(()) // there is no systemd
}

/// Writes log lines to standard error, which systemd passes to the journal. It takes the level from `<N>` at the
/// beginning of a line.
struct Journal;

impl log::Log for Journal {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => "<3>",
            log::Level::Warn => "<4>",
            log::Level::Info => "<6>",
            log::Level::Debug | log::Level::Trace => "<7>",
        };
        let level = if env::var_os("JOURNAL_STREAM").is_some() { level } else { "" };
        // Unlike `eprintln!` it does not panic if nobody reads.
        let _ = writeln!(std::io::stderr(), "{level}{}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}
