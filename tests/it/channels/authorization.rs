//! Responses of the HTTP endpoint and of the server, and the channel's status after them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pusher_channels::testing::{ChannelRefusal, Server};
use pusher_channels::{Auth, AuthRequest, ChannelStatus, ErrorKind, State};

use super::{connected, fails, http, join, receives, secret};
use crate::support::{AT_ONCE, SOON, next, now, quick};

#[test]
fn http_authorizer_works_in_every_request_style() {
    let server = Server::start().unwrap();
    let styles = [http(&server), http(&server).json(), http(&server).get()];
    for (index, authorizer) in styles.into_iter().enumerate() {
        let client = connected(&server, authorizer.param("device", "kiosk"));
        let socket_id = client.socket_id().unwrap();
        let room = client.private_channel("private-room").unwrap();
        join(&room);
        receives(&server, &room);
        let request = server.auth_requests().pop().unwrap();
        assert_eq!(server.auth_count(), index + 1);
        assert_eq!(request.socket_id(), Some(&*socket_id));
        assert_eq!(request.channels(), ["private-room"]);
        let (method, content, carried) = match index {
            0 => ("POST", Some("application/x-www-form-urlencoded"), request.body()),
            1 => ("POST", Some("application/json"), request.body()),
            _ => ("GET", None, request.target()),
        };
        assert_eq!((request.method(), request.header("content-type")), (method, content));
        assert!(carried.contains("kiosk") && carried.contains(&socket_id), "{carried}");
    }
}

#[test]
fn refusal_is_immediate_and_subscribe_requests_again() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let room = client.private_channel("private-room").unwrap();
    let (failures, all) = (room.bind_subscription_error(), client.bind_errors());
    for status in [403, 401, 404] {
        server.fail_auth(status);
        room.subscribe();
        let error = fails(&room);
        for error in [error, next(&failures), next(&all)] {
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(status)));
            assert_eq!(error.channel(), Some("private-room"));
            assert!(!error.is_retryable());
        }
    }
    assert_eq!(server.auth_count(), 3);
    server.fail_auth(200);
    join(&room);
    receives(&server, &room);
    assert!(failures.is_empty());
}

#[test]
fn timed_out_wait_has_the_last_failure_as_its_source() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let room = client.private_channel("private-room").unwrap();
    let failures = room.bind_subscription_error();
    server.fail_auth(503);
    room.subscribe();
    assert!(next(&failures).is_retryable());
    let error = room.wait_subscribed(Duration::from_millis(1)).unwrap_err();
    assert_eq!((error.kind(), error.channel()), (ErrorKind::Timeout, Some("private-room")));
    let shown = error.to_string();
    assert!(shown.starts_with("timed out after 1 ms waiting for the subscription"), "{shown}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("503"), "{source}");
}

#[test]
fn too_large_authorization_fails_its_channel_only() {
    let server = Server::start().unwrap();
    let client = connected(&server, |_: &AuthRequest| Ok(Auth::new("x".repeat(5 << 20))));
    let bystander = client.public_channel("bystander").unwrap();
    bystander.subscribe();
    bystander.wait_subscribed(SOON).unwrap();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    assert_eq!(room.wait_subscribed(SOON).unwrap_err().kind(), ErrorKind::TooLarge);
    client.ping(SOON).unwrap();
    assert!(bystander.is_subscribed());
    assert_eq!(client.stats().connections, 1);
}

