//! Client events, and what must hold of those that wait in the outbox.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Harness, secs};
use crate::{ChannelStatus, Error};

/// The event whose data are numbers that count.
const NUMBERED: &str = "client-number";

/// What has become of the client events.
#[derive(Debug, Default)]
pub(super) struct Triggered {
    accepted: u64,
    sent: u64,
    /// The numbers that were last triggered, and sent on each channel.
    last: u64,
    last_sent: BTreeMap<String, u64>,
}

impl Harness {
    /// Triggers an event, and counts it if it is accepted.
    pub(crate) fn trigger_event(
        &mut self,
        name: &str,
        event: &str,
        data: &str,
    ) -> Result<(), Error> {
        let result = self.drain(|machine, now| machine.trigger(name, event, data, now));
        self.triggered.accepted += u64::from(result.is_ok());
        self.check();
        result
    }

    /// Triggers an event with the next number.
    pub(crate) fn trigger_number(&mut self, name: &str) -> Result<(), Error> {
        self.triggered.last += 1;
        let number = self.triggered.last.to_string();
        self.trigger_event(name, NUMBERED, &number)
    }

    pub(super) fn note_client_event(&mut self, frame: &Value) {
        let name = frame["channel"].as_str().expect("a channel");
        assert!(self.wants(name), "sent to {name}, which is not wanted");
        assert_eq!(self.machine.channel_status(name), ChannelStatus::Subscribed, "{name}");
        self.triggered.sent += 1;
        let number = frame["data"].as_u64().filter(|_| frame["event"] == NUMBERED);
        if let Some(number) = number {
            let before = self.triggered.last_sent.insert(name.to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
        }
    }

    pub(super) fn check_outbox(&mut self) {
        let (dropped, lines) = self.machine.outbox_lines();
        let waiting: u64 = lines.values().sum();
        let known = self.triggered.sent + waiting + dropped;
        assert_eq!(self.triggered.accepted, known, "sent, waiting or dropped");
        for name in lines.keys() {
            assert!(self.wants(name), "events wait for {name}");
            let failure = self.machine.channel_failure(name);
            assert!(failure.is_none_or(|error| error.is_timeout()), "events wait for {name}");
            let is_subscribed = self.machine.channel_status(name) == ChannelStatus::Subscribed;
            if is_subscribed && self.machine.config.client_event_limit != Some(0) {
                let deadline = self.machine.deadline().expect("a deadline");
                assert!(deadline <= self.now.mono + secs(2), "nothing sends what waits for {name}");
            }
        }
    }
}
