//! Random lives of channels that need an authorization. That only current answers are sent is
//! checked by [`Desk`] whenever something is sent.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::desk::{Desk, granted, io, status};
use super::sim::{SUBSCRIBE, secs};
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
    /// Any question that was ever asked is begun, or answered.
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

fn answered(desk: &mut Desk, ask: &super::desk::Ask, answer: Answer) {
    let answer: Result<Auth, Error> = match answer {
        Answer::Granted => Ok(granted(ask)),
        Answer::WithoutChannelData => Ok(Auth { channel_data: None, ..granted(ask) }),
        Answer::Refused => Err(status(403)),
        Answer::Busy => Err(status(503).with_retry_after(secs(2))),
        Answer::Broken => Err(io()),
    };
    desk.reply(ask, answer);
}

fn apply(desk: &mut Desk, input: Input) {
    match input {
        Input::Subscribe(i) => desk.subscribe(CHANNELS[i]),
        Input::Unsubscribe(i) => desk.unsubscribe(CHANNELS[i]),
        Input::Retire(i) => desk.input(|machine, _| machine.retire(CHANNELS[i])),
        Input::AuthorizerChanged(i) => {
            desk.input(|machine, now| machine.authorizer_changed(CHANNELS[i], now));
        }
        Input::Begin(index) if !desk.asks.is_empty() => {
            let ask = index.get(&desk.asks).clone();
            let begun = desk.begin(&ask);
            assert!(!begun || ask.socket_id == desk.machine.socket_id().unwrap_or_default());
        }
        Input::Reply(index, answer) if !desk.asks.is_empty() => {
            let ask = index.get(&desk.asks).clone();
            answered(desk, &ask, answer);
        }
        Input::Begin(_) | Input::Reply(..) => {}
        Input::Answer(i, answer) => {
            let ask = desk.asks.iter().rfind(|ask| ask.channel == CHANNELS[i]).cloned();
            if let Some(ask) = ask.filter(|ask| desk.begin(ask)) {
                answered(desk, &ask, answer);
            }
        }
        Input::Confirm(i) => desk.confirm(CHANNELS[i]),
        Input::Refuse(i) => {
            desk.server("pusher:subscription_error", Some(CHANNELS[i]), &json!({ "status": 401 }));
        }
        Input::InvalidSignature(i) => {
            let message = format!("Invalid signature of {}:{}", desk.socket_id(), CHANNELS[i]);
            desk.error(Value::Null, &message);
        }
        Input::Unauthorized => desk.error(4009, "Connection is unauthorized"),
        Input::Trigger(i) => drop(desk.trigger(CHANNELS[i], "client-e", "1")),
        Input::Lose => desk.lose(),
        Input::Disconnect => desk.disconnect(),
        Input::Reconnect => desk.reconnect(),
        Input::Advance(seconds) => desk.advance(secs(seconds)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_wanted_channel_comes_to_an_end(inputs in vec(input(), 1..80)) {
        let mut desk = Desk::connected();
        for &input in &inputs {
            apply(&mut desk, input);
        }
        if desk.machine.socket_id().is_none() {
            desk.reconnect();
        }
        // The authorizer answers whatever is asked, and the server nothing.
        for _ in 0..3 {
            for name in CHANNELS {
                apply(&mut desk, Input::Answer(CHANNELS.iter().position(|&it| it == name).unwrap(), Answer::Granted));
            }
            // A retry that an endpoint asked for comes within this.
            desk.advance(secs(300));
        }
        let asks = desk.asks.len();
        desk.advance(SUBSCRIBE);
        prop_assert_eq!(desk.asks.len(), asks);
        for name in CHANNELS {
            let status = desk.status(name);
            prop_assert_ne!(status, ChannelStatus::Pending, "{} is stuck", name);
            let wanted = !matches!(status, ChannelStatus::Unsubscribed | ChannelStatus::Idle);
            if wanted && status == ChannelStatus::Failed {
                desk.subscribe(name);
                desk.grant(name);
                prop_assert_eq!(&desk.last_frame()["data"]["channel"], name);
                desk.confirm(name);
                prop_assert_eq!(desk.status(name), ChannelStatus::Subscribed);
            }
        }
    }
}
