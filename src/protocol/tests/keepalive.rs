//! Pings, pongs and silence.

use std::time::Duration;

use super::super::Policy;
use super::harness::{ACTIVITY, CONNECT, Harness, MS, PONG, SUBSCRIBE, secs};
use crate::{ChannelStatus, State};

/// The longest wait for a pong where the connection is in doubt.
const DOUBT: Duration = secs(5);

fn connected_with_timeout(activity: &str) -> Harness {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.establish_with(&format!(r#"{{"socket_id":"1.1","activity_timeout":{activity}}}"#));
    harness.take();
    harness
}

#[test]
fn the_shorter_activity_timeout_counts_and_a_useless_one_does_not() {
    let more = u64::MAX.to_string();
    for (data, expected) in [
        ("30", secs(30)),
        ("1", secs(1)),
        ("119", secs(119)),
        ("121", ACTIVITY),
        (&more, ACTIVITY),
        ("0", ACTIVITY),
        ("\"30\"", secs(30)),
        ("30.0", secs(30)),
        ("\"3e1\"", secs(30)),
        ("1.5", secs(1)),
        ("1e400", ACTIVITY),
        ("0.5", ACTIVITY),
        ("\"\"", ACTIVITY),
        ("-5", ACTIVITY),
        ("null", ACTIVITY),
        ("[30]", ACTIVITY),
    ] {
        assert_eq!(connected_with_timeout(data).due_in(), expected, "{data}");
    }
    let mut harness = Harness::quiet();
    harness.connect();
    harness.establish_with(r#"{"socket_id":"1.1"}"#);
    assert_eq!(harness.due_in(), ACTIVITY);
}

#[test]
fn after_silence_one_ping_is_sent_and_no_other_until_its_pong() {
    let mut harness = connected_with_timeout("30");
    harness.advance(secs(30) - MS);
    harness.timeout();
    harness.expect_nothing();
    harness.advance(MS);
    let outputs = harness.expect_outputs("S");
    assert_eq!(outputs.sends, [r#"{"event":"pusher:ping","data":{}}"#]);
    harness.timeout();
    harness.advance(PONG - MS);
    harness.timeout();
    harness.expect_nothing();
    harness.server("pusher:pong", None, "");
    harness.expect_nothing();
    assert_eq!(harness.due_in(), secs(30));
    harness.advance(secs(30));
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
}

#[test]
fn a_pong_in_every_shape_keeps_the_connection() {
    for data in ["", "{}", "\"{}\"", "null", "\"\"", "[1]", "7"] {
        let mut harness = Harness::quiet_connected();
        harness.advance(ACTIVITY);
        harness.server("pusher:pong", None, data);
        assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
        assert_eq!(harness.machine.last_pong(), Some((1, Duration::ZERO)), "{data}");
        harness.advance(ACTIVITY - MS);
        harness.expect_nothing();
    }
}

#[test]
fn any_frame_keeps_the_connection_while_a_pong_is_missing() {
    for frame in [
        r#"{"event":"e","channel":"room","data":{}}"#,
        r#"{"event":"pusher:ping"}"#,
        r#"{"event":"pusher:error","data":{"code":4301}}"#,
        "not JSON at all",
    ] {
        let mut harness = Harness::quiet_connected();
        harness.advance(ACTIVITY);
        for _ in 0..3 {
            harness.advance(PONG - MS);
            harness.frame(frame);
            assert_eq!(harness.state(), State::Connected, "{frame}");
        }
        harness.take();
        // The pong is lost for good: after the next silence, another ping is sent.
        harness.advance(ACTIVITY - MS);
        assert!(harness.take().sends.is_empty(), "{frame}");
        harness.advance(MS);
        assert_eq!(harness.take().sent(), ["ping"], "{frame}");
        harness.advance(PONG - MS);
        assert_eq!(harness.state(), State::Connected, "{frame}");
        harness.advance(MS);
        assert_eq!(harness.state(), State::Reconnecting, "{frame}");
    }
}

#[test]
fn any_frame_puts_the_ping_off() {
    for frame in ["{", r#"{"event":"e"}"#, r#"{"event":"pusher_internal:unheard_of"}"#] {
        let mut harness = Harness::quiet_connected();
        harness.advance(ACTIVITY - MS);
        harness.frame(frame);
        harness.take();
        harness.advance(ACTIVITY - MS);
        harness.expect_nothing();
        harness.advance(MS);
        assert_eq!(harness.expect_outputs("S").sent(), ["ping"], "{frame}");
    }
}

#[test]
fn a_missing_pong_ends_the_connection_after_the_pong_timeout() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.advance(ACTIVITY);
    harness.take();
    harness.advance(PONG - MS);
    harness.expect_nothing();
    harness.advance(MS);
    let outputs = harness.expect_outputs("Hs");
    assert_eq!(outputs.closes, [(1, 1000)], "not waiting for a close that cannot come");
    let change = outputs.state();
    assert_eq!((change.previous, change.current), (State::Connected, State::Reconnecting));
    assert!(change.cause.as_ref().unwrap().is_timeout());
    assert_eq!(harness.machine.socket_id(), None);
}

#[test]
fn each_ping_of_the_server_gets_a_pong() {
    let mut harness = Harness::quiet_connected();
    for data in ["", "{}", "\"{}\"", "null"] {
        harness.server("pusher:ping", None, data);
        let outputs = harness.expect_outputs("S");
        assert_eq!(outputs.sends, [r#"{"event":"pusher:pong","data":{}}"#]);
    }
}

#[test]
fn a_client_that_only_receives_pings_within_twice_the_activity_timeout() {
    let mut harness = Harness::quiet_connected();
    for _ in 0..24 {
        harness.advance(ACTIVITY / 10);
        harness.server("e", Some("room"), "{}");
    }
    let outputs = harness.take();
    assert_eq!(outputs.sent(), ["ping"], "after {:?}", ACTIVITY * 2);
    assert_eq!(outputs.events.len(), 24);
    harness.server("pusher:pong", None, "");
    for _ in 0..15 {
        harness.advance(ACTIVITY / 10);
        harness.server("e", Some("room"), "{}");
    }
    assert!(harness.take().sends.is_empty());
}

#[test]
fn a_late_pong_still_is_the_response_to_its_ping() {
    for other_frames in [1, 3] {
        let mut harness = Harness::quiet_connected();
        let ping = harness.ping().unwrap();
        for _ in 0..other_frames {
            harness.skip(PONG / 2);
            harness.server("e", Some("room"), "{}");
        }
        harness.skip(PONG - MS);
        assert!(harness.machine.ping_result(ping).is_none());
        harness.server("pusher:pong", None, "");
        let took = PONG / 2 * other_frames + PONG - MS;
        assert_eq!(harness.machine.ping_result(ping).unwrap().unwrap(), took);
        // It is no response to the next one.
        let ping = harness.ping().unwrap();
        assert!(harness.machine.ping_result(ping).is_none());
    }
}

#[test]
fn what_the_client_sends_puts_that_ping_off() {
    let mut harness = Harness::quiet_connected();
    for i in 0..40 {
        harness.advance(ACTIVITY / 10);
        harness.server("e", Some("room"), "{}");
        harness.subscribe(&format!("room-{i}"));
        harness.confirm(&format!("room-{i}"));
    }
    assert!(!harness.take().sent().contains(&"ping".to_owned()));
}

#[test]
fn a_ping_of_the_users_joins_one_that_is_on_its_way() {
    let mut harness = Harness::quiet_connected();
    assert_eq!(harness.ping().unwrap().number, 1);
    assert_eq!(harness.ping().unwrap().number, 1);
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    harness.skip(MS * 40);
    assert_eq!(harness.machine.last_pong(), None);
    harness.machine.take_changed();
    harness.server("pusher:pong", None, "");
    assert!(harness.machine.take_changed());
    assert_eq!(harness.machine.last_pong(), Some((1, MS * 40)));

    harness.advance(ACTIVITY);
    assert_eq!(harness.ping().unwrap().number, 2, "the heartbeat's");
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    harness.skip(MS * 7);
    harness.server("pusher:pong", None, "");
    assert_eq!(harness.machine.last_pong(), Some((2, MS * 7)));
    assert_eq!(harness.ping().unwrap().number, 3);
}

#[test]
fn the_users_ping_is_due_after_the_pong_timeout_too() {
    let mut harness = Harness::quiet_connected();
    harness.skip(secs(50));
    harness.ping().unwrap();
    assert_eq!(harness.due_in(), PONG);
    harness.advance(PONG);
    assert_eq!(harness.expect_outputs("SHs").state().current, State::Reconnecting);
}

#[test]
fn a_pong_without_a_ping_has_no_effect() {
    let mut harness = Harness::quiet_connected();
    harness.server("pusher:pong", None, "");
    assert_eq!(harness.machine.last_pong(), None);
    harness.ping().unwrap();
    harness.reconnect();
    harness.establish();
    harness.server("pusher:pong", None, "");
    assert_eq!(harness.machine.last_pong(), None, "nor one on another connection");
}

#[test]
fn after_a_suspend_a_ping_is_sent_at_once_and_has_five_seconds() {
    type Input = fn(&mut Harness);
    let inputs: [(Input, &str); 4] = [
        (Harness::timeout, "S"),
        (|harness| harness.server("e", None, ""), "Sv"),
        (|harness| drop(harness.ping()), "S"),
        (|harness| harness.unsubscribe("nothing"), "S"),
    ];
    for (input, order) in inputs {
        let mut harness = Harness::quiet_connected();
        harness.skip(secs(3));
        harness.suspend(secs(3600));
        input(&mut harness);
        assert_eq!(harness.expect_outputs(order).sent(), ["ping"]);
        if order == "S" {
            assert_eq!(harness.due_in(), DOUBT);
            harness.advance(DOUBT - MS);
            assert_eq!(harness.state(), State::Connected);
            harness.advance(MS);
            assert_eq!(harness.state(), State::Reconnecting);
        }
    }
}

#[test]
fn a_suspend_with_a_ping_on_its_way_leaves_it_five_seconds() {
    let mut harness = Harness::quiet_connected();
    harness.advance(ACTIVITY);
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    harness.suspend(secs(3600));
    harness.timeout();
    harness.expect_nothing();
    assert_eq!(harness.due_in(), DOUBT);
}

#[test]
fn a_short_pong_timeout_is_kept_in_doubt() {
    let mut harness = Harness::quiet_connected_with(|config| config.pong_timeout = secs(2));
    harness.network_changed();
    assert_eq!(harness.due_in(), secs(2));
}

#[test]
fn after_a_suspend_back_off_is_over() {
    let mut harness = Harness::quiet_connected();
    harness.closed(Some(4100));
    harness.take();
    assert!(harness.due_in() >= secs(1));
    harness.suspend(secs(3600));
    harness.timeout();
    assert_eq!(harness.expect_outputs("D").dials, [(2, CONNECT)]);
}

#[test]
fn a_suspend_during_a_dial_leaves_it_its_time() {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.take();
    let before = harness.deadline();
    harness.suspend(secs(3600));
    harness.timeout();
    harness.expect_nothing();
    assert_eq!(harness.deadline(), before);
}

#[test]
fn a_suspend_before_the_establishment_leaves_it_its_time() {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.opened();
    harness.take();
    let before = harness.deadline();
    harness.suspend(secs(3600));
    harness.timeout();
    harness.expect_nothing();
    assert_eq!(harness.deadline(), before);
    harness.establish();
    assert_eq!(harness.state(), State::Connected);
    harness.take();
    assert_eq!(harness.due_in(), ACTIVITY, "a connection that came after it is not in doubt");
}

#[test]
fn a_suspend_with_nothing_under_way_starts_nothing() {
    let prepare: [fn() -> Harness; 4] = [
        Harness::quiet,
        || {
            let mut harness = Harness::quiet_connected();
            harness.disconnect();
            harness
        },
        || {
            let mut harness = Harness::quiet_connected();
            harness.closed(Some(4001));
            assert_eq!(harness.state(), State::Failed);
            harness
        },
        || {
            let mut harness =
                Harness::quiet_connected_with(|config| config.policy = Policy::Custom);
            harness.closed(Some(4001));
            harness
        },
    ];
    for prepare in prepare {
        let mut harness = prepare();
        // So that there is a time to jump from.
        harness.timeout();
        harness.take();
        let state = harness.state();
        harness.suspend(secs(3600));
        harness.timeout();
        harness.expect_nothing();
        assert_eq!((harness.deadline(), harness.state()), (None, state));
    }
}

#[test]
fn a_suspend_while_the_policy_runs_waits_for_its_decision() {
    let mut harness = Harness::quiet_connected_with(|config| config.policy = Policy::Custom);
    harness.lose();
    harness.take();
    harness.suspend(secs(3600));
    harness.decide(harness.policy_calls, Some(secs(7)));
    harness.take();
    assert_eq!(harness.due_in(), secs(7));
}

#[test]
fn a_suspend_with_a_subscription_on_its_way_leaves_it_its_time() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.take();
    harness.skip(secs(3));
    harness.suspend(secs(3600));
    harness.timeout();
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    harness.server("pusher:pong", None, "");
    assert_eq!(harness.due_in(), SUBSCRIBE - secs(3));
    harness.confirm("room");
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn a_gap_spans_the_suspend_that_ended_the_connection() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.suspend(secs(3600));
    harness.timeout();
    harness.take();
    harness.advance(DOUBT);
    assert_eq!(harness.take().state().current, State::Reconnecting);
    harness.advance_to_deadline();
    harness.establish();
    harness.confirm("room");
    let resumed = harness.take().resumed;
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0].1.length() >= secs(3600), "{resumed:?}");
}

#[test]
fn where_the_clock_runs_on_during_a_suspend_all_that_is_due_is_done_on_waking() {
    // Not every system's monotonic clock stands still meanwhile.
    let mut harness = Harness::quiet_connected();
    harness.now.mono += secs(3600);
    harness.now.wall += secs(3600);
    harness.timeout();
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    harness.server("pusher:pong", None, "");
    assert_eq!((harness.state(), harness.due_in()), (State::Connected, ACTIVITY));

    harness.advance(ACTIVITY);
    assert_eq!(harness.take().sent(), ["ping"]);
    harness.now.mono += secs(3600);
    harness.now.wall += secs(3600);
    harness.timeout();
    assert_eq!(harness.take().state().current, State::Reconnecting);
}

#[test]
fn small_and_backward_jumps_of_the_wall_clock_are_harmless() {
    let mut harness = Harness::quiet_connected();
    let deadline = harness.deadline();
    for jump in [-3600, -5, 5, 3, 5, -7200, 4] {
        let wall = harness.now.wall.as_secs().checked_add_signed(jump).unwrap();
        harness.now.wall = secs(wall);
        harness.timeout();
        harness.expect_nothing();
        assert_eq!(harness.deadline(), deadline, "{jump}");
    }
    harness.now.wall = Duration::ZERO;
    harness.timeout();
    harness.expect_nothing();
    harness.now.wall = secs(6);
    harness.timeout();
    assert_eq!(
        harness.expect_outputs("S").sent(),
        ["ping"],
        "more than five seconds are a suspend"
    );
}

#[test]
fn a_late_call_without_a_jump_is_no_suspend() {
    let mut harness = Harness::quiet_connected();
    harness.skip(ACTIVITY - MS);
    harness.timeout();
    harness.expect_nothing();
}

#[test]
fn a_changed_network_is_checked_at_once() {
    let mut harness = Harness::quiet_connected();
    harness.network_changed();
    harness.network_changed();
    assert_eq!(harness.expect_outputs("S").sent(), ["ping"]);
    assert_eq!(harness.due_in(), DOUBT);
    harness.server("pusher:pong", None, "");
    assert_eq!((harness.due_in(), harness.state()), (ACTIVITY, State::Connected));

    harness.network_changed();
    harness.advance(DOUBT);
    assert_eq!(harness.take().state().current, State::Reconnecting);
    harness.network_changed();
    assert_eq!(harness.due_in(), Duration::ZERO, "no waiting");
    harness.catch_up();
    assert_eq!(harness.expect_outputs("D").dials.len(), 1);
}

#[test]
fn the_highest_timeouts_do_not_overflow() {
    let mut harness = Harness::quiet_connected_with(|config| {
        config.activity_timeout = Duration::MAX;
        config.pong_timeout = Duration::MAX;
        config.subscribe_timeout = Duration::MAX;
        config.connect_timeout = Duration::MAX;
    });
    assert_eq!(harness.due_in(), ACTIVITY, "the server's");
    harness.subscribe("room");
    harness.ping().unwrap();
    assert_eq!(harness.deadline(), Some(Duration::MAX));
    harness.reconnect();
    assert_eq!(harness.deadline(), Some(Duration::MAX));
}
