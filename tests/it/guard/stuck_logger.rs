//! A logger that does not return: what waits behind its line is done by another thread.

use log::{LevelFilter, Log, Metadata, Record};
use pusher_channels::testing::Server;

use super::*;
use crate::support::alone;

/// The start of the line in which it waits, once.
static LINE: Mutex<Option<&str>> = Mutex::new(None);
static RELEASE: Mutex<Option<Receiver<()>>> = Mutex::new(None);

struct Blocking;

impl Log for Blocking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let is_that = LINE.lock().unwrap().take_if(|start| line.starts_with(*start)).is_some();
        if is_that {
            let release = RELEASE.lock().unwrap().take().unwrap();
            let _ = release.recv_timeout(SOON);
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_line_that_blocks_holds_up_no_frame_on_the_built_in_connection() {
    let name =
        "guard::stuck_logger::a_line_that_blocks_holds_up_no_frame_on_the_built_in_connection";
    alone(name, || {
        log::set_logger(&Blocking).unwrap();
        log::set_max_level(LevelFilter::Info);
        // Where the timer thread happens to look at the right moment, it need not be told.
        (0..10).for_each(|_| connects());
    });
}

/// Connects while the logger blocks in the line that says so. The frame behind it is sent, though no deadline
/// comes.
fn connects() {
    let (release, held) = unbounded();
    *LINE.lock().unwrap() = Some("connected");
    *RELEASE.lock().unwrap() = Some(held);
    let server = Server::start().unwrap();
    let client = quick(server.options()).pong_timeout(Duration::from_millis(20));
    let client = client.subscribe_timeout(SOON * 10).build().unwrap();
    client.public_channel("room").unwrap().subscribe();
    client.connect();
    let came = server.wait_for(SOON / 2, |server| server.subscribers("room") == 1);
    assert!(LINE.lock().unwrap().is_none(), "no such line");
    assert!(came, "{:?}", server.recorded());
    drop(release);
    client.close(SOON).unwrap();
}
