//! The outbox: client events that wait until their channel is subscribed and the rate limit allows them.
//!
//! An event leaves it when its frame is output, so it is sent at most once: the client does not learn what of the
//! frames of a lost connection has arrived.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use super::Machine;
use super::trigger::Bucket;
use crate::model::event::ChannelName;
use crate::protocol::{Now, frame};
use crate::util::units;
use crate::{ChannelStatus, Error, ErrorKind};

/// The most bytes of frames that are sent at once, and then in a second, whatever the rate limit: a fraction of what the
/// transport holds for a peer that does not read.
const PACE: u32 = 1024 * 1024;

/// Where an event has to wait for the rate or the pace, the next ones are sent so much later, together.
const PAUSE: Duration = Duration::from_millis(10);

/// What may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutboxLimits {
    pub(crate) count: usize,
    /// The bytes of the names and the data.
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

struct Waiting {
    channel: ChannelName,
    frame: String,
    bytes: usize,
    /// When it was triggered, by [`Now::elapsed`].
    since: Duration,
}

#[derive(Debug)]
pub(super) struct Outbox {
    limits: OutboxLimits,
    /// By their numbers, which count the calls of `trigger`.
    events: BTreeMap<u64, Waiting>,
    /// The numbers of each channel's events.
    lines: BTreeMap<ChannelName, VecDeque<u64>>,
    /// The numbers of the events of channels that are subscribed.
    ready: BTreeSet<u64>,
    bytes: usize,
    last: u64,
    dropped: u64,
    /// Events were dropped, and it has not been empty since.
    is_dropping: bool,
    pace: Bucket,
    /// The end of the last pause.
    paused_until: Duration,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({} bytes)", self.bytes)
    }
}

impl Outbox {
    pub(super) fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            events: BTreeMap::new(),
            lines: BTreeMap::new(),
            ready: BTreeSet::new(),
            bytes: 0,
            last: 0,
            dropped: 0,
            is_dropping: false,
            pace: Bucket::new(PACE),
            paused_until: Duration::ZERO,
        }
    }

    /// Takes an event that is not larger than the limit. Drops the oldest ones that do not fit beside it, and returns
    /// their number.
    fn push(&mut self, event: Waiting, is_ready: bool) -> usize {
        let Self { limits, .. } = *self;
        let left = limits.bytes.saturating_sub(event.bytes);
        let dropped =
            self.drop_while(|outbox, _| outbox.events.len() >= limits.count || outbox.bytes > left);
        self.last += 1;
        self.bytes += event.bytes;
        self.lines.entry(event.channel.clone()).or_default().push_back(self.last);
        if is_ready {
            self.ready.insert(self.last);
        }
        self.events.insert(self.last, event);
        dropped
    }

    /// Drops the oldest events as long as this holds, and returns their number.
    fn drop_while(&mut self, mut holds: impl FnMut(&Self, &Waiting) -> bool) -> usize {
        let mut dropped = 0;
        while let Some((&number, oldest)) = self.events.first_key_value() {
            if !holds(self, oldest) {
                break;
            }
            self.remove(number);
            dropped += 1;
        }
        self.dropped += dropped as u64;
        dropped
    }

    fn drop_expired(&mut self, now: Now) -> usize {
        let age = self.limits.age;
        self.drop_while(|_, event| now.elapsed().saturating_sub(event.since) > age)
    }

    /// Drops what waits for this channel, and returns the number of events.
    fn drop_line(&mut self, channel: &str) -> usize {
        let line = self.lines.get(channel).cloned().unwrap_or_default();
        for &number in &line {
            self.remove(number);
        }
        self.dropped += line.len() as u64;
        line.len()
    }

    /// Removes an event, which is the oldest of its channel.
    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let event = self.events.remove(&number)?;
        self.ready.remove(&number);
        self.bytes -= event.bytes;
        if let Some(line) = self.lines.get_mut(&event.channel) {
            line.pop_front();
            if line.is_empty() {
                self.lines.remove(&event.channel);
            }
        }
        Some(event)
    }

    fn subscribed(&mut self, channel: &str) {
        self.ready.extend(self.lines.get(channel).into_iter().flatten());
    }

    /// Returns the event that is sent next.
    fn first_ready(&self) -> Option<&Waiting> {
        self.events.get(self.ready.first()?)
    }

    fn pop_ready(&mut self, now: Now) -> Option<Waiting> {
        let number = *self.ready.first()?;
        let event = self.remove(number)?;
        self.pace.take(event.cost(), now.mono);
        Some(event)
    }
}

impl Waiting {
    /// What it takes of the pace.
    fn cost(&self) -> u32 {
        u32::try_from(self.frame.len()).map_or(PACE, |bytes| bytes.min(PACE))
    }
}

impl Machine {
    /// Returns how many events wait, and how many were dropped since the client was built.
    pub(crate) fn outbox_counts(&mut self, now: Now) -> (u64, u64) {
        self.expire_outbox(now);
        self.outbox.as_ref().map_or((0, 0), |outbox| (outbox.events.len() as u64, outbox.dropped))
    }

