//! Client events that wait in the outbox.

use std::time::Duration;

use log::LevelFilter;

use super::super::{Config, OutboxLimits};
use super::harness::{Harness, MS, SUBSCRIBE, secs, status};
use crate::{Auth, ChannelStatus, ErrorKind};

const ROOM: &str = "private-room";
const HALL: &str = "private-hall";

const LIMITS: OutboxLimits = OutboxLimits { count: 100, bytes: 10_000, age: secs(3600) };

/// A client with these channels wanted, whose authorizer waits for the test.
fn wanting(names: &[&str], edit: impl FnOnce(&mut Config)) -> Harness {
    let mut harness = Harness::with(|config| {
        config.outbox = Some(LIMITS);
        edit(config);
    });
    harness.answers_pings = true;
    harness.machine.journal.max_level = || LevelFilter::Warn;
    for name in names {
        harness.subscribe(name);
    }
    harness
}

fn limited(limits: OutboxLimits) -> Harness {
    wanting(&[ROOM], |config| config.outbox = Some(limits))
}

fn trigger(harness: &mut Harness, name: &str, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        assert_eq!(harness.trigger(name, "client-e", &number.to_string()), Ok(()), "{number}");
    }
}

fn subscribe(harness: &mut Harness, names: &[&str]) {
    harness.reestablish();
    for name in names {
        harness.grant(name);
        harness.confirm(name);
    }
}

/// The numbers that were sent since the last call.
fn sent(harness: &mut Harness) -> Vec<u32> {
    let frames = std::mem::take(&mut harness.frames);
    let value = |frame: &String| serde_json::from_str::<serde_json::Value>(frame).unwrap();
    let events = frames.iter().map(value).filter(|value| value["event"] == "client-e");
    events.map(|event| event["data"].as_u64().unwrap() as u32).collect()
}

/// How many wait, and how many were dropped, as far as the user sees.
fn counts(harness: &mut Harness) -> (u64, u64) {
    let now = harness.now;
    harness.input(|machine, _| machine.outbox_counts(now))
}

