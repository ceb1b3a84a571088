//! Handles received frames, and responds to pings.

use log::Level;

use super::channel::{Channel, Status};
use super::connection::Phase;
use crate::protocol::frame;
use crate::protocol::frame::{Established, Refusal};
use crate::protocol::presence;
use crate::protocol::{
    ChannelNotification, LogLine, Machine, Notification, Now, USER_CHANNEL_PREFIX,
};
use crate::wire::ChannelKind;
use crate::wire::{number, pick};
use crate::{Error, ErrorKind, Event};

impl Machine {
    /// A frame that is an event.
    pub(crate) fn handle_event(&mut self, generation: u64, event: Event, now: Now) {
        self.observe(now);
        if !self.is_current(generation) {
            return;
        }
        match &mut self.phase {
            Phase::Opening { .. } => self.handle_establishment(&event, now),
            Phase::Live(live) => {
                live.received(now);
                if is_of_the_protocol(event.name()) {
                    self.handle_protocol_event(event, now);
                } else {
                    self.handle_user_event(event, now);
                }
            }
            _ => {}
        }
    }

    /// A frame that is no event at all.
    pub(crate) fn handle_malformed(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if !self.is_current(generation) {
            return;
        }
        if let Some(live) = self.phase.live_mut() {
            live.received(now);
        }
        self.log_line(Level::Debug, || LogLine::from("ignored a frame".to_owned()).because(&error));
        self.notify(Notification::Error(error));
    }

    /// Before the establishment an error frame is the refusal, even if no close follows it.
    fn handle_establishment(&mut self, event: &Event, now: Now) {
        match event.name() {
            "pusher:connection_established" => match Established::parse(event) {
                Ok(established) => self.establish(established, now),
                Err(error) => {
                    self.notify(Notification::Error(error.clone()));
                    self.abandon(error, now);
                }
            },
            "pusher:error" => {
                let error = Refusal::parse(event).of_connection();
                self.notify(Notification::Error(error.clone()));
                self.abandon(error, now);
            }
            name => {
                let text = format!("ignored {name:.60} before pusher:connection_established");
                self.log(Level::Debug, || text);
            }
        }
    }

    fn handle_protocol_event(&mut self, event: Event, now: Now) {
        match event.name() {
            "pusher:ping" => self.send(frame::PONG.to_owned(), now),
            "pusher:pong" => self.ponged(now),
            "pusher:error" => self.handle_error(event, now),
            "pusher:subscription_error" | "pusher_internal:subscription_error" => {
                self.handle_subscription_error(event, now);
            }
            "pusher_internal:subscription_succeeded" => self.handle_confirmation(event, now),
            "pusher_internal:subscription_count" => self.handle_count(event),
            "pusher_internal:member_added" => self.handle_member_added(event),
            "pusher_internal:member_removed" => self.handle_member_removed(event),
            "pusher_internal:watchlist_events" => self.handle_watchlist(&event),
            "pusher:signin_success" => {
                self.handle_signin_success(&event, now);
                self.deliver(event);
            }
            name if name.starts_with("pusher_internal:") => {
                let text = format!("ignored {name:.60}");
                self.log(Level::Debug, || text);
            }
            _ => self.deliver(event),
        }
    }

    pub(super) fn handle_confirmation(&mut self, event: Event, now: Now) {
        if let Some(name) = event.channel() {
            if self.channels.is_unsent(name) || is_users(name) {
                return;
            }
            if self.channels.get(name).is_none() {
                self.drop_unwanted(name, now);
            }
            // The gap is notified before the events that follow. A repeated confirmation is delivered as it is.
            self.confirm_channel(name, now);
            self.replace_members(name, event.data());
            self.deliver(event.renamed("pusher:subscription_succeeded"));
        }
    }

    fn handle_count(&mut self, event: Event) {
        let [count] = pick(event.data(), ["subscription_count"]);
        let (Some(name), Some(count)) = (event.channel(), count.and_then(number)) else {
            return;
        };
        if let Some(name) = self.channels.set_count(name, count) {
            self.notify(Notification::Channel(name, ChannelNotification::Count(count)));
            self.deliver(event.renamed("pusher:subscription_count"));
        }
    }

