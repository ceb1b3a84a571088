//! Many subscriptions and a peer that takes them slowly.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::{ChannelNotification, Machine, Notification, Now, Output};
use super::harness::{Harness, SUBSCRIBE, config, secs, short};
use crate::protocol::machine::window::WINDOW;
use crate::{Auth, ChannelStatus, Event};

/// So large that five of them fill the window.
fn large(number: usize) -> Auth {
    Auth::new(format!("key:{number}{}", "x".repeat(WINDOW / 5 - 200)))
}

/// Subscribes to this many channels, of which the first five fit into the window.
fn subscribed(count: usize) -> (Harness, Vec<String>) {
    let names: Vec<_> = (0..count).map(|number| format!("private-{number}")).collect();
    let mut harness = Harness::connected();
    for (number, name) in names.iter().enumerate() {
        harness.subscribe(name);
        harness.respond(name, Ok(large(number)));
    }
    (harness, names)
}

fn sent(harness: &mut Harness) -> Vec<String> {
    harness.take().lines.into_iter().filter(|line| line.contains("subscribe ")).collect()
}

#[test]
fn what_does_not_fit_waits_without_a_frame_and_without_a_time_out() {
    let (mut harness, names) = subscribed(12);
    assert_eq!(harness.frames.len(), 5);
    assert!(names.iter().all(|name| harness.status(name) == ChannelStatus::Pending));
    harness.take();
    harness.advance(SUBSCRIBE / 2);
    harness.confirm(&names[0]);
    assert_eq!(sent(&mut harness), ["subscribe private-5"]);
    // Those that were sent time out, and make room; the next ones have the whole time from then on.
    harness.advance(SUBSCRIBE / 2);
    assert_eq!(harness.status("private-4"), ChannelStatus::Failed);
    assert_eq!(harness.status("private-5"), ChannelStatus::Pending);
    let expected: Vec<_> = (6..10).map(|number| format!("subscribe private-{number}")).collect();
    assert_eq!(sent(&mut harness), expected);
    harness.confirm("private-5");
    for name in &names[6..10] {
        harness.confirm(name);
    }
    assert_eq!(sent(&mut harness), ["subscribe private-10", "subscribe private-11"]);
    harness.advance(SUBSCRIBE - secs(1));
    assert_eq!(harness.status("private-11"), ChannelStatus::Pending);
}

#[test]
fn whatever_ends_a_subscription_makes_room_for_the_next_in_order() {
    type Step = fn(&mut Harness);
    let steps: [(&str, Step); 5] = [
        ("confirmed", |harness| harness.confirm("private-2")),
        ("refused", |harness| {
            let data = serde_json::json!({ "status": 401 });
            harness.server("pusher:subscription_error", Some("private-2"), &data);
        }),
        ("named in an error", |harness| harness.error(4009, "no private-2")),
        ("unsubscribed", |harness| harness.unsubscribe("private-2")),
        ("subscribed already", |harness| {
            harness.error(4009, "Existing subscription to channel private-2");
        }),
    ];
    for (what, step) in steps {
        let (mut harness, _) = subscribed(8);
        // Given up while it waits: nothing is sent or reported.
        harness.unsubscribe("private-5");
        // Waits behind the others, although it is small.
        harness.subscribe("room");
        harness.take();
        step(&mut harness);
        let expected = match what {
            "unsubscribed" => &["unsubscribe private-2", "subscribe private-6"][..],
            _ => &["subscribe private-6"],
        };
        assert_eq!(sent(&mut harness), expected, "{what}");
        harness.confirm("private-0");
        harness.confirm("private-1");
        assert_eq!(sent(&mut harness), ["subscribe private-7", "subscribe room"], "{what}");
    }
}

#[test]
fn a_late_confirmation_of_an_earlier_subscription_does_not_count_while_the_next_one_waits() {
    let (mut harness, _) = subscribed(6);
    harness.unsubscribe("private-0");
    assert_eq!(harness.frames.len(), 7, "private-5 has taken its place");
    harness.subscribe("private-0");
    harness.respond("private-0", Ok(large(0)));
    harness.confirm("private-0");
    assert_eq!(harness.status("private-0"), ChannelStatus::Pending);
    harness.confirm("private-1");
    harness.confirm("private-0");
    assert_eq!(harness.status("private-0"), ChannelStatus::Subscribed);
}

