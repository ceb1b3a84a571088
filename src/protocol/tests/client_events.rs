//! What the user sends to the others on a channel.

use super::desk::Desk;
use super::sim::secs;
use crate::{ChannelStatus, ErrorKind};

const ROOM: &str = "private-room";

#[test]
fn the_data_is_sent_as_the_json_that_it_is() {
    let mut desk = Desk::subscribed(&[ROOM]);
    let frames = desk.frames.len();
    desk.trigger(ROOM, "client-\"e\"", r#"{"a":[1,"x"]}"#).unwrap();
    desk.trigger(ROOM, "client-e", r#""text""#).unwrap();
    assert_eq!(
        desk.frames[frames..],
        [
            r#"{"event":"client-\"e\"","channel":"private-room","data":{"a":[1,"x"]}}"#,
            r#"{"event":"client-e","channel":"private-room","data":"text"}"#,
        ]
    );
}

#[test]
fn what_no_server_would_take_is_refused_here() {
    let mut desk = Desk::subscribed(&[ROOM]);
    for event in ["", "e", "client-", "Client-e", "pusher:ping", "xclient-e"] {
        assert_eq!(desk.trigger(ROOM, event, "{}"), Err(ErrorKind::InvalidName), "{event}");
    }
    let longest = format!("client-{}", "é".repeat(193));
    assert_eq!(desk.trigger(ROOM, &longest, "{}"), Ok(()));
    let longer = longest + "e";
    assert_eq!(desk.trigger(ROOM, &longer, "{}"), Err(ErrorKind::InvalidName));
    let largest = format!(r#""{}""#, "x".repeat(10 * 1024 - 2));
    assert_eq!(desk.trigger(ROOM, "client-e", &largest), Ok(()));
    let larger = format!(r#""{}""#, "x".repeat(10 * 1024 - 1));
    assert_eq!(desk.trigger(ROOM, "client-e", &larger), Err(ErrorKind::TooLarge));
    assert_eq!(desk.take().len(), 2, "what is refused is not sent");
}

#[test]
fn a_client_event_waits_neither_for_a_connection_nor_for_a_subscription() {
    let mut desk = Desk::new();
    let not_connected = Err(ErrorKind::NotConnected);
    let not_subscribed = Err(ErrorKind::NotSubscribed);
    desk.subscribe(ROOM);
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_connected);
    desk.input(|machine, now| machine.connect(now));
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_connected);
    desk.establish();
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_subscribed);
    desk.grant(ROOM);
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_subscribed);
    assert_eq!(desk.trigger("private-other", "client-e", "1"), not_subscribed);
    desk.confirm(ROOM);
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), Ok(()));
    desk.lose();
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_connected);
    desk.reconnect();
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_subscribed);
    desk.unsubscribe(ROOM);
    assert_eq!(desk.trigger(ROOM, "client-e", "1"), not_subscribed);
    let sent = desk.frames.iter().filter(|frame| frame.contains("client-e")).count();
    assert_eq!(sent, 1);
}

#[test]
fn ten_a_second_are_sent_and_a_refused_one_costs_nothing() {
    let mut desk = Desk::subscribed(&[ROOM, "presence-b"]);
    let frames = desk.frames.len();
    // What is refused for another reason does not count.
    for _ in 0..20 {
        assert_eq!(desk.trigger(ROOM, "e", "1"), Err(ErrorKind::InvalidName));
        assert_eq!(desk.trigger("private-c", "client-e", "1"), Err(ErrorKind::NotSubscribed));
    }
    let burst = |desk: &mut Desk| {
        // The limit is the connection's, whatever the channel.
        let names = [ROOM, "presence-b"].into_iter().cycle().take(30);
        let results: Vec<_> = names.map(|name| desk.trigger(name, "client-e", "1")).collect();
        assert!(
            results.iter().all(|result| matches!(result, Ok(()) | Err(ErrorKind::RateLimited)))
        );
        results.iter().filter(|result| result.is_ok()).count()
    };
    assert_eq!(burst(&mut desk), 10);
    desk.advance(secs(1) / 2);
    assert_eq!(burst(&mut desk), 5);
    assert_eq!(burst(&mut desk), 0);
    desk.advance(secs(60));
    assert_eq!(burst(&mut desk), 10);
    assert_eq!(desk.frames.len() - frames, 25, "exactly what was granted");
    assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed);
}
