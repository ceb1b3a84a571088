//! Hostile input, one function for each target: `tests/fuzz` feeds them what cargo-fuzz finds, and the
//! test below replays the inputs that are kept there.
#![allow(missing_docs, reason = "not part of the API: it is there for fuzzing and for tests only")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a target panics when something does not hold"
)]

use crate::auth::fuzzing::authorizations;
use crate::protocol::fuzzing::{frames, machine, presence};

#[cfg(feature = "encrypted")]
use crate::protocol::fuzzing::sealed;

type Target = fn(&[u8]);

pub const TARGETS: &[(&str, Target)] = &[
    ("frames", frames),
    ("presence", presence),
    ("authorizations", authorizations),
    #[cfg(feature = "encrypted")]
    ("sealed", sealed),
    ("machine", machine),
];

/// Runs the target of this name; panics if something does not hold.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => target(data),
        None => panic!("there is no target {name}"),
    }
}

/// Bytes, taken as decisions. When there are no more, all of them are the first choice.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.take(4).iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes up to the next zero.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let line = self.take(end);
        self.take(1);
        line
    }

    /// As `line`; what is not UTF-8 is replaced.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.line()).into_owned()
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What the fuzzer has found worth keeping runs on every Rust, without the fuzzer.
    #[test]
    fn the_kept_inputs_still_hold() {
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
                // The test's output is shown if it fails: the last line tells which input it was.
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
