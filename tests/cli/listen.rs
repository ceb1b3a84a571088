//! `listen`.

use std::time::{Duration, Instant};

use pusher_channels::testing::Server;
use serde_json::Value;

use crate::support::{Running, SOON, command, run};

/// Starts a listener at the server and waits until it is subscribed to all channels.
fn listen(server: &Server, arguments: &[&str]) -> Running {
    let port = server.port().to_string();
    let target = ["--host", "127.0.0.1", "--port", &port, "--plain", "--key", server.key()];
    let listener = Running::start(command(&[&["listen"], arguments, &target].concat()));
    let channels: Vec<_> =
        arguments.iter().take_while(|argument| !argument.starts_with('-')).collect();
    let subscribed = |server: &Server| channels.iter().all(|name| server.subscribers(name) == 1);
    assert!(server.wait_for(SOON, subscribed));
    listener
}

#[test]
fn events_are_lines_for_people() {
    let server = Server::start().unwrap();
    let listener = listen(&server, &["chat", "news", "--count", "3"]);
    server.publish("chat", "message", "hello");
    server.publish("news", "head\u{1b}[2J", &serde_json::json!({"a": [1, "b\n"]}));
    server.publish("other", "message", "not subscribed");
    server.publish("chat", "message", "line\nbreak");
    let ended = listener.end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let lines: Vec<_> = ended.out.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let expected = [
        "chat message hello",
        r#"news head\u{1b}[2J {"a":[1,"b\n"]}"#,
        r"chat message line\nbreak",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn json_lines_have_every_field() {
    let server = Server::start().unwrap();
    let listener = listen(
        &server,
        &["presence-room", "chat", "--json", "--count", "3", "--secret", server.secret()],
    );
    server.publish("chat", "n", &serde_json::json!({"b": 12_345_678_901_u64, "a": 1}));
    server.publish("chat", "n", "plain \"text\"\n");
    let raw = r#"{"event":"client-x","channel":"presence-room","data":"[1]","user_id":"7"}"#;
    server.send_raw(raw);
    let ended = listener.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(
        lines[0].contains(r#""data":{"b":12345678901,"a":1}"#)
            || lines[0].contains(r#""data":{"a":1,"b":12345678901}"#),
        "{lines:?}"
    );
    let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&values[0]["channel"], &values[0]["user_id"]), (&"chat".into(), &Value::Null));
    assert_eq!(values[1]["data"], "plain \"text\"\n");
    let last = &values[2];
    assert_eq!((&last["channel"], &last["event"]), (&"presence-room".into(), &"client-x".into()));
    assert_eq!((&last["data"], &last["user_id"]), (&serde_json::json!([1]), &"7".into()));
    let time = last["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.contains('T'), "{time}");
}

#[test]
fn only_named_events_are_printed_and_counted() {
    let server = Server::start().unwrap();
    let listener = listen(&server, &["chat", "--event", "b", "--event", "c", "--count", "2"]);
    for event in ["a", "b", "a", "c", "b"] {
        server.publish("chat", event, "");
    }
    let ended = listener.end();
    let names: Vec<_> = ended.out.lines().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!((ended.code, names), (Some(0), vec!["b", "c"]));
}

#[test]
fn time_limit_is_an_error_only_if_events_are_missing() {
    let server = Server::start().unwrap();
    let start = Instant::now();
    let ended = listen(&server, &["chat", "--for", "300ms"]).end();
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    assert!(start.elapsed() >= Duration::from_millis(300));

    let listener = listen(&server, &["chat", "--for", "1s", "--count", "2"]);
    server.publish("chat", "message", "one");
    let ended = listener.end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.err, "error: timed out: 1 of 2 events came\n");
    assert_eq!(ended.out.lines().count(), 1);
}

#[test]
fn verbose_notes_go_to_standard_error() {
    let server = Server::start().unwrap();
    let mut listener = listen(
        &server,
        &["presence-room", "--json", "-v", "--count", "1", "--secret", server.secret()],
    );
    listener.wait_err("connected");
    listener.wait_err("presence-room pusher:subscription_succeeded");
    server.send_raw(
        r#"{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"9\"}"}"#,
    );
    listener.wait_err("pusher:member_added");
    server.drop_connections();
    listener.wait_err("reconnecting: ");
    listener.wait_err("resubscribed after a gap of");
    server.publish("presence-room", "message", "");
    let ended = listener.end();
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 1), "{ended:?}");
}

