//! What follows a failed dial or a lost connection: back-off, the user's policy, error frames.

use std::time::Duration;

use super::super::Policy;
use super::harness::{CONNECT, Harness, MS, backoff, secs};
use crate::{Error, ErrorKind, State};

const STABLE: Duration = secs(10);

/// The wait that the state change reports.
#[track_caller]
fn wait(harness: &mut Harness) -> Duration {
    let outputs = harness.take();
    let change = outputs.states.last().expect("a change of state");
    assert_eq!(change.current, State::Reconnecting, "{change:?}");
    change.retry_in.expect("a wait")
}

/// The longest wait over many seeds after `attempts` failures in a row.
fn longest_wait(attempts: u32) -> Duration {
    let waits = (0..300).map(|seed| {
        let mut harness = Harness::quiet_with(|config| config.seed = seed);
        harness.connect();
        for _ in 1..attempts {
            harness.lose();
            harness.advance_to_deadline();
        }
        harness.lose();
        wait(&mut harness)
    });
    waits.max().unwrap()
}

#[test]
fn waits_are_jittered_below_a_ceiling_that_doubles_up_to_the_maximum() {
    for (attempts, ceiling) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (9, 30)] {
        let ceiling = secs(ceiling);
        let longest = longest_wait(attempts);
        assert!(longest <= ceiling, "attempt {attempts}: {longest:?}");
        assert!(longest > ceiling.mul_f64(0.9), "attempt {attempts}: {longest:?}");
    }
}

#[test]
fn dials_go_on_for_ever_also_when_the_first_one_failed() {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.take();
    for attempt in 1..=200 {
        harness.lose();
        let outputs = harness.expect_outputs("s");
        let change = outputs.state();
        assert_eq!((change.current, change.attempt), (State::Reconnecting, attempt));
        assert_eq!(change.cause.as_ref().map(Error::kind), Some(ErrorKind::Io));
        let wait = change.retry_in.unwrap();
        assert_eq!(harness.due_in(), wait, "it waits as long as it reports");
        if wait > MS {
            harness.advance(wait - MS);
            harness.expect_nothing();
        }
        harness.advance(MS);
        assert_eq!(harness.expect_outputs("D").dials, [(u64::from(attempt) + 1, CONNECT)]);
    }
}

#[test]
fn a_connection_that_does_not_last_keeps_the_attempts_and_a_stable_one_ends_them() {
    let mut harness = Harness::quiet();
    harness.connect();
    for _ in 0..3 {
        harness.lose();
        harness.advance_to_deadline();
    }
    harness.establish();
    assert_eq!(harness.take().states.last().unwrap().attempt, 3);
    harness.skip(STABLE - MS);
    harness.lose();
    assert_eq!(harness.take().state().attempt, 4, "it did not last");

    harness.advance_to_deadline();
    harness.establish();
    harness.skip(STABLE);
    harness.take();
    harness.lose();
    assert_eq!(harness.take().state().attempt, 1, "it lasted");
}

#[test]
fn a_request_to_reconnect_is_at_once_after_a_stable_connection_only() {
    for code in [4200, 4201, 4299] {
        let mut harness = Harness::quiet_connected();
        harness.skip(STABLE);
        harness.closed(Some(code));
        assert_eq!(wait(&mut harness), Duration::ZERO);
        harness.catch_up();
        assert_eq!(harness.expect_outputs("D").dials.len(), 1);
    }
    let waited = (0..20).any(|seed| {
        let mut harness = Harness::quiet_connected_with(|config| config.seed = seed);
        harness.skip(STABLE - MS);
        harness.closed(Some(4200));
        wait(&mut harness) > Duration::ZERO
    });
    assert!(waited, "a server that closes at once is not to be hammered");
    let mut harness = Harness::quiet();
    harness.connect();
    for _ in 0..50 {
        harness.closed(Some(4200));
        harness.advance_to_deadline();
    }
    harness.closed(Some(4200));
    assert_eq!(harness.take().states.last().unwrap().attempt, 51);
}

