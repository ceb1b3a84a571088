//! What is logged at `info` and above, and how often.
//!
//! Lines about failures are limited: while the same thing keeps failing, only one a minute is a warning.
//! Those held back are logged at `debug`.

use std::time::Duration;

use log::{Level, LevelFilter};

use super::Machine;
use super::channel::Status;
use crate::protocol::close_code::CloseClass;
use crate::protocol::{LogLine, Now, Output};
use crate::util::units::words;
use crate::{Error, Gap};

/// How long after a line the next one of its sort may follow.
const INTERVAL: Duration = Duration::from_secs(60);

/// So many failed subscriptions, sign-ins and requests are reported at once.
const MAX_REPORTS: u32 = 8;

#[derive(Debug)]
pub(crate) struct Journal {
    /// What the log takes at present.
    pub(crate) max_level: fn() -> LevelFilter,
    /// Host and port of the present dial and of the connection that it becomes, if they are known.
    target: Option<String>,
    outage: Outage,
    /// Failed dials of one outage.
    dials: Throttle,
    /// Connections that do not last.
    flaps: Throttle,
    /// Everything else that fails.
    requests: Throttle,
    /// Client events that are dropped.
    dropped: Throttle,
}

#[derive(Debug, Default)]
struct Outage {
    /// By [`Now::elapsed`].
    since: Option<Duration>,
    failed_dials: u64,
    last: Option<Failure>,
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Dial,
    Loss,
    /// A loss soon after another one, or after failed dials.
    Flap,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            max_level: log::max_level,
            target: None,
            outage: Outage::default(),
            dials: Throttle::new(1),
            flaps: Throttle::new(1),
            requests: Throttle::new(MAX_REPORTS),
            dropped: Throttle::new(1),
        }
    }
}

impl Journal {
    /// A new dial, whose target is not known yet.
    pub(super) fn dialing(&mut self) {
        self.target = None;
    }

    /// What was wrong is over, or is not to be mended.
    pub(super) fn end_outage(&mut self) {
        self.outage = Outage::default();
        self.dials = Throttle::new(1);
    }

    pub(super) fn place(&self) -> String {
        match &self.target {
            Some(target) => format!("`{target}`"),
            None => "the server".to_owned(),
        }
    }
}

/// Lets some lines pass at once and then one per interval, and counts the others.
#[derive(Debug)]
struct Throttle {
    burst: u32,
    left: u32,
    refilled: Duration,
    held_back: u64,
}

impl Throttle {
    fn new(burst: u32) -> Self {
        Self { burst, left: burst, refilled: Duration::ZERO, held_back: 0 }
    }

    /// Returns how many lines were held back since the last one, if this one is logged.
    fn admit(&mut self, now: Duration) -> Option<u64> {
        while self.left < self.burst && now.saturating_sub(self.refilled) >= INTERVAL {
            self.left += 1;
            self.refilled += INTERVAL;
        }
        if self.left == self.burst {
            self.refilled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.held_back))
            }
            None => {
                self.held_back += 1;
                None
            }
        }
    }
}

impl Machine {
    /// Where this generation's dial goes: host and port, never the path, which has the key.
    pub(crate) fn handle_target(&mut self, generation: u64, target: String) {
        if self.is_current(generation) {
            self.journal.target = Some(target);
        }
    }

    pub(super) fn log(&mut self, level: Level, text: impl FnOnce() -> String) {
        self.log_line(level, || text().into());
    }

    pub(super) fn log_line(&mut self, level: Level, line: impl FnOnce() -> LogLine) {
        self.log_at(level, |_| line());
    }

    /// The line gets the words for the server. What the log does not take is not even made.
    fn log_at(&mut self, level: Level, line: impl FnOnce(&str) -> LogLine) {
        if level <= (self.journal.max_level)() {
            let line = line(&self.journal.place());
            self.push(Output::Log(level, line));
        }
    }

    // ---- the connection

    pub(super) fn log_connected(&mut self, now: Now) {
        let outage = std::mem::take(&mut self.journal.outage);
        self.journal.end_outage();
        self.log_at(Level::Info, |place| {
            let attempt = outage.failed_dials + 1;
            let length = outage.since.map(|since| now.elapsed().saturating_sub(since));
            let after = length.map(|length| format!(", after an outage of {}", words(length)));
            format!("connected to {place} (attempt {attempt}){}", after.unwrap_or_default()).into()
        });
    }

    /// The dial has failed, or a connection that lasted so long was lost.
    pub(super) fn log_lost(&mut self, error: &Error, lasted: Option<Duration>, now: Now) {
        let in_a_row = self.attempt() > 1;
        let outage = &mut self.journal.outage;
        outage.since.get_or_insert(now.elapsed());
        let Some(lasted) = lasted else {
            outage.failed_dials += 1;
            outage.last = Some(Failure::Dial);
            return;
        };
        outage.last = Some(if in_a_row { Failure::Flap } else { Failure::Loss });
        self.log_at(Level::Info, |place| {
            let text = format!("lost the connection to {place} after {}", words(lasted));
            LogLine::from(text).because(error)
        });
    }

