//! What wakes whoever sleeps until the machine's next deadline; pings; and what happens where nothing keeps the
//! time, or a connection takes nothing.

use super::harness::{Harness, secs};
use crate::protocol::{Alarm, Cause};
use crate::{Error, ErrorKind, State};

fn alarm(cause: Cause, seconds: u64) -> Option<Alarm> {
    Some(Alarm { at: secs(seconds), cause })
}

#[test]
fn a_sleeper_is_woken_for_what_is_earlier_and_not_to_wake_up_for_nothing() {
    use Cause::{Call, Heartbeat, Pong, Step};
    for (sleeping, next, expected) in [
        (None, None, false),
        (None, alarm(Heartbeat, 100), true),
        // Earlier, whatever it is.
        (alarm(Heartbeat, 100), alarm(Heartbeat, 99), true),
        (alarm(Step, 100), alarm(Call, 99), true),
        (alarm(Call, 100), alarm(Step, 99), true),
        // What every frame moves.
        (alarm(Heartbeat, 100), alarm(Heartbeat, 200), false),
        (alarm(Pong, 100), alarm(Pong, 200), false),
        // What is over.
        (alarm(Pong, 100), alarm(Heartbeat, 200), true),
        (alarm(Step, 100), alarm(Heartbeat, 200), true),
        (alarm(Step, 100), alarm(Step, 200), true),
        (alarm(Step, 100), None, true),
        (alarm(Heartbeat, 100), None, true),
        (alarm(Heartbeat, 100), alarm(Step, 200), true),
        // Not for each of many that come one upon the other.
        (alarm(Step, 100), alarm(Step, 100), false),
        (Some(Alarm { at: secs(100) + secs(1) / 2, cause: Step }), alarm(Step, 101), false),
        // A call is over at once, as a rule: to wake a thread for each would cost more.
        (alarm(Call, 100), alarm(Heartbeat, 200), false),
        (alarm(Call, 100), None, false),
    ] {
        assert_eq!(Alarm::wakes(sleeping, next), expected, "{sleeping:?}, then {next:?}");
    }
}

#[test]
fn an_alarm_says_what_it_is_for() {
    let cause = |harness: &mut Harness| harness.machine.alarm().map(|alarm| alarm.cause);
    let mut harness = Harness::new();
    assert_eq!(cause(&mut harness), None);
    harness.connect();
    assert_eq!(cause(&mut harness), Some(Cause::Step));
    harness.establish();
    assert_eq!(cause(&mut harness), Some(Cause::Heartbeat));
    harness.subscribe("room");
    assert_eq!(cause(&mut harness), Some(Cause::Step));
    harness.confirm("room");
    assert_eq!(cause(&mut harness), Some(Cause::Heartbeat));
    harness.lose();
    assert_eq!(cause(&mut harness), Some(Cause::Step));
    harness.disconnect();
    assert_eq!(cause(&mut harness), None);
    // This one has a server that is silent.
    let mut harness = Harness::quiet_connected();
    harness.ping().unwrap();
    assert_eq!(harness.machine.alarm().map(|alarm| alarm.cause), Some(Cause::Pong));
}

#[test]
fn a_ping_belongs_to_its_connection() {
    let mut harness = Harness::quiet_connected();
    let lost = harness.ping().unwrap();
    assert!(harness.machine.ping_result(lost).is_none());
    harness.reconnect();
    harness.establish();
    let error = harness.machine.ping_result(lost).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    // Nor does the pong of one on the next connection end it.
    let next = harness.ping().unwrap();
    harness.skip(secs(1));
    harness.server("pusher:pong", None, "");
    assert_eq!(harness.machine.ping_result(next).unwrap().unwrap(), secs(1));
    assert!(harness.machine.ping_result(lost).unwrap().is_err());
    // One that has its pong keeps its result.
    harness.lose();
    assert_eq!(harness.machine.ping_result(next).unwrap().unwrap(), secs(1));
}

fn no_thread() -> Error {
    Error::new(ErrorKind::Io, "starting the thread failed")
}

#[test]
fn a_dial_that_cannot_be_timed_fails_until_the_user_dials_again() {
    for again in ["connect", "reconnect", "network_changed"] {
        let mut harness = Harness::new();
        harness.connect();
        for _ in 0..2 {
            let generation = harness.machine.dials();
            harness.ending(|machine, now| machine.handle_untimed(generation, no_thread(), now));
            assert_eq!((harness.machine.state(), harness.machine.alarm()), (State::Failed, None));
            assert_eq!(harness.machine.failure().unwrap().kind(), ErrorKind::Io);
            harness.input(|machine, now| match again {
                "connect" => machine.connect(now),
                "reconnect" => machine.reconnect(now),
                _ => machine.network_changed(now),
            });
            assert_eq!(harness.machine.state(), State::Connecting, "{again}");
            assert_eq!(harness.machine.dials(), generation + 1);
        }
        harness.establish();
        // It is a failure like others from here on.
        harness.closed_with(Some(4001), "");
        harness.network_changed();
        assert_eq!(harness.machine.state(), State::Failed, "{again}");
    }
}

#[test]
fn a_dial_that_cannot_be_timed_and_is_not_wanted_changes_nothing() {
    let mut harness = Harness::new();
    harness.connect();
    let generation = harness.machine.dials();
    harness.disconnect();
    harness.ending(|machine, now| machine.handle_untimed(generation, no_thread(), now));
    harness.network_changed();
    assert_eq!(
        (harness.machine.state(), harness.machine.dials()),
        (State::Disconnected, generation)
    );
}

#[test]
fn only_the_present_connection_can_be_given_up_as_blocked() {
    let mut harness = Harness::connected();
    let generation = harness.machine.dials();
    let blocked = || Error::new(ErrorKind::TooLarge, "blocked");
    harness.input(|machine, now| machine.handle_blocked(generation - 1, blocked(), now));
    assert_eq!(harness.machine.state(), State::Connected);
    harness.input(|machine, now| machine.handle_blocked(generation, blocked(), now));
    assert_eq!(harness.machine.state(), State::Reconnecting);
    assert_eq!(harness.machine.last_failure().unwrap().kind(), ErrorKind::TooLarge);
}
