//! Whether the other side is still there.

use std::time::Duration;

use super::super::Policy;
use super::sim::{ACTIVITY, CONNECT, MS, PONG, SUBSCRIBE, Sim, secs};
use crate::{ChannelStatus, State};

/// The longest wait for a pong where the connection is in doubt.
const DOUBT: Duration = secs(5);

fn connected_telling(activity: &str) -> Sim {
    let mut sim = Sim::new();
    sim.connect();
    sim.established_with(&format!(r#"{{"socket_id":"1.1","activity_timeout":{activity}}}"#));
    sim.take();
    sim
}

#[test]
fn the_shorter_activity_timeout_counts_and_a_useless_one_does_not() {
    let more = u64::MAX.to_string();
    for (told, expected) in [
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
        assert_eq!(connected_telling(told).due_in(), expected, "{told}");
    }
    let mut sim = Sim::new();
    sim.connect();
    sim.established_with(r#"{"socket_id":"1.1"}"#);
    assert_eq!(sim.due_in(), ACTIVITY);
}

#[test]
fn after_silence_one_ping_is_sent_and_no_other_until_it_is_answered() {
    let mut sim = connected_telling("30");
    sim.advance(secs(30) - MS);
    sim.timeout();
    sim.expect_nothing();
    sim.advance(MS);
    let news = sim.expect("S");
    assert_eq!(news.sends, [r#"{"event":"pusher:ping","data":{}}"#]);
    sim.timeout();
    sim.advance(PONG - MS);
    sim.timeout();
    sim.expect_nothing();
    sim.server("pusher:pong", None, "");
    sim.expect_nothing();
    assert_eq!(sim.due_in(), secs(30));
    sim.advance(secs(30));
    assert_eq!(sim.expect("S").sent(), ["ping"]);
}

#[test]
fn a_pong_in_every_shape_keeps_the_connection() {
    for data in ["", "{}", "\"{}\"", "null", "\"\"", "[1]", "7"] {
        let mut sim = Sim::connected();
        sim.advance(ACTIVITY);
        sim.server("pusher:pong", None, data);
        assert_eq!(sim.expect("S").sent(), ["ping"]);
        assert_eq!(sim.machine.answered(), Some((1, Duration::ZERO)), "{data}");
        sim.advance(ACTIVITY - MS);
        sim.expect_nothing();
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
        let mut sim = Sim::connected();
        sim.advance(ACTIVITY);
        for _ in 0..3 {
            sim.advance(PONG - MS);
            sim.frame(frame);
            assert_eq!(sim.state(), State::Connected, "{frame}");
        }
        sim.take();
        // The pong is lost for good: the next silence is answered with another ping.
        sim.advance(ACTIVITY - MS);
        assert!(sim.take().sends.is_empty(), "{frame}");
        sim.advance(MS);
        assert_eq!(sim.take().sent(), ["ping"], "{frame}");
        sim.advance(PONG - MS);
        assert_eq!(sim.state(), State::Connected, "{frame}");
        sim.advance(MS);
        assert_eq!(sim.state(), State::Reconnecting, "{frame}");
    }
}

#[test]
fn any_frame_puts_the_ping_off() {
    for frame in ["{", r#"{"event":"e"}"#, r#"{"event":"pusher_internal:unheard_of"}"#] {
        let mut sim = Sim::connected();
        sim.advance(ACTIVITY - MS);
        sim.frame(frame);
        sim.take();
        sim.advance(ACTIVITY - MS);
        sim.expect_nothing();
        sim.advance(MS);
        assert_eq!(sim.expect("S").sent(), ["ping"], "{frame}");
    }
}

#[test]
fn a_missing_pong_ends_the_connection_after_the_pong_timeout() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.advance(ACTIVITY);
    sim.take();
    sim.advance(PONG - MS);
    sim.expect_nothing();
    sim.advance(MS);
    let news = sim.expect("Hs");
    assert_eq!(news.hangups, [(1, 1000)], "not waiting for a close that cannot come");
    let change = news.state();
    assert_eq!((change.previous, change.current), (State::Connected, State::Reconnecting));
    assert!(change.cause.as_ref().unwrap().is_timeout());
    assert_eq!(sim.machine.socket_id(), None);
}

#[test]
fn a_ping_of_the_servers_is_answered_each_time() {
    let mut sim = Sim::connected();
    for data in ["", "{}", "\"{}\"", "null"] {
        sim.server("pusher:ping", None, data);
        let news = sim.expect("S");
        assert_eq!(news.sends, [r#"{"event":"pusher:pong","data":{}}"#]);
    }
}

#[test]
fn a_client_that_only_receives_pings_within_twice_the_activity_timeout() {
    let mut sim = Sim::connected();
    for _ in 0..24 {
        sim.advance(ACTIVITY / 10);
        sim.server("e", Some("room"), "{}");
    }
    let news = sim.take();
    assert_eq!(news.sent(), ["ping"], "after {:?}", ACTIVITY * 2);
    assert_eq!(news.events.len(), 24);
    sim.server("pusher:pong", None, "");
    for _ in 0..15 {
        sim.advance(ACTIVITY / 10);
        sim.server("e", Some("room"), "{}");
    }
    assert!(sim.take().sends.is_empty());
}

#[test]
fn what_the_client_sends_puts_that_ping_off() {
    let mut sim = Sim::connected();
    for i in 0..40 {
        sim.advance(ACTIVITY / 10);
        sim.server("e", Some("room"), "{}");
        sim.subscribe(&format!("room-{i}"));
        sim.confirm(&format!("room-{i}"));
    }
    assert!(!sim.take().sent().contains(&"ping".to_owned()));
}

#[test]
fn a_ping_of_the_users_joins_one_that_is_on_its_way() {
    let mut sim = Sim::connected();
    assert_eq!(sim.ping().unwrap().number, 1);
    assert_eq!(sim.ping().unwrap().number, 1);
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    sim.skip(MS * 40);
    assert_eq!(sim.machine.answered(), None);
    sim.machine.take_changed();
    sim.server("pusher:pong", None, "");
    assert!(sim.machine.take_changed());
    assert_eq!(sim.machine.answered(), Some((1, MS * 40)));

    sim.advance(ACTIVITY);
    assert_eq!(sim.ping().unwrap().number, 2, "the heartbeat's");
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    sim.skip(MS * 7);
    sim.server("pusher:pong", None, "");
    assert_eq!(sim.machine.answered(), Some((2, MS * 7)));
    assert_eq!(sim.ping().unwrap().number, 3);
}

#[test]
fn the_users_ping_is_due_after_the_pong_timeout_too() {
    let mut sim = Sim::connected();
    sim.skip(secs(50));
    sim.ping().unwrap();
    assert_eq!(sim.due_in(), PONG);
    sim.advance(PONG);
    assert_eq!(sim.expect("SHs").state().current, State::Reconnecting);
}

#[test]
fn a_pong_that_nobody_asked_for_answers_nothing() {
    let mut sim = Sim::connected();
    sim.server("pusher:pong", None, "");
    assert_eq!(sim.machine.answered(), None);
    sim.ping().unwrap();
    sim.reconnect();
    sim.established();
    sim.server("pusher:pong", None, "");
    assert_eq!(sim.machine.answered(), None, "nor one on another connection");
}

#[test]
fn after_a_suspend_a_ping_is_sent_at_once_and_has_five_seconds() {
    type Input = fn(&mut Sim);
    let inputs: [(Input, &str); 4] = [
        (Sim::timeout, "S"),
        (|sim| sim.server("e", None, ""), "Sv"),
        (|sim| drop(sim.ping()), "S"),
        (|sim| sim.unsubscribe("nothing"), "S"),
    ];
    for (input, order) in inputs {
        let mut sim = Sim::connected();
        sim.skip(secs(3));
        sim.suspend(secs(3600));
        input(&mut sim);
        assert_eq!(sim.expect(order).sent(), ["ping"]);
        if order == "S" {
            assert_eq!(sim.due_in(), DOUBT);
            sim.advance(DOUBT - MS);
            assert_eq!(sim.state(), State::Connected);
            sim.advance(MS);
            assert_eq!(sim.state(), State::Reconnecting);
        }
    }
}

#[test]
fn a_suspend_with_a_ping_on_its_way_leaves_it_five_seconds() {
    let mut sim = Sim::connected();
    sim.advance(ACTIVITY);
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    sim.suspend(secs(3600));
    sim.timeout();
    sim.expect_nothing();
    assert_eq!(sim.due_in(), DOUBT);
}

#[test]
fn a_short_pong_timeout_is_kept_in_doubt() {
    let mut sim = Sim::connected_with(|config| config.pong_timeout = secs(2));
    sim.network_changed();
    assert_eq!(sim.due_in(), secs(2));
}

#[test]
fn after_a_suspend_back_off_is_over() {
    let mut sim = Sim::connected();
    sim.closed(Some(4100));
    sim.take();
    assert!(sim.due_in() >= secs(1));
    sim.suspend(secs(3600));
    sim.timeout();
    assert_eq!(sim.expect("D").dials, [(2, CONNECT)]);
}

#[test]
fn a_suspend_during_a_dial_leaves_it_its_time() {
    let mut sim = Sim::new();
    sim.connect();
    sim.take();
    let before = sim.deadline();
    sim.suspend(secs(3600));
    sim.timeout();
    sim.expect_nothing();
    assert_eq!(sim.deadline(), before);
}

#[test]
fn a_suspend_while_the_greeting_is_awaited_leaves_it_its_time() {
    let mut sim = Sim::new();
    sim.connect();
    sim.opened();
    sim.take();
    let before = sim.deadline();
    sim.suspend(secs(3600));
    sim.timeout();
    sim.expect_nothing();
    assert_eq!(sim.deadline(), before);
    sim.established();
    assert_eq!(sim.state(), State::Connected);
    sim.take();
    assert_eq!(sim.due_in(), ACTIVITY, "a connection that came after it is not in doubt");
}

#[test]
fn a_suspend_with_nothing_under_way_starts_nothing() {
    let prepare: [fn() -> Sim; 4] = [
        Sim::new,
        || {
            let mut sim = Sim::connected();
            sim.disconnect();
            sim
        },
        || {
            let mut sim = Sim::connected();
            sim.closed(Some(4001));
            assert_eq!(sim.state(), State::Failed);
            sim
        },
        || {
            let mut sim = Sim::connected_with(|config| config.policy = Policy::Ask);
            sim.closed(Some(4001));
            sim
        },
    ];
    for prepare in prepare {
        let mut sim = prepare();
        // So that there is a time to jump from.
        sim.timeout();
        sim.take();
        let state = sim.state();
        sim.suspend(secs(3600));
        sim.timeout();
        sim.expect_nothing();
        assert_eq!((sim.deadline(), sim.state()), (None, state));
    }
}

#[test]
fn a_suspend_while_the_policy_is_asked_waits_for_its_answer() {
    let mut sim = Sim::connected_with(|config| config.policy = Policy::Ask);
    sim.lost();
    sim.take();
    sim.suspend(secs(3600));
    sim.decide(sim.questions, Some(secs(7)));
    sim.take();
    assert_eq!(sim.due_in(), secs(7));
}

#[test]
fn a_suspend_with_a_subscription_on_its_way_leaves_it_its_time() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.take();
    sim.skip(secs(3));
    sim.suspend(secs(3600));
    sim.timeout();
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    sim.server("pusher:pong", None, "");
    assert_eq!(sim.due_in(), SUBSCRIBE - secs(3));
    sim.confirm("room");
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn a_gap_spans_the_suspend_that_ended_the_connection() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.suspend(secs(3600));
    sim.timeout();
    sim.take();
    sim.advance(DOUBT);
    assert_eq!(sim.take().state().current, State::Reconnecting);
    sim.advance_to_deadline();
    sim.established();
    sim.confirm("room");
    let resumed = sim.take().resumed;
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0].1.length() >= secs(3600), "{resumed:?}");
}

#[test]
fn where_the_clock_runs_on_during_a_suspend_all_that_is_due_is_done_on_waking() {
    // Not every system's monotonic clock stands still meanwhile.
    let mut sim = Sim::connected();
    sim.now.mono += secs(3600);
    sim.now.wall += secs(3600);
    sim.timeout();
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    sim.server("pusher:pong", None, "");
    assert_eq!((sim.state(), sim.due_in()), (State::Connected, ACTIVITY));

    sim.advance(ACTIVITY);
    assert_eq!(sim.take().sent(), ["ping"]);
    sim.now.mono += secs(3600);
    sim.now.wall += secs(3600);
    sim.timeout();
    assert_eq!(sim.take().state().current, State::Reconnecting);
}

#[test]
fn small_and_backward_jumps_of_the_wall_clock_are_harmless() {
    let mut sim = Sim::connected();
    let deadline = sim.deadline();
    for jump in [-3600, -5, 5, 3, 5, -7200, 4] {
        let wall = sim.now.wall.as_secs().checked_add_signed(jump).unwrap();
        sim.now.wall = secs(wall);
        sim.timeout();
        sim.expect_nothing();
        assert_eq!(sim.deadline(), deadline, "{jump}");
    }
    sim.now.wall = Duration::ZERO;
    sim.timeout();
    sim.expect_nothing();
    sim.now.wall = secs(6);
    sim.timeout();
    assert_eq!(sim.expect("S").sent(), ["ping"], "more than five seconds are a suspend");
}

#[test]
fn a_late_call_without_a_jump_is_no_suspend() {
    let mut sim = Sim::connected();
    sim.skip(ACTIVITY - MS);
    sim.timeout();
    sim.expect_nothing();
}

#[test]
fn a_changed_network_is_checked_at_once() {
    let mut sim = Sim::connected();
    sim.network_changed();
    sim.network_changed();
    assert_eq!(sim.expect("S").sent(), ["ping"]);
    assert_eq!(sim.due_in(), DOUBT);
    sim.server("pusher:pong", None, "");
    assert_eq!((sim.due_in(), sim.state()), (ACTIVITY, State::Connected));

    sim.network_changed();
    sim.advance(DOUBT);
    assert_eq!(sim.take().state().current, State::Reconnecting);
    sim.network_changed();
    assert_eq!(sim.due_in(), Duration::ZERO, "no waiting");
    sim.settle();
    assert_eq!(sim.expect("D").dials.len(), 1);
}

#[test]
fn the_highest_timeouts_do_not_overflow() {
    let mut sim = Sim::connected_with(|config| {
        config.activity_timeout = Duration::MAX;
        config.pong_timeout = Duration::MAX;
        config.subscribe_timeout = Duration::MAX;
        config.connect_timeout = Duration::MAX;
    });
    assert_eq!(sim.due_in(), ACTIVITY, "the server's");
    sim.subscribe("room");
    sim.ping().unwrap();
    assert_eq!(sim.deadline(), Some(Duration::MAX));
    sim.reconnect();
    assert_eq!(sim.deadline(), Some(Duration::MAX));
}
