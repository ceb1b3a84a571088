//! Subscriptions: what is wanted, what the server has made of it, and what the user is told.

use std::time::Duration;

use super::sim::{ACTIVITY, MS, SUBSCRIBE, Sim, secs};
use crate::{ChannelStatus, ErrorKind, State};

#[test]
fn what_is_wanted_before_connecting_is_subscribed_in_the_order_of_asking() {
    let mut sim = Sim::new();
    assert_eq!(sim.status("b"), ChannelStatus::Idle);
    for name in ["b", "a", "c", "b"] {
        sim.subscribe(name);
        assert_eq!(sim.status(name), ChannelStatus::Pending);
    }
    sim.unsubscribe("a");
    sim.expect_nothing();
    sim.connect();
    sim.opened();
    sim.subscribe("d");
    sim.expect("Ds");
    sim.established();
    let news = sim.expect("scSSS");
    assert_eq!(news.sent(), ["subscribe b", "subscribe c", "subscribe d"]);
    assert_eq!(news.sends[0], r#"{"event":"pusher:subscribe","data":{"channel":"b"}}"#);
}

#[test]
fn after_a_loss_exactly_what_is_wanted_is_subscribed_again_in_order() {
    let mut sim = Sim::subscribed(&["z", "y", "x", "w"]);
    sim.unsubscribe("y");
    sim.subscribe("y"); // Asked for anew, so it comes last.
    sim.unsubscribe("x");
    for _ in 0..3 {
        sim.lost();
        sim.advance_to_deadline();
        sim.take();
        sim.established();
        assert_eq!(sim.take().sent(), ["subscribe z", "subscribe w", "subscribe y"]);
        sim.confirm("w");
    }
    sim.disconnect();
    sim.connect();
    sim.take();
    sim.established();
    assert_eq!(sim.take().sent(), ["subscribe z", "subscribe w", "subscribe y"]);
}

#[test]
fn subscribing_twice_sends_once() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.subscribe("room");
    assert_eq!(sim.expect("S").sent(), ["subscribe room"]);
    sim.confirm("room");
    assert_eq!(sim.expect("v").event_names(), ["pusher:subscription_succeeded"]);
    sim.subscribe("room");
    sim.expect_nothing();
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn unsubscribing_twice_sends_once() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.unsubscribe("room");
    sim.unsubscribe("room");
    let news = sim.expect("S");
    assert_eq!(news.sends, [r#"{"event":"pusher:unsubscribe","data":{"channel":"room"}}"#]);
    assert_eq!(sim.status("room"), ChannelStatus::Unsubscribed);
}

#[test]
fn unsubscribing_what_is_pending_is_final_whatever_comes_late() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.unsubscribe("room");
    assert_eq!(sim.expect("SS").sent(), ["subscribe room", "unsubscribe room"]);
    sim.server("e", Some("room"), "1");
    sim.server("pusher_internal:subscription_count", Some("room"), r#"{"subscription_count":3}"#);
    sim.server("pusher:subscription_error", Some("room"), "{}");
    sim.expect_nothing();
    sim.confirm("room");
    assert_eq!(sim.expect("S").sent(), ["unsubscribe room"]);
    assert_eq!(sim.status("room"), ChannelStatus::Unsubscribed);
    assert_eq!(sim.machine.subscription_count("room"), None);
    sim.advance(SUBSCRIBE);
    sim.expect_nothing();
    sim.lost();
    sim.advance_to_deadline();
    sim.established();
    assert!(sim.take().sends.is_empty(), "no zombie");
}

#[test]
fn a_late_confirmation_does_not_stand_in_for_a_new_subscription() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.unsubscribe("room");
    sim.confirm("room");
    sim.take();
    sim.subscribe("room");
    assert_eq!(sim.expect("S").sent(), ["subscribe room"]);
    assert_eq!(sim.status("room"), ChannelStatus::Pending);
}

#[test]
fn unsubscribing_while_offline_sends_nothing_later() {
    type Offline = fn(&mut Sim);
    let ways: [Offline; 3] = [Sim::lost, Sim::disconnect, Sim::reconnect];
    for offline in ways {
        let mut sim = Sim::subscribed(&["room", "other"]);
        offline(&mut sim);
        sim.unsubscribe("room");
        if sim.state() == State::Disconnected {
            sim.connect();
        } else {
            sim.reconnect();
        }
        sim.established();
        let news = sim.take();
        assert_eq!(news.sent(), ["subscribe other"]);
        assert_eq!(sim.status("room"), ChannelStatus::Unsubscribed);
    }
}

#[test]
fn subscribing_again_at_once_sends_both_and_takes_a_confirmation() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.unsubscribe("room");
    sim.subscribe("room");
    assert_eq!(sim.expect("SS").sent(), ["unsubscribe room", "subscribe room"]);
    assert_eq!(sim.status("room"), ChannelStatus::Pending);
    sim.confirm("room");
    sim.expect("v");
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
}

