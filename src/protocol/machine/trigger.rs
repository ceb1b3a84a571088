//! Client events.
//!
//! See [client events](https://pusher.com/docs/channels/using_channels/events/#triggering-client-events).

use std::time::Duration;

use crate::protocol::{Machine, Now, frame};
use crate::{ChannelStatus, Error, ErrorKind};

/// The longest data that Pusher takes, in bytes.
const MAX_DATA: usize = 10 * 1024;

/// The longest name of an event that Pusher takes, in characters.
const MAX_NAME: usize = 200;

/// A token bucket: each event takes a token.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: u32,
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    /// Holds as many tokens as are refilled in a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self { limit: per_second, tokens: per_second.into(), filled: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let limit = f64::from(self.limit);
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * limit).min(limit);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

impl Machine {
    /// Sends an event with JSON `data` to the other clients on the channel.
    pub(crate) fn trigger(
        &mut self,
        channel: &str,
        event: &str,
        data: &str,
        now: Now,
    ) -> Result<(), Error> {
        self.observe(now);
        self.check_trigger(channel, event, data, now).map_err(|error| error.on_channel(channel))?;
        if let Some(live) = self.phase.live_mut() {
            live.triggered = Some(now.mono);
        }
        self.send(frame::client_event(channel, event, data), now);
        Ok(())
    }

    fn check_trigger(
        &mut self,
        channel: &str,
        event: &str,
        data: &str,
        now: Now,
    ) -> Result<(), Error> {
        let name = event.strip_prefix("client-").unwrap_or_default();
        if name.is_empty() {
            let message =
                format!("the name of a client event must begin with `client-`: {event:?}");
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
        if !self.phase.is_live() {
            let message = "not connected: a client event cannot wait for a connection";
            return Err(Error::message(ErrorKind::NotConnected, message));
        }
        if self.channel_status(channel) != ChannelStatus::Subscribed {
            let message = "not subscribed: wait_subscribed() before sending client events";
            return Err(Error::message(ErrorKind::NotSubscribed, message));
        }
        if let Some(bucket) = &mut self.bucket {
            if !bucket.take(now.mono) {
                let message =
                    format!("the rate must be at most {} client events a second", bucket.limit);
                return Err(Error::message(ErrorKind::RateLimited, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(10);
        let at = Duration::from_millis;
        let taken = (0..20).filter(|_| bucket.take(at(1000))).count();
        assert_eq!(taken, 10);
        assert!(!bucket.take(at(1099)));
        assert!(bucket.take(at(1101)));
        assert!(!bucket.take(at(1101)));
        let taken = (0..100).filter(|_| bucket.take(at(100_000))).count();
        assert_eq!(taken, 10);
    }
}
