//! What real servers sent, recorded and reduced to one frame of each shape.

use serde_json::Value;

use super::harness::{ACTIVITY, Harness, SUBSCRIBE};
use crate::{ChannelStatus, Event, State};

const RECORDINGS: [(&str, &str); 2] = [
    ("soketi", include_str!("../../../tests/fixtures/frames/soketi.jsonl")),
    ("sockudo", include_str!("../../../tests/fixtures/frames/sockudo.jsonl")),
];

struct Line {
    server: &'static str,
    dir: String,
    scenario: String,
    raw: Value,
}

impl Line {
    fn frame(&self) -> &str {
        self.raw.as_str().unwrap()
    }
}

fn lines(wanted: &str) -> Vec<Line> {
    let lines: Vec<_> = RECORDINGS
        .iter()
        .flat_map(|&(server, text)| text.lines().map(move |line| (server, line)))
        .map(|(server, line)| {
            let value: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| value[key].as_str().unwrap().to_owned();
            let (dir, scenario) = (text("dir"), text("scenario"));
            Line { server, dir, scenario, raw: value["raw"].clone() }
        })
        .filter(|line| line.dir == wanted)
        .collect();
    assert!(lines.len() > 10, "{} lines of {wanted}", lines.len());
    lines
}

fn data(event: &Event) -> Value {
    event.json().unwrap_or(Value::Null)
}

/// Checks what the frame does on a live connection, and returns its kind.
fn understood(line: &Line) -> &'static str {
    let frame = line.frame();
    let what = format!("{} {}: {frame}", line.server, line.scenario);
    let event = Event::parse(frame.to_owned()).expect(&what);
    let channel = event.channel();
    let mut harness = Harness::quiet_connected();
    let of_user = channel.is_some_and(|channel| channel.starts_with('#'));
    if of_user || event.name() == "pusher:signin_success" {
        harness.signin();
    }
    if let Some(channel) = channel.filter(|_| !of_user) {
        harness.subscribe(channel);
    }
    harness.take();
    let expected = if of_user { ChannelStatus::Idle } else { ChannelStatus::Pending };
    assert_eq!(channel.map(|channel| harness.status(channel)), channel.map(|_| expected));
    let kind = match event.name() {
        "pusher:connection_established" => established(frame, &event),
        "pusher:ping" => {
            harness.frame(frame);
            assert_eq!(harness.expect_outputs("S").sent(), ["pong"]);
            "ping"
        }
        "pusher:pong" => {
            harness.ping().unwrap();
            harness.frame(frame);
            assert_eq!(harness.machine.last_pong().map(|(number, _)| number), Some(1), "{what}");
            harness.expect_outputs("S");
            "pong"
        }
        "pusher:error" => error(&mut harness, frame, &event, &what),
        "pusher:subscription_error" => subscription_error(&mut harness, frame, &event, &what),
        "pusher_internal:subscription_succeeded" if of_user => {
            harness.frame(frame);
            harness.expect_nothing();
            "user's channel"
        }
        "pusher_internal:subscription_succeeded" => {
            harness.frame(frame);
            let outputs = harness.expect_outputs("v");
            assert_eq!(outputs.event_names(), ["pusher:subscription_succeeded"]);
            assert_eq!(harness.status(channel.unwrap()), ChannelStatus::Subscribed, "{what}");
            "subscription_succeeded"
        }
        "pusher_internal:member_added" | "pusher_internal:member_removed" => {
            harness.frame(frame);
            harness.expect_nothing();
            "member"
        }
        name if !name.starts_with("pusher") && is_encrypted(channel) => {
            harness.frame(frame);
            // The recording has no keys: encrypted events stay so.
            assert!(harness.take().event_names().iter().all(|&other| other != name), "{what}");
            "encrypted"
        }
        _ => delivered(&mut harness, frame, &event, &what),
    };
    assert_eq!(harness.state(), State::Connected, "{what}");
    kind
}

fn established(frame: &str, event: &Event) -> &'static str {
    let mut harness = Harness::quiet();
    harness.connect();
    harness.frame(frame);
    let outputs = harness.expect_outputs("Dssc");
    assert_eq!(outputs.connected, [data(event)["socket_id"].as_str().unwrap()]);
    let timeout = data(event)["activity_timeout"].as_u64().unwrap();
    assert_eq!(harness.due_in().as_secs(), timeout.min(ACTIVITY.as_secs()));
    "established"
}

