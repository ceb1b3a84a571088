//! `https` with the library that the features select, against a rustls server.

use std::error::Error as _;
use std::net::Shutdown;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::config::tls::fixtures::{Authority, BOTH, NEW, OLD, Signed};
use crate::config::tls::telling_times;
use crate::transport::SharedTls;
use crate::{ClientSettings, TlsVersion, UserAuth, UserAuthRequest, UserAuthenticator as _};

const FAILED: &str = "authorization at 127.0.0.1:PORT: the TLS handshake failed";
const NATIVE: bool = cfg!(tls = "native");
/// For a self-signed certificate: rustls does not report whether the chain is complete.
const REST: &str = if NATIVE {
    ""
} else {
    "; or the server does not send its intermediate certificate: have it send the whole chain"
};
/// The same if another certificate of its name is trusted: rustls does not distinguish that from a too short key.
const NAMESAKE: &str = if NATIVE {
    ""
} else {
    "; or a key of the server's certificates is too short: make certificates with RSA keys of at least 2048 bits"
};
const UNKNOWN: &str = "the server's certificate is not signed by a trusted authority: add its root \
                       with Tls::root_certificate_pem";

/// A server with a self-signed certificate, and the number of accepted connections.
struct Site {
    url: String,
    pem: String,
    taken: Arc<AtomicU32>,
}

impl Site {
    fn trust(&self) -> Tls {
        Tls::default().root_certificate_pem(self.pem.as_bytes())
    }
}

fn site(name: &str) -> Site {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let (url, taken) = serve(Arc::new(config));
    Site { url, pem: cert.pem(), taken }
}

/// Returns the URL of a server, and the number of accepted connections.
fn serve(config: Arc<ServerConfig>) -> (String, Arc<AtomicU32>) {
    let taken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&taken);
    let url = peer(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                // Unread bytes would cause a reset, which may overtake the alert.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
                return;
            }
        }
        let mut secure = StreamOwned::new(connection, stream);
        // In TLS 1.3 a client rejects the certificate only now.
        if secure.conn.complete_io(&mut secure.sock).is_err() {
            return;
        }
        read_request(&mut secure);
        reply(&mut secure, "200 OK", GOOD);
        secure.conn.send_close_notify();
        let _ = secure.flush();
    });
    (url.replace("http://", "https://"), taken)
}

#[test]
fn trusted_certificate_is_accepted() {
    let site = site("127.0.0.1");
    let http = HttpAuthorizer::new(&site.url).tls(site.trust());
    http.check().unwrap();
    for _ in 0..2 {
        assert_eq!(authorize(&http).unwrap().auth, "key:signature");
    }
    assert_eq!(site.taken.load(Ordering::SeqCst), 2);
    assert!(authorize(&HttpAuthorizer::new(&site.url).tls(site.trust()).get()).is_ok());
}

#[test]
fn own_settings_take_precedence_over_the_clients() {
    let site = site("127.0.0.1");
    let http = HttpAuthorizer::new(&site.url);
    assert_eq!(authorize(&http).unwrap_err().kind(), ErrorKind::Tls);
    http.use_tls(&site.trust());
    assert!(authorize(&http).is_ok());
    http.use_tls(&Tls::default());
    assert_eq!(authorize(&http).unwrap_err().kind(), ErrorKind::Tls);

    let own = HttpAuthorizer::new(&site.url).tls(site.trust());
    own.use_tls(&Tls::default());
    assert!(authorize(&own).is_ok());
    own.interrupt();
    assert!(authorize(&own).is_ok());
}

#[test]
fn each_of_two_clients_has_its_own_settings() {
    let site = site("127.0.0.1");
    let danger = Tls::default().danger_accept_invalid_certs(true);
    let http = HttpAuthorizer::new(&site.url);
    let user = HttpUserAuthenticator::new(&site.url).parser(|it| Ok(UserAuth::new("k:s", it)));
    let [trusting, careless, strict] = [site.trust(), danger, Tls::default()]
        .map(|tls| ClientSettings::new(tls, Proxy::none()))
        .map(|client| (http.attach(&client).unwrap(), user.attach(&client).unwrap()));
    let request = UserAuthRequest::new("1.2");
    for _ in 0..2 {
        for (authorizer, authenticator) in [&trusting, &careless] {
            assert!(authorizer.authorize(&auth_request()).is_ok());
            assert!(authenticator.authenticate(&request).is_ok());
        }
        let (authorizer, authenticator) = &strict;
        assert_eq!(authorizer.authorize(&auth_request()).unwrap_err().kind(), ErrorKind::Tls);
        assert_eq!(authenticator.authenticate(&request).unwrap_err().kind(), ErrorKind::Tls);
    }
}