#[test]
fn a_busy_server_is_left_alone_for_a_second_at_least() {
    for code in [4100, 4150, 4199] {
        for seed in 0..20 {
            let mut harness = Harness::quiet_connected_with(|config| config.seed = seed);
            harness.closed(Some(code));
            assert!(wait(&mut harness) >= secs(1));
        }
    }
    let short = (0..20).any(|seed| {
        let mut harness = Harness::quiet_connected_with(|config| config.seed = seed);
        harness.closed(Some(4099 + 2000));
        wait(&mut harness) < secs(1)
    });
    assert!(short, "only those codes have a floor");
}

#[test]
fn a_fatal_code_stops_with_its_cause() {
    for (code, word) in [(4001, "app key"), (4003, "disabled"), (4004, "quota"), (4300, "")] {
        let mut harness = Harness::quiet_connected();
        harness.skip(secs(100));
        harness.closed(Some(code));
        let outputs = harness.expect_outputs("s");
        let change = outputs.state();
        assert_eq!((change.previous, change.current), (State::Connected, State::Failed));
        let cause = change.cause.as_ref().unwrap();
        assert_eq!((cause.close_code(), cause.is_retryable()), (Some(code), false));
        assert!(cause.to_string().contains(word), "{cause}");
        assert_eq!(harness.machine.failure().and_then(Error::close_code), Some(code));
        assert_eq!(harness.deadline(), None);
    }
}

#[test]
fn the_reason_of_a_close_is_reported() {
    let mut harness = Harness::quiet_connected();
    let (generation, now) = (harness.generation, harness.now);
    harness.machine.handle_closed(generation, Some(4321), " because ", now);
    let cause = harness.machine.failure().unwrap().to_string();
    assert!(cause.ends_with("(4321): because"), "{cause}");
}

#[test]
fn never_means_never_for_the_first_dial_and_for_a_lost_connection() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Never);
    harness.connect();
    harness.lose();
    let outputs = harness.expect_outputs("Dss");
    assert_eq!(outputs.states[1].current, State::Failed);
    assert_eq!(harness.machine.failure().map(Error::kind), Some(ErrorKind::Io));
    harness.connect();
    harness.establish();
    harness.skip(STABLE);
    harness.closed(Some(4200));
    assert_eq!(harness.state(), State::Failed);
    harness.connect();
    harness.reconnect();
    assert_eq!(harness.state(), State::Reconnecting, "but the user may");
}

#[test]
fn after_the_last_attempt_it_fails_with_the_last_cause() {
    let mut harness = Harness::quiet_with(|config| config.policy = backoff(Some(2)));
    harness.connect();
    for attempt in 1..=2 {
        harness.lose();
        harness.advance_to_deadline();
        assert_eq!(harness.take().states.last().unwrap().attempt, attempt);
    }
    harness.closed(None);
    let outputs = harness.expect_outputs("s");
    assert_eq!(outputs.state().current, State::Failed);
    assert_eq!(outputs.state().cause.as_ref().map(Error::kind), Some(ErrorKind::Server));
    assert_eq!(harness.generation, 3, "one dial and two retries");
    harness.connect();
    harness.lose();
    assert_eq!(harness.state(), State::Reconnecting, "they are counted anew");
}

#[test]
fn the_users_policy_is_called_for_every_loss_fatal_codes_included() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    harness.take();
    type Loss = fn(&mut Harness);
    let losses: [(Loss, Option<u16>); 4] = [
        (Harness::lose, None),
        (|harness| harness.closed(Some(4001)), Some(4001)),
        (|harness| harness.closed(Some(4200)), Some(4200)),
        (|harness| harness.closed(None), None),
    ];
    for (number, (lose, code)) in (1..).zip(losses) {
        lose(&mut harness);
        let outputs = harness.expect_outputs("sQ");
        assert_eq!(
            (outputs.state().current, outputs.state().retry_in),
            (State::Reconnecting, None)
        );
        let (call, attempt, error) = &outputs.policy_calls[0];
        assert_eq!((*call, *attempt), (number, number as u32));
        assert_eq!(error.as_ref().unwrap().close_code(), code);
        assert_eq!(harness.deadline(), None, "it waits for the decision");
        harness.advance(secs(1000));
        harness.expect_nothing();

        harness.decide(number, Some(secs(7)));
        let outputs = harness.expect_outputs("s");
        assert_eq!(outputs.state().retry_in, Some(secs(7)));
        assert_eq!(outputs.state().cause.as_ref().unwrap().close_code(), code);
        harness.decide(number, None);
        harness.expect_nothing();
        harness.advance(secs(7));
        harness.expect_outputs("D");
    }
}

