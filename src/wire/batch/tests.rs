use super::*;
use crate::Event;

fn frame(number: usize, length: usize) -> String {
    format!(r#"{{"event":"e","n":{number},"data":"{}"}}"#, "\\n".repeat(length / 2))
}

/// The batches of one round with these texts.
fn round(inbox: &mut Inbox, ring: &mut Ring, texts: &[String]) -> Vec<Arc<Batch>> {
    let mut batches = Vec::new();
    texts.iter().for_each(|text| inbox.text(text));
    inbox.share(ring, |shared| {
        assert!(shared.faults.is_empty());
        batches.push(shared.batch);
    });
    assert!(inbox.is_empty());
    batches
}

fn events(batches: &[Arc<Batch>]) -> Vec<Event> {
    let events = |batch: &Arc<Batch>| {
        (0..batch.len()).map(|index| Event::in_batch(batch, index)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(events).collect()
}

#[test]
fn every_frame_comes_out_as_it_went_in() {
    let (mut inbox, mut ring) = Default::default();
    for lengths in [vec![0], vec![10; 500], vec![1_000; 40], vec![20_000, 3, 100_000, 0, 16_000]] {
        let frames: Vec<_> =
            lengths.iter().enumerate().map(|(n, &length)| frame(n, length)).collect();
        let events = events(&round(&mut inbox, &mut ring, &frames));
        assert!(events.iter().map(Event::raw).eq(&frames));
        for (event, &length) in events.iter().zip(&lengths) {
            assert_eq!((event.name(), event.data().len()), ("e", length / 2));
        }
    }
}

#[test]
fn frames_that_are_no_events_keep_their_place() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    for text in ["1", r#"{"event":"a"}"#, "{", "", r#"{"event":"b"}"#, r#"{"event":7}"#] {
        inbox.text(text);
    }
    let mut seen = Vec::new();
    inbox.share(&mut ring, |SharedBatch { batch, faults }| {
        let faulty = faults.iter().map(|&(index, _)| index).collect::<Vec<_>>();
        seen.push((faulty, Event::in_batch(&batch, 1).raw().to_owned(), batch.len()));
        for (_, error) in faults {
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    });
    assert_eq!(seen, [(vec![0, 2, 3, 5], r#"{"event":"a"}"#.to_owned(), 6)]);
}

#[test]
fn the_memory_that_one_event_keeps_is_bounded() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let mut seed = fastrand::Rng::with_seed(7);
    for _ in 0..100 {
        let count = seed.usize(1..200);
        let frames: Vec<_> = (0..count)
            .map(|number| {
                let limit = 1 << seed.u32(1..15);
                frame(number, 2 * seed.usize(0..limit))
            })
            .collect();
        for batch in round(&mut inbox, &mut ring, &frames) {
            assert!(batch.capacity() <= 2 * batch.used() + SLACK, "mostly empty");
            let longest = batch.texts().map(str::len).max().unwrap();
            assert!(batch.text.len() <= MAX_TEXT.max(longest), "more than a frame and its round");
            assert!(batch.len() <= MAX_FRAMES);
        }
    }
}

#[test]
fn a_lone_small_event_has_a_small_buffer_after_a_flood_too() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let flood: Vec<_> = (0..1_000).map(|number| frame(number, 64)).collect();
    for _ in 0..10 {
        round(&mut inbox, &mut ring, &flood);
    }
    let kept: Vec<_> =
        (0..100).map(|number| round(&mut inbox, &mut ring, &[frame(number, 64)])).collect();
    let capacity: usize = kept.iter().flatten().map(|batch| batch.capacity()).sum();
    let used: usize = kept.iter().flatten().map(|batch| batch.used()).sum();
    assert_eq!(capacity, used, "each in an exact one");
}

/// Where the text is, for each batch.
fn places(batches: &[Arc<Batch>]) -> Vec<usize> {
    batches.iter().map(|batch| batch.text.as_ptr().addr()).collect()
}

#[test]
fn buffers_are_reused_only_after_all_events_are_dropped() {
    for length in [64, 1_000, 16_000] {
        let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
        let frames: Vec<_> =
            (0..4 * MAX_COPIED / length).map(|number| frame(number, length)).collect();
        let mut seen = std::collections::HashSet::new();
        for round_number in 0..50 {
            let batches = round(&mut inbox, &mut ring, &frames);
            seen.extend(places(&batches));
            let decoded = events(&batches);
            assert!(decoded.iter().all(|event| !event.data().is_empty()), "{round_number}");
        }
        assert!(seen.len() <= MAX_BATCHES + MAX_SPARE, "{} buffers for {length}", seen.len());
        // Those that are still held stay as they are.
        let kept = events(&round(&mut inbox, &mut ring, &frames));
        for _ in 0..50 {
            let others: Vec<_> =
                (0..frames.len()).map(|number| frame(number + 7, length)).collect();
            round(&mut inbox, &mut ring, &others);
        }
        assert!(kept.iter().map(Event::raw).eq(&frames));
    }
}

#[test]
fn the_buffers_used_last_are_reused_first() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let frames = [frame(0, 16_000)];
    let many: Vec<_> = (0..MAX_BATCHES).map(|_| round(&mut inbox, &mut ring, &frames)).collect();
    drop(many);
    let used = |_| places(&round(&mut inbox, &mut ring, &frames));
    let used: std::collections::HashSet<_> = (0..50).flat_map(used).collect();
    // One that is handed out, and one that is filled meanwhile.
    assert!(used.len() <= 2, "{} buffers that no cache has any more", used.len());
}

#[test]
fn a_flood_allocates_nothing_while_many_batches_wait_for_a_consumer() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let frames = [frame(0, 16_000), frame(1, 16_000)];
    // One event is never given up.
    let kept = round(&mut inbox, &mut ring, &frames);
    for waiting in [MAX_BATCHES - 1, 40, 3, 20] {
        let mut queue = VecDeque::new();
        for number in 0..4 * MAX_BATCHES {
            let mut batch = Batch::with_capacity(32_000, 2);
            frames.iter().for_each(|frame| batch.push(frame, Envelope::EMPTY));
            let (shared, free) = ring.share(batch);
            queue.push_back(shared);
            assert!(free.is_some() || number <= MAX_BATCHES, "{waiting} wait, {number}");
            queue.drain(..queue.len().saturating_sub(waiting));
        }
    }
    assert_eq!(kept[0].text(1), frames[1]);
}

#[test]
fn the_memory_for_reuse_is_bounded() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let mut kept = Vec::new();
    for size in [64, 1 << 18, 40_000, 1_000, 16_000, 60_000] {
        for _ in 0..10 {
            let frames: Vec<_> = (0..10).map(|number| frame(number, size)).collect();
            kept.extend(round(&mut inbox, &mut ring, &frames));
        }
        kept.drain(..kept.len() / 2);
    }
    assert!(ring.0.len() <= MAX_BATCHES && inbox.spare.len() <= MAX_SPARE);
    assert!(ring.0.iter().all(|batch| batch.capacity() <= MAX_KEPT));
    assert!(inbox.spare.iter().all(|batch| batch.capacity() <= MAX_KEPT && batch.len() == 0));
}

#[test]
fn a_custom_connection_receives_messages_one_by_one() {
    let mut inbox = Inbox::default();
    inbox
        .messages(|messages| {
            messages.push(Message::Text("1".into()));
            messages.push(Message::Text("2".into()));
            messages.push(Message::Close(Some(4000), "over".into()));
            Ok(())
        })
        .unwrap();
    let error = Error::message(ErrorKind::Closed, "over");
    assert!(inbox.messages(|_| Err(error)).is_err());
    let mut messages = Vec::new();
    inbox.drain(&mut messages);
    let text = |text: &str| Message::Text(text.into());
    assert_eq!(messages, [text("1"), text("2"), Message::Close(Some(4000), "over".into())]);
    assert!(inbox.is_empty());
}

#[test]
fn debug_shows_no_text() {
    let mut inbox = Inbox::default();
    inbox.text("canary");
    assert!(!format!("{inbox:?}").contains("canary"));
}

#[test]
fn the_buffers_of_a_flood_are_released_after_a_quiet_second() {
    let mut intake = Intake::default();
    let mut receive = |count: usize, waited: Duration| {
        (0..count).for_each(|number| intake.inbox.text(&frame(number, 64)));
        intake.take_in(waited);
        intake.batches.clear();
        let kept = intake.ring.0.iter().map(|batch| batch.capacity());
        kept.chain(intake.inbox.spare.iter().map(Batch::capacity)).sum::<usize>()
    };
    for _ in 0..20 {
        receive(1_000, Duration::ZERO);
    }
    assert!(receive(1_000, QUIET - Duration::from_millis(1)) > 4 * MAX_COPIED);
    assert!(receive(1, QUIET) < 2_048);
}

#[test]
fn a_pause_releases_what_only_slow_consumers_need() {
    let mut intake = Intake::default();
    let mut receive = |waited: Duration| {
        intake.inbox.text(&frame(0, 50_000));
        intake.take_in(waited);
        (std::mem::take(&mut intake.batches), intake.ring.0.len())
    };
    let flood: Vec<_> = (0..MAX_BATCHES).map(|_| receive(Duration::ZERO)).collect();
    drop(flood);
    assert_eq!(receive(PAUSE - Duration::from_millis(1)).1, MAX_BATCHES);
    assert!(receive(PAUSE).1 <= MAX_PAUSED);
}

#[test]
fn what_only_slow_consumers_need_is_released_though_events_keep_coming() {
    let mut intake = Intake::default();
    let mut receive = |length, waited: Duration| {
        intake.inbox.text(&frame(0, length));
        intake.take_in(waited);
        (std::mem::take(&mut intake.batches), intake.ring.0.len())
    };
    let flood: Vec<_> = (0..MAX_BATCHES).map(|_| receive(50_000, Duration::ZERO)).collect();
    drop(flood);
    let often = PAUSE / 2;
    let mut waited = Duration::ZERO;
    while receive(100, often).1 > MAX_PAUSED {
        waited += often;
        assert!(waited < QUIET, "all are kept");
    }
}

#[test]
fn excerpts_are_the_same_events_in_exact_buffers() {
    let (mut inbox, mut ring) = (Inbox::default(), Ring::default());
    let mut batch = |of: &str| {
        let raw =
            |n| format!(r#"{{"event":"\u0065","channel":"{of}","user_id":{n},"data":"\u0061"}}"#);
        round(&mut inbox, &mut ring, &(0..100).map(raw).collect::<Vec<_>>()).remove(0)
    };
    let (one, other) = (batch("one"), batch("other"));
    let pick = |batch: &Arc<Batch>, range: Range<usize>| {
        range.map(|n| Event::in_batch(batch, n)).collect::<Vec<_>>()
    };
    let events = [pick(&one, 96..100), pick(&other, 0..90)].concat();
    let excerpts = Event::excerpts(&events).unwrap();
    let view = |event: &Event| {
        let text = |text: &str| text.to_owned();
        let fields = [event.name(), event.data(), event.raw()].map(text);
        (fields, event.channel().map(text), event.user_id().map(text), event.size())
    };
    assert!(excerpts.iter().map(view).eq(events.iter().map(view)));
    let place = |event: &Event| event.raw().as_ptr();
    assert!(excerpts[4..].iter().map(place).eq(events[4..].iter().map(place)), "most of a batch");
    assert!((0..4).all(|n| place(&excerpts[n]) != place(&events[n])));
    let exact = one.excerpt(96..100).unwrap();
    assert_eq!((exact.len(), exact.capacity()), (4, exact.used()));

    // A renamed event keeps its name.
    let renamed = [Event::in_batch(&one, 7).renamed("pusher:renamed")];
    assert_eq!(Event::excerpts(&renamed).unwrap()[0].name(), "pusher:renamed");

    // The limit is a quarter.
    let most = (1..100).take_while(|&n| one.excerpt(0..n).is_some()).count();
    let size = |count| one.used() / 100 * count * SMALL_PART;
    assert!(size(most) < one.capacity() && size(most + 2) > one.capacity(), "{most}");
    assert!(Event::excerpts(&pick(&one, 0..50)).is_none());
    assert!(Event::excerpts(&[]).is_none());
}
