//! A logger that does not return: another thread does what waits behind its line.

use log::LevelFilter;
use pusher_channels::testing::Server;

use super::*;
use crate::support::{alone, log_to};

/// The start of the line in which it waits, once.
static LINE: Mutex<Option<&str>> = Mutex::new(None);
static RELEASE: Mutex<Option<Receiver<()>>> = Mutex::new(None);

#[test]
fn blocked_line_delays_no_frame_on_the_built_in_connection() {
    alone(|| {
        log_to(LevelFilter::Info, |record| {
            let line = record.args().to_string();
            let is_that = LINE.lock().unwrap().take_if(|start| line.starts_with(*start)).is_some();
            if is_that {
                let release = RELEASE.lock().unwrap().take().unwrap();
                let _ = release.recv_timeout(SOON);
            }
        });
        // Where the timer thread happens to look at the right moment, it need not be woken.
        (0..10).for_each(|_| connects());
    });
}

/// Connects while the logger blocks in the line about it. The frame behind it is sent without any deadline.
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
