//! The channels: what the user wants, apart from what the server has confirmed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Now;
use crate::event::ChannelName;
use crate::{ChannelStatus, Error};

#[derive(Debug)]
struct Channel {
    /// What the user wants, whatever has become of it.
    wanted: bool,
    status: Status,
    /// Subscriptions are repeated in the order in which they were first asked for.
    order: u64,
    count: Option<u64>,
    /// When the last connection that had it subscribed gave its last sign of life.
    lost_at: Option<Now>,
}

/// What the present connection has made of it.
#[derive(Debug)]
enum Status {
    /// Nothing was sent on it.
    Idle,
    /// The subscribe frame is out; the answer is due at the deadline.
    Sent(Duration),
    Subscribed,
    Failed(Error),
}

/// What became of a confirmation.
pub(super) struct Confirmed {
    /// Since when it had been lost, if it had been subscribed before.
    pub(super) lost_at: Option<Now>,
}

#[derive(Debug, Default)]
pub(super) struct Channels {
    table: HashMap<ChannelName, Channel>,
    /// The answers that are due. All wait equally long, so the first is the earliest.
    due: VecDeque<(Duration, ChannelName)>,
    next_order: u64,
}

impl Channels {
    /// Wants the channel from now on. Tells whether a subscribe frame is called for.
    pub(super) fn want(&mut self, name: &str) -> bool {
        let order = self.next_order;
        self.next_order += 1;
        let channel = self.table.entry(name.into()).or_insert_with(|| Channel {
            wanted: false,
            status: Status::Idle,
            order,
            count: None,
            lost_at: None,
        });
        if !channel.wanted {
            channel.wanted = true;
            channel.order = order;
        }
        matches!(channel.status, Status::Idle | Status::Failed(_))
    }

    /// Wants the channel no more. Tells whether an unsubscribe frame is called for.
    pub(super) fn unwant(&mut self, name: &str) -> bool {
        let Some(channel) = self.table.get_mut(name) else {
            return false;
        };
        if !channel.wanted {
            return false;
        }
        channel.wanted = false;
        channel.count = None;
        channel.lost_at = None;
        let status = std::mem::replace(&mut channel.status, Status::Idle);
        match status {
            Status::Idle => false,
            Status::Sent(_) | Status::Subscribed => true,
            // No answer is no refusal: the server may have it all the same.
            Status::Failed(error) => error.is_timeout(),
        }
    }

    /// Forgets the channel, unless it is wanted.
    pub(super) fn retire(&mut self, name: &str) {
        if self.table.get(name).is_some_and(|channel| !channel.wanted) {
            self.table.remove(name);
        }
    }

    /// The wanted channels, in the order in which they were asked for.
    pub(super) fn wanted(&self) -> Vec<ChannelName> {
        let mut wanted: Vec<_> = self
            .table
            .iter()
            .filter(|(_, channel)| channel.wanted)
            .map(|(name, channel)| (channel.order, name.clone()))
            .collect();
        wanted.sort_unstable_by_key(|&(order, _)| order);
        wanted.into_iter().map(|(_, name)| name).collect()
    }

    /// Notes that the subscribe frame is out.
    pub(super) fn sent(&mut self, name: &str, deadline: Duration) {
        if let Some((name, channel)) = get_mut(&mut self.table, name) {
            channel.status = Status::Sent(deadline);
            self.due.push_back((deadline, name));
        }
    }

    /// The server confirms. `None`: the channel is not wanted, or was confirmed already.
    pub(super) fn confirm(&mut self, name: &str) -> Option<Confirmed> {
        let channel = self.table.get_mut(name)?;
        if !channel.wanted || matches!(channel.status, Status::Subscribed) {
            return None;
        }
        channel.status = Status::Subscribed;
        Some(Confirmed { lost_at: channel.lost_at.take() })
    }

    /// The server refuses, or has not answered. `None`: nothing was asked of it.
    pub(super) fn fail(&mut self, name: &str, error: &Error) -> Option<ChannelName> {
        let (name, channel) = get_mut(&mut self.table, name)?;
        if !channel.wanted || matches!(channel.status, Status::Idle) {
            return None;
        }
        channel.status = Status::Failed(error.clone());
        Some(name)
    }

    /// Whether an answer about the channel is due.
    pub(super) fn is_pending(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|channel| matches!(channel.status, Status::Sent(_)))
    }

    /// Keeps the count that the server tells.
    pub(super) fn set_count(&mut self, name: &str, count: u64) -> Option<ChannelName> {
        let (name, channel) = get_mut(&mut self.table, name)?;
        if !channel.wanted {
            return None;
        }
        channel.count = Some(count);
        Some(name)
    }

    /// The connection is gone; `last_sign` is when it was last heard of.
    pub(super) fn connection_lost(&mut self, last_sign: Now) {
        self.due.clear();
        for channel in self.table.values_mut() {
            if matches!(channel.status, Status::Subscribed) {
                channel.lost_at = Some(last_sign);
            }
            channel.status = Status::Idle;
            channel.count = None;
        }
    }

    /// When the first answer that is still missing is due.
    pub(super) fn deadline(&mut self) -> Option<Duration> {
        while let Some((deadline, name)) = self.due.front() {
            if self.is_due(name, *deadline) {
                return Some(*deadline);
            }
            self.due.pop_front();
        }
        None
    }

    /// A channel whose answer has not come in time.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<ChannelName> {
        let deadline = self.deadline()?;
        if deadline > now {
            return None;
        }
        self.due.pop_front().map(|(_, name)| name)
    }

    fn is_due(&self, name: &str, at: Duration) -> bool {
        self.table.get(name).is_some_and(
            |channel| matches!(channel.status, Status::Sent(deadline) if deadline == at),
        )
    }

    /// Whether the user may see events of this channel: one that was unsubscribed is silent at once,
    /// one that is not known here is the server's own affair.
    pub(super) fn is_audible(&self, name: &str) -> bool {
        self.table.get(name).is_none_or(|channel| channel.wanted)
    }

    pub(super) fn status(&self, name: &str) -> ChannelStatus {
        let Some(channel) = self.table.get(name) else {
            return ChannelStatus::Idle;
        };
        match &channel.status {
            _ if !channel.wanted => ChannelStatus::Unsubscribed,
            Status::Idle | Status::Sent(_) => ChannelStatus::Pending,
            Status::Subscribed => ChannelStatus::Subscribed,
            Status::Failed(_) => ChannelStatus::Failed,
        }
    }

    /// Why the subscription failed, if it did.
    pub(super) fn failure(&self, name: &str) -> Option<Error> {
        match &self.table.get(name)?.status {
            Status::Failed(error) => Some(error.clone()),
            Status::Idle | Status::Sent(_) | Status::Subscribed => None,
        }
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.table.get(name)?.count
    }
}

fn get_mut<'a>(
    table: &'a mut HashMap<ChannelName, Channel>,
    name: &str,
) -> Option<(ChannelName, &'a mut Channel)> {
    let name = table.get_key_value(name)?.0.clone();
    let channel = table.get_mut(&name)?;
    Some((name, channel))
}
