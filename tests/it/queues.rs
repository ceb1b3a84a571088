//! Queues of the whole client are bounded by what their values take.

use pusher_channels::Queue;
use pusher_channels::testing::Server;

use crate::support::{SOON, quick};

#[test]
fn a_slow_consumer_keeps_no_more_bytes_than_its_queue_allows() {
    let server = Server::start().unwrap();
    let queue = Queue::drop_oldest(1_000).max_bytes(1_000_000);
    let client = quick(server.options()).queue(queue).build().unwrap();
    let room = client.public_channel("room").unwrap();
    let (oldest, marks) = (room.bind("large"), room.bind("mark"));
    let newest = room.bind_with("large", Queue::drop_newest(1_000).max_bytes(500_000));
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    for _ in 0..20 {
        server.publish("room", "large", &"x".repeat(100_000));
    }
    server.publish("room", "mark", "");
    marks.recv_timeout(SOON).unwrap();
    // The frames and what the client keeps beside them are a little more than 100,000 bytes each.
    assert_eq!((oldest.len(), oldest.dropped()), (9, 11));
    assert_eq!((newest.len(), newest.dropped()), (4, 16));
    assert_eq!(client.stats().events_dropped, 27);
    client.close(SOON).unwrap();
}
