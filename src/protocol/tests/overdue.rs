//! Dials and connections that end without a report, or are never established.

use super::harness::{CONNECT, GRACE, Harness, MS, PONG, backoff, secs};
use crate::{Error, ErrorKind, State};

#[test]
fn a_dial_that_reports_nothing_is_given_up_shortly_after_its_deadline() {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.take();
    harness.advance(CONNECT + GRACE - MS);
    harness.expect_nothing();
    harness.advance(MS);
    let outputs = harness.expect_outputs("Hs");
    let change = outputs.state();
    assert_eq!((change.current, change.attempt), (State::Reconnecting, 1));
    let cause = change.cause.as_ref().unwrap();
    assert!(cause.is_timeout() && cause.to_string().contains("the connection"), "{cause}");
}

#[test]
fn a_connection_that_is_not_established_is_given_up() {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.skip(secs(3));
    harness.opened();
    harness.take();
    assert_eq!(harness.due_in(), CONNECT + GRACE - secs(3), "opening it wins no time");
    // No other frame establishes it.
    harness.server("pusher:ping", None, "");
    harness.server("e", Some("room"), "1");
    harness.server("pusher_internal:subscription_succeeded", Some("room"), "");
    harness.expect_nothing();
    harness.advance_to_deadline();
    let outputs = harness.expect_outputs("Hs");
    let cause = outputs.state().cause.as_ref().unwrap().to_string();
    assert!(cause.contains("pusher:connection_established"), "{cause}");
}

#[test]
fn an_establishment_without_a_socket_id_is_none() {
    for data in ["", "{}", "null", "7", r#"{"socket_id":""}"#, r#"{"socket_id":[]}"#, "\"x\""] {
        let mut harness = Harness::quiet();
        harness.connect();
        harness.take();
        harness.server("pusher:connection_established", None, data);
        let outputs = harness.expect_outputs("eHs");
        assert_eq!(outputs.state().current, State::Reconnecting, "{data}");
        assert_eq!(outputs.error().kind(), ErrorKind::Protocol);
    }
}

#[test]
fn a_dial_that_was_given_up_counts_as_an_attempt() {
    let mut harness = Harness::quiet_with(|config| config.policy = backoff(Some(1)));
    harness.connect();
    harness.advance_to_deadline();
    assert_eq!(harness.state(), State::Reconnecting);
    harness.advance_to_deadline();
    harness.advance_to_deadline();
    assert_eq!(harness.state(), State::Failed);
    assert!(harness.machine.failure().unwrap().is_timeout());
}

#[test]
fn one_outage_is_over_in_one_pong_timeout_and_one_wait() {
    let mut harness = Harness::quiet_connected();
    let ping = harness.due_in();
    harness.advance(ping + PONG + secs(1));
    let outputs = harness.expect_outputs("SHsD");
    assert_eq!(outputs.state().cause.as_ref().map(Error::is_timeout), Some(true));
    assert_eq!(outputs.state().attempt, 1);
}