#[test]
fn an_outage_is_one_warning() {
    let server = Server::start().unwrap();
    let listener = listen(&server, &["chat", "--count", "1"]);
    server.refuse(2);
    server.drop_connections();
    assert!(server.wait_for(SOON, |server| server.subscribers("chat") == 1 && server.dials() == 4));
    server.publish("chat", "message", "");
    let ended = listener.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.starts_with("warning: reconnecting: "), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
}

#[cfg(unix)]
#[test]
fn interrupt_is_done_unless_events_are_missing() {
    let server = Server::start().unwrap();
    let mut listener = listen(&server, &["chat"]);
    server.publish("chat", "message", "before");
    listener.wait_out("before");
    listener.interrupt();
    assert_eq!(listener.end().code, Some(0));
    assert!(server.wait_for(SOON, |server| server.connections() == 0));

    let listener = listen(&server, &["chat", "--count", "1"]);
    listener.interrupt();
    assert_eq!(listener.end().code, Some(130));
}

#[test]
fn closed_output_ends_it_quietly() {
    let server = Server::start().unwrap();
    let port = server.port().to_string();
    let target = ["--host", "127.0.0.1", "--port", &port, "--plain", "--key", server.key()];
    let listener = command(&[&["listen", "chat"], &target[..]].concat());
    let listener = Running::start_unread(listener);
    assert!(server.wait_for(SOON, |server| server.subscribers("chat") == 1));
    server.publish("chat", "message", "nobody reads this");
    let ended = listener.end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
}

#[test]
fn refusals_have_codes_of_their_own() {
    let server = Server::start().unwrap();
    let port = server.port().to_string();
    let target =
        |key| ["--host", "127.0.0.1", "--port", &port, "--plain", "--key", key].map(str::to_owned);
    let listen = |key, arguments: &[&str]| {
        let target = target(key);
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        run(&[&["listen"], arguments, &target].concat())
    };
    let wrong_key = listen("wrong", &["chat"]);
    assert_eq!(wrong_key.code, Some(4), "{wrong_key:?}");
    assert!(wrong_key.err.contains("4001"), "{wrong_key:?}");
    let wrong_secret = listen(server.key(), &["private-a", "--secret", "canary"]);
    assert_eq!(wrong_secret.code, Some(4), "{wrong_secret:?}");
    assert!(wrong_secret.err.contains("private-a") && !wrong_secret.err.contains("canary"));
    server.fail_auth(403);
    let forbidden = listen(server.key(), &["private-a", "--auth-endpoint", &server.auth_url()]);
    assert_eq!(forbidden.code, Some(4), "{forbidden:?}");
    assert!(forbidden.err.contains("403"), "{forbidden:?}");
    let none = listen(server.key(), &["private-a"]);
    assert_eq!(none.code, Some(2), "{none:?}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let unreachable = run(&[
        "listen",
        "chat",
        "--host",
        "127.0.0.1",
        "--port",
        &closed,
        "--plain",
        "--key",
        "k",
        "--timeout",
        "1s",
    ]);
    assert_eq!(unreachable.code, Some(5), "{unreachable:?}");
    assert!(unreachable.err.contains("refused"), "{unreachable:?}");
    server.silence(true);
    let silent = listen(server.key(), &["chat", "--timeout", "500ms"]);
    assert_eq!(silent.code, Some(3), "{silent:?}");
}
