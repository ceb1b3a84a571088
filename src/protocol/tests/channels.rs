//! Subscriptions: what is wanted, what the server has made of it, and what the user is notified of.

use std::time::Duration;

use super::harness::{ACTIVITY, Harness, MS, SUBSCRIBE, secs};
use crate::{ChannelStatus, ErrorKind, State};

#[test]
fn channels_wanted_before_connecting_are_subscribed_in_order() {
    let mut harness = Harness::quiet();
    assert_eq!(harness.status("b"), ChannelStatus::Idle);
    for name in ["b", "a", "c", "b"] {
        harness.subscribe(name);
        assert_eq!(harness.status(name), ChannelStatus::Pending);
    }
    harness.unsubscribe("a");
    harness.expect_nothing();
    harness.connect();
    harness.opened();
    harness.subscribe("d");
    harness.expect_outputs("Ds");
    harness.establish();
    let outputs = harness.expect_outputs("scSSS");
    assert_eq!(outputs.sent(), ["subscribe b", "subscribe c", "subscribe d"]);
    assert_eq!(outputs.sends[0], r#"{"event":"pusher:subscribe","data":{"channel":"b"}}"#);
}

#[test]
fn after_a_loss_exactly_what_is_wanted_is_subscribed_again_in_order() {
    let mut harness = Harness::quiet_subscribed(&["z", "y", "x", "w"]);
    harness.unsubscribe("y");
    harness.subscribe("y"); // Wanted again, so it comes last.
    harness.unsubscribe("x");
    for _ in 0..3 {
        harness.lose();
        harness.advance_to_deadline();
        harness.take();
        harness.establish();
        assert_eq!(harness.take().sent(), ["subscribe z", "subscribe w", "subscribe y"]);
        harness.confirm("w");
    }
    harness.disconnect();
    harness.connect();
    harness.take();
    harness.establish();
    assert_eq!(harness.take().sent(), ["subscribe z", "subscribe w", "subscribe y"]);
}

#[test]
fn subscribing_twice_sends_once() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.subscribe("room");
    assert_eq!(harness.expect_outputs("S").sent(), ["subscribe room"]);
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("v").event_names(), ["pusher:subscription_succeeded"]);
    harness.subscribe("room");
    harness.expect_nothing();
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn unsubscribing_twice_sends_once() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.unsubscribe("room");
    harness.unsubscribe("room");
    let outputs = harness.expect_outputs("S");
    assert_eq!(outputs.sends, [r#"{"event":"pusher:unsubscribe","data":{"channel":"room"}}"#]);
    assert_eq!(harness.status("room"), ChannelStatus::Unsubscribed);
}

#[test]
fn unsubscribing_what_is_pending_is_final_whatever_comes_late() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.unsubscribe("room");
    assert_eq!(harness.expect_outputs("SS").sent(), ["subscribe room", "unsubscribe room"]);
    harness.server("e", Some("room"), "1");
    harness.server(
        "pusher_internal:subscription_count",
        Some("room"),
        r#"{"subscription_count":3}"#,
    );
    harness.server("pusher:subscription_error", Some("room"), "{}");
    harness.expect_nothing();
    harness.confirm("room");
    assert_eq!(harness.expect_outputs("S").sent(), ["unsubscribe room"]);
    assert_eq!(harness.status("room"), ChannelStatus::Unsubscribed);
    assert_eq!(harness.machine.subscription_count("room"), None);
    harness.advance(SUBSCRIBE);
    harness.expect_nothing();
    harness.lose();
    harness.advance_to_deadline();
    harness.establish();
    assert!(harness.take().sends.is_empty(), "no zombie");
}

#[test]
fn a_late_confirmation_does_not_stand_in_for_a_new_subscription() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.unsubscribe("room");
    harness.confirm("room");
    harness.take();
    harness.subscribe("room");
    assert_eq!(harness.expect_outputs("S").sent(), ["subscribe room"]);
    assert_eq!(harness.status("room"), ChannelStatus::Pending);
}

#[test]
fn unsubscribing_while_offline_sends_nothing_later() {
    type Offline = fn(&mut Harness);
    let ways: [Offline; 3] = [Harness::lose, Harness::disconnect, Harness::reconnect];
    for offline in ways {
        let mut harness = Harness::quiet_subscribed(&["room", "other"]);
        offline(&mut harness);
        harness.unsubscribe("room");
        if harness.state() == State::Disconnected {
            harness.connect();
        } else {
            harness.reconnect();
        }
        harness.establish();
        let outputs = harness.take();
        assert_eq!(outputs.sent(), ["subscribe other"]);
        assert_eq!(harness.status("room"), ChannelStatus::Unsubscribed);
    }
}

