//! Code of the user's that does not return: a dial's, or the reconnect policy.

use super::super::Policy;
use super::harness::{CONNECT, GRACE, Harness, MS, PONG, backoff, secs};
use crate::{Error, State};

/// After this it is said that something waits.
const UNNOTICED: std::time::Duration = secs(1);

const RESOLVER: &str = "the function given to `Options::custom`";

/// A client whose first dial does not return.
fn blocked() -> Harness {
    let mut harness = Harness::quiet();
    harness.blocks = true;
    harness.connect();
    harness.expect_outputs("Ds");
    harness
}

fn overdue(harness: &mut Harness) -> String {
    harness.take().states.last().unwrap().cause.as_ref().map(Error::to_string).unwrap()
}

#[test]
fn two_thousand_reconnects_wait_for_the_dial_that_does_not_return_and_are_one() {
    type Again = fn(&mut Harness);
    let ways: [(Again, State); 3] = [
        (Harness::reconnect, State::Reconnecting),
        (Harness::switch, State::Reconnecting),
        (
            |harness| {
                harness.disconnect();
                harness.connect();
            },
            State::Connecting,
        ),
    ];
    for (again, state) in ways {
        let mut harness = blocked();
        for _ in 0..2000 {
            again(&mut harness);
            harness.skip(MS);
        }
        let outputs = harness.take();
        assert_eq!((outputs.dials.len(), outputs.closes.as_slice()), (0, &[(1, 1000)][..]));
        harness.return_dial();
        assert_eq!(harness.expect_outputs("D").dials, [(2, CONNECT)], "at once, with all its time");
        assert_eq!((harness.state(), harness.machine.dials()), (state, 2));
        harness.establish();
        assert_eq!(harness.state(), State::Connected);
    }
}

#[test]
fn what_the_blocked_dial_comes_to_has_no_effect_on_the_one_that_waits() {
    let mut harness = blocked();
    harness.reconnect();
    harness.take();
    let (now, first) = (harness.now, harness.generation);
    assert!(!harness.machine.is_current(first));
    harness.machine.handle_opened(first, now);
    harness.machine.handle_lost(first, Error::new(crate::ErrorKind::Io, "late"), now);
    harness
        .frame_on(first, r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#);
    harness.expect_nothing();
    assert_eq!(harness.state(), State::Reconnecting);
    harness.return_dial();
    harness.expect_outputs("D");
}

#[test]
fn a_dial_that_is_not_wanted_any_more_does_not_wait() {
    for end in [Harness::disconnect, Harness::close] {
        let mut harness = blocked();
        harness.reconnect();
        end(&mut harness);
        harness.take();
        harness.return_dial();
        harness.expect_nothing();
        assert_eq!((harness.state(), harness.deadline()), (State::Disconnected, None));
    }
}

#[test]
fn a_dial_that_was_given_up_may_call_nothing_more() {
    for give_up in [Harness::reconnect, Harness::disconnect, Harness::close] {
        let mut harness = blocked();
        let (generation, now) = (harness.generation, harness.now);
        assert!(harness.machine.handle_calling(generation, None, now));
        give_up(&mut harness);
        assert!(!harness.machine.handle_calling(generation, None, now));
    }
}

#[test]
fn a_dial_that_waits_too_long_fails_and_says_what_it_waited_for() {
    let mut harness = Harness::quiet_with(|config| config.policy = backoff(Some(2)));
    harness.blocks = true;
    harness.connect();
    let (generation, now) = (harness.generation, harness.now);
    harness.machine.handle_calling(generation, Some(RESOLVER), now);
    harness.advance(CONNECT + GRACE - MS);
    assert_eq!(harness.state(), State::Connecting);
    harness.advance(MS);
    let text = format!(
        "timed out waiting for the connection: {RESOLVER} has not returned for 15.25 s \
         (connect_timeout is 15 s)"
    );
    assert_eq!(overdue(&mut harness), text, "the first one itself");
    harness.advance(secs(1));
    assert_eq!(harness.machine.dials(), 1, "the second one waits");
    harness.advance(CONNECT + GRACE);
    let text = overdue(&mut harness);
    assert!(text.contains(RESOLVER), "{text}");
    assert!(!text.contains("15.25 s ("), "it counts from the call: {text}");
    harness.advance(secs(2) + CONNECT + GRACE);
    assert_eq!(harness.state(), State::Failed, "each counts as an attempt");
    // What has not returned is no reason not to try again, nor is it forgotten.
    harness.connect();
    harness.take();
    assert_eq!(harness.machine.not_returned(harness.now).len(), 1);
    harness.blocks = false;
    harness.return_dial();
    harness.expect_outputs("D");
    assert!(harness.machine.not_returned(harness.now).is_empty());
}

#[test]
fn a_connector_is_named_where_nothing_else_is() {
    let mut harness = blocked();
    harness.advance(CONNECT + GRACE);
    let text = overdue(&mut harness);
    assert!(text.contains(": the connector has not returned for 15.25 s"), "{text}");
    let mut harness = blocked();
    harness.opened();
    harness.return_dial();
    harness.advance(CONNECT + GRACE);
    let text = overdue(&mut harness);
    assert!(text.contains("waiting for pusher:connection_established ("), "{text}");
}

#[test]
fn something_wakes_to_say_that_a_dial_waits() {
    let mut harness = blocked();
    assert_eq!(harness.due_in(), CONNECT + GRACE, "nothing waits for it");
    harness.skip(MS * 400);
    harness.reconnect();
    assert_eq!(harness.due_in(), UNNOTICED - MS * 400);
    harness.advance(UNNOTICED);
    assert_eq!(harness.due_in(), CONNECT + GRACE - UNNOTICED, "once");
    harness.reconnect();
    assert_eq!(harness.due_in(), CONNECT + GRACE, "and not for the next one either");
}

#[test]
fn a_policy_that_does_not_return_is_not_called_again() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    harness.lose();
    assert_eq!(harness.expect_outputs("DssQ").policy_calls.len(), 1);
    assert_eq!(harness.deadline(), None, "nothing waits for it but what it is about");
    for _ in 0..2000 {
        harness.reconnect();
        harness.closed(Some(4100));
    }
    assert!(harness.take().policy_calls.is_empty());
    assert_eq!(harness.due_in(), UNNOTICED);
    harness.advance(secs(60));
    harness.expect_nothing();
    assert_eq!(harness.deadline(), None, "it was said");
    // It was called for another loss. Now it is called for the last one.
    harness.decide(1, Some(secs(0)));
    let outputs = harness.expect_outputs("Q");
    let (call, attempt, error) = &outputs.policy_calls[0];
    assert_eq!((*attempt, error.as_ref().and_then(Error::close_code)), (1, Some(4100)));
    harness.decide(*call, Some(secs(3)));
    assert_eq!(harness.expect_outputs("s").state().retry_in, Some(secs(3)));
    assert!(harness.machine.not_returned(harness.now).is_empty());
}

