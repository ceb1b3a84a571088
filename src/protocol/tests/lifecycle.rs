//! Every state against every input, and what the user sees of a life.

use super::super::Policy;
use super::harness::{CONNECT, GRACE, Harness, MS, secs};
use crate::{ChannelStatus, Error, ErrorKind, Event, State};

/// Where a machine can be. `room` is wanted in all of them, and confirmed where there is a connection.
const STAGES: [&str; 10] =
    ["init", "dial", "open", "live", "wait", "again", "policy", "disc", "failed", "closed"];

fn at(stage: &str) -> Harness {
    let mut harness = Harness::quiet_with(|config| {
        if stage == "policy" {
            config.policy = Policy::Custom;
        }
    });
    harness.subscribe("room");
    if stage != "init" {
        harness.connect();
    }
    match stage {
        "init" | "dial" => {}
        "open" => harness.opened(),
        "live" => {
            harness.opened();
            harness.establish();
            harness.confirm("room");
        }
        "wait" | "policy" => harness.lose(),
        "again" => {
            harness.lose();
            harness.advance_to_deadline();
        }
        "disc" => harness.disconnect(),
        "failed" => harness.closed(Some(4001)),
        "closed" => harness.close(),
        _ => unreachable!("{stage}"),
    }
    harness.take();
    harness
}

fn brief(state: State) -> &'static str {
    match state {
        State::Initialized => "In",
        State::Connecting => "Cg",
        State::Connected => "Cd",
        State::Reconnecting => "Re",
        State::Disconnected => "Di",
        State::Failed => "Fa",
    }
}

/// `-` if nothing has changed and nothing came out, else the state and the outputs.
fn outcome(stage: &str, input: impl FnOnce(&mut Harness)) -> String {
    let mut harness = at(stage);
    let before = harness.state();
    input(&mut harness);
    let order = harness.take().order;
    if order.is_empty() && before == harness.state() {
        return "-".into();
    }
    format!("{}:{order}", brief(harness.state()))
}

#[track_caller]
fn row(name: &str, expected: &str, input: impl Fn(&mut Harness)) {
    let expected: Vec<_> = expected.split_whitespace().collect();
    assert_eq!(expected.len(), STAGES.len(), "{name}");
    for (stage, expected) in STAGES.into_iter().zip(expected) {
        assert_eq!(outcome(stage, &input), expected, "{name} in {stage}");
    }
}

