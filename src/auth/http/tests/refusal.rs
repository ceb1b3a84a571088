//! What a TLS server said before it closed is read, although the request cannot be sent. On other systems than Linux a
//! reset may discard it.

use std::error::Error as _;

use rustls::ServerConnection;

use super::*;
use crate::config::tls::fixtures::{Authority, NEW};

#[test]
fn refusal_of_a_client_that_is_still_sending_is_explained() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let config = authority.sign(&["127.0.0.1"]).server_of(NEW, Some(&clients));
    let url = peer(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        // With the rest unread, the close resets the connection.
    });
    let tls = Tls::default().root_certificate_pem(authority.pem().as_bytes());
    let http = HttpAuthorizer::new(&url.replace("http://", "https://")).tls(tls).timeout(LONG);
    let error = authorize(&http.param("large", &"x".repeat(16 * 1024 * 1024))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert!(!error.is_retryable() && error.source().is_some(), "{error:?}");
    assert_eq!(
        text_of(&error),
        "authorization at 127.0.0.1:PORT: the TLS handshake failed: the server requires a client certificate: set one \
         with Tls::client_certificate_pem"
    );
}
