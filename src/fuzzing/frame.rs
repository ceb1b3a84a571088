//! Frames, most of them nearly right: what is in the right shape gets further than what is not.

use serde_json::Value;

use crate::fuzzing::Input;

pub(crate) const CHANNELS: &[&str] = &[
    "room",
    "private-a",
    "private-ab",
    "presence-c",
    "presence-cache-d",
    "private-encrypted-e",
    "private-encrypted-cache-f",
];

const EVENTS: &[&str] = &[
    "e",
    "client-e",
    "pusher:connection_established",
    "pusher:error",
    "pusher:ping",
    "pusher:pong",
    "pusher:cache_miss",
    "pusher:subscription_error",
    "pusher:signin_success",
    "pusher_internal:subscription_succeeded",
    "pusher_internal:subscription_error",
    "pusher_internal:subscription_count",
    "pusher_internal:member_added",
    "pusher_internal:member_removed",
    "pusher_internal:watchlist_events",
];

/// Data as servers mean it; any JSON takes the place of each `$`.
const SHAPES: &[&str] = &[
    "$",
    r#"{"code":$,"message":"m"}"#,
    r#"{"code":4009,"message":$}"#,
    r#"{"code":null,"message":"Invalid signature of 7.1:private-a"}"#,
    r#"{"status":$,"channel":"private-a"}"#,
    r#"{"type":"AuthError","error":$,"status":401}"#,
    r#"{"socket_id":$,"activity_timeout":$}"#,
    r#"{"socket_id":"7.1","activity_timeout":$}"#,
    r#"{"subscription_count":$}"#,
    r#"{"presence":{"ids":$,"hash":$,"count":1}}"#,
    r#"{"presence":{"hash":{"7":$,"me":{}}}}"#,
    r#"{"user_id":$,"user_info":$}"#,
    r#"{"user_id":"7"}"#,
    r#"{"user_data":$}"#,
    r#"{"events":[{"name":"online","user_ids":$}]}"#,
    r#"{"nonce":$,"ciphertext":$}"#,
];

pub(crate) fn frame(input: &mut Input<'_>) -> String {
    let choice = input.byte();
    if choice % 16 == 0 {
        return input.text();
    }
    let event = match choice % 16 {
        1 => input.text(),
        _ => input.pick(EVENTS).to_owned(),
    };
    let mut frame = format!(r#"{{"event":{}"#, Value::from(event));
    match input.byte() % 16 {
        0 => {}
        1 => frame.push_str(&format!(r#","channel":{}"#, json(input))),
        2 => frame.push_str(r##","channel":"#server-to-user-7""##),
        _ => frame.push_str(&format!(r#","channel":"{}""#, input.pick(CHANNELS))),
    }
    let data = match input.byte() % 8 {
        0 => None,
        #[cfg(feature = "encrypted")]
        1 | 2 => Some(encrypted(input)),
        _ => Some(shape(input)),
    };
    if let Some(data) = data {
        // Most servers put it into a string.
        let data = if choice < 128 { Value::from(data).to_string() } else { data };
        frame.push_str(&format!(r#","data":{data}"#));
    }
    if choice % 16 == 2 {
        frame.push_str(&format!(r#","user_id":{}"#, json(input)));
    }
    frame.push('}');
    frame
}

fn shape(input: &mut Input<'_>) -> String {
    let mut data = input.pick(SHAPES).to_owned();
    while data.contains('$') {
        data = data.replacen('$', &json(input).replace('$', "S"), 1);
    }
    data
}

/// Any text, in quotes or not: it need not be JSON.
fn json(input: &mut Input<'_>) -> String {
    match input.byte() % 4 {
        0 => Value::from(input.text()).to_string(),
        1 => input.number().to_string(),
        2 => "[".repeat(input.byte().into()) + &"]".repeat(input.byte().into()),
        _ => input.text(),
    }
}

/// A payload under one of three keys, two of which authorizers return.
#[cfg(feature = "encrypted")]
fn encrypted(input: &mut Input<'_>) -> String {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode([input.byte() % 3 + 1; 32]);
    let key = crate::protocol::crypto::Key::parse(&key).expect("32 bytes");
    key.encrypt([input.byte(); 24], format!("encrypted:{}", input.byte()))
}
