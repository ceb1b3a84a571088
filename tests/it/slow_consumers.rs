//! Slow and stopped consumers: each costs what its queue may hold, and holds up no other.

use pusher_channels::testing::Server;
use pusher_channels::{Binding, Event, Queue, SecretAuthorizer};
use serde_json::json;

use crate::support::{SOON, quick, spawn};

const EVENT: &str = "number";

fn number(event: &Event) -> usize {
    event.json().unwrap()
}

fn next(binding: &Binding<Event>) -> usize {
    number(&binding.recv_timeout(SOON).expect("an event is missing"))
}

/// The events that wait in a binding.
fn kept(binding: &Binding<Event>) -> Vec<usize> {
    binding.try_iter().map(|event| number(&event)).collect()
}

#[test]
fn stuck_binding_costs_a_thousand_others_nothing() {
    const LIMIT: usize = 100;
    const EVENTS: usize = 2000;
    // At most this many are in flight, so that no binding that is read overflows.
    const WINDOW: usize = 50;

    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    let room = client.public_channel("room").unwrap();
    let bind = |queue| room.bind_with(EVENT, queue);
    // In the middle of the others.
    let some: Vec<_> = (0..499).map(|_| bind(Queue::drop_oldest(LIMIT))).collect();
    let (oldest, newest) = (bind(Queue::drop_oldest(LIMIT)), bind(Queue::drop_newest(LIMIT)));
    let others: Vec<_> = (0..499).map(|_| bind(Queue::drop_newest(LIMIT))).collect();
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    for first in (0..EVENTS).step_by(WINDOW) {
        for number in first..first + WINDOW {
            assert_eq!(server.publish("room", EVENT, &number), 1);
        }
        for binding in some.iter().chain(&others) {
            for number in first..first + WINDOW {
                assert_eq!(next(binding), number);
            }
        }
        for stuck in [&oldest, &newest] {
            let published = first + WINDOW;
            assert_eq!(stuck.len(), published.min(LIMIT));
            assert_eq!(stuck.dropped(), published.saturating_sub(LIMIT) as u64);
        }
    }
    for binding in some.iter().chain(&others) {
        assert_eq!((binding.len(), binding.dropped()), (0, 0));
    }
    assert_eq!(kept(&oldest), (EVENTS - LIMIT..EVENTS).collect::<Vec<_>>());
    assert_eq!(kept(&newest), (0..LIMIT).collect::<Vec<_>>());
    // Reading again is enough.
    server.publish("room", EVENT, &EVENTS);
    assert_eq!((next(&oldest), next(&newest)), (EVENTS, EVENTS));
    assert_eq!((oldest.dropped(), newest.dropped()), (1900, 1900));
}

#[test]
fn full_queues_do_not_delay_the_socket() {
    const EVENTS: usize = 50_000;
    const WINDOW: usize = 1000;

    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    let room = client.public_channel("room").unwrap();
    // The defaults, on the channel and on the client.
    let stuck = [room.bind(EVENT), client.bind(EVENT), room.bind_all(), client.bind_all()];
    let newest = room.bind_with(EVENT, Queue::drop_newest(1));
    let read = room.bind_with(EVENT, Queue::unbounded());
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    for first in (0..EVENTS).step_by(WINDOW) {
        (first..first + WINDOW).for_each(|number| _ = server.publish("room", EVENT, &number));
        // The pong arrives during the flood, although the queues are full.
        client.ping(SOON).unwrap();
        for number in first..first + WINDOW {
            assert_eq!(next(&read), number);
        }
        for binding in &stuck {
            assert!(binding.len() <= 4096, "{} wait", binding.len());
        }
    }
    assert_eq!(read.dropped(), 0);
    let last: Vec<_> = (EVENTS - 4096..EVENTS).collect();
    // One more: the confirmation.
    for (binding, more) in stuck.iter().zip([0, 0, 1, 1]) {
        assert_eq!(binding.dropped(), (EVENTS - 4096 + more) as u64);
        assert_eq!(kept(binding), last);
    }
    assert_eq!((kept(&newest), newest.dropped()), (vec![0], (EVENTS - 1) as u64));
}

/// A consumer that keeps an event does not delay the client.
#[test]
fn consumer_that_keeps_events_delays_nobody() {
    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    let room = client.public_channel("room").unwrap();
    let (slow, fast) = (room.bind(EVENT), room.bind(EVENT));
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let consumer = spawn(move || {
        let first = slow.recv_timeout(SOON).unwrap();
        released.recv_timeout(SOON).unwrap();
        assert_eq!(number(&first), 0);
        assert_eq!(kept(&slow), (1..1000).collect::<Vec<_>>());
    });
    for number in 0..1000 {
        server.publish("room", EVENT, &number);
        assert_eq!(next(&fast), number);
    }
    client.ping(SOON).unwrap();
    release.send(()).unwrap();
    consumer.recv_timeout(SOON).unwrap();
}

#[test]
fn slow_consumer_keeps_no_more_bytes_than_its_queue_allows() {
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

#[test]
fn bind_all_with_has_a_queue_of_its_own_on_channel_client_and_user() {
    let server = Server::start().unwrap();
    let user = SecretAuthorizer::new(server.key(), server.secret()).member("7", &json!({}));
    let client = quick(server.options()).user_authenticator(user).build().unwrap();
    let channel = client.channel("room").unwrap();
    channel.subscribe();
    client.signin();
    client.connect();
    channel.wait_subscribed(SOON).unwrap();
    client.wait_signed_in(SOON).unwrap();
    assert!(server.wait_for(SOON, |server| server.subscribers("#server-to-user-7") == 1));
    let (all, user) = (channel.bind_all(), client.user());
    let oldest = Queue::drop_oldest(2);
    let on_channel = [channel.bind_all_with(oldest), channel.bind_all_with(Queue::drop_newest(2))];
    let on_user = [user.bind_all_with(oldest), user.bind_all_with(Queue::drop_newest(2))];
    let on_client = client.bind_all_with(Queue::drop_newest(7));
    for number in 0..5 {
        server.publish("room", EVENT, &number);
    }
    (5..10).for_each(|number| _ = server.send_to_user("7", EVENT, &number));
    server.publish("room", "last", "");
    while all.recv_timeout(SOON).unwrap().name() != "last" {}
    // The other bindings get it after this one.
    client.ping(SOON).unwrap();

    let ended = |binding: &Binding<Event>| -> Vec<_> {
        binding.try_iter().map(|event| event.data().to_owned()).collect()
    };
    assert_eq!(on_channel.each_ref().map(ended), [["4", ""], ["0", "1"]]);
    assert_eq!(on_channel.each_ref().map(Binding::dropped), [4, 4]);
    assert_eq!(on_user.each_ref().map(ended), [["8", "9"], ["5", "6"]]);
    assert_eq!(on_user.each_ref().map(Binding::dropped), [3, 3]);
    assert_eq!(ended(&on_client), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!((on_client.dropped(), all.dropped()), (4, 0));
}
