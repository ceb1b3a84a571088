//! Code of the user's that does not return: a dial's, or the reconnect policy.

use super::super::Policy;
use super::sim::{CONNECT, GRACE, MS, PONG, Sim, backoff, secs};
use crate::{Error, State};

/// After this it is said that something waits.
const UNNOTICED: std::time::Duration = secs(1);

const RESOLVER: &str = "the function given to `Options::custom`";

/// A client whose first dial does not return.
fn blocked() -> Sim {
    let mut sim = Sim::new();
    sim.blocks = true;
    sim.connect();
    sim.expect("Ds");
    sim
}

fn overdue(sim: &mut Sim) -> String {
    sim.take().states.last().unwrap().cause.as_ref().map(Error::to_string).unwrap()
}

#[test]
fn two_thousand_reconnects_wait_for_the_dial_that_does_not_return_and_are_one() {
    type Again = fn(&mut Sim);
    let ways: [(Again, State); 3] = [
        (Sim::reconnect, State::Reconnecting),
        (Sim::switch, State::Reconnecting),
        (
            |sim| {
                sim.disconnect();
                sim.connect();
            },
            State::Connecting,
        ),
    ];
    for (again, state) in ways {
        let mut sim = blocked();
        for _ in 0..2000 {
            again(&mut sim);
            sim.skip(MS);
        }
        let news = sim.take();
        assert_eq!((news.dials.len(), news.hangups.as_slice()), (0, &[(1, 1000)][..]));
        sim.returned();
        assert_eq!(sim.expect("D").dials, [(2, CONNECT)], "at once, with all its time");
        assert_eq!((sim.state(), sim.machine.dials()), (state, 2));
        sim.established();
        assert_eq!(sim.state(), State::Connected);
    }
}

#[test]
fn what_the_blocked_dial_comes_to_has_no_effect_on_the_one_that_waits() {
    let mut sim = blocked();
    sim.reconnect();
    sim.take();
    let (now, first) = (sim.now, sim.generation);
    assert!(!sim.machine.is_current(first));
    sim.machine.handle_opened(first, now);
    sim.machine.handle_lost(first, Error::new(crate::ErrorKind::Io, "late"), now);
    sim.frame_on(first, r#"{"event":"pusher:connection_established","data":{"socket_id":"1.1"}}"#);
    sim.expect_nothing();
    assert_eq!(sim.state(), State::Reconnecting);
    sim.returned();
    sim.expect("D");
}

#[test]
fn a_dial_that_is_not_wanted_any_more_does_not_wait() {
    for end in [Sim::disconnect, Sim::close] {
        let mut sim = blocked();
        sim.reconnect();
        end(&mut sim);
        sim.take();
        sim.returned();
        sim.expect_nothing();
        assert_eq!((sim.state(), sim.deadline()), (State::Disconnected, None));
    }
}

#[test]
fn a_dial_that_waits_too_long_fails_and_says_what_it_waited_for() {
    let mut sim = Sim::with(|config| config.policy = backoff(Some(2)));
    sim.blocks = true;
    sim.connect();
    let (generation, now) = (sim.generation, sim.now);
    sim.machine.handle_calling(generation, Some(RESOLVER), now);
    sim.advance(CONNECT + GRACE - MS);
    assert_eq!(sim.state(), State::Connecting);
    sim.advance(MS);
    let text = format!(
        "timed out waiting for the connection: {RESOLVER} has not returned for 15.25 s \
         (connect_timeout is 15 s)"
    );
    assert_eq!(overdue(&mut sim), text, "the first one itself");
    sim.advance(secs(1));
    assert_eq!(sim.machine.dials(), 1, "the second one waits");
    sim.advance(CONNECT + GRACE);
    let text = overdue(&mut sim);
    assert!(text.contains(RESOLVER), "{text}");
    assert!(!text.contains("15.25 s ("), "it counts from the call: {text}");
    sim.advance(secs(2) + CONNECT + GRACE);
    assert_eq!(sim.state(), State::Failed, "each counts as an attempt");
    // What has not returned is no reason not to try again, nor is it forgotten.
    sim.connect();
    sim.take();
    assert_eq!(sim.machine.not_returned(sim.now).len(), 1);
    sim.blocks = false;
    sim.returned();
    sim.expect("D");
    assert!(sim.machine.not_returned(sim.now).is_empty());
}

#[test]
fn a_connector_is_named_where_nothing_else_is() {
    let mut sim = blocked();
    sim.advance(CONNECT + GRACE);
    let text = overdue(&mut sim);
    assert!(text.contains(": the connector has not returned for 15.25 s"), "{text}");
    let mut sim = blocked();
    sim.opened();
    sim.returned();
    sim.advance(CONNECT + GRACE);
    let text = overdue(&mut sim);
    assert!(text.contains("waiting for pusher:connection_established ("), "{text}");
}

#[test]
fn something_wakes_to_say_that_a_dial_waits() {
    let mut sim = blocked();
    assert_eq!(sim.due_in(), CONNECT + GRACE, "nothing waits for it");
    sim.skip(MS * 400);
    sim.reconnect();
    assert_eq!(sim.due_in(), UNNOTICED - MS * 400);
    sim.advance(UNNOTICED);
    assert_eq!(sim.due_in(), CONNECT + GRACE - UNNOTICED, "once");
    sim.reconnect();
    assert_eq!(sim.due_in(), CONNECT + GRACE, "and not for the next one either");
}

#[test]
fn a_policy_that_does_not_return_is_asked_no_second_time() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    sim.lost();
    assert_eq!(sim.expect("DssQ").asks.len(), 1);
    assert_eq!(sim.deadline(), None, "nothing waits for it but what it is about");
    for _ in 0..2000 {
        sim.reconnect();
        sim.closed(Some(4100));
    }
    assert!(sim.take().asks.is_empty());
    assert_eq!(sim.due_in(), UNNOTICED);
    sim.advance(secs(60));
    sim.expect_nothing();
    assert_eq!(sim.deadline(), None, "it was said");
    // The answer was to another question; the last one is asked, about what it is about.
    sim.decide(1, Some(secs(0)));
    let news = sim.expect("Q");
    let (question, attempt, error) = &news.asks[0];
    assert_eq!((*attempt, error.as_ref().and_then(Error::close_code)), (1, Some(4100)));
    sim.decide(*question, Some(secs(3)));
    assert_eq!(sim.expect("s").state().retry_in, Some(secs(3)));
    assert!(sim.machine.not_returned(sim.now).is_empty());
}

