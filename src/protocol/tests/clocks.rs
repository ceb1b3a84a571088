//! Waits that the server requests, clocks that are set, suspends, and the user's activity timeout.

use std::time::Duration;

use super::super::{Backoff, Policy};
use super::harness::{ACTIVITY, Harness, MS, PONG, secs};
use crate::{Error, ErrorKind, State};

const HOUR: Duration = secs(3600);
const YEAR: Duration = secs(365 * 24 * 3600);

fn busy(wait: Duration) -> Error {
    let error = Error::message(ErrorKind::Handshake, "refused").with_http_status(503);
    error.with_retry_after(wait)
}

fn refuse(harness: &mut Harness, error: Error) {
    harness.ending(|machine, now| machine.handle_lost(machine.dials(), error, now));
}

/// A client whose first dial was refused with `Retry-After`.
fn refused(wait: Duration) -> Harness {
    let mut harness = Harness::quiet();
    harness.connect();
    refuse(&mut harness, busy(wait));
    harness
}

#[test]
fn a_dial_that_is_refused_with_a_time_waits_for_it() {
    for (requested, kept) in [(secs(60), secs(60)), (HOUR, HOUR), (24 * HOUR, HOUR)] {
        let mut harness = refused(requested);
        assert_eq!(harness.take().states.last().unwrap().retry_in, Some(kept));
        assert_eq!(harness.due_in(), kept);
        harness.advance(kept - MS);
        harness.expect_nothing();
        harness.advance(MS);
        assert_eq!(harness.expect_outputs("D").dials.len(), 1);
    }
}

#[test]
fn it_counts_as_an_attempt_all_the_same() {
    let backoff = Backoff { max_attempts: Some(1), ..Backoff::default() };
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Backoff(backoff));
    harness.connect();
    refuse(&mut harness, busy(secs(60)));
    harness.advance(secs(60));
    refuse(&mut harness, busy(secs(60)));
    assert_eq!(harness.state(), State::Failed);
}

#[test]
fn only_reconnect_cuts_short_a_wait_that_the_server_requested() {
    let mut harness = refused(secs(60));
    harness.advance(secs(10));
    harness.take();
    harness.network_changed();
    assert_eq!(harness.due_in(), secs(50));
    harness.now.wall += YEAR;
    harness.timeout();
    assert_eq!(harness.due_in(), secs(50), "a clock that was set");
    harness.suspend(secs(20));
    harness.timeout();
    assert_eq!(harness.due_in(), secs(30), "a suspend, during which it goes on");
    harness.suspend(8 * HOUR);
    harness.timeout();
    harness.expect_outputs("D");

    let mut harness = refused(secs(60));
    harness.take();
    harness.reconnect();
    harness.expect_outputs("Ds");
}

#[test]
fn of_a_wait_that_is_longer_by_itself_the_rest_is_cut_short() {
    let backoff = Backoff { min: secs(20), ..Backoff::default() };
    for (ended, rest) in [(busy(secs(5)), secs(5)), (Error::new(ErrorKind::Io, "gone"), secs(0))] {
        let mut harness = Harness::quiet_with(|config| config.policy = Policy::Backoff(backoff));
        harness.connect();
        refuse(&mut harness, ended);
        assert_eq!(harness.due_in(), secs(20));
        harness.network_changed();
        assert_eq!(harness.due_in(), rest);
    }
}

#[test]
fn a_busy_server_has_its_second_for_every_code_that_means_it() {
    for code in [4100, 4199, 1012, 1013] {
        let mut harness = Harness::quiet_connected();
        harness.closed(Some(code));
        assert!(harness.due_in() >= secs(1), "{code}");
        harness.network_changed();
        assert!(harness.due_in() >= secs(1), "{code}");
    }
}

