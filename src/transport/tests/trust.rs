//! Which servers are accepted, and the errors of the others: the same with every library.

use std::error::Error as _;

use super::tls::{echo, secure_peer, talks};
use super::*;
use crate::config::tls::fixtures::{Authority, BOTH, NEW, OLD, Signed, Versions};
use crate::config::tls::telling_times;
use crate::{ErrorKind, TlsVersion};

pub(super) const UNKNOWN: &str = "the server's certificate is not signed by a trusted authority: add its root with \
                       Tls::root_certificate_pem; or the server does not send its intermediate certificate: have it \
                       send the whole chain";
const REQUIRED: &str =
    "the server requires a client certificate: set one with Tls::client_certificate_pem";
const NOT_TLS: &str = "the server does not speak TLS on this port; is it plain HTTP or WebSocket? Then use \
                       `.tls(false)` or `ws://`";

pub(super) fn trusting(authority: &Authority) -> Tls {
    Tls::default().root_certificate_pem(authority.pem().as_bytes())
}

fn connector_of(tls: &Tls) -> WebSocketConnector {
    WebSocketConnector::new(shared(tls), LIMIT).unwrap()
}

fn refused_at(tls: &Tls, address: SocketAddr) -> Error {
    let connector = connector_of(tls);
    let result = within(LONG, move || dial(&connector, &format!("wss://{address}")).map(drop));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(!error.is_retryable() && error.source().is_some(), "{error:?}");
    error
}

/// Returns the client's error for this server.
pub(super) fn refused(tls: &Tls, config: &Arc<rustls::ServerConfig>) -> String {
    let (address, _peer) = secure_peer(config, drop);
    refused_at(tls, address).to_string()
}

pub(super) fn in_tls(words: &str) -> String {
    format!("TLS handshake with 127.0.0.1 failed: {words}")
}

pub(super) fn accepted(tls: &Tls, config: &Arc<rustls::ServerConfig>) {
    let address = echo(config);
    talks(tls, &format!("wss://{address}"), address);
}

#[test]
fn every_certificate_of_a_bundle_is_a_root() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let windows = first.pem().replace('\n', "\r\n");
    // An unrelated section may be incomplete.
    let bundle = format!("\u{feff}{windows}\nSecond:\n-----BEGIN RUBBISH-----\n{}", second.pem());
    for tls in [
        Tls::default().root_certificate_pem(bundle.as_bytes()),
        trusting(&first).root_certificate_der(second.der()),
    ] {
        for authority in [&first, &second] {
            accepted(&tls, &authority.sign(&["127.0.0.1"]).server());
        }
    }
}

#[test]
fn unknown_authority_is_named() {
    let (here, there) = (Authority::new("here"), Authority::new("there"));
    let server = there.sign(&["127.0.0.1"]).server();
    assert_eq!(refused(&Tls::default(), &server), in_tls(UNKNOWN));
    assert_eq!(refused(&trusting(&here), &server), in_tls(UNKNOWN));
    let namesake = Authority::new("there");
    // To rustls it is a signature that does not fit its key, whatever the reason.
    let short = "the server's certificate is not signed by a trusted authority: add its root with \
                 Tls::root_certificate_pem; or a key of the server's certificates is too short: make certificates \
                 with RSA keys of at least 2048 bits";
    let words = if cfg!(tls = "native") { UNKNOWN } else { short };
    assert_eq!(refused(&trusting(&namesake), &server), in_tls(words));
}

#[test]
fn expired_and_future_certificates_are_distinguished() {
    let authority = Authority::new("authority");
    let tls = telling_times(trusting(&authority));
    let expired = authority.sign_for(&["127.0.0.1"], 2000, 2001).server();
    let words = "the server's certificate has expired, or this device's clock is fast";
    assert_eq!(refused(&tls, &expired), in_tls(words));
    let future = authority.sign_for(&["127.0.0.1"], 3000, 3001).server();
    let words = "the server's certificate is not yet valid, or this device's clock is slow";
    assert_eq!(refused(&tls, &future), in_tls(words));
}

/// rustls returns the names in the certificate, OpenSSL does not.
fn wrong_name(expected: &str, others: &str) -> String {
    let words = format!("the server's certificate is not for {expected}");
    if cfg!(tls = "native") { in_tls(&words) } else { in_tls(&(words + others)) }
}