#[test]
fn a_new_connection_has_a_window_of_its_own() {
    let (mut harness, names) = subscribed(8);
    harness.reestablish();
    harness.frames.clear();
    for (number, name) in names.iter().enumerate().rev() {
        harness.respond(name, Ok(large(number)));
    }
    let frames: Vec<_> = harness.frames.iter().map(|frame| short(frame)).collect();
    let expected: Vec<_> =
        (3..8).rev().map(|number| format!("subscribe private-{number}")).collect();
    assert_eq!(frames, expected);
    harness.disconnect();
    harness.advance(SUBSCRIBE * 2);
    assert_eq!(harness.frames.len(), 5);
}

#[test]
fn thousands_of_channels_are_sent_at_once() {
    let mut harness = Harness::connected();
    for number in 0..5_000 {
        harness.subscribe(&format!("room-{number}"));
    }
    assert_eq!(harness.frames.len(), 5_000);
}

/// A server that reads so many bytes in each tick, and confirms what it has read.
struct Slow {
    machine: Machine,
    now: Now,
    unread: VecDeque<String>,
    bytes: usize,
    confirmed: usize,
    most: usize,
}

impl Slow {
    fn input(&mut self, input: impl FnOnce(&mut Machine, Now)) {
        input(&mut self.machine, self.now);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { frame, .. } => {
                    self.bytes += frame.len();
                    self.unread.push_back(frame);
                }
                Output::Authorize { request_id, channel, .. } => {
                    let auth = Ok(Auth::new(format!("key:{}", "5".repeat(64))));
                    self.machine.handle_authorization(&channel, request_id, auth, self.now);
                }
                Output::Notify(Notification::Channel(_, ChannelNotification::Failed(error))) => {
                    panic!("{error}")
                }
                Output::Close { .. } => panic!("the connection is given up"),
                _ => {}
            }
        }
        self.most = self.most.max(self.bytes);
    }

    fn receive(&mut self, event: &str, channel: &str, data: &str) {
        let frame = format!(r#"{{"event":"{event}","channel":"{channel}","data":{data}}}"#);
        let event = Event::parse(frame).unwrap();
        self.input(|machine, now| machine.handle_event(1, event, now));
    }

    fn tick(&mut self, mut take: usize) {
        self.now.mono += Duration::from_millis(100);
        self.now.wall += Duration::from_millis(100);
        self.input(|machine, now| machine.handle_timeout(now));
        while let Some(frame) = self.unread.pop_front() {
            if frame.len() > take {
                return self.unread.push_front(frame);
            }
            take -= frame.len();
            self.bytes -= frame.len();
            match short(&frame).split_once(' ') {
                Some((_, name)) => {
                    self.confirmed += 1;
                    self.receive("pusher_internal:subscription_succeeded", name, "{}");
                }
                None => self.receive("pusher:pong", "", "{}"),
            }
        }
    }
}

#[test]
fn a_hundred_thousand_channels_come_back_at_a_peer_that_reads_slowly() {
    const COUNT: usize = 100_000;
    let now = Now { mono: secs(1000), suspended: secs(0), wall: secs(1000) };
    let machine = Machine::new(config());
    let mut slow = Slow { machine, now, unread: VecDeque::new(), bytes: 0, confirmed: 0, most: 0 };
    for number in 0..COUNT {
        let kind = if number % 4 == 0 { "private-" } else { "" };
        slow.input(|machine, now| machine.subscribe(&format!("{kind}room-{number}"), now));
    }
    slow.input(|machine, now| machine.connect(now));
    slow.receive("pusher:connection_established", "", r#"{"socket_id":"1.1"}"#);
    let mut ticks = 0;
    while slow.confirmed < COUNT {
        slow.tick(50_000);
        ticks += 1;
        assert!(ticks < 600, "{} of {COUNT} after a minute", slow.confirmed);
    }
    assert!(slow.most <= WINDOW + 1000, "{} bytes waited", slow.most);
    for number in [1, COUNT - 1] {
        let status = slow.machine.channel_status(&format!("room-{number}"));
        assert_eq!(status, ChannelStatus::Subscribed);
    }
}
