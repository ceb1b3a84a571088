//! The clocks. No other module reads one.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::protocol::Now;
use crate::util::count::Count;

/// Smaller jumps of the wall clock are ignored.
const JUMP_MS: u64 = 1000;

/// The longest jump of the wall clock that counts as a suspend where no clock shows the difference. On Windows
/// `Instant` counts suspends, so none does.
const BELIEVED_MS: u64 = if cfg!(windows) { 0 } else { 7 * 24 * 60 * 60 * 1000 };

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, as time since 1970; zero if it is set before that.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns how long the system has been running, including suspends, with a resolution of 10 ms; `None` where the
/// system does not show it. Linux does, and Android where the app may read it.
fn uptime() -> Option<Duration> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    parse_uptime(&fs::read_to_string("/proc/uptime").ok()?)
}

fn parse_uptime(text: &str) -> Option<Duration> {
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A client's clock. Its times begin when it is started.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// The uptime at the origin.
    started: Option<Duration>,
    suspends: Suspends,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let (origin, started) = (now(), uptime());
        Self { origin, started, suspends: Suspends::new(wall()) }
    }

    fn mono(&self) -> Duration {
        now().saturating_duration_since(self.origin)
    }

    /// Detects suspends, for [`Self::now`]. After a jump of the wall clock this reads a file, so no lock may be held.
    /// Otherwise it reads two clocks.
    pub(crate) fn notice_suspends(&self) {
        self.suspends.compare(self.mono(), wall(), || uptime()?.checked_sub(self.started?));
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono: self.mono(), suspended: self.suspends.total(), wall: wall() }
    }

    /// Converts a time to an `Instant`. What an `Instant` cannot hold becomes a year from now.
    pub(crate) fn instant(&self, mono: Duration) -> Instant {
        self.origin.checked_add(mono).unwrap_or_else(|| now() + A_YEAR)
    }
}

/// The time during which the device was suspended and the monotonic clock stood still.
///
/// A jump of the wall clock may be a suspend, or the clock was set. Only after a jump the uptime is read.
#[derive(Debug)]
struct Suspends {
    /// How far the wall clock was ahead of the monotonic one at the last comparison: the bits of an `i64`.
    ahead_ms: Count,
    total_ms: Count,
}

impl Suspends {
    /// The monotonic time begins at zero, when the wall clock shows this.
    fn new(wall: Duration) -> Self {
        let this = Self { ahead_ms: Count::default(), total_ms: Count::default() };
        this.ahead_ms.replace(ahead(Duration::ZERO, wall) as u64);
        this
    }

    /// `elapsed` returns the time since the beginning, suspends included, where the system has such a clock.
    fn compare(&self, mono: Duration, wall: Duration, elapsed: impl FnOnce() -> Option<Duration>) {
        let ahead = ahead(mono, wall);
        let jumped = |before: i64| before.abs_diff(ahead) >= JUMP_MS;
        if !jumped(self.ahead_ms.get() as i64) {
            return;
        }
        // Of several threads that see the jump, one accounts for it.
        let before = self.ahead_ms.replace(ahead as u64) as i64;
        if !jumped(before) {
            return;
        }
        match elapsed() {
            Some(elapsed) => {
                let suspended = millis(elapsed.saturating_sub(mono));
                self.total_ms.raise_to(suspended);
            }
            None if before < ahead => {
                let believed = before.abs_diff(ahead).min(BELIEVED_MS);
                self.total_ms.add(believed);
            }
            None => {}
        }
    }

    fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms.get())
    }
}

