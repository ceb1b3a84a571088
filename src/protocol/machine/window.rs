//! Limits the subscribe frames that are sent before the server responds. The others wait in order.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::event::ChannelName;

/// The bytes of subscribe frames without a response that may be sent. A response shows that its frame was read, so no
/// more than this waits in the transport, which takes 4 MiB. A time-out and an unsubscribe make room too, although
/// their frames may still wait there.
pub(crate) const WINDOW: usize = 512 * 1024;

/// A subscribe frame that is ready to be sent.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) frame: String,
    /// The authorization has no `key:` before its signature.
    pub(super) keyless: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes)", self.frame.len())
    }
}

#[derive(Debug, Default)]
pub(super) struct Window {
    /// The bytes of the frames that were sent and have no response.
    pending: usize,
    /// In the order of their numbers.
    waiting: BTreeMap<u64, (ChannelName, Request)>,
    last: u64,
}

impl Window {
    /// Returns `true` if a frame of this size may be sent now, and no other waits.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.waiting.is_empty() && self.fits(bytes)
    }

    /// A frame that is larger than the window is sent alone.
    fn fits(&self, bytes: usize) -> bool {
        self.pending == 0 || self.pending.saturating_add(bytes) <= WINDOW
    }

    /// Returns the number under which the request waits.
    pub(super) fn wait(&mut self, name: ChannelName, request: Request) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, (name, request));
        self.last
    }

    pub(super) fn cancel(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Returns the request that has waited longest, if there is room for it.
    pub(super) fn next(&mut self) -> Option<(ChannelName, Request)> {
        let (_, request) = self.waiting.first_key_value()?.1;
        let fits = self.fits(request.frame.len());
        fits.then(|| self.waiting.pop_first()).flatten().map(|(_, next)| next)
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.pending = self.pending.saturating_add(bytes);
    }

    pub(super) fn responded(&mut self, bytes: usize) {
        self.pending = self.pending.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: usize) -> Request {
        Request { frame: "x".repeat(bytes), keyless: false }
    }

    fn next(window: &mut Window) -> Option<String> {
        let (name, request) = window.next()?;
        window.sent(request.frame.len());
        Some(name.to_string())
    }

    #[test]
    fn what_does_not_fit_waits_in_order_until_there_is_room() {
        let mut window = Window::default();
        assert!(window.has_room(WINDOW));
        window.sent(WINDOW - 10);
        assert!(window.has_room(10) && !window.has_room(11));
        window.wait("large".into(), request(30));
        window.wait("small".into(), request(1));
        assert!(!window.has_room(1), "no request overtakes");
        window.responded(19);
        assert_eq!(next(&mut window), None);
        window.responded(1);
        assert_eq!(next(&mut window).as_deref(), Some("large"));
        assert_eq!(next(&mut window), None);
        window.responded(1);
        assert_eq!(next(&mut window).as_deref(), Some("small"));
        assert_eq!(next(&mut window), None);
    }

    #[test]
    fn a_canceled_request_is_not_sent_and_stops_no_other() {
        let mut window = Window::default();
        window.sent(WINDOW);
        let first = window.wait("a".into(), request(WINDOW));
        window.wait("b".into(), request(1));
        window.cancel(first);
        window.responded(1);
        assert_eq!(next(&mut window).as_deref(), Some("b"));
    }

    #[test]
    fn what_is_larger_than_the_window_goes_alone() {
        let mut window = Window::default();
        assert!(window.has_room(WINDOW + 1));
        window.sent(1);
        window.wait("a".into(), request(WINDOW + 1));
        assert_eq!(next(&mut window), None);
        window.responded(1);
        assert_eq!(next(&mut window).as_deref(), Some("a"));
        assert!(!window.has_room(0));
    }

    #[test]
    fn a_request_is_not_shown() {
        assert_eq!(format!("{:?}", request(3)), "Request(3 bytes)");
    }
}
