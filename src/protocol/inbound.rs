//! What the machine makes of each frame.

use log::Level;

use super::connection::Phase;
use super::frame::{self, Established, Refusal};
use super::{ChannelNotice, Machine, Notice, Now};
use crate::{Error, Event};

impl Machine {
    /// A frame that is an event.
    pub(crate) fn handle_event(&mut self, generation: u64, event: Event, now: Now) {
        self.observe(now);
        if !self.is_current(generation) {
            return;
        }
        match &mut self.phase {
            Phase::Opening { .. } => self.handle_greeting(&event, now),
            Phase::Live(live) => {
                live.received(now);
                if event.name().starts_with("pusher") {
                    self.handle_protocol_event(event, now);
                } else {
                    self.deliver(event);
                }
            }
            Phase::Idle | Phase::Waiting { .. } | Phase::Asking { .. } => {}
        }
    }

    /// A frame that is no event at all.
    pub(crate) fn handle_malformed(&mut self, generation: u64, error: Error, now: Now) {
        self.observe(now);
        if !self.is_current(generation) {
            return;
        }
        if let Phase::Live(live) = &mut self.phase {
            live.received(now);
        }
        self.log(Level::Debug, || format!("ignored a frame: {error}"));
        self.notify(Notice::Error(error));
    }

    /// Until the server's greeting an error frame is the answer, whether or not a close follows it.
    fn handle_greeting(&mut self, event: &Event, now: Now) {
        match event.name() {
            "pusher:connection_established" => match Established::parse(event) {
                Ok(established) => self.establish(established, now),
                Err(error) => {
                    self.notify(Notice::Error(error.clone()));
                    self.abandon(error, now);
                }
            },
            "pusher:error" => {
                let error = Refusal::parse(event).error("the server refused the connection");
                self.notify(Notice::Error(error.clone()));
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
                self.handle_subscription_error(event);
            }
            "pusher_internal:subscription_succeeded" => self.handle_confirmation(event, now),
            "pusher_internal:subscription_count" => self.handle_count(event),
            name if name.starts_with("pusher_internal:") => {
                let text = format!("ignored {name:.60}");
                self.log(Level::Debug, || text);
            }
            _ => self.deliver(event),
        }
    }

    /// On a live connection an error frame decides nothing: servers send codes such as 4009 and 4200
    /// for a single request, and keep the connection.
    fn handle_error(&mut self, event: Event, now: Now) {
        let refusal = Refusal::parse(&event);
        let error = refusal.error("the server reported an error");
        self.log(Level::Warn, || error.to_string());
        match &refusal.channel {
            Some(name) if self.channels.is_pending(name) => self.fail_channel(name, error),
            channel => {
                // From 4300 on the frame is about one request and never announces a close.
                let may_end_it = matches!(refusal.code, Some(4000..=4299));
                if let (Phase::Live(live), None, true) = (&mut self.phase, channel, may_end_it) {
                    live.remember_error(error.clone(), now);
                }
                self.notify(Notice::Error(error));
            }
        }
        self.deliver(event);
    }

    fn handle_subscription_error(&mut self, event: Event) {
        let refusal = Refusal::parse(&event);
        let error = refusal.error("the server refused the subscription");
        match &refusal.channel {
            Some(name) => self.fail_channel(name, error),
            None => self.notify(Notice::Error(error)),
        }
        self.deliver(event.renamed("pusher:subscription_error"));
    }

    fn handle_confirmation(&mut self, event: Event, now: Now) {
        if let Some(name) = event.channel() {
            // Resumed is told before the events that follow; a repeated confirmation is told as it is.
            self.confirm_channel(name, now);
            self.deliver(event.renamed("pusher:subscription_succeeded"));
        }
    }

    fn handle_count(&mut self, event: Event) {
        let data = frame::data(&event);
        let count = data.get("subscription_count").and_then(serde_json::Value::as_u64);
        let (Some(name), Some(count)) = (event.channel(), count) else {
            return;
        };
        if let Some(name) = self.channels.set_count(name, count) {
            self.notify(Notice::Channel(name, ChannelNotice::Count(count)));
            self.deliver(event.renamed("pusher:subscription_count"));
        }
    }

    fn deliver(&mut self, event: Event) {
        if event.channel().is_none_or(|name| self.channels.is_audible(name)) {
            self.notify(Notice::Event(event));
        }
    }
}
