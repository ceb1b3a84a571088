//! When an authorization is requested and retried, and what becomes of late responses.

use std::time::Duration;

use super::harness::{Harness, MS, SIGNIN, SUBSCRIBE, granted, io, secs, status};
use crate::{Auth, ChannelStatus, Error, ErrorKind, Timeout};

const ROOM: &str = "private-room";

/// Long enough for everything that is not to happen.
const LONG: Duration = secs(3600);

#[test]
fn each_channel_is_authorized_once_on_each_connection() {
    let mut harness = Harness::new();
    harness.subscribe("presence-b");
    harness.subscribe(ROOM);
    harness.subscribe("room");
    harness.expect(&[]);
    harness.connect();
    harness.expect(&[]);
    harness.establish();
    harness.expect(&["authorize presence-b 1", "authorize private-room 1", "subscribe room"]);
    harness.subscribe(ROOM);
    harness.subscribe("presence-b");
    harness.expect(&[]);
    harness.grant(ROOM);
    harness.grant("presence-b");
    harness.expect(&["subscribe private-room", "subscribe presence-b"]);
    for name in [ROOM, "presence-b", "room"] {
        harness.confirm(name);
        harness.subscribe(name);
        assert_eq!(harness.status(name), ChannelStatus::Subscribed);
    }
    harness.take();
    harness.lose();
    harness.reestablish();
    harness.expect(&["authorize presence-b 1", "authorize private-room 1", "subscribe room"]);
    assert_eq!(harness.request(ROOM).socket_id, "7.2");
    assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
}

#[test]
fn the_response_is_sent_unchanged_without_the_secret() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, Ok(Auth::new("key:\"s\"")));
    let plain =
        r#"{"event":"pusher:subscribe","data":{"channel":"private-room","auth":"key:\"s\""}}"#;
    assert_eq!(harness.frames, [plain]);

    let data = r#"{ "user_id" : "me", "user_info":{"n":"é\u00e9\/"} }"#;
    harness.subscribe("presence-b");
    let auth = Auth::new("key:s").channel_data(data).shared_secret("c2VjcmV0");
    harness.respond("presence-b", Ok(auth));
    let frame = harness.last_frame();
    assert_eq!(frame["data"]["channel"], "presence-b");
    assert_eq!(frame["data"]["auth"], "key:s");
    assert_eq!(frame["data"]["channel_data"], data, "byte for byte");
    assert_eq!(frame["data"].as_object().unwrap().len(), 3, "{frame}");

    // Signed too, so it is sent on a private channel as well.
    harness.subscribe("private-c");
    harness.respond("private-c", Ok(Auth::new("key:s").channel_data("no JSON")));
    assert_eq!(harness.last_frame()["data"]["channel_data"], "no JSON");
}

/// What may happen while the authorizer runs: a name, the step, its output and the status after it.
type Case = (&'static str, fn(&mut Harness), &'static [&'static str], ChannelStatus);

fn steps_during_authorization() -> [Case; 8] {
    use ChannelStatus::{Idle, Pending, Unsubscribed};
    [
        ("lost", Harness::lose, &[], Pending),
        ("disconnected", Harness::disconnect, &[], Pending),
        ("unsubscribed", |harness| harness.unsubscribe(ROOM), &[], Unsubscribed),
        (
            "unsubscribed and subscribed",
            |harness| {
                harness.unsubscribe(ROOM);
                harness.subscribe(ROOM);
            },
            &["authorize private-room 1"],
            Pending,
        ),
        ("reconnected", Harness::reestablish, &["authorize private-room 1"], Pending),
        (
            "disconnected and connected",
            |harness| {
                harness.disconnect();
                harness.reestablish();
            },
            &["authorize private-room 1"],
            Pending,
        ),
        (
            "lost, unsubscribed, connected",
            |harness| {
                harness.lose();
                harness.unsubscribe(ROOM);
                harness.reestablish();
            },
            &[],
            Unsubscribed,
        ),
        (
            "retired",
            |harness| {
                harness.unsubscribe(ROOM);
                harness.retire(ROOM);
            },
            &[],
            Idle,
        ),
    ]
}

#[test]
fn a_late_response_has_no_effect() {
    for (what, step, lines, then) in steps_during_authorization() {
        for begun in [false, true] {
            for answered_well in [false, true] {
                let mut harness = Harness::connected();
                harness.subscribe(ROOM);
                let stale = harness.request(ROOM);
                assert!(!begun || harness.begin(&stale));
                harness.take();
                step(&mut harness);
                assert_eq!(harness.take().lines, lines, "{what}");
                assert!(!harness.begin(&stale), "{what}: nothing waits for the response");
                let response = if answered_well { Ok(granted(&stale)) } else { Err(status(403)) };
                harness.respond_to(&stale, response);
                assert!(harness.take().lines.is_empty(), "{what}: a late response had an effect");
                assert_eq!(harness.status(ROOM), then, "{what}");
                // The new request, if there is one, gets a response as usual.
                if !lines.is_empty() {
                    harness.grant(ROOM);
                    harness.expect(&["subscribe private-room"]);
                }
            }
        }
    }
}

#[test]
fn a_response_counts_once() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    let request = harness.request(ROOM);
    harness.grant(ROOM);
    harness.take();
    for response in [Ok(granted(&request)), Err(status(403)), Err(io())] {
        assert!(!harness.begin(&request));
        harness.respond_to(&request, response);
    }
    harness.expect(&[]);
    harness.confirm(ROOM);
    harness.take();
    harness.respond_to(&request, Err(status(403)));
    harness.expect(&[]);
    assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed);
}