#[test]
fn the_users_policy_can_give_up() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    harness.closed(Some(4100));
    harness.decide(1, None);
    assert_eq!(harness.take().states.last().unwrap().current, State::Failed);
    assert_eq!(harness.machine.failure().and_then(Error::close_code), Some(4100));
}

#[test]
fn a_decision_of_the_users_policy_that_comes_too_late_has_no_effect() {
    type Meanwhile = fn(&mut Harness);
    let cases: [(Meanwhile, State, &str); 4] = [
        (Harness::disconnect, State::Disconnected, ""),
        (Harness::close, State::Disconnected, ""),
        (Harness::reconnect, State::Reconnecting, ""),
        (
            |harness| {
                harness.disconnect();
                harness.connect();
                harness.lose();
            },
            State::Reconnecting,
            // The policy is called for the present decision.
            "Q",
        ),
    ];
    for (meanwhile, state, order) in cases {
        for wait in [Some(Duration::ZERO), None] {
            let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
            harness.connect();
            harness.lose();
            meanwhile(&mut harness);
            harness.take();
            let deadline = harness.deadline().filter(|_| order.is_empty());
            harness.decide(1, wait);
            harness.expect_outputs(order);
            assert_eq!((harness.state(), harness.deadline()), (state, deadline));
        }
    }
}

#[test]
fn a_policy_that_waits_for_ever_is_survived() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    harness.lose();
    harness.decide(1, Some(Duration::MAX));
    assert_eq!(harness.deadline(), Some(Duration::MAX));
    harness.take();
    harness.reconnect();
    harness.expect_outputs("Ds");
}

