//! TLS, with whichever library the features choose, against a rustls server.

use std::error::Error as _;
use std::net::Shutdown;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::ErrorKind;

pub(super) type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A certificate for localhost, in PEM and DER, and a server that has it.
struct Site {
    pem: String,
    der: Vec<u8>,
    config: Arc<ServerConfig>,
}

fn site(names: &[&str]) -> Site {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    Site { pem: cert.pem(), der: cert.der().to_vec(), config: Arc::new(config) }
}

pub(super) fn secure_peer<T: Send + 'static>(
    config: &Arc<ServerConfig>,
    script: impl FnOnce(Result<tungstenite::WebSocket<Secure>, ()>) -> T + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<T>) {
    let config = Arc::clone(config);
    raw_peer(|mut stream| {
        let mut connection = ServerConnection::new(config).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                // What is left unread would turn the end into a reset, which may overtake the alert.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
                return script(Err(()));
            }
        }
        script(tungstenite::accept(StreamOwned::new(connection, stream)).map_err(drop))
    })
}

/// Settings that trust a server for 127.0.0.1, and its address.
pub(super) fn serve(
    script: impl FnOnce(&mut tungstenite::WebSocket<Secure>) + Send + 'static,
) -> (Tls, SocketAddr) {
    let site = site(&["127.0.0.1"]);
    let (address, _peer) = secure_peer(&site.config, |server| script(&mut server.unwrap()));
    (Tls::default().root_certificate_pem(site.pem.as_bytes()), address)
}

/// A server that says hello and echoes one message.
pub(super) fn echo(config: &Arc<ServerConfig>) -> SocketAddr {
    secure_peer(config, |server| {
        let Ok(mut server) = server else { return };
        server.send("hello".into()).unwrap();
        let message = server.read().unwrap();
        server.send(message).unwrap();
        let _ = server.read();
    })
    .0
}

pub(super) fn talks(tls: &Tls, url: &str, address: SocketAddr) {
    let connector = WebSocketConnector::new(shared(tls), LIMIT)
        .unwrap()
        .with_lookup(Arc::new(move |_, _| Ok(vec![address])));
    let socket = Arc::new(dial(&connector, url).unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));
    let long = "x".repeat(100_000);
    socket.send(&long).unwrap();
    assert_eq!(recv(&socket).unwrap(), text(&long));
}

#[test]
fn trusted_certificate_is_accepted_for_a_name_and_an_address() {
    let site = site(&["localhost", "127.0.0.1"]);
    let by_pem = Tls::default().root_certificate_pem(site.pem.as_bytes());
    let by_der = Tls::default().root_certificate_der(&site.der);
    for tls in [by_pem, by_der] {
        let address = echo(&site.config);
        talks(&tls, "wss://localhost/app", address);
        let address = echo(&site.config);
        talks(&tls, &format!("wss://{address}"), address);
    }
}

#[test]
fn tls_behind_a_proxy_reads_the_bytes_behind_its_response() {
    let site = site(&["server.test"]);
    let tls = Tls::default().root_certificate_pem(site.pem.as_bytes());
    let config = Arc::clone(&site.config);
    let (address, _peer) = raw_peer(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let connection = ServerConnection::new(config).unwrap();
        let mut server = tungstenite::accept(StreamOwned::new(connection, stream)).unwrap();
        server.send("hello".into()).unwrap();
        let _ = server.read();
    });
    let proxy = crate::Proxy::new(&format!("http://{address}")).unwrap();
    let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap().with_proxy(&proxy);
    let socket = Arc::new(dial(&connector, "wss://server.test/app").unwrap());
    assert_eq!(recv(&socket).unwrap(), text("hello"));

    // No TLS, as the library finds without another packet.
    let (address, _peer) = raw_peer(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let proxy = crate::Proxy::new(&format!("http://{address}")).unwrap();
    let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap().with_proxy(&proxy);
    let error = dial(&connector, "wss://server.test/app").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
}

