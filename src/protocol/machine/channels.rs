//! The table of the channels, with what follows from the status of each.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::channel::{Channel, Sent, Status};
#[cfg(feature = "encrypted")]
use super::decrypt_queue::DecryptQueue;
use super::mentions::mentions_odd;
use super::window::{Request, Window};
use crate::model::event::ChannelName;
use crate::model::members::Members;
use crate::protocol::Now;
use crate::util::give_back::GiveBack;
use crate::wire::{ChannelKind, check_channel};
use crate::{Auth, ChannelStatus, Error};

/// A confirmation of a channel that was not subscribed.
pub(super) struct Confirmed {
    /// When it was lost, if it was subscribed before.
    pub(super) lost_at: Option<Now>,
}

#[derive(Debug, Default)]
pub(super) struct Channels {
    table: HashMap<ChannelName, Channel>,
    /// The deadlines as they were when they were noted. Those that have changed since are skipped.
    due: BTreeSet<(Duration, ChannelName)>,
    next_order: u64,
    window: Window,
    /// The pending channels with an authorization.
    authorized: BTreeSet<ChannelName>,
    /// The pending channels with names that break the rules of Pusher.
    odd: BTreeSet<ChannelName>,
}

impl Channels {
    /// Marks the channel as wanted. Returns `true` if it is to be joined.
    pub(super) fn want(&mut self, name: &str) -> bool {
        let order = self.next_order;
        self.next_order += 1;
        let channel = self.table.entry(name.into()).or_insert_with(|| Channel::new(name));
        if !channel.wanted {
            channel.wanted = true;
            channel.order = order;
        }
        matches!(channel.status, Status::Idle | Status::Postponed { .. } | Status::Failed(_))
    }

    /// Marks the channel as not wanted. Returns `true` if an unsubscribe frame is to be sent.
    pub(super) fn unwant(&mut self, name: &str) -> bool {
        let Some(status) = self.replace(name, Status::Idle) else {
            return false;
        };
        let Some(channel) = self.get_mut(name) else {
            return false;
        };
        channel.wanted = false;
        channel.lost_at = None;
        // What waits to be decrypted is not wanted either.
        #[cfg(feature = "encrypted")]
        {
            channel.decrypt_queue = DecryptQueue::default();
        }
        let was_sent = channel.was_sent;
        channel.reset();
        match status {
            Status::Idle
            | Status::Authorizing(_)
            | Status::Postponed { .. }
            | Status::AwaitingUser { .. }
            | Status::Waiting(_) => false,
            Status::Sent(_) | Status::Subscribed => true,
            // Without a response the server may have it all the same.
            Status::Failed(error) => was_sent && error.is_timeout(),
        }
    }

    /// Forgets the channel, unless it is wanted.
    pub(super) fn retire(&mut self, name: &str) {
        if self.table.get(name).is_some_and(|channel| !channel.wanted) {
            self.table.remove(name);
        }
    }

    /// Gives back what many channels have left that are retired.
    pub(super) fn give_back(&mut self) {
        self.table.give_back();
    }

    /// Returns the wanted channels in the order of the calls of `subscribe`.
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

    /// Returns a channel if it is wanted.
    pub(super) fn get(&self, name: &str) -> Option<&Channel> {
        self.table.get(name).filter(|channel| channel.wanted)
    }

