//! The reader thread: one for each dial; it opens the connection and reads it to its end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::stats::Received;
use super::{Link, Shared};
use crate::Interrupt;
use crate::batch::{Intake, Shared as SharedBatch};
use crate::redact::redact;
use crate::{Connection, Error, ErrorKind, Event, Options, clock};

const FRAMES: &str = "pusher_channels::frames";

const RESOLVER: &str = "the function given to `Options::custom`";

/// One frame in the log, without its secrets.
pub(super) fn trace_frame(direction: &str, frame: &str) {
    if log::log_enabled!(target: FRAMES, log::Level::Trace) {
        log::trace!(target: FRAMES, "{direction} {}", redact(frame));
    }
}

impl Shared {
    pub(super) fn start_reader(
        self: &Arc<Self>,
        generation: u64,
        deadline: Duration,
        interrupt: Interrupt,
        options: Box<Options>,
    ) {
        let started = self.start_timer().and_then(|()| {
            self.spawn("pusher-reader", move |shared| {
                let _report = ReportPanic { shared, generation };
                let lost = shared.run_reader(generation, deadline, &interrupt, options);
                // Dropped with the lock released: the connection may be the user's.
                drop(shared.take_link(generation));
                if let Some(error) = lost {
                    shared.act(|machine, now| machine.handle_lost(generation, error, now));
                }
            })
        });
        if let Err(error) = started {
            self.act(|machine, now| {
                machine.handle_dial_returned(generation, now);
                machine.handle_lost(generation, error, now);
            });
        }
    }

    /// Gives the error that ended it, unless the machine knows already.
    fn run_reader(
        self: &Arc<Self>,
        generation: u64,
        deadline: Duration,
        interrupt: &Interrupt,
        options: Box<Options>,
    ) -> Option<Error> {
        // All of the user's code that a dial runs is in here, what their options' drop does included.
        let dialled = catch_unwind(AssertUnwindSafe(move || {
            self.dial(generation, deadline, interrupt, &options)
        }));
        self.act(|machine, now| machine.handle_dial_returned(generation, now));
        let connection = match dialled {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Some(error),
            Err(panic) => resume_unwind(panic),
        };
        let wanted = self.act_on_link(generation, &connection);
        if !wanted {
            connection.close(1000);
        }
        // A connection that is not wanted any more is still read until its closing is done.
        let mut intake = Intake::default();
        loop {
            let start = clock::now();
            if let Err(error) = connection.recv_batch(&mut intake.inbox) {
                return wanted.then_some(error);
            }
            intake.take_in(clock::now().saturating_duration_since(start));
            if let Some((code, reason)) = self.handle_received(generation, &mut intake) {
                self.act(|machine, now| machine.handle_closed(generation, code, &reason, now));
                return None;
            }
        }
    }

    /// Makes the connection the one that frames are sent on, if it is still wanted.
    fn act_on_link(self: &Arc<Self>, generation: u64, connection: &Arc<dyn Connection>) -> bool {
        self.read(|core| {
            let link = core.link.as_mut().filter(|link| link.generation == generation);
            if let Some(link) = link {
                link.connection = Some(Arc::clone(connection));
            }
        });
        self.act(|machine, now| {
            machine.handle_opened(generation, now);
            machine.is_current(generation)
        })
    }

    fn take_link(&self, generation: u64) -> Option<Link> {
        self.read(|core| core.link.take_if(|link| link.generation == generation))
    }

    fn dial(
        self: &Arc<Self>,
        generation: u64,
        deadline: Duration,
        interrupt: &Interrupt,
        options: &Options,
    ) -> Result<Arc<dyn Connection>, Error> {
        let calling = |code| {
            self.act(|machine, now| machine.handle_calling(generation, code, now));
        };
        // The function behind `Options::custom` is the user's.
        if options.is_custom() {
            calling(Some(RESOLVER));
        }
        let url = catch_unwind(AssertUnwindSafe(|| options.to_url())).unwrap_or_else(|_| {
            Err(Error::message(ErrorKind::Config, "the function given to Options::custom panicked"))
        })?;
        if let Some(target) = target(&url) {
            self.read(|core| core.machine.handle_target(generation, target));
        }
        if interrupt.is_interrupted() {
            return Err(Error::message(ErrorKind::Closed, "the dial was given up"));
        }
        calling(self.settings.dial_code);
        let deadline = self.clock.instant(deadline);
        let connector = &self.settings.connector;
        Ok(Arc::from(connector.connect_interruptibly(&url, deadline, interrupt)?))
    }

    /// Handles what was received, in one turn of the lock. Gives the peer's close, if it came.
    fn handle_received(
        self: &Arc<Self>,
        generation: u64,
        intake: &mut Intake,
    ) -> Option<(Option<u16>, String)> {
        let mut received = Received::default();
        let batches = &mut intake.batches;
        for text in batches.iter().flat_map(|shared| shared.batch.texts()) {
            trace_frame("in", text);
            received.frames += 1;
            received.bytes += text.len() as u64;
        }
        self.counts.received(received);
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

/// Host and port of a URL for the log, and nothing else of it: the path has the key, and a password may stand
/// before the host. `None` if the URL has none that is certain.
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
        "ws" if !has_port => Some(format!("{host}:80")),
        "wss" if !has_port => Some(format!("{host}:443")),
        _ => Some(host.to_owned()),
    }
}

/// Lets the client go on if the reader panics, in the user's connector or here.
struct ReportPanic<'a> {
    shared: &'a Arc<Shared>,
    generation: u64,
}

impl Drop for ReportPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = "the reader thread panicked; the connection is lost";
            let error = Error::message(ErrorKind::Internal, message);
            self.shared.act(|machine, now| machine.handle_lost(self.generation, error, now));
        }
    }
}
