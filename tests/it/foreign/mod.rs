//! The in-process server, used by programs of others: pusher-js in node and in a browser, and the official server
//! library. `bash .ci/run --only foreign` installs them.

mod browser;
#[cfg(feature = "encrypted")]
mod node;

use std::env;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Once;
use std::time::Duration;

use crate::support::{scaled, skipped};

/// Names the folder that holds the `node_modules` of pusher-js and pusher.
const WHERE: &str = "PUSHER_CHANNELS_FOREIGN";
/// If set, missing packages or a missing browser fail the tests instead of skipping them.
const REQUIRE: &str = "PUSHER_CHANNELS_REQUIRE_FOREIGN";

/// Programs of others take their time, on a busy machine too.
const LIMIT: Duration = scaled(Duration::from_secs(60));

/// The folder of the packages; `None` if they are not installed.
fn packages() -> Option<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let place =
        env::var_os(WHERE).map_or_else(|| manifest.join(".ci/cache/foreign"), PathBuf::from);
    let modules = place.join("node_modules");
    let is_there = modules.join("pusher-js").is_dir() && modules.join("pusher").is_dir();
    is_there.then_some(modules).or_else(|| missing("pusher-js and pusher are not installed"))
}

fn missing<T>(what: &str) -> Option<T> {
    static ONCE: Once = Once::new();
    let text = format!(
        "{what}: the tests with programs of others did NOT run; `bash .ci/run --only foreign` installs \
         them, or name their folder in {WHERE}"
    );
    assert!(env::var_os(REQUIRE).is_none(), "{text}");
    skipped(&ONCE, &text);
    None
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
