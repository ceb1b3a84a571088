//! The publisher against the in-process server.

use std::io::{Read, Write};
use std::net::TcpListener;

use pusher_channels::publisher::{BatchEvent, Info, TriggerOptions, WebhookEvent};
use pusher_channels::testing::{Server, Settings};
use pusher_channels::{Client, ErrorKind, Publisher, SecretAuthorizer, Webhook};
use serde_json::json;

use crate::support::{SOON, check, next, quick, spawn};

fn publisher(server: &Server) -> Publisher {
    Publisher::new(server.options(), server.app_id(), server.secret()).unwrap()
}

fn user(server: &Server, id: &str) -> Client {
    let secret = SecretAuthorizer::new(server.key(), server.secret()).member(id, &json!({}));
    #[cfg(feature = "encrypted")]
    let secret = secret.encryption_master_key(&server.encryption_master_key());
    let builder = quick(server.options());
    let client = builder.authorizer(secret.clone()).user_authenticator(secret).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

#[test]
fn events_and_batches_reach_subscribers_and_report_their_number() {
    let server = Server::start().unwrap();
    let publisher = publisher(&server);
    let ann = user(&server, "ann");
    let room = ann.presence_channel("presence-room").unwrap();
    let events = room.bind("e");
    room.subscribe();
    room.wait_subscribed(SOON).unwrap();

    publisher.trigger(&["presence-room", "other"], "e", "text").unwrap();
    let own = TriggerOptions::new().exclude(&ann.socket_id().unwrap()).info([Info::UserCount]);
    let info = publisher.trigger_with(&["presence-room"], "e", "not for ann", own.clone()).unwrap();
    assert_eq!(info["presence-room"].user_count, Some(1));
    let batch = [
        BatchEvent::new("presence-room", "e", "not for ann").options(own),
        BatchEvent::new("presence-room", "e", &json!({"x": 1})),
    ];
    let info = publisher.trigger_batch(&batch).unwrap();
    assert_eq!((info[0].user_count, info[1].user_count), (Some(1), None));
    assert_eq!(next(&events).data(), "text");
    assert_eq!(next(&events).data(), r#"{"x":1}"#);

    assert_eq!(publisher.presence_users("presence-room").unwrap(), ["ann"]);
    let counts = [Info::UserCount];
    let info = publisher.channel("presence-room", &counts).unwrap();
    assert_eq!((info.occupied, info.user_count), (Some(true), Some(1)));
    let channels = publisher.channels("presence-", &counts).unwrap();
    assert_eq!(channels.into_keys().collect::<Vec<_>>(), ["presence-room"]);
    assert!(publisher.channels("private-", &[]).unwrap().is_empty());
}

#[test]
fn app_and_names_may_have_any_characters() {
    let settings = Settings::default().key("k+ &=/%ü").app_id("my app/%7").secret("s ü");
    let server = Server::start_with(settings).unwrap();
    let publisher = publisher(&server);
    publisher.trigger(&["a=@,.;"], "e &\"\n", "x").unwrap();
    assert_eq!(publisher.channel("a=@,.;", &[]).unwrap().occupied, Some(false));
    assert!(publisher.channels("a+ &=%ü", &[Info::Cache]).unwrap().is_empty());
    for user_id in ["a/b?c#d%2F+ &ü", "..", "."] {
        publisher.terminate_user(user_id).unwrap();
        publisher.send_to_user(user_id, "e", &()).unwrap();
    }
}

#[test]
fn user_receives_events_and_is_disconnected() {
    let server = Server::start().unwrap();
    let publisher = publisher(&server);
    let ann = user(&server, "ann");
    ann.signin();
    ann.wait_signed_in(SOON).unwrap();
    let notes = ann.user().bind("note");
    publisher.send_to_user("ann", "note", "hello").unwrap();
    assert_eq!(next(&notes).data(), "hello");
    let states = ann.bind_states();
    publisher.terminate_user("ann").unwrap();
    assert_eq!(next(&states).cause.unwrap().close_code(), Some(4009));
}

#[cfg(feature = "encrypted")]
#[test]
fn encrypted_event_is_decrypted_by_clients() {
    let server = Server::start().unwrap();
    let builder = Publisher::builder(server.options(), server.app_id(), server.secret());
    let publisher = builder.encryption_master_key(&server.encryption_master_key()).build().unwrap();
    let ann = user(&server, "ann");
    let room = ann.private_encrypted_channel("private-encrypted-room").unwrap();
    let events = room.bind("e");
    room.subscribe();
    room.wait_subscribed(SOON).unwrap();
    publisher.trigger(&[room.name()], "e", "text").unwrap();
    assert_eq!(next(&events).data(), "text");
}

#[test]
fn wrong_secret_or_app_is_refused() {
    let server = Server::start().unwrap();
    let wrong = Publisher::new(server.options(), server.app_id(), "canary-secret").unwrap();
    let error = wrong.trigger(&["a"], "e", "x").unwrap_err();
    check(&error, ErrorKind::Auth, "HTTP 401: Invalid signature");
    assert!(!format!("{error:#} {error:?}").contains("canary"));
    let wrong = Publisher::new(server.options(), "other", server.secret()).unwrap();
    let error = wrong.trigger(&["a"], "e", "x").unwrap_err();
    assert!(matches!(error.http_status(), Some(401 | 404)), "{error}");
    let large = Publisher::builder(server.options(), server.app_id(), server.secret());
    let large = large.max_data(100_000).build().unwrap();
    let error = large.trigger(&["a"], "e", &"x".repeat(10_241)).unwrap_err();
    check(&error, ErrorKind::TooLarge, "HTTP 413");
}

#[test]
fn webhook_of_the_server_is_verified() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", backend.local_addr().unwrap());
    let received = spawn(move || {
        let (mut stream, _) = backend.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(':'));
        let headers: Vec<_> =
            pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut body = vec![0; length.unwrap().1.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        (headers, body)
    });
    let server = Server::start_with(Settings::default().webhook(&url)).unwrap();
    let ann = user(&server, "ann");
    let room = ann.public_channel("room").unwrap();
    room.subscribe();
    room.wait_subscribed(SOON).unwrap();
    let (headers, body) = received.recv_timeout(SOON).unwrap();
    let pairs = || headers.iter().map(|(name, value)| (name, value));
    let webhook = Webhook::verify(server.key(), server.secret(), pairs(), &body).unwrap();
    let [WebhookEvent::ChannelOccupied { channel, .. }] = webhook.events() else {
        panic!("{webhook:?}");
    };
    assert_eq!(channel, "room");
    let error = Webhook::verify(server.key(), "wrong", pairs(), &body).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
}
