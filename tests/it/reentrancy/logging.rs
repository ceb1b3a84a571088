//! A logger that uses the client whose records it gets.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::LevelFilter;
use pusher_channels::testing::Server;
use pusher_channels::{Authorizer as _, Client, HttpAuthorizer, Tls};

use super::{CALLS, secret};
use crate::support::{SOON, alone, log_to, quick, spawn};

static CLIENT: OnceLock<(Client, Server)> = OnceLock::new();
static RECORDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn call_the_client() {
    let Some((client, server)) = CLIENT.get() else {
        return;
    };
    if INSIDE.replace(true) {
        return;
    }
    RECORDS.fetch_add(1, Ordering::Relaxed);
    // Without those that end or block something, or the test would not come further.
    let without = [
        "disconnect",
        "reconnect",
        "switch",
        "close",
        "signin_with",
        "signout",
        "ping",
        "unsubscribe",
    ];
    for (name, call) in CALLS {
        if !without.contains(&name) && !name.starts_with("wait") {
            call(client, server);
        }
    }
    INSIDE.set(false);
}

static AUTHORIZER: OnceLock<HttpAuthorizer> = OnceLock::new();

#[test]
fn logger_may_interrupt_an_authorizer() {
    alone(|| {
        let tls = Tls::default().danger_accept_invalid_certs(true);
        let authorizer =
            AUTHORIZER.get_or_init(|| HttpAuthorizer::new("http://127.0.0.1:1").tls(tls));
        log_to(LevelFilter::Warn, |_| {
            // What `disconnect` does with every authorizer that is running.
            AUTHORIZER.get().unwrap().interrupt();
            RECORDS.fetch_add(1, Ordering::Relaxed);
        });
        let done = spawn(move || [authorizer.check(), authorizer.check()]);
        assert!(done.recv_timeout(SOON).unwrap().iter().all(Result::is_ok));
        assert_eq!(RECORDS.load(Ordering::Relaxed), 1, "it is warned of once");
    });
}

#[cfg(not(feature = "encrypted"))]
#[test]
fn logger_may_use_the_server_that_cannot_encrypt() {
    static SERVER: OnceLock<Server> = OnceLock::new();
    alone(|| {
        log_to(LevelFilter::Error, |_| {
            SERVER.get().unwrap().connections();
            RECORDS.fetch_add(1, Ordering::Relaxed);
        });
        let server = SERVER.get_or_init(|| Server::start().unwrap());
        let done = spawn(|| server.publish("private-encrypted-a", "e", "x"));
        assert_eq!(done.recv_timeout(SOON).unwrap(), 0);
        assert_eq!(RECORDS.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn logger_may_use_the_client() {
    alone(|| {
        log_to(LevelFilter::Trace, |_| call_the_client());
        let server = Server::start().unwrap();
        let signs = || secret(&server);
        let client = quick(server.options()).authorizer(signs()).user_authenticator(signs());
        let (client, server) = CLIENT.get_or_init(|| (client.build().unwrap(), server));
        let done = spawn(move || {
            client.signin();
            client.connect();
            let private = client.private_channel("private-room").unwrap();
            private.subscribe();
            private.wait_subscribed(SOON).unwrap();
            client.wait_signed_in(SOON).unwrap();
            let (gaps, errors) = (private.bind_resumed(), client.bind_errors());
            server.drop_connections();
            gaps.recv_timeout(SOON).unwrap();
            server.send_raw("no event");
            errors.recv_timeout(SOON).unwrap();
            client.close(SOON).unwrap();
        });
        done.recv_timeout(SOON * 2).unwrap();
        assert!(RECORDS.load(Ordering::Relaxed) > 20);
    });
}
