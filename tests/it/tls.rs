//! The client over TLS, by a TLS front before the in-process server.

#[path = "../../src/config/tls/fixtures.rs"]
pub(crate) mod fixtures;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use log::LevelFilter;
use pusher_channels::testing::Server;
use pusher_channels::{
    Client, ErrorKind, HttpAuthorizer, HttpUserAuthenticator, Options, Reconnect, State, Tls,
    TlsVersion,
};
use rustls::{ServerConfig, ServerConnection};

#[cfg(target_os = "linux")]
use crate::support::alone_with;
use crate::support::{SOON, alone, listen, log_to, quick, spawn};
use fixtures::{Authority, BOTH, NEW, OLD};

/// Accepts TLS connections and forwards their content to this port.
fn front(config: Arc<ServerConfig>, port: u16) -> SocketAddr {
    let (listener, _) = listen();
    let address = listener.local_addr().unwrap();
    // It ends with the process of the tests.
    let _done = spawn(move || {
        for outer in listener.incoming() {
            let config = Arc::clone(&config);
            let _done = spawn(move || pass_on(outer.unwrap(), config, port));
        }
    });
    address
}

#[expect(clippy::disallowed_methods, reason = "on loopback it is there or not")]
fn pass_on(mut outer: TcpStream, config: Arc<ServerConfig>, port: u16) {
    let mut session = ServerConnection::new(config).unwrap();
    while session.is_handshaking() {
        if session.complete_io(&mut outer).is_err() {
            // Unread bytes would turn the end into a reset, which may overtake the alert.
            let _ = outer.shutdown(Shutdown::Write);
            let _ = outer.read_to_end(&mut Vec::new());
            return;
        }
    }
    let inner = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let session = Arc::new(Mutex::new(session));
    let (back, replies) = (Arc::clone(&session), inner.try_clone().unwrap());
    let to = outer.try_clone().unwrap();
    let _done = spawn(move || {
        send_back(replies, &to, &back);
        let _ = to.shutdown(Shutdown::Both);
    });
    send_on(&outer, &inner, &session);
    let _ = inner.shutdown(Shutdown::Both);
}

fn send_back(mut inner: TcpStream, mut outer: &TcpStream, session: &Mutex<ServerConnection>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = inner.read(&mut buffer) {
        let mut session = session.lock().unwrap();
        session.writer().write_all(&buffer[..length]).unwrap();
        while session.wants_write() {
            if session.write_tls(&mut outer).is_err() {
                return;
            }
        }
    }
}

fn send_on(mut outer: &TcpStream, mut inner: &TcpStream, session: &Mutex<ServerConnection>) {
    let mut buffer = [0; 4096];
    // What came with the end of the handshake.
    let mut length = 0;
    loop {
        let mut plain = Vec::new();
        let mut bytes = &buffer[..length];
        let mut session = session.lock().unwrap();
        while !bytes.is_empty() {
            session.read_tls(&mut bytes).unwrap();
            session.process_new_packets().unwrap();
        }
        let _ = session.reader().read_to_end(&mut plain);
        drop(session);
        if inner.write_all(&plain).is_err() {
            return;
        }
        let Ok(read @ 1..) = outer.read(&mut buffer) else { return };
        length = read;
    }
}

/// A server behind two fronts that want to see a certificate: of `push.test`, and of its endpoints.
pub(crate) struct Shop {
    pub(crate) server: Server,
    push: SocketAddr,
    endpoints: SocketAddr,
    authority: Authority,
    clients: Authority,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let server = Server::start().unwrap();
        let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
        let config = |name| authority.sign(&[name]).server_of(BOTH, Some(&clients));
        let auth_port = port_of(&server.auth_url());
        let push = front(config("push.test"), server.port());
        let endpoints = front(config("127.0.0.1"), auth_port);
        Self { server, push, endpoints, authority, clients }
    }

    fn trusting(&self) -> Tls {
        Tls::default().root_certificate_pem(self.authority.pem().as_bytes())
    }

    fn options(&self) -> Options {
        self.options_for("127.0.0.1")
    }

    /// For a client with a certificate, by the name of this machine.
    pub(crate) fn options_for(&self, host: &str) -> Options {
        Options::host(host, self.server.key()).port(self.push.port())
    }

    pub(crate) fn trusting_device(&self) -> Tls {
        let device = self.clients.sign(&["device"]);
        self.trusting()
            .client_certificate_pem(device.pem.as_bytes(), device.key_pem.as_bytes())
            .server_name("push.test")
    }

    pub(crate) fn behind_tls(&self, url: &str) -> String {
        let plain = format!("http://127.0.0.1:{}", port_of(url));
        url.replace(&plain, &format!("https://{}", self.endpoints))
    }
}

fn port_of(url: &str) -> u16 {
    let authority = url.split('/').nth(2).unwrap();
    authority.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn client_certificate_is_used_for_every_connection() {
    let shop = Shop::open();
    let tls = shop.trusting_device();
    let user = shop.behind_tls(&shop.server.user_auth_url());
    let client = quick(shop.options())
        .tls(tls)
        .authorizer(HttpAuthorizer::new(&shop.behind_tls(&shop.server.auth_url())))
        .user_authenticator(HttpUserAuthenticator::new(&user).param("user_id", "7"))
        .build()
        .unwrap();
    let room = client.private_channel("private-room").unwrap();
    let events = room.bind("event");
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "7");
    let resumed = room.bind_resumed();
    shop.server.drop_connections();
    resumed.recv_timeout(SOON).unwrap();
    shop.server.publish("private-room", "event", "hello");
    assert_eq!(events.recv_timeout(SOON).unwrap().data(), "hello");
    client.close(SOON).unwrap();
}

