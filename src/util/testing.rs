//! What tests over loopback have in common.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

use super::time_scale::{scaled, times};

/// No test waits longer than this for something that must happen.
pub(crate) const LONG: Duration = scaled(Duration::from_secs(10));

/// What must not wait for anything else takes less than this.
pub(crate) const AT_ONCE: Duration = scaled(Duration::from_secs(1));

/// Runs `work` on a thread. The receiver gets the result, or an error if the thread panicked.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (done, result) = mpsc::channel();
    Builder::new().spawn(move || drop(done.send(work()))).unwrap();
    result
}

/// The cause of an error, which calls this when it is dropped.
pub(crate) struct Cause<F: Fn()>(pub(crate) F);

impl<F: Fn()> fmt::Debug for Cause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cause")
    }
}

impl<F: Fn()> fmt::Display for Cause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl<F: Fn()> std::error::Error for Cause<F> {}

impl<F: Fn()> Drop for Cause<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A listener on a free port of this machine.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn limits_of_time_take_any_positive_factor_and_nothing_else() {
    let seconds = |scale| times(Duration::from_secs(10), scale).as_secs_f64();
    let factors =
        [("1", 10.0), ("10", 100.0), ("2.5", 25.0), ("0.05", 0.5), (".5", 5.0), ("3.", 30.0)];
    for (scale, expected) in factors {
        assert_eq!(seconds(scale), expected, "{scale}");
    }
    for wrong in ["", "0", "0.0", ".", "-1", "+1", "1e3", "1.2.3", "ten", " 1", "12345678", "∞"] {
        let panic = catch_unwind(|| seconds(wrong)).unwrap_err();
        let words = panic.downcast_ref::<&str>().unwrap();
        assert!(
            words.starts_with("PUSHER_TEST_TIME_SCALE must be a positive number"),
            "{wrong}: {words}"
        );
    }
}
