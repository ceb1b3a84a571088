//! The in-process server's users, seen by a raw client.

mod endpoint;
mod signin;
mod watchlist;

use pusher_channels::testing::{ChannelRefusal, CloseStyle, DataStyle, Server, Settings};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::server_channels::endpoint::{form as channel_auth, request};
use crate::server_channels::{Signed, data, error, signature};
use crate::support::SOON;

const SUCCEEDED: &str = "pusher_internal:subscription_succeeded";

const ANNS: &str = "#server-to-user-ann";

fn user_auth(client: &Signed, server: &Server, user_data: &str) -> String {
    let text = format!("{}::user::{user_data}", client.socket_id);
    format!("{}:{}", server.key(), signature(server.secret(), &text))
}

fn say_signin(client: &mut Signed, auth: &str, user_data: &str) {
    let data = json!({"auth": auth, "user_data": user_data});
    client.raw.send(&json!({"event": "pusher:signin", "data": data}).to_string());
}

/// Sends a validly signed request and returns the response.
fn sign_in(client: &mut Signed, server: &Server, user_data: &str) -> Value {
    let auth = user_auth(client, server, user_data);
    say_signin(client, &auth, user_data);
    client.raw.read()
}

/// A connection of this user.
fn user(server: &Server, id: &str) -> Signed {
    let mut client = Signed::new(server);
    let response = sign_in(&mut client, server, &json!({"id": id}).to_string());
    assert_eq!(response["event"], "pusher:signin_success");
    client
}

/// A connection of this user, subscribed to the user's own channel.
pub(crate) fn listening(server: &Server, id: &str) -> Signed {
    let mut client = user(server, id);
    client.raw.subscribe(&format!("#server-to-user-{id}"));
    assert_eq!(client.raw.read()["event"], SUCCEEDED);
    client
}

fn close_code(client: &mut Signed) -> Option<u16> {
    match client.raw.0.read() {
        Ok(Message::Close(frame)) => frame.map(|frame| frame.code.into()),
        Ok(message) => panic!("no close: {message}"),
        Err(_) => None,
    }
}

#[test]
fn user_events_go_to_subscribed_connections() {
    let server = Server::start_with(Settings::default().subscription_counts(true)).unwrap();
    let mut first = user(&server, "ann");
    let mut second = listening(&server, "ann");
    let mut other = listening(&server, "bob");
    assert_eq!(server.send_to_user("ann", "note", &json!({"n": 1})), 1);
    let expected = r##"{"event":"note","channel":"#server-to-user-ann","data":"{\"n\":1}"}"##;
    assert_eq!(second.raw.read_text(), expected);
    first.raw.subscribe(ANNS);
    let expected = json!({"event": SUCCEEDED, "channel": ANNS, "data": "{}"});
    assert_eq!(first.raw.read(), expected);
    assert_eq!(server.subscribers(ANNS), 2);
    assert_eq!(server.send_to_user("ann", "note", "text"), 2);
    for client in [&mut first, &mut second] {
        assert_eq!(client.raw.read()["data"], "text");
    }
    first.raw.send(&json!({"event": "pusher:unsubscribe", "data": {"channel": ANNS}}).to_string());
    first.assert_quiet();
    assert_eq!((server.send_to_user("ann", "note", "x"), server.signed_in("ann")), (1, 2));
    assert_eq!(server.send_to_user("nobody", "note", "x"), 0);
    let no_json = std::collections::HashMap::from([(vec![1], 2)]);
    assert_eq!(server.send_to_user("ann", "note", &no_json), 0);
    second.raw.read();
    for mut client in [first, second] {
        client.assert_quiet();
    }
    other.assert_quiet();
}

#[test]
fn user_channel_is_for_that_user_only() {
    let server = Server::start().unwrap();
    let mut stranger = Signed::new(&server);
    let mut bob = user(&server, "bob");
    for client in [&mut stranger, &mut bob] {
        client.raw.subscribe(ANNS);
        let (code, message) = error(&client.raw.read());
        assert!(code.is_none() && message.contains("not signed in"), "{message}");
        // Signatures do not help.
        let (_, message) = error(&client.subscribe(ANNS, None));
        assert!(message.contains("not signed in"), "{message}");
        for channel in ["#server-to-user-", "#server-to-ann", "#", "x#server-to-user-ann"] {
            assert_eq!(error(&client.subscribe(channel, None)).0, None, "{channel}");
            assert_eq!(server.subscribers(channel), 0);
        }
    }
    assert_eq!((server.subscribers(ANNS), server.send_to_user("ann", "e", "x")), (0, 0));
    server.refuse_channel("#server-to-user-bob", ChannelRefusal::SubscriptionError(403));
    bob.raw.subscribe("#server-to-user-bob");
    assert_eq!(bob.raw.read()["data"]["status"], 403);
    let refusal = ChannelRefusal::SubscriptionError(401);
    let server = Server::start_with(Settings::default().auth_refusal(refusal)).unwrap();
    let mut stranger = Signed::new(&server);
    stranger.raw.subscribe(ANNS);
    let response = stranger.raw.read();
    assert_eq!((&response["channel"], &response["data"]["status"]), (&json!(ANNS), &json!(401)));
}

