//! What is logged, and how often.

use std::time::Duration;

use log::LevelFilter;
use serde_json::json;

use super::super::{LogLine, Output, Policy};
use super::desk::{Desk, io, status};
use super::sim::secs;
use crate::{Error, ErrorKind};

const TARGET: &str = "ws.example.org:443";

/// Not connected yet; the log takes `info` and above.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.machine.journal.max_level = || LevelFilter::Info;
    desk
}

/// The driver has resolved where the dial goes.
fn target(desk: &mut Desk) {
    let generation = desk.generation();
    desk.input(|machine, _| machine.handle_target(generation, TARGET.to_owned()));
}

fn connected() -> Desk {
    let mut desk = desk();
    desk.input(|machine, now| machine.connect(now));
    target(&mut desk);
    desk.establish();
    desk.lines.clear();
    desk
}

fn fail(desk: &mut Desk, error: Error) {
    let generation = desk.generation();
    desk.input(|machine, now| machine.handle_lost(generation, error, now));
}

fn refused() -> Error {
    Error::message(ErrorKind::Io, "connecting failed").caused_by(io())
}

/// Fails the present dial, and every further one for so long.
fn fail_for(desk: &mut Desk, time: Duration) {
    let end = desk.now.mono + time;
    while desk.now.mono < end {
        target(desk);
        fail(desk, refused());
        let next = desk.machine.deadline().unwrap_or(end).min(end);
        desk.advance(next - desk.now.mono);
    }
}

#[track_caller]
fn one(desk: &mut Desk, begin: &str, parts: &[&str]) {
    assert_eq!(desk.lines.len(), 1, "{:#?}", desk.lines);
    let line = desk.lines.remove(0);
    assert!(line.starts_with(begin), "{line}");
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}

#[test]
fn a_healthy_connection_is_one_line_each() {
    let mut desk = desk();
    desk.input(|machine, now| machine.connect(now));
    target(&mut desk);
    desk.establish();
    one(&mut desk, "INFO connected to `ws.example.org:443` (attempt 1)", &[]);
    desk.subscribe("room");
    desk.confirm("room");
    one(&mut desk, "INFO subscribed to `room` at `ws.example.org:443`", &[]);
    desk.signin();
    desk.present("ann");
    desk.confirm_user("ann");
    one(&mut desk, "INFO signed in at `ws.example.org:443`", &[]);
    // The hot path, and what the user does.
    desk.server("message", Some("room"), &json!("hi"));
    desk.advance(secs(600));
    desk.unsubscribe("room");
    desk.disconnect();
    assert!(desk.lines.is_empty(), "{:?}", desk.lines);
}

#[test]
fn a_loss_that_heals_at_once_is_two_lines_of_information() {
    let mut desk = connected();
    desk.subscribe("room");
    desk.confirm("room");
    desk.advance(secs(90));
    desk.lines.clear();
    fail(&mut desk, refused());
    let parts = [" after 1 min 30 s: connecting failed: connection refused"];
    one(&mut desk, "INFO lost the connection to `ws.example.org:443`", &parts);
    desk.advance(secs(2));
    target(&mut desk);
    desk.establish();
    one(&mut desk, "INFO connected to `ws.example.org:443` (attempt 1), after an outage of ", &[]);
    desk.confirm("room");
    one(&mut desk, "INFO subscribed to `room` at `ws.example.org:443`, after a gap of ", &[]);
}

#[test]
fn an_outage_is_one_warning_and_then_one_a_minute_until_it_heals() {
    let mut desk = desk();
    desk.input(|machine, now| machine.connect(now));
    target(&mut desk);
    fail(&mut desk, refused());
    let chain = ": connecting failed: connection refused; next attempt in ";
    one(&mut desk, "WARN the connection to `ws.example.org:443` failed", &[chain]);
    let next = desk.machine.deadline().unwrap();
    desk.advance(next - desk.now.mono);
    fail_for(&mut desk, secs(600));
    assert!((7..=10).contains(&desk.lines.len()), "{:#?}", desk.lines);
    for line in &desk.lines {
        assert!(
            line.starts_with("WARN the connection to `ws.example.org:443` still fails, after ")
        );
        assert!(line.contains(" attempts in ") && line.contains(chain), "{line}");
    }
    desk.lines.clear();
    desk.reconnect();
    one(&mut desk, "INFO connected to the server (attempt ", &["after an outage of 10 min"]);
    // The next outage is another one.
    desk.lose();
    desk.advance(secs(2));
    desk.lines.clear();
    fail(&mut desk, refused());
    one(&mut desk, "WARN the connection to the server failed: ", &[]);
}

#[test]
fn an_outage_lasts_while_the_device_is_suspended_too() {
    let mut desk = desk();
    desk.input(|machine, now| machine.connect(now));
    fail(&mut desk, refused());
    desk.lines.clear();
    desk.now.suspended += secs(3600);
    fail_for(&mut desk, secs(150));
    assert!(!desk.lines.is_empty());
    assert!(desk.lines.iter().all(|line| line.contains(" attempts in 1 h ")), "{:#?}", desk.lines);
}

