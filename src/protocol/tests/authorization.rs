//! Who is asked before a channel is joined, when again, and what becomes of late answers.

use std::time::Duration;

use super::desk::{Desk, granted, io, status};
use super::sim::{MS, SIGNIN, SUBSCRIBE, secs};
use crate::{Auth, ChannelStatus, Error, ErrorKind, Timeout};

const ROOM: &str = "private-room";

/// Long enough for everything that is not to happen.
const LONG: Duration = secs(3600);

#[test]
fn each_channel_is_asked_about_once_on_each_connection() {
    let mut desk = Desk::new();
    desk.subscribe("presence-b");
    desk.subscribe(ROOM);
    desk.subscribe("room");
    desk.expect(&[]);
    desk.input(|machine, now| machine.connect(now));
    desk.expect(&[]);
    desk.establish();
    desk.expect(&["ask presence-b 1", "ask private-room 1", "subscribe room"]);
    desk.subscribe(ROOM);
    desk.subscribe("presence-b");
    desk.expect(&[]);
    desk.grant(ROOM);
    desk.grant("presence-b");
    desk.expect(&["subscribe private-room", "subscribe presence-b"]);
    for name in [ROOM, "presence-b", "room"] {
        desk.confirm(name);
        desk.subscribe(name);
        assert_eq!(desk.status(name), ChannelStatus::Subscribed);
    }
    desk.take();
    desk.lose();
    desk.reconnect();
    desk.expect(&["ask presence-b 1", "ask private-room 1", "subscribe room"]);
    assert_eq!(desk.ask(ROOM).socket_id, "7.2");
    assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
}

#[test]
fn the_answer_is_sent_as_it_is_but_for_the_secret() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, Ok(Auth::new("key:\"s\"")));
    let plain =
        r#"{"event":"pusher:subscribe","data":{"channel":"private-room","auth":"key:\"s\""}}"#;
    assert_eq!(desk.frames, [plain]);

    let data = r#"{ "user_id" : "me", "user_info":{"n":"é\u00e9\/"} }"#;
    desk.subscribe("presence-b");
    let auth = Auth::new("key:s").channel_data(data).shared_secret("c2VjcmV0");
    desk.answer("presence-b", Ok(auth));
    let frame = desk.last_frame();
    assert_eq!(frame["data"]["channel"], "presence-b");
    assert_eq!(frame["data"]["auth"], "key:s");
    assert_eq!(frame["data"]["channel_data"], data, "byte for byte");
    assert_eq!(frame["data"].as_object().unwrap().len(), 3, "{frame}");

    // Signed too, so it is sent on a private channel as well.
    desk.subscribe("private-c");
    desk.answer("private-c", Ok(Auth::new("key:s").channel_data("no JSON")));
    assert_eq!(desk.last_frame()["data"]["channel_data"], "no JSON");
}

/// What may happen while the authorizer is thinking, and what comes out of it at once.
#[test]
fn a_late_answer_does_nothing() {
    type Step = fn(&mut Desk);
    type Case = (&'static str, Step, &'static [&'static str], ChannelStatus);
    use ChannelStatus::{Pending, Unsubscribed};
    let cases: [Case; 8] = [
        ("lost", Desk::lose, &[], Pending),
        ("disconnected", Desk::disconnect, &[], Pending),
        ("unsubscribed", |desk| desk.unsubscribe(ROOM), &[], Unsubscribed),
        (
            "unsubscribed and subscribed",
            |desk| {
                desk.unsubscribe(ROOM);
                desk.subscribe(ROOM);
            },
            &["ask private-room 1"],
            Pending,
        ),
        ("reconnected", Desk::reconnect, &["ask private-room 1"], Pending),
        (
            "disconnected and connected",
            |desk| {
                desk.disconnect();
                desk.reconnect();
            },
            &["ask private-room 1"],
            Pending,
        ),
        (
            "lost, unsubscribed, connected",
            |desk| {
                desk.lose();
                desk.unsubscribe(ROOM);
                desk.reconnect();
            },
            &[],
            Unsubscribed,
        ),
        (
            "retired",
            |desk| {
                desk.unsubscribe(ROOM);
                desk.input(|machine, _| machine.retire(ROOM));
            },
            &[],
            ChannelStatus::Idle,
        ),
    ];
    for (what, step, lines, then) in cases {
        for begun in [false, true] {
            for answered_well in [false, true] {
                let mut desk = Desk::connected();
                desk.subscribe(ROOM);
                let stale = desk.ask(ROOM);
                assert!(!begun || desk.begin(&stale));
                desk.take();
                step(&mut desk);
                assert_eq!(desk.take(), lines, "{what}");
                assert!(!desk.begin(&stale), "{what}: nobody waits for the answer");
                let answer = if answered_well { Ok(granted(&stale)) } else { Err(status(403)) };
                desk.reply(&stale, answer);
                assert!(desk.take().is_empty(), "{what}: a late answer did something");
                assert_eq!(desk.status(ROOM), then, "{what}");
                // The new question, if there is one, is answered as if nothing had been.
                if !lines.is_empty() {
                    desk.grant(ROOM);
                    desk.expect(&["subscribe private-room"]);
                }
            }
        }
    }
}

#[test]
fn an_answer_counts_once() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    let ask = desk.ask(ROOM);
    desk.grant(ROOM);
    desk.take();
    for answer in [Ok(granted(&ask)), Err(status(403)), Err(io())] {
        assert!(!desk.begin(&ask));
        desk.reply(&ask, answer);
    }
    desk.expect(&[]);
    desk.confirm(ROOM);
    desk.take();
    desk.reply(&ask, Err(status(403)));
    desk.expect(&[]);
    assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed);
}

