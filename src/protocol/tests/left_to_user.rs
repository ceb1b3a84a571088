//! Presence channels whose authorizer leaves it to the signed-in user who joins.

use serde_json::{Value, json};

use super::harness::{Harness, MS, SUBSCRIBE, granted};
use super::user::pending;
use crate::{Auth, ChannelStatus, ErrorKind};

const LOBBY: &str = "presence-lobby";

fn left_to_the_user(harness: &mut Harness) {
    harness.subscribe(LOBBY);
    let request = harness.request(LOBBY);
    harness.respond(LOBBY, Ok(Auth { channel_data: None, ..granted(&request) }));
}

#[test]
fn a_presence_channel_may_be_left_to_the_user() {
    // Before, while and after the user signs in.
    let mut harness = Harness::connected();
    left_to_the_user(&mut harness);
    harness.signin();
    harness.present("9");
    harness.expect(&["authorize presence-lobby 1", "authenticate 1", "signin {\"id\":\"9\"}"]);
    harness.confirm_user("9");
    harness.expect(&[
        "signed in 9",
        "subscribe #server-to-user-9",
        "subscribe presence-lobby",
        "event - pusher:signin_success",
    ]);
    assert!(harness.last_frame()["data"]["channel_data"].is_null());
    let presence = json!({ "presence": { "ids": ["9"], "hash": { "9": {} }, "count": 1 } });
    let succeeded = "pusher_internal:subscription_succeeded";
    harness.server(succeeded, Some(LOBBY), json!(presence.to_string()));
    assert_eq!(harness.machine.members(LOBBY).me().unwrap().id(), "9");
    harness.advance(SUBSCRIBE);
    assert_eq!(harness.status(LOBBY), ChannelStatus::Subscribed);

    let mut harness = Harness::signed_in("9");
    left_to_the_user(&mut harness);
    harness.expect(&["authorize presence-lobby 1", "subscribe presence-lobby"]);
}

#[test]
fn without_a_user_a_channel_left_to_them_fails() {
    // No user signs in.
    let mut harness = Harness::connected();
    left_to_the_user(&mut harness);
    harness.take();
    harness.advance(SUBSCRIBE - MS);
    harness.expect(&[]);
    harness.advance(MS);
    harness.expect_failure(LOBBY, ErrorKind::Auth);
    assert!(harness.errors[0].to_string().contains("signin()"));
    // The sign-in fails while the channel waits, or has failed before.
    let mut harness = pending();
    left_to_the_user(&mut harness);
    harness.take();
    harness.error(Value::Null, "expected 7.1::user::x");
    assert_eq!(harness.status(LOBBY), ChannelStatus::Failed);
    let error = harness.machine.channel_failure(LOBBY).unwrap();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("::user::"));
    left_to_the_user(&mut harness);
    assert_eq!(harness.status(LOBBY), ChannelStatus::Failed);
    // What is not wanted any more stays so.
    let mut harness = pending();
    left_to_the_user(&mut harness);
    harness.unsubscribe(LOBBY);
    harness.take();
    harness.confirm_user("9");
    assert!(!harness.take().lines.iter().any(|line| line.contains(LOBBY)));
}
