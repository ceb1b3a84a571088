//! What follows a failed dial or a lost connection: back-off, the user's policy, error frames.

use std::time::Duration;

use super::super::Policy;
use super::sim::{CONNECT, GRACE, MS, PONG, Sim, backoff, secs};
use crate::{Error, ErrorKind, State};

const STABLE: Duration = secs(10);

/// The wait that the state change tells.
#[track_caller]
fn wait(sim: &mut Sim) -> Duration {
    let news = sim.take();
    let change = news.states.last().expect("a change of state");
    assert_eq!(change.current, State::Reconnecting, "{change:?}");
    change.retry_in.expect("a wait")
}

/// The longest wait over many seeds after `attempts` failures in a row.
fn longest_wait(attempts: u32) -> Duration {
    let waits = (0..300).map(|seed| {
        let mut sim = Sim::with(|config| config.seed = seed);
        sim.connect();
        for _ in 1..attempts {
            sim.lost();
            sim.advance_to_deadline();
        }
        sim.lost();
        wait(&mut sim)
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
    let mut sim = Sim::new();
    sim.connect();
    sim.take();
    for attempt in 1..=200 {
        sim.lost();
        let news = sim.expect("s");
        let change = news.state();
        assert_eq!((change.current, change.attempt), (State::Reconnecting, attempt));
        assert_eq!(change.cause.as_ref().map(Error::kind), Some(ErrorKind::Io));
        let wait = change.retry_in.unwrap();
        assert_eq!(sim.due_in(), wait, "it keeps what it tells");
        if wait > MS {
            sim.advance(wait - MS);
            sim.expect_nothing();
        }
        sim.advance(MS);
        assert_eq!(sim.expect("D").dials, [(u64::from(attempt) + 1, CONNECT)]);
    }
}

#[test]
fn a_connection_that_does_not_last_keeps_the_attempts_and_a_stable_one_ends_them() {
    let mut sim = Sim::new();
    sim.connect();
    for _ in 0..3 {
        sim.lost();
        sim.advance_to_deadline();
    }
    sim.established();
    assert_eq!(sim.take().states.last().unwrap().attempt, 3);
    sim.skip(STABLE - MS);
    sim.lost();
    assert_eq!(sim.take().state().attempt, 4, "it did not last");

    sim.advance_to_deadline();
    sim.established();
    sim.skip(STABLE);
    sim.take();
    sim.lost();
    assert_eq!(sim.take().state().attempt, 1, "it lasted");
}

#[test]
fn a_request_to_reconnect_is_at_once_after_a_stable_connection_only() {
    for code in [4200, 4201, 4299] {
        let mut sim = Sim::connected();
        sim.skip(STABLE);
        sim.closed(Some(code));
        assert_eq!(wait(&mut sim), Duration::ZERO);
        sim.settle();
        assert_eq!(sim.expect("D").dials.len(), 1);
    }
    let waited = (0..20).any(|seed| {
        let mut sim = Sim::connected_with(|config| config.seed = seed);
        sim.skip(STABLE - MS);
        sim.closed(Some(4200));
        wait(&mut sim) > Duration::ZERO
    });
    assert!(waited, "a server that closes at once is not to be hammered");
    let mut sim = Sim::new();
    sim.connect();
    for _ in 0..50 {
        sim.closed(Some(4200));
        sim.advance_to_deadline();
    }
    sim.closed(Some(4200));
    assert_eq!(sim.take().states.last().unwrap().attempt, 51);
}

#[test]
fn a_busy_server_is_left_alone_for_a_second_at_least() {
    for code in [4100, 4150, 4199] {
        for seed in 0..20 {
            let mut sim = Sim::connected_with(|config| config.seed = seed);
            sim.closed(Some(code));
            assert!(wait(&mut sim) >= secs(1));
        }
    }
    let short = (0..20).any(|seed| {
        let mut sim = Sim::connected_with(|config| config.seed = seed);
        sim.closed(Some(4099 + 2000));
        wait(&mut sim) < secs(1)
    });
    assert!(short, "only those codes have a floor");
}

#[test]
fn a_fatal_code_stops_with_its_cause() {
    for (code, word) in [(4001, "app key"), (4003, "disabled"), (4004, "quota"), (4300, "")] {
        let mut sim = Sim::connected();
        sim.skip(secs(100));
        sim.closed(Some(code));
        let news = sim.expect("s");
        let change = news.state();
        assert_eq!((change.previous, change.current), (State::Connected, State::Failed));
        let cause = change.cause.as_ref().unwrap();
        assert_eq!((cause.close_code(), cause.is_retryable()), (Some(code), false));
        assert!(cause.to_string().contains(word), "{cause}");
        assert_eq!(sim.machine.failure().and_then(Error::close_code), Some(code));
        assert_eq!(sim.deadline(), None);
    }
}

#[test]
fn the_reason_of_a_close_is_told() {
    let mut sim = Sim::connected();
    let (generation, now) = (sim.generation, sim.now);
    sim.machine.handle_closed(generation, Some(4321), " because ", now);
    let cause = sim.machine.failure().unwrap().to_string();
    assert!(cause.ends_with("(4321): because"), "{cause}");
}

#[test]
fn never_means_never_for_the_first_dial_and_for_a_lost_connection() {
    let mut sim = Sim::with(|config| config.policy = Policy::Never);
    sim.connect();
    sim.lost();
    let news = sim.expect("Dss");
    assert_eq!(news.states[1].current, State::Failed);
    assert_eq!(sim.machine.failure().map(Error::kind), Some(ErrorKind::Io));
    sim.connect();
    sim.established();
    sim.skip(STABLE);
    sim.closed(Some(4200));
    assert_eq!(sim.state(), State::Failed);
    sim.connect();
    sim.reconnect();
    assert_eq!(sim.state(), State::Reconnecting, "but the user may");
}

#[test]
fn after_the_last_attempt_it_fails_with_the_last_cause() {
    let mut sim = Sim::with(|config| config.policy = backoff(Some(2)));
    sim.connect();
    for attempt in 1..=2 {
        sim.lost();
        sim.advance_to_deadline();
        assert_eq!(sim.take().states.last().unwrap().attempt, attempt);
    }
    sim.closed(None);
    let news = sim.expect("s");
    assert_eq!(news.state().current, State::Failed);
    assert_eq!(news.state().cause.as_ref().map(Error::kind), Some(ErrorKind::Server));
    assert_eq!(sim.generation, 3, "one dial and two retries");
    sim.connect();
    sim.lost();
    assert_eq!(sim.state(), State::Reconnecting, "they are counted anew");
}

#[test]
fn the_users_policy_is_asked_for_every_loss_fatal_codes_included() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    sim.take();
    type Loss = fn(&mut Sim);
    let losses: [(Loss, Option<u16>); 4] = [
        (Sim::lost, None),
        (|sim| sim.closed(Some(4001)), Some(4001)),
        (|sim| sim.closed(Some(4200)), Some(4200)),
        (|sim| sim.closed(None), None),
    ];
    for (number, (lose, code)) in (1..).zip(losses) {
        lose(&mut sim);
        let news = sim.expect("sQ");
        assert_eq!((news.state().current, news.state().retry_in), (State::Reconnecting, None));
        let (question, attempt, error) = &news.asks[0];
        assert_eq!((*question, *attempt), (number, number as u32));
        assert_eq!(error.as_ref().unwrap().close_code(), code);
        assert_eq!(sim.deadline(), None, "it waits for the answer");
        sim.advance(secs(1000));
        sim.expect_nothing();

        sim.decide(number, Some(secs(7)));
        let news = sim.expect("s");
        assert_eq!(news.state().retry_in, Some(secs(7)));
        assert_eq!(news.state().cause.as_ref().unwrap().close_code(), code);
        sim.decide(number, None);
        sim.expect_nothing();
        sim.advance(secs(7));
        sim.expect("D");
    }
}

#[test]
fn the_users_policy_can_give_up() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    sim.closed(Some(4100));
    sim.decide(1, None);
    assert_eq!(sim.take().states.last().unwrap().current, State::Failed);
    assert_eq!(sim.machine.failure().and_then(Error::close_code), Some(4100));
}

