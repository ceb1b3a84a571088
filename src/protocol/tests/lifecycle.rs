//! Every state against every input, and what the user sees of a life.

use super::super::Policy;
use super::sim::{CONNECT, GRACE, MS, Sim, secs};
use crate::{ChannelStatus, Error, ErrorKind, Event, State};

/// Where a machine can be. `room` is wanted in all of them, and confirmed where there is a connection.
const STAGES: [&str; 10] =
    ["init", "dial", "open", "live", "wait", "again", "ask", "disc", "failed", "closed"];

fn at(stage: &str) -> Sim {
    let mut sim = Sim::with(|config| {
        if stage == "ask" {
            config.policy = Policy::Ask;
        }
    });
    sim.subscribe("room");
    if stage != "init" {
        sim.connect();
    }
    match stage {
        "init" | "dial" => {}
        "open" => sim.opened(),
        "live" => {
            sim.opened();
            sim.established();
            sim.confirm("room");
        }
        "wait" | "ask" => sim.lost(),
        "again" => {
            sim.lost();
            sim.advance_to_deadline();
        }
        "disc" => sim.disconnect(),
        "failed" => sim.closed(Some(4001)),
        "closed" => sim.close(),
        _ => unreachable!("{stage}"),
    }
    sim.take();
    sim
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
fn outcome(stage: &str, input: impl FnOnce(&mut Sim)) -> String {
    let mut sim = at(stage);
    let before = sim.state();
    input(&mut sim);
    let order = sim.take().order;
    if order.is_empty() && before == sim.state() {
        return "-".into();
    }
    format!("{}:{order}", brief(sim.state()))
}

#[track_caller]
fn row(name: &str, expected: &str, input: impl Fn(&mut Sim)) {
    let expected: Vec<_> = expected.split_whitespace().collect();
    assert_eq!(expected.len(), STAGES.len(), "{name}");
    for (stage, expected) in STAGES.into_iter().zip(expected) {
        assert_eq!(outcome(stage, &input), expected, "{name} in {stage}");
    }
}

/// For each input, by stage: the state after it and its outputs (letters as in `News::order`).
#[test]
#[rustfmt::skip]
fn every_input_in_every_state_does_what_the_table_says() {
    let data = |data: &'static str| move |sim: &mut Sim| sim.server("pusher:error", None, data);
    let event = |name: &'static str| move |sim: &mut Sim| sim.server(name, Some("room"), "");
    //                init   dial   open   live   wait   again  ask    disc   failed closed
    row("connect",   "Cg:Ds  -      -      -      -      -      -      Cg:Ds  Cg:Ds  -", Sim::connect);
    row("disconnect","Di:s   Di:Hs  Di:Hs  Di:Hs  Di:s   Di:Hs  Di:s   -      Di:s   -", Sim::disconnect);
    row("reconnect", "Cg:Ds  Re:HDs Re:HDs Re:HDs Re:Ds  Re:HDs Re:Ds  Cg:Ds  Cg:Ds  -", Sim::reconnect);
    row("close",     "Di:s   Di:Hs  Di:Hs  Di:Hs  Di:s   Di:Hs  Di:s   -      Di:s   -", Sim::close);
    row("network",   "-      -      -      Cd:S   -      -      -      -      -      -", Sim::network_changed);
    row("subscribe", "-      -      -      Cd:S   -      -      -      -      -      -", |sim| sim.subscribe("more"));
    row("again",     "-      -      -      -      -      -      -      -      -      -", |sim| sim.subscribe("room"));
    row("unsub",     "-      -      -      Cd:S   -      -      -      -      -      -", |sim| sim.unsubscribe("room"));
    row("unsub no",  "-      -      -      -      -      -      -      -      -      -", |sim| sim.unsubscribe("more"));
    row("retire",    "-      -      -      -      -      -      -      -      -      -", |sim| sim.retire("room"));
    row("ping",      "-      -      -      Cd:S   -      -      -      -      -      -", |sim| drop(sim.ping()));
    row("opened",    "-      -      -      -      -      -      -      -      -      -", Sim::opened);
    row("greeting",  "-      Cd:scS Cd:scS Cd:v   -      Cd:scS -      -      -      -", Sim::established);
    row("no greet",  "-      Re:eHs Re:eHs Cd:v   -      Re:eHs -      -      -      -", |sim| sim.established_with("{}"));
    row("user event","-      -      -      Cd:v   -      -      -      -      -      -", event("e"));
    row("malformed", "-      Cg:e   Cg:e   Cd:e   -      Re:e   -      -      -      -", |sim| sim.frame("{"));
    row("ping in",   "-      -      -      Cd:S   -      -      -      -      -      -", event("pusher:ping"));
    row("pong in",   "-      -      -      -      -      -      -      -      -      -", event("pusher:pong"));
    row("confirmed", "-      -      -      Cd:v   -      -      -      -      -      -", |sim| sim.confirm("room"));
    row("refused",   "-      -      -      Cd:fev -      -      -      -      -      -", event("pusher:subscription_error"));
    row("no member", "-      -      -      -      -      -      -      -      -      -", event("pusher_internal:member_added"));
    row("cache miss","-      -      -      Cd:v   -      -      -      -      -      -", event("pusher:cache_miss"));
    row("error 4001","-      Fa:eHs Fa:eHs Cd:ev  -      Fa:eHs -      -      -      -", data(r#"{"code":4001}"#));
    row("error 4100","-      Re:eHs Re:eHs Cd:ev  -      Re:eHs -      -      -      -", data(r#"{"code":4100}"#));
    row("error null","-      Re:eHs Re:eHs Cd:ev  -      Re:eHs -      -      -      -", data(r#"{"code":null}"#));
    row("decide",    "-      -      -      -      -      -      Re:s   -      -      -", |sim| sim.decide(1, Some(secs(1))));
    row("decide no", "-      -      -      -      -      -      Fa:s   -      -      -", |sim| sim.decide(1, None));
    row("stale",     "-      -      -      -      -      -      -      -      -      -", |sim| sim.decide(2, Some(secs(1))));
    row("stale no",  "-      -      -      -      -      -      -      -      -      -", |sim| sim.decide(0, None));
    row("early",     "-      -      -      -      -      -      -      -      -      -", Sim::timeout);
    row("too early", "-      -      -      -      -      -      -      -      -      -", |sim| late(sim, -1));
    row("on time",   "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |sim| late(sim, 0));
    row("late",      "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |sim| late(sim, 1));
    row("very late", "-      Re:Hs  Re:Hs  Cd:S   Re:D   Re:Hs  -      -      -      -", |sim| late(sim, 100_000_000));
}

/// Calls `handle_timeout` so many milliseconds after the deadline, once.
fn late(sim: &mut Sim, millis: i64) {
    if let Some(deadline) = sim.deadline() {
        let wait = (deadline - sim.now.mono).as_millis() as i64 + millis;
        // The deadline may be between two milliseconds.
        sim.skip(MS * (wait + i64::from(millis >= 0)) as u32);
    }
    sim.timeout();
}

#[test]
fn every_end_of_a_connection_in_every_state_does_what_the_table_says() {
    let stop = "-  Fa:s Fa:s Fa:s - Fa:s - - - -";
    let retry = "- Re:s Re:s Re:s - Re:s - - - -";
    for code in [4000, 4001, 4003, 4004, 4009, 4050, 4099, 4300, 4301, 4999] {
        row(&code.to_string(), stop, |sim| sim.closed(Some(code)));
    }
    for code in [4100, 4150, 4199, 4200, 4201, 4299, 3999, 5000, 1000, 1001, 1006, 1011, 0] {
        row(&code.to_string(), retry, |sim| sim.closed(Some(code)));
    }
    row("no code", retry, |sim| sim.closed(None));
    row("lost", retry, Sim::lost);
}

#[test]
fn what_belongs_to_another_dial_has_no_effect_in_any_state() {
    let greeting = r#"{"event":"pusher:connection_established","data":{"socket_id":"9.9"}}"#;
    let error = || Error::new(ErrorKind::Io, "late");
    for stage in STAGES {
        for ahead in [false, true] {
            let mut sim = at(stage);
            let generation =
                if ahead { sim.generation + 1 } else { sim.generation.wrapping_sub(1) };
            let (state, deadline, now) = (sim.state(), sim.deadline(), sim.now);
            let socket_id = sim.machine.socket_id().map(str::to_owned);
            assert!(!sim.machine.is_current(generation));
            sim.machine.handle_opened(generation, now);
            sim.machine.handle_lost(generation, error(), now);
            sim.machine.handle_closed(generation, Some(4001), "", now);
            sim.machine.handle_malformed(generation, error(), now);
            for frame in [
                greeting,
                r#"{"event":"pusher:error","data":{"code":4001}}"#,
                r#"{"event":"pusher:ping"}"#,
                r#"{"event":"pusher:subscription_error","channel":"room","data":{}}"#,
                r#"{"event":"e","channel":"room"}"#,
            ] {
                let event = Event::parse(frame.into()).unwrap();
                sim.machine.handle_event(generation, event, now);
            }
            assert!(sim.machine.poll_output().is_none(), "{stage}");
            assert_eq!((sim.state(), sim.deadline()), (state, deadline), "{stage}");
            assert_eq!(sim.machine.socket_id(), socket_id.as_deref(), "{stage}");
        }
    }
}

#[test]
fn what_an_ended_connection_still_sends_has_no_effect() {
    for end in [Sim::disconnect, Sim::lost, Sim::reconnect, Sim::close] {
        let mut sim = at("live");
        let old = sim.generation;
        end(&mut sim);
        let state = sim.state();
        sim.take();
        sim.frame_on(old, r#"{"event":"e","channel":"room"}"#);
        sim.frame_on(old, r#"{"event":"pusher:ping"}"#);
        sim.frame_on(old, "not JSON");
        let now = sim.now;
        sim.machine.handle_closed(old, Some(4001), "", now);
        assert!(sim.machine.poll_output().is_none());
        sim.expect_nothing();
        assert_eq!(sim.state(), state);
    }
}

#[test]
fn connect_then_a_greeting_tells_the_socket_id_and_the_states() {
    let mut sim = Sim::new();
    assert_eq!((sim.state(), sim.machine.socket_id()), (State::Initialized, None));
    assert_eq!(sim.deadline(), None);
    sim.connect();
    let news = sim.expect("Ds");
    assert_eq!(news.dials, [(1, CONNECT)]);
    let change = news.state();
    assert_eq!((change.previous, change.current), (State::Initialized, State::Connecting));
    assert_eq!((change.attempt, change.retry_in), (0, None));
    assert!(change.cause.is_none());

    sim.opened();
    sim.expect_nothing();
    assert_eq!(sim.machine.socket_id(), None);
    sim.established_with(r#"{"socket_id":"218.9301","activity_timeout":120}"#);
    let news = sim.expect("sc");
    assert_eq!(news.connected, ["218.9301"]);
    assert_eq!(news.state().current, State::Connected);
    assert_eq!(sim.machine.socket_id(), Some("218.9301"));
}

#[test]
fn disconnect_forgets_the_socket_id_and_hangs_up_normally() {
    let mut sim = Sim::connected();
    sim.disconnect();
    let news = sim.expect("Hs");
    assert_eq!(news.hangups, [(1, 1000)]);
    assert!(news.state().cause.is_none());
    assert_eq!(sim.machine.socket_id(), None);
    sim.advance(secs(100_000));
    sim.expect_nothing();
}

#[test]
fn disconnect_is_final_wherever_it_comes_until_connect() {
    for stage in STAGES {
        let mut sim = at(stage);
        sim.disconnect();
        sim.take();
        sim.advance(secs(100_000));
        sim.network_changed();
        sim.suspend(secs(1000));
        sim.timeout();
        sim.decide(1, Some(secs(0)));
        sim.expect_nothing();
        assert_eq!(sim.state(), State::Disconnected, "{stage}");
        sim.connect();
        let order = if stage == "closed" { "" } else { "Ds" };
        assert_eq!(sim.take().order, order, "{stage}");
    }
}

#[test]
fn disconnects_are_counted_so_that_waiters_notice_one_that_is_over() {
    let mut sim = Sim::connected();
    assert_eq!(sim.machine.disconnects(), 0);
    sim.disconnect();
    sim.connect();
    sim.disconnect();
    assert_eq!(sim.machine.disconnects(), 2);
    sim.close();
    assert_eq!(sim.machine.disconnects(), 3);
}

#[test]
fn after_close_nothing_can_be_wanted_any_more() {
    let mut sim = Sim::connected();
    assert!(!sim.machine.is_closed());
    sim.close();
    assert!(sim.machine.is_closed());
    sim.take();
    sim.subscribe("room");
    sim.connect();
    sim.reconnect();
    sim.close();
    assert!(sim.ping().is_err());
    sim.expect_nothing();
    assert_eq!((sim.state(), sim.status("room")), (State::Disconnected, ChannelStatus::Idle));
}

#[test]
fn reconnect_on_a_live_connection_dials_at_once_and_counts_no_attempt() {
    let mut sim = at("live");
    sim.reconnect();
    let news = sim.expect("HDs");
    assert_eq!(news.hangups, [(1, 1000)]);
    assert_eq!(news.dials, [(2, CONNECT)]);
    let change = news.state();
    assert_eq!((change.attempt, change.retry_in), (0, Some(secs(0))));
    assert_eq!(sim.status("room"), ChannelStatus::Pending);
    sim.established();
    assert_eq!(sim.expect("scS").sent(), ["subscribe room"]);
}

#[test]
fn reconnect_in_back_off_dials_at_once() {
    let mut sim = at("wait");
    sim.reconnect();
    assert_eq!(sim.expect("Ds").dials, [(2, CONNECT)]);
    assert_eq!(sim.due_in(), CONNECT + GRACE);
}

#[test]
fn connect_leaves_failed_and_counts_attempts_anew() {
    let mut sim = at("failed");
    assert_eq!(sim.machine.failure().and_then(Error::close_code), Some(4001));
    sim.connect();
    assert_eq!(sim.expect("Ds").state().attempt, 0);
    assert!(sim.machine.failure().is_none());
    sim.lost();
    assert_eq!(sim.expect("s").state().attempt, 1);
}

#[test]
fn a_ping_without_a_connection_is_an_error() {
    for stage in STAGES {
        let mut sim = at(stage);
        let result = sim.ping().map(|ping| ping.number).map_err(|error| error.kind());
        let expected = if stage == "live" { Ok(1) } else { Err(ErrorKind::NotConnected) };
        assert_eq!(result, expected, "{stage}");
    }
}

#[test]
fn changes_are_noticed_once_and_only_where_something_changed() {
    let mut sim = at("live");
    assert!(sim.machine.take_changed());
    assert!(!sim.machine.take_changed());
    sim.server("e", Some("room"), "");
    sim.server("pusher:ping", None, "");
    sim.server("pusher:pong", None, "");
    assert!(!sim.machine.take_changed(), "nobody waits for events");
    type Change = fn(&mut Sim);
    let changes: [Change; 6] = [
        |sim| sim.subscribe("more"),
        |sim| sim.confirm("more"),
        |sim| sim.unsubscribe("more"),
        |sim| sim.server("pusher:subscription_error", Some("room"), "{}"),
        Sim::lost,
        Sim::disconnect,
    ];
    for (i, change) in changes.iter().enumerate() {
        change(&mut sim);
        assert!(sim.machine.take_changed(), "change {i}");
    }
}
