//! Figures: of the threads of this process, and of a series of measurements.

use std::fs;

/// The CPU time of all threads of this process so far, in nanoseconds. Where the kernel does not report
/// (only Linux does), 0.
pub(crate) fn cpu_nanos() -> u64 {
    let fields =
        |stat: String| stat.split_whitespace().next().and_then(|run| run.parse::<u64>().ok());
    threads("schedstat").filter_map(|(_, stat)| fields(stat)).sum()
}

/// The memory of this process that is in use, in kB.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How many threads clients have in this process; 0 where that is not reported.
pub(crate) fn own_threads() -> usize {
    threads("comm").filter(|(name, _)| name.starts_with("pusher-")).count()
}

/// How often the client's own threads have gone to sleep so far: each time, they had been woken.
pub(crate) fn sleeps() -> Option<u64> {
    let mut sleeps = None;
    for (name, status) in threads("status") {
        if name.starts_with("pusher-") {
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            *sleeps.get_or_insert(0) += line.trim().parse::<u64>().ok()?;
        }
    }
    sleeps
}

/// The names of the threads of this process, and a file about each.
fn threads(file: &'static str) -> impl Iterator<Item = (String, String)> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(move |task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let content = fs::read_to_string(task.path().join(file)).ok()?;
        Some((name, content))
    })
}

/// A series of measurements.
#[derive(Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value that this share of the series does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Extend<f64> for Series {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        self.0.extend(values);
    }
}