#[test]
fn an_answer_of_the_users_policy_that_comes_too_late_has_no_effect() {
    type Meanwhile = fn(&mut Sim);
    let cases: [(Meanwhile, State, &str); 4] = [
        (Sim::disconnect, State::Disconnected, ""),
        (Sim::close, State::Disconnected, ""),
        (Sim::reconnect, State::Reconnecting, ""),
        (
            |sim| {
                sim.disconnect();
                sim.connect();
                sim.lost();
            },
            State::Reconnecting,
            // What is to be decided now is asked.
            "Q",
        ),
    ];
    for (meanwhile, state, order) in cases {
        for answer in [Some(Duration::ZERO), None] {
            let mut sim = Sim::with(|config| config.policy = Policy::Ask);
            sim.connect();
            sim.lost();
            meanwhile(&mut sim);
            sim.take();
            let deadline = sim.deadline().filter(|_| order.is_empty());
            sim.decide(1, answer);
            sim.expect(order);
            assert_eq!((sim.state(), sim.deadline()), (state, deadline));
        }
    }
}

#[test]
fn an_answer_to_wait_for_ever_is_survived() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    sim.lost();
    sim.decide(1, Some(Duration::MAX));
    assert_eq!(sim.deadline(), Some(Duration::MAX));
    sim.take();
    sim.reconnect();
    sim.expect("Ds");
}

