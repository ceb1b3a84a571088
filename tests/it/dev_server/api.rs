//! The HTTP API.

use pusher_channels::testing::{Server, Settings};
use serde_json::{Value, json};

use super::{Http, get, post, signed};
use crate::server::raw::Raw;
use crate::server_channels::{SUCCEEDED, Signed};
use crate::server_users::listening;
use crate::support::SOON;

fn event(channels: &[&str]) -> Value {
    json!({"name": "e", "data": "{\"a\":1}", "channels": channels})
}

fn subscribed(server: &Server, channel: &str) -> Raw {
    let mut raw = Raw::established(server);
    raw.subscribe(channel);
    assert_eq!(raw.read()["event"], SUCCEEDED);
    raw
}

/// Joins as this user.
fn member(server: &Server, channel: &str, user: &str) -> Signed {
    let mut client = Signed::new(server);
    client.subscribe(channel, Some(&json!({"user_id": user}).to_string()));
    client
}

#[test]
fn urls_have_the_app() {
    let server = Server::start_with(Settings::default().app_id("7")).unwrap();
    let port = server.port();
    assert_eq!(
        (server.app_id(), server.api_url()),
        ("7", format!("http://127.0.0.1:{port}/apps/7"))
    );
    let refused = get(&server, "/channels", "");
    assert_eq!((refused.status, &*refused.body), (404, "Unknown app id app-id\n"));
    let server = Server::start_with(Settings::default().app_id("my app/7")).unwrap();
    assert!(server.api_url().ends_with("/apps/my%20app%2F7"), "{}", server.api_url());
}

