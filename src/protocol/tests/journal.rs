//! What is logged, and how often.

use std::time::Duration;

use log::LevelFilter;
use serde_json::json;

use super::super::{LogLine, Policy};
use super::harness::{Harness, io, secs, status};
use crate::{Error, ErrorKind};

const TARGET: &str = "ws.example.org:443";

/// Not connected yet; the log takes `info` and above.
fn harness() -> Harness {
    let mut harness = Harness::new();
    harness.machine.journal.max_level = || LevelFilter::Info;
    harness
}

/// The driver has resolved where the dial goes.
fn target(harness: &mut Harness) {
    let generation = harness.generation;
    harness.input(|machine, _| machine.handle_target(generation, TARGET.to_owned()));
}

fn connected() -> Harness {
    let mut harness = harness();
    harness.connect();
    target(&mut harness);
    harness.establish();
    harness.log.clear();
    harness
}

fn fail(harness: &mut Harness, error: Error) {
    harness.lose_with(error);
}

fn refused() -> Error {
    Error::message(ErrorKind::Io, "connecting failed").caused_by(io())
}

/// Fails the present dial, and every further one for so long.
fn fail_for(harness: &mut Harness, time: Duration) {
    let end = harness.now.mono + time;
    while harness.now.mono < end {
        target(harness);
        fail(harness, refused());
        let next = harness.machine.deadline().unwrap_or(end).min(end);
        harness.advance(next - harness.now.mono);
    }
}