#[test]
fn certificate_for_another_host_is_named_with_its_hosts() {
    let authority = Authority::new("authority");
    let server = authority.sign(&["other.test"]).server();
    let error = refused(&trusting(&authority), &server);
    assert_eq!(error, wrong_name("127.0.0.1", ", but for other.test"));
    let error = refused(&trusting(&authority).server_name("push.test"), &server);
    assert_eq!(error, wrong_name("push.test", ", but for other.test"));

    let server =
        authority.sign(&["1.test", "2.test", "3.test", "4.test", "5.test", "::1"]).server();
    let error = refused(&trusting(&authority), &server);
    let others = ", but for 1.test, 2.test, 3.test, 4.test, 5.test and 1 more";
    assert_eq!(error, wrong_name("127.0.0.1", others));
}

#[test]
fn server_name_is_sent_and_checked_but_is_not_the_host() {
    let authority = Authority::new("authority");
    let config = authority.sign(&["push.test"]).server();
    let (address, seen) = raw_peer(move |stream| {
        let connection = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let head = read_head(&mut stream);
        (stream.conn.server_name().map(str::to_owned), head)
    });
    let connector = connector_of(&trusting(&authority).server_name("push.test"));
    // The response does not matter.
    assert!(dial(&connector, &format!("wss://{address}/app/key")).is_err());
    let (name, head) = seen.recv_timeout(LONG).unwrap();
    assert_eq!(name.as_deref(), Some("push.test"));
    assert!(head.contains(&format!("Host: {address}\r\n")), "{head}");
}

#[test]
fn server_name_may_be_an_address() {
    let authority = Authority::new("authority");
    let config = authority.sign(&["::1"]).server();
    accepted(&trusting(&authority).server_name("::1"), &config);
}

/// A server that accepts the clients of this authority.
fn closed_shop(clients: &Authority, versions: Versions) -> (Tls, Arc<rustls::ServerConfig>) {
    let authority = Authority::new("authority");
    let config = authority.sign(&["127.0.0.1"]).server_of(versions, Some(clients));
    (trusting(&authority), config)
}

fn as_client(tls: &Tls, certificate: &Signed) -> Tls {
    let key = certificate.key_pem.as_bytes();
    tls.clone().client_certificate_pem(certificate.pem.as_bytes(), key)
}

#[test]
fn client_certificate_is_sent_on_request() {
    let clients = Authority::new("clients");
    let certificate = clients.sign(&["device"]);
    for versions in [OLD, NEW] {
        let (tls, config) = closed_shop(&clients, versions);
        let (address, seen) = secure_peer(&config, |server| {
            let mut server = server.unwrap();
            server.send("hello".into()).unwrap();
            let _ = server.read();
            server.get_ref().conn.peer_certificates().unwrap().to_vec()
        });
        let connector = connector_of(&as_client(&tls, &certificate));
        let socket = Arc::new(dial(&connector, &format!("wss://{address}")).unwrap());
        assert_eq!(recv(&socket).unwrap(), text("hello"));
        socket.close(1000);
        let [shown] = &seen.recv_timeout(LONG).unwrap()[..] else { panic!("one certificate") };
        assert_eq!(shown, &certificate.der);
    }
    // It is not sent to a server that does not request it.
    let authority = Authority::new("authority");
    let config = authority.sign(&["127.0.0.1"]).server();
    accepted(&as_client(&trusting(&authority), &certificate), &config);
}

#[test]
fn chain_and_key_may_be_in_one_file() {
    let clients = Authority::new("clients");
    let certificate = clients.sign(&["device"]);
    let file = format!("Bag\n{}{}{}", certificate.key_pem, certificate.pem, clients.pem());
    let (tls, config) = closed_shop(&clients, BOTH);
    accepted(&tls.client_certificate_pem(file.as_bytes(), file.as_bytes()), &config);
}

#[test]
fn missing_client_certificate_is_named() {
    let clients = Authority::new("clients");
    let (tls, config) = closed_shop(&clients, OLD);
    assert_eq!(refused(&tls, &config), in_tls(REQUIRED));
    let (tls, config) = closed_shop(&clients, NEW);
    // In TLS 1.3 the client has done its part before the server looks at it.
    let words = format!("WebSocket handshake with 127.0.0.1 failed: {REQUIRED}");
    assert_eq!(refused(&tls, &config), words);
}

