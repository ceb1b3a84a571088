//! What all `wait_*` methods share.

use std::time::Duration;

use crate::driver::Core;
use crate::util::units;
use crate::{Error, ErrorKind, State, Timeout};

/// Returns the error of a `wait_*` that timed out. `failure` is the last failure of what it waited for.
pub(super) fn wait_timed_out(
    core: &Core,
    timeout: Duration,
    what: &str,
    failure: Option<Error>,
) -> Error {
    let message = format!("timed out after {} waiting for {what}", units::words(timeout));
    let error = Error::timed_out(Timeout::Wait, message);
    match failure {
        Some(failure) => error.caused_by(failure),
        None if core.machine.state() == State::Initialized => {
            error.with_hint("call connect() first")
        }
        None => error,
    }
}

/// Detects that a `wait_*` waits in vain: the client was disconnected, was closed, or has failed.
#[derive(Default)]
pub(super) struct Ended {
    /// The count of disconnects when the wait began.
    disconnects: Option<u64>,
}

impl Ended {
    pub(super) fn check(&mut self, core: &Core) -> Option<Error> {
        let machine = &core.machine;
        let before = *self.disconnects.get_or_insert(machine.disconnects());
        if machine.is_closed() {
            return Some(Error::message(ErrorKind::Closed, "the client is closed"));
        }
        match machine.state() {
            State::Failed => Some(machine.failure().cloned().unwrap_or_else(|| {
                Error::message(ErrorKind::NotConnected, "the reconnect policy gave up")
            })),
            State::Disconnected => {
                Some(Error::message(ErrorKind::NotConnected, "disconnected; call connect() first"))
            }
            _ if machine.disconnects() != before => {
                Some(Error::message(ErrorKind::NotConnected, "disconnect() was called"))
            }
            _ => None,
        }
    }
}