#[test]
fn subscribing_again_at_once_sends_both_and_takes_a_confirmation() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.unsubscribe("room");
    harness.subscribe("room");
    assert_eq!(harness.expect_outputs("SS").sent(), ["unsubscribe room", "subscribe room"]);
    assert_eq!(harness.status("room"), ChannelStatus::Pending);
    harness.confirm("room");
    harness.expect_outputs("v");
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn without_a_response_the_subscription_fails_and_a_late_one_still_counts() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    assert_eq!(harness.due_in(), SUBSCRIBE);
    harness.take();
    harness.advance(SUBSCRIBE - MS);
    harness.timeout();
    harness.expect_nothing();
    harness.advance(MS);
    let outputs = harness.expect_outputs("fe");
    assert_eq!(outputs.failed[0].0, "room");
    let error = outputs.error();
    assert_eq!((error.kind(), error.channel()), (ErrorKind::Timeout, Some("room")));
    assert_eq!(harness.status("room"), ChannelStatus::Failed);
    let kept = harness.machine.channel_failure("room").unwrap();
    assert_eq!(kept.to_string(), error.to_string());
    assert_eq!(harness.state(), State::Connected);

    harness.confirm("room");
    harness.expect_outputs("v");
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
    assert!(harness.machine.channel_failure("room").is_none());
}

#[test]
fn each_subscription_has_its_own_deadline() {
    let mut harness = Harness::quiet_connected();
    for name in ["a", "b", "c"] {
        harness.subscribe(name);
        harness.skip(secs(1));
    }
    harness.confirm("b");
    harness.take();
    harness.advance(SUBSCRIBE - secs(3));
    assert_eq!(harness.expect_outputs("fe").failed[0].0, "a");
    harness.advance(secs(1));
    harness.expect_nothing();
    harness.advance(secs(1));
    assert_eq!(harness.expect_outputs("fe").failed[0].0, "c");
}

#[test]
fn deadlines_that_pass_together_all_count_in_one_call() {
    let mut harness = Harness::quiet_connected();
    for name in ["a", "b", "c"] {
        harness.subscribe(name);
    }
    harness.take();
    harness.skip(SUBSCRIBE * 2);
    harness.timeout();
    let outputs = harness.expect_outputs("fefefe");
    let names: Vec<_> = outputs.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(harness.deadline().unwrap() > harness.now.mono);
}

#[test]
fn once_all_is_confirmed_only_the_heartbeat_is_due() {
    let mut harness = Harness::quiet_connected();
    let names: Vec<_> = (0..50).map(|i| format!("room-{i}")).collect();
    for name in &names {
        harness.subscribe(name);
    }
    assert_eq!(harness.due_in(), SUBSCRIBE);
    harness.unsubscribe(&names[0]);
    for name in &names[1..] {
        harness.confirm(name);
    }
    assert_eq!(harness.due_in(), ACTIVITY);
    harness.take();
    harness.advance(ACTIVITY - MS);
    harness.expect_nothing();
}

#[test]
fn a_deadline_of_a_lost_connection_is_void() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.skip(secs(1));
    harness.reconnect();
    harness.establish();
    harness.take();
    assert_eq!(harness.due_in(), SUBSCRIBE);
    harness.advance(SUBSCRIBE - MS);
    harness.expect_nothing();
}

