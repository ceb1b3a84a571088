//! Whether a broken promise is noticed: with `trail` broken, the storms mean nothing.

use super::trail::{Broken, Trail};

const KEPT: Broken = Broken { lost: 0, duplicated: 0, reordered: 0, gaps: 0 };

/// `c` confirms, `g` reports a gap, a number is one.
fn walk(name: &str, steps: &str) -> Trail {
    let mut trail = Trail::new(name);
    for step in steps.split(' ') {
        match step {
            "c" => trail.confirmed(),
            "g" => trail.resumed(),
            "|" => trail.period_ends(false),
            number => trail.number(number.parse().unwrap()),
        }
    }
    trail.period_ends(!steps.contains('|'));
    trail
}

#[test]
fn kept_promises_are_no_faults() {
    for (name, steps) in [
        ("room", "c 1 2 3 g c 7 8 9 g c g c 10"),
        ("room", "c 4 5 | 7 9 c 12 13 c 15"),
        ("cache-room", "c 1 2 g c 2 3 g c 5 6 | 6 6 c 6 7"),
    ] {
        let trail = walk(name, steps);
        assert_eq!((trail.broken, trail.faults.len()), (KEPT, 0), "{steps}: {:?}", trail.faults);
    }
    let trail = walk("room", "c 1 2 g c 7 8 9");
    assert!(trail.has(7, 9) && trail.has(8, 9) && !trail.has(6, 9) && !trail.has(7, 8));
}

#[test]
fn each_broken_promise_is_detected() {
    for (name, steps, broken) in [
        ("room", "c 1 2 5", Broken { lost: 2, ..KEPT }),
        ("room", "c 1 2 2 3", Broken { duplicated: 1, ..KEPT }),
        ("room", "c 1 2 g c 2", Broken { duplicated: 1, ..KEPT }),
        ("cache-room", "c 1 2 2 3", Broken { duplicated: 1, ..KEPT }),
        ("cache-room", "c 1 2 g c 1", Broken { duplicated: 1, ..KEPT }),
        ("room", "c 1 3 2", Broken { lost: 1, reordered: 1, ..KEPT }),
        ("room", "c 1 c 3", Broken { gaps: 1, ..KEPT }),
        ("room", "g c 1", Broken { gaps: 1, ..KEPT }),
        ("room", "c 1 | g c 3", Broken { gaps: 1, ..KEPT }),
    ] {
        let trail = walk(name, steps);
        assert_eq!(trail.broken, broken, "{name} {steps}");
        assert!(!trail.faults.is_empty());
    }
}
