//! The endpoint that signs users in, in raw HTTP.

use pusher_channels::testing::{Server, Settings};
use serde_json::{Value, json};

use super::{say_signin, sign_in};
use crate::server_channels::endpoint::{FORM, TestResponse, encoded, request};
use crate::server_channels::{Signed, data, signature};

const PATH: &str = "/pusher/user-auth";

const JSON: &str = "application/json";

fn form(server: &Server, params: &[(&str, &str)]) -> TestResponse {
    request(server, "POST", PATH, FORM, &encoded(params))
}

/// Returns `user_data` after a check of its signature.
fn user_data(response: &TestResponse, socket_id: &str) -> String {
    let json = response.json();
    let user_data = json["user_data"].as_str().unwrap();
    let text = format!("{socket_id}::user::{user_data}");
    let auth = format!("app-key:{}", signature("app-secret", &text));
    assert_eq!(json, json!({"auth": auth, "user_data": user_data}));
    user_data.to_owned()
}

#[test]
fn every_request_form_is_accepted() {
    let server = Server::start().unwrap();
    assert_eq!(server.user_auth_url(), server.auth_url().replace("/auth", "/user-auth"));
    for response in [
        form(&server, &[("socket_id", "12.34")]),
        request(&server, "POST", PATH, JSON, r#"{"socket_id":"12.34"}"#),
        request(&server, "GET", &format!("{PATH}?socket_id=12.34"), "", ""),
    ] {
        assert_eq!(user_data(&response, "12.34"), r#"{"id":"user-12.34"}"#);
    }
    for params in [&[][..], &[("socket_id", "1")], &[("socket_id", "1.2:x")]] {
        assert_eq!(form(&server, params).status, 400);
    }
    assert_eq!(request(&server, "PUT", PATH, FORM, "socket_id=1.2").status, 405);
    assert_eq!(request(&server, "POST", "/pusher/user", FORM, "socket_id=1.2").status, 404);
    assert_eq!(request(&server, "POST", PATH, JSON, "[").status, 400);
}

#[test]
fn user_follows_the_parameters() {
    let server = Server::start().unwrap();
    let request_with = |more: &[(&str, &str)]| {
        let response = form(&server, &[&[("socket_id", "1.2")], more].concat());
        serde_json::from_str::<Value>(&user_data(&response, "1.2")).unwrap()
    };
    for (info, expected) in [(r#"{"name":"Ann"}"#, json!({"name": "Ann"})), ("x", json!("x"))] {
        let given = request_with(&[("user_id", "ann"), ("user_info", info)]);
        assert_eq!(given, json!({"id": "ann", "user_info": expected}));
    }
    for (watchlist, expected) in [
        ("a, b,,c ", json!(["a", "b", "c"])),
        ("7", json!(["7"])),
        ("7,8", json!(["7", "8"])),
        (r#"["a,b","c"]"#, json!(["a,b", "c"])),
        ("[1]", json!([1])),
        ("", json!([])),
    ] {
        let given = request_with(&[("user_id", "ann"), ("watchlist", watchlist)]);
        assert_eq!(given, json!({"id": "ann", "watchlist": expected}), "{watchlist}");
    }
    let given = json!({
        "socket_id": "1.2", "user_id": 7, "user_info": [1], "watchlist": ["a", "b"]
    });
    let response = request(&server, "POST", PATH, JSON, &given.to_string());
    assert_eq!(user_data(&response, "1.2"), r#"{"id":7,"user_info":[1],"watchlist":["a","b"]}"#);
    // Even a user that no server accepts.
    let given = json!({"socket_id": "1.2", "watchlist": {"a": 1}});
    let response = request(&server, "POST", PATH, JSON, &given.to_string());
    assert_eq!(user_data(&response, "1.2"), r#"{"id":"user-1.2","watchlist":{"a":1}}"#);
}

#[test]
fn response_signs_the_user_in() {
    for as_object in [false, true] {
        let server =
            Server::start_with(Settings::default().user_data_as_object(as_object)).unwrap();
        let mut client = Signed::new(&server);
        let params = [
            ("socket_id", &*client.socket_id),
            ("user_id", "ann"),
            ("user_info", r#"{"z":1.50,"a":"ä"}"#),
            ("watchlist", "bob"),
        ];
        let response = form(&server, &params);
        let user_data = match response.json()["user_data"].clone() {
            Value::String(text) if !as_object => text,
            Value::Object(_) if as_object => {
                // The text of it, as it stands there.
                let (_, rest) = response.body.split_once(r#""user_data":"#).unwrap();
                rest.strip_suffix('}').unwrap().to_owned()
            }
            other => panic!("{other}"),
        };
        say_signin(&mut client, response.json()["auth"].as_str().unwrap(), &user_data);
        let confirmed = client.raw.read();
        assert_eq!(confirmed["event"], "pusher:signin_success");
        assert_eq!(data(&confirmed)["user_data"], user_data);
        assert_eq!(server.signed_in("ann"), 1);
    }
}

#[test]
fn faults_apply_to_both_endpoints() {
    let server = Server::start().unwrap();
    let plain = || form(&server, &[("socket_id", "1.2")]);
    let channel = || {
        let body = "socket_id=1.2&channel_name=private-a";
        request(&server, "POST", "/pusher/auth", FORM, body).status
    };
    server.retry_after(Some(3));
    server.fail_auth_times(2, 429);
    let response = plain();
    assert!(response.status == 429 && response.head.contains("Retry-After: 3\r\n"));
    assert_eq!((channel(), plain().status), (429, 200));
    server.fail_auth(403);
    assert_eq!((plain().status, channel()), (403, 403));
    server.fail_auth(200);
    server.auth_body(Some("<html>"));
    assert_eq!(plain().body, "<html>");
    server.auth_body(None);
    assert_eq!(user_data(&plain(), "1.2"), r#"{"id":"user-1.2"}"#);
    // A refused request is one too.
    form(&server, &[]);
    assert_eq!((server.auth_count(), server.user_auth_count()), (8, 6));
    let records = server.auth_requests();
    assert_eq!((records[0].target(), records[1].target()), (PATH, "/pusher/auth"));
    assert_eq!((records[0].socket_id(), records[0].channels()), (Some("1.2"), &[][..]));
    assert_eq!(request(&server, "GET", &format!("{PATH}?socket_id=3.4"), "", "").status, 200);
    assert_eq!(server.user_auth_count(), 7);
    let mut client = Signed::new(&server);
    assert_eq!(sign_in(&mut client, &server, r#"{"id":"x"}"#)["event"], "pusher:signin_success");
    assert_eq!(server.user_auth_count(), 7);
}

#[test]
fn responses_can_be_delayed_and_released() {
    use std::time::Duration;

    let server = Server::start().unwrap();
    server.delay_auth(Duration::MAX);
    std::thread::scope(|scope| {
        let pending = scope.spawn(|| form(&server, &[("socket_id", "1.2")]).status);
        assert!(server.wait_for(super::SOON, |server| server.user_auth_count() == 1));
        assert!(!pending.is_finished());
        server.delay_auth(Duration::ZERO);
        assert_eq!(pending.join().unwrap(), 200);
    });
}