#[test]
fn transient_failure_is_retried_with_fresh_headers() {
    let server = Server::start().unwrap();
    server.fail_auth_times(1, 500);
    let count = AtomicUsize::new(0);
    let authorizer = http(&server).header("x-fixed", "same").headers_with(move || {
        let number = count.fetch_add(1, Ordering::Relaxed);
        vec![("authorization".to_owned(), format!("Bearer {number}"))]
    });
    let client = connected(&server, authorizer);
    let room = client.private_channel("private-room").unwrap();
    let failures = room.bind_subscription_error();
    room.subscribe();
    let error = next(&failures);
    assert_eq!(error.http_status(), Some(500));
    assert!(error.is_retryable());
    assert_eq!(room.status(), ChannelStatus::Pending);
    room.wait_subscribed(SOON).unwrap();
    let requests = server.auth_requests();
    let tokens: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(tokens, [Some("Bearer 0"), Some("Bearer 1")]);
    assert!(requests.iter().all(|request| request.header("x-fixed") == Some("same")));
    receives(&server, &room);
}

#[test]
fn invalid_response_body_fails_the_channel() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server));
    let room = client.private_channel("private-room").unwrap();
    for body in ["", "no JSON", "{}", r#"{"auth":1}"#] {
        server.auth_body(Some(body));
        room.subscribe();
        assert_eq!(fails(&room).kind(), ErrorKind::Auth);
    }
    server.auth_body(None);
    join(&room);
}

#[test]
fn channels_subscribed_together_share_requests() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server).batched(Duration::from_millis(100)));
    let names: Vec<_> = (0..50).map(|index| format!("private-{index}")).collect();
    let rooms: Vec<_> = names.iter().map(|name| client.private_channel(name).unwrap()).collect();
    rooms.iter().for_each(|room| room.subscribe());
    for room in &rooms {
        room.wait_subscribed(SOON).unwrap();
        receives(&server, room);
    }
    let requests = server.auth_requests();
    assert!(requests.len() <= 5, "{} requests", requests.len());
    let mut requested: Vec<_> = requests.iter().flat_map(|request| request.channels()).collect();
    requested.sort();
    let mut expected: Vec<_> = names.iter().collect();
    expected.sort();
    assert_eq!(requested, expected);
}

#[test]
fn close_does_not_wait_for_a_batch_to_fill() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server).batched(Duration::from_secs(60)));
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    client.close(AT_ONCE).unwrap();
    assert_eq!(server.auth_count(), 0);
}

#[test]
fn refusal_by_the_server_fails_its_channel_only() {
    let server = Server::start().unwrap();
    let client = quick(server.options())
        .authorizer(secret(&server))
        .subscribe_timeout(AT_ONCE)
        .build()
        .unwrap();
    client.connect();
    let other = client.private_channel("private-other").unwrap();
    join(&other);
    for (index, refusal) in [
        ChannelRefusal::ErrorFrame(Some(4009)),
        ChannelRefusal::ErrorFrame(None),
        ChannelRefusal::SubscriptionError(401),
        ChannelRefusal::InternalSubscriptionError,
        ChannelRefusal::Silence,
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("private-{index}");
        server.refuse_channel(&name, refusal);
        let room = client.private_channel(&name).unwrap();
        let failures = room.bind_subscription_error();
        room.subscribe();
        let error = fails(&room);
        assert_eq!(next(&failures).kind(), error.kind());
        if refusal == ChannelRefusal::Silence {
            assert!(error.is_timeout(), "{error}");
        }
        if matches!(refusal, ChannelRefusal::SubscriptionError(_)) {
            assert_eq!(error.http_status(), Some(401));
        }
        assert_eq!((client.state(), other.is_subscribed()), (State::Connected, true));
        receives(&server, &other);
        server.allow_channel(&name);
        join(&room);
        receives(&server, &room);
    }
    assert_eq!(server.dials(), 1);
}

#[test]
fn missing_confirmation_fails_the_channel_after_the_subscribe_timeout() {
    let server = Server::start().unwrap();
    server.delay_auth(Duration::from_secs(30));
    let client = quick(server.options())
        .authorizer(http(&server))
        .subscribe_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    client.connect();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    assert!(fails(&room).is_timeout());
    let start = now();
    client.close(AT_ONCE).unwrap();
    assert!(now() - start < AT_ONCE);
}
