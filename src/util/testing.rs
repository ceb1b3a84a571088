//! What tests over loopback have in common.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

/// No test waits longer than this for something that must happen.
pub(crate) const LONG: Duration = Duration::from_secs(10);

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