    /// Returns how many events were dropped, and how many wait for each channel.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn outbox_lines(&self) -> (u64, BTreeMap<ChannelName, u64>) {
        let Some(outbox) = &self.outbox else {
            return Default::default();
        };
        let line = |(name, line): (&ChannelName, &VecDeque<u64>)| (name.clone(), line.len() as u64);
        (outbox.dropped, outbox.lines.iter().map(line).collect())
    }

    /// Returns `true` if an event for this channel may wait. None may if the subscription was refused: only the user
    /// can mend that. A time-out is no refusal.
    pub(super) fn has_outbox_for(&self, channel: &str) -> bool {
        if self.outbox.is_none() || self.is_closed() {
            return false;
        }
        match self.channel_status(channel) {
            ChannelStatus::Idle | ChannelStatus::Unsubscribed => false,
            ChannelStatus::Pending | ChannelStatus::Subscribed => true,
            ChannelStatus::Failed => {
                self.channel_failure(channel).is_some_and(|error| error.is_timeout())
            }
        }
    }

    /// Sends the event, or keeps it. It overtakes none that may be sent before it.
    pub(super) fn send_or_keep(
        &mut self,
        channel: &str,
        event: &str,
        data: &str,
        now: Now,
    ) -> Result<(), Error> {
        self.send_outbox(now);
        let is_subscribed = self.channel_status(channel) == ChannelStatus::Subscribed;
        let frame = frame::client_event(channel, event, data);
        if is_subscribed && self.next_in_outbox().is_none() && self.take_token(now) {
            self.send_client_event(frame, now);
            return Ok(());
        }
        let (Some(outbox), Some(name)) = (&mut self.outbox, self.channels.name(channel)) else {
            return Ok(());
        };
        let bytes = channel.len() + event.len() + data.len();
        let OutboxLimits { count, bytes: limit, .. } = outbox.limits;
        if bytes > limit {
            let message = format!(
                "a client event that waits must have at most {limit} bytes, but has {bytes}; raise `max_bytes` of the \
                 outbox"
            );
            return Err(Error::message(ErrorKind::TooLarge, message));
        }
        let since = now.elapsed();
        let event = Waiting { channel: name, frame, bytes, since };
        let dropped = outbox.push(event, is_subscribed);
        self.report_dropped(dropped, || {
            format!("the outbox is full (limits are {count} events and {limit} bytes)")
        });
        Ok(())
    }

    /// Sends what may be sent by now.
    pub(super) fn send_outbox(&mut self, now: Now) {
        self.expire_outbox(now);
        let is_due = self.outbox_deadline().is_some_and(|at| at <= now.mono);
        while is_due && self.outbox_allowed_at().is_some_and(|at| at <= now.mono) {
            self.send_next(now);
        }
        if let Some(outbox) = &mut self.outbox {
            if is_due && !outbox.ready.is_empty() {
                outbox.paused_until = now.mono.saturating_add(PAUSE);
            }
            outbox.is_dropping &= !outbox.events.is_empty();
        }
    }

    fn send_next(&mut self, now: Now) {
        if let Some(event) = self.outbox.as_mut().and_then(|outbox| outbox.pop_ready(now)) {
            self.take_token(now);
            self.send_client_event(event.frame, now);
        }
    }

    /// Returns when the next events are sent. Age has no deadline: what is too old is dropped when the machine is
    /// called for another reason.
    pub(super) fn outbox_deadline(&self) -> Option<Duration> {
        let paused_until = self.outbox.as_ref()?.paused_until;
        self.outbox_allowed_at().map(|at| at.max(paused_until))
    }

    /// Returns when the rate and the pace allow the next event.
    fn outbox_allowed_at(&self) -> Option<Duration> {
        let (outbox, event) = self.next_in_outbox()?;
        let allowed = self.bucket.as_ref().map_or(Some(Duration::ZERO), |it| it.ready_at(1))?;
        Some(allowed.max(outbox.pace.ready_at(event.cost())?))
    }

    fn next_in_outbox(&self) -> Option<(&Outbox, &Waiting)> {
        let outbox = self.outbox.as_ref()?;
        Some((outbox, outbox.first_ready()?))
    }

    /// The channel is subscribed.
    pub(super) fn open_outbox(&mut self, channel: &str, now: Now) {
        if let Some(outbox) = &mut self.outbox {
            outbox.subscribed(channel);
            self.send_outbox(now);
        }
    }

    /// No channel is subscribed any more.
    pub(super) fn hold_outbox(&mut self) {
        if let Some(outbox) = &mut self.outbox {
            outbox.ready.clear();
        }
    }

    /// The user does not want the channel any more.
    pub(super) fn discard_line(&mut self, channel: &str) {
        if let Some(outbox) = &mut self.outbox {
            outbox.drop_line(channel);
        }
    }

    /// The client is closed.
    pub(super) fn discard_outbox(&mut self) {
        if let Some(outbox) = &mut self.outbox {
            outbox.drop_while(|_, _| true);
        }
    }

    /// The subscription has failed. After a time-out it is tried again on the next connection.
    pub(super) fn refuse_line(&mut self, channel: &str, error: &Error) {
        if let Some(outbox) = self.outbox.as_mut().filter(|_| !error.is_timeout()) {
            let dropped = outbox.drop_line(channel);
            self.report_dropped(dropped, || format!("the subscription to `{channel:.200}` failed"));
        }
    }

    fn expire_outbox(&mut self, now: Now) {
        if let Some(outbox) = &mut self.outbox {
            let age = outbox.limits.age;
            let dropped = outbox.drop_expired(now);
            self.report_dropped(dropped, || {
                format!(
                    "client events have waited in the outbox for more than {}",
                    units::words(age)
                )
            });
        }
    }

    /// Logs the first ones that are dropped until the outbox is empty again; [`Self::outbox_counts`] has the number.
    fn report_dropped(&mut self, dropped: usize, why: impl FnOnce() -> String) {
        let Some(outbox) = self.outbox.as_mut().filter(|_| dropped > 0) else {
            return;
        };
        if !std::mem::replace(&mut outbox.is_dropping, true) {
            self.log_dropped(why);
        }
    }
}