#[test]
fn answers_reach_the_channels_that_they_are_for() {
    let mut desk = Desk::connected();
    for name in ["private-a", "private-b"] {
        desk.subscribe(name);
    }
    let (a, b) = (desk.ask("private-a"), desk.ask("private-b"));
    desk.take();
    // A ticket is of one channel only.
    desk.reply(&super::desk::Ask { ticket: a.ticket, ..b.clone() }, Ok(granted(&a)));
    desk.expect(&[]);
    desk.reply(&b, Ok(granted(&b)));
    desk.expect(&["subscribe private-b"]);
    desk.reply(&a, Err(status(403)));
    desk.expect_failure("private-a", ErrorKind::Auth);
    assert_eq!(desk.status("private-b"), ChannelStatus::Pending);
}

#[test]
fn a_question_that_is_queued_has_ten_times_the_time() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.take();
    desk.advance(SUBSCRIBE * 10 - MS);
    desk.expect(&[]);
    assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
    let ask = desk.ask(ROOM);
    assert!(desk.begin(&ask));
    desk.advance(SUBSCRIBE - MS);
    desk.expect(&[]);
    desk.advance(MS);
    desk.expect_failure(ROOM, ErrorKind::Timeout);
    // Nobody comes to ask it: it is not left pending for ever.
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    let ask = desk.ask(ROOM);
    desk.take();
    desk.advance(SUBSCRIBE * 10);
    desk.expect_failure(ROOM, ErrorKind::Timeout);
    assert!(!desk.begin(&ask));
}

#[test]
fn an_authorizer_that_never_answers_fails_the_subscription_for_good() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    let late = desk.ask(ROOM);
    assert!(desk.begin(&late));
    desk.advance(LONG);
    assert_eq!(desk.status(ROOM), ChannelStatus::Failed);
    let failure = desk.machine.channel_failure(ROOM).unwrap();
    assert!(failure.to_string().contains("subscribe_timeout is 20 s"), "{failure}");
    assert_eq!(failure.timeout(), Some(Timeout::Auth));
    desk.take();
    assert!(!desk.begin(&late));
    desk.reply(&late, Ok(granted(&late)));
    desk.reply(&late, Err(status(403)));
    desk.expect(&[]);
    assert_eq!(desk.machine.channel_failure(ROOM).unwrap().kind(), ErrorKind::Timeout);
    desk.subscribe(ROOM);
    desk.expect(&["ask private-room 1"]);
    desk.reply(&late, Ok(granted(&late)));
    desk.expect(&[]);
    desk.grant(ROOM);
    desk.expect(&["subscribe private-room"]);
}

#[test]
fn nothing_is_unsubscribed_that_the_server_never_heard_of() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    assert!(desk.begin(&desk.ask(ROOM)));
    desk.advance(SUBSCRIBE);
    assert_eq!(desk.status(ROOM), ChannelStatus::Failed);
    desk.take();
    desk.unsubscribe(ROOM);
    desk.expect(&[]);
    // But what it has not answered it may have.
    desk.subscribe(ROOM);
    desk.grant(ROOM);
    desk.advance(SUBSCRIBE);
    desk.take();
    desk.unsubscribe(ROOM);
    desk.expect(&["unsubscribe private-room"]);
}