fn ahead(mono: Duration, wall: Duration) -> i64 {
    let signed = |time| i64::try_from(millis(time)).unwrap_or(i64::MAX);
    signed(wall).saturating_sub(signed(mono))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const EPOCH: Duration = Duration::from_secs(1_700_000_000);

    /// A machine with the three clocks, on which time passes and which can be set.
    struct Machine {
        suspends: Suspends,
        mono: Duration,
        wall: Duration,
        elapsed: Duration,
        has_uptime: bool,
        reads: u32,
    }

    impl Machine {
        fn new(has_uptime: bool) -> Self {
            let suspends = Suspends::new(EPOCH);
            let (mono, elapsed) = (Duration::ZERO, Duration::ZERO);
            Self { suspends, mono, wall: EPOCH, elapsed, has_uptime, reads: 0 }
        }

        fn pass(&mut self, time: Duration) {
            self.mono += time;
            self.suspend(time);
        }

        fn suspend(&mut self, time: Duration) {
            self.wall += time;
            self.elapsed += time;
        }

        fn total(&mut self) -> Duration {
            let (elapsed, reads) = (self.has_uptime.then_some(self.elapsed), &mut self.reads);
            self.suspends.compare(self.mono, self.wall, || {
                *reads += 1;
                elapsed
            });
            self.suspends.total()
        }
    }

    #[test]
    fn a_suspend_is_distinguished_from_a_clock_that_was_set() {
        let mut machine = Machine::new(true);
        machine.pass(HOUR);
        assert_eq!((machine.total(), machine.reads), (Duration::ZERO, 0), "nothing jumped");
        for (set, reads) in [(EPOCH + 365 * DAY, 1), (EPOCH - 365 * DAY, 2), (EPOCH, 3)] {
            machine.wall = set;
            machine.pass(HOUR);
            assert_eq!((machine.total(), machine.reads), (Duration::ZERO, reads), "{set:?}");
            assert_eq!((machine.total(), machine.reads), (Duration::ZERO, reads), "read once");
        }
        machine.suspend(8 * HOUR);
        assert_eq!(machine.total(), 8 * HOUR);
        // Both at once, which look like a smaller jump, or like one back.
        machine.suspend(8 * HOUR);
        machine.wall -= 2 * HOUR;
        assert_eq!(machine.total(), 16 * HOUR);
        machine.suspend(HOUR);
        machine.wall -= 365 * DAY;
        assert_eq!(machine.total(), 17 * HOUR);
        machine.pass(HOUR);
        assert_eq!(machine.total(), 17 * HOUR);
    }

    #[test]
    fn without_another_clock_a_week_is_believed() {
        let mut machine = Machine::new(false);
        let believed = |time| if cfg!(windows) { Duration::ZERO } else { time };
        machine.suspend(8 * HOUR);
        assert_eq!(machine.total(), believed(8 * HOUR));
        machine.wall += 365 * DAY;
        assert_eq!(machine.total(), believed(8 * HOUR + 7 * DAY));
        machine.wall -= 365 * DAY;
        assert_eq!(machine.total(), believed(8 * HOUR + 7 * DAY));
    }

    #[test]
    fn clocks_at_their_ends_do_no_harm() {
        for has_uptime in [false, true] {
            let mut machine = Machine::new(has_uptime);
            for wall in [Duration::ZERO, Duration::MAX, EPOCH, Duration::MAX, Duration::ZERO] {
                (machine.wall, machine.mono) = (wall, Duration::ZERO);
                machine.total();
                machine.mono = Duration::MAX;
                machine.total();
            }
        }
    }

    #[test]
    fn the_uptime_is_the_first_number() {
        assert_eq!(parse_uptime("12.34 56.78\n"), Some(Duration::from_millis(12_340)));
        for odd in ["", "\n", "x 1", "-1 1", "inf", "NaN"] {
            assert_eq!(parse_uptime(odd), None, "{odd}");
        }
        if cfg!(target_os = "linux") {
            let clock = Clock::start();
            clock.suspends.compare(Duration::ZERO, Duration::ZERO, || {
                let elapsed = uptime().unwrap().checked_sub(clock.started.unwrap());
                assert!(elapsed.unwrap() < HOUR);
                elapsed
            });
        }
    }
}