/// Why a client that tries once does not connect.
fn cause(options: Options, tls: Tls) -> String {
    let client = Client::builder(options).tls(tls).reconnect(Reconnect::never()).build().unwrap();
    let states = client.bind_states();
    client.connect();
    loop {
        let change = states.recv_timeout(SOON).unwrap();
        if let Some(cause) = change.cause {
            assert_eq!(cause.kind(), ErrorKind::Tls, "{cause:?}");
            assert_ne!(change.current, State::Connected);
            return cause.to_string();
        }
    }
}

#[test]
fn refused_client_certificate_is_explained() {
    let shop = Shop::open();
    let named = shop.trusting().server_name("push.test");
    let required = cause(shop.options(), named.clone());
    assert!(required.ends_with("set one with Tls::client_certificate_pem"), "{required}");
    let other = cause(shop.options(), shop.trusting());
    assert!(other.contains("is not for 127.0.0.1"), "{other}");
    let unknown = cause(shop.options(), Tls::default().server_name("push.test"));
    assert!(
        unknown.contains("add its root with Tls::root_certificate_pem; or the server"),
        "{unknown}"
    );

    let plain = Options::host("127.0.0.1", shop.server.key()).port(shop.server.port());
    let plain = cause(plain, Tls::default());
    assert!(plain.contains("does not speak TLS on this port"), "{plain}");

    let old = shop.authority.sign(&["push.test"]).server_of(OLD, None);
    let old = Options::host("127.0.0.1", "key").port(front(old, shop.server.port()).port());
    let old = cause(old, named.min_version(TlsVersion::Tls13));
    assert!(old.ends_with("no allowed version of TLS: TLS 1.3 or later"), "{old}");
}

#[test]
fn tls_1_3_alone_is_enough() {
    let shop = Shop::open();
    let config = shop.authority.sign(&["127.0.0.1"]).server_of(NEW, None);
    let address = front(config, shop.server.port());
    let options = Options::host("127.0.0.1", shop.server.key()).port(address.port());
    let tls = shop.trusting().min_version(TlsVersion::Tls13);
    let client = quick(options).tls(tls).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
}

/// The platform's roots can be replaced for one process, on Linux at least.
#[cfg(target_os = "linux")]
#[test]
fn platform_roots_are_not_trusted_if_only_given_ones_are() {
    const ROOTS: &str = "SSL_CERT_FILE";
    let file = std::env::temp_dir().join(format!("pusher-channels-{}.pem", std::process::id()));
    alone_with(ROOTS, &file, || {
        let platform = Authority::new("platform");
        std::fs::write(std::env::var_os(ROOTS).unwrap(), platform.pem()).unwrap();
        let server = Server::start().unwrap();
        let address = front(platform.sign(&["127.0.0.1"]).server(), server.port());
        let options = Options::host("127.0.0.1", server.key()).port(address.port());
        let other = Authority::new("other");
        let tls = Tls::default().root_certificate_pem(other.pem().as_bytes());
        let client = quick(options.clone()).tls(tls.clone()).build().unwrap();
        client.connect();
        client.wait_connected(SOON).unwrap();
        let refused = cause(options, tls.only_given_roots(true));
        assert!(refused.contains("not signed by a trusted authority"), "{refused}");
    });
    let _ = std::fs::remove_file(file);
}

#[test]
fn invalid_settings_are_refused_by_build() {
    for tls in [
        Tls::default().root_certificate_pem(b"none"),
        Tls::default().client_certificate_pem(b"none", b"none"),
        Tls::default().server_name("no name"),
    ] {
        let error = Client::builder(Options::cluster("eu", "key")).tls(tls).build().map(drop);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
    }
}

static WARNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn warned() -> Vec<String> {
    std::mem::take(&mut *WARNED.lock().unwrap())
}

#[test]
fn each_client_and_authorizer_warns_once_of_disabled_checks() {
    alone(|| {
        log_to(LevelFilter::Warn, |record| {
            if record.target().starts_with("pusher_channels") {
                WARNED.lock().unwrap().push(record.args().to_string());
            }
        });
        let certs = || Tls::default().danger_accept_invalid_certs(true);
        let names = || Tls::default().danger_accept_invalid_hostnames(true);
        let build = |tls| Client::builder(Options::cluster("eu", "key")).tls(tls).build().unwrap();

        build(Tls::default());
        build(certs().danger_accept_invalid_certs(false));
        assert_eq!(warned(), [""; 0]);
        for _ in 0..2 {
            build(certs());
            let [warning] = &warned()[..] else { panic!("one warning") };
            assert!(warning.starts_with("a client accepts any TLS certificate ("), "{warning}");
        }
        build(names());
        let [warning] = &warned()[..] else { panic!("one warning") };
        assert!(warning.starts_with("a client accepts TLS certificates for other"), "{warning}");

        let http = HttpAuthorizer::new("https://127.0.0.1:1/").tls(certs());
        http.check().unwrap();
        pusher_channels::Authorizer::interrupt(&http);
        http.check().unwrap();
        let [warning] = &warned()[..] else { panic!("one warning") };
        assert!(warning.starts_with("an authorizer accepts any TLS cert"), "{warning}");
    });
}
