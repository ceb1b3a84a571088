//! Random lives of channels that need an authorization. That only current responses are sent is
//! checked by [`Harness`] whenever something is sent.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::harness::Request;
use super::harness::{Harness, SUBSCRIBE, granted, io, secs, status};
use crate::{Auth, ChannelStatus, Error};

const CHANNELS: [&str; 4] = ["private-a", "private-ab", "presence-c", "presence-d"];

#[derive(Clone, Copy, Debug)]
enum Response {
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
    /// Any request that was ever made is begun, or gets a response.
    Begin(prop::sample::Index),
    Reply(prop::sample::Index, Response),
    /// As the driver does: the request is begun, and gets a response unless that is of no use.
    Respond(usize, Response),
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

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        4 => Just(Response::Granted),
        1 => Just(Response::WithoutChannelData),
        1 => Just(Response::Refused),
        1 => Just(Response::Busy),
        1 => Just(Response::Broken),
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
        5 => (any::<prop::sample::Index>(), response()).prop_map(|(i, a)| Input::Reply(i, a)),
        5 => (channel(), response()).prop_map(|(i, a)| Input::Respond(i, a)),
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

fn respond(harness: &mut Harness, request: &Request, response: Response) {
    let response: Result<Auth, Error> = match response {
        Response::Granted => Ok(granted(request)),
        Response::WithoutChannelData => Ok(Auth { channel_data: None, ..granted(request) }),
        Response::Refused => Err(status(403)),
        Response::Busy => Err(status(503).with_retry_after(secs(2))),
        Response::Broken => Err(io()),
    };
    harness.respond_to(request, response);
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
            let request = index.get(&harness.requests).clone();
            let begun = harness.begin(&request);
            assert!(!begun || request.socket_id == harness.machine.socket_id().unwrap_or_default());
        }
        Input::Reply(index, response) if !harness.requests.is_empty() => {
            let request = index.get(&harness.requests).clone();
            respond(harness, &request, response);
        }
        Input::Begin(_) | Input::Reply(..) => {}
        Input::Respond(i, response) => {
            let request =
                harness.requests.iter().rfind(|request| request.channel == CHANNELS[i]).cloned();
            if let Some(request) = request.filter(|request| harness.begin(request)) {
                respond(harness, &request, response);
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
        // The authorizer responds to every request, and the server to none.
        for _ in 0..3 {
            for name in CHANNELS {
                apply(&mut harness, Input::Respond(CHANNELS.iter().position(|&it| it == name).unwrap(), Response::Granted));
            }
            // A retry that an endpoint requested comes within this.
            harness.advance(secs(300));
        }
        let requests = harness.requests.len();
        harness.advance(SUBSCRIBE);
        prop_assert_eq!(harness.requests.len(), requests);
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
