//! Performers and the bounds of the queue, without a thread and a clock.

use super::*;
use crate::Message;

const SECOND: Duration = Duration::from_secs(1);
const OWN: Patience = Patience { limit: SECOND, own: true, traced: false };
const BUILT_IN: Patience = Patience { limit: SECOND, own: false, traced: false };

struct Nowhere;

impl Connection for Nowhere {
    fn recv(&self) -> Result<Message, Error> {
        unreachable!("never called")
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        unreachable!("nothing is carried out")
    }

    fn close(&self, _: u16) {}
}

fn frame(generation: u64, length: usize) -> Action {
    Action::Send { generation, connection: Arc::new(Nowhere), frame: "x".repeat(length) }
}

fn line(number: usize) -> Action {
    Action::Log(Level::Warn, number.to_string().into())
}

/// Begins and takes all actions that are left.
fn drain(actions: &mut Actions) -> Vec<String> {
    let Some(performer) = actions.begin() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    while let Some(action) = actions.next(performer, SECOND) {
        all.push(match action {
            Action::Send { generation, .. } => format!("send on {generation}"),
            Action::Log(_, line) => line.to_string(),
            _ => "other".to_owned(),
        });
    }
    all
}

#[test]
fn one_performer_takes_all_actions_in_order() {
    let mut actions = Actions::default();
    assert!(actions.begin().is_none(), "there is nothing to do");
    actions.push(line(1));
    let performer = actions.begin().unwrap();
    assert!(actions.begin().is_none() && !actions.is_waiting());
    assert!(actions.next(performer, SECOND).is_some());
    actions.push(line(2));
    assert!(actions.begin().is_none());
    actions.leave(performer);
    assert!(actions.is_waiting());
    actions.push(frame(1, 1));
    assert_eq!(drain(&mut actions), ["2", "send on 1"]);
    assert!(actions.is_empty() && !actions.is_waiting());
}

#[test]
fn a_call_is_overdue_once_an_action_waits_for_it() {
    let mut actions = Actions::default();
    assert_eq!(actions.overdue_at(OWN), None);
    actions.push(line(1));
    let performer = actions.begin().unwrap();
    assert_eq!(actions.overdue_at(OWN), None, "nothing is called yet");
    actions.next(performer, 5 * SECOND).unwrap();
    assert_eq!(actions.overdue_at(OWN), None, "nothing waits");
    actions.push(frame(7, 1));
    assert_eq!(actions.overdue_at(OWN), Some(6 * SECOND));
    actions.next(performer, 8 * SECOND).unwrap();
    // A connection of the user's own may be stuck with nothing behind; the built-in one is not.
    assert_eq!(actions.overdue_at(OWN), Some(9 * SECOND));
    assert_eq!(actions.overdue_at(BUILT_IN), None);
    assert!(actions.next(performer, 8 * SECOND).is_none());
    assert_eq!(actions.overdue_at(OWN), None);
}

#[test]
fn with_the_built_in_connection_only_a_logger_may_block() {
    let traced = Patience { traced: true, ..BUILT_IN };
    // Own, built in, and built in with each frame logged.
    let overdue = |action| {
        let mut actions = Actions::default();
        actions.push(action);
        actions.push(Action::StartWorker);
        let before = [OWN, BUILT_IN, traced].map(|patience| actions.may_block(patience));
        let performer = actions.begin().unwrap();
        actions.next(performer, SECOND).unwrap();
        let overdue =
            [OWN, BUILT_IN, traced].map(|patience| actions.overdue_at(patience).is_some());
        (before, overdue)
    };
    assert_eq!(overdue(line(1)), ([true; 3], [true; 3]));
    assert_eq!(overdue(frame(1, 1)), ([true, false, true], [true, false, true]));
    assert_eq!(overdue(Action::StartWorker), ([true, false, true], [true, false, false]));
}

#[test]
fn a_replaced_performer_stops_and_the_frames_of_its_connection_are_removed() {
    let mut actions = Actions::default();
    for generation in [1, 1, 2] {
        actions.push(frame(generation, 10));
    }
    actions.push(line(1));
    let first = actions.begin().unwrap();
    actions.next(first, SECOND).unwrap();
    assert_eq!(actions.replace(OWN, 2 * SECOND - Duration::from_nanos(1)), None, "not yet");
    assert!(!actions.has_stuck());
    assert_eq!(actions.replace(OWN, 2 * SECOND), Some(1));
    assert!(actions.is_waiting() && actions.has_stuck());
    assert_eq!(drain(&mut actions), ["send on 2", "1"]);
    assert_eq!(actions.bytes, 0);
    // It comes back at last.
    actions.push(line(2));
    assert!(actions.next(first, SECOND).is_none());
    assert!(!actions.has_stuck());
    assert_eq!(drain(&mut actions), ["2"]);
}

#[test]
fn the_number_of_replaced_performers_is_bounded() {
    let mut actions = Actions::default();
    let mut stuck = Vec::new();
    for number in 0..2 * MAX_STUCK {
        actions.push(line(number));
        actions.push(line(number));
        let Some(performer) = actions.begin() else { break };
        actions.next(performer, SECOND).unwrap();
        assert_eq!(actions.replace(OWN, 2 * SECOND), None, "a line is of no connection");
        stuck.push(performer);
    }
    assert_eq!(stuck.len(), MAX_STUCK + 1);
    assert_eq!((actions.stuck, actions.overdue_at(OWN)), (MAX_STUCK, None));
    // One of them comes back, by either way.
    actions.leave(stuck[0]);
    assert!(actions.overdue_at(OWN).is_some());
}

#[test]
fn the_queue_is_bounded_by_bytes_and_count_and_dropped_lines_are_logged() {
    for (length, most) in [(0, MAX_BYTES / OVERHEAD), (1000, MAX_BYTES / (1000 + OVERHEAD))] {
        let mut actions = Actions::default();
        let text = "x".repeat(length);
        while actions.fits(&text) {
            actions.push(frame(1, length));
        }
        assert_eq!(actions.len(), most);
        actions.remove_frames(1);
        assert_eq!((actions.len(), actions.bytes), (0, 0));
        assert!(actions.fits(&"x".repeat(2 * MAX_BYTES)), "one alone always fits");
    }
    let mut actions = Actions::default();
    for number in 0..MAX_LINES + 5 {
        actions.push(line(number));
    }
    let lines = drain(&mut actions);
    assert_eq!(lines.len(), MAX_LINES + 1);
    assert!(lines[MAX_LINES].starts_with("5 lines were not logged"), "{}", lines[MAX_LINES]);
    actions.push(line(1));
    assert_eq!(drain(&mut actions), ["1"]);
}
