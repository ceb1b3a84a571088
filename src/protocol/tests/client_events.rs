//! What the user sends to the others on a channel.

use super::harness::{Harness, secs};
use crate::{ChannelStatus, ErrorKind};

const ROOM: &str = "private-room";

#[test]
fn the_data_is_sent_as_the_json_that_it_is() {
    let mut harness = Harness::subscribed(&[ROOM]);
    let frames = harness.frames.len();
    harness.trigger(ROOM, "client-\"e\"", r#"{"a":[1,"x"]}"#).unwrap();
    harness.trigger(ROOM, "client-e", r#""text""#).unwrap();
    assert_eq!(
        harness.frames[frames..],
        [
            r#"{"event":"client-\"e\"","channel":"private-room","data":{"a":[1,"x"]}}"#,
            r#"{"event":"client-e","channel":"private-room","data":"text"}"#,
        ]
    );
}

#[test]
fn what_no_server_would_take_is_refused_here() {
    let mut harness = Harness::subscribed(&[ROOM]);
    for event in ["", "e", "client-", "Client-e", "pusher:ping", "xclient-e"] {
        assert_eq!(harness.trigger(ROOM, event, "{}"), Err(ErrorKind::InvalidName), "{event}");
    }
    let longest = format!("client-{}", "é".repeat(193));
    assert_eq!(harness.trigger(ROOM, &longest, "{}"), Ok(()));
    let longer = longest + "e";
    assert_eq!(harness.trigger(ROOM, &longer, "{}"), Err(ErrorKind::InvalidName));
    let largest = format!(r#""{}""#, "x".repeat(10 * 1024 - 2));
    assert_eq!(harness.trigger(ROOM, "client-e", &largest), Ok(()));
    let larger = format!(r#""{}""#, "x".repeat(10 * 1024 - 1));
    assert_eq!(harness.trigger(ROOM, "client-e", &larger), Err(ErrorKind::TooLarge));
    assert_eq!(harness.take().lines.len(), 2, "what is refused is not sent");
}

#[test]
fn a_client_event_waits_neither_for_a_connection_nor_for_a_subscription() {
    let mut harness = Harness::new();
    let not_connected = Err(ErrorKind::NotConnected);
    let not_subscribed = Err(ErrorKind::NotSubscribed);
    harness.subscribe(ROOM);
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_connected);
    harness.connect();
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_connected);
    harness.establish();
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_subscribed);
    harness.grant(ROOM);
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_subscribed);
    assert_eq!(harness.trigger("private-other", "client-e", "1"), not_subscribed);
    harness.confirm(ROOM);
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), Ok(()));
    harness.lose();
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_connected);
    harness.reestablish();
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_subscribed);
    harness.unsubscribe(ROOM);
    assert_eq!(harness.trigger(ROOM, "client-e", "1"), not_subscribed);
    let sent = harness.frames.iter().filter(|frame| frame.contains("client-e")).count();
    assert_eq!(sent, 1);
}

#[test]
fn ten_a_second_are_sent_and_a_refused_one_costs_nothing() {
    let mut harness = Harness::subscribed(&[ROOM, "presence-b"]);
    let frames = harness.frames.len();
    // What is refused for another reason does not count.
    for _ in 0..20 {
        assert_eq!(harness.trigger(ROOM, "e", "1"), Err(ErrorKind::InvalidName));
        assert_eq!(harness.trigger("private-c", "client-e", "1"), Err(ErrorKind::NotSubscribed));
    }
    let burst = |harness: &mut Harness| {
        // The limit is the connection's, whatever the channel.
        let names = [ROOM, "presence-b"].into_iter().cycle().take(30);
        let results: Vec<_> = names.map(|name| harness.trigger(name, "client-e", "1")).collect();
        assert!(
            results.iter().all(|result| matches!(result, Ok(()) | Err(ErrorKind::RateLimited)))
        );
        results.iter().filter(|result| result.is_ok()).count()
    };
    assert_eq!(burst(&mut harness), 10);
    harness.advance(secs(1) / 2);
    assert_eq!(burst(&mut harness), 5);
    assert_eq!(burst(&mut harness), 0);
    harness.advance(secs(60));
    assert_eq!(burst(&mut harness), 10);
    assert_eq!(harness.frames.len() - frames, 25, "exactly what was granted");
    assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed);
}
