//! A client in bad weather for a long time: what it loses, repeats and mixes up (nothing), and what
//! it takes.
//!
//! `cargo bench --bench soak` takes a minute; `PUSHER_SOAK_MINUTES` sets how many (or parts of one),
//! `PUSHER_SOAK_RATE` how many events a second are published, `PUSHER_CHANNELS_SEED` repeats a seed,
//! and `PUSHER_BENCH_QUICK=1` is for finding out whether it runs at all. Each event is counted against
//! what `tests/it/chaos/trail.rs` says of it. It fails if anything was broken.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a soak that cannot go on should fail"
)]

#[path = "../tests/it/chaos/relay.rs"]
mod relay;
#[path = "../tests/it/chaos/room.rs"]
mod room;
#[path = "../tests/it/chaos/storm.rs"]
mod storm;
mod support;
#[path = "../src/util/time_scale.rs"]
mod time_scale;
#[path = "../tests/it/chaos/trail.rs"]
mod trail;

use std::fs;
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use storm::{Settings, Storm};
use trail::Broken;

/// The weather is bad for so long at a time.
const SPELL: Duration = Duration::from_secs(5);
/// By so much the process may grow in the second half, in KiB: what waits in a paused connection at its
/// worst, and the server's record of the frames that it got, which has a limit of its own.
const MAX_GROWTH: u64 = 12 * 1024;
/// The threads of a connected client.
const CONNECTED: [&str; 2] = ["pusher-reader", "pusher-timer"];
const ARENAS: &str = "MALLOC_ARENA_MAX";

fn setting<T: FromStr>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// A figure of this process, as Linux reports it; 0 elsewhere.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let number = line.trim_start_matches(':').split_whitespace().next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The client's threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let mut own: Vec<_> = names
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("pusher-"))
        .collect();
    own.sort();
    own
}

/// Waits until the client has but the threads of one connection. The reader of the one before reads on until its close
/// has completed or timed out, which takes a fraction of a second.
fn settled_threads() -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let threads = threads();
        if threads == CONNECTED || Instant::now() > deadline {
            return threads;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// In fine weather: the threads, and the rest.
fn print_figures(start: Instant, storm: &Storm) -> (Vec<String>, usize, u64) {
    let (threads, descriptors, memory) = (settled_threads(), descriptors(), status("VmRSS"));
    let all = status("Threads");
    println!(
        "{:>5} s: {storm}, {memory} KiB, {descriptors} descriptors, {all} threads, of the client's {}",
        start.elapsed().as_secs(),
        threads.len()
    );
    (threads, descriptors, memory)
}

/// Starts itself again with one arena for all threads. With one for each, as glibc has it, every new
/// connection's thread may land on another one, and for minutes each grows to what the busiest
/// moment took: memory that was lost could not be distinguished from that.
fn with_one_arena() -> ExitCode {
    let this = std::env::current_exe().expect("the path of this executable");
    let status = Command::new(this).args(std::env::args().skip(1)).env(ARENAS, "1").status();
    if status.expect("this executable starts again").success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn main() -> ExitCode {
    if std::env::var_os(ARENAS).is_none() {
        return with_one_arena();
    }
    let quick = support::quick();
    let minutes: f64 = setting("PUSHER_SOAK_MINUTES", if quick { 0.1 } else { 1.0 });
    let rate = setting("PUSHER_SOAK_RATE", 1000);
    let seed = setting("PUSHER_CHANNELS_SEED", fastrand::u64(..));
    let time = Duration::from_secs_f64(minutes * 60.0);
    println!("{minutes} minutes at {rate} events/s, PUSHER_CHANNELS_SEED={seed}");
    let before = descriptors();
    let start = Instant::now();
    let mut storm = Storm::start(Settings {
        seed,
        rate,
        fault_every: Duration::from_millis(if quick { 500 } else { 1500 }),
        reach: 21,
        timeout: Duration::from_millis(500),
    });
    storm.clear_up();
    let (_, descriptors_first, _) = print_figures(start, &storm);
    let mut faults = Vec::new();
    let mut middle = None;
    while start.elapsed() < time {
        storm.rage(SPELL.min(time / 4));
        storm.clear_up();
        let (threads, descriptors, memory) = print_figures(start, &storm);
        if threads != CONNECTED {
            faults.push(format!("the client's threads are {threads:?}"));
        }
        // The relay's threads may still be looking whether they are wanted.
        if descriptors > descriptors_first + 16 {
            faults.push(format!("{descriptors} descriptors, at first {descriptors_first}"));
        }
        if start.elapsed() >= time / 2 {
            middle.get_or_insert(memory);
        }
        if !storm.is_well() {
            break;
        }
    }
    let memory = status("VmRSS");
    let report = storm.finish();
    println!("{report:#?}");
    let (peak, half) = (status("VmHWM"), middle.unwrap_or_default());
    println!("peak memory {peak} KiB; {half} KiB in the middle, {memory} KiB in the end");
    let (threads, descriptors) = (threads(), descriptors());
    println!("in the end: client's threads {threads:?}, {descriptors} descriptors ({before})");
    let grown = middle.map_or(0, |middle| memory.saturating_sub(middle));
    faults.extend(leftovers(grown, before));
    faults.extend(report.faults);
    if faults.is_empty() && report.broken == Broken::default() {
        println!("nothing was broken");
        return ExitCode::SUCCESS;
    }
    println!("BROKEN: {:?} {faults:#?}", report.broken);
    ExitCode::FAILURE
}

/// Returns what is wrong at the end: memory that has grown since the middle (in KiB), threads or descriptors that are
/// left.
fn leftovers(grown: u64, before: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if grown > MAX_GROWTH {
        faults.push(format!("grown by {grown} KiB in the second half"));
    }
    if !threads().is_empty() || descriptors() != before {
        faults.push("threads or descriptors are left".to_owned());
    }
    faults
}
