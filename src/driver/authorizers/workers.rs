//! The worker threads: what of them may run code of the user's runs under guard.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::driver::Shared;
use crate::driver::shares::End;
use crate::util::guard::{call, dispose, write_log};

impl Shared {
    pub(in crate::driver) fn start_worker(self: &Arc<Self>) {
        if !self.read(|core| core.authorizers.enter()) {
            return;
        }
        let started = self.spawn("pusher-auth", |shared| {
            let given_up = shared.run_worker();
            // Otherwise it was counted out when that happened.
            if !given_up && shared.read(|core| core.authorizers.leave()) {
                shared.start_worker();
            }
        });
        if let Err(error) = started {
            write_log!(Error, "{error}; authorizations wait");
            // With no worker left, nobody else would ever answer.
            let waiting = self.read(|core| {
                core.authorizers.workers -= 1;
                match core.authorizers.workers {
                    0 => std::mem::take(&mut core.authorizers.waiting),
                    _ => VecDeque::new(),
                }
            });
            for (answerer, job) in waiting {
                self.answer(&job, job.failed(error.clone()));
                dispose(answerer);
            }
        }
    }

    /// Tells whether it was given up.
    fn run_worker(self: &Arc<Self>) -> bool {
        while let Some((answerer, job, turn, more)) = self.read(|core| core.authorizers.next()) {
            if more {
                self.start_worker();
            }
            let given_up = call("an authorization", || {
                let jobs = match answerer.window() {
                    None => vec![job],
                    Some(window) => self.collect(&answerer, job, window),
                };
                self.authorize(&answerer, jobs, turn)
            });
            // Unless it has ended with a response: nothing was asked.
            self.read(|core| core.authorizers.shares.end(turn, End::NotAsked));
            dispose(answerer);
            if given_up == Some(true) {
                return true;
            }
        }
        false
    }
}