#[test]
fn client_certificate_of_another_authority_is_named() {
    let certificate = Authority::new("others").sign(&["device"]);
    for (versions, step) in [(OLD, "TLS"), (NEW, "WebSocket")] {
        let (tls, config) = closed_shop(&Authority::new("clients"), versions);
        let error = refused(&as_client(&tls, &certificate), &config);
        let words = format!(
            "{step} handshake with 127.0.0.1 failed: the server refused the client certificate (alert"
        );
        assert!(error.starts_with(&words), "{error}");
    }
}

#[test]
fn expired_client_certificate_is_named() {
    let clients = Authority::new("clients");
    let (tls, config) = closed_shop(&clients, OLD);
    let tls = as_client(&tls, &clients.sign_for(&["device"], 2000, 2001));
    let words = "the server refused the client certificate (alert 45, certificate expired)";
    assert_eq!(refused(&tls, &config), in_tls(words));
}

#[test]
fn min_version_is_enforced() {
    let authority = Authority::new("authority");
    let certificate = authority.sign(&["127.0.0.1"]);
    let (old, new) = (certificate.server_of(OLD, None), certificate.server_of(NEW, None));
    accepted(&trusting(&authority), &old);
    accepted(&trusting(&authority).min_version(TlsVersion::Tls12), &old);
    let newest = trusting(&authority).min_version(TlsVersion::Tls13);
    accepted(&newest, &new);
    let words = "the server supports no allowed version of TLS: TLS 1.3 or later";
    assert_eq!(refused(&newest, &old), in_tls(words));
}

/// A server that responds to the first message with these bytes.
fn responding(bytes: &'static [u8]) -> (SocketAddr, mpsc::Receiver<()>) {
    raw_peer(|mut stream| {
        stream.write_all(bytes).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn tls_1_0_is_refused() {
    // ServerHello: version, random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    const HELLO: [u8; 47] = {
        let mut hello = [7; 47];
        let start = [22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        let end = [0, 0, 47, 0];
        let mut at = 0;
        while at < start.len() {
            hello[at] = start[at];
            at += 1;
        }
        at = 0;
        while at < end.len() {
            hello[43 + at] = end[at];
            at += 1;
        }
        hello
    };
    let (address, _peer) = responding(&HELLO);
    let words = "the server supports no allowed version of TLS: TLS 1.2 or later";
    assert_eq!(refused_at(&Tls::default(), address).to_string(), in_tls(words));
}

#[test]
fn peer_without_tls_is_named() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        b"220 mail.test ESMTP\r\n",
    ] {
        let (address, _peer) = responding(bytes);
        assert_eq!(refused_at(&Tls::default(), address).to_string(), in_tls(NOT_TLS));
    }
}

#[test]
fn unknown_alert_is_shown_with_its_number() {
    let (address, _peer) = responding(b"\x15\x03\x03\x00\x02\x02\x50");
    let words = "the server refused (alert 80, internal error)";
    assert_eq!(refused_at(&Tls::default(), address).to_string(), in_tls(words));
    let (address, _peer) = responding(b"\x15\x03\x03\x00\x02\x02\x28");
    let words = "the server refused (handshake failure): there is no version or cipher in common, \
                 or a client certificate is required";
    assert_eq!(refused_at(&Tls::default(), address).to_string(), in_tls(words));
}

#[test]
fn silent_tls_handshake_times_out() {
    let (_listener, address) = listen();
    let connector = connector();
    let result = within(LONG, move || {
        // Longer than the platform's roots take.
        let deadline = clock::now() + 2 * AT_ONCE;
        connector.dial(&format!("wss://{address}"), deadline, &Interrupt::default()).map(drop)
    });
    let error = result.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let words = "TLS handshake with 127.0.0.1 timed out without any response; if this port does not speak TLS, \
                 use `.tls(false)` or `ws://`";
    assert_eq!(error.to_string(), words);
}

#[test]
fn accepting_any_name_still_checks_the_certificate() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let tls = trusting(&authority).danger_accept_invalid_hostnames(true);
    accepted(&tls, &authority.sign(&["other.test"]).server());
    accepted(&tls, &authority.sign(&["other.test"]).server_of(OLD, None));
    assert_eq!(refused(&tls, &other.sign(&["other.test"]).server()), in_tls(UNKNOWN));
    let expired = authority.sign_for(&["other.test"], 2000, 2001).server();
    assert!(refused(&tls, &expired).contains("has expired"));
}