    /// Returns a channel if it is wanted. [`Self::set`] changes its status.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Channel> {
        self.table.get_mut(name).filter(|channel| channel.wanted)
    }

    /// Returns the shared name.
    pub(super) fn name(&self, name: &str) -> Option<ChannelName> {
        self.table.get_key_value(name).map(|(name, _)| name.clone())
    }

    pub(super) fn set(&mut self, name: &str, status: Status) {
        self.replace(name, status);
        self.note_deadline(name);
    }

    /// Every change of a wanted channel's status passes here, but for the loss of the connection: what is
    /// counted of the subscribe frames follows from it.
    fn replace(&mut self, name: &str, status: Status) -> Option<Status> {
        let name = self.name(name)?;
        let channel = self.table.get_mut(&name).filter(|channel| channel.wanted)?;
        let kind = channel.kind;
        if let Status::Sent(sent) = &status {
            channel.was_sent = true;
            self.window.sent(sent.bytes);
        }
        let is_sent = matches!(status, Status::Sent(_));
        let old = std::mem::replace(&mut channel.status, status);
        match &old {
            Status::Waiting(number) => self.window.cancel(*number),
            Status::Sent(sent) => {
                self.window.responded(sent.bytes);
                self.authorized.remove(&name);
                self.odd.remove(&name);
            }
            _ => {}
        }
        if is_sent {
            if check_channel(&name, kind, true).is_err() {
                self.odd.insert(name.clone());
            }
            if kind != ChannelKind::Public {
                self.authorized.insert(name);
            }
        }
        Some(old)
    }

    /// Returns `true` if a subscribe frame of this size may be sent now.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.window.has_room(bytes)
    }

    /// Makes the request wait until the server has responded to others.
    pub(super) fn wait(&mut self, name: &str, request: Request) {
        if let Some(shared) = self.name(name) {
            let number = self.window.wait(shared, request);
            self.set(name, Status::Waiting(number));
        }
    }

    /// Returns the request that may be sent next, if there is one.
    pub(super) fn next_waiting(&mut self) -> Option<(ChannelName, Request)> {
        self.window.next()
    }

    /// Returns the frame of a presence channel that is pending, once for each subscription.
    pub(super) fn take_again(&mut self, name: &str) -> Option<Request> {
        match &mut self.get_mut(name)?.status {
            Status::Sent(sent) => sent.again.take(),
            _ => None,
        }
    }

    /// Takes this error for the response, unless the server confirms the subscription before `until`.
    pub(super) fn suspect(&mut self, name: &str, error: Error, until: Duration) {
        if let Some(Status::Sent(sent)) = self.get_mut(name).map(|channel| &mut channel.status) {
            sent.deadline = sent.deadline.min(until);
            sent.suspect = Some(error);
            self.note_deadline(name);
        }
    }

    /// Must be called after every change of a deadline of the channel.
    pub(super) fn note_deadline(&mut self, name: &str) {
        if let Some((name, channel)) = self.table.get_key_value(name) {
            if let Some(deadline) = channel.deadline() {
                self.due.insert((deadline, name.clone()));
            }
        }
    }

    /// The server confirms the subscription. Returns `None` if the channel is not wanted, or is subscribed already.
    pub(super) fn confirm(&mut self, name: &str) -> Option<Confirmed> {
        if matches!(self.get(name)?.status, Status::Subscribed) {
            return None;
        }
        self.replace(name, Status::Subscribed);
        let channel = self.get_mut(name)?;
        channel.last_failure = None;
        Some(Confirmed { lost_at: channel.lost_at.take() })
    }

    /// The subscription has failed. Returns `false` if nothing has been done for it.
    pub(super) fn fail(&mut self, name: &str, error: &Error) -> bool {
        let channel = self.get_mut(name).filter(|it| !matches!(it.status, Status::Idle));
        let Some(channel) = channel else { return false };
        channel.members = Members::default();
        self.replace(name, Status::Failed(error.clone()));
        true
    }

    /// Keeps the failure for those who wait for the subscription.
    pub(super) fn note_failure(&mut self, name: &str, error: &Error) {
        if let Some(channel) = self.get_mut(name) {
            channel.last_failure = Some(error.clone());
        }
    }

    pub(super) fn last_failure(&self, name: &str) -> Option<Error> {
        self.get(name)?.last_failure.clone()
    }

    /// Returns `true` if a channel with an authorization is pending.
    pub(super) fn has_pending_authorized(&self) -> bool {
        !self.authorized.is_empty()
    }

    /// Returns the pending channel with an authorization, if there is exactly one.
    pub(super) fn only_pending_authorized(&self) -> Option<ChannelName> {
        self.authorized.first().filter(|_| self.authorized.len() == 1).cloned()
    }

    /// Returns the pending channel that the text names, if its name breaks the rules of Pusher.
    pub(super) fn odd_pending_in(&self, text: &str) -> Option<ChannelName> {
        let named = self.odd.iter().filter(|name| mentions_odd(text, name));
        named.max_by_key(|name| name.len()).cloned()
    }

    /// Returns the presence channels whose authorizer leaves it to the signed-in user, with its responses, in the order
    /// of the calls of `subscribe`.
    pub(super) fn left_to_the_user(&self) -> Vec<(ChannelName, Auth)> {
        let mut left: Vec<_> = (self.table.iter())
            .filter_map(|(name, channel)| match &channel.status {
                Status::AwaitingUser { auth, .. } => Some((channel.order, name, auth)),
                _ => None,
            })
            .collect();
        left.sort_unstable_by_key(|&(order, ..)| order);
        left.into_iter().map(|(_, name, auth)| (name.clone(), (**auth).clone())).collect()
    }

    /// Returns `true` if no subscribe frame has been sent yet, so that what the server says is about an earlier one.
    pub(super) fn is_unsent(&self, name: &str) -> bool {
        self.get(name).is_some_and(|channel| !channel.was_sent)
    }

    /// Returns the subscribe frame of a pending channel.
    pub(super) fn pending(&self, name: &str) -> Option<&Sent> {
        match &self.get(name)?.status {
            Status::Sent(sent) => Some(sent),
            _ => None,
        }
    }

    /// Returns `true` if the user has or had anything to do with the channel.
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Keeps the subscription count.
    pub(super) fn set_count(&mut self, name: &str, count: u64) -> Option<ChannelName> {
        self.get_mut(name)?.count = Some(count);
        self.name(name)
    }

    /// The connection is gone; `last_sign` is when it was last heard of.
    pub(super) fn connection_lost(&mut self, last_sign: Now) {
        self.due.clear();
        self.window = Window::default();
        self.authorized.clear();
        self.odd.clear();
        for channel in self.table.values_mut() {
            if let Status::Subscribed = channel.reset() {
                channel.lost_at = Some(last_sign);
            }
        }
    }

    /// Returns the first deadline.
    pub(super) fn deadline(&mut self) -> Option<Duration> {
        while let Some((deadline, name)) = self.due.first() {
            let is_so = |channel: &Channel| channel.deadline() == Some(*deadline);
            if self.get(name).is_some_and(is_so) {
                return Some(*deadline);
            }
            self.due.pop_first();
        }
        None
    }

    /// Returns a channel with a deadline that has passed, once for each.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<ChannelName> {
        let deadline = self.deadline()?;
        if deadline > now {
            return None;
        }
        self.due.pop_first().map(|(_, name)| name)
    }

    /// Returns `true` if the user may see events of this channel. One that was unsubscribed is silent at once; those of
    /// an unknown one are delivered.
    pub(super) fn is_audible(&self, name: &str) -> bool {
        match self.table.get(name) {
            Some(channel) => channel.wanted,
            // What should be encrypted is never delivered unencrypted.
            None => ChannelKind::of(name) != ChannelKind::PrivateEncrypted,
        }
    }

    pub(super) fn status(&self, name: &str) -> ChannelStatus {
        let Some(channel) = self.table.get(name) else {
            return ChannelStatus::Idle;
        };
        match &channel.status {
            _ if !channel.wanted => ChannelStatus::Unsubscribed,
            Status::Subscribed => ChannelStatus::Subscribed,
            Status::Failed(_) => ChannelStatus::Failed,
            Status::Idle
            | Status::Authorizing(_)
            | Status::Postponed { .. }
            | Status::AwaitingUser { .. }
            | Status::Waiting(_)
            | Status::Sent(_) => ChannelStatus::Pending,
        }
    }

    /// Returns why the subscription has failed.
    pub(super) fn failure(&self, name: &str) -> Option<Error> {
        match &self.table.get(name)?.status {
            Status::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.table.get(name)?.count
    }

    pub(super) fn members(&self, name: &str) -> Members {
        self.table.get(name).map(|channel| channel.members.clone()).unwrap_or_default()
    }
}
