//! One round: every program in turn, once for each load.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{self, Load};
use crate::{Peer, SIZES, Takes};

/// How long a flood runs before it is measured: a virtual machine compiles meanwhile.
const WARM_UP: Duration = Duration::from_millis(400);
/// How long it is measured, at least.
const FLOOD: Duration = Duration::from_millis(800);
/// How many paced events there are, and how many of the first ones do not count.
const PACED: usize = 1200;
const PACED_WARM_UP: usize = 200;

/// A program that runs. Killed when dropped.
struct Running {
    name: &'static str,
    idle_mib: f64,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(peer: &Peer, into: &Path, port: u16, kind: &str, count: usize) -> Self {
        let (program, arguments) = peer.command.split_first().expect("a program");
        let path = |part: &&str| part.replace("{into}", &into.display().to_string());
        let arguments = arguments.iter().map(path).chain([
            port.to_string(),
            kind.to_owned(),
            count.to_string(),
        ]);
        let mut child = Command::new(path(program))
            .args(arguments)
            .args((peer.takes == Takes::Parsed).then_some("parsed"))
            .env("NODE_PATH", into.join("node/node_modules"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("starting {} failed: {error}", peer.name));
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        Self { name: peer.name, idle_mib: 0.0, child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the program has ended").expect("it writes text")
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(path).expect("Linux reports about a process")
    }

    /// The CPU time of all its threads so far, in seconds; with the resolution of Linux, 10 ms.
    fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let (_, fields) = stat.rsplit_once(')').expect("the name of the program");
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
    }

    fn resident_mib(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        kib.expect("resident memory") / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes each figure on, with its name.
pub fn round(peers: &[Peer], into: &Path, mut report: impl FnMut(&Peer, &str, f64)) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    for (size, _) in SIZES {
        for peer in peers {
            let (rate, cpu) = flood(&listener, peer, into, size);
            report(peer, &format!("rate {size}"), rate);
            report(peer, &format!("cpu {size}"), cpu);
        }
    }
    for peer in peers {
        let (resident, mut late) = paced(&listener, peer, into);
        late.sort_by(f64::total_cmp);
        let quantile = |share: f64| late[((late.len() - 1) as f64 * share).round() as usize];
        report(peer, "resident", resident);
        report(peer, "p50", quantile(0.5));
        report(peer, "p99", quantile(0.99));
    }
}

/// Events a second, and CPU time for each in microseconds.
fn flood(listener: &TcpListener, peer: &Peer, into: &Path, size: usize) -> (f64, f64) {
    let write = server::write_len(size);
    let each = if peer.takes == Takes::Frames { server::text(size).len() } else { size };
    let (mut running, credit) = connect(listener, Load::Flood { size }, |port| {
        Running::start(peer, into, port, "flood", write)
    });
    let mut seen = 0;
    let mut next = || {
        let line = running.line();
        seen += write;
        assert_eq!(line, format!("{seen} {}", seen * each), "{} lost something", peer.name);
        // A server that has ended shows in the next line.
        let _ = credit.send(());
        (seen, Instant::now(), running.cpu())
    };
    let start = next().1;
    let mut after = |start: Instant, time| loop {
        let now = next();
        if now.1.duration_since(start) >= time {
            break now;
        }
    };
    let from = after(start, WARM_UP);
    let to = after(from.1, FLOOD);
    let events = (to.0 - from.0) as f64;
    (events / to.1.duration_since(from.1).as_secs_f64(), (to.2 - from.2) * 1e6 / events)
}

/// Resident memory in MiB before there are events, and how late each was in microseconds.
fn paced(listener: &TcpListener, peer: &Peer, into: &Path) -> (f64, Vec<f64>) {
    let load = Load::Paced { events: PACED };
    let start = |port| Running::start(peer, into, port, "paced", PACED);
    let (mut running, _credit) = connect(listener, load, start);
    let late = running.line();
    let late = late.split_whitespace().skip(PACED_WARM_UP);
    let late = late.map(|late| late.parse::<f64>().expect("a number") / 1e3).collect();
    (running.idle_mib, late)
}

/// Starts a server for one connection and the program that connects, and lets the server begin once all is quiet.
fn connect(
    listener: &TcpListener,
    load: Load,
    start: impl FnOnce(u16) -> Running,
) -> (Running, Sender<()>) {
    let port = listener.local_addr().expect("an address").port();
    let listener = listener.try_clone().expect("another descriptor");
    let (idle, is_idle) = channel();
    let (credit, credits) = channel();
    // Ends with an error once the program is killed.
    thread::spawn(move || server::serve(&listener, load, &idle, &credits));
    let mut running = start(port);
    is_idle.recv().unwrap_or_else(|_| panic!("{} did not subscribe", running.name));
    running.idle_mib = running.resident_mib();
    credit.send(()).expect("the server waits");
    (running, credit)
}