#[test]
fn responses_reach_the_channels_that_they_are_for() {
    let mut harness = Harness::connected();
    for name in ["private-a", "private-b"] {
        harness.subscribe(name);
    }
    let (a, b) = (harness.request("private-a"), harness.request("private-b"));
    harness.take();
    // An id is of one channel only.
    let mut mixed = b.clone();
    mixed.id = a.id;
    harness.respond_to(&mixed, Ok(granted(&a)));
    harness.expect(&[]);
    harness.respond_to(&b, Ok(granted(&b)));
    harness.expect(&["subscribe private-b"]);
    harness.respond_to(&a, Err(status(403)));
    harness.expect_failure("private-a", ErrorKind::Auth);
    assert_eq!(harness.status("private-b"), ChannelStatus::Pending);
}

#[test]
fn a_queued_request_has_ten_times_the_time() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.take();
    harness.advance(SUBSCRIBE * 10 - MS);
    harness.expect(&[]);
    assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
    let request = harness.request(ROOM);
    assert!(harness.begin(&request));
    harness.advance(SUBSCRIBE - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect_failure(ROOM, ErrorKind::Timeout);
    // No worker begins it: it is not left pending for ever.
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    let request = harness.request(ROOM);
    harness.take();
    harness.advance(SUBSCRIBE * 10);
    harness.expect_failure(ROOM, ErrorKind::Timeout);
    assert!(!harness.begin(&request));
}

#[test]
fn an_authorizer_that_never_returns_fails_the_subscription_for_good() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    let late = harness.request(ROOM);
    assert!(harness.begin(&late));
    harness.advance(LONG);
    assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
    let failure = harness.machine.channel_failure(ROOM).unwrap();
    assert!(failure.to_string().contains("subscribe_timeout is 20 s"), "{failure}");
    assert_eq!(failure.timeout(), Some(Timeout::Auth));
    harness.take();
    assert!(!harness.begin(&late));
    harness.respond_to(&late, Ok(granted(&late)));
    harness.respond_to(&late, Err(status(403)));
    harness.expect(&[]);
    assert_eq!(harness.machine.channel_failure(ROOM).unwrap().kind(), ErrorKind::Timeout);
    harness.subscribe(ROOM);
    harness.expect(&["authorize private-room 1"]);
    harness.respond_to(&late, Ok(granted(&late)));
    harness.expect(&[]);
    harness.grant(ROOM);
    harness.expect(&["subscribe private-room"]);
}