#[test]
fn a_failed_subscription_is_retried_by_subscribe_and_by_the_next_connection() {
    let mut harness = Harness::quiet_connected();
    harness.subscribe("room");
    harness.server("pusher:subscription_error", Some("room"), r#"{"status":403}"#);
    assert_eq!(harness.status("room"), ChannelStatus::Failed);
    harness.take();
    harness.advance(SUBSCRIBE * 2);
    harness.expect_nothing();
    harness.subscribe("room");
    assert_eq!(harness.expect_outputs("S").sent(), ["subscribe room"]);
    assert_eq!((harness.status("room"), harness.due_in()), (ChannelStatus::Pending, SUBSCRIBE));
    harness.advance(SUBSCRIBE);
    harness.expect_outputs("fe");
    harness.lose();
    assert_eq!(harness.status("room"), ChannelStatus::Pending);
    harness.advance_to_deadline();
    harness.establish();
    assert_eq!(harness.take().sent(), ["subscribe room"]);
}

#[test]
fn unsubscribing_notifies_the_server_if_it_may_have_the_subscription() {
    let mut refused = Harness::quiet_connected();
    refused.subscribe("room");
    refused.server("pusher:subscription_error", Some("room"), r#"{"status":401}"#);
    refused.take();
    refused.unsubscribe("room");
    refused.expect_nothing();

    let mut silent = Harness::quiet_connected();
    silent.subscribe("room");
    silent.advance(SUBSCRIBE);
    silent.take();
    silent.unsubscribe("room");
    assert_eq!(silent.expect_outputs("S").sent(), ["unsubscribe room"]);
}

#[test]
fn a_refusal_makes_the_subscription_fail_in_every_shape_that_names_the_channel() {
    for (event, channel, data, kind, status, code) in [
        // soketi
        (
            "pusher:subscription_error",
            Some("room"),
            r#"{"type":"AuthError","error":"The connection is unauthorized.","status":401}"#,
            ErrorKind::Auth,
            Some(401),
            None,
        ),
        (
            "pusher:subscription_error",
            Some("room"),
            r#""{\"type\":\"LimitReached\",\"error\":\"unauthorized\",\"status\":4100}""#,
            ErrorKind::Server,
            None,
            Some(4100),
        ),
        // pusher-fake
        (
            "pusher_internal:subscription_error",
            Some("room"),
            r#""{}""#,
            ErrorKind::Server,
            None,
            None,
        ),
        ("pusher:subscription_error", Some("room"), "", ErrorKind::Server, None, None),
        ("pusher:subscription_error", Some("room"), "null", ErrorKind::Server, None, None),
        (
            "pusher:subscription_error",
            None,
            r#"{"channel":"room","status":599}"#,
            ErrorKind::Auth,
            Some(599),
            None,
        ),
    ] {
        let mut harness = Harness::quiet_connected();
        harness.subscribe("room");
        harness.take();
        harness.server(event, channel, data);
        let outputs = harness.expect_outputs("fev");
        let error = outputs.error();
        assert_eq!((error.kind(), error.channel()), (kind, Some("room")), "{data}");
        assert_eq!((error.http_status(), error.close_code()), (status, code), "{data}");
        assert_eq!(outputs.failed[0].1.to_string(), error.to_string());
        assert_eq!(outputs.event_names(), ["pusher:subscription_error"]);
        assert_eq!(harness.status("room"), ChannelStatus::Failed);
        if data.contains("unauthorized") {
            assert!(error.to_string().contains("unauthorized"), "{error}");
        }
    }
}

#[test]
fn a_refusal_that_names_no_channel_is_reported_and_the_deadline_decides() {
    for channel in [None, Some("")] {
        let mut harness = Harness::quiet_connected();
        harness.subscribe("room");
        harness.take();
        harness.server("pusher:subscription_error", channel, r#"{"status":4009}"#);
        let outputs = harness.expect_outputs("ev");
        assert_eq!((outputs.error().channel(), outputs.error().close_code()), (None, Some(4009)));
        assert_eq!(harness.status("room"), ChannelStatus::Pending);
        harness.advance(SUBSCRIBE);
        assert_eq!(harness.status("room"), ChannelStatus::Failed);
    }
}

#[test]
fn an_error_frame_refuses_a_channel_that_is_pending_and_only_that() {
    let frame = r#"{"code":4009,"message":"no","channel":"room"}"#;
    for in_data in [false, true] {
        let mut harness = Harness::quiet_connected();
        harness.subscribe("room");
        harness.take();
        let send = |harness: &mut Harness| {
            let channel = if in_data { None } else { Some("room") };
            harness.server("pusher:error", channel, frame);
        };
        send(&mut harness);
        let outputs = harness.expect_outputs("fev");
        assert_eq!(outputs.error().channel(), Some("room"));
        assert_eq!(outputs.error().close_code(), Some(4009));
        assert_eq!(harness.status("room"), ChannelStatus::Failed);

        harness.subscribe("room");
        harness.confirm("room");
        harness.take();
        send(&mut harness);
        let outputs = harness.expect_outputs("ev");
        assert_eq!(outputs.error().channel(), Some("room"));
        assert_eq!(harness.status("room"), ChannelStatus::Subscribed, "about something else");
    }
}

#[test]
fn an_error_frame_about_an_unknown_channel_is_only_reported() {
    let mut harness = Harness::quiet_connected();
    harness.server("pusher:error", Some("elsewhere"), r#"{"code":4301}"#);
    assert_eq!(harness.expect_outputs("ev").error().channel(), Some("elsewhere"));
    harness.server("pusher:subscription_error", Some("elsewhere"), "{}");
    assert_eq!(harness.expect_outputs("v").event_names(), ["pusher:subscription_error"]);
    assert_eq!(harness.status("elsewhere"), ChannelStatus::Idle);
}

#[test]
fn the_count_is_kept_and_forgotten_with_the_connection() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    let event = "pusher_internal:subscription_count";
    for (data, count) in [
        (r#""{\"subscription_count\":41}""#, Some(41)),
        (r#"{"subscription_count":0}"#, Some(0)),
        (r#"{"subscription_count":7,"more":1}"#, Some(7)),
    ] {
        harness.server(event, Some("room"), data);
        let outputs = harness.expect_outputs("nv");
        assert_eq!(outputs.counts, [("room".to_owned(), count.unwrap())]);
        assert_eq!(outputs.event_names(), ["pusher:subscription_count"]);
        assert_eq!(harness.machine.subscription_count("room"), count);
    }
    for data in
        ["", "null", "{}", "7", r#"{"subscription_count":-1}"#, r#"{"subscription_count":"x"}"#]
    {
        harness.server(event, Some("room"), data);
        harness.expect_nothing();
        assert_eq!(harness.machine.subscription_count("room"), Some(7), "{data}");
    }
    harness.server(event, None, r#"{"subscription_count":8}"#);
    harness.server(event, Some("elsewhere"), r#"{"subscription_count":8}"#);
    harness.expect_nothing();
    harness.lose();
    assert_eq!(harness.machine.subscription_count("room"), None);
    harness.reconnect();
    harness.establish();
    assert_eq!(harness.machine.subscription_count("room"), None);
    harness.server(event, Some("room"), r#"{"subscription_count":9}"#);
    assert_eq!(harness.machine.subscription_count("room"), Some(9));
    harness.unsubscribe("room");
    assert_eq!(harness.machine.subscription_count("room"), None);
}

#[test]
fn a_channel_is_silent_from_unsubscribe_on_and_audible_from_subscribe_on() {
    let mut harness = Harness::quiet_subscribed(&["room", "other"]);
    let e = |harness: &mut Harness| {
        for (event, channel) in [("e", "room"), ("client-e", "room"), ("pusher:cache_miss", "room")]
        {
            harness.server(event, Some(channel), "1");
        }
    };
    e(&mut harness);
    assert_eq!(harness.take().event_names(), ["e", "client-e", "pusher:cache_miss"]);
    harness.unsubscribe("room");
    harness.take();
    e(&mut harness);
    harness.expect_nothing();
    harness.server("e", Some("other"), "1");
    harness.expect_outputs("v");
    harness.subscribe("room");
    harness.take();
    e(&mut harness);
    harness.expect_outputs("vvv");
}

#[test]
fn events_of_unknown_channels_are_delivered() {
    let mut harness = Harness::quiet_connected();
    harness.server("note", Some("#server-to-user-bob"), r#""{}""#);
    harness.server("online", None, r#"{"user_ids":["bob"]}"#);
    let outputs = harness.expect_outputs("vv");
    assert_eq!(outputs.events[0].channel(), Some("#server-to-user-bob"));
    assert_eq!(outputs.events[1].channel(), None);
}

#[test]
fn a_retired_channel_is_forgotten_unless_it_is_wanted() {
    let mut harness = Harness::quiet_subscribed(&["room"]);
    harness.retire("room");
    assert_eq!(harness.status("room"), ChannelStatus::Subscribed);
    harness.unsubscribe("room");
    harness.retire("room");
    assert_eq!(harness.status("room"), ChannelStatus::Idle);
    harness.retire("unknown");
    assert_eq!(harness.status("unknown"), ChannelStatus::Idle);
}

#[test]
fn two_hundred_channels_come_back_after_a_reconnect() {
    let names: Vec<_> = (0..200).map(|i| format!("room-{}", i * 7919 % 200)).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut harness = Harness::quiet_subscribed(&names);
    harness.lose();
    harness.advance(Duration::from_secs(30));
    harness.take();
    harness.establish();
    let expected: Vec<_> = names.iter().map(|name| format!("subscribe {name}")).collect();
    assert_eq!(harness.take().sent(), expected);
    for name in &names {
        harness.confirm(name);
    }
    assert_eq!(harness.take().resumed.len(), 200);
}
