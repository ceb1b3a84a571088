//! The in-process server with TLS.

use std::io;

use pusher_channels::testing::{Server, Settings};
use pusher_channels::{HttpAuthorizer, HttpUserAuthenticator, State, Tls};

use crate::support::{SOON, quick};
use crate::tls::fixtures::Authority;

#[test]
fn client_and_endpoints_use_tls_on_one_port() {
    let authority = Authority::new("authority");
    let certificate = authority.sign(&["127.0.0.1"]);
    let settings =
        Settings::default().tls(certificate.pem.as_bytes(), certificate.key_pem.as_bytes());
    assert!(!format!("{settings:?}").contains("PRIVATE"));
    let server = Server::start_with(settings).unwrap();
    let port = server.port();
    assert!(server.url().starts_with(&format!("wss://127.0.0.1:{port}/app/app-key?")));
    for url in [server.auth_url(), server.user_auth_url(), server.api_url()] {
        assert!(url.starts_with(&format!("https://127.0.0.1:{port}/")), "{url}");
    }
    let client = quick(server.options())
        .tls(Tls::default().root_certificate_pem(authority.pem().as_bytes()))
        .authorizer(HttpAuthorizer::new(&server.auth_url()))
        .user_authenticator(HttpUserAuthenticator::new(&server.user_auth_url()))
        .build()
        .unwrap();
    let room = client.private_channel("private-room").unwrap();
    let messages = room.bind("message");
    room.subscribe();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.signin();
    room.wait_subscribed(SOON).unwrap();
    client.wait_signed_in(SOON).unwrap();
    // More than one TLS record, and than the system takes at once.
    let long = "x".repeat(1 << 19);
    for _ in 0..3 {
        server.publish("private-room", "message", &long);
        assert_eq!(messages.recv_timeout(SOON).unwrap().data(), long);
    }
    room.trigger("client-e", &"y".repeat(9000)).unwrap();
    assert!(server.wait_for(SOON, |server| server.recorded().iter().any(|f| f.contains("yyy"))));

    server.close_all(4200, "again");
    assert!(server.wait_for(SOON, |server| server.subscribers("private-room") == 1));
    client.close(SOON).unwrap();
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
}

#[test]
fn client_without_tls_gets_nothing_and_the_next_is_served() {
    let authority = Authority::new("authority");
    let certificate = authority.sign(&["127.0.0.1"]);
    let settings =
        Settings::default().tls(certificate.pem.as_bytes(), certificate.key_pem.as_bytes());
    let server = Server::start_with(settings).unwrap();
    let plain = quick(server.options().tls(false)).build().unwrap();
    let states = plain.bind_states();
    plain.connect();
    while states.recv_timeout(SOON).unwrap().current != State::Reconnecting {}
    plain.close(SOON).unwrap();
    let trusting = Tls::default().root_certificate_pem(authority.pem().as_bytes());
    let client = quick(server.options()).tls(trusting).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
}

#[test]
fn certificate_that_cannot_be_used_is_invalid_input() {
    let authority = Authority::new("authority");
    let (one, other) = (authority.sign(&["127.0.0.1"]), authority.sign(&["127.0.0.1"]));
    for (chain, key, expected) in [
        ("", &*one.key_pem, "Settings::tls: the chain: no BEGIN CERTIFICATE in the PEM"),
        (&*one.pem, "", "Settings::tls: the key: no BEGIN PRIVATE KEY in the PEM"),
        (&one.pem, &other.key_pem, "Settings::tls: "),
    ] {
        let settings = Settings::default().tls(chain.as_bytes(), key.as_bytes());
        let error = Server::start_with(settings).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