#[test]
fn nothing_is_unsubscribed_that_the_server_never_heard_of() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    assert!(harness.begin(&harness.request(ROOM)));
    harness.advance(SUBSCRIBE);
    assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
    harness.take();
    harness.unsubscribe(ROOM);
    harness.expect(&[]);
    // But it may have what it has not responded to.
    harness.subscribe(ROOM);
    harness.grant(ROOM);
    harness.advance(SUBSCRIBE);
    harness.take();
    harness.unsubscribe(ROOM);
    harness.expect(&["unsubscribe private-room"]);
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
            let mut harness = Harness::connected();
            harness.subscribe(name);
            harness.grant(name);
            harness.unsubscribe(name);
            harness.subscribe(name);
            harness.take();
            let data =
                serde_json::json!(r#"{"presence":{"ids":["a"],"hash":{"a":null},"count":1}}"#);
            harness.server(frame, Some(name), &data);
            harness.expect(&[]);
            assert_eq!(harness.status(name), ChannelStatus::Pending, "{frame}");
            assert!(harness.members(name).is_empty());
            harness.grant(name);
            harness.expect(&[&format!("subscribe {name}")]);
            harness.confirm(name);
            assert_eq!(harness.status(name), ChannelStatus::Subscribed, "{frame}");
        }
    }
}

#[test]
fn without_a_response_of_the_server_the_subscription_fails() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.grant(ROOM);
    harness.take();
    harness.advance(SUBSCRIBE);
    harness.expect_failure(ROOM, ErrorKind::Timeout);
    harness.advance(LONG);
    harness.expect(&[]);
    harness.subscribe(ROOM);
    harness.expect(&["authorize private-room 1"]);
}

#[test]
fn transient_failures_are_retried_with_backoff() {
    let timeout = || Error::message(ErrorKind::Timeout, "timed out");
    let errors: [fn() -> Error; 5] = [|| status(503), || status(408), || status(429), io, timeout];
    for error in errors {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        let (mut waits, mut longest) = (Vec::new(), Duration::ZERO);
        for attempt in 1..=30 {
            let request = harness.request(ROOM);
            assert_eq!(request.attempt, attempt);
            harness.take();
            harness.respond(ROOM, Err(error()));
            harness.expect_failure(ROOM, error().kind());
            assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
            assert!(!harness.begin(&request), "the request is over");
            harness.respond_to(&request, Ok(granted(&request)));
            harness.expect(&[]);
            let before = harness.now.mono;
            while harness.requests.len() == usize::try_from(attempt).unwrap() {
                harness.advance(10 * MS);
                assert!(harness.now.mono - before <= secs(31), "attempt {attempt}");
            }
            let wait = harness.now.mono - before;
            let ceiling = secs(1 << (attempt - 1).min(5)).min(secs(30));
            assert!(wait <= ceiling + 10 * MS, "attempt {attempt}: {wait:?}");
            longest = longest.max(wait);
            waits.push(wait);
            harness.expect(&[&format!("authorize private-room {}", attempt + 1)]);
        }
        assert!(longest > secs(10), "it grows: {waits:?}");
        harness.grant(ROOM);
        harness.confirm(ROOM);
        assert_eq!(harness.status(ROOM), ChannelStatus::Subscribed);
        // A new connection begins anew.
        harness.reestablish();
        assert_eq!(harness.request(ROOM).attempt, 1);
    }
}

#[test]
fn the_wait_that_an_endpoint_requests_is_kept_up_to_a_limit() {
    let hour = secs(3600);
    for (requested, kept) in [(secs(60), secs(60)), (hour, hour), (secs(90_000), hour)] {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.respond(ROOM, Err(status(429).with_retry_after(requested)));
        harness.take();
        harness.advance(kept - MS);
        harness.expect(&[]);
        harness.advance(MS);
        harness.expect(&["authorize private-room 2"]);
    }
    // It does not shorten the back-off to nothing.
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, Err(status(429).with_retry_after(Duration::ZERO)));
    harness.take();
    harness.advance(secs(1));
    harness.expect(&["authorize private-room 2"]);
}

