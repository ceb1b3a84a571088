//! Random lives of channels that need an authorization. That only current answers are sent is
//! checked by [`Harness`] whenever something is sent.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::harness::Request;
use super::harness::{Harness, SUBSCRIBE, granted, io, secs, status};
use crate::{Auth, ChannelStatus, Error};

const CHANNELS: [&str; 4] = ["private-a", "private-ab", "presence-c", "presence-d"];

#[derive(Clone, Copy, Debug)]
enum Answer {
    Granted,
    WithoutChannelData,
    Refused,
    Busy,
    Broken,
}

#[derive(Clone, Copy, Debug)]
enum Input {
    Subscribe(usize),
    Unsubscribe(usize),
    Retire(usize),
    AuthorizerChanged(usize),
    /// Any request that was ever asked is begun, or answered.
    Begin(prop::sample::Index),
    Reply(prop::sample::Index, Answer),
    /// As the driver does: begun, and answered unless that is of no use.
    Answer(usize, Answer),
    Confirm(usize),
    Refuse(usize),
    InvalidSignature(usize),
    Unauthorized,
    Trigger(usize),
    Lose,
    Disconnect,
    Reconnect,
    Advance(u64),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Granted),
        1 => Just(Answer::WithoutChannelData),
        1 => Just(Answer::Refused),
        1 => Just(Answer::Busy),
        1 => Just(Answer::Broken),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let channel = || 0..CHANNELS.len();
    prop_oneof![
        5 => channel().prop_map(Input::Subscribe),
        3 => channel().prop_map(Input::Unsubscribe),
        1 => channel().prop_map(Input::Retire),
        1 => channel().prop_map(Input::AuthorizerChanged),
        3 => any::<prop::sample::Index>().prop_map(Input::Begin),
        5 => (any::<prop::sample::Index>(), answer()).prop_map(|(i, a)| Input::Reply(i, a)),
        5 => (channel(), answer()).prop_map(|(i, a)| Input::Answer(i, a)),
        4 => channel().prop_map(Input::Confirm),
        1 => channel().prop_map(Input::Refuse),
        1 => channel().prop_map(Input::InvalidSignature),
        1 => Just(Input::Unauthorized),
        1 => channel().prop_map(Input::Trigger),
        2 => Just(Input::Lose),
        1 => Just(Input::Disconnect),
        3 => Just(Input::Reconnect),
        3 => prop_oneof![0_u64..3, 0_u64..60, Just(20), Just(400)].prop_map(Input::Advance),
    ]
}

fn answered(harness: &mut Harness, ask: &Request, answer: Answer) {
    let answer: Result<Auth, Error> = match answer {
        Answer::Granted => Ok(granted(ask)),
        Answer::WithoutChannelData => Ok(Auth { channel_data: None, ..granted(ask) }),
        Answer::Refused => Err(status(403)),
        Answer::Busy => Err(status(503).with_retry_after(secs(2))),
        Answer::Broken => Err(io()),
    };
    harness.respond_to(ask, answer);
}

fn apply(harness: &mut Harness, input: Input) {
    match input {
        Input::Subscribe(i) => harness.subscribe(CHANNELS[i]),
        Input::Unsubscribe(i) => harness.unsubscribe(CHANNELS[i]),
        Input::Retire(i) => harness.retire(CHANNELS[i]),
        Input::AuthorizerChanged(i) => {
            harness.input(|machine, now| machine.authorizer_changed(CHANNELS[i], now));
        }
        Input::Begin(index) if !harness.requests.is_empty() => {
            let ask = index.get(&harness.requests).clone();
            let begun = harness.begin(&ask);
            assert!(!begun || ask.socket_id == harness.machine.socket_id().unwrap_or_default());
        }
        Input::Reply(index, answer) if !harness.requests.is_empty() => {
            let ask = index.get(&harness.requests).clone();
            answered(harness, &ask, answer);
        }
        Input::Begin(_) | Input::Reply(..) => {}
        Input::Answer(i, answer) => {
            let ask = harness.requests.iter().rfind(|ask| ask.channel == CHANNELS[i]).cloned();
            if let Some(ask) = ask.filter(|ask| harness.begin(ask)) {
                answered(harness, &ask, answer);
            }
        }
        Input::Confirm(i) => harness.confirm(CHANNELS[i]),
        Input::Refuse(i) => {
            harness.server(
                "pusher:subscription_error",
                Some(CHANNELS[i]),
                json!({ "status": 401 }),
            );
        }
        Input::InvalidSignature(i) => {
            let message = format!("Invalid signature of {}:{}", harness.socket_id, CHANNELS[i]);
            harness.error(Value::Null, &message);
        }
        Input::Unauthorized => harness.error(4009, "Connection is unauthorized"),
        Input::Trigger(i) => drop(harness.trigger(CHANNELS[i], "client-e", "1")),
        Input::Lose => harness.lose(),
        Input::Disconnect => harness.disconnect(),
        Input::Reconnect => harness.reestablish(),
        Input::Advance(seconds) => harness.advance(secs(seconds)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_wanted_channel_comes_to_an_end(inputs in vec(input(), 1..80)) {
        let mut harness = Harness::connected();
        for &input in &inputs {
            apply(&mut harness, input);
        }
        if harness.machine.socket_id().is_none() {
            harness.reestablish();
        }
        // The authorizer answers whatever is asked, and the server nothing.
        for _ in 0..3 {
            for name in CHANNELS {
                apply(&mut harness, Input::Answer(CHANNELS.iter().position(|&it| it == name).unwrap(), Answer::Granted));
            }
            // A retry that an endpoint asked for comes within this.
            harness.advance(secs(300));
        }
        let asks = harness.requests.len();
        harness.advance(SUBSCRIBE);
        prop_assert_eq!(harness.requests.len(), asks);
        for name in CHANNELS {
            let status = harness.status(name);
            prop_assert_ne!(status, ChannelStatus::Pending, "{} is stuck", name);
            let wanted = !matches!(status, ChannelStatus::Unsubscribed | ChannelStatus::Idle);
            if wanted && status == ChannelStatus::Failed {
                harness.subscribe(name);
                harness.grant(name);
                prop_assert_eq!(&harness.last_frame()["data"]["channel"], name);
                harness.confirm(name);
                prop_assert_eq!(harness.status(name), ChannelStatus::Subscribed);
            }
        }
    }
}