#[test]
fn without_an_answer_the_subscription_fails_and_a_late_answer_still_counts() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    assert_eq!(sim.due_in(), SUBSCRIBE);
    sim.take();
    sim.advance(SUBSCRIBE - MS);
    sim.timeout();
    sim.expect_nothing();
    sim.advance(MS);
    let news = sim.expect("fe");
    assert_eq!(news.failed[0].0, "room");
    let error = news.error();
    assert_eq!((error.kind(), error.channel()), (ErrorKind::Timeout, Some("room")));
    assert_eq!(sim.status("room"), ChannelStatus::Failed);
    let kept = sim.machine.channel_failure("room").unwrap();
    assert_eq!(kept.to_string(), error.to_string());
    assert_eq!(sim.state(), State::Connected);

    sim.confirm("room");
    sim.expect("v");
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
    assert!(sim.machine.channel_failure("room").is_none());
}

#[test]
fn each_subscription_has_its_own_deadline() {
    let mut sim = Sim::connected();
    for name in ["a", "b", "c"] {
        sim.subscribe(name);
        sim.skip(secs(1));
    }
    sim.confirm("b");
    sim.take();
    sim.advance(SUBSCRIBE - secs(3));
    assert_eq!(sim.expect("fe").failed[0].0, "a");
    sim.advance(secs(1));
    sim.expect_nothing();
    sim.advance(secs(1));
    assert_eq!(sim.expect("fe").failed[0].0, "c");
}

#[test]
fn deadlines_that_pass_together_all_count_in_one_call() {
    let mut sim = Sim::connected();
    for name in ["a", "b", "c"] {
        sim.subscribe(name);
    }
    sim.take();
    sim.skip(SUBSCRIBE * 2);
    sim.timeout();
    let news = sim.expect("fefefe");
    let names: Vec<_> = news.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(sim.deadline().unwrap() > sim.now.mono);
}

#[test]
fn once_all_is_confirmed_only_the_heartbeat_is_due() {
    let mut sim = Sim::connected();
    let names: Vec<_> = (0..50).map(|i| format!("room-{i}")).collect();
    for name in &names {
        sim.subscribe(name);
    }
    assert_eq!(sim.due_in(), SUBSCRIBE);
    sim.unsubscribe(&names[0]);
    for name in &names[1..] {
        sim.confirm(name);
    }
    assert_eq!(sim.due_in(), ACTIVITY);
    sim.take();
    sim.advance(ACTIVITY - MS);
    sim.expect_nothing();
}

#[test]
fn a_deadline_of_a_lost_connection_is_void() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.skip(secs(1));
    sim.reconnect();
    sim.established();
    sim.take();
    assert_eq!(sim.due_in(), SUBSCRIBE);
    sim.advance(SUBSCRIBE - MS);
    sim.expect_nothing();
}

#[test]
fn a_failed_subscription_is_retried_by_subscribe_and_by_the_next_connection() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.server("pusher:subscription_error", Some("room"), r#"{"status":403}"#);
    assert_eq!(sim.status("room"), ChannelStatus::Failed);
    sim.take();
    sim.advance(SUBSCRIBE * 2);
    sim.expect_nothing();
    sim.subscribe("room");
    assert_eq!(sim.expect("S").sent(), ["subscribe room"]);
    assert_eq!((sim.status("room"), sim.due_in()), (ChannelStatus::Pending, SUBSCRIBE));
    sim.advance(SUBSCRIBE);
    sim.expect("fe");
    sim.lost();
    assert_eq!(sim.status("room"), ChannelStatus::Pending);
    sim.advance_to_deadline();
    sim.established();
    assert_eq!(sim.take().sent(), ["subscribe room"]);
}

#[test]
fn unsubscribing_tells_the_server_if_it_may_have_the_subscription() {
    let mut refused = Sim::connected();
    refused.subscribe("room");
    refused.server("pusher:subscription_error", Some("room"), r#"{"status":401}"#);
    refused.take();
    refused.unsubscribe("room");
    refused.expect_nothing();

    let mut silent = Sim::connected();
    silent.subscribe("room");
    silent.advance(SUBSCRIBE);
    silent.take();
    silent.unsubscribe("room");
    assert_eq!(silent.expect("S").sent(), ["unsubscribe room"]);
}

#[test]
fn a_gap_is_measured_from_the_last_sign_of_life_to_the_new_confirmation() {
    let mut sim = Sim::subscribed(&["room", "quiet"]);
    sim.skip(secs(10));
    sim.server("e", Some("quiet"), "");
    sim.skip(secs(5));
    sim.lost();
    sim.skip(secs(7));
    sim.reconnect();
    sim.established();
    sim.take();
    sim.skip(secs(1));
    sim.confirm("room");
    let news = sim.expect("rv");
    let (name, gap) = &news.resumed[0];
    assert_eq!((name.as_str(), gap.length()), ("room", secs(5 + 7 + 1)));
    sim.skip(secs(1));
    sim.confirm("quiet");
    assert_eq!(sim.expect("rv").resumed[0].1.length(), secs(14));
    sim.confirm("quiet");
    sim.expect("v");
}

#[test]
fn a_gap_includes_the_time_that_the_machine_slept() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.skip(secs(1));
    sim.suspend(secs(3600));
    sim.lost();
    sim.reconnect();
    sim.established();
    sim.take();
    sim.confirm("room");
    assert_eq!(sim.expect("rv").resumed[0].1.length(), secs(3601));
}

