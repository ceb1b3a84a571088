//! The gap between a lost subscription and the next one.

use super::harness::{Harness, secs};

#[test]
fn a_gap_is_measured_from_the_last_sign_of_life_to_the_new_confirmation() {
    let mut harness = Harness::quiet_subscribed(&["room", "quiet"]);
    harness.skip(secs(10));
    harness.server("e", Some("quiet"), "");
    harness.skip(secs(5));
    harness.lose();
    harness.skip(secs(7));
    harness.reconnect();
    harness.establish();
    harness.take();
    harness.skip(secs(1));
    harness.confirm("room");
    let outputs = harness.expect_outputs("rv");
    let (name, gap) = &outputs.resumed[0];
    assert_eq!((name.as_str(), gap.length()), ("room", secs(5 + 7 + 1)));
    harness.skip(secs(1));
    harness.confirm("quiet");
    assert_eq!(harness.expect_outputs("rv").resumed[0].1.length(), secs(14));
    harness.confirm("quiet");
    harness.expect_outputs("v");
}

#[test]
fn a_gap_includes_the_time_that_the_machine_slept() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.skip(secs(1));
    harness.suspend(secs(3600));
    harness.lose();
    harness.reconnect();
    harness.establish();
    harness.take();
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("rv").resumed[0].1.length(), secs(3601));
}

#[test]
fn a_gap_goes_back_to_the_connection_that_had_the_channel() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    for _ in 0..3 {
        harness.skip(secs(1));
        harness.lose();
        harness.reconnect();
        harness.establish(); // Lost again before it is confirmed.
    }
    harness.skip(secs(1));
    harness.take();
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("rv").resumed[0].1.length(), secs(4));

    harness.disconnect();
    harness.skip(secs(100));
    harness.connect();
    harness.establish();
    harness.take();
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("rv").resumed[0].1.length(), secs(100));
}

#[test]
fn a_gap_after_a_dead_connection_includes_the_silence_before() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    let silence = harness.due_in();
    harness.advance_to_deadline();
    let pong = harness.due_in();
    harness.advance_to_deadline();
    harness.reconnect();
    harness.establish();
    harness.take();
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("rv").resumed[0].1.length(), silence + pong);
}

#[test]
fn there_is_no_gap_where_nothing_can_be_missing() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.lose();
    harness.reconnect();
    harness.establish();
    harness.take();
    harness.confirm("room");
    harness.expect_outputs("v"); // The first confirmation.

    for offline in [false, true] {
        if offline {
            harness.lose();
        }
        harness.unsubscribe("room");
        harness.subscribe("room");
        if offline {
            harness.reconnect();
            harness.establish();
        }
        harness.take();
        harness.confirm("room");
        harness.expect_outputs("v");
    }
}
