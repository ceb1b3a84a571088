//! `listen`: prints the events of channels.

use std::time::{Duration, Instant};

use clap::Args;
use crossbeam_channel::{Receiver, Select};
use pusher_channels::{AnyChannel, Binding, Client, Error, Event, Gap, State, StateChange};

use crate::exit::{Failure, INTERRUPTED, TIMED_OUT};
use crate::interrupt::interruptions;
use crate::options::{Access, Server};
use crate::output::{Output, note};
use crate::time::{duration, instant, text_now};

/// How long the client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// How many values of a queue are handled before the others are looked at.
const AT_ONCE: usize = 1000;

/// Print the events of channels as they come
///
/// It reconnects by itself. It ends when a subscription is refused, when the server is not reached within --timeout at
/// the start, and when the client gives up, for example because the app key is wrong.
#[derive(Args)]
#[command(after_help = crate::EXIT_CODES)]
pub(crate) struct Listen {
    /// Names of the channels
    #[arg(value_name = "CHANNEL", required = true)]
    channels: Vec<String>,
    /// Print only events of this name (can be repeated)
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, such as `30s`, `5m` or `1h`; with --count it is an error (3) if fewer events came
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,
    /// Print JSON lines with `channel`, `event`, `data`, `user_id` and `time`
    ///
    /// `data` is the value if the event's data is JSON, otherwise a string.
    #[arg(long)]
    json: bool,
    /// Print states, subscriptions, members and gaps too, on standard error
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    access: Access,
}

impl Listen {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let client =
            self.server.client(&self.access)?.subscribe_timeout(self.server.timeout).build()?;
        let interruptions = interruptions()?;
        let result = Listening::start(&self, &client, interruptions)?.run();
        // The process ends anyway.
        let _ = client.close(GOODBYE);
        result
    }

    /// Returns `true` for an event that is printed.
    fn wants(&self, event: &Event) -> bool {
        match self.event.is_empty() {
            true => !is_protocol(event),
            false => self.event.iter().any(|name| name == event.name()),
        }
    }
}

fn is_protocol(event: &Event) -> bool {
    event.name().starts_with("pusher:")
}

struct Listening<'a> {
    listen: &'a Listen,
    output: Output,
    interruptions: Receiver<()>,
    channels: Vec<AnyChannel>,
    events: Binding<Event>,
    states: Binding<StateChange>,
    errors: Vec<Binding<Error>>,
    gaps: Vec<(String, Binding<Gap>)>,
    /// When to end.
    end: Option<Instant>,
    /// Until when all channels must be subscribed for the first time; `None` once they are.
    subscribed_by: Option<Instant>,
    /// There is no connection, and a warning said so.
    outage: bool,
    /// How many events are still to be printed.
    left: Option<u64>,
}

/// What ends the command.
enum End {
    Done,
    Failed(Failure),
}

impl<'a> Listening<'a> {
    fn start(
        listen: &'a Listen,
        client: &Client,
        interruptions: Receiver<()>,
    ) -> Result<Self, Failure> {
        let events = client.bind_all();
        let states = client.bind_states();
        let mut channels = Vec::new();
        for name in &listen.channels {
            channels.push(client.channel(name)?);
        }
        let errors = channels.iter().map(AnyChannel::bind_subscription_error).collect();
        let gaps = |channel: &AnyChannel| (channel.name().to_owned(), channel.bind_resumed());
        let gaps = channels.iter().map(gaps).collect();
        channels.iter().for_each(AnyChannel::subscribe);
        client.connect();
        let now = instant();
        Ok(Self {
            listen,
            output: Output::new(listen.json),
            interruptions,
            channels,
            events,
            states,
            errors,
            gaps,
            end: listen.time.map(|time| now + time),
            subscribed_by: Some(now + listen.server.timeout),
            outage: false,
            left: listen.count,
        })
    }

    fn run(mut self) -> Result<(), Failure> {
        loop {
            match self.handle() {
                Ok(()) => {}
                Err(End::Done) => break,
                Err(End::Failed(failure)) => return Err(failure),
            }
            self.wait();
        }
        let dropped = self.events.dropped();
        if dropped > 0 {
            note(&format!("warning: {dropped} events were dropped, because printing was too slow"));
        }
        Ok(())
    }

