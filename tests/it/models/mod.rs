//! The hand-written synchronisation, tried in every order in which its threads can run.
//!
//! These are models: the steps are those of the code, one for each stretch that a lock makes
//! indivisible, but they are written down here a second time, and whoever changes one must change the
//! other. What that buys is that every interleaving is seen, and that every test also takes the
//! decisive lines out, one at a time, and shows that this is found.

mod performing;
mod timer;
mod writing;

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// A state of all threads and of what they share.
trait Model: Clone + Debug + Eq + Hash {
    /// The states to which one step of a thread can lead: none while it waits or when it has ended.
    fn steps(&self) -> Vec<Self>;

    /// What must hold at all times.
    fn check(&self) -> Result<(), &'static str>;

    /// What must hold when no thread can go on.
    fn check_at_rest(&self) -> Result<(), &'static str>;
}

/// Goes through every state that can be reached. Returns their number, or what is wrong in one of them
/// and the shortest way there.
fn explore<M: Model>(start: M) -> Result<usize, String> {
    let mut came_from: HashMap<M, Option<M>> = HashMap::from([(start.clone(), None)]);
    let mut left = VecDeque::from([start]);
    while let Some(state) = left.pop_front() {
        let next = state.steps();
        let rest = if next.is_empty() { state.check_at_rest() } else { Ok(()) };
        if let Err(what) = state.check().and(rest) {
            let mut way = vec![format!("{state:?}")];
            let mut at = &state;
            while let Some(Some(before)) = came_from.get(at) {
                way.push(format!("{before:?}"));
                at = before;
            }
            way.reverse();
            return Err(format!("{what}, by way of\n{}", way.join("\n")));
        }
        for state_after in next {
            if !came_from.contains_key(&state_after) {
                came_from.insert(state_after.clone(), Some(state.clone()));
                left.push_back(state_after);
            }
        }
    }
    Ok(came_from.len())
}

/// The model holds as it is, and breaks with each of the faults as it says.
fn check<M: Model, F: Copy + Debug>(sound: F, faults: &[(F, &str)], model: impl Fn(F) -> M) {
    let states = explore(model(sound)).unwrap_or_else(|error| panic!("{error}"));
    assert!(states > 100, "only {states} states: the threads hardly meet");
    for &(fault, what) in faults {
        let found = explore(model(fault)).expect_err(&format!("{fault:?} was not found"));
        assert!(found.starts_with(what), "{fault:?}: {found}");
    }
}
