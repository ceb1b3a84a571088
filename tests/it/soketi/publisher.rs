//! The publisher, over `http` and over `https`.

use pusher_channels::publisher::{BatchEvent, Info, PublisherBuilder, TriggerOptions};
use pusher_channels::{Client, ErrorKind, Options, Publisher, SecretAuthorizer, State, Tls};
use serde_json::{Value, json};

use super::public::{client, connect, over_both};
use super::support::Soketi;
use crate::support::{SOON, check};

#[cfg(feature = "encrypted")]
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn builder(soketi: &Soketi, secret: &str) -> PublisherBuilder {
    let tls = !soketi.ca_pem().is_empty();
    let options = Options::host("127.0.0.1", soketi.key()).port(soketi.port()).tls(tls);
    let builder = Publisher::builder(options, soketi.app_id(), secret).timeout(SOON);
    match tls {
        true => builder.tls(Tls::default().root_certificate_pem(soketi.ca_pem().as_bytes())),
        false => builder,
    }
}

fn publisher(soketi: &Soketi) -> Publisher {
    builder(soketi, soketi.secret()).build().unwrap()
}

fn user(soketi: &Soketi, id: &str) -> Client {
    let secret = SecretAuthorizer::new(soketi.key(), soketi.secret()).member(id, &json!({}));
    #[cfg(feature = "encrypted")]
    let secret = secret.encryption_master_key(MASTER_KEY);
    let builder = client(soketi, soketi.key(), !soketi.ca_pem().is_empty());
    connect(builder.authorizer(secret.clone()).user_authenticator(secret))
}

#[test]
fn events_reach_all_subscribers_but_the_excluded_one() {
    over_both(|soketi, _| {
        let publisher = publisher(soketi);
        let (ann, bob) = (user(soketi, "ann"), user(soketi, "bob"));
        let [to_ann, to_bob] = [&ann, &bob].map(|client| {
            let room = client.private_channel("private-room").unwrap();
            let events = room.bind("e");
            room.subscribe();
            room.wait_subscribed(SOON).unwrap();
            events
        });
        let text = "\"quoted\" \u{fc} \u{1f600}\n";
        publisher.trigger(&["other", "private-room"], "e", text).unwrap();
        publisher.trigger(&["private-room"], "e", &json!({ "text": text })).unwrap();
        for events in [&to_ann, &to_bob] {
            assert_eq!(events.recv_timeout(SOON).unwrap().data(), text);
            let value: Value = events.recv_timeout(SOON).unwrap().json().unwrap();
            assert_eq!(value["text"], text);
        }
        let exclude = TriggerOptions::new().exclude(&ann.socket_id().unwrap());
        publisher.trigger_with(&["private-room"], "e", "excluded", exclude.clone()).unwrap();
        let batch = [
            BatchEvent::new("private-room", "e", "1").options(exclude),
            BatchEvent::new("private-room", "e", "2"),
        ];
        assert_eq!(publisher.trigger_batch(&batch).unwrap().len(), 2);
        assert_eq!(to_ann.recv_timeout(SOON).unwrap().data(), "2");
        for expected in ["excluded", "1", "2"] {
            assert_eq!(to_bob.recv_timeout(SOON).unwrap().data(), expected);
        }
    });
}

#[test]
fn channels_and_users_are_reported() {
    over_both(|soketi, _| {
        let publisher = publisher(soketi);
        assert_eq!(publisher.channel("presence-a@b=c,d;e", &[]).unwrap().occupied, Some(false));
        let clients = ["ann", "bob", "ann"].map(|id| user(soketi, id));
        for client in &clients {
            let room = client.presence_channel("presence-a@b=c,d;e").unwrap();
            room.subscribe();
            room.wait_subscribed(SOON).unwrap();
        }
        let info = publisher
            .channel("presence-a@b=c,d;e", &[Info::UserCount, Info::SubscriptionCount])
            .unwrap();
        assert_eq!(info.occupied, Some(true));
        assert_eq!((info.user_count, info.subscription_count), (Some(2), Some(3)));
        let mut users = publisher.presence_users("presence-a@b=c,d;e").unwrap();
        users.sort_unstable();
        assert_eq!(users, ["ann", "bob"]);
        let channels = publisher.channels("presence-", &[Info::UserCount]).unwrap();
        assert!(channels.contains_key("presence-a@b=c,d;e"), "{channels:?}");

        let error = publisher.presence_users("room").unwrap_err();
        check(&error, ErrorKind::Server, "HTTP 400: The channel must be a presence channel");
        assert_eq!((error.http_status(), error.channel()), (Some(400), Some("room")));
    });
}

#[cfg(feature = "encrypted")]
#[test]
fn encrypted_events_are_decrypted_by_clients() {
    over_both(|soketi, _| {
        let ann = user(soketi, "ann");
        let room = ann.private_encrypted_channel("private-encrypted-room").unwrap();
        let events = room.bind("e");
        room.subscribe();
        room.wait_subscribed(SOON).unwrap();
        let builder = builder(soketi, soketi.secret()).encryption_master_key(MASTER_KEY);
        let publisher = builder.build().unwrap();
        publisher.trigger(&[room.name()], "e", "hello \u{fc}").unwrap();
        let batch = [BatchEvent::new(room.name(), "e", &json!({"x": 1}))];
        publisher.trigger_batch(&batch).unwrap();
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), "hello \u{fc}");
        assert_eq!(events.recv_timeout(SOON).unwrap().json::<Value>().unwrap()["x"], 1);
    });
}

#[test]
fn user_receives_events_and_is_disconnected() {
    over_both(|soketi, _| {
        let publisher = publisher(soketi);
        let ann = user(soketi, "ann");
        ann.signin();
        ann.wait_signed_in(SOON).unwrap();
        let notes = ann.user().bind("note");
        publisher.send_to_user("ann", "note", "hello").unwrap();
        assert_eq!(notes.recv_timeout(SOON).unwrap().data(), "hello");
        let states = ann.bind_states();
        publisher.terminate_user("ann").unwrap();
        assert_eq!(states.recv_timeout(SOON).unwrap().current, State::Failed);
    });
}

/// soketi responds to these with status 200, and says in the body what it refuses.
#[test]
fn refusals_are_errors_with_their_status() {
    over_both(|soketi, _| {
        let wrong = builder(soketi, "wrong").build().unwrap();
        let error = wrong.trigger(&["room"], "e", "x").unwrap_err();
        check(&error, ErrorKind::Auth, "HTTP 401: The secret authentication failed");
        assert!(!error.is_retryable());
        let large = builder(soketi, soketi.secret()).max_data(200_000).build().unwrap();
        large.trigger(&["room"], "e", &"x".repeat(50_000)).unwrap();
        let error = large.trigger(&["room"], "e", &"x".repeat(150_000)).unwrap_err();
        check(&error, ErrorKind::TooLarge, "HTTP 413: ");
    });
}