#[test]
fn untrusted_certificate_is_refused_with_the_cause() {
    let site = site(&["127.0.0.1"]);
    let (address, _peer) = secure_peer(&site.config, |server| server.is_err());
    let error = dial(&connector(), &format!("wss://{address}")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    let words =
        "TLS handshake with 127.0.0.1 failed: the server's certificate is not signed by a trusted";
    assert!(error.to_string().starts_with(words), "{error}");
    assert!(error.source().unwrap().to_string().contains("certificate"), "{error:?}");
}

#[test]
fn close_during_the_tls_handshake_is_an_io_error() {
    let (address, _peer) = raw_peer(|mut stream| {
        // All of it, since an unread rest would turn the end into a reset.
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u16::from_be_bytes([head[3], head[4]]);
        stream.read_exact(&mut vec![0; usize::from(length)]).unwrap();
    });
    let error = dial(&connector(), &format!("wss://{address}")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    let end = "the peer closed the connection; if this port does not speak TLS, use `.tls(false)` or `ws://`";
    assert!(error.to_string().ends_with(end), "{error}");
}

#[test]
fn messages_in_one_record_arrive_together() {
    let site = site(&["127.0.0.1"]);
    let (address, _peer) = secure_peer(&site.config, |server| {
        let mut server = server.unwrap();
        let bytes = [frame(1, b"1"), frame(1, b"2"), frame(1, b"3")].concat();
        server.get_mut().write_all(&bytes).unwrap();
        server.get_mut().flush().unwrap();
        let _ = server.read();
    });
    let tls = Tls::default().root_certificate_pem(site.pem.as_bytes());
    let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap();
    let socket = dial(&connector, &format!("wss://{address}")).unwrap();
    let messages = within(LONG, move || {
        let mut messages = Vec::new();
        socket.recv_many(&mut messages).unwrap();
        messages
    });
    assert_eq!(messages, [text("1"), text("2"), text("3")]);
}

#[test]
fn frames_of_all_sizes_arrive_in_records_of_all_sizes() {
    let sizes = [0, 1, 125, 126, 1_535, 1_536, 16_383, 16_384, 65_536, 100_000, 400_000];
    let texts = sizes.map(|size| "x\u{e9}".repeat(size / 3 + 1));
    for record in [7_000, 16_384, 100_000] {
        let mut bytes: Vec<u8> = Vec::new();
        for text in &texts {
            let (start, end) = text.as_bytes().split_at(text.len() / 2);
            let fragment = [&[1][..], &frame(1, start)[1..]].concat();
            bytes.extend([frame(1, text.as_bytes()), frame(9, b""), fragment].concat());
            bytes.extend([frame(9, b""), frame(0, end)].concat());
        }
        let (tls, address) = serve(move |server| {
            for part in bytes.chunks(record) {
                server.get_mut().write_all(part).unwrap();
                server.get_mut().flush().unwrap();
            }
            while server.read().is_ok() {}
        });
        let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap();
        let socket = Arc::new(dial(&connector, &format!("wss://{address}")).unwrap());
        for message in &texts {
            for whole in [true, false] {
                let received = recv(&socket).unwrap();
                assert!(received == text(message), "{} bytes, {whole}", message.len());
            }
        }
    }
}

#[test]
fn end_without_close_notify_is_an_io_error() {
    let site = site(&["127.0.0.1"]);
    let (address, _peer) = secure_peer(&site.config, |server| {
        let mut server = server.unwrap();
        server.send("last words".into()).unwrap();
    });
    let tls = Tls::default().danger_accept_invalid_certs(true);
    let connector = WebSocketConnector::new(shared(&tls), LIMIT).unwrap();
    let socket = Arc::new(dial(&connector, &format!("wss://{address}")).unwrap());
    assert_eq!(recv(&socket).unwrap(), text("last words"));
    is_cut(&recv(&socket).unwrap_err());
}
