//! Random lives. What must always hold is checked by `Harness` after every input; here are the inputs.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Backoff, OutboxLimits, Policy};
use super::harness::{Harness, MS, backoff, secs};
use crate::{Event, State};

const CHANNELS: [&str; 4] = ["a", "b", "cache-c", "d"];

#[derive(Clone, Debug)]
enum Input {
    Connect,
    Disconnect,
    Reconnect,
    NetworkChanged,
    Close,
    Subscribe(usize),
    Unsubscribe(usize),
    Retire(usize),
    Signin,
    Signout,
    SigninSuccess,
    Switch,
    Ping,
    Trigger(usize),
    Opened,
    Established(u64),
    Lost,
    Closed(Option<u16>),
    Confirm(usize),
    Refuse(usize),
    Frame(String),
    StaleFrame(String),
    StaleLost,
    Decide { behind: u64, wait: Option<Duration> },
    Timeout,
    ToDeadline,
    Late(Duration),
    Skip(Duration),
    Advance(Duration),
    Suspend(Duration),
    Forward(Duration),
    Back(Duration),
    Block(bool),
    Return,
}

fn frame() -> impl Strategy<Value = String> {
    let event = prop_oneof![
        6 => prop::sample::select(&[
            "pusher:connection_established",
            "pusher:error",
            "pusher:ping",
            "pusher:pong",
            "pusher:subscription_error",
            "pusher:cache_miss",
            "pusher:signin_success",
            "pusher_internal:subscription_succeeded",
            "pusher_internal:subscription_error",
            "pusher_internal:subscription_count",
            "pusher_internal:member_added",
            "pusher_internal:watchlist_events",
            "online",
            "client-e",
            "e",
        ][..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let channel = prop_oneof![
        Just(String::new()),
        prop::sample::select(&CHANNELS[..]).prop_map(|name| format!(r#","channel":"{name}""#)),
        json().prop_map(|json| format!(r#","channel":{json}"#)),
    ];
    let data = prop_oneof![
        Just(String::new()),
        prop_oneof![json(), payload()].prop_map(|json| format!(r#","data":{json}"#)),
        prop_oneof![json(), payload()]
            .prop_map(|json| format!(r#","data":{}"#, serde_json::Value::from(json))),
    ];
    prop_oneof![
        12 => (event, channel, data).prop_map(|(event, channel, data)| {
            format!(r#"{{"event":{}{channel}{data}}}"#, serde_json::Value::from(event))
        }),
        1 => any::<String>(),
        1 => json(),
    ]
}

/// Data as servers mean it.
fn payload() -> impl Strategy<Value = String> {
    let code = prop_oneof![3990_u32..4310, any::<u32>()].prop_map(|code| code.to_string());
    let code = prop_oneof![code, json()];
    let key = prop::sample::select(&["code", "status"][..]);
    prop_oneof![
        (key, code, 0..2 * CHANNELS.len()).prop_map(|(key, code, channel)| {
            match CHANNELS.get(channel) {
                Some(name) => format!(r#"{{"{key}":{code},"channel":"{name}","message":"m"}}"#),
                None => format!(r#"{{"{key}":{code}}}"#),
            }
        }),
        json().prop_map(|json| format!(r#"{{"socket_id":"5.6","activity_timeout":{json}}}"#)),
        json().prop_map(|json| format!(r#"{{"socket_id":{json}}}"#)),
        json().prop_map(|json| format!(r#"{{"subscription_count":{json}}}"#)),
    ]
}

/// JSON of any kind, deep nesting and numbers beyond every type included.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("a number", |value| value.is_finite())
            .prop_map(|v| format!("{v:e}")),
        (1_usize..400).prop_map(|digits| "9".repeat(digits)),
        Just("1e99999".to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#""\ud800\u0000""#.to_owned()),
        (1_usize..300).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
        (1_usize..300).prop_map(|depth| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z_]{0,8}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> =
                    fields.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0_u64..2000).prop_map(Duration::from_millis),
        (0_u64..200).prop_map(secs),
        (0_u64..400_000).prop_map(secs),
        any::<u32>().prop_map(|nanos| Duration::from_nanos(nanos.into())),
    ]
}

fn code() -> impl Strategy<Value = Option<u16>> {
    prop_oneof![
        Just(None),
        prop::sample::select(&[1000, 1006, 3999, 4000, 4099, 4100, 4199, 4200, 4299, 4300][..])
            .prop_map(Some),
        any::<u16>().prop_map(Some),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let channel = || 0..CHANNELS.len();
    prop_oneof![
        4 => Just(Input::Connect),
        1 => Just(Input::Disconnect),
        1 => Just(Input::Reconnect),
        1 => Just(Input::NetworkChanged),
        6 => channel().prop_map(Input::Subscribe),
        4 => channel().prop_map(Input::Unsubscribe),
        1 => channel().prop_map(Input::Retire),
        2 => Just(Input::Signin),
        1 => Just(Input::Signout),
        2 => Just(Input::SigninSuccess),
        1 => Just(Input::Switch),
        2 => Just(Input::Ping),
        6 => channel().prop_map(Input::Trigger),
        2 => Just(Input::Opened),
        8 => prop_oneof![Just(120), 0_u64..300].prop_map(Input::Established),
        2 => Just(Input::Lost),
        2 => code().prop_map(Input::Closed),
        4 => channel().prop_map(Input::Confirm),
        2 => channel().prop_map(Input::Refuse),
        6 => frame().prop_map(Input::Frame),
        1 => frame().prop_map(Input::StaleFrame),
        1 => Just(Input::StaleLost),
        3 => (0_u64..2, prop::option::of(time()))
            .prop_map(|(behind, wait)| Input::Decide { behind, wait }),
        1 => Just(Input::Timeout),
        6 => Just(Input::ToDeadline),
        1 => time().prop_map(Input::Late),
        2 => time().prop_map(Input::Skip),
        // A dead server costs several steps for each wait.
        3 => time().prop_map(|time| Input::Advance(time.min(secs(3000)))),
        1 => time().prop_map(Input::Suspend),
        1 => time().prop_map(Input::Forward),
        1 => any::<bool>().prop_map(Input::Block),
        2 => Just(Input::Return),
        1 => time().prop_map(Input::Back),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        4 => Just(backoff(None)),
        2 => (0_u32..4).prop_map(|most| backoff(Some(most))),
        1 => Just(Policy::Never),
        3 => Just(Policy::Custom),
        1 => (time(), time(), time()).prop_map(|(initial, min, max)| {
            Policy::Backoff(Backoff { initial, min, max, max_attempts: None })
        }),
    ]
}

fn outbox() -> impl Strategy<Value = Option<OutboxLimits>> {
    let limits = (1_usize..30, 10_usize..400, time());
    let limits = limits.prop_map(|(count, bytes, age)| OutboxLimits { count, bytes, age });
    prop::option::weighted(0.7, limits)
}

/// A user's policy may have said to wait for thousands of years: then the time stays.
fn go_to_deadline(harness: &mut Harness) {
    if let Some(deadline) = harness.deadline().filter(|&deadline| deadline < secs(1 << 40)) {
        harness.skip(deadline.saturating_sub(harness.now.mono));
        harness.catch_up();
    }
}

fn apply(harness: &mut Harness, input: &Input) {
    let ended = matches!(harness.state(), State::Failed | State::Disconnected);
    let dials = harness.generation;
    match input {
        Input::Connect => harness.connect(),
        Input::Disconnect => harness.disconnect(),
        Input::Reconnect => harness.reconnect(),
        Input::NetworkChanged => harness.network_changed(),
        Input::Close => harness.close(),
        Input::Subscribe(at) => harness.subscribe(CHANNELS[*at]),
        Input::Unsubscribe(at) => harness.unsubscribe(CHANNELS[*at]),
        Input::Retire(at) => harness.retire(CHANNELS[*at]),
        Input::Ping => assert_eq!(harness.state() == State::Connected, harness.ping().is_ok()),
        Input::Trigger(at) => drop(harness.trigger_number(CHANNELS[*at])),
        Input::Signin => harness.signin(),
        Input::Signout => harness.signout(),
        Input::SigninSuccess => harness.confirm_user("bob"),
        Input::Switch => harness.switch(),
        Input::Opened => harness.opened(),
        Input::Established(activity) => {
            harness
                .establish_with(&format!(r#"{{"socket_id":"1.2","activity_timeout":{activity}}}"#));
        }
        Input::Lost => harness.lose(),
        Input::Closed(code) => harness.closed(*code),
        Input::Confirm(at) => harness.confirm(CHANNELS[*at]),
        Input::Refuse(at) => {
            harness.server("pusher:subscription_error", Some(CHANNELS[*at]), r#"{"status":401}"#);
        }
        Input::Frame(frame) => harness.frame(frame.clone()),
        Input::StaleFrame(frame) => {
            if let Some(old) = harness.generation.checked_sub(1) {
                harness.frame_on(old, frame.clone());
            }
        }
        Input::StaleLost => harness.lose_on(harness.generation + 1),
        Input::Decide { behind, wait } => {
            harness.decide(harness.policy_calls.saturating_sub(*behind), *wait)
        }
        Input::Timeout => harness.timeout(),
        Input::ToDeadline => go_to_deadline(harness),
        Input::Late(time) => {
            harness.skip(*time);
            harness.catch_up();
        }
        Input::Skip(time) => harness.skip(*time),
        Input::Advance(time) => harness.advance(*time),
        Input::Suspend(time) => harness.suspend(*time),
        Input::Forward(time) => harness.now.wall += *time,
        Input::Block(blocks) => harness.blocks = *blocks,
        Input::Return => harness.return_dial(),
        Input::Back(time) => harness.now.wall = harness.now.wall.saturating_sub(*time),
    }
    if ended && !matches!(input, Input::Connect | Input::Reconnect) {
        assert_eq!(harness.generation, dials, "{input:?} dialled");
    }
    harness.take();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_must_hold_holds(
        policy in policy(),
        seed in any::<u64>(),
        outbox in outbox(),
        inputs in vec(input(), 1..80),
        then_close in any::<bool>(),
    ) {
        let mut harness = Harness::quiet_with(|config| {
            config.policy = policy.clone();
            config.seed = seed;
            config.outbox = outbox;
        });
        for input in &inputs {
            apply(&mut harness, input);
        }
        if then_close {
            apply(&mut harness, &Input::Close);
            let dials = harness.generation;
            for input in inputs.iter().take(20) {
                apply(&mut harness, input);
            }
            prop_assert_eq!(harness.generation, dials, "dialled after close");
            prop_assert_eq!(harness.state(), State::Disconnected);
        }
    }

    /// Most random lives are short of connections: these begin with one and stay long on it.
    #[test]
    fn whatever_happens_on_a_connection_what_must_hold_holds(
        seed in any::<u64>(),
        outbox in outbox(),
        inputs in vec(input().prop_filter("stays", |input| !matches!(
            input,
            Input::Disconnect | Input::Lost | Input::Closed(_) | Input::Late(_)
        )), 1..80),
    ) {
        let mut harness = Harness::quiet_connected_with(|config| (config.seed, config.outbox) = (seed, outbox));
        for name in CHANNELS {
            harness.subscribe(name);
        }
        for input in &inputs {
            apply(&mut harness, input);
        }
    }

    /// With a server that works again, everything that is wanted is subscribed in the end.
    #[test]
    fn after_every_outage_all_that_is_wanted_is_subscribed_again(
        seed in any::<u64>(),
        outbox in outbox(),
        inputs in vec(input().prop_filter("not for good", |input| !matches!(input, Input::Close)), 1..60),
    ) {
        let mut harness = Harness::quiet_with(|config| (config.seed, config.outbox) = (seed, outbox));
        for input in &inputs {
            apply(&mut harness, input);
        }
        harness.blocks = false;
        harness.return_dial();
        harness.subscribe("a");
        harness.unsubscribe("b");
        harness.connect();
        for _ in 0..3 {
            match harness.state() {
                State::Connected => break,
                // Waiting to dial: it does so within half a minute.
                State::Reconnecting if !harness.machine.is_current(harness.generation) => {
                    assert!(harness.due_in() <= secs(30));
                    harness.advance_to_deadline();
                }
                _ => harness.establish(),
            }
        }
        for name in CHANNELS {
            harness.confirm(name);
        }
        prop_assert_eq!(harness.state(), State::Connected);
        prop_assert_eq!(harness.status("a"), crate::ChannelStatus::Subscribed);
        prop_assert_ne!(harness.status("b"), crate::ChannelStatus::Subscribed);
    }

    #[test]
    fn no_text_makes_parsing_or_handling_panic(frames in vec(frame(), 1..40)) {
        let mut live = Harness::quiet_subscribed(&["a", "b"]);
        for frame in frames {
            let mut opening = Harness::quiet();
            opening.connect();
            if let Ok(event) = Event::parse(frame.clone()) {
                let _ = (event.data(), event.name(), event.channel(), event.user_id());
                let _ = event.json::<serde_json::Value>();
            }
            opening.frame(frame.clone());
            live.skip(MS);
            live.frame(frame);
            prop_assert_eq!(live.state(), State::Connected, "no frame ends a connection");
        }
    }
}