fn range(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

#[test]
fn what_is_triggered_before_the_confirmation_is_sent_in_order_right_after_it() {
    let mut harness = wanting(&[ROOM], |_| {});
    trigger(&mut harness, ROOM, [0]);
    harness.connect();
    trigger(&mut harness, ROOM, [1]);
    harness.establish();
    trigger(&mut harness, ROOM, [2]);
    harness.grant(ROOM);
    trigger(&mut harness, ROOM, [3]);
    assert!(sent(&mut harness).is_empty());
    assert_eq!(counts(&mut harness), (4, 0));
    harness.confirm(ROOM);
    assert_eq!(sent(&mut harness), range(0..4));
    trigger(&mut harness, ROOM, [4]);
    assert_eq!(sent(&mut harness), [4], "at once");
    assert_eq!(counts(&mut harness), (0, 0));
}

#[test]
fn a_frame_is_the_same_whether_it_waits_or_not() {
    let mut harness = wanting(&[ROOM], |_| {});
    harness.trigger(ROOM, "client-\"e\"", r#"{"a":[1,"x"]}"#).unwrap();
    subscribe(&mut harness, &[ROOM]);
    let waited = harness.frames.last().cloned();
    harness.trigger(ROOM, "client-\"e\"", r#"{"a":[1,"x"]}"#).unwrap();
    assert_eq!(harness.frames.last().cloned(), waited);
}

#[test]
fn channels_take_turns_in_the_order_of_triggering_and_hold_each_other_up_only_by_the_rate() {
    let mut harness = wanting(&[ROOM, HALL], |_| {});
    for number in 0..8 {
        trigger(&mut harness, [ROOM, HALL][number as usize % 2], [number]);
    }
    subscribe(&mut harness, &[HALL]);
    assert_eq!(sent(&mut harness), [1, 3, 5, 7]);
    trigger(&mut harness, ROOM, [8]);
    trigger(&mut harness, HALL, 9..16);
    assert_eq!(sent(&mut harness), range(9..15), "the burst is used up");
    harness.grant(ROOM);
    harness.confirm(ROOM);
    trigger(&mut harness, HALL, [16]);
    harness.advance(secs(1));
    assert_eq!(sent(&mut harness), [0, 2, 4, 6, 8, 15, 16], "the oldest first");
}

#[test]
fn what_the_rate_does_not_allow_waits_and_is_not_overtaken() {
    let mut harness = wanting(&[ROOM], |_| {});
    subscribe(&mut harness, &[ROOM]);
    trigger(&mut harness, ROOM, 0..20);
    assert_eq!(sent(&mut harness), range(0..10));
    assert!(harness.due_in() > 99 * MS && harness.due_in() < 101 * MS, "{:?}", harness.due_in());
    harness.advance(101 * MS);
    assert_eq!(sent(&mut harness), [10]);
    // No timeout was handled: the call itself sends what is due, and this one last.
    harness.skip(350 * MS);
    trigger(&mut harness, ROOM, [20]);
    assert_eq!(sent(&mut harness), [11, 12, 13]);
    harness.advance(secs(1));
    assert_eq!(sent(&mut harness), range(14..21));
    assert!(harness.due_in() > secs(10), "nothing wakes an empty outbox");
    harness.advance(secs(1));
    trigger(&mut harness, ROOM, 21..40);
    assert_eq!(sent(&mut harness), range(21..31), "the burst is that of the limit");
}

#[test]
fn without_a_rate_limit_bytes_are_sent_at_a_pace() {
    let large = OutboxLimits { count: 1000, bytes: 10_000_000, ..LIMITS };
    let mut harness = wanting(&[ROOM], |config| {
        (config.outbox, config.client_event_limit) = (Some(large), None);
    });
    let data = format!("\"{}\"", "x".repeat(10_000));
    for _ in 0..250 {
        harness.trigger(ROOM, "client-e", &data).unwrap();
    }
    subscribe(&mut harness, &[ROOM]);
    let mut sent = Vec::new();
    while counts(&mut harness).0 > 0 {
        let is_event = |frame: &&String| frame.contains("client-e");
        sent.push(harness.frames.iter().filter(is_event).map(String::len).sum::<usize>());
        harness.frames.clear();
        harness.advance(secs(1));
    }
    assert!(sent.iter().all(|bytes| (1_000_000..=1_048_576).contains(bytes)), "{sent:?}");
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_high_rate_wakes_the_client_no_more_than_a_hundred_times_a_second() {
    let mut harness = wanting(&[ROOM], |config| {
        let many = OutboxLimits { count: 3000, bytes: 1_000_000, ..LIMITS };
        (config.outbox, config.client_event_limit) = (Some(many), Some(1000));
    });
    trigger(&mut harness, ROOM, 0..2000);
    subscribe(&mut harness, &[ROOM]);
    assert_eq!(sent(&mut harness), range(0..1000));
    let start = harness.now.mono;
    let mut wakes = 0;
    // The rate allows it, but it overtakes none.
    harness.skip(5 * MS);
    trigger(&mut harness, ROOM, [2000]);
    while counts(&mut harness).0 > 0 {
        harness.advance_to_deadline();
        wakes += 1;
    }
    assert_eq!(sent(&mut harness), range(1000..2001));
    assert!(wakes <= 101, "{wakes}");
    assert!(harness.now.mono - start < secs(1) + 20 * MS, "{:?}", harness.now.mono - start);
}

#[test]
fn a_limit_of_zero_events_a_second_sends_nothing_and_wakes_nobody() {
    let mut harness = wanting(&[ROOM], |config| config.client_event_limit = Some(0));
    trigger(&mut harness, ROOM, 0..3);
    subscribe(&mut harness, &[ROOM]);
    trigger(&mut harness, ROOM, 3..5);
    assert!(harness.due_in() > secs(10));
    assert_eq!((sent(&mut harness), counts(&mut harness)), (vec![], (5, 0)));
}

#[test]
fn of_too_many_the_oldest_are_dropped_with_one_line_until_it_is_empty() {
    let mut harness = limited(OutboxLimits { count: 3, ..LIMITS });
    harness.machine.journal.max_level = || LevelFilter::Debug;
    trigger(&mut harness, ROOM, 0..3);
    assert!(harness.log.is_empty());
    trigger(&mut harness, ROOM, 3..50);
    assert_eq!(counts(&mut harness), (3, 47));
    let line = "WARN the outbox is full (limits are 3 events and 10000 bytes): client events are dropped, see \
                `Stats::outbox_dropped`";
    assert_eq!(harness.log, [line]);
    subscribe(&mut harness, &[ROOM]);
    assert_eq!(sent(&mut harness), [47, 48, 49]);
    for (pause, lines) in [(secs(1), 1), (secs(61), 2)] {
        harness.advance(pause);
        harness.lose();
        trigger(&mut harness, ROOM, 0..9);
        let is_warning = |line: &&String| line.starts_with("WARN the outbox is full");
        let full = harness.log.iter().filter(is_warning).count();
        assert_eq!(full, lines, "one a minute: {:?}", harness.log);
        subscribe(&mut harness, &[ROOM]);
    }
}

#[test]
fn the_oldest_is_dropped_of_all_channels() {
    let mut harness =
        wanting(&[ROOM, HALL], |config| config.outbox = Some(OutboxLimits { count: 2, ..LIMITS }));
    trigger(&mut harness, HALL, [0]);
    trigger(&mut harness, ROOM, [1, 2]);
    subscribe(&mut harness, &[HALL, ROOM]);
    assert_eq!((sent(&mut harness), counts(&mut harness)), (vec![1, 2], (0, 1)));
}

#[test]
fn names_and_data_count_as_bytes() {
    // Three events of one digit.
    let bytes = 3 * (ROOM.len() + "client-e".len() + 1);
    let mut harness = limited(OutboxLimits { bytes, ..LIMITS });
    trigger(&mut harness, ROOM, 0..4);
    assert_eq!(counts(&mut harness), (3, 1));
    // One more byte takes the room of two.
    trigger(&mut harness, ROOM, [10]);
    assert_eq!(counts(&mut harness), (2, 3));
    let larger = "1".repeat(bytes);
    assert_eq!(harness.trigger(ROOM, "client-e", &larger), Err(ErrorKind::TooLarge));
    assert_eq!(counts(&mut harness), (2, 3), "it makes no room for what it refuses");
    let largest = "1".repeat(bytes - ROOM.len() - "client-e".len());
    assert_eq!(harness.trigger(ROOM, "client-e", &largest), Ok(()));
    assert_eq!(counts(&mut harness), (1, 5));
    subscribe(&mut harness, &[ROOM]);
    assert_eq!(harness.trigger(ROOM, "client-e", &larger), Ok(()), "it need not wait");
}

#[test]
fn what_is_too_old_is_not_sent_and_suspended_time_counts() {
    let mut harness = limited(OutboxLimits { age: secs(60), ..LIMITS });
    for number in 0..4 {
        trigger(&mut harness, ROOM, [number]);
        harness.skip(secs(20));
    }
    assert_eq!(counts(&mut harness), (3, 1), "the getter knows without an alarm");
    harness.suspend(secs(20));
    subscribe(&mut harness, &[ROOM]);
    assert_eq!((sent(&mut harness), counts(&mut harness)), (vec![2, 3], (0, 2)));
    let line = "WARN client events have waited in the outbox for more than 1 min: ";
    let lines = harness.log.iter().filter(|logged| logged.starts_with(line)).count();
    assert_eq!(lines, 1, "{:?}", harness.log);
}

#[test]
fn what_the_rate_holds_back_grows_old_too() {
    let mut harness = limited(OutboxLimits { age: secs(2) + 50 * MS, ..LIMITS });
    subscribe(&mut harness, &[ROOM]);
    trigger(&mut harness, ROOM, 0..60);
    harness.advance(secs(10));
    let sent = sent(&mut harness);
    assert_eq!(sent, range(0..30), "10 at once and 10 a second");
    assert_eq!(counts(&mut harness), (0, 30));
}

#[test]
fn after_a_lost_connection_what_was_not_sent_follows_and_nothing_is_sent_twice() {
    let mut harness = wanting(&[ROOM], |_| {});
    trigger(&mut harness, ROOM, 0..25);
    subscribe(&mut harness, &[ROOM]);
    assert_eq!(sent(&mut harness), range(0..10));
    harness.lose();
    trigger(&mut harness, ROOM, [25]);
    // Not before the confirmation on this connection.
    harness.reestablish();
    harness.advance(secs(1));
    assert!(sent(&mut harness).is_empty());
    harness.grant(ROOM);
    harness.confirm(ROOM);
    assert_eq!(sent(&mut harness), range(10..20));
    harness.advance(secs(1));
    assert_eq!((sent(&mut harness), counts(&mut harness)), (range(20..26), (0, 0)));
}

#[test]
fn every_way_to_another_connection_keeps_what_waits() {
    type Way = fn(&mut Harness);
    let ways: [(&str, Way); 5] = [
        ("disconnect", Harness::disconnect),
        ("reconnect", Harness::reconnect),
        ("switch", Harness::switch),
        ("signout", |harness| {
            harness.signin();
            harness.signout();
        }),
        ("failed", |harness| harness.closed(Some(4001))),
    ];
    for (way, go) in ways {
        let mut harness = wanting(&[ROOM], |_| {});
        subscribe(&mut harness, &[ROOM]);
        trigger(&mut harness, ROOM, 0..12);
        assert_eq!(sent(&mut harness), range(0..10), "{way}");
        go(&mut harness);
        trigger(&mut harness, ROOM, [12]);
        assert_eq!(counts(&mut harness), (3, 0), "{way}");
        harness.advance(secs(1));
        subscribe(&mut harness, &[ROOM]);
        assert_eq!((sent(&mut harness), counts(&mut harness)), (range(10..13), (0, 0)), "{way}");
    }
}

#[test]
fn a_refused_subscription_drops_what_waits_and_triggers_fail() {
    type Refuse = fn(&mut Harness);
    let ways: [(&str, Refuse); 4] = [
        ("authorizer", |harness| harness.respond(ROOM, Err(status(403)))),
        ("empty auth", |harness| harness.respond(ROOM, Ok(Auth::new("")))),
        ("server", |harness| {
            harness.grant(ROOM);
            harness.server("pusher:subscription_error", Some(ROOM), r#"{"status":401}"#);
        }),
        ("late", |harness| {
            harness.grant(ROOM);
            harness.confirm(ROOM);
            harness.server("pusher:subscription_error", Some(ROOM), r#"{"status":401}"#);
        }),
    ];
    for (way, refuse) in ways {
        let mut harness = wanting(&[ROOM, HALL], |config| config.client_event_limit = Some(1));
        trigger(&mut harness, HALL, [0]);
        trigger(&mut harness, ROOM, [1, 2]);
        harness.reestablish();
        refuse(&mut harness);
        let sent_before = sent(&mut harness).len() as u64;
        assert_eq!(counts(&mut harness), (1, 2 - sent_before), "{way}");
        let lines = harness.log.iter().filter(|line| line.contains("client events are dropped"));
        assert_eq!(lines.count(), 1, "{way}: {:?}", harness.log);
        assert_eq!(harness.trigger(ROOM, "client-e", "3"), Err(ErrorKind::NotSubscribed), "{way}");
        // It is tried again: by the user, and on the next connection.
        harness.subscribe(ROOM);
        trigger(&mut harness, ROOM, [4]);
        harness.respond(ROOM, Err(status(403)));
        harness.lose();
        trigger(&mut harness, ROOM, [5]);
        subscribe(&mut harness, &[ROOM]);
        harness.advance(secs(5));
        assert_eq!(sent(&mut harness), [5], "{way}");
        assert_eq!(counts(&mut harness), (1, 3 - sent_before), "{way}");
    }
}

#[test]
fn a_time_out_and_a_transient_failure_keep_what_waits() {
    type Fail = fn(&mut Harness);
    let ways: [(&str, ChannelStatus, Fail); 3] = [
        ("503", ChannelStatus::Pending, |harness| harness.respond(ROOM, Err(status(503)))),
        ("authorizer", ChannelStatus::Failed, |harness| {
            let request = harness.request(ROOM);
            harness.begin(&request);
            harness.advance(SUBSCRIBE);
        }),
        ("server", ChannelStatus::Failed, |harness| {
            harness.grant(ROOM);
            harness.advance(SUBSCRIBE);
        }),
    ];
    for (way, expected, fail) in ways {
        let mut harness = wanting(&[ROOM], |_| {});
        trigger(&mut harness, ROOM, [0]);
        harness.reestablish();
        fail(&mut harness);
        assert_eq!(harness.status(ROOM), expected, "{way}");
        trigger(&mut harness, ROOM, [1]);
        subscribe(&mut harness, &[ROOM]);
        assert_eq!((sent(&mut harness), counts(&mut harness)), (range(0..2), (0, 0)), "{way}");
    }
}

#[test]
fn a_late_confirmation_sends_what_waits() {
    let mut harness = wanting(&[ROOM], |_| {});
    trigger(&mut harness, ROOM, [0]);
    harness.reestablish();
    harness.grant(ROOM);
    harness.advance(SUBSCRIBE);
    assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
    harness.confirm(ROOM);
    assert_eq!(sent(&mut harness), [0]);
}

#[test]
fn unsubscribe_drops_what_waits_for_the_channel_and_nothing_else() {
    let mut harness = wanting(&[ROOM, HALL], |_| {});
    for number in 0..6 {
        trigger(&mut harness, [ROOM, HALL][number as usize % 2], [number]);
    }
    harness.unsubscribe(ROOM);
    assert_eq!(counts(&mut harness), (3, 3));
    assert_eq!(harness.trigger(ROOM, "client-e", "6"), Err(ErrorKind::NotConnected));
    harness.subscribe(ROOM);
    trigger(&mut harness, ROOM, [7]);
    subscribe(&mut harness, &[HALL, ROOM]);
    assert_eq!(sent(&mut harness), [1, 3, 5, 7]);
    // Also what only the rate holds back.
    trigger(&mut harness, ROOM, 8..20);
    assert_eq!(sent(&mut harness).len(), 6);
    harness.unsubscribe(ROOM);
    harness.advance(secs(5));
    assert_eq!((sent(&mut harness), counts(&mut harness)), (vec![], (0, 9)));
    assert!(harness.log.is_empty(), "the user knows: {:?}", harness.log);
}

#[test]
fn close_drops_everything_and_triggers_fail() {
    let mut harness = wanting(&[ROOM, HALL], |_| {});
    trigger(&mut harness, HALL, 0..3);
    trigger(&mut harness, ROOM, 3..5);
    harness.close();
    assert_eq!(counts(&mut harness), (0, 5));
    assert_eq!(harness.trigger(ROOM, "client-e", "5"), Err(ErrorKind::NotConnected));
    assert_eq!(counts(&mut harness), (0, 5));
}

#[test]
fn only_what_is_wanted_and_well_formed_waits() {
    let mut harness = wanting(&[ROOM], |_| {});
    let event = "client-e";
    assert_eq!(harness.trigger(HALL, event, "1"), Err(ErrorKind::NotConnected));
    assert_eq!(harness.trigger(ROOM, "e", "1"), Err(ErrorKind::InvalidName));
    let long = format!("client-{}", "e".repeat(194));
    assert_eq!(harness.trigger(ROOM, &long, "1"), Err(ErrorKind::InvalidName));
    assert_eq!(harness.trigger(ROOM, event, &"1".repeat(10_241)), Err(ErrorKind::TooLarge));
    subscribe(&mut harness, &[ROOM]);
    assert_eq!(harness.trigger(HALL, event, "1"), Err(ErrorKind::NotSubscribed));
    assert_eq!(counts(&mut harness), (0, 0));
}

#[test]
fn what_waits_is_not_shown() {
    let mut harness = wanting(&[ROOM], |_| {});
    harness.trigger(ROOM, "client-e", r#""parcel""#).unwrap();
    let shown = format!("{:?}", harness.machine);
    assert!(!shown.contains("parcel") && shown.contains("Waiting(28 bytes)"), "{shown}");
}

#[test]
fn a_confirmation_sends_only_what_is_not_too_old() {
    let mut harness = limited(OutboxLimits { age: secs(10), ..LIMITS });
    trigger(&mut harness, ROOM, [0]);
    harness.reestablish();
    harness.grant(ROOM);
    harness.skip(secs(10) + Duration::from_nanos(1));
    trigger(&mut harness, ROOM, [1]);
    harness.skip(secs(10));
    harness.confirm(ROOM);
    assert_eq!((sent(&mut harness), counts(&mut harness)), (vec![1], (0, 1)));
}
