//! Floods.

use tungstenite::Message;

use super::{Stage, frame};
use crate::support::SOON;

const MANY: usize = 100_000;

/// Sends this many frames in a few large writes.
fn flood(stage: &mut Stage, frame: &[u8], count: usize) {
    let thousand = frame.repeat(1000);
    for _ in 0..count / 1000 {
        stage.raw(&thousand);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pongs_for_a_peer_that_does_not_read_are_bounded() {
    use std::io::Write;

    use pusher_channels::ErrorKind;

    crate::support::alone(|| {
        let mut stage = Stage::new();
        let before = super::peak();
        let ping = frame(0x81, br#"{"event":"pusher:ping","data":{}}"#);
        flood(&mut stage, &ping, MANY);
        stage.goes_on();
        for _ in 0..MANY {
            let pong = stage.socket.read().unwrap();
            assert!(pong.into_text().unwrap().contains("pusher:pong"));
        }
        stage.goes_on();
        // Until the client has had enough. It goes while this side still writes.
        let thousand = ping.repeat(1000);
        for _ in 0..10_000 {
            if stage.socket.get_mut().write_all(&thousand).is_err() {
                break;
            }
        }
        let error = stage.lost();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
        // It depends on the machine's speed whether a pong or the response to a `pusher:ping` is the one too many.
        let words = ["the peer does not read", "sending failed: more than 4194304 bytes wait"];
        assert!(words.iter().any(|words| error.to_string().starts_with(words)), "{error}");
        let grown = super::peak() - before;
        println!("the flood took {grown} MiB");
        assert!(grown < 64, "{grown} MiB");
    });
}

#[test]
fn unsolicited_pongs_are_ignored() {
    let mut stage = Stage::new();
    flood(&mut stage, &frame(0x81, br#"{"event":"pusher:pong","data":"{}"}"#), MANY);
    flood(&mut stage, &frame(0x8a, b"pong"), MANY);
    stage.goes_on();
    assert!(stage.errors.is_empty());
    // A solicited pong still counts.
    let client = stage.client.clone();
    let pinged = crate::support::spawn(move || client.ping(SOON));
    crate::support::wait_for(&mut stage.socket, "pusher:ping");
    stage.send(r#"{"event":"pusher:pong"}"#);
    pinged.recv_timeout(SOON).unwrap().unwrap();
}

#[test]
fn websocket_pings_get_pongs_during_a_flood() {
    let mut stage = Stage::new();
    flood(&mut stage, &frame(0x89, b""), MANY);
    stage.goes_on();
    stage.raw(&frame(0x89, b"the last"));
    loop {
        match stage.socket.read().unwrap() {
            Message::Pong(payload) if payload.as_ref() == b"the last" => break,
            Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
    stage.goes_on();
}

#[cfg(target_os = "linux")]
#[test]
fn full_queues_drop_and_count() {
    use pusher_channels::Queue;

    crate::support::alone(|| {
        let mut stage = Stage::with(|builder| builder.queue(Queue::drop_oldest(100)));
        let all = stage.client.bind_all();
        let before = super::peak();
        flood(&mut stage, &frame(0x81, b"no event"), MANY);
        flood(&mut stage, &frame(0x81, br#"{"event":"pusher:error","data":{"code":4301}}"#), MANY);
        let long = format!(r#"{{"event":"e","channel":"room","data":"{}"}}"#, "x".repeat(10_000));
        flood(&mut stage, &frame(0x81, long.as_bytes()), 5_000);
        stage.goes_on();
        let many = u64::try_from(MANY).unwrap();
        assert_eq!((stage.errors.len(), stage.errors.dropped()), (100, 2 * many - 100));
        // It may get the mark a little later.
        assert!(all.len() == 100 && all.dropped() >= many + 5_000 - 100, "{}", all.dropped());
        let grown = super::peak() - before;
        println!("the floods took {grown} MiB");
        assert!(grown < 64, "{grown} MiB");
    });
}

#[test]
fn events_of_unknown_channels_leave_nothing_behind() {
    let mut stage = Stage::new();
    let all = stage.client.bind_all();
    for event in
        ["subscription_succeeded", "member_added", "subscription_count", "subscription_error"]
    {
        for number in 0..5_000 {
            stage.send(&format!(
                r#"{{"event":"pusher_internal:{event}","channel":"presence-{number}","data":{{"user_id":"1","subscription_count":1,"status":403}}}}"#
            ));
        }
    }
    stage.goes_on();
    let shown = all.try_iter().filter(|event| event.name().starts_with("pusher_internal:")).count();
    assert_eq!(shown, 0);
}