#[test]
fn accepting_any_certificate_accepts_any_name() {
    let expired = Authority::new("authority").sign_for(&["other.test"], 2000, 2001);
    for versions in [OLD, NEW] {
        let tls = Tls::default().danger_accept_invalid_certs(true);
        accepted(&tls, &expired.server_of(versions, None));
    }
}

#[test]
fn only_given_roots_are_trusted_if_set() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let tls = trusting(&authority).only_given_roots(true);
    for versions in [OLD, NEW] {
        accepted(&tls, &authority.sign(&["127.0.0.1"]).server_of(versions, None));
    }
    assert_eq!(refused(&tls, &other.sign(&["127.0.0.1"]).server()), in_tls(UNKNOWN));
    let named = authority.sign(&["other.test"]).server();
    let error = refused(&tls, &named);
    assert_eq!(error, wrong_name("127.0.0.1", ", but for other.test"));
    let tls = tls.danger_accept_invalid_hostnames(true);
    accepted(&tls, &named);
    assert_eq!(refused(&tls, &other.sign(&["other.test"]).server()), in_tls(UNKNOWN));
    // The certificate of the server itself is enough.
    let alone = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let signed = Signed {
        pem: alone.cert.pem(),
        key_pem: alone.signing_key.serialize_pem(),
        der: alone.cert.der().clone(),
        key: rustls::pki_types::PrivateKeyDer::try_from(alone.signing_key.serialize_der()).unwrap(),
    };
    let pinned = Tls::default().root_certificate_pem(signed.pem.as_bytes()).only_given_roots(true);
    accepted(&pinned, &signed.server());
}

fn wrong(tls: &Tls) -> Error {
    let error = WebSocketConnector::new(shared(tls), LIMIT).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    error
}

fn says(tls: &Tls, words: &str) {
    let error = wrong(tls);
    assert!(error.to_string().starts_with(words), "{error} instead of {words}");
}

#[test]
fn invalid_root_fails_before_the_dial() {
    let authority = Authority::new("authority");
    let good = authority.pem();
    let pem = |pem: &str| Tls::default().root_certificate_pem(pem.as_bytes());
    says(&Tls::default().only_given_roots(true), "Tls::only_given_roots: there must be a root");
    says(&pem(""), "Tls::root_certificate_pem: no BEGIN CERTIFICATE in the PEM");
    says(&pem("-----BEGIN RUBBISH-----\n"), "Tls::root_certificate_pem: no BEGIN CERTIFICATE");
    let cut = &good[..good.len() / 2];
    says(&pem(cut), "Tls::root_certificate_pem: certificate 1: its END is missing");
    let two = format!("{cut}\n{good}");
    says(&pem(&two), "Tls::root_certificate_pem: certificate 1: its END is missing");
    let two = format!("{good}{}", good.replacen('M', "*", 1));
    says(&pem(&two), "Tls::root_certificate_pem: certificate 2: its base64 is damaged");
    let key = good.replace("CERTIFICATE", "PRIVATE KEY");
    let mixed = good.replacen("CERTIFICATE", "PRIVATE KEY", 1);
    says(&pem(&key), "Tls::root_certificate_pem: no BEGIN CERTIFICATE");
    says(&pem(&mixed), "Tls::root_certificate_pem: no BEGIN CERTIFICATE");
    let ends_otherwise = good.replace("END CERTIFICATE", "END RUBBISH");
    says(&pem(&ends_otherwise), "Tls::root_certificate_pem: certificate 1: its END is missing");
    let hello = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----";
    says(&pem(hello), "Tls::root_certificate_pem: certificate 1: it is not DER");
    let no_x509 = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----";
    let two = pem(&good).root_certificate_pem(format!("{good}{no_x509}").as_bytes());
    says(&two, "Tls::root_certificate_pem (root call 2): certificate 2: it is not X.509");
    assert!(wrong(&two).source().is_some());

    let der = |der: &[u8]| Tls::default().root_certificate_der(der);
    says(&der(good.as_bytes()), "Tls::root_certificate_der: it is PEM, not DER");
    says(&der(b""), "Tls::root_certificate_der: it is not DER");
    says(&der(b"\x30\x80\0\0"), "Tls::root_certificate_der: it is not DER");
    says(&der(b"\x30\x03nope"), "Tls::root_certificate_der: something follows it");
    says(&der(b"\x30\x05nope"), "Tls::root_certificate_der: it is cut short");
    says(&der(b"\x30\x83no"), "Tls::root_certificate_der: it is cut short");
    says(&der(b"\x30\x84\xff\xff\xff\xffno"), "Tls::root_certificate_der: it is cut short");
    says(&der(b"\x30\x04nope"), "Tls::root_certificate_der: certificate 1: it is not X.509");
    says(&der(&authority.der()[..100]), "Tls::root_certificate_der: it is cut short");
    says(&der(&[authority.der(), b"x"].concat()), "Tls::root_certificate_der: something follows");
}

