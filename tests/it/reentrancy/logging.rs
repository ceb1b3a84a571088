//! A logger that uses the client whose records it gets.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use pusher_channels::testing::Server;
use pusher_channels::{Authorizer as _, Client, HttpAuthorizer, Tls};

use super::{CALLS, secret};
use crate::support::{SOON, alone, quick, spawn};

static CLIENT: OnceLock<(Client, Server)> = OnceLock::new();
static RECORDS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Calling;

impl Log for Calling {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {
        let Some((client, server)) = CLIENT.get() else {
            return;
        };
        if INSIDE.replace(true) {
            return;
        }
        RECORDS.fetch_add(1, Ordering::Relaxed);
        // Those that end nothing, or it would never come further.
        let ending = ["disconnect", "reconnect", "switch", "close", "signin_with", "signout"];
        let waiting = ["ping", "unsubscribe"];
        for (name, call) in CALLS {
            if !ending.contains(&name) && !waiting.contains(&name) && !name.starts_with("wait") {
                call(client, server);
            }
        }
        INSIDE.set(false);
    }

    fn flush(&self) {}
}

static AUTHORIZER: OnceLock<HttpAuthorizer> = OnceLock::new();

struct Interrupting;

impl Log for Interrupting {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {
        // What `disconnect` does with every authorizer that is asked.
        AUTHORIZER.get().unwrap().interrupt();
        RECORDS.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_may_interrupt_an_authorizer() {
    alone("reentrancy::logging::a_logger_may_interrupt_an_authorizer", || {
        let tls = Tls::default().danger_accept_invalid_certs(true);
        let authorizer =
            AUTHORIZER.get_or_init(|| HttpAuthorizer::new("http://127.0.0.1:1").tls(tls));
        log::set_logger(&Interrupting).unwrap();
        log::set_max_level(LevelFilter::Warn);
        let done = spawn(move || [authorizer.check(), authorizer.check()]);
        assert!(done.recv_timeout(SOON).unwrap().iter().all(Result::is_ok));
        assert_eq!(RECORDS.load(Ordering::Relaxed), 1, "it is warned of once");
    });
}

#[test]
fn a_logger_may_use_the_client() {
    alone("reentrancy::logging::a_logger_may_use_the_client", || {
        log::set_logger(&Calling).unwrap();
        log::set_max_level(LevelFilter::Trace);
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
