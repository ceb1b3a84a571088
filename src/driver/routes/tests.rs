//! Routing, without a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AnyList, ChannelList, Delivered, Routes, Selector};
use crate::binding::{Binding, Queue};
use crate::protocol::{ChannelNotification, Notification};
use crate::util::guard::keeping;
use crate::util::testing::Cause;
use crate::wire::batch::{Batch, Intake};
use crate::{Error, ErrorKind, Event, Gap, State, StateChange};

fn bind<T>(routes: &mut Routes, selector: Selector<T>, event: &str, queue: Queue) -> Binding<T> {
    let (binding, sink) = Binding::new(queue, |_| ());
    routes.bind(&selector, event, sink);
    binding
}

fn on<T>(list: ChannelList<T>) -> Selector<T> {
    Selector::Channel("c".into(), list)
}

fn event(name: &str, channel: &str, data: u32) -> Notification {
    let frame = format!(r#"{{"event":"{name}","channel":"{channel}","data":{data}}}"#);
    Notification::Event(Event::parse(frame).unwrap())
}

fn deliver(
    routes: &mut Routes,
    notifications: impl IntoIterator<Item = Notification>,
) -> Delivered {
    let mut delivered = Delivered::default();
    for notification in notifications {
        routes.deliver(notification, &mut delivered);
    }
    routes.flush(&mut delivered);
    delivered
}

/// Their data, in order.
fn taken(binding: &Binding<Event>) -> Vec<String> {
    binding.try_iter().map(|event| event.data().to_owned()).collect()
}

#[test]
fn every_binding_gets_its_own_in_order_and_no_other() {
    let mut routes = Routes::default();
    let queue = Queue::default();
    let named = bind(&mut routes, on(|channel, name| channel.events.named(name)), "a", queue);
    let all = bind(&mut routes, on(|channel, _| &mut channel.events.all), "", queue);
    // Its name is that of no event, which is an event's name too.
    let empty = bind(&mut routes, on(|channel, name| channel.events.named(name)), "", queue);
    let client_named =
        bind(&mut routes, Selector::Client(|client, name| client.events.named(name)), "a", queue);
    let client = bind(&mut routes, Selector::Client(|client, _| &mut client.events.all), "", queue);
    let user = bind(&mut routes, Selector::User(|user, _| &mut user.events.all), "", queue);
    let delivered = deliver(
        &mut routes,
        [
            event("a", "c", 1),
            event("a", "c", 2),
            event("b", "c", 3),
            event("a", "d", 4),
            event("", "c", 5),
            event("a", "#server-to-user-1", 6),
            event("a", "c", 7),
        ],
    );
    assert_eq!(taken(&named), ["1", "2", "7"]);
    assert_eq!(taken(&all), ["1", "2", "3", "5", "7"]);
    assert_eq!(taken(&empty), ["5"]);
    assert_eq!(taken(&client_named), ["1", "2", "4", "6", "7"]);
    assert_eq!(taken(&client), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(taken(&user), ["6"]);
    assert_eq!((delivered.queued, delivered.dropped), (3 + 5 + 1 + 5 + 7 + 1, 0));
}

/// A batch of a hundred events, with one that is named `rare` in the middle.
fn batch(data: usize) -> Arc<Batch> {
    let mut intake = Intake::default();
    for index in 0..100 {
        let name = if index == 50 { "rare" } else { "common" };
        intake.inbox.text(&format!(r#"{{"event":"{name}","channel":"c","data":{data}}}"#));
    }
    intake.take_in(std::time::Duration::ZERO);
    Arc::clone(&intake.batches[0].batch)
}

fn is_in(event: &Event, batch: &Batch) -> bool {
    batch.texts().any(|text| text.as_ptr() == event.raw().as_ptr())
}

#[test]
fn slow_consumers_keep_no_batches_for_single_events() {
    const QUICK: usize = 65;
    for queue in [Queue::drop_oldest(200), Queue::drop_newest(200), Queue::unbounded()] {
        let mut routes = Routes::default();
        let rare = on(|channel, name| channel.events.named(name));
        let slow = bind(&mut routes, rare.clone(), "rare", queue);
        let quick = bind(&mut routes, rare.clone(), "rare", queue);
        let slow_too = bind(&mut routes, rare, "rare", queue);
        for number in 0..200 {
            let batch = batch(number);
            let events = (0..100).map(|index| Notification::Event(Event::in_batch(&batch, index)));
            assert_eq!(deliver(&mut routes, events).queued, 3);
            let event = quick.try_recv().unwrap();
            assert!(is_in(&event, &batch), "it keeps up, so it gets no copy");
            drop(event);
            let handles = if number < QUICK { 2 } else { 0 };
            assert_eq!(Arc::strong_count(&batch), 1 + handles, "batch {number}");
        }
        let of_both: Vec<_> = slow.try_iter().zip(slow_too.try_iter()).collect();
        assert_eq!((of_both.len(), slow.dropped() + slow_too.dropped()), (200, 0));
        for (number, (one, other)) in of_both.iter().enumerate() {
            assert_eq!(one.data(), number.to_string());
            assert_eq!(one.raw().as_ptr(), other.raw().as_ptr(), "one copy for both");
        }
    }
}

#[test]
fn slow_consumers_share_the_batches_that_are_mostly_theirs() {
    let mut routes = Routes::default();
    let common = on(|channel, name| channel.events.named(name));
    let slow = bind(&mut routes, common, "common", Queue::default());
    let batches = [(); 5].map(|()| batch(0));
    for batch in &batches {
        let events = (0..100).map(|index| Notification::Event(Event::in_batch(batch, index)));
        deliver(&mut routes, events);
    }
    let kept: Vec<_> = slow.try_iter().collect();
    assert_eq!(kept.len(), 5 * 99);
    for (batch, events) in batches.iter().zip(kept.chunks(99)) {
        assert!(events.iter().all(|event| is_in(event, batch)));
    }
}

#[test]
fn events_are_not_held_beyond_other_notifications() {
    let mut routes = Routes::default();
    let events = bind(&mut routes, on(|channel, _| &mut channel.events.all), "", Queue::default());
    let gaps = bind(&mut routes, on(|channel, _| &mut channel.gaps), "", Queue::default());
    let mut delivered = Delivered::default();
    routes.deliver(event("a", "c", 1), &mut delivered);
    let gap = Gap::new(std::time::Duration::ZERO);
    routes.deliver(
        Notification::Channel("c".into(), ChannelNotification::Resumed(gap)),
        &mut delivered,
    );
    assert_eq!((taken(&events).len(), gaps.len()), (1, 1));
}

#[test]
fn lists_of_one_type_are_distinct() {
    let mut routes = Routes::default();
    let queue = Queue::default();
    let failed = bind(&mut routes, on(|channel, _| &mut channel.errors), "", queue);
    let undecryptable = bind(&mut routes, on(|channel, _| &mut channel.undecryptable), "", queue);
    let client = bind(&mut routes, Selector::Client(|client, _| &mut client.errors), "", queue);
    let user = bind(&mut routes, Selector::User(|user, _| &mut user.errors), "", queue);
    let error = Error::message(ErrorKind::Server, "refused");
    deliver(&mut routes, [Notification::Channel("c".into(), ChannelNotification::Failed(error))]);
    assert_eq!([failed.len(), undecryptable.len(), client.len(), user.len()], [1, 0, 0, 0]);
}

#[test]
fn unbinding_leaves_nothing_behind() {
    let mut routes = Routes::default();
    let unbind = |routes: &mut Routes, selector: Selector<Event>, event| {
        let [one, other] = [(); 2].map(|()| {
            let (sender, counter) = std::sync::mpsc::channel();
            let (binding, sink) = Binding::<Event>::new(Queue::default(), move |counter| {
                sender.send(Arc::clone(counter)).unwrap();
            });
            routes.bind(&selector, event, sink);
            drop(binding);
            counter.recv().unwrap()
        });
        assert_eq!(routes.unbind(&selector, event, &one), None, "the other is left");
        routes.unbind(&selector, event, &other)
    };
    let named = on(|channel, name| channel.events.named(name));
    assert_eq!(unbind(&mut routes, named, "a").as_deref(), Some("c"));
    let all = on(|channel, _| &mut channel.events.all);
    assert_eq!(unbind(&mut routes, all.clone(), "").as_deref(), Some("c"));
    routes.add_handle(&"c".into());
    assert_eq!(unbind(&mut routes, all, ""), None, "its handle is left");
    assert_eq!(routes.remove_handle(&"c".into()).as_deref(), Some("c"));
    assert!(routes.channels.is_empty());
    unbind(&mut routes, Selector::Client(|client, name| client.events.named(name)), "a");
    unbind(&mut routes, Selector::User(|user, name| user.events.named(name)), "a");
    assert!(routes.client.events.is_empty() && routes.user.events.is_empty());
}

#[test]
fn errors_are_dropped_only_after_the_delivery() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let error = || {
        let dropped = Arc::clone(&dropped);
        Error::new(ErrorKind::Io, Cause(move || _ = dropped.fetch_add(1, Ordering::SeqCst)))
    };
    let state = || {
        let (previous, current) = (State::Connecting, State::Reconnecting);
        Notification::State(StateChange {
            previous,
            current,
            cause: Some(error()),
            retry_in: None,
            attempt: 1,
        })
    };
    let failed = || Notification::Channel("c".into(), ChannelNotification::Failed(error()));
    for queue in [Queue::drop_oldest(1), Queue::drop_newest(1)] {
        let mut routes = Routes::default();
        let errors = bind(&mut routes, Selector::Client(|client, _| &mut client.errors), "", queue);
        let states = bind(&mut routes, Selector::Client(|client, _| &mut client.states), "", queue);
        let notifications = [
            Notification::Error(error()),
            Notification::Error(error()),
            state(),
            state(),
            failed(),
        ];
        let (delivered, kept) = keeping(|| deliver(&mut routes, notifications));
        assert_eq!(dropped.load(Ordering::SeqCst), 0, "those that had no room, or no binding");
        assert_eq!(delivered.overflowing, ["errors", "state changes"]);
        drop(kept);
        assert_eq!(dropped.swap(0, Ordering::SeqCst), 3);
        drop((errors, states));
        drop(routes);
        assert_eq!(dropped.swap(0, Ordering::SeqCst), 2);
    }
}
