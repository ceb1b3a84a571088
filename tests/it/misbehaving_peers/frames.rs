//! Invalid frames, and unexpected events.

use pusher_channels::{Auth, AuthRequest, ErrorKind, State};
use serde_json::{Value, json};
use tungstenite::Message;

use super::Stage;
use crate::support::{SOON, accept, establish, listen, quick, send, wait_for, wait_for_close};

const DEEP: usize = 100_000;

fn nested() -> String {
    "[".repeat(DEEP) + &"]".repeat(DEEP)
}

/// Each odd number, and each text that is no string of Rust's.
fn odd() -> Vec<String> {
    let mut odd: Vec<String> =
        ["1e400", "-1e400", "1e-400", "-0", "-1", "1.5", "18446744073709551616", r#""\ud800""#]
            .map(str::to_owned)
            .to_vec();
    odd.extend([
        "9".repeat(500),
        format!("-{}", "9".repeat(500)),
        format!("0.{}", "1".repeat(5000)),
        format!("1e{}", "9".repeat(5000)),
        nested(),
        r#"{"a":"#.repeat(1000) + "1" + &"}".repeat(1000),
    ]);
    odd
}

#[test]
fn invalid_frames_are_errors_and_binary_messages_are_ignored() {
    let mut stage = Stage::new();
    let events = stage.client.bind("event");
    let nested = format!(r#"{{"event":"event","data":{}1{}}}"#, "[".repeat(4000), "]".repeat(4000));
    let odd = [
        "",
        "{",
        "null",
        "7",
        "[]",
        r#""text""#,
        "{}",
        r#"{"event":null}"#,
        r#"{"event":7}"#,
        r#"{"event":"event","data":"\x"}"#,
        r#"{"event":"event"} and more"#,
    ];
    for frame in odd {
        stage.send(frame);
        let error = stage.errors.recv_timeout(SOON).unwrap();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{frame:?}");
    }
    stage.socket.send(Message::binary(vec![0u8; 100])).unwrap();
    stage.send(&nested);
    assert_eq!(events.recv_timeout(SOON).unwrap().data().len(), 8001);
    stage.goes_on();
    assert!(events.is_empty() && stage.errors.is_empty());
}

#[test]
fn protocol_events_with_data_of_any_shape_keep_the_connection() {
    let mut stage = Stage::new();
    let shapes = [
        "",
        r#","data":null"#,
        r#","data":7"#,
        r#","data":[]"#,
        r#","data":{}"#,
        r#","data":"""#,
        r#","data":"null""#,
        r#","data":"{}""#,
        r#","data":"[]""#,
        r#","data":"{\"code\":null}""#,
        r#","data":{"code":"x","message":7,"channel":9}"#,
        r#","data":{"code":99999}"#,
        r#","data":{"subscription_count":-1}"#,
        r#","data":{"subscription_count":1e99}"#,
        r#","data":"\ud800""#,
    ];
    for event in [
        "pusher:connection_established",
        "pusher:error",
        "pusher:ping",
        "pusher:pong",
        "pusher:cache_miss",
        "pusher:subscription_error",
        "pusher:signin_success",
        "pusher:delta",
        "pusher_internal:subscription_succeeded",
        "pusher_internal:subscription_error",
        "pusher_internal:subscription_count",
        "pusher_internal:member_added",
        "pusher_internal:member_removed",
        "pusher_internal:watchlist_events",
        "pusher_internal:x",
    ] {
        for data in shapes {
            for channel in
                ["", r#","channel":"room""#, r#","channel":"unknown""#, r#","channel":7"#]
            {
                stage.send(&format!(r#"{{"event":"{event}"{channel}{data}}}"#));
            }
        }
    }
    stage.goes_on();
}

#[test]
fn deeply_nested_data_is_delivered() {
    let mut stage = Stage::new();
    let events = stage.room.bind("deep");
    for (open, inner, close) in [("[", "", "]"), (r#"{"a":"#, "1", "}"), (r#"[{"a":["#, "", "]}]")]
    {
        let data = open.repeat(DEEP / 2) + inner + &close.repeat(DEEP / 2);
        for sent in [data.clone(), Value::from(&*data).to_string()] {
            stage.send(&format!(r#"{{"event":"deep","channel":"room","data":{sent}}}"#));
            let event = events.recv_timeout(SOON).unwrap();
            assert_eq!(event.data(), data);
            assert_eq!(event.json::<Value>().unwrap_err().kind(), ErrorKind::Json);
        }
        // Unclosed, around the frame, and in an unknown field.
        stage.send(&format!(r#"{{"event":"deep","data":{}"#, open.repeat(DEEP / 2)));
        stage.send(&data);
        for _ in 0..2 {
            assert_eq!(stage.errors.recv_timeout(SOON).unwrap().kind(), ErrorKind::Protocol);
        }
        stage.send(&format!(r#"{{"x":{data},"event":"deep","channel":"room","user_id":{data}}}"#));
        assert_eq!(events.recv_timeout(SOON).unwrap().user_id(), None);
        stage.goes_on();
    }
    assert!(stage.errors.is_empty());
}

#[test]
fn deep_nesting_does_not_hide_an_error_or_its_channel() {
    let mut stage = Stage::new();
    let nested = nested();
    stage.send(&format!(
        r#"{{"event":"pusher:error","data":{{"x":{nested},"code":4301,"message":"slow down"}}}}"#
    ));
    let error = stage.errors.recv_timeout(SOON).unwrap();
    assert_eq!((error.kind(), error.close_code()), (ErrorKind::Server, Some(4301)));
    assert!(error.to_string().ends_with("slow down"), "{error}");
    stage.send(&format!(r#"{{"event":"pusher:error","data":{nested}}}"#));
    assert_eq!(stage.errors.recv_timeout(SOON).unwrap().close_code(), None);
    stage.send(&format!(
        r#"{{"event":"pusher:subscription_error","channel":"room","data":{{"error":{nested},"status":403}}}}"#
    ));
    let error = stage.errors.recv_timeout(SOON).unwrap();
    assert_eq!((error.http_status(), error.channel()), (Some(403), Some("room")));
}

#[test]
fn names_of_a_megabyte_are_delivered() {
    let mut stage = Stage::with(|builder| builder.max_message_size(8 * 1024 * 1024));
    let all = stage.client.bind_all();
    let long = "ñ".repeat(500_000);
    for (event, channel, user) in [(&*long, "room", "u"), ("e", &long, "u"), ("e", "room", &long)] {
        stage.send(
            &json!({"event": event, "channel": channel, "user_id": user, &*long: 1}).to_string(),
        );
        let got = all.recv_timeout(SOON).unwrap();
        assert!(
            got.name() == event && got.channel() == Some(channel) && got.user_id() == Some(user)
        );
    }
    let prefixed = format!("pusher_internal:{long}");
    stage.send(&json!({"event": prefixed, "channel": "room"}).to_string());
    for event in ["pusher:error", "pusher:subscription_error", "pusher_internal:subscription_count"]
    {
        let data =
            json!({"message": long, "channel": long, "code": long, "subscription_count": long});
        stage.send(&json!({"event": event, "data": data}).to_string());
    }
    stage.send(
        &json!({"event": "pusher_internal:subscription_succeeded", "channel": long}).to_string(),
    );
    stage.goes_on();
    for error in stage.errors.try_iter() {
        assert!(error.to_string().len() < 2000, "an error of {} bytes", error.to_string().len());
    }
}

#[test]
fn connection_established_may_have_an_unusual_activity_timeout() {
    for odd in odd() {
        for as_text in [true, false] {
            let (listener, options) = listen();
            let client = quick(options).build().unwrap();
            client.connect();
            let mut socket = accept(&listener);
            let data = format!(r#"{{"socket_id":"1.2","activity_timeout":{odd}}}"#);
            let data = if as_text { Value::from(data).to_string() } else { data };
            send(
                &mut socket,
                &format!(r#"{{"event":"pusher:connection_established","data":{data}}}"#),
            );
            assert_eq!(client.wait_connected(SOON).unwrap(), "1.2", "{data:.200}");
        }
    }
}

#[test]
fn unusual_values_affect_only_their_own_field() {
    let mut stage = Stage::new();
    let counts = stage.room.bind_subscription_count();
    let others = stage.room.bind("other");
    for odd in odd() {
        for field in ["code", "status", "message", "error", "channel"] {
            let data = format!(r#"{{"message":"words","{field}":{odd}}}"#);
            for data in [data.clone(), Value::from(data).to_string()] {
                stage.send(&format!(r#"{{"event":"pusher:error","data":{data}}}"#));
                let error = stage.errors.recv_timeout(SOON).unwrap();
                assert_eq!(error.kind(), ErrorKind::Server, "{field} {odd:.80}");
            }
        }
        for data in [format!(r#"{{"subscription_count":{odd}}}"#), odd.clone()] {
            for event in
                ["subscription_count", "member_added", "member_removed", "watchlist_events"]
            {
                stage.send(&format!(
                    r#"{{"event":"pusher_internal:{event}","channel":"room","data":{data}}}"#
                ));
            }
            stage.send(&format!(r#"{{"event":"pusher:pong","data":{data}}}"#));
        }
        // The last of equal keys counts.
        stage.send(&format!(
            r#"{{"event":{odd},"channel":{odd},"user_id":{odd},"data":{odd},"event":"other","channel":"room","user_id":"u","data":"d"}}"#
        ));
        let other = others.recv_timeout(SOON).unwrap();
        assert_eq!((other.data(), other.user_id()), ("d", Some("u")));
        stage.goes_on();
    }
    assert!(stage.errors.is_empty());
    // Those that are numbers and not negative count, in the order of `odd`.
    const MAX: u64 = u64::MAX;
    assert_eq!(counts.try_iter().collect::<Vec<_>>(), [MAX, 0, 0, 1, MAX, MAX, 0, MAX]);
    let count = r#"{"event":"pusher_internal:subscription_count","channel":"room","data":{"subscription_count":1,"subscription_count":18446744073709551615}}"#;
    stage.send(count);
    assert_eq!(counts.recv_timeout(SOON).unwrap(), u64::MAX);
}

#[test]
fn lone_surrogates_become_replacement_characters() {
    let mut stage = Stage::new();
    let all = stage.client.bind_all();
    stage.send(r#"{"\ud800":0,"event":"a\udc00","channel":"room","user_id":"\ud83d","data":"\ud800\ud800x\udfff"}"#);
    let event = all.recv_timeout(SOON).unwrap();
    assert_eq!((event.name(), event.user_id()), ("a\u{fffd}", Some("\u{fffd}")));
    assert_eq!(event.data(), "\u{fffd}\u{fffd}x\u{fffd}");
    stage.send(r#"{"event":"mark","channel":"room\ud800","data":1}"#);
    assert_eq!(all.recv_timeout(SOON).unwrap().channel(), Some("room\u{fffd}"));
    stage.goes_on();
    assert!(stage.errors.is_empty());
}

/// Unusual ids and infos of members.
#[test]
fn members_with_unusual_ids_and_infos_leave_the_others_alone() {
    let (listener, options) = listen();
    let authorizer =
        |_: &AuthRequest| Ok(Auth::new("key:signature").channel_data(r#"{"user_id":"me"}"#));
    let client = quick(options).authorizer(authorizer).build().unwrap();
    let room = client.presence_channel("presence-room").unwrap();
    let (added, removed) = (room.bind_member_added(), room.bind_member_removed());
    room.subscribe();
    client.connect();
    let mut socket = establish(&listener);
    wait_for(&mut socket, "pusher:subscribe");
    let odd = odd();
    for data in &odd {
        let presence = format!(
            r#"{{"x":{data},"presence":{{"count":{data},"ids":["me",{data},"\ud800"],"hash":{{"me":{{}},"\udc00":{data},"odd":{data}}}}}}}"#
        );
        for data in [presence.clone(), Value::from(presence).to_string()] {
            let event = "pusher_internal:subscription_succeeded";
            send(
                &mut socket,
                &format!(r#"{{"event":"{event}","channel":"presence-room","data":{data}}}"#),
            );
        }
        let member = format!(r#"{{"user_id":"guest","user_info":{data},"x":{data}}}"#);
        for event in ["member_added", "member_removed"] {
            send(
                &mut socket,
                &format!(
                    r#"{{"event":"pusher_internal:{event}","channel":"presence-room","data":{member}}}"#
                ),
            );
        }
        let (came, went) = (added.recv_timeout(SOON).unwrap(), removed.recv_timeout(SOON).unwrap());
        assert_eq!((came.id(), went.id(), came.info()), ("guest", "guest", &**data));
        let members = room.members();
        assert_eq!(members.me().unwrap().info(), "{}", "{data:.80}");
        assert_eq!(members.get("odd").unwrap().info(), *data);
        assert!(members.get("\u{fffd}").is_some() && members.get("guest").is_none());
    }
    assert_eq!((room.name(), client.state()), ("presence-room", State::Connected));
    assert!(room.is_subscribed());
    client.disconnect();
    assert_eq!(wait_for_close(socket), Some(1000));
}

/// Prints the memory and the time that it takes.
#[cfg(target_os = "linux")]
#[test]
fn million_members_take_bounded_memory() {
    crate::support::alone(|| {
        const MANY: usize = 1_000_000;
        let (listener, options) = listen();
        let authorizer =
            |_: &AuthRequest| Ok(Auth::new("key:signature").channel_data(r#"{"user_id":"7"}"#));
        let client = quick(options)
            .authorizer(authorizer)
            .max_message_size(64 * 1024 * 1024)
            .max_members_bytes(1024 * 1024 * 1024)
            .subscribe_timeout(SOON * 12)
            .build()
            .unwrap();
        let room = client.presence_channel("presence-room").unwrap();
        room.subscribe();
        client.connect();
        let mut socket = establish(&listener);
        wait_for(&mut socket, "pusher:subscribe");
        let mut frame = String::from(
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":{"presence":{"hash":{"#,
        );
        for number in 0..MANY {
            frame.push_str(&format!(r#""{number}":{{"n":{number}}},"#));
        }
        frame.pop();
        frame.push_str("}}}}");
        let (before, started) = (super::peak(), crate::support::now());
        send(&mut socket, &frame);
        room.wait_subscribed(SOON * 12).unwrap();
        // The lock is let go only once the members are there too.
        let members = room.members();
        let (took, grown) = (started.elapsed(), super::peak() - before);
        let size = frame.len() / 1024 / 1024;
        println!("{MANY} members in {size} MiB took {grown} MiB and {took:?}");
        assert_eq!((members.len(), members.me().unwrap().info()), (MANY, r#"{"n":7}"#));
        assert!(grown < 40 * u64::try_from(size).unwrap(), "{grown} MiB for a frame of {size} MiB");
        client.close(SOON).unwrap();
    });
}
