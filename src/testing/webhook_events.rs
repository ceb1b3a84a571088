//! The webhook events that wait to be sent.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::{Map, Value};

/// How many events wait for the backend.
const MAX_WAITING: usize = 1000;

/// How many events one request has.
const MAX_EVENTS: usize = 50;

/// The events that wait to be sent; the oldest are dropped if there are too many.
#[derive(Default)]
pub(super) struct Events {
    is_on: bool,
    waiting: VecDeque<Value>,
    dropped: usize,
}

impl Events {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Fields without a value are left out.
    pub(super) fn push(
        &mut self,
        name: &str,
        channel: &str,
        fields: &[(&str, Option<Cow<'_, str>>)],
    ) {
        let fields = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        self.push_event(name, channel, fields.map(|(name, value)| (name, value.into())));
    }

    pub(super) fn push_count(&mut self, channel: &str, count: u64) {
        let name = "subscription_count";
        self.push_event(name, channel, [(name, count.into())]);
    }

    fn push_event<'a>(
        &mut self,
        name: &str,
        channel: &str,
        fields: impl IntoIterator<Item = (&'a str, Value)>,
    ) {
        if !self.is_on {
            return;
        }
        let mut event = Map::new();
        event.insert("name".to_owned(), name.into());
        event.insert("channel".to_owned(), channel.into());
        event.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.waiting.push_back(event.into());
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the events of one request, and the number of those dropped before.
    pub(super) fn take(&mut self) -> (Vec<Value>, usize) {
        let count = self.waiting.len().min(MAX_EVENTS);
        (self.waiting.drain(..count).collect(), std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waiting_events_are_limited_and_the_oldest_are_dropped() {
        let mut events = Events::new(true);
        for number in 0..MAX_WAITING + 2 {
            events.push("e", "c", &[("number", Some(number.to_string().into()))]);
        }
        let (first, dropped) = events.take();
        assert_eq!((first.len(), dropped), (MAX_EVENTS, 2));
        assert_eq!(first[0], json!({"name": "e", "channel": "c", "number": "2"}));
        assert_eq!(events.take().1, 0);
        let mut off = Events::new(false);
        off.push("e", "c", &[]);
        assert!(off.is_empty());
    }
}
