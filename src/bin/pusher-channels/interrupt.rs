//! Ctrl-C and the signals that ask a program to end.

use std::process;

use crossbeam_channel::{Receiver, bounded};

use crate::exit::{FAILED, Failure, INTERRUPTED};

/// Returns a receiver that gets a value when the program is asked to end. A second request ends it at once.
pub(crate) fn interruptions() -> Result<Receiver<()>, Failure> {
    let (sender, receiver) = bounded(1);
    ctrlc::set_handler(move || {
        if sender.try_send(()).is_err() {
            process::exit(INTERRUPTED.into());
        }
    })
    .map_err(|error| Failure::new(FAILED, format!("handling Ctrl-C failed: {error}")))?;
    Ok(receiver)
}