#[test]
fn user_is_authenticated_over_tls_with_own_or_the_clients_settings() {
    let site = site("127.0.0.1");
    let user =
        || HttpUserAuthenticator::new(&site.url).parser(|text| Ok(UserAuth::new("k:s", text)));
    let request = UserAuthRequest::new("1.2");
    let own = user().tls(site.trust());
    assert_eq!(own.authenticate(&request).unwrap().user_data, GOOD);

    let http = user();
    let error = http.authenticate(&request).unwrap_err();
    let words =
        format!("user authentication at 127.0.0.1:PORT: the TLS handshake failed: {UNKNOWN}{REST}");
    assert_eq!(text_of(&error), words);
    http.use_tls(&site.trust());
    assert_eq!(http.authenticate(&request).unwrap().user_data, GOOD);
}

#[test]
fn untrusted_certificate_is_refused_with_the_cause() {
    let (here, other) = (site("127.0.0.1"), site("127.0.0.1"));
    let error = authorize(&HttpAuthorizer::new(&here.url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert_eq!(text_of(&error), format!("{FAILED}: {UNKNOWN}{REST}"));
    assert!(error.source().unwrap().to_string().contains("certificate"), "{error:?}");

    let error = authorize(&HttpAuthorizer::new(&here.url).tls(other.trust())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert_eq!(text_of(&error), format!("{FAILED}: {UNKNOWN}{NAMESAKE}"));
    assert!(error.source().unwrap().to_string().contains("certificate"), "{error:?}");
}

#[test]
fn danger_accept_invalid_certs_accepts_any_certificate() {
    let site = site("other.test");
    let tls = Tls::default().danger_accept_invalid_certs(true);
    assert!(authorize(&HttpAuthorizer::new(&site.url).tls(tls.clone())).is_ok());
    let tls = tls.root_certificate_pem(site.pem.as_bytes());
    assert!(authorize(&HttpAuthorizer::new(&site.url).tls(tls)).is_ok());
}

#[test]
fn invalid_root_certificate_is_a_config_error() {
    let tls = Tls::default().root_certificate_pem(b"no certificate");
    let http = HttpAuthorizer::new("https://127.0.0.1:1/").tls(tls);
    for error in [http.check().unwrap_err(), authorize(&http).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

#[test]
fn silent_tls_handshake_times_out_and_plain_http_is_refused() {
    let (_listener, address) = listen();
    let http = HttpAuthorizer::new(&format!("https://{address}/")).timeout(LONG / 40);
    let error = spawn(move || authorize(&http).unwrap_err()).recv_timeout(LONG).unwrap();
    assert!(error.is_timeout(), "{error:?}");

    let url = peer(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = authorize(&HttpAuthorizer::new(&url.replace("http://", "https://"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    let words = "the server does not speak TLS on this port; is it plain HTTP or WebSocket?";
    assert_eq!(text_of(&error), format!("{FAILED}: {words}"));
}

#[test]
fn connection_closed_in_the_tls_handshake_is_an_io_error() {
    let url = peer(|mut stream| {
        // All of it, since unread bytes would cause a reset.
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u16::from_be_bytes([head[3], head[4]]);
        stream.read_exact(&mut vec![0; usize::from(length)]).unwrap();
    });
    let error = authorize(&HttpAuthorizer::new(&url.replace("http://", "https://"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
}

#[test]
fn interruption_ends_a_tls_handshake() {
    let (listener, address) = listen();
    let http = Arc::new(HttpAuthorizer::new(&format!("https://{address}/")));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || authorize(&http))
    };
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    http.interrupt();
    let error = result.recv_timeout(AT_ONCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
}

fn trusting(authority: &Authority) -> Tls {
    Tls::default().root_certificate_pem(authority.pem().as_bytes())
}

/// Returns the error for this server, which sees one connection.
fn refused(tls: &Tls, config: Arc<ServerConfig>) -> String {
    let (url, taken) = serve(config);
    let error = authorize(&HttpAuthorizer::new(&url).tls(tls.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(!error.is_retryable() && error.source().is_some(), "{error:?}");
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    text_of(&error)
}

fn accepted(tls: &Tls, config: Arc<ServerConfig>) {
    let http = HttpAuthorizer::new(&serve(config).0).tls(tls.clone());
    http.check().unwrap();
    authorize(&http).unwrap();
}

#[test]
fn expired_and_future_certificates_are_explained() {
    let authority = Authority::new("authority");
    let tls = telling_times(trusting(&authority));
    let expired = authority.sign_for(&["127.0.0.1"], 2000, 2001).server();
    let certificate = format!("{FAILED}: the server's certificate");
    let words = format!("{certificate} has expired, or this device's clock is fast");
    assert_eq!(refused(&tls, expired), words);
    let future = authority.sign_for(&["127.0.0.1"], 3000, 3001).server();
    let words = format!("{certificate} is not yet valid, or this device's clock is slow");
    assert_eq!(refused(&tls, future), words);
}

#[test]
fn certificate_for_another_host_is_explained_or_accepted_as_set() {
    let authority = Authority::new("authority");
    let certificate = authority.sign(&["other.test"]);
    let tls = trusting(&authority);
    let words = |name| format!("{FAILED}: the server's certificate is not for {name}");
    let names = if NATIVE { "" } else { ", but for other.test" };
    assert_eq!(refused(&tls, certificate.server()), words("127.0.0.1") + names);
    let named = tls.clone().server_name("push.test");
    assert_eq!(refused(&named, certificate.server()), words("push.test") + names);
    accepted(&tls.clone().server_name("other.test"), certificate.server());

    let any = tls.danger_accept_invalid_hostnames(true);
    accepted(&any, certificate.server());
    let unknown = Authority::new("unknown").sign(&["other.test"]).server();
    assert!(refused(&any, unknown).starts_with(&format!("{FAILED}: {UNKNOWN}")));
}

#[test]
fn server_name_of_a_client_does_not_apply() {
    let authority = Authority::new("authority");
    let (url, _taken) = serve(authority.sign(&["127.0.0.1"]).server());
    let http = HttpAuthorizer::new(&url);
    let tls = trusting(&authority).server_name("push.test");
    let client = ClientSettings::new(tls.clone(), Proxy::none());
    http.attach(&client).unwrap().authorize(&auth_request()).unwrap();
    http.use_tls(&tls);
    authorize(&http).unwrap();
}

#[test]
fn only_given_roots_are_trusted_if_set() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let tls = trusting(&authority).only_given_roots(true);
    accepted(&tls, authority.sign(&["127.0.0.1"]).server());
    let error = refused(&tls, other.sign(&["127.0.0.1"]).server());
    assert!(error.starts_with(&format!("{FAILED}: {UNKNOWN}")), "{error}");
}

/// The platform's roots are read once for each connector.
#[test]
fn endpoints_share_the_connector_of_their_client() {
    let tls = Arc::new(SharedTls::new(Tls::default()));
    let client = ClientSettings::sharing(Arc::clone(&tls), Proxy::none());
    let agents = [(); 2].map(|()| {
        let agents = HttpAuthorizer::new("https://h/").endpoint.agents.attach(&client);
        agents.check().unwrap();
        agents
    });
    for agents in &agents {
        assert!(Arc::ptr_eq(&agents.shared_tls().unwrap(), &tls));
        agents.use_proxy(&Proxy::new("http://127.0.0.1:1").unwrap());
        assert!(Arc::ptr_eq(&agents.shared_tls().unwrap(), &tls));
    }
    let own = HttpAuthorizer::new("https://h/").tls(Tls::default()).endpoint.agents;
    let attached = own.attach(&client);
    assert!(Arc::ptr_eq(&own.shared_tls().unwrap(), &attached.shared_tls().unwrap()));
    assert!(!Arc::ptr_eq(&own.shared_tls().unwrap(), &tls));
}

fn as_client(tls: &Tls, certificate: &Signed) -> Tls {
    let key = certificate.key_pem.as_bytes();
    tls.clone().client_certificate_pem(certificate.pem.as_bytes(), key)
}

#[test]
fn client_certificate_is_sent_to_servers_that_request_one() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let (tls, site) = (trusting(&authority), authority.sign(&["127.0.0.1"]));
    let (known, unknown) = (clients.sign(&["device"]), authority.sign(&["device"]));
    for versions in [OLD, NEW] {
        let config = site.server_of(versions, Some(&clients));
        accepted(&as_client(&tls, &known), Arc::clone(&config));
        let required = "the server requires a client certificate: set one with \
                        Tls::client_certificate_pem";
        assert_eq!(refused(&tls, Arc::clone(&config)), format!("{FAILED}: {required}"));
        let words = "the server refused the client certificate (alert 48, unknown authority)";
        let error = refused(&as_client(&tls, &unknown), config);
        assert_eq!(error, format!("{FAILED}: {words}"));
    }
    accepted(&as_client(&tls, &known), site.server());
}

#[test]
fn key_of_another_certificate_is_a_config_error() {
    let clients = Authority::new("clients");
    let mut certificate = clients.sign(&["one"]);
    certificate.key_pem = clients.sign(&["two"]).key_pem;
    let tls = as_client(&Tls::default(), &certificate);
    let http = HttpAuthorizer::new("https://127.0.0.1:1/").tls(tls);
    for error in [http.check().unwrap_err(), authorize(&http).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("does not belong to the first certificate"), "{error}");
    }
}

#[test]
fn min_version_is_kept() {
    let authority = Authority::new("authority");
    let site = authority.sign(&["127.0.0.1"]);
    let newest = trusting(&authority).min_version(TlsVersion::Tls13);
    accepted(&trusting(&authority), site.server_of(OLD, None));
    accepted(&newest, site.server_of(NEW, None));
    accepted(&newest, site.server_of(BOTH, None));
    let words = "the server supports no allowed version of TLS: TLS 1.3 or later";
    assert_eq!(refused(&newest, site.server_of(OLD, None)), format!("{FAILED}: {words}"));
    // Without TLS there is no minimum version.
    let (url, _seen) = server("200 OK", GOOD);
    let http = HttpAuthorizer::new(&url);
    http.use_tls(&newest);
    http.check().unwrap();
    authorize(&http).unwrap();
}

/// Sends `bytes` after the handshake and the request, without the end of TLS.
fn answering(config: Arc<ServerConfig>, bytes: &'static [u8]) -> String {
    let url = peer(move |mut stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut secure = StreamOwned::new(connection, &mut stream);
        read_request(&mut secure);
        secure.write_all(bytes).unwrap();
    });
    url.replace("http://", "https://")
}

#[test]
fn connection_is_reused_with_tls_and_lost_in_its_middle() {
    let authority = Authority::new("authority");
    let config = authority.sign(&["127.0.0.1"]).server();
    let (sent, ready) = mpsc::channel();
    let (go, idle) = mpsc::channel::<()>();
    let shared = Arc::clone(&config);
    let url = peer(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&shared)).unwrap();
        let mut secure = rustls::Stream::new(&mut connection, &mut stream);
        read_request(&mut secure);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", GOOD.len());
        secure.write_all(format!("{head}{GOOD}").as_bytes()).unwrap();
        // New keys are announced by a record of its own, before the next response.
        secure.conn.refresh_traffic_keys().unwrap();
        secure.conn.writer().write_all(format!("{head}{GOOD}").as_bytes()).unwrap();
        let mut records = Vec::new();
        while secure.conn.wants_write() {
            secure.conn.write_tls(&mut records).unwrap();
        }
        let (keys, response) = records.split_at(5 + usize::from(records[4]));
        idle.recv_timeout(LONG).unwrap();
        secure.sock.write_all(keys).unwrap();
        sent.send(()).unwrap();
        read_request(&mut secure);
        secure.sock.write_all(response).unwrap();
    });
    let tls = trusting(&authority).min_version(TlsVersion::Tls13);
    let http = HttpAuthorizer::new(&url.replace("http://", "https://")).tls(tls.clone());
    let http = http.timeout(LONG);
    authorize(&http).unwrap();
    go.send(()).unwrap();
    ready.recv_timeout(LONG).unwrap();
    authorize(&http).unwrap();
    assert!(ready.try_recv().is_err(), "a second connection");

    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"] {
        let url = answering(Arc::clone(&config), bytes);
        let error = authorize(&HttpAuthorizer::new(&url).tls(tls.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        assert!(error.is_retryable() && error.source().is_some(), "{error:?}");
    }
}

#[test]
fn large_request_and_response_pass_through_tls() {
    let authority = Authority::new("authority");
    let config = authority.sign(&["127.0.0.1"]).server();
    let url = peer(move |mut stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut secure = StreamOwned::new(connection, &mut stream);
        assert!(read_request(&mut secure).body.len() > 1024 * 1024);
        let response = format!("{GOOD}{}", " ".repeat(200_000));
        reply(&mut secure, "200 OK", &response);
        secure.conn.send_close_notify();
        let _ = secure.flush();
    });
    let http = HttpAuthorizer::new(&url.replace("http://", "https://")).tls(trusting(&authority));
    let http = http.param("large", &"x".repeat(1024 * 1024)).timeout(3 * LONG);
    assert_eq!(authorize(&http).unwrap().auth, "key:signature");
}

#[test]
fn tls_through_a_proxy_names_it_if_it_fails() {
    let authority = Authority::new("authority");
    let config = authority.sign(&["endpoint.invalid"]).server();
    let tunnel = |config: Option<Arc<ServerConfig>>| {
        let url = peer(move |mut stream| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let Some(config) = &config else { return };
            let connection = ServerConnection::new(Arc::clone(config)).unwrap();
            let mut secure = StreamOwned::new(connection, &mut stream);
            read_request(&mut secure);
            reply(&mut secure, "200 OK", GOOD);
        });
        let proxy = Proxy::new(&url.replace("/auth", "")).unwrap();
        let http = HttpAuthorizer::new("https://endpoint.invalid/").proxy(proxy);
        http.tls(trusting(&authority)).timeout(LONG)
    };
    authorize(&tunnel(Some(config))).unwrap();
    let error = authorize(&tunnel(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    let words = "the TLS handshake through the proxy 127.0.0.1:PORT failed: ";
    let start = format!("authorization at endpoint.invalid:443: {words}");
    assert!(text_of(&error).starts_with(&start), "{error}");
}