#[test]
fn connections_that_do_not_last_are_one_warning_a_minute() {
    let mut desk = connected();
    for _ in 0..20 {
        desk.lose();
        let next = desk.machine.deadline().unwrap();
        desk.advance(next - desk.now.mono);
        target(&mut desk);
        desk.establish();
    }
    let warnings = desk.lines.iter().filter(|line| line.starts_with("WARN"));
    let text = "WARN the connection to `ws.example.org:443` does not last: ";
    assert!(warnings.clone().all(|line| line.starts_with(text)), "{:#?}", desk.lines);
    let count = warnings.clone().count();
    assert!((2..=6).contains(&count), "{:#?}", desk.lines);
    // What was held back is counted in the next one.
    let counted = warnings.filter(|line| line.contains(" more times since the last warning"));
    assert_eq!(counted.count(), count - 1, "{:#?}", desk.lines);
}

#[test]
fn giving_up_says_what_to_do() {
    let mut desk = connected();
    let generation = desk.generation();
    desk.input(|machine, now| machine.handle_closed(generation, Some(4001), "no app", now));
    assert!(
        desk.lines[0].starts_with("INFO lost the connection to `ws.example.org:443` after 0 s: ")
    );
    assert_eq!(desk.lines[1], "INFO gave up on `ws.example.org:443`");
    assert_eq!(
        desk.lines[2],
        "ERROR the connection to `ws.example.org:443` has failed: the server closed the connection \
         (4001): no app; check the app key, the cluster and the host; the server would refuse the next \
         attempt too: mend the cause, then call connect()"
    );
    assert_eq!(desk.lines.len(), 3);

    let mut desk = desk_with(Policy::Never);
    fail(&mut desk, refused());
    assert_eq!(desk.lines[0], "INFO gave up on `ws.example.org:443` after 1 failed attempt");
    assert_eq!(
        desk.lines[1],
        "ERROR the connection to `ws.example.org:443` has failed: connecting failed: connection refused; \
         the reconnect policy allows no further attempt: mend the cause, then call connect()"
    );
}

/// Dialing, with this policy.
fn desk_with(policy: Policy) -> Desk {
    let mut desk = desk();
    desk.machine.config.policy = policy;
    desk.input(|machine, now| machine.connect(now));
    target(&mut desk);
    desk
}

#[test]
fn the_users_policy_is_quoted_once_it_has_decided() {
    let mut desk = desk_with(Policy::Ask);
    let (generation, now) = (desk.generation(), desk.now);
    desk.machine.handle_lost(generation, refused(), now);
    while let Some(output) = desk.machine.poll_output() {
        assert!(!matches!(output, Output::Log(..)), "{output:?}");
    }
    desk.input(|machine, now| machine.handle_decision(1, Some(secs(75)), now));
    one(&mut desk, "WARN the connection to ", &["connection refused; next attempt in 1 min 15 s"]);
}

#[test]
fn a_failed_channel_says_whether_it_is_retried() {
    let mut desk = connected();
    desk.subscribe("private-room");
    desk.answer("private-room", Err(status(503)));
    let begin = "WARN the subscription at `ws.example.org:443` failed: ";
    one(&mut desk, begin, &["(channel private-room); next attempt in "]);
    desk.advance(secs(2));
    desk.answer("private-room", Err(status(403)));
    let end = "(channel private-room); it is retried on the next connection or by subscribe()";
    one(&mut desk, begin, &[end]);
    desk.signin();
    desk.answer_user(Err(status(403)));
    let begin = "WARN the sign-in at `ws.example.org:443` failed: ";
    one(&mut desk, begin, &["; it is retried on the next connection or by signin()"]);
}

#[test]
fn a_thousand_refusals_do_not_flood_the_log() {
    let mut desk = connected();
    for number in 0..1000 {
        let name = format!("room{number}");
        desk.subscribe(&name);
        desk.server(
            "pusher:subscription_error",
            Some(&name),
            &json!({"error": "no", "status": 500}),
        );
    }
    assert_eq!(desk.lines.len(), 8, "{:#?}", desk.lines);
    // Errors that are about nothing known count too.
    desk.error(4302, "what?");
    assert_eq!(desk.lines.len(), 8);
    desk.advance(secs(61));
    desk.lines.clear();
    desk.error(4302, "what?");
    one(&mut desk, "WARN a request at ", &["what?; 993 more failures were logged at debug only"]);
}

#[test]
fn what_the_log_does_not_take_is_not_made() {
    let mut desk = connected();
    desk.machine.journal.max_level = || LevelFilter::Off;
    desk.lose();
    fail_for(&mut desk, secs(100));
    desk.input(|machine, now| machine.close(now));
    assert!(desk.lines.is_empty(), "{:?}", desk.lines);
}

#[test]
fn a_target_of_an_earlier_dial_is_not_taken() {
    let mut desk = connected();
    let old = desk.generation();
    desk.input(|machine, now| machine.reconnect(now));
    desk.input(|machine, _| machine.handle_target(old, "old:1".to_owned()));
    desk.establish();
    one(&mut desk, "INFO connected to the server (attempt 1)", &[]);
}

#[test]
fn what_a_server_says_makes_no_line_of_its_own() {
    let line = LogLine::from("ignored a\r\nERROR forged\u{1b}[31m".to_owned());
    assert_eq!(line.to_string(), "ignored aERROR forged[31m");
}
