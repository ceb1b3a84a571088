//! Runs the program, and waits for what it prints.

#[path = "../../src/util/time_scale.rs"]
mod time_scale;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use time_scale::scaled;

/// No test waits longer than this for something that must happen.
pub(crate) const SOON: Duration = scaled(Duration::from_secs(30));

/// Returns a command with these arguments and no environment but that of the system.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pusher-channels"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ours = ["PUSHER_", "REVERB_", "BROADCAST_", "RUST_LOG", "NO_COLOR"];
    for (name, _) in std::env::vars() {
        if ours.iter().any(|prefix| name.starts_with(prefix))
            || name.to_lowercase().ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    command
}

/// What a program has printed, and how it has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Running::start(command(arguments)).end()
}

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    out: Lines,
    err: Lines,
}

struct Lines {
    receiver: Receiver<String>,
    /// Lines that nobody has waited for yet.
    unread: Vec<String>,
    /// All lines.
    seen: String,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { receiver, unread: Vec::new(), seen: String::new() }
    }

    fn next(&mut self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.receiver.recv_timeout(left).ok()?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Some(line)
    }

    fn wait(&mut self, part: &str) -> String {
        let deadline = Instant::now() + SOON;
        if let Some(at) = self.unread.iter().position(|line| line.contains(part)) {
            return self.unread.remove(at);
        }
        loop {
            match self.next(deadline) {
                Some(line) if line.contains(part) => return line,
                Some(line) => self.unread.push(line),
                None => panic!("`{part}` was not printed, but:\n{}", self.seen),
            }
        }
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Starts a program whose standard output nobody reads.
    pub(crate) fn start_unread(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let err = Lines::of(child.stderr.take().unwrap());
        Self { child, out: Lines::of(std::io::empty()), err }
    }

    /// Waits for a line on standard output that contains `part`.
    pub(crate) fn wait_out(&mut self, part: &str) -> String {
        self.out.wait(part)
    }

    /// Waits for a line on standard error that contains `part`.
    pub(crate) fn wait_err(&mut self, part: &str) -> String {
        self.err.wait(part)
    }

    /// Writes to standard input, which must be piped, and closes it.
    pub(crate) fn write(&mut self, text: &str) {
        self.child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", r#"kill -s INT "$0""#, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the program's end, which must come by itself.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + SOON;
        // Both streams end with the program.
        while self.out.next(deadline).is_some() {}
        while self.err.next(deadline).is_some() {}
        let (out, err) = (self.out.seen.clone(), self.err.seen.clone());
        assert!(Instant::now() < deadline, "it did not end:\n{out}{err}");
        let status: ExitStatus = self.child.wait().unwrap();
        Ended { code: status.code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says once that tests do not run, since something is not installed. Also used by soketi's harness.
pub(crate) fn skipped(once: &Once, message: &str) {
    once.call_once(|| {
        // Not `eprintln!`, which the test runner hides when a test passes.
        let _ = std::io::stderr().write_all(format!("\n*** {message} ***\n").as_bytes());
    });
}
