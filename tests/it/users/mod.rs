//! The client signed in at the in-process server.

mod refusals;
mod watchlist;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pusher_channels::testing::{Server, Settings};
use pusher_channels::{
    Client, Error, ErrorKind, HttpAuthorizer, HttpUserAuthenticator, SecretAuthorizer, State,
    UserAuthRequest, UserAuthenticator,
};
use serde_json::json;

use crate::support::{SOON, next, quick};

fn http(server: &Server, user: &str) -> HttpUserAuthenticator {
    HttpUserAuthenticator::new(&server.user_auth_url()).param("user_id", user)
}

fn secret(server: &Server, user: &str) -> SecretAuthorizer {
    SecretAuthorizer::new(server.key(), server.secret()).member(user, &json!({"name": "Ann"}))
}

fn connected(server: &Server, authenticator: impl UserAuthenticator + 'static) -> Client {
    let client = quick(server.options()).user_authenticator(authenticator).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

fn signed_in(server: &Server, user: &str) -> Client {
    let client = connected(server, secret(server, user));
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), user);
    client
}

/// The server can reach the user: on official servers this needs the user's channel.
fn reaches(server: &Server, user: &str) {
    let channel = format!("#server-to-user-{user}");
    assert!(server.wait_for(SOON, |server| server.subscribers(&channel) == 1), "{user}");
}

#[test]
fn user_signs_in_with_every_authenticator() {
    let server = Server::start().unwrap();
    let shared: Arc<dyn UserAuthenticator> = Arc::new(secret(&server, "7"));
    let signs = secret(&server, "7");
    let authenticators: [Box<dyn UserAuthenticator + Send + Sync>; 6] = [
        Box::new(http(&server, "7")),
        Box::new(http(&server, "7").json()),
        Box::new(http(&server, "7").get()),
        Box::new(secret(&server, "7")),
        Box::new(shared),
        Box::new(move |request: &UserAuthRequest| signs.authenticate(request)),
    ];
    for authenticator in authenticators {
        let client = connected(&server, authenticator);
        assert_eq!(client.wait_signed_in(SOON).unwrap_err().kind(), ErrorKind::NotSignedIn);
        let (signed_in, user) = (client.user().bind_signed_in(), client.user());
        assert_eq!(user.current(), None);
        client.signin();
        assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
        assert_eq!(next(&signed_in).id(), "7");
        assert_eq!(user.current().unwrap().json::<serde_json::Value>().unwrap()["id"], "7");
        assert_eq!(server.signed_in("7"), 1);
        client.close(SOON).unwrap();
        assert_eq!(user.current(), None);
        assert!(server.wait_for(SOON, |server| server.signed_in("7") == 0));
    }
}