#[test]
fn a_gap_goes_back_to_the_connection_that_had_the_channel() {
    let mut sim = Sim::subscribed(&["room"]);
    for _ in 0..3 {
        sim.skip(secs(1));
        sim.lost();
        sim.reconnect();
        sim.established(); // Lost again before it is confirmed.
    }
    sim.skip(secs(1));
    sim.take();
    sim.confirm("room");
    assert_eq!(sim.expect("rv").resumed[0].1.length(), secs(4));

    sim.disconnect();
    sim.skip(secs(100));
    sim.connect();
    sim.established();
    sim.take();
    sim.confirm("room");
    assert_eq!(sim.expect("rv").resumed[0].1.length(), secs(100));
}

#[test]
fn a_gap_after_a_dead_connection_includes_the_silence_before() {
    let mut sim = Sim::subscribed(&["room"]);
    let silence = sim.due_in();
    sim.advance_to_deadline();
    let pong = sim.due_in();
    sim.advance_to_deadline();
    sim.reconnect();
    sim.established();
    sim.take();
    sim.confirm("room");
    assert_eq!(sim.expect("rv").resumed[0].1.length(), silence + pong);
}

#[test]
fn there_is_no_gap_where_nothing_can_be_missing() {
    let mut sim = Sim::connected();
    sim.subscribe("room");
    sim.lost();
    sim.reconnect();
    sim.established();
    sim.take();
    sim.confirm("room");
    sim.expect("v"); // The first confirmation.

    for offline in [false, true] {
        if offline {
            sim.lost();
        }
        sim.unsubscribe("room");
        sim.subscribe("room");
        if offline {
            sim.reconnect();
            sim.established();
        }
        sim.take();
        sim.confirm("room");
        sim.expect("v");
    }
}

#[test]
fn a_refusal_makes_the_subscription_fail_in_every_shape_that_tells_the_channel() {
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
        let mut sim = Sim::connected();
        sim.subscribe("room");
        sim.take();
        sim.server(event, channel, data);
        let news = sim.expect("fev");
        let error = news.error();
        assert_eq!((error.kind(), error.channel()), (kind, Some("room")), "{data}");
        assert_eq!((error.http_status(), error.close_code()), (status, code), "{data}");
        assert_eq!(news.failed[0].1.to_string(), error.to_string());
        assert_eq!(news.event_names(), ["pusher:subscription_error"]);
        assert_eq!(sim.status("room"), ChannelStatus::Failed);
        if data.contains("unauthorized") {
            assert!(error.to_string().contains("unauthorized"), "{error}");
        }
    }
}