/// For each input, by stage: the state after it and its outputs (letters as in `Outputs::order`).
#[test]
#[rustfmt::skip]
fn every_input_in_every_state_does_what_the_table_says() {
    let data = |data: &'static str| move |harness: &mut Harness| harness.server("pusher:error", None, data);
    let event = |name: &'static str| move |harness: &mut Harness| harness.server(name, Some("room"), "");
    //                init   dial   open   live   wait   again  policy disc   failed closed
    row("connect",   "Cg:Ds  -      -      -      -      -      -      Cg:Ds  Cg:Ds  -", Harness::connect);
    row("disconnect","Di:s   Di:Hs  Di:Hs  Di:Hs  Di:s   Di:Hs  Di:s   -      Di:s   -", Harness::disconnect);
    row("reconnect", "Cg:Ds  Re:HDs Re:HDs Re:HDs Re:Ds  Re:HDs Re:Ds  Cg:Ds  Cg:Ds  -", Harness::reconnect);
    row("close",     "Di:s   Di:Hs  Di:Hs  Di:Hs  Di:s   Di:Hs  Di:s   -      Di:s   -", Harness::close);
    row("network",   "-      -      -      Cd:S   -      -      -      -      -      -", Harness::network_changed);
    row("subscribe", "-      -      -      Cd:S   -      -      -      -      -      -", |harness| harness.subscribe("more"));
    row("again",     "-      -      -      -      -      -      -      -      -      -", |harness| harness.subscribe("room"));
    row("unsub",     "-      -      -      Cd:S   -      -      -      -      -      -", |harness| harness.unsubscribe("room"));
    row("unsub no",  "-      -      -      -      -      -      -      -      -      -", |harness| harness.unsubscribe("more"));
    row("retire",    "-      -      -      -      -      -      -      -      -      -", |harness| harness.retire("room"));
    row("ping",      "-      -      -      Cd:S   -      -      -      -      -      -", |harness| drop(harness.ping()));
    row("opened",    "-      -      -      -      -      -      -      -      -      -", Harness::opened);
    row("establish", "-      Cd:scS Cd:scS Cd:v   -      Cd:scS -      -      -      -", Harness::establish);
    row("no id",     "-      Re:eHs Re:eHs Cd:v   -      Re:eHs -      -      -      -", |harness| harness.establish_with("{}"));
    row("user event","-      -      -      Cd:v   -      -      -      -      -      -", event("e"));
    row("malformed", "-      Cg:e   Cg:e   Cd:e   -      Re:e   -      -      -      -", |harness| harness.frame("{"));
    row("ping in",   "-      -      -      Cd:S   -      -      -      -      -      -", event("pusher:ping"));
    row("pong in",   "-      -      -      -      -      -      -      -      -      -", event("pusher:pong"));
    row("confirmed", "-      -      -      Cd:v   -      -      -      -      -      -", |harness| harness.confirm("room"));
    row("refused",   "-      -      -      Cd:fev -      -      -      -      -      -", event("pusher:subscription_error"));
    row("no member", "-      -      -      -      -      -      -      -      -      -", event("pusher_internal:member_added"));
    row("cache miss","-      -      -      Cd:v   -      -      -      -      -      -", event("pusher:cache_miss"));
    row("error 4001","-      Fa:eHs Fa:eHs Cd:ev  -      Fa:eHs -      -      -      -", data(r#"{"code":4001}"#));
    row("error 4100","-      Re:eHs Re:eHs Cd:ev  -      Re:eHs -      -      -      -", data(r#"{"code":4100}"#));
    row("error null","-      Re:eHs Re:eHs Cd:ev  -      Re:eHs -      -      -      -", data(r#"{"code":null}"#));
    row("decide",    "-      -      -      -      -      -      Re:s   -      -      -", |harness| harness.decide(1, Some(secs(1))));
    row("decide no", "-      -      -      -      -      -      Fa:s   -      -      -", |harness| harness.decide(1, None));
    row("stale",     "-      -      -      -      -      -      -      -      -      -", |harness| harness.decide(2, Some(secs(1))));
    row("stale no",  "-      -      -      -      -      -      -      -      -      -", |harness| harness.decide(0, None));
    row("early",     "-      -      -      -      -      -      -      -      -      -", Harness::timeout);
    row("too early", "-      -      -      -      -      -      -      -      -      -", |harness| late(harness, -1));
    row("on time",   "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |harness| late(harness, 0));
    row("late",      "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |harness| late(harness, 1));
    row("very late", "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |harness| late(harness, 100_000_000));
}

/// Calls `handle_timeout` so many milliseconds after the deadline, once.
fn late(harness: &mut Harness, millis: i64) {
    if let Some(deadline) = harness.deadline() {
        let wait = (deadline - harness.now.mono).as_millis() as i64 + millis;
        // The deadline may be between two milliseconds.
        harness.skip(MS * (wait + i64::from(millis >= 0)) as u32);
    }
    harness.timeout();
}

#[test]
fn every_end_of_a_connection_in_every_state_does_what_the_table_says() {
    let stop = "-  Fa:s Fa:s Fa:s - Fa:s - - - -";
    let retry = "- Re:s Re:s Re:s - Re:s - - - -";
    for code in [4000, 4001, 4003, 4004, 4009, 4050, 4099, 4300, 4301, 4999] {
        row(&code.to_string(), stop, |harness| harness.closed(Some(code)));
    }
    for code in [4100, 4150, 4199, 4200, 4201, 4299, 3999, 5000, 1000, 1001, 1006, 1011, 0] {
        row(&code.to_string(), retry, |harness| harness.closed(Some(code)));
    }
    row("no code", retry, |harness| harness.closed(None));
    row("lost", retry, Harness::lose);
}

#[test]
fn what_belongs_to_another_dial_has_no_effect_in_any_state() {
    let established = r#"{"event":"pusher:connection_established","data":{"socket_id":"9.9"}}"#;
    let error = || Error::new(ErrorKind::Io, "late");
    for stage in STAGES {
        for ahead in [false, true] {
            let mut harness = at(stage);
            let generation =
                if ahead { harness.generation + 1 } else { harness.generation.wrapping_sub(1) };
            let (state, deadline, now) = (harness.state(), harness.deadline(), harness.now);
            let socket_id = harness.machine.socket_id().map(str::to_owned);
            assert!(!harness.machine.is_current(generation));
            harness.machine.handle_opened(generation, now);
            harness.machine.handle_lost(generation, error(), now);
            harness.machine.handle_closed(generation, Some(4001), "", now);
            harness.machine.handle_malformed(generation, error(), now);
            for frame in [
                established,
                r#"{"event":"pusher:error","data":{"code":4001}}"#,
                r#"{"event":"pusher:ping"}"#,
                r#"{"event":"pusher:subscription_error","channel":"room","data":{}}"#,
                r#"{"event":"e","channel":"room"}"#,
            ] {
                let event = Event::parse(frame.into()).unwrap();
                harness.machine.handle_event(generation, event, now);
            }
            assert!(harness.machine.poll_output().is_none(), "{stage}");
            assert_eq!((harness.state(), harness.deadline()), (state, deadline), "{stage}");
            assert_eq!(harness.machine.socket_id(), socket_id.as_deref(), "{stage}");
        }
    }
}

#[test]
fn what_an_ended_connection_still_sends_has_no_effect() {
    for end in [Harness::disconnect, Harness::lose, Harness::reconnect, Harness::close] {
        let mut harness = at("live");
        let old = harness.generation;
        end(&mut harness);
        let state = harness.state();
        harness.take();
        harness.frame_on(old, r#"{"event":"e","channel":"room"}"#);
        harness.frame_on(old, r#"{"event":"pusher:ping"}"#);
        harness.frame_on(old, "not JSON");
        let now = harness.now;
        harness.machine.handle_closed(old, Some(4001), "", now);
        assert!(harness.machine.poll_output().is_none());
        harness.expect_nothing();
        assert_eq!(harness.state(), state);
    }
}

#[test]
fn connecting_and_establishing_report_the_states_and_the_socket_id() {
    let mut harness = Harness::quiet();
    assert_eq!((harness.state(), harness.machine.socket_id()), (State::Initialized, None));
    assert_eq!(harness.deadline(), None);
    harness.connect();
    let outputs = harness.expect_outputs("Ds");
    assert_eq!(outputs.dials, [(1, CONNECT)]);
    let change = outputs.state();
    assert_eq!((change.previous, change.current), (State::Initialized, State::Connecting));
    assert_eq!((change.attempt, change.retry_in), (0, None));
    assert!(change.cause.is_none());

    harness.opened();
    harness.expect_nothing();
    assert_eq!(harness.machine.socket_id(), None);
    harness.establish_with(r#"{"socket_id":"218.9301","activity_timeout":120}"#);
    let outputs = harness.expect_outputs("sc");
    assert_eq!(outputs.connected, ["218.9301"]);
    assert_eq!(outputs.state().current, State::Connected);
    assert_eq!(harness.machine.socket_id(), Some("218.9301"));
}

#[test]
fn disconnect_forgets_the_socket_id_and_closes_normally() {
    let mut harness = Harness::quiet_connected();
    harness.disconnect();
    let outputs = harness.expect_outputs("Hs");
    assert_eq!(outputs.closes, [(1, 1000)]);
    assert!(outputs.state().cause.is_none());
    assert_eq!(harness.machine.socket_id(), None);
    harness.advance(secs(100_000));
    harness.expect_nothing();
}

#[test]
fn disconnect_is_final_wherever_it_comes_until_connect() {
    for stage in STAGES {
        let mut harness = at(stage);
        harness.disconnect();
        harness.take();
        harness.advance(secs(100_000));
        harness.network_changed();
        harness.suspend(secs(1000));
        harness.timeout();
        harness.decide(1, Some(secs(0)));
        harness.expect_nothing();
        assert_eq!(harness.state(), State::Disconnected, "{stage}");
        harness.connect();
        let order = if stage == "closed" { "" } else { "Ds" };
        assert_eq!(harness.take().order, order, "{stage}");
    }
}

#[test]
fn disconnects_are_counted_so_that_waiters_notice_one_that_is_over() {
    let mut harness = Harness::quiet_connected();
    assert_eq!(harness.machine.disconnects(), 0);
    harness.disconnect();
    harness.connect();
    harness.disconnect();
    assert_eq!(harness.machine.disconnects(), 2);
    harness.close();
    assert_eq!(harness.machine.disconnects(), 3);
}

#[test]
fn after_close_nothing_can_be_wanted_any_more() {
    let mut harness = Harness::quiet_connected();
    assert!(!harness.machine.is_closed());
    harness.close();
    assert!(harness.machine.is_closed());
    harness.take();
    harness.subscribe("room");
    harness.connect();
    harness.reconnect();
    harness.close();
    assert!(harness.ping().is_err());
    harness.expect_nothing();
    assert_eq!(
        (harness.state(), harness.status("room")),
        (State::Disconnected, ChannelStatus::Idle)
    );
}

#[test]
fn reconnect_on_a_live_connection_dials_at_once_and_counts_no_attempt() {
    let mut harness = at("live");
    harness.reconnect();
    let outputs = harness.expect_outputs("HDs");
    assert_eq!(outputs.closes, [(1, 1000)]);
    assert_eq!(outputs.dials, [(2, CONNECT)]);
    let change = outputs.state();
    assert_eq!((change.attempt, change.retry_in), (0, Some(secs(0))));
    assert_eq!(harness.status("room"), ChannelStatus::Pending);
    harness.establish();
    assert_eq!(harness.expect_outputs("scS").sent(), ["subscribe room"]);
}

#[test]
fn reconnect_in_back_off_dials_at_once() {
    let mut harness = at("wait");
    harness.reconnect();
    assert_eq!(harness.expect_outputs("Ds").dials, [(2, CONNECT)]);
    assert_eq!(harness.due_in(), CONNECT + GRACE);
}

#[test]
fn connect_leaves_failed_and_counts_attempts_anew() {
    let mut harness = at("failed");
    assert_eq!(harness.machine.failure().and_then(Error::close_code), Some(4001));
    harness.connect();
    assert_eq!(harness.expect_outputs("Ds").state().attempt, 0);
    assert!(harness.machine.failure().is_none());
    harness.lose();
    assert_eq!(harness.expect_outputs("s").state().attempt, 1);
}

#[test]
fn a_ping_without_a_connection_is_an_error() {
    for stage in STAGES {
        let mut harness = at(stage);
        let result = harness.ping().map(|ping| ping.number).map_err(|error| error.kind());
        let expected = if stage == "live" { Ok(1) } else { Err(ErrorKind::NotConnected) };
        assert_eq!(result, expected, "{stage}");
    }
}

#[test]
fn changes_are_noticed_once_and_only_where_something_changed() {
    let mut harness = at("live");
    assert!(harness.machine.take_changed());
    assert!(!harness.machine.take_changed());
    harness.server("e", Some("room"), "");
    harness.server("pusher:ping", None, "");
    harness.server("pusher:pong", None, "");
    assert!(!harness.machine.take_changed(), "no waiter depends on events");
    type Change = fn(&mut Harness);
    let changes: [Change; 6] = [
        |harness| harness.subscribe("more"),
        |harness| harness.confirm("more"),
        |harness| harness.unsubscribe("more"),
        |harness| harness.server("pusher:subscription_error", Some("room"), "{}"),
        Harness::lose,
        Harness::disconnect,
    ];
    for (i, change) in changes.iter().enumerate() {
        change(&mut harness);
        assert!(harness.machine.take_changed(), "change {i}");
    }
}
