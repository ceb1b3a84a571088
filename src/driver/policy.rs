//! The user's reconnect policy, called on a thread of its own.

use std::sync::Arc;

use super::Shared;
use crate::Error;
use crate::config::reconnect::Attempt;
use crate::util::guard::{guarded, write_log};

impl Shared {
    /// Calls the reconnect policy, which may block.
    pub(super) fn start_policy(self: &Arc<Self>, request: u64, number: u32, error: Option<Error>) {
        let Some(decide) = self.settings.reconnect.decider() else {
            return;
        };
        let attempt = Attempt::new(number, error);
        let started = self.spawn("pusher-policy", move |shared| {
            // The closure owns `attempt`, so that it is dropped before the policy counts as returned.
            match guarded(move || decide(&attempt)) {
                Some(wait) => {
                    shared.act(|machine, now| machine.handle_decision(request, wait, now));
                }
                None => {
                    shared.act(|machine, now| machine.handle_no_decision(request, now));
                    write_log!(Error, "the reconnect policy panicked; the default decides");
                }
            }
        });
        if let Err(error) = started {
            self.act(|machine, now| machine.handle_no_decision(request, now));
            write_log!(Error, "{error}; the default reconnect policy decides");
        }
    }
}