#[test]
fn a_policy_that_returns_while_the_client_is_connected_is_not_asked_again() {
    let mut sim = Sim::with(|config| config.policy = Policy::Ask);
    sim.connect();
    sim.lost();
    sim.reconnect();
    sim.established();
    sim.take();
    sim.decide(1, None);
    sim.expect_nothing();
    assert_eq!(sim.state(), State::Connected);
    sim.lost();
    assert_eq!(sim.expect("sQ").asks.len(), 1, "and it is free");
}

#[test]
fn where_the_policy_fails_the_default_decides_as_it_does_by_itself() {
    let undecided = |code: u16| {
        let mut sim = Sim::connected_with(|config| config.policy = Policy::Ask);
        sim.closed(Some(code));
        sim.take();
        let (question, now) = (sim.questions, sim.now);
        sim.machine.handle_no_decision(question + 1, now);
        sim.expect_nothing();
        sim.machine.handle_no_decision(question, now);
        // Takes down what has come out.
        sim.timeout();
        sim
    };
    let mut sim = undecided(4100);
    let wait = sim.take().state().retry_in.unwrap();
    assert!(wait >= secs(1) && sim.due_in() <= secs(1), "{wait:?}");
    sim.network_changed();
    assert!(sim.due_in() > secs(0), "what the server asks for holds");
    assert_eq!(undecided(4001).state(), State::Failed);
}

#[test]
fn a_connection_that_is_lost_in_time_frees_the_turn_at_its_own_return_only() {
    let mut sim = blocked();
    // The connector returns; the connection lives, and dies.
    sim.returned();
    sim.blocks = false;
    sim.established();
    sim.advance(secs(120) + PONG);
    assert_eq!(sim.state(), State::Reconnecting);
    sim.take();
    sim.advance(secs(2));
    assert_eq!(sim.take().dials.len(), 1);
}