#[test]
fn with_a_policy_of_their_own_the_user_decides_alone() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    refuse(&mut harness, busy(secs(60)));
    let policy_calls = harness.take().policy_calls;
    let error = policy_calls[0].2.as_ref().unwrap();
    assert_eq!(error.retry_after(), Some(secs(60)), "they see it");
    harness.decide(1, Some(secs(2)));
    assert_eq!(harness.due_in(), secs(2));
    harness.network_changed();
    assert_eq!(harness.due_in(), secs(0));
}

/// Lost for a minute, with `meanwhile` in it. Returns the gap, and for how long it was reconnecting.
fn gap(meanwhile: impl Fn(&mut Harness)) -> (Duration, Duration) {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.lose();
    harness.skip(secs(60));
    meanwhile(&mut harness);
    harness.catch_up();
    let reconnecting = harness.machine.state_for(harness.now);
    harness.establish();
    harness.confirm("room");
    let resumed = harness.take().resumed;
    assert_eq!(resumed.len(), 1);
    (resumed[0].1.length(), reconnecting)
}

#[test]
fn a_gap_is_the_time_that_has_passed_and_not_what_the_clock_was_set_by() {
    let minute = secs(60);
    assert_eq!(gap(|_| {}), (minute, minute));
    assert_eq!(gap(|harness| harness.now.wall += YEAR), (minute, minute));
    assert_eq!(gap(|harness| harness.now.wall -= YEAR), (minute, minute));
    assert_eq!(gap(|harness| harness.now.wall = Duration::ZERO), (minute, minute));
    let night = 8 * HOUR + minute;
    assert_eq!(gap(|harness| harness.suspend(8 * HOUR)), (night, night));
    let both = |harness: &mut Harness| {
        harness.suspend(8 * HOUR);
        harness.now.wall -= YEAR;
    };
    assert_eq!(gap(both), (night, night));
}

#[test]
fn a_clock_that_is_set_changes_no_deadline_of_a_connection() {
    for forward in [false, true] {
        let mut harness = Harness::quiet_subscribed(&["room"]);
        harness.advance(secs(10));
        match forward {
            true => harness.now.wall += YEAR,
            false => harness.now.wall -= YEAR,
        }
        harness.timeout();
        // Forward, it might have been a suspend: the connection is checked, and holds.
        assert_eq!(harness.take().sent(), if forward { vec!["ping"] } else { vec![] });
        if forward {
            harness.server("pusher:pong", None, "");
        }
        assert_eq!(harness.machine.state_for(harness.now), secs(10));
        harness.advance(ACTIVITY);
        assert_eq!(harness.take().sent(), ["ping"]);
        harness.advance(PONG);
        assert_eq!(harness.state(), State::Reconnecting, "and it is seen when it dies");
        harness.advance(secs(1));
        assert_eq!(harness.take().dials.len(), 1);
    }
}

#[test]
fn a_suspend_is_noticed_even_if_the_wall_clock_was_set_back() {
    let mut harness = Harness::quiet_connected();
    harness.suspend(8 * HOUR);
    harness.now.wall -= YEAR;
    harness.timeout();
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
}

#[test]
fn the_users_activity_timeout_counts_instead_of_every_other() {
    for (activity, overriding) in [(30, secs(300)), (30, secs(5)), (120, secs(1)), (0, secs(3600))]
    {
        let mut harness =
            Harness::quiet_with(|config| config.override_activity_timeout = Some(overriding));
        harness.connect();
        harness.establish_with(&format!(r#"{{"socket_id":"1.1","activity_timeout":{activity}}}"#));
        harness.take();
        assert_eq!(harness.due_in(), overriding, "{activity}");
        // One that only receives sends a ping after twice that time.
        for _ in 0..19 {
            harness.advance(overriding / 10);
            harness.server("e", Some("room"), "{}");
        }
        assert!(harness.take().sent().is_empty(), "{activity}");
        harness.advance(overriding / 10);
        assert_eq!(harness.take().sent(), ["ping"], "{activity}");
    }
    let mut harness = Harness::quiet_connected_with(|config| {
        config.override_activity_timeout = Some(Duration::MAX)
    });
    assert_eq!(harness.deadline(), Some(Duration::MAX));
}