#[test]
fn what_the_server_says_of_an_earlier_subscription_does_not_count_before_the_next_is_sent() {
    let frames = [
        "pusher_internal:subscription_succeeded",
        "pusher:subscription_error",
        "pusher_internal:subscription_error",
    ];
    for frame in frames {
        for name in [ROOM, "presence-room"] {
            let mut desk = Desk::connected();
            desk.subscribe(name);
            desk.grant(name);
            desk.unsubscribe(name);
            desk.subscribe(name);
            desk.take();
            let data =
                serde_json::json!(r#"{"presence":{"ids":["a"],"hash":{"a":null},"count":1}}"#);
            desk.server(frame, Some(name), &data);
            desk.expect(&[]);
            assert_eq!(desk.status(name), ChannelStatus::Pending, "{frame}");
            assert!(desk.members(name).is_empty());
            desk.grant(name);
            desk.expect(&[&format!("subscribe {name}")]);
            desk.confirm(name);
            assert_eq!(desk.status(name), ChannelStatus::Subscribed, "{frame}");
        }
    }
}

#[test]
fn without_an_answer_of_the_server_the_subscription_fails() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.grant(ROOM);
    desk.take();
    desk.advance(SUBSCRIBE);
    desk.expect_failure(ROOM, ErrorKind::Timeout);
    desk.advance(LONG);
    desk.expect(&[]);
    desk.subscribe(ROOM);
    desk.expect(&["ask private-room 1"]);
}

#[test]
fn what_may_pass_is_asked_again_with_back_off() {
    let timeout = || Error::message(ErrorKind::Timeout, "timed out");
    let errors: [fn() -> Error; 5] = [|| status(503), || status(408), || status(429), io, timeout];
    for error in errors {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        let (mut waits, mut longest) = (Vec::new(), Duration::ZERO);
        for attempt in 1..=30 {
            let ask = desk.ask(ROOM);
            assert_eq!(ask.attempt, attempt);
            desk.take();
            desk.answer(ROOM, Err(error()));
            desk.expect_failure(ROOM, error().kind());
            assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
            assert!(!desk.begin(&ask), "the question was answered");
            desk.reply(&ask, Ok(granted(&ask)));
            desk.expect(&[]);
            let before = desk.now.mono;
            while desk.asks.len() == usize::try_from(attempt).unwrap() {
                desk.advance(10 * MS);
                assert!(desk.now.mono - before <= secs(31), "attempt {attempt}");
            }
            let wait = desk.now.mono - before;
            let ceiling = secs(1 << (attempt - 1).min(5)).min(secs(30));
            assert!(wait <= ceiling + 10 * MS, "attempt {attempt}: {wait:?}");
            longest = longest.max(wait);
            waits.push(wait);
            desk.expect(&[&format!("ask private-room {}", attempt + 1)]);
        }
        assert!(longest > secs(10), "it grows: {waits:?}");
        desk.grant(ROOM);
        desk.confirm(ROOM);
        assert_eq!(desk.status(ROOM), ChannelStatus::Subscribed);
        // A new connection begins anew.
        desk.reconnect();
        assert_eq!(desk.ask(ROOM).attempt, 1);
    }
}

#[test]
fn the_wait_that_an_endpoint_asks_for_is_kept_up_to_a_limit() {
    let hour = secs(3600);
    for (asked, kept) in [(secs(60), secs(60)), (hour, hour), (secs(90_000), hour)] {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.answer(ROOM, Err(status(429).with_retry_after(asked)));
        desk.take();
        desk.advance(kept - MS);
        desk.expect(&[]);
        desk.advance(MS);
        desk.expect(&["ask private-room 2"]);
    }
    // It does not shorten the back-off to nothing.
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, Err(status(429).with_retry_after(Duration::ZERO)));
    desk.take();
    desk.advance(secs(1));
    desk.expect(&["ask private-room 2"]);
}

