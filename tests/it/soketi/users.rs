//! Signed-in users, over `ws` and over `wss`.

use std::time::Duration;

use pusher_channels::{
    Client, ErrorKind, SecretAuthorizer, State, UserAuth, UserAuthRequest, UserAuthenticator,
};
use serde_json::{Value, json};

use super::public::{client, connect, over_both};
use super::support::{ONE_CONNECTION_KEY, Soketi};
use crate::support::SOON;

fn secret(soketi: &Soketi, user: &str) -> SecretAuthorizer {
    SecretAuthorizer::new(soketi.key(), soketi.secret()).member(user, &json!({ "name": "\u{fc}" }))
}

fn with(soketi: &Soketi, authenticator: impl UserAuthenticator + 'static) -> Client {
    let builder = client(soketi, soketi.key(), !soketi.ca_pem().is_empty());
    connect(builder.user_authenticator(authenticator))
}

fn signed_in(soketi: &Soketi, user: &str) -> Client {
    let client = with(soketi, secret(soketi, user));
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), user);
    client
}

#[test]
fn user_events_arrive_on_every_connection() {
    over_both(|soketi, _| {
        let (ann, bob) = (signed_in(soketi, "ann"), signed_in(soketi, "bob"));
        let data = ann.user().current().unwrap();
        assert_eq!(data.json::<Value>().unwrap()["user_info"]["name"], "\u{fc}");
        let notes = [&ann, &bob].map(|client| client.user().bind("note"));
        let errors = ann.bind_errors();
        for number in ["1", "2"] {
            soketi.publish("#server-to-user-ann", "note", number);
            let note = notes[0].recv_timeout(SOON).unwrap();
            assert_eq!((note.data(), note.channel()), (number, Some("#server-to-user-ann")));
            let signed_in = ann.user().bind_signed_in();
            ann.reconnect();
            assert_eq!(signed_in.recv_timeout(SOON).unwrap().id(), "ann");
        }
        bob.ping(SOON).unwrap();
        assert!(notes[1].is_empty(), "they were for another user");
        assert!(errors.is_empty(), "the user's channel was refused: {:?}", errors.try_recv());
    });
}

#[test]
fn signing_in_as_another_user_leaves_nothing_of_the_first() {
    over_both(|soketi, _| {
        let client = signed_in(soketi, "ann");
        let notes = client.user().bind("note");
        client.signin_with(secret(soketi, "bob"));
        assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "bob");
        soketi.publish("#server-to-user-ann", "note", "old");
        soketi.publish("#server-to-user-bob", "note", "new");
        assert_eq!(notes.recv_timeout(SOON).unwrap().data(), "new");
        client.signout();
        client.wait_connected(SOON).unwrap();
        soketi.publish("#server-to-user-bob", "note", "gone");
        client.ping(SOON).unwrap();
        assert!(notes.is_empty());
    });
}

#[test]
fn wrong_signature_ends_with_4009() {
    over_both(|soketi, _| {
        let wrong = |_: &UserAuthRequest| Ok(UserAuth::new("app-key:deadbeef", r#"{"id":"ann"}"#));
        let client = with(soketi, wrong);
        client.signin();
        let error = client.wait_signed_in(SOON).unwrap_err();
        assert_eq!((error.kind(), error.close_code()), (ErrorKind::Server, Some(4009)));
    });
}

#[test]
fn terminated_user_is_disconnected() {
    over_both(|soketi, _| {
        let client = signed_in(soketi, "ann");
        let states = client.bind_states();
        soketi.terminate_user("ann");
        let change = states.recv_timeout(SOON).unwrap();
        let cause = change.cause.unwrap();
        assert_eq!((change.current, cause.close_code()), (State::Failed, Some(4009)), "{cause}");
        client.connect();
        assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "ann");
    });
}

#[test]
fn app_without_user_authentication_times_out() {
    over_both(|soketi, _| {
        let tls = !soketi.ca_pem().is_empty();
        let other = SecretAuthorizer::new(ONE_CONNECTION_KEY, "secret-one").member("ann", &());
        let builder = client(soketi, ONE_CONNECTION_KEY, tls)
            .user_authenticator(other)
            .signin_timeout(Duration::from_millis(500));
        let client = connect(builder);
        client.signin();
        let error = client.wait_signed_in(SOON).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(client.state(), State::Connected);
    });
}