#[test]
fn while_a_retry_waits_the_user_may_do_as_before() {
    let postponed = || {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.respond(ROOM, Err(status(503).with_retry_after(secs(60))));
        harness.take();
        harness
    };
    // Given up: it is not requested again, and nothing is sent to the server.
    let mut harness = postponed();
    harness.unsubscribe(ROOM);
    harness.advance(LONG);
    harness.expect(&[]);
    // Subscribed again, or with another authorizer: at once, and once.
    type Step = fn(&mut Harness);
    let steps: [Step; 2] = [
        |harness| harness.subscribe(ROOM),
        |harness| harness.input(|machine, now| machine.authorizer_changed(ROOM, now)),
    ];
    for step in steps {
        let mut harness = postponed();
        step(&mut harness);
        harness.expect(&["authorize private-room 1"]);
        harness.advance(secs(60));
        harness.expect(&[]);
        harness.grant(ROOM);
        harness.expect(&["subscribe private-room"]);
    }
    // On a new connection: at once, and not again when the time has come.
    let mut harness = postponed();
    harness.reestablish();
    harness.expect(&["authorize private-room 1"]);
    harness.grant(ROOM);
    harness.confirm(ROOM);
    harness.take();
    harness.advance(LONG);
    harness.expect(&[]);
}

#[test]
fn permanent_failures_wait_for_the_user() {
    let malformed = || Auth::from_json("<html>").unwrap_err();
    let errors: [fn() -> Error; 4] = [|| status(401), || status(403), || status(404), malformed];
    for error in errors {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.subscribe("private-other");
        harness.grant("private-other");
        harness.take();
        harness.respond(ROOM, Err(error()));
        harness.expect_failure(ROOM, ErrorKind::Auth);
        assert_eq!(harness.status(ROOM), ChannelStatus::Failed);
        let failure = harness.machine.channel_failure(ROOM).unwrap();
        assert_eq!((failure.http_status(), failure.channel()), (error().http_status(), Some(ROOM)));
        harness.confirm("private-other");
        harness.take();
        harness.advance(LONG);
        harness.expect(&[]);
        harness.subscribe(ROOM);
        harness.expect(&["authorize private-room 1"]);
        assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
        harness.respond(ROOM, Err(error()));
        harness.take();
        harness.input(|machine, now| machine.authorizer_changed(ROOM, now));
        harness.expect(&["authorize private-room 1"]);
        harness.grant(ROOM);
        harness.confirm(ROOM);
        harness.take();
        // What works is left alone.
        harness.input(|machine, now| machine.authorizer_changed(ROOM, now));
        harness.expect(&[]);
    }
}

#[test]
fn a_failed_subscription_is_tried_again_on_the_next_connection() {
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    harness.respond(ROOM, Err(status(403)));
    harness.take();
    harness.lose();
    assert_eq!(harness.status(ROOM), ChannelStatus::Pending);
    // A new authorizer has nothing to do offline.
    harness.input(|machine, now| machine.authorizer_changed(ROOM, now));
    harness.expect(&[]);
    harness.reestablish();
    harness.expect(&["authorize private-room 1"]);
}

#[test]
fn an_authorizer_that_does_not_return_is_abandoned_even_if_its_response_is_no_longer_needed() {
    type Step = fn(&mut Harness);
    let steps: [Step; 5] = [
        |_| {},
        Harness::lose,
        Harness::disconnect,
        |harness| harness.unsubscribe(ROOM),
        |harness| {
            harness.reestablish();
            harness.reestablish();
        },
    ];
    for step in steps {
        let mut harness = Harness::connected();
        harness.subscribe(ROOM);
        harness.signin();
        let (request, user) = (harness.request(ROOM), harness.user_request());
        assert!(harness.begin(&request));
        assert!(harness.begin_user(&user));
        harness.advance(secs(1));
        step(&mut harness);
        harness.advance(SUBSCRIBE - secs(1) - MS);
        assert!(harness.abandoned.is_empty());
        harness.advance(MS);
        assert_eq!(harness.abandoned, [request.id]);
        harness.advance(SIGNIN - SUBSCRIBE);
        assert_eq!(harness.abandoned, [request.id, user.id]);
        harness.advance(LONG);
        assert_eq!(harness.abandoned.len(), 2);
    }
    // One that has come back is not.
    let mut harness = Harness::connected();
    harness.subscribe(ROOM);
    let request = harness.request(ROOM);
    assert!(harness.begin(&request));
    harness.lose();
    harness.respond_to(&request, Ok(granted(&request)));
    harness.advance(LONG);
    assert!(harness.abandoned.is_empty());
}
