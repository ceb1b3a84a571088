//! `trigger` and `publish`, to a listener in another process.

use std::process::Stdio;

use pusher_channels::testing::{Server, Settings};

use crate::serve::Served;
use crate::support::{Running, command};

#[test]
fn trigger_reaches_another_listener() {
    let served = Served::start();
    let listener = served.listen(&["private-chat", "--count", "1"]);
    let sender = served.command(&["trigger", "private-chat", "client-typing", r#"{"on":true}"#]);
    let sent = Running::start(sender).end();
    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (Some(0), "", ""), "{sent:?}");
    let heard = listener.end();
    assert_eq!(heard.code, Some(0), "{heard:?}");
    assert!(heard.out.ends_with("private-chat client-typing {\"on\":true}\n"), "{heard:?}");
}

#[test]
fn trigger_sends_each_line_of_standard_input_within_the_limit() {
    let served = Served::start();
    let listener = served.listen(&["private-chat", "--count", "15"]);
    let mut sender = served.command(&["trigger", "private-chat", "client-n", "-"]);
    let mut sender = Running::start({
        sender.stdin(Stdio::piped());
        sender
    });
    let lines: String = (0..15).map(|n| format!("{n}\n")).collect();
    sender.write(&lines);
    let sent = sender.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = listener.end();
    let data: String =
        heard.out.lines().map(|line| format!("{}\n", line.rsplit(' ').next().unwrap())).collect();
    assert_eq!(data, lines);
}

#[test]
fn trigger_reports_what_the_server_rejects() {
    let settings = Settings::default().client_event_limit(Some(1));
    let server = Server::start_with(settings).unwrap();
    let port = server.port().to_string();
    let target = ["--host", "127.0.0.1", "--port", &port, "--plain", "--key", server.key()];
    let sender = ["trigger", "private-chat", "client-n", "-", "--secret", server.secret()];
    let mut sender = command(&[&sender, &target[..]].concat());
    sender.stdin(Stdio::piped());
    let mut sender = Running::start(sender);
    sender.write("1\n2\n3\n");
    let sent = sender.end();
    assert_eq!(sent.code, Some(4), "{sent:?}");
    assert!(sent.err.contains("4301"), "{sent:?}");
}

#[test]
fn trigger_explains_what_cannot_be_sent() {
    let served = Served::start();
    for (channel, event, code, part) in
        [("chat", "client-x", 2, "public channel"), ("private-chat", "typing", 2, "client-")]
    {
        let ended = Running::start(served.command(&["trigger", channel, event, "1"])).end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains(part), "{ended:?}");
    }
}

#[test]
fn publish_reaches_the_listeners_of_each_channel() {
    let served = Served::start();
    let listener = served.listen(&["news", "--count", "2", "--json"]);
    let publisher = ["publish", "news", "other", "headline", r#"{"title":"ü"}"#];
    let sent = Running::start(served.command(&publisher)).end();
    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (Some(0), "", ""), "{sent:?}");
    let sent = Running::start(served.command(&["publish", "news", "headline", "-1"])).end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = listener.end();
    let lines: Vec<serde_json::Value> =
        heard.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["channel"], &lines[0]["event"]), (&"news".into(), &"headline".into()));
    assert_eq!(lines[0]["data"], serde_json::json!({"title": "ü"}));
    assert_eq!(lines[1]["data"], -1);
}

#[test]
fn publish_sends_each_line_of_standard_input() {
    let mut served = Served::start();
    let listener = served.listen(&["chat", "--count", "3"]);
    let mut publisher = served.command(&["publish", "chat", "line", "-"]);
    publisher.stdin(Stdio::piped());
    let mut publisher = Running::start(publisher);
    publisher.write("one\n{\"two\": 2}\n\n");
    let sent = publisher.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = listener.end();
    let data: Vec<_> = heard.out.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap()).collect();
    assert_eq!(data, ["one", "{\"two\": 2}", ""]);
    served.process.wait_out("published to 1: chat line one");
}

#[cfg(feature = "encrypted")]
#[test]
fn publish_and_listen_share_the_key_of_encrypted_channels() {
    let mut served = Served::start();
    let variable = served.process.wait_out("PUSHER_ENCRYPTION_MASTER_KEY=");
    let (name, master) = variable.split_once('=').unwrap();
    let with_key = |arguments: &[&str]| {
        let mut command = served.command(arguments);
        command.env(name, master);
        command
    };
    let mut listener =
        Running::start(with_key(&["listen", "-v", "private-encrypted-x", "--count", "1"]));
    listener.wait_err("pusher:subscription_succeeded");
    let sent = Running::start(with_key(&["publish", "private-encrypted-x", "e", "sealed"])).end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = listener.end();
    assert_eq!(heard.code, Some(0), "{heard:?}");
    assert!(heard.out.contains("private-encrypted-x e "), "{heard:?}");
    assert!(heard.out.contains("sealed"), "{heard:?}");
}

#[test]
fn publish_excludes_a_connection_and_explains_refusals() {
    let mut served = Served::start();
    let _listener = served.listen(&["chat"]);
    let connected = served.process.wait_out(" connected");
    let socket_id = connected.split(' ').nth(1).unwrap().to_owned();
    let publisher = ["publish", "chat", "e", "1", "--exclude", &socket_id];
    assert_eq!(Running::start(served.command(&publisher)).end().code, Some(0));
    served.process.wait_out("published to 0: chat e 1");
    for (arguments, code, part) in [
        (["chat", "e", "1", "--secret", "canary"], 4, "401"),
        (["chat", "e", "1", "--app-id", "other"], 4, "404"),
        (["a b", "e", "1", "--app-id", "app-id"], 2, "a b"),
        (["chat", "e", "1", "--port", "1"], 5, "refused"),
    ] {
        let arguments = [&["publish"], &arguments[..]].concat();
        let ended = Running::start(served.command(&arguments)).end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains(part) && !ended.err.contains("canary"), "{ended:?}");
    }
}
