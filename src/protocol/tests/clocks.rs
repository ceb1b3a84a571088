//! Waits that the server asks for, clocks that are set, suspends, and the user's activity timeout.

use std::time::Duration;

use super::super::{Backoff, Policy};
use super::sim::{ACTIVITY, MS, PONG, Sim, secs};
use crate::{Error, ErrorKind, State};

const HOUR: Duration = secs(3600);
const YEAR: Duration = secs(365 * 24 * 3600);

fn busy(wait: Duration) -> Error {
    let error = Error::message(ErrorKind::Handshake, "refused").with_http_status(503);
    error.with_retry_after(wait)
}

fn refuse(sim: &mut Sim, error: Error) {
    sim.ending(|machine, now| machine.handle_lost(machine.dials(), error, now));
}

/// A client whose first dial was refused with `Retry-After`.
fn refused(wait: Duration) -> Sim {
    let mut sim = Sim::new();
    sim.connect();
    refuse(&mut sim, busy(wait));
    sim
}

#[test]
fn a_dial_that_is_refused_with_a_time_waits_for_it() {
    for (told, kept) in [(secs(60), secs(60)), (HOUR, HOUR), (24 * HOUR, HOUR)] {
        let mut sim = refused(told);
        assert_eq!(sim.take().states.last().unwrap().retry_in, Some(kept));
        assert_eq!(sim.due_in(), kept);
        sim.advance(kept - MS);
        sim.expect_nothing();
        sim.advance(MS);
        assert_eq!(sim.expect("D").dials.len(), 1);
    }
}

#[test]
fn it_counts_as_an_attempt_all_the_same() {
    let backoff = Backoff { max_attempts: Some(1), ..Backoff::default() };
    let mut sim = Sim::with(|config| config.policy = Policy::Backoff(backoff));
    sim.connect();
    refuse(&mut sim, busy(secs(60)));
    sim.advance(secs(60));
    refuse(&mut sim, busy(secs(60)));
    assert_eq!(sim.state(), State::Failed);
}

#[test]
fn only_reconnect_cuts_short_what_the_server_has_asked_for() {
    let mut sim = refused(secs(60));
    sim.advance(secs(10));
    sim.take();
    sim.network_changed();
    assert_eq!(sim.due_in(), secs(50));
    sim.now.wall += YEAR;
    sim.timeout();
    assert_eq!(sim.due_in(), secs(50), "a clock that was set");
    sim.suspend(secs(20));
    sim.timeout();
    assert_eq!(sim.due_in(), secs(30), "a suspend, during which it goes on");
    sim.suspend(8 * HOUR);
    sim.timeout();
    sim.expect("D");

    let mut sim = refused(secs(60));
    sim.take();
    sim.reconnect();
    sim.expect("Ds");
}

#[test]
fn of_a_wait_that_is_longer_by_itself_the_rest_is_cut_short() {
    let backoff = Backoff { min: secs(20), ..Backoff::default() };
    for (ended, rest) in [(busy(secs(5)), secs(5)), (Error::new(ErrorKind::Io, "gone"), secs(0))] {
        let mut sim = Sim::with(|config| config.policy = Policy::Backoff(backoff));
        sim.connect();
        refuse(&mut sim, ended);
        assert_eq!(sim.due_in(), secs(20));
        sim.network_changed();
        assert_eq!(sim.due_in(), rest);
    }
}

#[test]
fn a_busy_server_has_its_second_for_every_code_that_means_it() {
    for code in [4100, 4199, 1012, 1013] {
        let mut sim = Sim::connected();
        sim.closed(Some(code));
        assert!(sim.due_in() >= secs(1), "{code}");
        sim.network_changed();
        assert!(sim.due_in() >= secs(1), "{code}");
    }
}

#[test]
fn with_a_policy_of_their_own_the_user_decides_alone() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    refuse(&mut sim, busy(secs(60)));
    let asks = sim.take().asks;
    let error = asks[0].2.as_ref().unwrap();
    assert_eq!(error.retry_after(), Some(secs(60)), "they see it");
    sim.decide(1, Some(secs(2)));
    assert_eq!(sim.due_in(), secs(2));
    sim.network_changed();
    assert_eq!(sim.due_in(), secs(0));
}