#[test]
fn event_is_published_on_every_channel_but_not_to_the_excluded_connection() {
    let server = Server::start().unwrap();
    let mut first = subscribed(&server, "a");
    let mut second = subscribed(&server, "b");
    assert_eq!(post(&server, "/events", &event(&["a", "b"])).json(), json!({}));
    for (raw, channel) in [(&mut first, "a"), (&mut second, "b")] {
        let expected = json!({"event": "e", "channel": channel, "data": "{\"a\":1}"});
        assert_eq!(raw.read(), expected);
    }
    // One channel, as older libraries send it, and data that is no string.
    let one = json!({"name": "f", "data": {"b": 2}, "channel": "a"});
    assert_eq!(post(&server, "/events", &one).json(), json!({}));
    assert_eq!(first.read()["data"], r#"{"b":2}"#);

    let mut client = Signed::new(&server);
    client.raw.subscribe("a");
    client.raw.read();
    let mut excluding = event(&["a"]);
    excluding["socket_id"] = client.socket_id.clone().into();
    post(&server, "/events", &excluding).json();
    assert_eq!(first.read()["event"], "e");
    assert_eq!(client.raw.exchange(r#"{"event":"pusher:ping"}"#)["event"], "pusher:pong");
}

#[test]
fn batch_is_published_in_order() {
    let server = Server::start().unwrap();
    let mut raw = subscribed(&server, "a");
    let one = |name: &str, channel: &str, info: &str| json!({"name": name, "data": "x", "channel": channel, "info": info});
    let plain = json!({"batch": [{"name": "1", "data": "", "channel": "a"}]});
    assert_eq!(post(&server, "/batch_events", &plain).json(), json!({}));
    let batch = json!({"batch": [one("2", "a", "subscription_count"), one("3", "a", "")]});
    let expected = json!({"batch": [{"subscription_count": 1}, {}]});
    assert_eq!(post(&server, "/batch_events", &batch).json(), expected);
    for name in ["1", "2", "3"] {
        assert_eq!(raw.read()["event"], name);
    }
    // Nothing is sent if one is invalid.
    let batch = json!({"batch": [one("4", "a", ""), one("5", "a b", "")]});
    assert_eq!(post(&server, "/batch_events", &batch).status, 400);
    assert_eq!(raw.exchange(r#"{"event":"pusher:ping"}"#)["event"], "pusher:pong");
}

#[test]
fn events_are_limited_as_on_pusher() {
    let server = Server::start().unwrap();
    let with = |name: &str, value: Value| {
        let mut event = event(&["a"]);
        event[name] = value;
        event
    };
    let names = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>();
    for good in [
        with("data", "x".repeat(10 * 1024).into()),
        with("name", "ä".repeat(200).into()),
        with("channels", names(100).into()),
        with("channels", json!(["x".repeat(164), "private-encrypted-a", "#server-to-user-7"])),
        with("socket_id", "1.2".into()),
    ] {
        post(&server, "/events", &good).json();
    }
    for (bad, status, expected) in [
        (
            with("data", "x".repeat(10 * 1024 + 1).into()),
            413,
            "exceeds the allowed maximum (10240 bytes)",
        ),
        (with("data", Value::Null), 400, "Missing required parameter: data"),
        (with("name", Value::Null), 400, "Missing required parameter: name"),
        (with("name", "ä".repeat(201).into()), 400, "Invalid event name"),
        (with("name", "".into()), 400, "Invalid event name"),
        (with("channels", names(101).into()), 400, "1 to 100 channels, not 101"),
        (with("channels", json!([])), 400, "1 to 100 channels, not 0"),
        (with("channels", Value::Null), 400, "Missing required parameter: channels"),
        (with("channels", json!(["a", "a b"])), 400, "Invalid channel name: a b"),
        (with("channels", json!(["x".repeat(165)])), 400, "Invalid channel name"),
        (with("channels", json!([7])), 400, "Invalid channel name"),
        (with("socket_id", "x".into()), 400, "Invalid socket id"),
        (json!([]), 400, "Missing required parameter: name"),
    ] {
        let refused = post(&server, "/events", &bad);
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(refused.body.contains(expected), "{}", refused.body);
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let batch =
        |count| json!({"batch": vec![json!({"name": "e", "data": "", "channel": "a"}); count]});
    post(&server, "/batch_events", &batch(10)).json();
    let refused = post(&server, "/batch_events", &batch(11));
    assert!(refused.status == 400 && refused.body.starts_with("Batch too large: 11 events"));
    assert_eq!(post(&server, "/batch_events", &json!({})).status, 400);
}

#[test]
fn requests_that_are_not_signed_are_refused() {
    let server = Server::start().unwrap();
    let body = event(&["a"]).to_string();
    let good = signed("POST", "/events", "", &body);
    let mut http = Http::connect(&server);
    let mut send = |method: &str, target: &str, body: &str| {
        let response = http.exchange(&format!("{method} {target} HTTP/1.1"), body);
        (response.status, response.body)
    };
    assert_eq!(send("POST", &good, &body), (200, "{}".to_owned()));
    assert_eq!(
        send("POST", "/apps/app-id/events", &body),
        (401, "Missing parameter: auth_key\n".into())
    );
    let (status, text) = send("POST", &good, &body.replace("\"e\"", "\"f\""));
    assert!(status == 401 && text.starts_with("Invalid body_md5"), "{text}");
    let (status, text) = send("POST", &good.replace("/events?", "/batch_events?"), &body);
    assert!(status == 401 && text.starts_with("Invalid signature: you should have sent"), "{text}");
    assert!(!text.contains("app-secret"));
    let old = good.replace("auth_timestamp=", "auth_timestamp=0");
    assert!(send("POST", &old.replace("=01", "=1"), &body).0 == 200, "it is the same");
    let (status, text) = send("POST", &good.replace("auth_timestamp=1", "auth_timestamp=2"), &body);
    assert!(status == 401 && text.starts_with("Timestamp expired: Given timestamp ("), "{text}");
    let no_json = signed("POST", "/events", "", "{");
    assert_eq!(send("POST", &no_json, "{").0, 400);
    for (method, path) in
        [("GET", "/events"), ("POST", "/channels"), ("GET", "/"), ("GET", "/channels/a/b")]
    {
        assert_eq!(send(method, &signed(method, path, "", ""), "").0, 404, "{method} {path}");
    }
    let long = format!("/apps/app-id/{}", "x".repeat(5000));
    assert!(send("GET", &signed("GET", &long, "", ""), "").1.len() < 1200);
}

#[test]
fn channels_are_queried() {
    let server = Server::start().unwrap();
    let _plain = subscribed(&server, "room");
    let _members = [
        member(&server, "presence-room", "ann"),
        member(&server, "presence-room", "ann"),
        member(&server, "presence-room", "bob"),
    ];
    let channels = |params: &str| get(&server, "/channels", params).json()["channels"].clone();
    assert_eq!(channels(""), json!({"room": {}, "presence-room": {}}));
    let counted = channels("filter_by_prefix=presence-&info=user_count,subscription_count");
    assert_eq!(counted, json!({"presence-room": {"user_count": 2, "subscription_count": 3}}));
    assert_eq!(channels("filter_by_prefix=private-"), json!({}));
    let refused = get(&server, "/channels", "info=user_count");
    let text = "user_count may only be requested for presence channels - please supply \
                filter_by_prefix begining with presence-\n";
    assert_eq!((refused.status, &*refused.body), (400, text));

    let channel = |name: &str, params: &str| get(&server, &format!("/channels/{name}"), params);
    assert_eq!(channel("room", "").json(), json!({"occupied": true}));
    assert_eq!(channel("other", "").json(), json!({"occupied": false}));
    let counted = channel("presence-room", "info=user_count,subscription_count").json();
    assert_eq!(counted, json!({"occupied": true, "user_count": 2, "subscription_count": 3}));
    let refused = channel("room", "info=user_count");
    let text = "Cannot retrieve the user count unless the channel is a presence channel\n";
    assert_eq!((refused.status, &*refused.body), (400, text));

    let users = get(&server, "/channels/presence-room/users", "");
    assert_eq!(users.json(), json!({"users": [{"id": "ann"}, {"id": "bob"}]}));
    assert_eq!(get(&server, "/channels/presence-none/users", "").json(), json!({"users": []}));
    let refused = get(&server, "/channels/room/users", "");
    let text = "Users can only be retrieved for presence channels\n";
    assert_eq!((refused.status, &*refused.body), (400, text));

    let mut event = event(&["room", "presence-room"]);
    event["info"] = "user_count,subscription_count".into();
    let expected = json!({"channels": {
        "room": {"subscription_count": 1},
        "presence-room": {"user_count": 2, "subscription_count": 3},
    }});
    assert_eq!(post(&server, "/events", &event).json(), expected);
}

#[test]
fn cache_channels_keep_the_last_event() {
    let server = Server::start().unwrap();
    assert_eq!(get(&server, "/channels/cache-a", "info=cache").json(), json!({"occupied": false}));
    post(&server, "/events", &event(&["cache-a"])).json();
    let channel = get(&server, "/channels/cache-a", "info=cache").json();
    assert_eq!(
        (&channel["occupied"], &channel["cache"]["data"]),
        (&json!(false), &json!("{\"a\":1}"))
    );
    assert!((1790..=1800).contains(&channel["cache"]["ttl"].as_u64().unwrap()), "{channel}");
    let mut raw = subscribed(&server, "cache-a");
    assert_eq!(raw.read()["event"], "e");
    // It is not occupied, and not listed.
    drop(raw);
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert_eq!(get(&server, "/channels", "").json(), json!({"channels": {}}));
}

#[test]
fn encrypted_data_passes_as_it_is() {
    let server = Server::start().unwrap();
    let mut client = Signed::new(&server);
    assert_eq!(client.subscribe("private-encrypted-a", None)["event"], SUCCEEDED);
    post(&server, "/events", &event(&["private-encrypted-a"])).json();
    assert_eq!(client.raw.read()["data"], "{\"a\":1}");
}

#[test]
fn users_get_events_and_are_terminated() {
    let server = Server::start().unwrap();
    let mut client = listening(&server, "ann");
    // The official libraries publish on the user's channel.
    post(&server, "/events", &event(&["#server-to-user-ann"])).json();
    post(&server, "/users/ann/events", &json!({"name": "f", "data": "x"})).json();
    for name in ["e", "f"] {
        let frame = client.raw.read();
        assert_eq!(
            (&frame["event"], &frame["channel"]),
            (&json!(name), &json!("#server-to-user-ann"))
        );
    }
    assert_eq!(post(&server, "/users/ann/events", &json!({"name": "f"})).status, 400);
    assert_eq!(get(&server, "/channels", "").json(), json!({"channels": {}}));
    assert_eq!(post(&server, "/users/ann/terminate_connections", &json!({})).json(), json!({}));
    assert_eq!(server.connections(), 0);
}