#[test]
fn user_events_may_need_no_subscription() {
    let settings = Settings::default().user_events_without_subscription(true);
    let server = Server::start_with(settings).unwrap();
    let (mut first, mut second) = (user(&server, "ann"), listening(&server, "ann"));
    let (mut other, mut stranger) = (listening(&server, "bob"), Signed::new(&server));
    assert_eq!(server.send_to_user("ann", "note", &[1]), 2);
    let expected = json!({"event": "note", "channel": ANNS, "data": "[1]"});
    for client in [&mut first, &mut second] {
        assert_eq!(client.raw.read(), expected);
        client.assert_quiet();
    }
    other.assert_quiet();
    stranger.assert_quiet();
    server.silence(true);
    assert_eq!(server.send_to_user("ann", "note", &[1]), 0);
    server.silence(false);
    first.assert_quiet();
}

#[test]
fn second_sign_in_replaces_the_first() {
    let server = Server::start().unwrap();
    let mut client = listening(&server, "ann");
    // The same user keeps the channel.
    let again = sign_in(&mut client, &server, r#"{"id":"ann","user_info":1}"#);
    assert_eq!(again["event"], "pusher:signin_success");
    assert_eq!((server.signed_in("ann"), server.send_to_user("ann", "e", "x")), (1, 1));
    client.raw.read();
    sign_in(&mut client, &server, r#"{"id":"bob"}"#);
    assert_eq!((server.signed_in("ann"), server.signed_in("bob")), (0, 1));
    assert_eq!((server.subscribers(ANNS), server.send_to_user("ann", "e", "x")), (0, 0));
    client.raw.subscribe(ANNS);
    assert!(error(&client.raw.read()).1.contains("not signed in"));
    // A refused sign-in changes nothing.
    say_signin(&mut client, "app-key:wrong", r#"{"id":"eve"}"#);
    error(&client.raw.read());
    assert_eq!((server.signed_in("eve"), server.signed_in("bob")), (0, 1));
}

#[test]
fn terminate_user_closes_the_connections_of_that_user() {
    for style in [CloseStyle::Code, CloseStyle::Empty, CloseStyle::Drop, CloseStyle::Open] {
        let server = Server::start_with(Settings::default().close_style(style)).unwrap();
        let anns = [user(&server, "ann"), listening(&server, "ann")];
        let mut bob = user(&server, "bob");
        assert_eq!((server.terminate_user("nobody"), server.terminate_user("ann")), (0, 2));
        let left = if style == CloseStyle::Open { 2 } else { 0 };
        assert_eq!((server.signed_in("ann"), server.connections()), (left, left + 1), "{style:?}");
        assert_eq!(server.subscribers(ANNS), left / 2);
        for mut ann in anns {
            if style != CloseStyle::Code {
                let (code, message) = error(&ann.raw.read());
                assert!(code == Some(4009) && message.contains("app"), "{message}");
            }
            match style {
                CloseStyle::Code => {
                    let Ok(Message::Close(Some(frame))) = ann.raw.0.read() else { panic!() };
                    assert_eq!(u16::from(frame.code), 4009);
                    assert!(frame.reason.contains("app"), "{}", frame.reason);
                }
                CloseStyle::Open => ann.assert_quiet(),
                _ => assert_eq!(close_code(&mut ann), None),
            }
        }
        bob.assert_quiet();
    }
}

#[test]
fn user_joins_presence_channels_without_channel_data() {
    let server = Server::start().unwrap();
    let mut stranger = Signed::new(&server);
    let (code, message) = error(&stranger.subscribe("presence-r", None));
    assert!(code.is_none() && message.contains("channel_data"), "{message}");

    let mut ann = Signed::new(&server);
    sign_in(&mut ann, &server, r#"{"id":"ann","user_info":{"name":"Ann"},"more":1}"#);
    let params = [
        ("socket_id", &*ann.socket_id),
        ("channel_name", "presence-r"),
        ("signed_in_user", "true"),
        ("user_id", "not-me"),
    ];
    let response = channel_auth(&server, &params).json();
    assert_eq!(response, json!({"auth": ann.auth("presence-r", None)}));
    for (given, named) in [(json!(true), false), (json!(false), true), (json!("no"), true)] {
        let body =
            json!({"socket_id": "1.2", "channel_name": "presence-r", "signed_in_user": given});
        let response =
            request(&server, "POST", "/pusher/auth", "application/json", &body.to_string());
        assert_eq!(response.json()["channel_data"].is_string(), named, "{given}");
    }
    let response = ann.subscribe("presence-r", None);
    let presence = json!({"ids": ["ann"], "hash": {"ann": {"name": "Ann"}}, "count": 1});
    assert_eq!(data(&response), json!({"presence": presence}));

    // Explicit `channel_data` names another member and needs a valid signature.
    let mut bob = user(&server, "bob");
    bob.say_subscribe("presence-r", "app-key:wrong", None);
    assert!(error(&bob.raw.read()).1.starts_with("Invalid signature"));
    bob.subscribe("presence-r", Some(r#"{"user_id":"robert"}"#));
    assert_eq!(data(&ann.raw.read()), json!({"user_id": "robert"}));
    ann.raw.send(r#"{"event":"client-x","channel":"presence-r","data":1}"#);
    assert_eq!(bob.raw.read()["user_id"], "ann");
    drop(ann);
    assert_eq!(data(&bob.raw.read()), json!({"user_id": "ann"}));

    // An info that is too large for a member does not prevent the sign-in.
    let mut large = Signed::new(&server);
    let user_data = json!({"id": "carl", "user_info": "x".repeat(1100)}).to_string();
    assert_eq!(sign_in(&mut large, &server, &user_data)["event"], "pusher:signin_success");
    let (_, message) = error(&large.subscribe("presence-r", None));
    assert!(message.starts_with("Invalid user_data of presence-r"), "{message}");
    assert_eq!(server.subscribers("presence-r"), 1);
}

#[test]
fn presence_by_signin_omits_channel_data() {
    let server = Server::start_with(Settings::default().presence_by_signin(true)).unwrap();
    for channel in ["presence-r", "private-r"] {
        let params = [("socket_id", "1.2"), ("channel_name", channel)];
        let response = channel_auth(&server, &params).json();
        let expected = signature(server.secret(), &format!("1.2:{channel}"));
        assert_eq!(response, json!({"auth": format!("app-key:{expected}")}));
    }
}

#[test]
fn end_of_a_connection_signs_its_user_out() {
    let server = Server::start().unwrap();
    let (gone, mut left) = (listening(&server, "ann"), listening(&server, "ann"));
    assert_eq!((server.signed_in("ann"), server.signed_in("an")), (2, 0));
    drop(gone);
    assert!(server.wait_for(SOON, |server| server.signed_in("ann") == 1));
    assert_eq!(server.send_to_user("ann", "e", "x"), 1);
    assert_eq!(left.raw.read()["data"], "x");
    server.silence(true);
    assert_eq!((server.send_to_user("ann", "e", "x"), server.signed_in("ann")), (0, 1));
    let auth = user_auth(&left, &server, r#"{"id":"bob"}"#);
    say_signin(&mut left, &auth, r#"{"id":"bob"}"#);
    assert!(server.wait_for(SOON, |server| server.recorded().last().unwrap().contains("bob")));
    assert_eq!((server.signed_in("ann"), server.signed_in("bob")), (1, 0));
    assert_eq!(server.terminate_user("ann"), 1);
    assert_eq!(close_code(&mut left), Some(4009));
    server.silence(false);
    assert_eq!((server.signed_in("ann"), server.subscribers(ANNS)), (0, 0));

    let _dropped = user(&server, "ann");
    server.drop_connections();
    assert_eq!(server.signed_in("ann"), 0);
    let _closed = user(&server, "ann");
    server.close_all(4200, "");
    assert_eq!(server.signed_in("ann"), 0);
}

#[test]
fn data_style_applies_to_signin_success() {
    const TEXT: &str = r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\": \\\"ann\\\"}\"}"}"#;
    const OBJECT: &str =
        r#"{"event":"pusher:signin_success","data":{"user_data":"{\"id\": \"ann\"}"}}"#;
    for (style, expected) in
        [(DataStyle::Text, TEXT), (DataStyle::Object, OBJECT), (DataStyle::Absent, TEXT)]
    {
        let server = Server::start_with(Settings::default().data_style(style)).unwrap();
        let mut client = Signed::new(&server);
        // As it was signed, to the last blank.
        let user_data = r#"{"id": "ann"}"#;
        let auth = user_auth(&client, &server, user_data);
        say_signin(&mut client, &auth, user_data);
        assert_eq!(client.raw.read_text(), expected);
        assert_eq!(server.signed_in("ann"), 1);
    }
}