#[test]
fn a_policy_that_returns_while_the_client_is_connected_is_not_called_again() {
    let mut harness = Harness::quiet_with(|config| config.policy = Policy::Custom);
    harness.connect();
    harness.lose();
    harness.reconnect();
    harness.establish();
    harness.take();
    harness.decide(1, None);
    harness.expect_nothing();
    assert_eq!(harness.state(), State::Connected);
    harness.lose();
    assert_eq!(harness.expect_outputs("sQ").policy_calls.len(), 1, "and it is free");
}

#[test]
fn where_the_policy_fails_the_default_decides_as_it_does_by_itself() {
    let undecided = |code: u16| {
        let mut harness = Harness::quiet_connected_with(|config| config.policy = Policy::Custom);
        harness.closed(Some(code));
        harness.take();
        let (call, now) = (harness.policy_calls, harness.now);
        harness.machine.handle_no_decision(call + 1, now);
        harness.expect_nothing();
        harness.machine.handle_no_decision(call, now);
        // Takes down what has come out.
        harness.timeout();
        harness
    };
    let mut harness = undecided(4100);
    let wait = harness.take().state().retry_in.unwrap();
    assert!(wait >= secs(1) && harness.due_in() <= secs(1), "{wait:?}");
    harness.network_changed();
    assert!(harness.due_in() > secs(0), "the wait that the server requested holds");
    assert_eq!(undecided(4001).state(), State::Failed);
}

#[test]
fn a_connection_that_is_lost_in_time_frees_the_turn_at_its_own_return_only() {
    let mut harness = blocked();
    // The connector returns; the connection lives, and dies.
    harness.return_dial();
    harness.blocks = false;
    harness.establish();
    harness.advance(secs(120) + PONG);
    assert_eq!(harness.state(), State::Reconnecting);
    harness.take();
    harness.advance(secs(2));
    assert_eq!(harness.take().dials.len(), 1);
}