#[test]
fn while_a_retry_waits_the_user_may_do_as_before() {
    let postponed = || {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.answer(ROOM, Err(status(503).with_retry_after(secs(60))));
        desk.take();
        desk
    };
    // Given up: it is not asked again, and the server has nothing to hear of.
    let mut desk = postponed();
    desk.unsubscribe(ROOM);
    desk.advance(LONG);
    desk.expect(&[]);
    // Asked for again, or of another authorizer: at once, and once.
    type Step = fn(&mut Desk);
    let steps: [Step; 2] = [
        |desk| desk.subscribe(ROOM),
        |desk| desk.input(|machine, now| machine.authorizer_changed(ROOM, now)),
    ];
    for step in steps {
        let mut desk = postponed();
        step(&mut desk);
        desk.expect(&["ask private-room 1"]);
        desk.advance(secs(60));
        desk.expect(&[]);
        desk.grant(ROOM);
        desk.expect(&["subscribe private-room"]);
    }
    // On a new connection: at once, and not again when the time has come.
    let mut desk = postponed();
    desk.reconnect();
    desk.expect(&["ask private-room 1"]);
    desk.grant(ROOM);
    desk.confirm(ROOM);
    desk.take();
    desk.advance(LONG);
    desk.expect(&[]);
}

#[test]
fn what_will_not_pass_waits_for_the_user() {
    let malformed = || Auth::from_json("<html>").unwrap_err();
    let errors: [fn() -> Error; 4] = [|| status(401), || status(403), || status(404), malformed];
    for error in errors {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.subscribe("private-other");
        desk.grant("private-other");
        desk.take();
        desk.answer(ROOM, Err(error()));
        desk.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(desk.status(ROOM), ChannelStatus::Failed);
        let failure = desk.machine.channel_failure(ROOM).unwrap();
        assert_eq!((failure.http_status(), failure.channel()), (error().http_status(), Some(ROOM)));
        desk.confirm("private-other");
        desk.take();
        desk.advance(LONG);
        desk.expect(&[]);
        desk.subscribe(ROOM);
        desk.expect(&["ask private-room 1"]);
        assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
        desk.answer(ROOM, Err(error()));
        desk.take();
        desk.input(|machine, now| machine.authorizer_changed(ROOM, now));
        desk.expect(&["ask private-room 1"]);
        desk.grant(ROOM);
        desk.confirm(ROOM);
        desk.take();
        // What works is left alone.
        desk.input(|machine, now| machine.authorizer_changed(ROOM, now));
        desk.expect(&[]);
    }
}

#[test]
fn a_failed_subscription_is_tried_again_on_the_next_connection() {
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    desk.answer(ROOM, Err(status(403)));
    desk.take();
    desk.lose();
    assert_eq!(desk.status(ROOM), ChannelStatus::Pending);
    // A new authorizer has nothing to do offline.
    desk.input(|machine, now| machine.authorizer_changed(ROOM, now));
    desk.expect(&[]);
    desk.reconnect();
    desk.expect(&["ask private-room 1"]);
}

#[test]
fn whoever_does_not_answer_is_given_up_even_when_the_answer_is_of_no_use_any_more() {
    type Step = fn(&mut Desk);
    let steps: [Step; 5] = [
        |_| {},
        Desk::lose,
        Desk::disconnect,
        |desk| desk.unsubscribe(ROOM),
        |desk| {
            desk.reconnect();
            desk.reconnect();
        },
    ];
    for step in steps {
        let mut desk = Desk::connected();
        desk.subscribe(ROOM);
        desk.signin();
        let (ask, user) = (desk.ask(ROOM), desk.user_asks[0]);
        assert!(desk.begin(&ask));
        assert!(desk.input(|machine, now| machine.begin_authentication(user, now)));
        desk.advance(secs(1));
        step(&mut desk);
        desk.advance(SUBSCRIBE - secs(1) - MS);
        assert!(desk.abandoned.is_empty());
        desk.advance(MS);
        assert_eq!(desk.abandoned, [ask.ticket]);
        desk.advance(SIGNIN - SUBSCRIBE);
        assert_eq!(desk.abandoned, [ask.ticket, user]);
        desk.advance(LONG);
        assert_eq!(desk.abandoned.len(), 2);
    }
    // One that has come back is not.
    let mut desk = Desk::connected();
    desk.subscribe(ROOM);
    let ask = desk.ask(ROOM);
    assert!(desk.begin(&ask));
    desk.lose();
    desk.reply(&ask, Ok(granted(&ask)));
    desk.advance(LONG);
    assert!(desk.abandoned.is_empty());
}