    pub(super) fn log_given_up(&mut self, error: &Error, untimed: bool) {
        let failed_dials = self.journal.outage.failed_dials;
        self.log_at(Level::Info, |place| match failed_dials {
            0 => format!("gave up on {place}").into(),
            1 => format!("gave up on {place} after 1 failed attempt").into(),
            count => format!("gave up on {place} after {count} failed attempts").into(),
        });
        self.log_at(Level::Error, |place| {
            let why = match CloseClass::of(error.close_code()) {
                _ if untimed => "without a thread nothing keeps the time for the next attempt",
                CloseClass::Stop => "the server would refuse the next attempt too",
                _ => "the reconnect policy allows no further attempt",
            };
            LogLine::from(format!("the connection to {place} has failed"))
                .because(error)
                .and(format!("; {why}: mend the cause, then call connect()"))
        });
    }

    /// The next dial is after this wait. A loss alone is no warning: most are over with the next dial.
    pub(super) fn log_retry(&mut self, wait: Duration, error: &Error, now: Now) {
        let Journal { outage, dials, flaps, .. } = &mut self.journal;
        let (throttle, text) = match (outage.last, outage.failed_dials) {
            (Some(Failure::Loss) | None, _) => return,
            (Some(Failure::Flap), _) => (flaps, " does not last".to_owned()),
            (Some(Failure::Dial), 0 | 1) => (dials, " failed".to_owned()),
            (Some(Failure::Dial), count) => {
                let length = outage.since.map(|since| now.elapsed().saturating_sub(since));
                let length = length.unwrap_or_default();
                (dials, format!(" still fails, after {count} attempts in {}", words(length)))
            }
        };
        let is_flap = matches!(outage.last, Some(Failure::Flap));
        if let Some(held_back) = throttle.admit(now.mono) {
            self.log_at(Level::Warn, |place| {
                let mut end = format!("; next attempt in {}", words(wait));
                if is_flap && held_back > 0 {
                    end.push_str(&format!("; lost {held_back} more times since the last warning"));
                }
                LogLine::from(format!("the connection to {place}{text}")).because(error).and(end)
            });
        }
    }

    // ---- channels and the user

    pub(super) fn log_subscribed(&mut self, name: &str, gap: Option<Gap>) {
        self.log_at(Level::Info, |place| {
            let gap = gap.map(|gap| format!(", after a gap of {}", words(gap.length())));
            format!("subscribed to `{name:.200}` at {place}{}", gap.unwrap_or_default()).into()
        });
    }

    /// A subscription failed. Its status says whether it is retried.
    pub(super) fn log_subscription_failure(&mut self, name: &str, error: &Error) {
        let next = match self.channels.get(name).map(|channel| &channel.status) {
            Some(Status::Postponed { until, .. }) => Some(*until),
            _ => None,
        };
        let retry = "; it is retried on the next connection or by subscribe()";
        self.log_failure("the subscription", error, next, retry);
    }

    /// Not as whom: that may be a person.
    pub(super) fn log_signed_in(&mut self) {
        self.log_at(Level::Info, |place| format!("signed in at {place}").into());
    }

    pub(super) fn log_signin_failure(&mut self, error: &Error, next: Option<Duration>) {
        let retry = "; it is retried on the next connection or by signin()";
        self.log_failure("the sign-in", error, next, retry);
    }

    /// The server reported an error that is about nothing known.
    pub(super) fn log_report(&mut self, error: &Error) {
        self.log_failure("a request", error, None, "");
    }

    /// The outbox has begun to drop client events.
    pub(super) fn log_dropped(&mut self, why: impl FnOnce() -> String) {
        let now = self.last_seen.map(|now| now.mono).unwrap_or_default();
        let admitted = self.journal.dropped.admit(now);
        let level = if admitted.is_some() { Level::Warn } else { Level::Debug };
        self.log(level, || {
            format!("{}: client events are dropped, see `Stats::outbox_dropped`", why())
        });
    }

    fn log_failure(&mut self, what: &str, error: &Error, next: Option<Duration>, retry: &str) {
        let now = self.last_seen.map(|now| now.mono).unwrap_or_default();
        let admitted = self.journal.requests.admit(now);
        let level = if admitted.is_some() { Level::Warn } else { Level::Debug };
        self.log_at(level, |place| {
            let mut end = match next {
                Some(next) => format!("; next attempt in {}", words(next.saturating_sub(now))),
                None => retry.to_owned(),
            };
            if let Some(more) = admitted.filter(|&more| more > 0) {
                end.push_str(&format!("; {more} more failures were logged at debug only"));
            }
            LogLine::from(format!("{what} at {place} failed")).because(error).and(end)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_lets_a_burst_pass_and_then_one_a_minute() {
        let seconds = Duration::from_secs;
        let mut one = Throttle::new(1);
        assert_eq!(one.admit(seconds(100)), Some(0));
        assert_eq!(one.admit(seconds(101)), None);
        assert_eq!(one.admit(seconds(159)), None);
        assert_eq!(one.admit(seconds(160)), Some(2));
        assert_eq!(one.admit(seconds(219)), None);
        // A long pause saves up no more than the burst.
        assert_eq!(one.admit(seconds(10_000)), Some(1));
        assert_eq!(one.admit(seconds(10_001)), None);

        let mut three = Throttle::new(3);
        let passed = |throttle: &mut Throttle, from| {
            (0..50_u64).filter(|&at| throttle.admit(seconds(from + at)).is_some()).count()
        };
        assert_eq!(passed(&mut three, 1000), 3);
        assert_eq!(passed(&mut three, 1050), 1);
        assert_eq!(passed(&mut three, 5000), 3);
    }
}
