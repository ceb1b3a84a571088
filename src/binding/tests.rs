use super::*;

fn binding(queue: Queue) -> (Binding<u32>, Sink<u32>) {
    Binding::new(queue, |_| ())
}

fn fill(sink: &mut Sink<u32>, values: std::ops::Range<u32>) -> usize {
    values.filter(|&value| sink.push([(value, 4)]).began_to_overflow).count()
}

#[test]
fn drop_oldest_keeps_the_newest() {
    let (binding, mut sink) = binding(Queue::drop_oldest(3));
    assert_eq!(fill(&mut sink, 0..10), 1, "one warning an episode");
    assert_eq!(binding.try_iter().collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(binding.dropped(), 7);
    assert_eq!(fill(&mut sink, 0..10), 1, "and one in the next");
}

#[test]
fn drop_newest_keeps_the_oldest() {
    let (binding, mut sink) = binding(Queue::drop_newest(3));
    assert_eq!(fill(&mut sink, 0..10), 1);
    assert_eq!(binding.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(binding.dropped(), 7);
}

#[test]
fn unbounded_keeps_all_and_a_limit_of_zero_counts_as_one() {
    let (binding_all, mut sink) = binding(Queue::unbounded());
    assert_eq!(fill(&mut sink, 0..10_000), 0);
    assert_eq!((binding_all.len(), binding_all.dropped()), (10_000, 0));
    let (one, mut sink) = binding(Queue::drop_oldest(0));
    fill(&mut sink, 0..3);
    assert_eq!(one.try_iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn it_disconnects_after_the_queued_values() {
    let (binding, mut sink) = binding(Queue::default());
    fill(&mut sink, 0..2);
    drop(sink);
    assert_eq!((&binding).into_iter().collect::<Vec<_>>(), [0, 1]);
    assert!(binding.recv().is_err());
}

#[test]
fn a_push_of_many_counts_like_many_pushes() {
    for queue in [Queue::drop_oldest(7), Queue::drop_newest(7), Queue::unbounded()] {
        let (one_by_one, mut one) = binding(queue);
        let (in_a_row, mut row) = binding(queue);
        let warnings = fill(&mut one, 0..20);
        let pushed = row.push((0..20).map(|value| (value, 4)));
        assert_eq!(
            (pushed.began_to_overflow, pushed.dropped),
            (warnings == 1, one_by_one.dropped())
        );
        assert_eq!(in_a_row.dropped(), one_by_one.dropped());
        let kept: Vec<_> = in_a_row.try_iter().collect();
        assert_eq!(kept, one_by_one.try_iter().collect::<Vec<_>>());
        assert_eq!(kept.len() as u64 + in_a_row.dropped(), 20);
    }
}

#[test]
fn drops_count_before_later_values_can_be_received() {
    for queue in [Queue::drop_oldest(3), Queue::drop_newest(3)] {
        let (binding, mut sink) = binding(queue);
        // Each is looked at once those before it are pushed.
        let values = (0..10).map(|value| {
            let pushed = u64::from(value);
            assert_eq!(binding.len() as u64 + binding.dropped(), pushed, "before {value}");
            (value, 4)
        });
        assert_eq!(sink.push(values).dropped, 7);
    }
}

#[test]
fn an_overflow_may_end_and_begin_within_one_push() {
    let (binding, mut sink) = binding(Queue::drop_newest(4));
    fill(&mut sink, 0..8);
    let receiver = Receiver::clone(&binding);
    let values = (0..8).map(|value| {
        // The consumer catches up in the middle.
        if value == 2 {
            receiver.try_iter().for_each(drop);
        }
        (value, 4)
    });
    let pushed = sink.push(values);
    assert_eq!((pushed.queued, pushed.dropped), (4, 4));
    assert!(pushed.began_to_overflow, "a new episode");
}

/// Values whose sizes count with the queue's overhead included.
fn sized(queue: Queue) -> (Binding<usize>, impl FnMut(usize) -> Pushed) {
    let (binding, mut sink) = Binding::new(queue, |_| ());
    (binding, move |size| sink.push([(size, size - SLOT)]))
}

fn waiting(binding: &Binding<usize>) -> Vec<usize> {
    binding.try_iter().collect()
}

#[test]
fn bytes_are_limited_by_the_same_rule() {
    let (binding, mut push) = sized(Queue::drop_oldest(100).max_bytes(1_000));
    let warnings = [400, 400, 200, 100, 100, 900].map(|size| push(size).began_to_overflow);
    assert_eq!(warnings, [false, false, false, true, false, false], "once an episode");
    assert_eq!(waiting(&binding), [100, 900]);
    assert_eq!(binding.dropped(), 4);
    assert!([900, 900].map(|size| push(size).began_to_overflow)[1], "once in the next");

    let (binding, mut push) = sized(Queue::drop_newest(100).max_bytes(1_000));
    let queued = [400, 400, 300, 200, 100].map(|size| push(size).queued);
    assert_eq!(queued, [1, 1, 0, 1, 0]);
    assert_eq!((waiting(&binding), binding.dropped()), (vec![400, 400, 200], 2));
}

#[test]
fn a_single_value_may_exceed_the_limit() {
    for queue in [Queue::drop_oldest(9), Queue::drop_newest(9)] {
        let (binding, mut push) = sized(queue.max_bytes(100));
        assert_eq!(push(5_000).queued, 1);
        push(50);
        let left = if queue == Queue::drop_oldest(9) { 50 } else { 5_000 };
        assert_eq!((waiting(&binding), binding.dropped()), (vec![left], 1));
        assert_eq!(push(5_000).queued, 1, "nothing waits");
    }
    let (binding, mut push) = sized(Queue::drop_oldest(9).max_bytes(0));
    assert_eq!([push(50).dropped, push(60).dropped], [0, 1]);
    assert_eq!(waiting(&binding), [60]);
}

#[test]
fn a_received_value_makes_room_at_once() {
    let (binding, mut push) = sized(Queue::drop_oldest(100).max_bytes(1_000));
    let second = Receiver::clone(&binding);
    for round in 0..100 {
        assert_eq!([600, 400].map(|size| push(size).dropped), [0, 0], "round {round}");
        assert_eq!((binding.recv(), second.recv()), (Ok(600), Ok(400)));
    }
    for size in [500, 100, 200] {
        push(size);
    }
    assert_eq!(second.recv(), Ok(500));
    // 300 are left.
    assert_eq!([push(700).dropped, push(100).dropped], [0, 1]);
    assert_eq!(waiting(&binding), [200, 700, 100]);
}

#[test]
fn unbounded_ignores_bytes() {
    let (binding, mut push) = sized(Queue::unbounded().max_bytes(50));
    assert!((0..1_000).all(|_| push(1_000).queued == 1));
    assert_eq!((waiting(&binding).len(), binding.dropped()), (1_000, 0));
}

#[test]
fn every_value_is_received_or_counted_as_dropped() {
    const VALUES: u64 = 20_000;
    let (binding, mut push) = sized(Queue::drop_oldest(64).max_bytes(5_000));
    let receivers = [Receiver::clone(&binding), Receiver::clone(&binding)];
    let taken = std::thread::scope(|scope| {
        let consumers =
            receivers.map(|receiver| scope.spawn(move || receiver.iter().count() as u64));
        for value in 0..VALUES {
            push(SLOT + value as usize % 1_000);
        }
        drop(push);
        let counts = consumers.map(|consumer| consumer.join().unwrap());
        counts.iter().sum::<u64>()
    });
    assert_eq!(taken + binding.dropped(), VALUES);
}

#[test]
fn the_list_of_sizes_shrinks_once_the_queue_is_empty() {
    let (binding, mut sink) = binding(Queue::default());
    fill(&mut sink, 0..4096);
    let full = sink.sizes.each.capacity();
    sink.give_back();
    assert_eq!(sink.sizes.each.capacity(), full, "all wait");
    binding.try_iter().for_each(drop);
    sink.give_back();
    assert!(sink.sizes.each.capacity() < full / 8);
}

#[test]
fn a_consumer_is_slow_while_more_than_64_values_wait() {
    for queue in [Queue::drop_oldest(100), Queue::drop_newest(100), Queue::unbounded()] {
        let (binding, mut sink) = binding(queue);
        let mut is_slow = || {
            let mut slow = false;
            sink.push_by_pace(|is_slow| {
                slow = is_slow;
                [(7, 4)]
            });
            slow
        };
        assert!((0..=64).all(|_| !is_slow()));
        assert!(is_slow());
        // Of the 66, two are taken.
        binding.try_iter().take(2).for_each(drop);
        assert!(!is_slow() && is_slow());
    }
}
