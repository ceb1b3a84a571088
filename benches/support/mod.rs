//! What the benches share: the other end, the bare loop, and figures.

#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod bare;
pub(crate) mod blaster;
pub(crate) mod figures;
pub(crate) mod tls;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const CHANNEL: &str = "bench";
pub(crate) const EVENT: &str = "message";

/// The clock that two processes share.
pub(crate) fn nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(now.as_nanos()).expect("a clock before 2554")
}

/// Whether to be done in seconds, with figures to match.
pub(crate) fn quick() -> bool {
    std::env::var_os("PUSHER_BENCH_QUICK").is_some_and(|value| value != "0")
}

/// A limit for what should take no time at all.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn print_machine() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    println!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':']));
    println!("The blaster is a process of its own, but takes its share of the same cores.");
}