#[test]
fn an_error_frame_before_the_greeting_decides_by_its_code() {
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
            let mut sim = Sim::new();
            sim.connect();
            sim.opened();
            sim.take();
            let mut data = format!(r#"{{"code":{code},"message":"no"}}"#);
            if quoted {
                data = serde_json::Value::from(data).to_string();
            }
            sim.server("pusher:error", None, &data);
            let news = sim.expect("eHs");
            assert_eq!(news.hangups, [(1, 1000)], "the server may leave it open");
            assert_eq!(news.state().current, state, "{code}");
            let cause = news.state().cause.as_ref().unwrap();
            assert_eq!(cause.close_code().map(|code| code.to_string()), {
                Some(code.trim_matches('"').to_owned()).filter(|code| code.starts_with('4'))
            });
            assert!(cause.to_string().contains(": no"), "{cause}");
            assert_eq!(news.error().to_string(), cause.to_string());
            if code == "4100" {
                assert!(news.state().retry_in >= Some(secs(1)));
            }
            // The close that follows is of a connection that is over.
            let (generation, now) = (sim.generation, sim.now);
            sim.machine.handle_closed(generation, Some(4001), "", now);
            sim.timeout();
            assert_eq!(sim.state(), state);
        }
    }
}

#[test]
fn an_error_frame_after_the_greeting_is_only_reported() {
    for code in [4000, 4001, 4009, 4100, 4200, 4201, 4301] {
        let mut sim = Sim::connected();
        sim.server("pusher:error", None, &format!(r#"{{"code":{code},"message":"m"}}"#));
        let news = sim.expect("ev");
        assert_eq!(news.error().close_code(), Some(code));
        assert_eq!(news.error().kind(), ErrorKind::Server);
        assert_eq!(news.event_names(), ["pusher:error"]);
        assert_eq!(sim.state(), State::Connected);
        sim.advance(secs(60));
        sim.expect_nothing();
    }
}

/// Live for long, then an error frame, then after `pause` this close.
fn close_after_error(frame: &str, pause: Duration, close: Option<u16>) -> Sim {
    let mut sim = Sim::connected();
    sim.skip(STABLE);
    sim.frame(frame);
    sim.skip(pause);
    sim.take();
    sim.closed(close);
    sim
}

#[test]
fn an_error_frame_explains_a_close_that_has_no_code_of_the_protocols() {
    let frame = r#"{"event":"pusher:error","data":"{\"code\":4001,\"message\":\"gone\"}"}"#;
    for close in [None, Some(1000), Some(1001), Some(1006)] {
        for pause in [0, 1999, 2000] {
            let mut sim = close_after_error(frame, MS * pause, close);
            let news = sim.expect("s");
            assert_eq!(news.state().current, State::Failed, "{close:?} {pause}");
            let cause = news.state().cause.as_ref().unwrap();
            assert_eq!(cause.close_code(), Some(4001));
            assert!(cause.to_string().contains("gone"));
        }
    }
    let mut lost = Sim::connected();
    lost.frame(frame);
    lost.lost();
    assert_eq!(lost.state(), State::Failed, "servers also just drop the connection");
}

#[test]
fn an_error_frame_explains_a_request_to_reconnect() {
    let frame = r#"{"event":"pusher:error","data":{"code":4200}}"#;
    let mut sim = close_after_error(frame, MS, None);
    assert_eq!(wait(&mut sim), Duration::ZERO);
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
        let mut sim = close_after_error(&frame, pause, close);
        let news = sim.expect("s");
        assert_eq!(news.state().current, State::Reconnecting, "{what}");
        let told = news.state().cause.as_ref().unwrap().close_code();
        assert_eq!(told, close, "{what}");
    }
}

#[test]
fn an_error_frame_of_the_last_connection_explains_nothing_about_the_next() {
    let mut sim = Sim::connected();
    sim.server("pusher:error", None, r#"{"code":4001}"#);
    sim.reconnect();
    sim.established();
    sim.lost();
    assert_eq!(sim.state(), State::Reconnecting);
}

#[test]
fn an_error_frame_does_not_explain_that_a_ping_went_unanswered() {
    let mut sim = Sim::connected_with(|config| config.pong_timeout = secs(1));
    sim.ping().unwrap();
    sim.server("pusher:error", None, r#"{"code":4009,"message":"for one request"}"#);
    sim.take();
    sim.advance(secs(1));
    let news = sim.expect("Hs");
    assert_eq!(news.state().current, State::Reconnecting);
    assert!(news.state().cause.as_ref().unwrap().is_timeout());
}

#[test]
fn a_dial_that_says_nothing_is_given_up_shortly_after_its_deadline() {
    let mut sim = Sim::new();
    sim.connect();
    sim.take();
    sim.advance(CONNECT + GRACE - MS);
    sim.expect_nothing();
    sim.advance(MS);
    let news = sim.expect("Hs");
    let change = news.state();
    assert_eq!((change.current, change.attempt), (State::Reconnecting, 1));
    let cause = change.cause.as_ref().unwrap();
    assert!(cause.is_timeout() && cause.to_string().contains("the connection"), "{cause}");
}

#[test]
fn an_open_connection_without_a_greeting_is_given_up() {
    let mut sim = Sim::new();
    sim.connect();
    sim.skip(secs(3));
    sim.opened();
    sim.take();
    assert_eq!(sim.due_in(), CONNECT + GRACE - secs(3), "opening it wins no time");
    // Whatever else is said is not the greeting.
    sim.server("pusher:ping", None, "");
    sim.server("e", Some("room"), "1");
    sim.server("pusher_internal:subscription_succeeded", Some("room"), "");
    sim.expect_nothing();
    sim.advance_to_deadline();
    let news = sim.expect("Hs");
    let cause = news.state().cause.as_ref().unwrap().to_string();
    assert!(cause.contains("pusher:connection_established"), "{cause}");
}

#[test]
fn a_greeting_without_a_socket_id_is_no_greeting() {
    for data in ["", "{}", "null", "7", r#"{"socket_id":""}"#, r#"{"socket_id":[]}"#, "\"x\""] {
        let mut sim = Sim::new();
        sim.connect();
        sim.take();
        sim.server("pusher:connection_established", None, data);
        let news = sim.expect("eHs");
        assert_eq!(news.state().current, State::Reconnecting, "{data}");
        assert_eq!(news.error().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn a_dial_that_was_given_up_counts_as_an_attempt() {
    let mut sim = Sim::with(|config| config.policy = backoff(Some(1)));
    sim.connect();
    sim.advance_to_deadline();
    assert_eq!(sim.state(), State::Reconnecting);
    sim.advance_to_deadline();
    sim.advance_to_deadline();
    assert_eq!(sim.state(), State::Failed);
    assert!(sim.machine.failure().unwrap().is_timeout());
}

#[test]
fn one_outage_is_over_in_one_pong_timeout_and_one_wait() {
    let mut sim = Sim::connected();
    let ping = sim.due_in();
    sim.advance(ping + PONG + secs(1));
    let news = sim.expect("SHsD");
    assert_eq!(news.state().cause.as_ref().map(Error::is_timeout), Some(true));
    assert_eq!(news.state().attempt, 1);
}
