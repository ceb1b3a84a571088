//! The client in bad weather, over and over; see `storm` for what happens and `trail` for what must
//! hold all the same.
//!
//! `PUSHER_CHANNELS_SEED` repeats a seed that was printed, `PUSHER_CHANNELS_STORM` gives each storm so
//! many seconds.

pub(crate) mod relay;
mod room;
pub(crate) mod storm;
mod tests;
pub(crate) mod trail;

use std::time::Duration;

use storm::{Settings, Storm};
use trail::Broken;

use crate::process::{descriptors, settles, threads};
use crate::support::{alone, time_scale};

const SEED: &str = "PUSHER_CHANNELS_SEED";
const SECONDS: &str = "PUSHER_CHANNELS_STORM";

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

fn weather(seed: u64) -> Settings {
    Settings {
        seed,
        rate: 400,
        fault_every: Duration::from_millis(400),
        reach: 16,
        timeout: Duration::from_millis(300),
    }
}

#[test]
fn client_keeps_its_promises_in_storms() {
    alone(|| {
        let seeds = match number(SEED) {
            Some(seed) => vec![seed],
            None => (0..3).map(|_| fastrand::u64(..)).collect(),
        };
        let time = Duration::from_secs(number(SECONDS).unwrap_or(6));
        let (threads_before, descriptors_before) = (threads().len(), descriptors());
        for seed in seeds {
            println!("{SEED}={seed}");
            let mut storm = Storm::start(weather(seed));
            // Fine weather in between, or little would be known to have arrived at all.
            for _ in 0..2 {
                storm.rage(time / 2);
                storm.clear_up();
                if !storm.is_well() {
                    break;
                }
            }
            let mut own = threads();
            own.retain(|name| name.starts_with("pusher-"));
            own.sort();
            let report = storm.finish();
            println!("{report:#?}");
            assert_eq!(report.faults, [""; 0], "{SEED}={seed}");
            assert_eq!(report.broken, Broken::default(), "{SEED}={seed}");
            assert!(report.connected > 2, "the weather was too bad: {SEED}={seed}");
            assert_eq!(own, ["pusher-reader", "pusher-timer"], "{SEED}={seed}");
            settles(threads_before, descriptors_before);
        }
    });
}
