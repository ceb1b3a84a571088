//! The reader thread: one for each dial. It opens the connection and reads it to its end.

use std::sync::Arc;

use super::Shared;
use super::active::{Dial, close, trace_frame};
use crate::util::clock;
use crate::util::guard::{dispose, guarded};
use crate::util::url::default_port;
use crate::wire::batch::{Intake, SharedBatch};
use crate::{Connection, Error, ErrorKind, Event};

const RESOLVER: &str = "the function given to `Options::custom`";

impl Shared {
    pub(super) fn start_reader(self: &Arc<Self>, dial: Dial) {
        let generation = dial.generation;
        if let Err(error) = self.start_timer() {
            let error = error.with_hint("call connect() once threads can be started");
            return self.act(|machine, now| machine.handle_untimed(generation, error, now));
        }
        let started = self.spawn("pusher-reader", move |shared| {
            let lost = guarded(move || shared.run_reader(dial)).unwrap_or_else(|| {
                let message = "the reader thread panicked; the connection is lost";
                Some(Error::message(ErrorKind::Internal, message))
            });
            // Dropped with the lock released: the connection may be the user's.
            dispose(shared.with_core(|core| core.take_active(generation)));
            if let Some(error) = lost {
                shared.act(|machine, now| machine.handle_lost(generation, error, now));
            }
        });
        if let Err(error) = started {
            self.act(|machine, now| {
                machine.handle_dial_returned(generation, now);
                machine.handle_lost(generation, error, now);
            });
        }
    }

    /// Returns the error that ended the connection, unless the machine knows it.
    fn run_reader(self: &Arc<Self>, dial: Dial) -> Option<Error> {
        let generation = dial.generation;
        // All of the user's code that a dial runs is in here, the destructors of its options included.
        let dialed = guarded(move || self.dial(&dial));
        self.act(|machine, now| machine.handle_dial_returned(generation, now));
        let connection = match dialed {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return Some(error),
            None => return Some(Error::message(ErrorKind::Internal, "the connector panicked")),
        };
        let ended = self.read_to_end(generation, &connection);
        dispose(connection);
        ended
    }

    fn read_to_end(
        self: &Arc<Self>,
        generation: u64,
        connection: &Arc<dyn Connection>,
    ) -> Option<Error> {
        let wanted = self.activate(generation, connection);
        if !wanted {
            close(&**connection, 1000);
        }
        // A connection that is closed is read until the close has completed.
        let mut intake = Intake::default();
        loop {
            let start = clock::now();
            let received =
                guarded(|| connection.recv_batch(&mut intake.inbox)).unwrap_or_else(|| {
                    Err(Error::message(ErrorKind::Internal, "the connection panicked in recv"))
                });
            if let Err(error) = received {
                return wanted.then_some(error);
            }
            intake.take_in(clock::now().saturating_duration_since(start));
            if let Some((code, reason)) = self.handle_received(generation, &mut intake) {
                self.act(|machine, now| machine.handle_closed(generation, code, &reason, now));
                return None;
            }
        }
    }

    /// Makes this the connection that frames are sent on. Returns `true` if it is still wanted.
    fn activate(self: &Arc<Self>, generation: u64, connection: &Arc<dyn Connection>) -> bool {
        self.with_core(|core| {
            if let Some(active) = core.active(generation) {
                active.connection = Some(Arc::clone(connection));
            }
        });
        self.act(|machine, now| {
            machine.handle_opened(generation, now);
            machine.is_current(generation)
        })
    }

    fn dial(self: &Arc<Self>, dial: &Dial) -> Result<Arc<dyn Connection>, Error> {
        let Dial { generation, deadline, interrupt, options } = dial;
        let calling =
            |code| match self.act(|machine, now| machine.handle_calling(*generation, code, now)) {
                true => Ok(()),
                false => Err(Error::message(ErrorKind::Closed, "the dial was given up")),
            };
        if options.is_custom() {
            calling(Some(RESOLVER))?;
        }
        let url = guarded(|| options.to_url()).unwrap_or_else(|| {
            Err(Error::message(ErrorKind::Config, "the function given to Options::custom panicked"))
        })?;
        if let Some(target) = target(&url) {
            self.with_core(|core| core.machine.handle_target(*generation, target));
        }
        calling(self.settings.dial_code)?;
        let deadline = self.clock.instant(*deadline);
        let connector = &self.settings.connector;
        Ok(Arc::from(connector.connect_interruptibly(&url, deadline, interrupt)?))
    }

    /// Handles what was received, in one turn of the lock. Returns the peer's close, if it came.
    fn handle_received(
        self: &Arc<Self>,
        generation: u64,
        intake: &mut Intake,
    ) -> Option<(Option<u16>, String)> {
        let (mut frames, mut bytes) = (0, 0);
        let batches = &mut intake.batches;
        for text in batches.iter().flat_map(|shared| shared.batch.texts()) {
            trace_frame("in", text);
            frames += 1;
            bytes += text.len() as u64;
        }
        self.counts.received(frames, bytes);
        self.act(|machine, now| {
            for SharedBatch { batch, faults } in batches.drain(..) {
                let mut faults = faults.into_iter().peekable();
                for index in 0..batch.len() {
                    match faults.next_if(|(at, _)| *at == index) {
                        None => {
                            let event = Event::in_batch(&batch, index);
                            machine.handle_event(generation, event, now);
                        }
                        Some((_, error)) => machine.handle_malformed(generation, error, now),
                    }
                }
            }
        });
        intake.inbox.take_closed()
    }
}

/// Returns host and port of a URL for messages, without anything private: the path holds the key, and the authority
/// may hold a password. `None` if they are not certain.
pub(super) fn target(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let is_of_a_host = |c: char| c.is_alphanumeric() || ".-_:[]%".contains(c);
    if host.is_empty() || host.len() > 300 || !host.chars().all(is_of_a_host) {
        return None;
    }
    let port = host.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
    let has_port = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    match scheme {
        "ws" | "wss" if !has_port => Some(format!("{host}:{}", default_port(scheme == "wss"))),
        _ => Some(host.to_owned()),
    }
}
