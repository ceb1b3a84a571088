//! Servers that refuse a sign-in, each in its own way.

use std::time::Duration;

use pusher_channels::testing::{DataStyle, Server, Settings, SigninRefusal};
use pusher_channels::{Client, ErrorKind, State, UserAuth, UserAuthRequest};

use super::secret;
use crate::support::{SOON, next, now, quick, spawn};

fn client(server: &Server, signin_timeout: Duration) -> Client {
    let client = quick(server.options())
        .user_authenticator(secret(server, "7"))
        .signin_timeout(signin_timeout)
        .build()
        .unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

#[test]
fn every_refusal_is_a_typed_error_and_the_next_sign_in_succeeds() {
    let shapes = [
        (SigninRefusal::ErrorFrame(Some(4009)), Some(4009)),
        (SigninRefusal::ErrorFrame(None), None),
        (SigninRefusal::Unknown, Some(4200)),
    ];
    for style in [DataStyle::Object, DataStyle::Text] {
        for (refusal, code) in shapes {
            let server = Server::start_with(Settings::default().error_data(style)).unwrap();
            server.refuse_signin(Some(refusal));
            let client = client(&server, SOON * 2);
            let (failures, errors) = (client.user().bind_signin_error(), client.bind_errors());
            let start = now();
            client.signin();
            let error = client.wait_signed_in(SOON).unwrap_err();
            assert_eq!((error.kind(), error.close_code()), (ErrorKind::Server, code));
            assert!(now() - start < SOON, "not by the deadline");
            assert_eq!(next(&failures).close_code(), code);
            assert_eq!(next(&errors).close_code(), code);
            assert_eq!(client.state(), State::Connected);
            server.refuse_signin(None);
            client.signin();
            client.wait_signed_in(SOON).unwrap();
            assert_eq!(server.dials(), 1, "{refusal:?}");
        }
    }
}

#[test]
fn wrong_signature_is_refused_by_the_server() {
    let server = Server::start().unwrap();
    let client = quick(server.options())
        .user_authenticator(|_: &UserAuthRequest| {
            Ok(UserAuth::new("app-key:deadbeef", r#"{"id":"7"}"#))
        })
        .build()
        .unwrap();
    client.connect();
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!((client.state(), server.signed_in("7")), (State::Connected, 0));
}

#[test]
fn close_with_4009_fails_the_client() {
    let server = Server::start().unwrap();
    server.refuse_signin(Some(SigninRefusal::Close(4009)));
    let client = client(&server, SOON);
    let states = client.bind_states();
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert_eq!(error.close_code(), Some(4009));
    let change = next(&states);
    assert_eq!((change.current, change.cause.unwrap().close_code()), (State::Failed, Some(4009)));
    assert_eq!(server.dials(), 1);
}

#[test]
fn sign_in_without_response_times_out() {
    let server = Server::start().unwrap();
    server.refuse_signin(Some(SigninRefusal::Silence));
    let client = client(&server, Duration::from_millis(200));
    client.signin();
    let error = client.wait_signed_in(SOON).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("signin_timeout"), "{error}");
    assert_eq!(client.state(), State::Connected);
    // The wait's own time may be over before.
    client.signin();
    let error = client.wait_signed_in(Duration::from_millis(1)).unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("after 1 ms"), "{error}");
}

#[test]
fn disconnect_and_close_end_wait_signed_in() {
    let server = Server::start().unwrap();
    server.refuse_signin(Some(SigninRefusal::Silence));
    type End = fn(&Client);
    let endings: [(End, ErrorKind); 3] = [
        (Client::disconnect, ErrorKind::NotConnected),
        (|client| drop(client.close(SOON)), ErrorKind::Closed),
        (Client::signout, ErrorKind::NotSignedIn),
    ];
    for (end, kind) in endings {
        let client = client(&server, SOON * 3);
        let signins = server.recorded().len();
        client.signin();
        let waiting = {
            let client = client.clone();
            spawn(move || client.wait_signed_in(SOON * 2))
        };
        assert!(server.wait_for(SOON, |server| server.recorded().len() > signins));
        end(&client);
        assert_eq!(waiting.recv_timeout(SOON).unwrap().unwrap_err().kind(), kind);
    }
}