#[test]
fn an_error_frame_before_the_establishment_decides_by_its_code() {
    for (code, state) in [
        ("4001", State::Failed),
        ("4009", State::Failed),
        ("4099", State::Failed),
        ("4100", State::Reconnecting),
        ("4200", State::Reconnecting),
        ("4301", State::Failed),
        ("null", State::Reconnecting),
        ("\"4001\"", State::Failed),
        ("70000", State::Reconnecting),
    ] {
        for quoted in [false, true] {
            let mut harness = Harness::quiet();
            harness.connect();
            harness.opened();
            harness.take();
            let mut data = format!(r#"{{"code":{code},"message":"no"}}"#);
            if quoted {
                data = serde_json::Value::from(data).to_string();
            }
            harness.server("pusher:error", None, &data);
            let outputs = harness.expect_outputs("eHs");
            assert_eq!(outputs.closes, [(1, 1000)], "the server may leave it open");
            assert_eq!(outputs.state().current, state, "{code}");
            let cause = outputs.state().cause.as_ref().unwrap();
            assert_eq!(cause.close_code().map(|code| code.to_string()), {
                Some(code.trim_matches('"').to_owned()).filter(|code| code.starts_with('4'))
            });
            assert!(cause.to_string().contains(": no"), "{cause}");
            assert_eq!(outputs.error().to_string(), cause.to_string());
            if code == "4100" {
                assert!(outputs.state().retry_in >= Some(secs(1)));
            }
            // The close that follows is of a connection that is over.
            let (generation, now) = (harness.generation, harness.now);
            harness.machine.handle_closed(generation, Some(4001), "", now);
            harness.timeout();
            assert_eq!(harness.state(), state);
        }
    }
}

#[test]
fn an_error_frame_after_the_establishment_is_only_reported() {
    for code in [4000, 4001, 4009, 4100, 4200, 4201, 4301] {
        let mut harness = Harness::quiet_connected();
        harness.server("pusher:error", None, format!(r#"{{"code":{code},"message":"m"}}"#));
        let outputs = harness.expect_outputs("ev");
        assert_eq!(outputs.error().close_code(), Some(code));
        assert_eq!(outputs.error().kind(), ErrorKind::Server);
        assert_eq!(outputs.event_names(), ["pusher:error"]);
        assert_eq!(harness.state(), State::Connected);
        harness.advance(secs(60));
        harness.expect_nothing();
    }
}

/// Live for long, then an error frame, then after `pause` this close.
fn close_after_error(frame: &str, pause: Duration, close: Option<u16>) -> Harness {
    let mut harness = Harness::quiet_connected();
    harness.skip(STABLE);
    harness.frame(frame);
    harness.skip(pause);
    harness.take();
    harness.closed(close);
    harness
}

#[test]
fn an_error_frame_explains_a_close_that_has_no_code_of_the_protocols() {
    let frame = r#"{"event":"pusher:error","data":"{\"code\":4001,\"message\":\"gone\"}"}"#;
    for close in [None, Some(1000), Some(1001), Some(1006)] {
        for pause in [0, 1999, 2000] {
            let mut harness = close_after_error(frame, MS * pause, close);
            let outputs = harness.expect_outputs("s");
            assert_eq!(outputs.state().current, State::Failed, "{close:?} {pause}");
            let cause = outputs.state().cause.as_ref().unwrap();
            assert_eq!(cause.close_code(), Some(4001));
            assert!(cause.to_string().contains("gone"));
        }
    }
    let mut lost = Harness::quiet_connected();
    lost.frame(frame);
    lost.lose();
    assert_eq!(lost.state(), State::Failed, "servers also just drop the connection");
}

#[test]
fn an_error_frame_explains_a_request_to_reconnect() {
    let frame = r#"{"event":"pusher:error","data":{"code":4200}}"#;
    let mut harness = close_after_error(frame, MS, None);
    assert_eq!(wait(&mut harness), Duration::ZERO);
    let frame = r#"{"event":"pusher:error","data":{"code":4299}}"#;
    assert_eq!(wait(&mut close_after_error(frame, MS, Some(1006))), Duration::ZERO);
}

#[test]
fn an_error_frame_explains_nothing_where_it_was_about_something_else() {
    let plain = |code: &str| format!(r#"{{"event":"pusher:error","data":{{"code":{code}}}}}"#);
    let late = MS * 2001;
    for (what, frame, pause, close) in [
        ("too long ago", plain("4001"), late, None),
        ("the close has its own code", plain("4001"), MS, Some(4200)),
        ("the close says to come back later", plain("4200"), MS, Some(1013)),
        ("about one request", plain("4301"), MS, None),
        ("about one request", plain("4300"), MS, Some(1006)),
        ("no code", plain("null"), MS, None),
        ("below the protocol's", plain("3999"), MS, None),
        (
            "about a channel",
            r#"{"event":"pusher:error","channel":"room","data":{"code":4001}}"#.into(),
            MS,
            None,
        ),
        (
            "about a channel",
            r#"{"event":"pusher:error","data":{"code":4009,"channel":"room"}}"#.into(),
            MS,
            None,
        ),
    ] {
        let mut harness = close_after_error(&frame, pause, close);
        let outputs = harness.expect_outputs("s");
        assert_eq!(outputs.state().current, State::Reconnecting, "{what}");
        let code = outputs.state().cause.as_ref().unwrap().close_code();
        assert_eq!(code, close, "{what}");
    }
}

#[test]
fn an_error_frame_of_the_last_connection_explains_nothing_about_the_next() {
    let mut harness = Harness::quiet_connected();
    harness.server("pusher:error", None, r#"{"code":4001}"#);
    harness.reconnect();
    harness.establish();
    harness.lose();
    assert_eq!(harness.state(), State::Reconnecting);
}

#[test]
fn an_error_frame_does_not_explain_a_missing_pong() {
    let mut harness = Harness::quiet_connected_with(|config| config.pong_timeout = secs(1));
    harness.ping().unwrap();
    harness.server("pusher:error", None, r#"{"code":4009,"message":"for one request"}"#);
    harness.take();
    harness.advance(secs(1));
    let outputs = harness.expect_outputs("Hs");
    assert_eq!(outputs.state().current, State::Reconnecting);
    assert!(outputs.state().cause.as_ref().unwrap().is_timeout());
}