    /// Replaces the members by those of a confirmation.
    fn replace_members(&mut self, name: &str, data: &str) {
        let limit = self.config.max_members_bytes;
        let channel = self.channels.get_mut(name);
        let Some(channel) = channel.filter(|channel| channel.kind == ChannelKind::Presence) else {
            return;
        };
        let mut members = presence::members(data, channel.me.as_deref(), limit);
        let was_cut = channel.members.is_cut();
        let is_cut = members.is_cut();
        if was_cut {
            members.set_cut();
        }
        channel.members = members;
        if is_cut && !was_cut {
            self.notify_too_many_members(name);
        }
    }

    /// Some servers send it once per connection of a user. Notifies only for the first.
    fn handle_member_added(&mut self, event: Event) {
        let (Some(name), Some(member)) = (event.channel(), presence::member(event.data())) else {
            return;
        };
        let limit = self.config.max_members_bytes;
        let Some(channel) = self.subscribed_presence(name) else {
            return;
        };
        let was_cut = channel.members.is_cut();
        let is_new = channel.members.insert(member.clone(), limit);
        if channel.members.is_cut() && !was_cut {
            self.notify_too_many_members(name);
        }
        if is_new {
            self.notify(Notification::Channel(
                name.into(),
                ChannelNotification::MemberAdded(member),
            ));
            self.deliver(event.renamed("pusher:member_added"));
        }
    }

    fn notify_too_many_members(&mut self, name: &str) {
        let limit = self.config.max_members_bytes;
        let message = format!(
            "keeping all members of the channel failed: they take more than {limit} bytes, so some have no \
             info or are missing; raise `max_members_bytes`"
        );
        let error = Error::message(ErrorKind::TooLarge, message).on_channel(name);
        self.log(Level::Warn, || error.to_string());
        self.notify(Notification::Error(error));
    }

    fn handle_member_removed(&mut self, event: Event) {
        let (Some(name), Some(member)) = (event.channel(), presence::member(event.data())) else {
            return;
        };
        let Some(channel) = self.subscribed_presence(name) else {
            return;
        };
        // The frame may have no info.
        if let Some(member) = channel.members.remove(member.id()) {
            self.notify(Notification::Channel(
                name.into(),
                ChannelNotification::MemberRemoved(member),
            ));
            self.deliver(event.renamed("pusher:member_removed"));
        }
    }

    fn subscribed_presence(&mut self, name: &str) -> Option<&mut Channel> {
        self.channels.get_mut(name).filter(|channel| {
            channel.kind == ChannelKind::Presence && matches!(channel.status, Status::Subscribed)
        })
    }

    fn handle_user_event(&mut self, event: Event, now: Now) {
        #[cfg(feature = "encrypted")]
        if let Some(name) = event.channel() {
            // By its name first, which costs less than to look for the channel.
            let is_encrypted = ChannelKind::of(name) == ChannelKind::PrivateEncrypted;
            if is_encrypted && self.channels.get(name).is_some() {
                let name = name.to_owned();
                return self.decrypt_event(&name, event, now);
            }
        }
        // What should be encrypted is never delivered unencrypted, not even where nothing can decrypt it.
        #[cfg(not(feature = "encrypted"))]
        {
            let _ = now;
            let kind = event.channel().map(ChannelKind::of);
            if kind == Some(ChannelKind::PrivateEncrypted) {
                return;
            }
        }
        self.handle_bare_watchlist(&event);
        self.deliver(event);
    }

    pub(super) fn deliver(&mut self, event: Event) {
        if event.channel().is_none_or(|name| self.channels.is_audible(name)) {
            self.notify(Notification::Event(event));
        }
    }
}

/// Servers send to the signed-in user on it, subscribed or not. Nothing is kept of its subscription, and all its
/// events are delivered.
pub(super) fn is_users(channel: &str) -> bool {
    channel.starts_with(USER_CHANNEL_PREFIX)
}

/// Events of the protocol are never encrypted, and users cannot send them.
fn is_of_the_protocol(name: &str) -> bool {
    name.starts_with("pusher:") || name.starts_with("pusher_internal:")
}