#[test]
fn invalid_client_certificate_fails_before_the_dial() {
    let clients = Authority::new("clients");
    let (one, other) = (clients.sign(&["one"]), clients.sign(&["other"]));
    let client = |chain: &str, key: &str| {
        Tls::default().client_certificate_pem(chain.as_bytes(), key.as_bytes())
    };
    let begins = |what: &str| format!("Tls::client_certificate_pem: the {what}");
    says(&client("", &one.key_pem), &begins("chain: no BEGIN CERTIFICATE"));
    says(&client(&one.pem, ""), &begins("key: no BEGIN PRIVATE KEY"));
    says(&client(&one.pem, &one.pem), &begins("key: no BEGIN PRIVATE KEY"));
    let belongs = "key: it does not belong to the first certificate of the chain";
    says(&client(&one.pem, &other.key_pem), &begins(belongs));
    let encrypted = one.key_pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    says(&client(&one.pem, &encrypted), &begins("key: it is encrypted"));
    let header = "PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n";
    let encrypted = one.key_pem.replacen("PRIVATE KEY-----", header, 1);
    says(&client(&one.pem, &encrypted), &begins("key: it is encrypted"));
    let cut: String = one.key_pem.lines().take(2).collect::<Vec<_>>().join("\n");
    says(&client(&one.pem, &cut), &begins("key: its END is missing"));
    let rubbish = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----";
    says(&client(&one.pem, rubbish), &begins("key: "));
    let rubbish = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let chain = format!("{}{rubbish}", one.pem);
    says(&client(&chain, &one.key_pem), &begins("chain: certificate 2: it is not X.509"));
    for tls in [client(&one.pem, &other.key_pem), client(&one.pem, &encrypted)] {
        let error = wrong(&tls);
        let shown = format!("{error:?} {error} {tls:?}");
        assert!(!shown.contains(one.key_pem.lines().nth(1).unwrap()), "{shown}");
    }
}

/// The inner part of a PKCS#8 key of the curve P-256.
fn sec1(certificate: &Signed) -> String {
    let pkcs8 = certificate.key.secret_der();
    let start = 3 + 3 + 21 + 2;
    assert_eq!(pkcs8[start], 0x30);
    let base64 =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &pkcs8[start..]);
    format!("-----BEGIN EC PRIVATE KEY-----\n{base64}\n-----END EC PRIVATE KEY-----\n")
}

#[test]
fn sec1_key_is_accepted_by_rustls_only() {
    let clients = Authority::new("clients");
    let certificate = clients.sign(&["device"]);
    let (tls, config) = closed_shop(&clients, BOTH);
    let key = sec1(&certificate);
    let tls = tls.client_certificate_pem(certificate.pem.as_bytes(), key.as_bytes());
    if cfg!(tls = "native") {
        says(&tls, "Tls::client_certificate_pem: the key: it is SEC1, but native-tls takes PKCS#8");
    } else {
        accepted(&tls, &config);
    }
}

#[test]
fn invalid_server_name_is_a_config_error() {
    let long = "a.".repeat(127) + "a";
    let wide = "a".repeat(64) + ".test";
    for name in [
        "",
        ".",
        "a..b",
        "a.",
        "-a",
        "a-",
        "a b",
        "a/b",
        "a:443",
        "bücher.test",
        "1.2.3",
        &long,
        &wide,
    ] {
        let words = format!("Tls::server_name: {name:?} is neither a host name nor an address");
        assert_eq!(wrong(&Tls::default().server_name(name)).to_string(), words);
    }
    for name in ["a", "push1", "A-b_c.test", "1a", "1.a", "1.2.3.4", "::1"] {
        connector_of(&Tls::default().server_name(name));
    }
}
