//! Encrypted channels.

use pusher_channels::testing::Server;
use pusher_channels::{Auth, AuthRequest, ErrorKind};

use super::{connected, fails, http, join};
use crate::support::next;

const WARD: &str = "private-encrypted-ward";

#[test]
fn events_are_decrypted_in_order_across_a_key_rotation() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let ward = client.private_encrypted_channel(WARD).unwrap();
    let (numbers, errors) = (ward.bind("number"), ward.bind_decryption_error());
    join(&ward);
    for round in 0..2 {
        for number in 0..20 {
            server.publish(WARD, "number", &number);
        }
        for number in 0..20 {
            let event = next(&numbers);
            assert_eq!(event.json::<u32>().unwrap(), number);
            assert_eq!((event.name(), event.channel()), ("number", Some(WARD)));
        }
        assert_eq!(server.auth_count(), 1 + round, "one request for each key");
        server.rotate_encryption_key(WARD);
    }
    assert!(errors.is_empty());
    let frames = server.recorded();
    let subscribes = frames.iter().filter(|frame| frame.contains("pusher:subscribe")).count();
    assert_eq!(subscribes, 1);
    assert!(frames.iter().all(|frame| !frame.contains("shared_secret")));
}

#[test]
fn plaintext_event_is_never_delivered() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let ward = client.private_encrypted_channel(WARD).unwrap();
    join(&ward);
    let (alarms, all, everything) = (ward.bind("alarm"), ward.bind_all(), client.bind_all());
    let (errors, client_errors) = (ward.bind_decryption_error(), client.bind_errors());
    let plain = ["plain", r#"{"nonce":"","ciphertext":""}"#, "{}", ""];
    for data in plain {
        server.publish_plain(WARD, "alarm", data);
    }
    server.publish(WARD, "alarm", "sealed");
    assert_eq!(next(&alarms).data(), "sealed");
    assert_eq!(next(&all).data(), "sealed");
    assert_eq!(next(&everything).data(), "sealed");
    for _ in plain {
        for error in [next(&errors), next(&client_errors)] {
            assert_eq!((error.kind(), error.channel()), (ErrorKind::Decryption, Some(WARD)));
            assert!(!format!("{error} {error:?}").contains("plain\""));
        }
    }
    assert!(alarms.is_empty() && all.is_empty() && everything.is_empty());
}

#[test]
fn event_without_a_matching_key_is_dropped_with_an_error() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let ward = client.private_encrypted_channel(WARD).unwrap();
    join(&ward);
    let (alarms, errors) = (ward.bind("alarm"), ward.bind_decryption_error());
    server.rotate_encryption_key(WARD);
    server.fail_auth(403);
    server.publish(WARD, "alarm", "lost");
    let error = next(&errors);
    assert_eq!((error.kind(), error.channel()), (ErrorKind::Decryption, Some(WARD)));
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("403"), "{source}");
    assert!(alarms.is_empty() && ward.is_subscribed());
}

#[test]
fn authorization_without_a_shared_secret_fails_the_channel() {
    let server = Server::start().unwrap();
    let client = connected(&server, |_: &AuthRequest| Ok(Auth::new("app-key:00")));
    let ward = client.private_encrypted_channel(WARD).unwrap();
    ward.subscribe();
    let error = fails(&ward);
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.to_string().contains("shared_secret"), "{error}");
}