#[test]
fn endpoint_may_return_user_data_as_an_object() {
    let server = Server::start_with(Settings::default().user_data_as_object(true)).unwrap();
    let client = connected(&server, http(&server, "7").param("user_info", r#"{"n":"é"}"#));
    client.signin();
    let user = client.wait_signed_in(SOON).unwrap();
    assert_eq!(user.json::<serde_json::Value>().unwrap()["user_info"]["n"], "é");
}

#[test]
fn user_events_arrive_with_and_without_the_user_channel() {
    for without in [false, true] {
        let settings = Settings::default().user_events_without_subscription(without);
        let server = Server::start_with(settings).unwrap();
        let client = connected(&server, secret(&server, "7"));
        let user = client.user();
        let (notes, all, everywhere) = (user.bind("note"), user.bind_all(), client.bind("note"));
        let room = client.public_channel("room").unwrap();
        let in_room = room.bind("note");
        room.subscribe();
        client.signin();
        client.wait_signed_in(SOON).unwrap();
        room.wait_subscribed(SOON).unwrap();
        reaches(&server, "7");
        assert_eq!(server.send_to_user("8", "note", "not you"), 0);
        assert_eq!(server.send_to_user("7", "other", "1"), 1);
        assert_eq!(server.send_to_user("7", "note", &json!({"n": 2})), 1);
        let note = next(&notes);
        assert_eq!((note.data(), note.channel()), (r#"{"n":2}"#, Some("#server-to-user-7")));
        assert_eq!((next(&all).name(), next(&all).name()), ("other", "note"));
        assert_eq!(next(&everywhere).data(), note.data());
        // On a channel it is not the user's.
        server.publish("room", "note", "3");
        assert_eq!((next(&in_room).data(), next(&everywhere).data()), ("3", "3"));
        assert_eq!((notes.len(), all.len()), (0, 0));
    }
}

#[test]
fn sign_in_is_repeated_on_every_connection() {
    let server = Server::start().unwrap();
    let client = quick(server.options()).user_authenticator(http(&server, "7")).build().unwrap();
    let (notes, signed_in) = (client.user().bind("note"), client.user().bind_signed_in());
    client.signin();
    client.connect();
    for connection in 1..4 {
        assert_eq!(next(&signed_in).id(), "7");
        reaches(&server, "7");
        server.send_to_user("7", "note", &connection);
        assert_eq!(next(&notes).data(), connection.to_string());
        assert_eq!(server.user_auth_count(), connection);
        server.drop_connections();
    }
}

#[test]
fn signout_removes_the_user() {
    let server = Server::start().unwrap();
    let client = signed_in(&server, "7");
    reaches(&server, "7");
    let (notes, states) = (client.user().bind("note"), client.bind_states());
    client.signout();
    assert_eq!(client.user().current(), None);
    assert_eq!(client.wait_signed_in(SOON).unwrap_err().kind(), ErrorKind::NotSignedIn);
    assert_eq!(next(&states).current, State::Reconnecting);
    assert_eq!(next(&states).current, State::Connected);
    assert!(server.wait_for(SOON, |server| server.signed_in("7") == 0));
    server.send_to_user("7", "note", "gone");
    client.ping(SOON).unwrap();
    assert_eq!(notes.len(), 0);
    client.signin();
    client.wait_signed_in(SOON).unwrap();
    reaches(&server, "7");
    server.send_to_user("7", "note", "back");
    assert_eq!(next(&notes).data(), "back");
    // Nothing was signed in: nothing needs to be renewed.
    client.signout();
    client.wait_connected(SOON).unwrap();
    let dials = server.dials();
    client.signout();
    client.ping(SOON).unwrap();
    assert_eq!(server.dials(), dials);
}

#[test]
fn new_authenticator_signs_another_user_in() {
    let server = Server::start().unwrap();
    let client = signed_in(&server, "7");
    let notes = client.user().bind("note");
    client.signin_with(secret(&server, "8"));
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "8");
    assert!(server.wait_for(SOON, |server| server.signed_in("7") == 0));
    reaches(&server, "8");
    server.send_to_user("7", "note", "old");
    server.send_to_user("8", "note", "new");
    assert_eq!(next(&notes).data(), "new");
    // An authenticator may also return another user.
    let user = Arc::new(Mutex::new("9"));
    let signs = {
        let (user, key, secret) =
            (Arc::clone(&user), server.key().to_owned(), server.secret().to_owned());
        move |request: &UserAuthRequest| {
            let user = *user.lock().unwrap();
            SecretAuthorizer::new(&key, &secret).member(user, &()).authenticate(request)
        }
    };
    client.signin_with(signs);
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "9");
    *user.lock().unwrap() = "10";
    client.signout();
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "10");
}

#[test]
fn failed_sign_in_can_be_retried_without_reconnecting() {
    let server = Server::start().unwrap();
    let client = connected(&server, http(&server, "7"));
    let failures = client.user().bind_signin_error();
    server.fail_auth(403);
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(403)));
    assert_eq!(next(&failures).http_status(), Some(403));
    server.fail_auth(200);
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
    // What may pass is tried again by itself.
    client.signout();
    server.fail_auth_times(1, 503);
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
    assert_eq!(next(&failures).http_status(), Some(503));
    assert_eq!(server.dials(), 2, "one for signing out");
    assert_eq!((client.stats().auth_requests, client.stats().auth_failures), (4, 2));
}