    /// Waits until there is something to handle.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.interruptions);
        select.recv(&self.events);
        select.recv(&self.states);
        for errors in &self.errors {
            select.recv(errors);
        }
        for (_, gaps) in &self.gaps {
            select.recv(gaps);
        }
        match self.end.into_iter().chain(self.subscribed_by).min() {
            // Whether it was the deadline shows next.
            Some(deadline) => drop(select.ready_deadline(deadline)),
            None => drop(select.ready()),
        }
    }

    /// Handles what there is.
    fn handle(&mut self) -> Result<(), End> {
        // Events before what ends the command, so that what came before it is printed.
        let failed = self.report_states();
        self.print_events()?;
        failed?;
        self.report_channels()?;
        if self.interruptions.try_recv().is_ok() {
            return Err(match self.left {
                Some(_) => End::Failed(Failure::quiet(INTERRUPTED)),
                None => End::Done,
            });
        }
        self.check_time()
    }

    fn print_events(&mut self) -> Result<(), End> {
        for event in self.events.try_iter().take(AT_ONCE) {
            if self.listen.verbose && is_protocol(&event) {
                let channel = event.channel().unwrap_or("-");
                note(&format!("{} {channel} {} {}", text_now(), event.name(), event.data()));
            }
            if !self.listen.wants(&event) {
                continue;
            }
            self.output.event(&event, &text_now()).map_err(End::Failed)?;
            if let Some(left) = &mut self.left {
                *left -= 1;
                if *left == 0 {
                    return Err(End::Done);
                }
            }
        }
        Ok(())
    }

    fn report_states(&mut self) -> Result<(), End> {
        for change in self.states.try_iter() {
            let outage = change.current == State::Reconnecting && !self.outage;
            if self.listen.verbose {
                note(&format!("{} {}", text_now(), described(&change)));
            } else if outage {
                note(&format!("warning: {}", described(&change)));
            }
            match change.current {
                State::Reconnecting => self.outage = true,
                State::Connected => self.outage = false,
                _ => {}
            }
            if let (State::Failed, Some(cause)) = (change.current, change.cause) {
                return Err(End::Failed(cause.into()));
            }
        }
        Ok(())
    }

    fn report_channels(&self) -> Result<(), End> {
        for error in self.errors.iter().flat_map(|errors| errors.try_iter()) {
            if !error.is_retryable() {
                return Err(End::Failed(error.into()));
            }
            note(&format!("warning: {error}"));
        }
        for (name, gaps) in &self.gaps {
            for gap in gaps.try_iter().filter(|_| self.listen.verbose) {
                let seconds = gap.length().as_secs_f64();
                note(&format!("{} {name} resubscribed after a gap of {seconds:.1} s", text_now()));
            }
        }
        Ok(())
    }

    fn check_time(&mut self) -> Result<(), End> {
        let now = instant();
        if let Some(deadline) = self.subscribed_by {
            let pending = self.channels.iter().find(|channel| !channel.is_subscribed());
            match pending {
                None => self.subscribed_by = None,
                // Returns at once, with the last failure.
                Some(channel) if now >= deadline => {
                    let error = channel.wait_subscribed(Duration::ZERO).err();
                    let timed_out = || Failure::new(TIMED_OUT, "subscribing timed out");
                    return Err(End::Failed(error.map_or_else(timed_out, Failure::from)));
                }
                Some(_) => {}
            }
        }
        if self.end.is_none_or(|end| now < end) {
            return Ok(());
        }
        Err(match (self.left, self.listen.count) {
            (Some(left), Some(count)) => {
                let came = count - left;
                let message = format!("timed out: {came} of {count} events came");
                End::Failed(Failure::new(TIMED_OUT, message))
            }
            _ => End::Done,
        })
    }
}

fn described(change: &StateChange) -> String {
    let mut text = format!("{:?}", change.current).to_lowercase();
    if let Some(cause) = &change.cause {
        text.push_str(&format!(": {cause}"));
    }
    if let Some(wait) = change.retry_in {
        text.push_str(&format!(" (retrying in {:.1} s)", wait.as_secs_f64()));
    }
    text
}
