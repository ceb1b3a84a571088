//! Subscriptions, and the events of channels.

use std::sync::Arc;
use std::time::Duration;

use super::{Cached, Channel, MAX_CHANNELS, State};
use crate::testing::activity::Activity;
use crate::testing::bucket::Bucket;
use crate::testing::encryption;
use crate::testing::frames;
use crate::testing::peer::Step;
use crate::testing::presence::Member;
use crate::testing::user::user_of;
use crate::util::clock;
use crate::wire::{ChannelKind, data_of};

/// How long Pusher keeps the last event of a cache channel.
const CACHE_TIME: Duration = Duration::from_secs(30 * 60);

/// Subscriptions.
impl State {
    /// Subscribes a connection, with a `member` on presence channels. The error is sent to the client.
    pub(in crate::testing) fn subscribe(
        &mut self,
        id: u64,
        name: &str,
        member: Option<Member>,
    ) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if connection.channels.contains(name) {
            return Err(format!("Existing subscription to channel {name}"));
        }
        let channel = self.channels.entry(name.to_owned()).or_default();
        if member.as_ref().is_some_and(|member| !channel.members.may_join(member)) {
            return Err(format!("Channel {name} is full: it has as many members as it can have"));
        }
        connection.channels.insert(name.to_owned());
        let socket_id = &connection.socket_id;
        self.watch.push(|| Activity::Subscribed {
            socket_id: socket_id.clone(),
            channel: name.to_owned(),
        });
        channel.subscribers.insert(id);
        let is_first = channel.subscribers.len() == 1;
        let cached = channel.cached().map(|cached| Arc::clone(&cached.frame));
        let mut frames: Vec<Arc<str>> = Vec::new();
        let mut notification = None;
        if is_first && user_of(name).is_none() {
            self.webhook.push("channel_occupied", name, &[]);
        }
        if let Some(member) = member {
            let added = self.settings.member_added(name, &member);
            let user_id = member.text();
            let is_new = channel.members.join(id, member);
            if is_new {
                self.webhook.push("member_added", name, &[("user_id", Some(user_id.into()))]);
            }
            notification = (is_new || self.settings.repeat_member_added).then_some(added);
            frames.push(self.settings.presence_succeeded(name, &channel.members).into());
        } else {
            frames.push(self.settings.subscription_succeeded(name).into());
        }
        match cached {
            Some(event) => frames.push(event),
            None if is_cache(name) => {
                self.webhook.push("cache_miss", name, &[]);
                frames.push(self.settings.cache_miss(name).into());
            }
            None => {}
        }
        for frame in frames {
            self.send(id, frame);
        }
        if let Some(frame) = notification {
            self.broadcast(name, &frame.into(), Some(id));
        }
        self.send_true_count(name);
        Ok(())
    }

    /// Returns `false` if it was not subscribed.
    pub(in crate::testing) fn unsubscribe(&mut self, id: u64, name: &str) -> bool {
        let subscribed = self
            .connections
            .get_mut(&id)
            .is_some_and(|connection| connection.channels.remove(name));
        if subscribed {
            let socket_id = self.socket_id(id).to_owned();
            self.watch.push(|| Activity::Unsubscribed { socket_id, channel: name.to_owned() });
            self.leave(id, name);
        }
        subscribed
    }

    /// Removes the connection from the channel, after the channel was removed from the connection.
    pub(super) fn leave(&mut self, id: u64, name: &str) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        channel.subscribers.remove(&id);
        let gone = channel.members.leave(id);
        let is_empty = channel.subscribers.is_empty();
        if is_empty && channel.cached.is_none() {
            self.channels.remove(name);
        }
        if let Some(member) = &gone {
            let user_id = Some(member.text().into());
            self.webhook.push("member_removed", name, &[("user_id", user_id)]);
        }
        if is_empty && user_of(name).is_none() {
            self.webhook.push("channel_vacated", name, &[]);
        }
        if let Some(member) = gone {
            let frame = self.settings.member_removed(name, &member);
            self.broadcast(name, &frame.into(), None);
        }
        self.send_true_count(name);
    }

    fn send_true_count(&mut self, name: &str) {
        // Pusher sends it neither on presence channels nor on a user's own channel.
        let uncounted = ChannelKind::of(name) == ChannelKind::Presence || user_of(name).is_some();
        if self.settings.subscription_counts && !uncounted {
            let count = self.subscribers(name).try_into().unwrap_or(u64::MAX);
            self.webhook.push_count(name, count);
            self.send_count(name, count);
        }
    }

    pub(in crate::testing) fn send_count(&mut self, name: &str, count: u64) {
        let frame = self.settings.subscription_count(name, count);
        self.broadcast(name, &frame.into(), None);
    }
}

