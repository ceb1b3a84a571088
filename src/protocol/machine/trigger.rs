//! Client events.
//!
//! See [client events](https://pusher.com/docs/channels/using_channels/events/#triggering-client-events).

use std::time::Duration;

use crate::protocol::{Machine, Now, frame};
use crate::wire::{MAX_EVENT_DATA as MAX_DATA, MAX_EVENT_NAME as MAX_NAME};
use crate::{ChannelStatus, Error, ErrorKind};

/// Added to a wait for tokens: more than all the errors of floating-point numbers in it.
const ROUNDING: Duration = Duration::from_micros(1);

/// A token bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u32,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    /// Holds as many tokens as are refilled in a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, tokens: per_second.into(), filled: Duration::ZERO }
    }

    pub(super) fn take(&mut self, tokens: u32, now: Duration) -> bool {
        let (limit, tokens) = (f64::from(self.per_second), f64::from(tokens));
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * limit).min(limit);
        if self.tokens < tokens {
            return false;
        }
        self.tokens -= tokens;
        true
    }

    /// Returns when it has so many tokens, if nothing is taken meanwhile.
    pub(super) fn ready_at(&self, tokens: u32) -> Option<Duration> {
        let missing = f64::from(tokens) - self.tokens;
        if missing <= 0.0 {
            return Some(self.filled);
        }
        let wait = Duration::try_from_secs_f64(missing / f64::from(self.per_second)).ok()?;
        self.filled.checked_add(wait)?.checked_add(ROUNDING)
    }
}

impl Machine {
    /// Sends an event with JSON `data` to the other clients on the channel, or keeps it in the outbox.
    pub(crate) fn trigger(
        &mut self,
        channel: &str,
        event: &str,
        data: &str,
        now: Now,
    ) -> Result<(), Error> {
        self.observe(now);
        check_event(event, data)
            .and_then(|()| match self.has_outbox_for(channel) {
                true => self.send_or_keep(channel, event, data, now),
                false => self.send_now(channel, event, data, now),
            })
            .map_err(|error| error.on_channel(channel))
    }

    fn send_now(&mut self, channel: &str, event: &str, data: &str, now: Now) -> Result<(), Error> {
        if !self.phase.is_live() {
            let message = "not connected: a client event cannot wait for a connection";
            return Err(Error::message(ErrorKind::NotConnected, message));
        }
        if self.channel_status(channel) != ChannelStatus::Subscribed {
            let message = "not subscribed: wait_subscribed() before sending client events";
            return Err(Error::message(ErrorKind::NotSubscribed, message));
        }
        if !self.take_token(now) {
            let limit = self.config.client_event_limit.unwrap_or_default();
            let message = format!("the rate must be at most {limit} client events a second");
            return Err(Error::message(ErrorKind::RateLimited, message));
        }
        self.send_client_event(frame::client_event(channel, event, data), now);
        Ok(())
    }

    /// Returns `true` if the rate limit allows another event.
    pub(super) fn take_token(&mut self, now: Now) -> bool {
        self.bucket.as_mut().is_none_or(|bucket| bucket.take(1, now.mono))
    }

    pub(super) fn send_client_event(&mut self, frame: String, now: Now) {
        if let Some(live) = self.phase.live_mut() {
            live.triggered = Some(now.mono);
        }
        self.send(frame, now);
    }
}

fn check_event(event: &str, data: &str) -> Result<(), Error> {
    let name = event.strip_prefix("client-").unwrap_or_default();
    if name.is_empty() {
        let message = format!("the name of a client event must begin with `client-`: {event:?}");
        return Err(Error::message(ErrorKind::InvalidName, message));
    }
    if event.chars().count() > MAX_NAME {
        let message = format!("the name of an event must have at most {MAX_NAME} characters");
        return Err(Error::message(ErrorKind::InvalidName, message));
    }
    if data.len() > MAX_DATA {
        let message =
            format!("the data must have at most {MAX_DATA} bytes, but has {}", data.len());
        return Err(Error::message(ErrorKind::TooLarge, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(10);
        let at = Duration::from_millis;
        let taken = (0..20).filter(|_| bucket.take(1, at(1000))).count();
        assert_eq!(taken, 10);
        assert!(!bucket.take(1, at(1099)));
        assert!(bucket.take(1, at(1101)));
        assert!(!bucket.take(1, at(1101)));
        let taken = (0..100).filter(|_| bucket.take(1, at(100_000))).count();
        assert_eq!(taken, 10);
    }
    #[test]
    fn the_bucket_has_the_tokens_when_it_says() {
        for limit in [1, 3, 7, 10, 999, 1024 * 1024, u32::MAX] {
            let mut bucket = Bucket::new(limit);
            let mut now = Duration::from_nanos(1_000_000_007);
            for tokens in [limit, 1, 1, limit.min(2), limit, 1] {
                now = now.max(bucket.ready_at(tokens).unwrap());
                assert!(bucket.take(tokens, now), "{tokens} of {limit}");
            }
        }
        let mut none = Bucket::new(0);
        assert_eq!(none.ready_at(1), None);
        assert!(!none.take(1, Duration::from_secs(1000)));
    }
}