fn error(harness: &mut Harness, frame: &str, event: &Event, what: &str) -> &'static str {
    let code = data(event)["code"].as_u64().unwrap() as u16;
    harness.frame(frame);
    let outputs = harness.take();
    assert_eq!(outputs.error().close_code(), Some(code), "{what}");
    let message = data(event)["message"].as_str().unwrap().to_owned();
    assert!(outputs.error().to_string().contains(&message), "{what}");
    assert_eq!(outputs.event_names(), ["pusher:error"]);
    let mut opening = Harness::quiet();
    opening.connect();
    opening.frame(frame);
    let stops = matches!(code, 4000..=4099 | 4300..);
    assert_eq!(opening.state() == State::Failed, stops, "{what}");
    "error"
}

fn subscription_error(
    harness: &mut Harness,
    frame: &str,
    event: &Event,
    what: &str,
) -> &'static str {
    let channel = event.channel().unwrap();
    harness.frame(frame);
    let outputs = harness.take();
    let status = data(event)["status"].as_u64().unwrap() as u16;
    let code = outputs.error().http_status().or(outputs.error().close_code());
    assert_eq!(code, Some(status), "{what}");
    assert_eq!(outputs.event_names(), ["pusher:subscription_error"]);
    // soketi names no channel if it refuses the name.
    let failed = !channel.is_empty();
    assert_eq!(harness.status(channel) == ChannelStatus::Failed, failed, "{what}");
    "subscription_error"
}

/// Checks an event that is delivered as it was sent.
fn delivered(harness: &mut Harness, frame: &str, event: &Event, what: &str) -> &'static str {
    let name = event.name();
    assert!(!name.starts_with("pusher_internal:"), "{what}");
    harness.frame(frame);
    let outputs = harness.take();
    let expected = if name == "pusher:signin_success" { "uSv" } else { "v" };
    assert_eq!(outputs.order, expected, "{what}");
    let delivered = &outputs.events[0];
    assert_eq!((delivered.name(), delivered.channel()), (name, event.channel()));
    let wire: Value = serde_json::from_str(frame).unwrap();
    match &wire["data"] {
        Value::String(text) => assert_eq!(delivered.data(), text),
        Value::Null => assert!(["", "null"].contains(&delivered.data())),
        other => assert_eq!(&data(delivered), other),
    }
    assert_eq!(delivered.user_id(), wire["user_id"].as_str());
    match name {
        "pusher:cache_miss" => "cache_miss",
        "pusher:signin_success" => "signin_success",
        _ => "user event",
    }
}

#[test]
fn every_recorded_frame_is_understood() {
    let mut kinds: Vec<_> =
        lines("in").iter().map(|line| (line.server, understood(line))).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in [
        "established",
        "pong",
        "error",
        "subscription_succeeded",
        "member",
        "cache_miss",
        "signin_success",
        "user event",
    ] {
        for server in ["soketi", "sockudo"] {
            assert!(kinds.contains(&(server, kind)), "{server} sent no {kind}");
        }
    }
    assert!(kinds.contains(&("soketi", "subscription_error")));
    assert!(kinds.contains(&("sockudo", "ping")));
}

#[test]
fn a_connection_survives_all_recorded_frames_one_after_the_other() {
    for (server, _) in RECORDINGS {
        let mut harness = Harness::quiet_connected();
        let mut frames = 0;
        for line in lines("in").into_iter().filter(|line| line.server == server) {
            harness.frame(line.frame());
            frames += 1;
            assert_eq!(harness.state(), State::Connected, "{}", line.frame());
        }
        assert!(frames > 40);
        harness.advance(SUBSCRIBE);
        assert_eq!(harness.state(), State::Connected);
    }
}

#[test]
fn every_recorded_close_is_classified() {
    let mut codes = Vec::new();
    for line in lines("close") {
        let code = line.raw["code"].as_u64().unwrap() as u16;
        let reason = line.raw["reason"].as_str().unwrap();
        let mut harness = Harness::quiet_connected();
        harness.closed_with(Some(code), reason);
        let outputs = harness.expect_outputs("s");
        let cause = outputs.state().cause.as_ref().unwrap();
        assert_eq!(cause.close_code(), Some(code));
        assert!(cause.to_string().contains(reason));
        let expected = match code {
            4000..=4099 => State::Failed,
            _ => State::Reconnecting,
        };
        assert_eq!(harness.state(), expected, "{} {code}", line.server);
        codes.push(code);
    }
    for code in [1000, 1006, 4000, 4001, 4009, 4100, 4200, 4201] {
        assert!(codes.contains(&code), "no close with {code} was recorded");
    }
}

fn is_encrypted(channel: Option<&str>) -> bool {
    channel.is_some_and(|name| name.starts_with("private-encrypted-"))
}