/// Queries.
impl State {
    pub(in crate::testing) fn subscribers(&self, name: &str) -> usize {
        self.channels.get(name).map_or(0, |channel| channel.subscribers.len())
    }

    /// The names of the channels that have subscribers, except those of users.
    pub(in crate::testing) fn occupied(&self) -> impl Iterator<Item = &str> {
        let occupied = self.channels.iter().filter(|(_, channel)| !channel.subscribers.is_empty());
        occupied.map(|(name, _)| name.as_str()).filter(|name| user_of(name).is_none())
    }

    /// The ids of the members of a presence channel.
    pub(in crate::testing) fn members(&self, name: &str) -> Vec<String> {
        self.channels.get(name).map_or_else(Vec::new, |channel| channel.members.ids())
    }

    /// The data of the last event of a cache channel, and the seconds for which it is kept.
    pub(in crate::testing) fn cached(&self, name: &str) -> Option<(&str, u64)> {
        let cached = self.channels.get(name)?.cached()?;
        Some((&cached.data, CACHE_TIME.saturating_sub(cached.at.elapsed()).as_secs()))
    }
}

impl Channel {
    fn cached(&self) -> Option<&Cached> {
        self.cached.as_ref().filter(|cached| cached.at.elapsed() < CACHE_TIME)
    }
}

/// Events.
impl State {
    /// Publishes an event, encrypted on encrypted channels. Returns the number of receiving connections.
    pub(in crate::testing) fn publish(&mut self, name: &str, event: &str, text: &str) -> usize {
        if !name.starts_with(encryption::PREFIX) {
            return self.publish_plain(name, event, text, None);
        }
        self.keys.encrypt(name, text).map_or(0, |data| self.publish_plain(name, event, &data, None))
    }

    /// `except` is the socket id of a connection that does not receive it.
    pub(in crate::testing) fn publish_plain(
        &mut self,
        name: &str,
        event: &str,
        text: &str,
        except: Option<&str>,
    ) -> usize {
        if self.silent {
            return 0;
        }
        let frame: Arc<str> = frames::published(name, event, text).into();
        if is_cache(name) {
            let cached =
                Cached { frame: Arc::clone(&frame), data: text.to_owned(), at: clock::now() };
            self.make_room_for(name);
            self.channels.entry(name.to_owned()).or_default().cached = Some(cached);
        }
        let except = except.and_then(|socket_id| self.id_of(socket_id));
        let receivers = self.broadcast(name, &frame, except);
        self.watch.push(|| Activity::Published {
            channel: name.to_owned(),
            event: event.to_owned(),
            data: text.to_owned(),
            receivers,
        });
        receivers
    }

    /// Removes the channel without subscribers whose event is the oldest, if there is no room for a new channel.
    fn make_room_for(&mut self, name: &str) {
        if self.channels.len() < MAX_CHANNELS || self.channels.contains_key(name) {
            return;
        }
        let unused = self.channels.iter().filter(|(_, channel)| channel.subscribers.is_empty());
        let cached = unused.filter_map(|(name, channel)| Some((channel.cached.as_ref()?.at, name)));
        if let Some((_, oldest)) = cached.min() {
            let oldest = oldest.clone();
            self.channels.remove(&oldest);
        }
    }

    /// Relays a client event to the other subscribers; `data` is JSON. The error is sent to the client.
    pub(in crate::testing) fn relay(
        &mut self,
        id: u64,
        name: &str,
        event: &str,
        data: Option<&str>,
    ) -> Result<(), &'static str> {
        let connection =
            self.connections.get_mut(&id).filter(|connection| connection.channels.contains(name));
        let Some(connection) = connection else {
            return Err("the connection is not subscribed to the channel");
        };
        let take = |bucket: &mut Bucket| bucket.take(clock::now());
        if !connection.bucket.as_mut().is_none_or(take) {
            return Err("the connection has sent too many in a second");
        }
        let member = self.channels.get(name).and_then(|channel| channel.members.of(id));
        let user_id = member.map(|member| member.id(self.settings.presence));
        let fields = [
            ("event", Some(event.into())),
            ("data", data.map(data_of)),
            ("socket_id", Some(connection.socket_id.as_str().into())),
            ("user_id", member.map(|member| member.text().into())),
        ];
        self.webhook.push("client_event", name, &fields);
        self.watch.push(|| Activity::ClientEvent {
            socket_id: connection.socket_id.clone(),
            channel: name.to_owned(),
            event: event.to_owned(),
            data: data.map(data_of).unwrap_or_default().into_owned(),
        });
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
        let connections = others.filter_map(|id| Some((id, self.connections.get(id)?)));
        let mut count = 0;
        for (id, connection) in connections {
            connection.peer.queue(Step::Send(Arc::clone(frame)));
            self.busy.insert(*id, Arc::clone(&connection.peer));
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