#[test]
fn a_refusal_that_tells_no_channel_is_reported_and_the_deadline_decides() {
    for channel in [None, Some("")] {
        let mut sim = Sim::connected();
        sim.subscribe("room");
        sim.take();
        sim.server("pusher:subscription_error", channel, r#"{"status":4009}"#);
        let news = sim.expect("ev");
        assert_eq!((news.error().channel(), news.error().close_code()), (None, Some(4009)));
        assert_eq!(sim.status("room"), ChannelStatus::Pending);
        sim.advance(SUBSCRIBE);
        assert_eq!(sim.status("room"), ChannelStatus::Failed);
    }
}

#[test]
fn an_error_frame_refuses_a_channel_that_is_pending_and_only_that() {
    let frame = r#"{"code":4009,"message":"no","channel":"room"}"#;
    for in_data in [false, true] {
        let mut sim = Sim::connected();
        sim.subscribe("room");
        sim.take();
        let send = |sim: &mut Sim| {
            let channel = if in_data { None } else { Some("room") };
            sim.server("pusher:error", channel, frame);
        };
        send(&mut sim);
        let news = sim.expect("fev");
        assert_eq!(news.error().channel(), Some("room"));
        assert_eq!(news.error().close_code(), Some(4009));
        assert_eq!(sim.status("room"), ChannelStatus::Failed);

        sim.subscribe("room");
        sim.confirm("room");
        sim.take();
        send(&mut sim);
        let news = sim.expect("ev");
        assert_eq!(news.error().channel(), Some("room"));
        assert_eq!(sim.status("room"), ChannelStatus::Subscribed, "about something else");
    }
}

#[test]
fn an_error_frame_about_an_unknown_channel_is_only_reported() {
    let mut sim = Sim::connected();
    sim.server("pusher:error", Some("elsewhere"), r#"{"code":4301}"#);
    assert_eq!(sim.expect("ev").error().channel(), Some("elsewhere"));
    sim.server("pusher:subscription_error", Some("elsewhere"), "{}");
    assert_eq!(sim.expect("v").event_names(), ["pusher:subscription_error"]);
    assert_eq!(sim.status("elsewhere"), ChannelStatus::Idle);
}

#[test]
fn the_count_is_kept_and_forgotten_with_the_connection() {
    let mut sim = Sim::subscribed(&["room"]);
    let event = "pusher_internal:subscription_count";
    for (data, count) in [
        (r#""{\"subscription_count\":41}""#, Some(41)),
        (r#"{"subscription_count":0}"#, Some(0)),
        (r#"{"subscription_count":7,"more":1}"#, Some(7)),
    ] {
        sim.server(event, Some("room"), data);
        let news = sim.expect("nv");
        assert_eq!(news.counts, [("room".to_owned(), count.unwrap())]);
        assert_eq!(news.event_names(), ["pusher:subscription_count"]);
        assert_eq!(sim.machine.subscription_count("room"), count);
    }
    for data in
        ["", "null", "{}", "7", r#"{"subscription_count":-1}"#, r#"{"subscription_count":"x"}"#]
    {
        sim.server(event, Some("room"), data);
        sim.expect_nothing();
        assert_eq!(sim.machine.subscription_count("room"), Some(7), "{data}");
    }
    sim.server(event, None, r#"{"subscription_count":8}"#);
    sim.server(event, Some("elsewhere"), r#"{"subscription_count":8}"#);
    sim.expect_nothing();
    sim.lost();
    assert_eq!(sim.machine.subscription_count("room"), None);
    sim.reconnect();
    sim.established();
    assert_eq!(sim.machine.subscription_count("room"), None);
    sim.server(event, Some("room"), r#"{"subscription_count":9}"#);
    assert_eq!(sim.machine.subscription_count("room"), Some(9));
    sim.unsubscribe("room");
    assert_eq!(sim.machine.subscription_count("room"), None);
}

#[test]
fn a_channel_is_silent_from_unsubscribe_on_and_audible_from_subscribe_on() {
    let mut sim = Sim::subscribed(&["room", "other"]);
    let e = |sim: &mut Sim| {
        for (event, channel) in [("e", "room"), ("client-e", "room"), ("pusher:cache_miss", "room")]
        {
            sim.server(event, Some(channel), "1");
        }
    };
    e(&mut sim);
    assert_eq!(sim.take().event_names(), ["e", "client-e", "pusher:cache_miss"]);
    sim.unsubscribe("room");
    sim.take();
    e(&mut sim);
    sim.expect_nothing();
    sim.server("e", Some("other"), "1");
    sim.expect("v");
    sim.subscribe("room");
    sim.take();
    e(&mut sim);
    sim.expect("vvv");
}

#[test]
fn events_of_channels_that_nobody_knows_here_are_delivered() {
    let mut sim = Sim::connected();
    sim.server("note", Some("#server-to-user-bob"), r#""{}""#);
    sim.server("online", None, r#"{"user_ids":["bob"]}"#);
    let news = sim.expect("vv");
    assert_eq!(news.events[0].channel(), Some("#server-to-user-bob"));
    assert_eq!(news.events[1].channel(), None);
}

#[test]
fn a_retired_channel_is_forgotten_unless_it_is_wanted() {
    let mut sim = Sim::subscribed(&["room"]);
    sim.retire("room");
    assert_eq!(sim.status("room"), ChannelStatus::Subscribed);
    sim.unsubscribe("room");
    sim.retire("room");
    assert_eq!(sim.status("room"), ChannelStatus::Idle);
    sim.retire("unknown");
    assert_eq!(sim.status("unknown"), ChannelStatus::Idle);
}

#[test]
fn two_hundred_channels_come_back_after_a_reconnect() {
    let names: Vec<_> = (0..200).map(|i| format!("room-{}", i * 7919 % 200)).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut sim = Sim::subscribed(&names);
    sim.lost();
    sim.advance(Duration::from_secs(30));
    sim.take();
    sim.established();
    let expected: Vec<_> = names.iter().map(|name| format!("subscribe {name}")).collect();
    assert_eq!(sim.take().sent(), expected);
    for name in &names {
        sim.confirm(name);
    }
    assert_eq!(sim.take().resumed.len(), 200);
}
