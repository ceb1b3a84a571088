//! What tests over loopback have in common.

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

/// A listener on a free port of this machine.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
