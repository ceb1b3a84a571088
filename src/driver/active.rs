//! The active dial or connection, and what runs the user's code in it. No lock is held here.

use std::sync::Arc;
use std::time::Duration;

use log::Level;

use crate::util::guard::{self, call, dispose};
use crate::util::redact::redact;
use crate::{Connection, Interrupt, Options};

const FRAMES: &str = "pusher_channels::frames";

/// The dial or connection of one generation.
pub(super) struct ActiveConnection {
    pub(super) generation: u64,
    pub(super) interrupt: Interrupt,
    pub(super) connection: Option<Arc<dyn Connection>>,
}

/// One attempt to connect.
pub(super) struct Dial {
    pub(super) generation: u64,
    pub(super) deadline: Duration,
    pub(super) interrupt: Interrupt,
    pub(super) options: Options,
}

impl Dial {
    pub(super) fn new(
        generation: u64,
        deadline: Duration,
        options: Options,
    ) -> (Self, ActiveConnection) {
        let interrupt = Interrupt::default();
        let active =
            ActiveConnection { generation, interrupt: interrupt.clone(), connection: None };
        (Self { generation, deadline, interrupt, options }, active)
    }
}

impl ActiveConnection {
    /// Interrupts the dial, or closes the connection.
    pub(super) fn close(self, code: u16) {
        call("the function given to `Interrupt::on_interrupt`", || self.interrupt.interrupt());
        if let Some(connection) = &self.connection {
            close(&**connection, code);
        }
        dispose(self);
    }
}

pub(super) fn close(connection: &dyn Connection, code: u16) {
    call("the connection's `close`", || connection.close(code));
}

/// Logs a frame without its secrets.
pub(super) fn trace_frame(direction: &str, frame: &str) {
    if guard::is_logged(Level::Trace, FRAMES) {
        guard::write(Level::Trace, FRAMES, format_args!("{direction} {}", redact(frame)));
    }
}
