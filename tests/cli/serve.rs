//! `serve`, and what every command has in common.

use std::process::Command;

use crate::support::{Running, command, run};

/// A development server in a process of its own, on a free port.
pub(crate) struct Served {
    pub(crate) process: Running,
    pub(crate) port: String,
}

impl Served {
    pub(crate) fn start() -> Self {
        let mut process = Running::start(command(&["serve", "--port", "0"]));
        let line = process.wait_out("listening on ws://127.0.0.1:");
        let port = line.split("127.0.0.1:").nth(1).unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Self { process, port }
    }

    /// Returns a command that connects to it, with the variables that it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        for (name, value) in [
            ("PUSHER_APP_ID", "app-id"),
            ("PUSHER_APP_KEY", "app-key"),
            ("PUSHER_APP_SECRET", "app-secret"),
            ("PUSHER_HOST", "127.0.0.1"),
            ("PUSHER_PORT", &self.port),
            ("PUSHER_SCHEME", "http"),
        ] {
            command.env(name, value);
        }
        command
    }

    /// Starts a listener and waits until it is subscribed to the last channel of the arguments.
    pub(crate) fn listen(&self, arguments: &[&str]) -> Running {
        let mut listener = Running::start(self.command(&[&["listen", "-v"], arguments].concat()));
        listener.wait_err("pusher:subscription_succeeded");
        listener
    }
}

#[test]
fn port_in_use_is_an_error_that_names_it() {
    let served = Served::start();
    let ended = run(&["serve", "--port", &served.port]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("error: starting the server failed: "), "{ended:?}");
    assert!(ended.err.contains(&served.port), "{ended:?}");
}

#[test]
fn everything_that_happens_is_printed() {
    let mut served = Served::start();
    served.process.wait_out("PUSHER_APP_SECRET=app-secret");
    served.process.wait_out("# end with Ctrl-C");
    let listener = served.listen(&["private-chat", "--count", "1"]);
    let connected = served.process.wait_out(" connected");
    let socket_id = connected.split(' ').nth(1).unwrap().to_owned();
    served.process.wait_out(&format!("{socket_id} subscribed to private-chat"));
    Running::start(served.command(&["trigger", "private-chat", "client-x", "[1]"])).end();
    served.process.wait_out("triggered: private-chat client-x [1]");
    assert_eq!(listener.end().code, Some(0));
    served.process.wait_out(" disconnected");
}

#[cfg(unix)]
#[test]
fn interrupt_ends_the_server_cleanly() {
    let served = Served::start();
    served.process.interrupt();
    assert_eq!(served.process.end().code, Some(0));
}

#[test]
fn help_has_the_exit_codes_of_every_command() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["listen", "--help"],
        &["trigger", "-h"],
        &["publish", "--help"],
        &["serve", "--help"],
        &["doctor", "--help"],
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains("3    timed out"), "{ended:?}");
    }
}

#[test]
fn invalid_arguments_end_with_2_and_show_no_secret() {
    for arguments in [
        &[][..],
        &["listen"],
        &["listen", "a", "--for", "5d"],
        &["publish", "a", "event", "--host", "localhost", "--key", "k"],
        &["publish", "a", "event", "data", "--host", "localhost", "--key", "k"],
        &[
            "publish",
            "a",
            "event",
            "data",
            "--host",
            "localhost",
            "--key",
            "k",
            "--secret",
            "canary",
        ],
        &["listen", "a", "--count", "0"],
        &["listen", "a"],
        &["listen", "a", "--host", "localhost"],
        &["listen", "a b", "--host", "localhost", "--key", "k", "--secret", "canary"],
        &["listen", "a", "--host", "localhost", "--key", "k", "-H", "canary"],
        &["listen", "a", "--host", "localhost", "--cluster", "eu", "--secret", "canary"],
        &["listen", "a", "--host", "localhost", "--key", "k", "--ca", "no-such-file"],
        &["listen", "a", "--host", "localhost", "--key", "k", "--proxy", "http://u:canary@"],
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty() && !ended.err.contains("canary"), "{ended:?}");
    }
}
