//! Clients behind a proxy: one in this process, and in `real` the programs that people run.

mod real;
mod relay;

use std::process::Command;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{
    Authorizer, Client, ErrorKind, HttpAuthorizer, Options, Proxy, Reconnect, State,
};

use crate::support::{SOON, only, passed, quick, spawn};
use relay::Relay;

fn to(server: &Server, host: &str) -> Options {
    Options::host(host, server.key()).port(server.port()).tls(false)
}

type Boxed = Box<dyn Authorizer + Send + Sync>;

/// Joins private channels, authorized over HTTP, and moves data both ways.
fn passes(server: &Server, host: &str, proxy: Proxy) {
    let auth_url = server.auth_url().replace("127.0.0.1", host);
    let client = quick(to(server, host))
        .proxy(proxy)
        .authorizer(HttpAuthorizer::new(&auth_url))
        .build()
        .unwrap();
    let states = client.bind_states();
    let room = client.private_channel("private-room").unwrap();
    let messages = room.bind("message");
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap_or_else(|error| {
        let causes: Vec<_> = states.try_iter().filter_map(|change| change.cause).collect();
        panic!("{error:?} after {causes:?}")
    });
    let own = HttpAuthorizer::new(&auth_url);
    let other = client.private_channel_with("private-other", Box::new(own) as Boxed).unwrap();
    other.subscribe();
    other.wait_subscribed(SOON).unwrap();
    let long = "x".repeat(50_000);
    server.publish("private-room", "message", &long);
    assert_eq!(messages.recv_timeout(SOON).unwrap().data(), long);
    room.trigger("client-typing", &"me").unwrap();
    let heard = |server: &Server| server.recorded().iter().any(|it| it.contains("client-typing"));
    assert!(server.wait_for(SOON, heard));
    client.close(SOON).unwrap();
}

/// What the first dial fails with, without a second one.
fn failure(options: Options, proxy: Proxy) -> pusher_channels::Error {
    let client =
        Client::builder(options).proxy(proxy).reconnect(Reconnect::never()).build().unwrap();
    client.connect();
    let error = client.wait_connected(SOON).unwrap_err();
    assert!(!format!("{error} {error:?} {client:?}").contains("canary"), "{error:?}");
    client.close(SOON).unwrap();
    error
}

#[test]
fn everything_of_a_client_goes_through_its_proxy() {
    for scheme in ["http", "socks5", "socks5h"] {
        let server = Server::start().unwrap();
        let relay = Relay::start();
        // No machine can resolve it; the relay resolves it to this one.
        passes(&server, "server.invalid", Proxy::new(&relay.url(scheme)).unwrap());
        let mut targets = relay.targets();
        targets.sort();
        targets.dedup();
        assert_eq!(targets, [format!("server.invalid:{}", server.port())], "{scheme}");
    }
}

#[test]
fn no_proxy_exception_bypasses_the_proxy() {
    let server = Server::start().unwrap();
    let relay = Relay::start();
    let proxy = Proxy::new(&relay.url("http")).unwrap().no_proxy("127.0.0.1");
    passes(&server, "127.0.0.1", proxy);
    assert!(relay.targets().is_empty());
}

#[cfg(tls)]
#[test]
fn tls_is_end_to_end_through_a_proxy() {
    for scheme in ["http", "socks5"] {
        let relay = Relay::start();
        tls::passes("localhost", Proxy::new(&relay.url(scheme)).unwrap());
        assert!(relay.targets()[0].starts_with("localhost:"));
    }
}

#[test]
fn client_reconnects_when_the_proxy_accepts_again() {
    let server = Server::start().unwrap();
    let relay = Relay::start();
    relay.refuse("HTTP/1.1 503 Not now\r\n\r\n");
    let client = quick(to(&server, "server.invalid"))
        .proxy(Proxy::new(&relay.url("http")).unwrap())
        .build()
        .unwrap();
    let states = client.bind_states();
    client.connect();
    let cause = loop {
        let change = states.recv_timeout(SOON).unwrap();
        if let Some(cause) = change.cause {
            break cause;
        }
    };
    assert_eq!((cause.kind(), cause.http_status()), (ErrorKind::Proxy, Some(503)));
    assert!(cause.is_retryable());
    client.wait_connected(SOON).unwrap();
}