/// Lost for a minute, with `meanwhile` in it. Returns the gap, and for how long it was reconnecting.
fn gap(meanwhile: impl Fn(&mut Sim)) -> (Duration, Duration) {
    let mut sim = Sim::subscribed(&["room"]);
    sim.lost();
    sim.skip(secs(60));
    meanwhile(&mut sim);
    sim.settle();
    let reconnecting = sim.machine.state_for(sim.now);
    sim.established();
    sim.confirm("room");
    let resumed = sim.take().resumed;
    assert_eq!(resumed.len(), 1);
    (resumed[0].1.length(), reconnecting)
}

#[test]
fn a_gap_is_the_time_that_has_passed_and_not_what_the_clock_was_set_by() {
    let minute = secs(60);
    assert_eq!(gap(|_| {}), (minute, minute));
    assert_eq!(gap(|sim| sim.now.wall += YEAR), (minute, minute));
    assert_eq!(gap(|sim| sim.now.wall -= YEAR), (minute, minute));
    assert_eq!(gap(|sim| sim.now.wall = Duration::ZERO), (minute, minute));
    let night = 8 * HOUR + minute;
    assert_eq!(gap(|sim| sim.suspend(8 * HOUR)), (night, night));
    let both = |sim: &mut Sim| {
        sim.suspend(8 * HOUR);
        sim.now.wall -= YEAR;
    };
    assert_eq!(gap(both), (night, night));
}

#[test]
fn a_clock_that_is_set_changes_no_deadline_of_a_connection() {
    for forward in [false, true] {
        let mut sim = Sim::subscribed(&["room"]);
        sim.advance(secs(10));
        match forward {
            true => sim.now.wall += YEAR,
            false => sim.now.wall -= YEAR,
        }
        sim.timeout();
        // Forward, it might have been a suspend: the connection is checked, and holds.
        assert_eq!(sim.take().sent(), if forward { vec!["ping"] } else { vec![] });
        if forward {
            sim.server("pusher:pong", None, "");
        }
        assert_eq!(sim.machine.state_for(sim.now), secs(10));
        sim.advance(ACTIVITY);
        assert_eq!(sim.take().sent(), ["ping"]);
        sim.advance(PONG);
        assert_eq!(sim.state(), State::Reconnecting, "and it is seen when it dies");
        sim.advance(secs(1));
        assert_eq!(sim.take().dials.len(), 1);
    }
}

#[test]
fn a_suspend_is_noticed_even_if_the_wall_clock_was_set_back() {
    let mut sim = Sim::connected();
    sim.suspend(8 * HOUR);
    sim.now.wall -= YEAR;
    sim.timeout();
    assert_eq!(sim.expect("S").sent(), ["ping"]);
}

#[test]
fn the_users_activity_timeout_counts_instead_of_every_other() {
    for (told, overriding) in [(30, secs(300)), (30, secs(5)), (120, secs(1)), (0, secs(3600))] {
        let mut sim = Sim::with(|config| config.override_activity_timeout = Some(overriding));
        sim.connect();
        sim.established_with(&format!(r#"{{"socket_id":"1.1","activity_timeout":{told}}}"#));
        sim.take();
        assert_eq!(sim.due_in(), overriding, "{told}");
        // One that only receives sends a ping after twice that time.
        for _ in 0..19 {
            sim.advance(overriding / 10);
            sim.server("e", Some("room"), "{}");
        }
        assert!(sim.take().sent().is_empty(), "{told}");
        sim.advance(overriding / 10);
        assert_eq!(sim.take().sent(), ["ping"], "{told}");
    }
    let mut sim =
        Sim::connected_with(|config| config.override_activity_timeout = Some(Duration::MAX));
    assert_eq!(sim.deadline(), Some(Duration::MAX));
}
