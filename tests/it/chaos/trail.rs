//! What a consumer received of one channel, compared with what it was promised.
//!
//! The promise: from each confirmation (`pusher:subscription_succeeded`) on, until the connection is
//! lost or the user unsubscribes, the numbers come without a hole. Over the whole time none comes
//! twice and none after a higher one; only a cache channel repeats its last event, right after a
//! confirmation. Every confirmation after the first of a period in which the channel was wanted is
//! announced by a gap.

use std::fmt;

/// How often the promise was broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// Gaps that were not announced, or announced without need.
    pub(crate) gaps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Not confirmed: what comes is of an earlier subscription, and anything may be missing.
    Early,
    /// Just confirmed.
    Any,
    Exactly(u64),
}

pub(crate) struct Trail {
    name: String,
    /// Its last event is repeated with each confirmation.
    cache: bool,
    next: Next,
    /// What has come, as runs without a hole: first and last.
    runs: Vec<(u64, u64)>,
    /// In this period.
    confirmations: u64,
    resumed: u64,
    pub(crate) received: u64,
    pub(crate) all_confirmations: u64,
    pub(crate) all_resumed: u64,
    pub(crate) broken: Broken,
    /// In words; the first few.
    pub(crate) faults: Vec<String>,
}

impl Trail {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cache: name.contains("cache-"),
            next: Next::Early,
            runs: Vec::new(),
            confirmations: 0,
            resumed: 0,
            received: 0,
            all_confirmations: 0,
            all_resumed: 0,
            broken: Broken::default(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.runs.last().map_or(0, |&(_, last)| last)
    }

    /// Whether all of these have come.
    pub(crate) fn has(&self, first: u64, last: u64) -> bool {
        self.runs.last().is_some_and(|run| run.0 <= first && run.1 == last)
    }

    pub(crate) fn confirmed(&mut self) {
        self.confirmations += 1;
        self.all_confirmations += 1;
        self.next = Next::Any;
    }

    pub(crate) fn resumed(&mut self) {
        self.resumed += 1;
        self.all_resumed += 1;
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.received += 1;
        let last = self.last();
        let repeats = self.cache && number == last && !matches!(self.next, Next::Exactly(_));
        if number > last {
            if let Next::Exactly(next) = self.next {
                if number > next {
                    self.broken.lost += number - next;
                    self.fault(format_args!("{next} to {} are missing", number - 1));
                }
            }
            match self.runs.last_mut() {
                Some(run) if number == run.1 + 1 => run.1 = number,
                _ => self.runs.push((number, number)),
            }
        } else if !repeats {
            let seen = self.runs.iter().any(|&(first, last)| (first..=last).contains(&number));
            match seen {
                true => self.broken.duplicated += 1,
                false => self.broken.reordered += 1,
            }
            self.fault(format_args!("{number} after {last}"));
            return;
        }
        if self.next != Next::Early {
            self.next = Next::Exactly(number + 1);
        }
    }

    /// The user wants the channel no more. A channel that has never been given up has all its
    /// confirmations counted exactly; on others the response to an earlier subscription may still come
    /// and confirm too soon.
    pub(crate) fn period_ends(&mut self, exact: bool) {
        let needed = self.confirmations.saturating_sub(1);
        let right = if exact { self.resumed == needed } else { self.resumed <= needed };
        if !right {
            self.broken.gaps += self.resumed.abs_diff(needed);
            let (gaps, confirmations) = (self.resumed, self.confirmations);
            self.fault(format_args!("{gaps} gaps reported with {confirmations} confirmations"));
        }
        self.confirmations = 0;
        self.resumed = 0;
        self.next = Next::Early;
    }

    /// Anything else that must not be.
    pub(crate) fn fault(&mut self, what: impl fmt::Display) {
        if self.faults.len() < 5 {
            self.faults.push(format!("{}: {what}", self.name));
        }
    }
}
