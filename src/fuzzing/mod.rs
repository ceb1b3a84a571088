//! Hostile input, one function for each target: `tests/fuzz` feeds them what cargo-fuzz finds, and the
//! test below replays the inputs that are kept there.
#![allow(missing_docs, reason = "not part of the API: it is there for fuzzing and for tests only")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target panics when something does not hold"
)]

mod authorizations;
#[cfg(feature = "encrypted")]
mod encrypted;
mod frame;
mod frames;
mod input;
mod machine;
mod presence;

use authorizations::authorizations;
#[cfg(feature = "encrypted")]
use encrypted::encrypted;
use frames::frames;
use input::Input;
use machine::machine;
use presence::presence;

type Target = fn(&[u8]);

pub const TARGETS: &[(&str, Target)] = &[
    ("frames", frames),
    ("presence", presence),
    ("authorizations", authorizations),
    #[cfg(feature = "encrypted")]
    ("encrypted", encrypted),
    ("machine", machine),
];

/// Runs the target of this name; panics if something does not hold.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("there is no target {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Runs the stored inputs of the fuzzer on every Rust, without the fuzzer.
    #[test]
    fn stored_inputs_still_pass() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        if !fuzz.exists() {
            return eprintln!("NOT TESTED: a published package has no kept inputs");
        }
        for (name, target) in TARGETS {
            let folder = fuzz.join("corpus").join(name);
            let kept = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
            let mut count = 0;
            for file in kept {
                let path = file.unwrap().path();
                let data = fs::read(&path).unwrap();
                // The test's output is shown if it fails: the last line is the path of that input.
                println!("{}", path.display());
                target(&data);
                count += 1;
            }
            assert!(count > 10, "{folder:?} has {count} inputs");
        }
    }

    #[test]
    fn inputs_end_in_first_choices() {
        let mut input = Input::new(b"ab\0c\xff\x07");
        assert_eq!(input.line(), b"ab");
        assert_eq!(input.text(), "c\u{fffd}\u{7}");
        assert!(input.is_empty());
        assert_eq!((input.byte(), input.number(), input.pick(&[5, 6])), (0, 0, 5));
        assert_eq!(Input::new(&[1, 2, 3, 4, 5]).number(), 0x0102_0304);
    }
}