#[test]
fn policy_can_give_up_on_permanent_errors() {
    let server = Server::start().unwrap();
    let relay = Relay::start();
    relay.refuse("HTTP/1.1 407 Who are you\r\n\r\n");
    let policy = Reconnect::with(|attempt| {
        let retryable = attempt.error().is_none_or(pusher_channels::Error::is_retryable);
        retryable.then_some(Duration::ZERO)
    });
    let client = Client::builder(to(&server, "server.invalid"))
        .proxy(Proxy::new(&relay.url("http")).unwrap())
        .reconnect(policy)
        .build()
        .unwrap();
    client.connect();
    let error = client.wait_connected(SOON).unwrap_err();
    assert_eq!(error.http_status(), Some(407), "{error:?}");
    assert_eq!(client.state(), State::Failed);
}

const CHILD: &str = "PUSHER_CHANNELS_TEST_PROXY_CHILD";

/// Runs the test in a process of its own, with these variables and no other ones about proxies, and then `check`.
/// Returns `true` in that process.
fn with_env<F: FnOnce()>(variables: &[(&str, String)], check: F) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut command = only::<F>(Command::new(std::env::current_exe().unwrap()));
    command.env(CHILD, "1");
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    passed(&spawn(move || command.output().unwrap()).recv_timeout(SOON * 3).unwrap());
    check();
    false
}

#[test]
fn environment_is_used_only_with_from_env() {
    let relay = Relay::start();
    let variables = [
        ("http_proxy", relay.url("http")),
        ("HTTPS_PROXY", relay.url("http")),
        ("ALL_PROXY", relay.url("http")),
        ("PUSHER_CHANNELS_TEST_RELAY", relay.url("socks5")),
    ];
    let child = with_env(&variables, || {
        // Of the two clients in the child only the one with `from_env`: its connection and its authorization.
        let targets = relay.targets();
        assert!(targets.len() >= 2, "{targets:?}");
        assert!(targets.iter().all(|it| it.starts_with("server.invalid:")), "{targets:?}");
    });
    if child {
        let server = Server::start().unwrap();
        passes(&server, "server.invalid", Proxy::from_env());
        passes(&server, "127.0.0.1", Proxy::none());
        // One without any client settings.
        let authorizer = HttpAuthorizer::new(&server.auth_url());
        let request = pusher_channels::AuthRequest::new("1.2", "private-room");
        authorizer.authorize(&request).unwrap();
    }
}

#[test]
fn invalid_variable_is_refused_by_build() {
    let variables = [("HTTPS_PROXY", "gopher://u:canary@h".to_owned())];
    if with_env(&variables, || {}) {
        let options = || Options::cluster("eu", "key");
        let error = Client::builder(options()).proxy(Proxy::from_env()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let shown = format!("{error} {error:?}");
        // Where names of variables have no case it is found by the first name.
        let name = if cfg!(windows) { "https_proxy" } else { "HTTPS_PROXY" };
        assert!(shown.contains(name) && !shown.contains("canary"), "{shown}");
        Client::new(options()).unwrap();
        let http = HttpAuthorizer::new("http://127.0.0.1/").proxy(Proxy::from_env());
        assert_eq!(http.check().unwrap_err().kind(), ErrorKind::Config);
    }
}

#[cfg(tls)]
mod tls {
    use std::net::TcpListener;
    use std::sync::Arc;

    use pusher_channels::{Options, Proxy, Tls};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use crate::support::{SOON, quick, spawn};

    /// Connects to a server with TLS.
    pub(super) fn passes(host: &str, proxy: Proxy) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut socket = tungstenite::accept(StreamOwned::new(connection, stream)).unwrap();
            let establishment = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#;
            socket.send(establishment.into()).unwrap();
            while socket.read().is_ok() {}
        });
        let client = quick(Options::host(host, "key").port(port))
            .tls(Tls::default().root_certificate_pem(cert.pem().as_bytes()))
            .proxy(proxy)
            .build()
            .unwrap();
        client.connect();
        assert_eq!(client.wait_connected(SOON).unwrap(), "1.2");
        client.close(SOON).unwrap();
        served.recv_timeout(SOON).unwrap();
    }
}
