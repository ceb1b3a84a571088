//! The example `daemon` as a process: what it tells systemd, and how it ends.

use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use pusher_channels::testing::Server;

use crate::support::{SOON, now, skipped};

/// If set, a missing example fails the tests instead of skipping them.
const REQUIRE: &str = "PUSHER_CHANNELS_REQUIRE_EXAMPLES";

/// Ends the process if the test fails.
struct Daemon(Child);

impl Daemon {
    /// `cargo test` builds all examples, but `cargo test --test it` builds none.
    fn path() -> Option<PathBuf> {
        static ONCE: Once = Once::new();
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples/daemon");
        if path.exists() {
            return Some(path);
        }
        assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set, but {path:?} is missing");
        skipped(
            &ONCE,
            "no example `daemon`: its tests did NOT run; build it, or run all of `cargo test`",
        );
        None
    }

    /// Starts it with this environment alone, so that no server is named unless a test names one.
    fn start(environment: &[(&str, &str)]) -> Option<Self> {
        // The watchdog is for one process id, which only the process itself knows beforehand.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"WATCHDOG_PID=$$ exec "$0" 1000000"#]).arg(Self::path()?);
        command.env_clear().envs(environment.iter().copied());
        Some(Self(command.stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill -s "$0" "$1""#, name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end, and returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = now() + SOON;
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(10));
        };
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Receives states until this one.
fn notified(systemd: &UnixDatagram, last: &str) -> Vec<String> {
    let mut states = Vec::<String>::new();
    let mut buffer = [0; 1024];
    while states.last().is_none_or(|state| state != last) {
        let length =
            systemd.recv(&mut buffer).unwrap_or_else(|error| panic!("{states:?}: {error}"));
        states.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    states
}

#[test]
fn daemon_notifies_systemd_and_ends_with_0_on_a_signal() {
    let name = format!("pusher-channels-{}", std::process::id());
    let path = std::env::temp_dir().join(&name);
    let listen_at = |address: SocketAddr| UnixDatagram::bind_addr(&address).unwrap();
    let sockets = [
        (listen_at(SocketAddr::from_pathname(&path).unwrap()), path.to_str().unwrap(), "TERM"),
        (listen_at(SocketAddr::from_abstract_name(&name).unwrap()), &*format!("@{name}"), "INT"),
    ];
    for (systemd, address, signal) in sockets {
        systemd.set_read_timeout(Some(SOON)).unwrap();
        let environment =
            [("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", "200000"), ("JOURNAL_STREAM", "8:1")];
        let Some(daemon) = Daemon::start(&environment) else {
            break;
        };
        let states = notified(&systemd, "STATUS=Connected");
        assert_eq!(states[0], "READY=1", "{states:?}");
        notified(&systemd, "WATCHDOG=1");
        notified(&systemd, "WATCHDOG=1");
        daemon.signal(signal);
        notified(&systemd, "STOPPING=1");
        let (code, log) = daemon.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.lines().all(|line| line.starts_with("<6>")), "{log}");
        assert!(log.contains("\n<6>daemon: stopped, with 0 readings unsent\n"), "{log}");
    }
    let _ = std::fs::remove_file(path);
}

#[test]
fn daemon_ends_with_78_only_if_a_restart_cannot_help() {
    let server = Server::start().unwrap();
    let (port, auth_url) = (server.port().to_string(), server.auth_url());
    let refused = [
        ("REVERB_APP_KEY", "another-key"),
        ("REVERB_HOST", "127.0.0.1"),
        ("REVERB_PORT", &port),
        ("REVERB_SCHEME", "http"),
        ("PUSHER_AUTH_URL", &auth_url),
        ("PUSHER_AUTH_TOKEN", "token"),
    ];
    let without_host = [refused[0], refused[4], refused[5]];
    let ends_with = |expected: i32, reason: &str, environment: &[(&str, &str)]| {
        if let Some(daemon) = Daemon::start(environment) {
            let (code, log) = daemon.end();
            assert_eq!(code, Some(expected), "{log}");
            assert!(log.contains(reason), "{log}");
        }
    };
    ends_with(1, "4001", &refused);
    ends_with(78, "`PUSHER_AUTH_TOKEN` must be set", &refused[..5]);
    ends_with(78, "REVERB_HOST", &without_host);
}