#[test]
fn sign_in_without_authenticator_says_what_to_do() {
    let server = Server::start().unwrap();
    let client = quick(server.options()).build().unwrap();
    client.connect();
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("ClientBuilder::user_authenticator"), "{error}");
    client.signin_with(secret(&server, "7"));
    client.wait_signed_in(SOON).unwrap();
}

#[test]
fn authenticator_panic_fails_the_sign_in_only() {
    let server = Server::start().unwrap();
    let calls = AtomicUsize::new(0);
    let signs = secret(&server, "7");
    let client = connected(&server, move |request: &UserAuthRequest| {
        assert_ne!(calls.fetch_add(1, Ordering::Relaxed), 0, "as the test wants it");
        signs.authenticate(request)
    });
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(format!("{error:#}").contains("the user authenticator panicked"), "{error:#}");
    client.signin();
    client.wait_signed_in(SOON).unwrap();
    assert_eq!(server.dials(), 1);
}

#[test]
fn terminated_user_fails_the_client() {
    let server = Server::start().unwrap();
    let (client, other) = (signed_in(&server, "7"), signed_in(&server, "8"));
    let states = client.bind_states();
    assert_eq!(server.terminate_user("7"), 1);
    let change = next(&states);
    let cause = change.cause.unwrap();
    assert_eq!((change.current, cause.close_code()), (State::Failed, Some(4009)));
    assert_eq!(client.state(), State::Failed);
    assert_eq!(client.wait_signed_in(SOON).unwrap_err().close_code(), Some(4009));
    other.ping(SOON).unwrap();
    assert_eq!((other.state(), server.dials()), (State::Connected, 2));
    // The user of the program may try again.
    client.connect();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
}

#[test]
fn policy_may_reconnect_after_a_termination() {
    let server = Server::start().unwrap();
    let (called, codes) = crossbeam_channel::unbounded();
    let policy = pusher_channels::Reconnect::with(move |attempt| {
        called.send(attempt.error().and_then(Error::close_code)).unwrap();
        Some(std::time::Duration::ZERO)
    });
    let client = Client::builder(server.options())
        .user_authenticator(secret(&server, "7"))
        .reconnect(policy)
        .build()
        .unwrap();
    let signed_in = client.user().bind_signed_in();
    client.signin();
    client.connect();
    next(&signed_in);
    server.terminate_user("7");
    assert_eq!(codes.recv_timeout(SOON).unwrap(), Some(4009));
    assert_eq!(next(&signed_in).id(), "7");
}

#[test]
fn signed_in_user_joins_presence_channels() {
    let server = Server::start_with(Settings::default().presence_by_signin(true)).unwrap();
    let client = quick(server.options())
        .authorizer(HttpAuthorizer::new(&server.auth_url()))
        .user_authenticator(secret(&server, "7"))
        .build()
        .unwrap();
    let lobby = client.presence_channel("presence-lobby").unwrap();
    lobby.subscribe();
    client.connect();
    assert!(server.wait_for(SOON, |server| server.auth_count() == 1));
    client.signin();
    lobby.wait_subscribed(SOON).unwrap();
    assert_eq!(lobby.members().me().unwrap().id(), "7");
    server.drop_connections();
    let gaps = lobby.bind_resumed();
    next(&gaps);
    assert_eq!(lobby.members().me().unwrap().info(), r#"{"name":"Ann"}"#);
}

#[test]
fn signed_in_user_moves_to_another_server() {
    let (first, second) = (Server::start().unwrap(), Server::start().unwrap());
    let client = signed_in(&first, "7");
    let notes = client.user().bind("note");
    client.switch(second.options()).unwrap();
    client.wait_signed_in(SOON).unwrap();
    reaches(&second, "7");
    first.send_to_user("7", "note", "wrong");
    second.send_to_user("7", "note", "right");
    assert_eq!(next(&notes).data(), "right");
}
