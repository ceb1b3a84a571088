//! The server's watchlist events.

use pusher_channels::testing::{DataStyle, Server, Settings, WatchlistStyle};
use serde_json::{Value, json};

use super::{sign_in, user, user_auth};
use crate::server_channels::{Signed, data, error};
use crate::support::SOON;

fn user_data(id: &str, watchlist: &[&str]) -> String {
    json!({"id": id, "watchlist": watchlist}).to_string()
}

/// A watcher, and its first watchlist events.
fn watcher(server: &Server, id: &str, watchlist: &[&str]) -> (Signed, Value) {
    let mut client = Signed::new(server);
    let response = sign_in(&mut client, server, &user_data(id, watchlist));
    assert_eq!(response["event"], "pusher:signin_success");
    let news = next(&mut client);
    (client, news)
}

fn next(client: &mut Signed) -> Value {
    let frame = client.raw.read();
    assert_eq!(frame["event"], "pusher_internal:watchlist_events");
    assert_eq!(frame.get("channel"), None);
    data(&frame)["events"].clone()
}

fn online(ids: &[&str]) -> Value {
    json!({"name": "online", "user_ids": ids})
}

fn offline(ids: &[&str]) -> Value {
    json!({"name": "offline", "user_ids": ids})
}

#[test]
fn watchers_are_notified_who_comes_and_goes() {
    let server = Server::start().unwrap();
    let first_bob = user(&server, "bob");
    let (mut ann, news) = watcher(&server, "ann", &["zoe", "bob", "carl"]);
    assert_eq!(news, json!([online(&["bob"]), offline(&["carl", "zoe"])]));

    let carl = user(&server, "carl");
    let expected = r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"carl\"]}]}"}"#;
    assert_eq!(ann.raw.read_text(), expected);
    // No event for a further connection, for the end of one that is not the last, or for a stranger.
    let second_bob = user(&server, "bob");
    let _stranger = user(&server, "dave");
    drop(first_bob);
    assert!(server.wait_for(SOON, |server| server.signed_in("bob") == 1));
    ann.assert_quiet();
    drop(second_bob);
    assert_eq!(next(&mut ann), json!([offline(&["bob"])]));
    assert_eq!(server.terminate_user("carl"), 1);
    assert_eq!(next(&mut ann), json!([offline(&["carl"])]));
    drop(carl);
    ann.assert_quiet();

    // All of one kind; no other user is notified of watchers.
    let (mut eve, news) = watcher(&server, "eve", &["bob"]);
    assert_eq!(news, json!([offline(&["bob"])]));
    let (_, news) = watcher(&server, "fay", &["ann"]);
    assert_eq!(news, json!([online(&["ann"])]));
    ann.assert_quiet();
    let _bob = user(&server, "bob");
    assert_eq!(next(&mut ann), json!([online(&["bob"])]));
    assert_eq!(next(&mut eve), json!([online(&["bob"])]));
    eve.assert_quiet();
}

#[test]
fn empty_watchlist_gets_no_events() {
    let server = Server::start().unwrap();
    for user_data in
        [&*user_data("ann", &[]), r#"{"id":"ann","watchlist":null}"#, r#"{"id":"ann"}"#]
    {
        let mut client = Signed::new(&server);
        assert_eq!(sign_in(&mut client, &server, user_data)["event"], "pusher:signin_success");
        client.assert_quiet();
    }
}

#[test]
fn replacing_sign_in_notifies_watchers() {
    let server = Server::start().unwrap();
    let (mut watching, _) = watcher(&server, "eve", &["ann", "bob"]);
    let mut client = user(&server, "ann");
    assert_eq!(next(&mut watching), json!([online(&["ann"])]));
    sign_in(&mut client, &server, &user_data("bob", &["ann", "bob"]));
    assert_eq!(next(&mut watching), json!([offline(&["ann"])]));
    assert_eq!(next(&mut watching), json!([online(&["bob"])]));
    // It is notified of the current state once.
    assert_eq!(next(&mut client), json!([online(&["bob"]), offline(&["ann"])]));
    client.assert_quiet();
    // The same user again: only the list has changed.
    sign_in(&mut client, &server, &user_data("bob", &["eve"]));
    assert_eq!(next(&mut client), json!([online(&["eve"])]));
    watching.assert_quiet();
    drop(watching);
    assert_eq!(next(&mut client), json!([offline(&["eve"])]));
}

#[test]
fn watchlist_has_at_most_a_hundred_ids() {
    let server = Server::start().unwrap();
    let ids: Vec<String> = (0..101).map(|number| format!("{number:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (mut right, news) = watcher(&server, "ann", &ids[..100]);
    assert_eq!(news, json!([offline(&ids[..100])]));
    right.assert_quiet();
    let (mut long, news) = watcher(&server, "bob", &ids);
    assert_eq!(news, json!([offline(&ids[..100])]));
    let (code, message) = error(&long.raw.read());
    assert!(code == Some(4302) && message.contains("100"), "{message}");
    assert_eq!(server.signed_in("bob"), 1);
    let _unwatched = user(&server, "100");
    let _watched = user(&server, "099");
    assert_eq!(next(&mut long), json!([online(&["099"])]));
    assert_eq!(next(&mut right), json!([online(&["099"])]));
}

#[test]
fn bare_watchlist_style_sends_separate_events() {
    for style in [DataStyle::Text, DataStyle::Object] {
        let settings = Settings::default().watchlist_style(WatchlistStyle::Bare).data_style(style);
        let server = Server::start_with(settings).unwrap();
        let bob = user(&server, "bob");
        let mut ann = Signed::new(&server);
        let user_data = user_data("ann", &["bob", "carl"]);
        let auth = user_auth(&ann, &server, &user_data);
        super::say_signin(&mut ann, &auth, &user_data);
        for expected in [
            r#"{"event":"online","data":{"user_ids":["bob"]}}"#,
            r#"{"event":"offline","data":{"user_ids":["carl"]}}"#,
        ] {
            assert_eq!(ann.raw.read_text(), expected);
        }
        assert_eq!(ann.raw.read()["event"], "pusher:signin_success");
        drop(bob);
        let expected = r#"{"event":"offline","data":{"user_ids":["bob"]}}"#;
        assert_eq!(ann.raw.read_text(), expected);
    }
}

#[test]
fn data_style_applies_to_watchlist_events() {
    let server = Server::start_with(Settings::default().data_style(DataStyle::Object)).unwrap();
    let mut ann = Signed::new(&server);
    sign_in(&mut ann, &server, &user_data("ann", &["ann"]));
    let expected = r#"{"event":"pusher_internal:watchlist_events","data":{"events":[{"name":"online","user_ids":["ann"]}]}}"#;
    assert_eq!(ann.raw.read_text(), expected);
    ann.assert_quiet();
}

#[test]
fn silent_server_sends_no_watchlist_events() {
    let server = Server::start().unwrap();
    let (mut ann, _) = watcher(&server, "ann", &["bob"]);
    let bob = user(&server, "bob");
    assert_eq!(next(&mut ann), json!([online(&["bob"])]));
    server.silence(true);
    drop(bob);
    assert!(server.wait_for(SOON, |server| server.signed_in("bob") == 0));
    server.silence(false);
    ann.assert_quiet();
    let _bob = user(&server, "bob");
    assert_eq!(next(&mut ann), json!([online(&["bob"])]));
}
