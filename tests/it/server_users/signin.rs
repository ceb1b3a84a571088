//! Sign-ins that are refused.

use pusher_channels::testing::{CloseStyle, PresenceStyle, Server, Settings, SigninRefusal};
use serde_json::json;

use super::{close_code, say_signin, sign_in, user, user_auth};
use crate::server_channels::{Signed, data, error};

const ANN: &str = r#"{"id":"ann"}"#;

#[test]
fn sign_in_needs_a_valid_signature() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    let right = user_auth(&client, &server, ANN);
    let text = format!("{}::user::{ANN}", client.socket_id);
    let expected = format!("Invalid signature: Expected HMAC SHA256 hex digest of {text}");
    let as_channel = client.auth("user", Some(ANN));
    for (auth, expected) in [
        ("app-key:0123", &*expected),
        (&user_auth(&client, &server, r#"{"id":"bob"}"#), &expected),
        (&as_channel, &expected),
        (&right.replace("app-key", "other-key"), "Invalid key in signin auth data"),
        (&right["app-key:".len()..], "Invalid key"),
        ("", "Invalid key"),
    ] {
        say_signin(&mut client, auth, ANN);
        let (code, message) = error(&client.raw.read());
        assert_eq!(code, Some(4009));
        assert!(message.starts_with(expected), "{auth}: {message}");
    }
    for data in
        [json!({"auth": right}), json!({"auth": right, "user_data": {"id": "ann"}}), json!("x")]
    {
        let response =
            client.raw.exchange(&json!({"event": "pusher:signin", "data": data}).to_string());
        let (code, message) = error(&response);
        assert!(code == Some(4009) && message.contains("user_data"), "{message}");
    }
    assert_eq!(error(&client.raw.exchange(r#"{"event":"pusher:signin"}"#)).0, Some(4009));
    // Another connection's signature is not good here.
    let mut other = Signed::new(&server);
    say_signin(&mut other, &right, ANN);
    assert!(error(&other.raw.read()).1.starts_with("Invalid signature"));
    assert_eq!((server.signed_in("ann"), server.connections()), (0, 2));
    say_signin(&mut client, &right, ANN);
    assert_eq!(client.raw.read()["event"], "pusher:signin_success");
}

#[test]
fn sign_in_needs_an_id() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    let user = |id: &str| json!({"id": id}).to_string();
    let not_ids = |ids| json!({"id": "ann", "watchlist": ids}).to_string();
    for (user_data, part) in [
        (String::new(), "JSON"),
        ("{".to_owned(), "JSON"),
        ("[]".to_owned(), "its id"),
        ("{}".to_owned(), "its id"),
        (r#"{"id":null}"#.to_owned(), "its id"),
        (r#"{"id":7}"#.to_owned(), "its id"),
        (r#"{"user_id":"ann"}"#.to_owned(), "its id"),
        (user(""), "its id"),
        (user(&"ä".repeat(129)), "its id"),
        (not_ids(json!("bob")), "watchlist"),
        (not_ids(json!({})), "watchlist"),
        (not_ids(json!(["bob", 7])), "watchlist"),
        (not_ids(json!(["bob", ""])), "watchlist"),
    ] {
        let (code, message) = error(&sign_in(&mut client, &server, &user_data));
        assert_eq!(code, Some(4009), "{user_data}");
        assert!(message.starts_with("Invalid user_data: ") && message.contains(part), "{message}");
    }
    assert_eq!((server.signed_in("ann"), server.signed_in("")), (0, 0));
    let longest = "ä".repeat(128);
    assert_eq!(sign_in(&mut client, &server, &user(&longest))["event"], "pusher:signin_success");
    assert_eq!(server.signed_in(&longest), 1);
    // It makes the longest name of a channel that there is.
    client.raw.subscribe(&format!("#server-to-user-{longest}"));
    assert_eq!(client.raw.read()["event"], super::SUCCEEDED);
}

#[test]
fn numeric_ids_are_accepted_in_their_style() {
    let settings = Settings::default().presence_style(PresenceStyle::NumericIds);
    let server = Server::start_with(settings).unwrap();
    let mut client = Signed::new(&server);
    let response = sign_in(&mut client, &server, r#"{"id":7,"watchlist":[8]}"#);
    assert_eq!(response["event"], "pusher:signin_success");
    let events = json!({"events": [{"name": "offline", "user_ids": ["8"]}]});
    assert_eq!(data(&client.raw.read()), events);
    assert_eq!(server.signed_in("7"), 1);
    client.raw.subscribe("#server-to-user-7");
    assert_eq!(client.raw.read()["event"], super::SUCCEEDED);
    let response = client.subscribe("presence-r", None);
    assert_eq!(data(&response)["presence"]["ids"], json!([7]));
}

#[test]
fn invalid_sign_ins_are_refused_in_every_style() {
    for refusal in [
        SigninRefusal::ErrorFrame(None),
        SigninRefusal::ErrorFrame(Some(4009)),
        SigninRefusal::Unknown,
        SigninRefusal::Silence,
        SigninRefusal::Close(4009),
        SigninRefusal::Close(4100),
    ] {
        let server = Server::start_with(Settings::default().signin_refusal(refusal)).unwrap();
        let mut client = user(&server, "bob");
        say_signin(&mut client, "app-key:wrong", ANN);
        let (code, part) = match refusal {
            SigninRefusal::ErrorFrame(code) => (code, "Invalid signature"),
            SigninRefusal::Close(code) => (Some(code), "Invalid signature"),
            _ => (Some(4200), "Invalid message format"),
        };
        if refusal != SigninRefusal::Silence {
            let (given, message) = error(&client.raw.read());
            assert_eq!(given, code.map(u64::from), "{refusal:?}");
            assert!(message.starts_with(part), "{message}");
        }
        if let SigninRefusal::Close(code) = refusal {
            assert_eq!(close_code(&mut client), Some(code));
            assert_eq!((server.connections(), server.signed_in("bob")), (0, 0));
        } else {
            client.assert_quiet();
            assert_eq!((server.connections(), server.signed_in("bob")), (1, 1));
        }
    }
}

#[test]
fn closing_refusal_follows_every_close_style() {
    for style in [CloseStyle::Code, CloseStyle::Empty, CloseStyle::Drop, CloseStyle::Open] {
        let refusal = SigninRefusal::Close(4009);
        let settings = Settings::default().signin_refusal(refusal).close_style(style);
        let server = Server::start_with(settings).unwrap();
        let mut client = Signed::new(&server);
        say_signin(&mut client, "app-key:wrong", ANN);
        assert_eq!(error(&client.raw.read()).0, Some(4009));
        match style {
            CloseStyle::Open => client.assert_quiet(),
            CloseStyle::Code => assert_eq!(close_code(&mut client), Some(4009)),
            _ => assert_eq!(close_code(&mut client), None),
        }
    }
}

#[test]
fn valid_sign_ins_can_be_refused() {
    let server = Server::start().unwrap();
    let _before = user(&server, "ann");
    for (refusal, code) in [
        (SigninRefusal::ErrorFrame(None), None),
        (SigninRefusal::ErrorFrame(Some(4301)), Some(4301)),
        (SigninRefusal::Unknown, Some(4200)),
        (SigninRefusal::Close(4009), Some(4009)),
    ] {
        server.refuse_signin(Some(refusal));
        let mut client = Signed::new(&server);
        assert_eq!(error(&sign_in(&mut client, &server, ANN)).0, code);
        if let SigninRefusal::Close(code) = refusal {
            assert_eq!(close_code(&mut client), Some(code));
        }
    }
    server.refuse_signin(Some(SigninRefusal::Silence));
    let mut client = Signed::new(&server);
    let auth = user_auth(&client, &server, ANN);
    say_signin(&mut client, &auth, ANN);
    client.assert_quiet();
    assert_eq!(server.signed_in("ann"), 1);
    server.refuse_signin(None);
    assert_eq!(sign_in(&mut client, &server, ANN)["event"], "pusher:signin_success");
    assert_eq!(server.signed_in("ann"), 2);
}