#[track_caller]
fn one(harness: &mut Harness, begin: &str, parts: &[&str]) {
    assert_eq!(harness.log.len(), 1, "{:#?}", harness.log);
    let line = harness.log.remove(0);
    assert!(line.starts_with(begin), "{line}");
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn a_healthy_connection_is_one_line_each() {
    let mut harness = harness();
    harness.connect();
    target(&mut harness);
    harness.establish();
    one(&mut harness, "INFO connected to `ws.example.org:443` (attempt 1)", &[]);
    harness.subscribe("room");
    harness.confirm("room");
    one(&mut harness, "INFO subscribed to `room` at `ws.example.org:443`", &[]);
    harness.signin();
    harness.present("ann");
    harness.confirm_user("ann");
    one(&mut harness, "INFO signed in at `ws.example.org:443`", &[]);
    // The hot path, and what the user does.
    harness.server("message", Some("room"), json!("hi"));
    harness.advance(secs(600));
    harness.unsubscribe("room");
    harness.disconnect();
    assert!(harness.log.is_empty(), "{:?}", harness.log);
}

#[test]
fn a_loss_that_heals_at_once_is_two_lines_of_information() {
    let mut harness = connected();
    harness.subscribe("room");
    harness.confirm("room");
    harness.advance(secs(90));
    harness.log.clear();
    fail(&mut harness, refused());
    let parts = [" after 1 min 30 s: connecting failed: connection refused"];
    one(&mut harness, "INFO lost the connection to `ws.example.org:443`", &parts);
    harness.advance(secs(2));
    target(&mut harness);
    harness.establish();
    one(
        &mut harness,
        "INFO connected to `ws.example.org:443` (attempt 1), after an outage of ",
        &[],
    );
    harness.confirm("room");
    one(&mut harness, "INFO subscribed to `room` at `ws.example.org:443`, after a gap of ", &[]);
}

#[test]
fn an_outage_is_one_warning_and_then_one_a_minute_until_it_heals() {
    let mut harness = harness();
    harness.connect();
    target(&mut harness);
    fail(&mut harness, refused());
    let chain = ": connecting failed: connection refused; next attempt in ";
    one(&mut harness, "WARN the connection to `ws.example.org:443` failed", &[chain]);
    let next = harness.machine.deadline().unwrap();
    harness.advance(next - harness.now.mono);
    fail_for(&mut harness, secs(600));
    assert!((7..=10).contains(&harness.log.len()), "{:#?}", harness.log);
    for line in &harness.log {
        assert!(
            line.starts_with("WARN the connection to `ws.example.org:443` still fails, after ")
        );
        assert!(line.contains(" attempts in ") && line.contains(chain), "{line}");
    }
    harness.log.clear();
    harness.reestablish();
    one(&mut harness, "INFO connected to the server (attempt ", &["after an outage of 10 min"]);
    // The next outage is another one.
    harness.lose();
    harness.advance(secs(2));
    harness.log.clear();
    fail(&mut harness, refused());
    one(&mut harness, "WARN the connection to the server failed: ", &[]);
}

#[test]
fn an_outage_lasts_while_the_device_is_suspended_too() {
    let mut harness = harness();
    harness.connect();
    fail(&mut harness, refused());
    harness.log.clear();
    harness.now.suspended += secs(3600);
    fail_for(&mut harness, secs(150));
    assert!(!harness.log.is_empty());
    assert!(
        harness.log.iter().all(|line| line.contains(" attempts in 1 h ")),
        "{:#?}",
        harness.log
    );
}

#[test]
fn connections_that_do_not_last_are_one_warning_a_minute() {
    let mut harness = connected();
    for _ in 0..20 {
        harness.lose();
        let next = harness.machine.deadline().unwrap();
        harness.advance(next - harness.now.mono);
        target(&mut harness);
        harness.establish();
    }
    let warnings = harness.log.iter().filter(|line| line.starts_with("WARN"));
    let text = "WARN the connection to `ws.example.org:443` does not last: ";
    assert!(warnings.clone().all(|line| line.starts_with(text)), "{:#?}", harness.log);
    let count = warnings.clone().count();
    assert!((2..=6).contains(&count), "{:#?}", harness.log);
    // What was held back is counted in the next one.
    let counted = warnings.filter(|line| line.contains(" more times since the last warning"));
    assert_eq!(counted.count(), count - 1, "{:#?}", harness.log);
}

#[test]
fn giving_up_says_what_to_do() {
    let mut harness = connected();
    harness.closed_with(Some(4001), "no app");
    assert!(
        harness.log[0].starts_with("INFO lost the connection to `ws.example.org:443` after 0 s: ")
    );
    assert_eq!(harness.log[1], "INFO gave up on `ws.example.org:443`");
    assert_eq!(
        harness.log[2],
        "ERROR the connection to `ws.example.org:443` has failed: the server closed the connection \
         (4001): no app; check the app key, the cluster and the host; the server would refuse the next \
         attempt too: mend the cause, then call connect()"
    );
    assert_eq!(harness.log.len(), 3);

    let mut harness = dialing_with(Policy::Never);
    fail(&mut harness, refused());
    assert_eq!(harness.log[0], "INFO gave up on `ws.example.org:443` after 1 failed attempt");
    assert_eq!(
        harness.log[1],
        "ERROR the connection to `ws.example.org:443` has failed: connecting failed: connection refused; \
         the reconnect policy allows no further attempt: mend the cause, then call connect()"
    );
}

/// Dialing, with this policy.
fn dialing_with(policy: Policy) -> Harness {
    let mut harness = harness();
    harness.machine.config.policy = policy;
    harness.connect();
    target(&mut harness);
    harness
}

#[test]
fn the_users_policy_is_quoted_once_it_has_decided() {
    let mut harness = dialing_with(Policy::Custom);
    harness.lose_with(refused());
    assert!(harness.log.is_empty(), "{:?}", harness.log);
    harness.decide(1, Some(secs(75)));
    one(
        &mut harness,
        "WARN the connection to ",
        &["connection refused; next attempt in 1 min 15 s"],
    );
}

#[test]
fn a_failed_channel_says_whether_it_is_retried() {
    let mut harness = connected();
    harness.subscribe("private-room");
    harness.respond("private-room", Err(status(503)));
    let begin = "WARN the subscription at `ws.example.org:443` failed: ";
    one(&mut harness, begin, &["(channel private-room); next attempt in "]);
    harness.advance(secs(2));
    harness.respond("private-room", Err(status(403)));
    let end = "(channel private-room); it is retried on the next connection or by subscribe()";
    one(&mut harness, begin, &[end]);
    harness.signin();
    harness.respond_user(Err(status(403)));
    let begin = "WARN the sign-in at `ws.example.org:443` failed: ";
    one(&mut harness, begin, &["; it is retried on the next connection or by signin()"]);
}

#[test]
fn a_thousand_refusals_do_not_flood_the_log() {
    let mut harness = connected();
    for number in 0..1000 {
        let name = format!("room{number}");
        harness.subscribe(&name);
        harness.server(
            "pusher:subscription_error",
            Some(&name),
            json!({"error": "no", "status": 500}),
        );
    }
    assert_eq!(harness.log.len(), 8, "{:#?}", harness.log);
    // Errors that are about nothing known count too.
    harness.error(4302, "what?");
    assert_eq!(harness.log.len(), 8);
    harness.advance(secs(61));
    harness.log.clear();
    harness.error(4302, "what?");
    one(
        &mut harness,
        "WARN a request at ",
        &["what?; 993 more failures were logged at debug only"],
    );
}

#[test]
fn what_the_log_does_not_take_is_not_made() {
    let mut harness = connected();
    harness.machine.journal.max_level = || LevelFilter::Off;
    harness.lose();
    fail_for(&mut harness, secs(100));
    harness.close();
    assert!(harness.log.is_empty(), "{:?}", harness.log);
}

#[test]
fn a_target_of_an_earlier_dial_is_not_taken() {
    let mut harness = connected();
    let old = harness.generation;
    harness.reconnect();
    harness.input(|machine, _| machine.handle_target(old, "old:1".to_owned()));
    harness.establish();
    one(&mut harness, "INFO connected to the server (attempt 1)", &[]);
}

#[test]
fn what_a_server_says_makes_no_line_of_its_own() {
    let line = LogLine::from("ignored a\r\nERROR forged\u{1b}[31m".to_owned());
    assert_eq!(line.to_string(), "ignored aERROR forged[31m");
}
