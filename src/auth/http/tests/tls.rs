//! `https`, with whichever library the features choose, against a rustls server.

use std::error::Error as _;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::{UserAuth, UserAuthRequest, UserAuthenticator};

/// A server with a certificate that it signed itself, as PEM; and how many handshakes failed.
struct Site {
    url: String,
    pem: String,
    failed: Arc<AtomicU32>,
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
    let config = Arc::new(config);
    let failed = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&failed);
    let url = peer(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        if connection.complete_io(&mut stream).is_err() {
            count.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let mut secure = StreamOwned::new(connection, stream);
        // In TLS 1.3 a client that does not like the certificate says so only now.
        if secure.conn.complete_io(&mut secure.sock).is_err() {
            count.fetch_add(1, Ordering::SeqCst);
            return;
        }
        read_request(&mut secure);
        reply(&mut secure, "200 OK", GOOD);
        secure.conn.send_close_notify();
        let _ = secure.flush();
    });
    Site { url: url.replace("http://", "https://"), pem: cert.pem(), failed }
}

#[test]
fn a_certificate_that_is_trusted_is_accepted() {
    let site = site("127.0.0.1");
    let http = HttpAuthorizer::new(&site.url).tls(site.trust());
    http.check().unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&http).unwrap().auth, "key:signature");
    }
    assert_eq!(site.failed.load(Ordering::SeqCst), 0);
    assert!(ask(&HttpAuthorizer::new(&site.url).tls(site.trust()).get()).is_ok());
}

#[test]
fn the_clients_settings_count_unless_there_are_own_ones() {
    let site = site("127.0.0.1");
    let http = HttpAuthorizer::new(&site.url);
    assert_eq!(ask(&http).unwrap_err().kind(), ErrorKind::Tls);
    http.use_tls(&site.trust());
    assert!(ask(&http).is_ok());
    http.use_tls(&Tls::default());
    assert_eq!(ask(&http).unwrap_err().kind(), ErrorKind::Tls);

    let own = HttpAuthorizer::new(&site.url).tls(site.trust());
    own.use_tls(&Tls::default());
    assert!(ask(&own).is_ok());
    own.interrupt();
    assert!(ask(&own).is_ok());
}

#[test]
fn a_user_is_told_over_tls_with_own_or_the_clients_settings() {
    let site = site("127.0.0.1");
    let user =
        || HttpUserAuthenticator::new(&site.url).parser(|text| Ok(UserAuth::new("k:s", text)));
    let request = UserAuthRequest::new("1.2");
    let own = user().tls(site.trust());
    assert_eq!(own.authenticate(&request).unwrap().user_data, GOOD);

    let http = user();
    let error = http.authenticate(&request).unwrap_err();
    assert_eq!(error.to_string(), "user authentication at 127.0.0.1: the TLS handshake failed");
    http.use_tls(&site.trust());
    assert_eq!(http.authenticate(&request).unwrap().user_data, GOOD);
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_with_the_cause() {
    let (here, other) = (site("127.0.0.1"), site("127.0.0.1"));
    let error = ask(&HttpAuthorizer::new(&here.url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert_eq!(error.to_string(), "authorization at 127.0.0.1: the TLS handshake failed");
    assert!(error.source().unwrap().to_string().contains("certificate"), "{error:?}");

    let error = ask(&HttpAuthorizer::new(&here.url).tls(other.trust())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(error.to_string().contains("also with the root certificates given"), "{error}");
    assert!(error.source().unwrap().to_string().contains("certificate"), "{error:?}");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let site = site("other.test");
    let error = ask(&HttpAuthorizer::new(&site.url).tls(site.trust())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
}

#[test]
fn danger_accepts_what_nobody_signed_for_any_host() {
    let site = site("other.test");
    let tls = Tls::default().danger_accept_invalid_certs(true);
    assert!(ask(&HttpAuthorizer::new(&site.url).tls(tls.clone())).is_ok());
    let tls = tls.root_certificate_pem(site.pem.as_bytes());
    assert!(ask(&HttpAuthorizer::new(&site.url).tls(tls)).is_ok());
}

#[test]
fn a_wrong_certificate_is_told() {
    let tls = Tls::default().root_certificate_pem(b"no certificate");
    let http = HttpAuthorizer::new("https://127.0.0.1:1/").tls(tls);
    for error in [http.check().unwrap_err(), ask(&http).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

#[test]
fn a_silent_handshake_times_out_and_one_with_no_tls_is_refused() {
    let (_listener, address) = listen();
    let http = HttpAuthorizer::new(&format!("https://{address}/")).timeout(LONG / 40);
    let error = spawn(move || ask(&http).unwrap_err()).recv_timeout(LONG).unwrap();
    assert!(error.is_timeout(), "{error:?}");

    let url = peer(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = ask(&HttpAuthorizer::new(&url.replace("http://", "https://"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
}

#[test]
fn a_server_that_hangs_up_in_the_handshake_is_an_io_error() {
    let url = peer(|mut stream| {
        // All of it, since an unread rest would turn the end into a reset.
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u16::from_be_bytes([head[3], head[4]]);
        stream.read_exact(&mut vec![0; usize::from(length)]).unwrap();
    });
    let error = ask(&HttpAuthorizer::new(&url.replace("http://", "https://"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
}

#[test]
fn an_interruption_ends_a_handshake() {
    let (listener, address) = listen();
    let http = Arc::new(HttpAuthorizer::new(&format!("https://{address}/")));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || ask(&http))
    };
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    http.interrupt();
    let error = result.recv_timeout(Duration::from_secs(1)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
}
