//! Channels: who is on them, and what goes to whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::State;
use crate::testing::bucket::Bucket;
use crate::testing::encryption;
use crate::testing::frames;
use crate::testing::peer::Step;
use crate::testing::presence::{Member, Members};
use crate::testing::settings::ChannelRefusal;
use crate::testing::signin::user_of;
use crate::util::clock;
use crate::wire::ChannelKind;

#[derive(Default)]
pub(super) struct Channel {
    subscribers: BTreeSet<u64>,
    /// The last event, of a cache channel.
    cached: Option<Arc<str>>,
    /// Of a presence channel.
    members: Members,
}

/// Who joins and leaves.
impl State {
    /// `member` on presence channels. The error is what the client is told.
    pub(in crate::testing) fn subscribe(
        &mut self,
        id: u64,
        name: &str,
        member: Option<Member>,
    ) -> Result<(), String> {
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        if link.channels.contains(name) {
            return Err(format!("Existing subscription to channel {name}"));
        }
        let channel = self.channels.entry(name.to_owned()).or_default();
        if member.as_ref().is_some_and(|member| !channel.members.may_join(member)) {
            return Err(format!("Channel {name} is full: it has as many members as it can have"));
        }
        link.channels.insert(name.to_owned());
        channel.subscribers.insert(id);
        let cached = channel.cached.clone();
        let mut frames: Vec<Arc<str>> = Vec::new();
        let mut news = None;
        if let Some(member) = member {
            let added = self.settings.member_added(name, &member);
            let is_new = channel.members.join(id, member);
            news = (is_new || self.settings.repeat_member_added).then_some(added);
            frames.push(self.settings.presence_succeeded(name, &channel.members).into());
        } else {
            frames.push(self.settings.subscription_succeeded(name).into());
        }
        match cached {
            Some(event) => frames.push(event),
            None if is_cache(name) => frames.push(self.settings.cache_miss(name).into()),
            None => {}
        }
        for frame in frames {
            self.send(id, frame);
        }
        if let Some(news) = news {
            self.broadcast(name, &news.into(), Some(id));
        }
        self.tell_count(name);
        Ok(())
    }

    /// `false`: it was not subscribed.
    pub(in crate::testing) fn unsubscribe(&mut self, id: u64, name: &str) -> bool {
        let subscribed = self.links.get_mut(&id).is_some_and(|link| link.channels.remove(name));
        if subscribed {
            self.leave(id, name);
        }
        subscribed
    }

    /// Takes the connection off the channel's list; it is off the connection's already.
    pub(super) fn leave(&mut self, id: u64, name: &str) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        channel.subscribers.remove(&id);
        let gone = channel.members.leave(id);
        if channel.subscribers.is_empty() && channel.cached.is_none() {
            self.channels.remove(name);
            return;
        }
        if let Some(member) = gone {
            let frame = self.settings.member_removed(name, &member);
            self.broadcast(name, &frame.into(), None);
        }
        self.tell_count(name);
    }

    fn tell_count(&mut self, name: &str) {
        // Members are counted on presence channels, so Pusher does not send this there. A user's own
        // channel has no other subscribers than the user.
        let uncounted = ChannelKind::of(name) == ChannelKind::Presence || user_of(name).is_some();
        if self.settings.subscription_counts && !uncounted {
            self.send_count(name, self.subscribers(name).try_into().unwrap_or(u64::MAX));
        }
    }

    pub(in crate::testing) fn send_count(&mut self, name: &str, count: u64) {
        let frame = self.settings.subscription_count(name, count);
        self.broadcast(name, &frame.into(), None);
    }

    pub(in crate::testing) fn set_refusal(&mut self, name: &str, refusal: Option<ChannelRefusal>) {
        match refusal {
            Some(refusal) => self.refused_channels.insert(name.to_owned(), refusal),
            None => self.refused_channels.remove(name),
        };
    }

    pub(in crate::testing) fn refusal(&self, name: &str) -> Option<ChannelRefusal> {
        self.refused_channels.get(name).copied()
    }

    pub(in crate::testing) fn subscribers(&self, name: &str) -> usize {
        self.channels.get(name).map_or(0, |channel| channel.subscribers.len())
    }
}

/// Events.
impl State {
    /// Publishes as the channel wants it: sealed, if it is encrypted. Tells how many connections it
    /// goes to.
    pub(in crate::testing) fn publish(&mut self, name: &str, event: &str, text: &str) -> usize {
        if !name.starts_with(encryption::PREFIX) {
            return self.publish_plain(name, event, text);
        }
        self.keys.seal(name, text).map_or(0, |sealed| self.publish_plain(name, event, &sealed))
    }

    pub(in crate::testing) fn publish_plain(
        &mut self,
        name: &str,
        event: &str,
        text: &str,
    ) -> usize {
        if self.silent {
            return 0;
        }
        let frame: Arc<str> = frames::published(name, event, text).into();
        if is_cache(name) {
            self.channels.entry(name.to_owned()).or_default().cached = Some(Arc::clone(&frame));
        }
        self.broadcast(name, &frame, None)
    }

    /// Relays a client event to the others; `data` is JSON. The error is what the client is told.
    pub(in crate::testing) fn relay(
        &mut self,
        id: u64,
        name: &str,
        event: &str,
        data: Option<&str>,
    ) -> Result<(), &'static str> {
        let link = self.links.get_mut(&id).filter(|link| link.channels.contains(name));
        let Some(link) = link else {
            return Err("the connection is not subscribed to the channel");
        };
        let take = |bucket: &mut Bucket| bucket.take(clock::now());
        if !link.bucket.as_mut().is_none_or(take) {
            return Err("the connection has sent too many in a second");
        }
        let member = self.channels.get(name).and_then(|channel| channel.members.of(id));
        let user_id = member.map(|member| member.id(self.settings.presence));
        let frame = frames::relayed(name, event, data, user_id.as_ref());
        self.broadcast(name, &frame.into(), Some(id));
        Ok(())
    }

    fn broadcast(&mut self, name: &str, frame: &Arc<str>, except: Option<u64>) -> usize {
        let Some(channel) = self.channels.get(name) else {
            return 0;
        };
        if self.silent {
            return 0;
        }
        let others = channel.subscribers.iter().filter(|id| except != Some(**id));
        let links = others.filter_map(|id| Some((id, self.links.get(id)?)));
        let mut count = 0;
        for (id, link) in links {
            link.peer.queue(Step::Send(Arc::clone(frame)));
            self.busy.insert(*id, Arc::clone(&link.peer));
            count += 1;
        }
        count
    }
}

fn is_cache(name: &str) -> bool {
    ["cache-", "private-cache-", "private-encrypted-cache-", "presence-cache-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
