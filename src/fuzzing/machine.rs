//! The whole machine under any inputs, in any order. Whatever happens, it keeps what the harness checks, ends no
//! wait late, and works afterwards.
//!
//! An input is a byte for the policy and the outbox, and then a byte for each command, followed by what it takes. To
//! add a command, add a line at the end of `COMMANDS`.

use std::time::Duration;

use serde_json::Value;

use super::frame::{CHANNELS, frame};
use crate::fuzzing::Input;
use crate::protocol::harness::{Harness, Request, backoff};
use crate::protocol::{Notification, OutboxLimits, Output, Policy};
use crate::wire::ChannelKind;
use crate::{Auth, ChannelStatus, Error, ErrorKind, Event, State, UserAuth};

/// One input may fail all that is held on the encrypted channels, each with two notifications.
const MAX_OUTPUTS: usize = 2 * 2 * 256 + 200;
/// Longer lives find nothing that shorter ones do not.
const MAX_COMMANDS: usize = 2000;
/// The most that the machine may take as text: what is queued somewhere would show.
const MAX_SHOWN: usize = 256 * 1024;

type Command = fn(&mut Harness, &mut Input<'_>);

const COMMANDS: &[Command] = &[
    |harness, _| harness.connect(),
    |harness, _| harness.disconnect(),
    |harness, _| harness.reconnect(),
    |harness, _| harness.network_changed(),
    |harness, _| harness.close(),
    |harness, input| harness.subscribe(input.pick(CHANNELS)),
    |harness, input| harness.unsubscribe(input.pick(CHANNELS)),
    |harness, input| harness.retire(input.pick(CHANNELS)),
    |harness, input| {
        let name = input.pick(CHANNELS);
        harness.input(|machine, now| machine.authorizer_changed(name, now));
    },
    |harness, _| ping(harness),
    trigger,
    |harness, _| harness.opened(),
    |harness, _| harness.establish(),
    |harness, input| harness.confirm(input.pick(CHANNELS)),
    |harness, input| harness.frame(frame(input)),
    |harness, input| {
        harness.frame_on(harness.generation.wrapping_sub(1), frame(input));
        assert!(!notifies(harness), "notified of what came on an older connection");
    },
    flood,
    lose,
    close_by_server,
    begin,
    respond,
    decide,
    |harness, input| pass(harness, time(input)),
    |harness, input| pass(harness, Duration::from_millis(input.byte().into())),
    |harness, input| harness.skip(time(input)),
    |harness, input| harness.now.wall += time(input),
    |harness, input| harness.now.wall = harness.now.wall.saturating_sub(time(input)),
    |harness, _| {
        if let Some(deadline) = harness.deadline() {
            pass(harness, deadline.saturating_sub(harness.now.mono));
        }
    },
    |harness, _| harness.timeout(),
    |harness, _| harness.signin(),
    |harness, _| harness.signout(),
    |harness, _| harness.change_authenticator(),
    |harness, _| harness.switch(),
    begin_user,
    respond_user,
    |harness, _| {
        harness.frame(r#"{"event":"pusher:signin_success","data":{"user_data":"{\"id\":\"7\"}"}}"#);
    },
    |harness, input| harness.suspend(time(input)),
    |harness, input| harness.blocks = input.byte() % 2 == 1,
    |harness, _| harness.return_dial(),
    |harness, input| drop(harness.trigger_number(input.pick(CHANNELS))),
];

/// Plays one life.
pub(crate) fn machine(data: &[u8]) {
    let mut input = Input::new(data);
    let first = input.byte();
    let policy = match first % 4 {
        0 => backoff(None),
        1 => backoff(Some(2)),
        2 => Policy::Custom,
        _ => Policy::Never,
    };
    let mut harness = Harness::with(|config| {
        config.policy = policy;
        let limits = OutboxLimits { count: 64, bytes: 4096, age: Duration::from_secs(100) };
        config.outbox = (first >= 128).then_some(limits);
        #[cfg(feature = "encrypted")]
        {
            config.max_held = crate::Queue::drop_oldest(256).limits();
        }
    });
    for _ in 0..MAX_COMMANDS {
        if input.is_empty() {
            break;
        }
        // What is not in the table yet is time that passes, so that kept inputs mean the same later.
        match COMMANDS.get(usize::from(input.byte() % 64)) {
            Some(command) => command(&mut harness, &mut input),
            None => pass(&mut harness, Duration::from_secs(1)),
        }
        check(&mut harness);
    }
    end(&mut harness);
}

fn time(input: &mut Input<'_>) -> Duration {
    let unit = input.pick(&[1, 1000, 60_000, 3_600_000]);
    Duration::from_millis(input.number() % 100_000 * unit)
}

fn notifies(harness: &Harness) -> bool {
    harness.outputs.iter().any(|output| matches!(output, Output::Notify(_)))
}

fn pass(harness: &mut Harness, time: Duration) {
    harness.skip(time);
    harness.catch_up();
}

fn ping(harness: &mut Harness) {
    let live = harness.machine.socket_id().is_some();
    let sent = harness.input(|machine, now| machine.ping(now).is_ok());
    assert_eq!(sent, live);
}

fn trigger(harness: &mut Harness, input: &mut Input<'_>) {
    let (name, event) = (input.pick(CHANNELS), input.text());
    let data = Value::from(input.text()).to_string();
    let may_wait = harness.machine.config.outbox.is_some();
    let status = harness.machine.channel_status(name);
    let accepted = harness.trigger_event(name, &event, &data).is_ok();
    let is_wanted = !matches!(status, ChannelStatus::Idle | ChannelStatus::Unsubscribed);
    let ready = status == ChannelStatus::Subscribed || (may_wait && is_wanted);
    assert!(!accepted || ready && event.starts_with("client-"), "{event:?}");
}

/// The same frame many times.
fn flood(harness: &mut Harness, input: &mut Input<'_>) {
    let times = input.byte();
    let frame = frame(input);
    for _ in 0..times {
        harness.frame(frame.clone());
        check(harness);
    }
}

fn lose(harness: &mut Harness, input: &mut Input<'_>) {
    let kind = input.pick(&[ErrorKind::Io, ErrorKind::Timeout, ErrorKind::TooLarge]);
    match input.byte() % 4 == 1 {
        true => harness.lose_on(harness.generation + 1),
        false => harness.lose_with(Error::new(kind, "the connection broke")),
    }
}

fn close_by_server(harness: &mut Harness, input: &mut Input<'_>) {
    let code = match input.byte() % 4 {
        0 => None,
        1 => Some(input.number() as u16),
        _ => Some(4000 + input.number() as u16 % 400),
    };
    harness.closed_with(code, &input.text());
}

fn begin(harness: &mut Harness, input: &mut Input<'_>) {
    let at = usize::from(input.byte()).checked_rem(harness.requests.len());
    if let Some(request) = at.and_then(|at| harness.requests.get(at)).cloned() {
        harness.begin(&request);
    }
}

/// Responds to any request that was ever made: the last, if nothing else is chosen.
fn respond(harness: &mut Harness, input: &mut Input<'_>) {
    let behind = usize::from(input.byte() / 8);
    let Some(at) = harness.requests.len().checked_sub(behind + 1) else { return };
    let request = harness.requests[at].clone();
    let Request { id, socket_id, connection, .. } = &request;
    let stale = *connection != harness.connections || !harness.open;
    let auth = Auth::new(format!("{id}/{socket_id}"));
    let response = match input.byte() % 8 {
        0..=2 => {
            let auth = auth.channel_data(r#"{"user_id":"me"}"#);
            Ok(auth.shared_secret("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="))
        }
        3 => {
            let auth = auth.channel_data(r#"{"user_id":7}"#);
            Ok(auth.shared_secret("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="))
        }
        4 => Ok(auth.channel_data(input.text()).shared_secret(input.text())),
        5 => Ok(auth),
        6 => Err(Error::new(ErrorKind::Auth, "refused").with_http_status(403)),
        _ => {
            let wait = time(input);
            let busy = Error::new(ErrorKind::Auth, "busy").with_http_status(503);
            Err(busy.with_retry_after(wait))
        }
    };
    harness.respond_to(&request, response);
    assert!(!stale || !notifies(harness), "notified of a response for an earlier connection");
}

fn begin_user(harness: &mut Harness, input: &mut Input<'_>) {
    let at = usize::from(input.byte()).checked_rem(harness.user_requests.len());
    if let Some(request) = at.and_then(|at| harness.user_requests.get(at)).cloned() {
        harness.begin_user(&request);
    }
}

fn respond_user(harness: &mut Harness, input: &mut Input<'_>) {
    let behind = usize::from(input.byte() / 8);
    let Some(at) = harness.user_requests.len().checked_sub(behind + 1) else { return };
    let request = harness.user_requests[at].clone();
    let auth = format!("{}/{}", request.id, request.socket_id);
    let response = match input.byte() % 4 {
        0 | 1 => Ok(UserAuth::new(auth, r#"{"id":"7"}"#)),
        2 => Ok(UserAuth::new(auth, input.text())),
        _ if input.byte() % 2 == 0 => Err(Error::new(ErrorKind::Auth, "refused")),
        _ => Err(Error::new(ErrorKind::Io, "broken")),
    };
    harness.respond_to_user(&request, response);
}

fn decide(harness: &mut Harness, input: &mut Input<'_>) {
    let call = harness.policy_calls.saturating_sub(u64::from(input.byte() % 4 == 1));
    let wait = match input.byte() % 3 {
        0 => Some(Duration::ZERO),
        1 => Some(time(input)),
        _ => None,
    };
    harness.decide(call, wait);
}

/// What holds beside what the harness checks. Forgets what has come out.
fn check(harness: &mut Harness) {
    let count = harness.outputs.len();
    assert!(count <= MAX_OUTPUTS, "one input has {count} outputs");
    for output in harness.outputs.drain(..) {
        if let Output::Notify(Notification::Event(event)) = output {
            let name = event.channel().unwrap_or_default();
            let is_encrypted = ChannelKind::of(name) == ChannelKind::PrivateEncrypted;
            let is_clear = is_encrypted && !event.name().starts_with("pusher:");
            assert!(!is_clear || event.data().starts_with("encrypted:"), "{event:?} in the clear");
        }
    }
    (harness.frames, harness.errors, harness.abandoned, harness.log) = Default::default();
    for name in CHANNELS {
        let status = harness.machine.channel_status(name);
        let is_known = !matches!(status, ChannelStatus::Idle | ChannelStatus::Unsubscribed);
        let is_wanted = harness.wanted.iter().any(|wanted| wanted == name);
        assert!(!is_known || is_wanted, "{name} is {status:?}");
    }
}

/// After all that it still works: it connects, subscribes, delivers, and ends when the user wants it.
fn end(harness: &mut Harness) {
    let shown = format!("{:?}", harness.machine);
    assert!(shown.len() <= MAX_SHOWN, "it has grown to {}", shown.len());
    let held = shown.matches("Refused(").count() + shown.matches("Decided(").count();
    assert!(held <= 2 * 256, "{held} events wait");
    if !harness.machine.is_closed() {
        harness.blocks = false;
        harness.return_dial();
        harness.reconnect();
        harness.establish();
        harness.subscribe("room");
        harness.confirm("room");
        assert_eq!(harness.machine.channel_status("room"), ChannelStatus::Subscribed);
        harness.outputs.clear();
        let raw = r#"{"event":"last","channel":"room","data":"words"}"#;
        harness.frame(raw);
        let delivered: Vec<&Event> = (harness.outputs.iter())
            .filter_map(|output| match output {
                Output::Notify(Notification::Event(event)) => Some(event),
                _ => None,
            })
            .collect();
        assert_eq!(delivered.iter().map(|event| event.raw()).collect::<Vec<_>>(), [raw]);
        harness.close();
    }
    assert_eq!((harness.state, harness.deadline()), (State::Disconnected, None));
}
