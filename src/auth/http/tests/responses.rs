//! Responses of endpoints.

use std::error::Error as _;

use super::super::response::excerpt;
use super::*;

fn refused(status: &'static str, body: &'static str) -> Error {
    let (url, _seen) = server(status, body);
    let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    error
}

#[test]
fn refusal_error_has_the_status_and_the_servers_text() {
    let error = refused("403 Forbidden", "no\tentry\nsecond line");
    assert_eq!(error.http_status(), Some(403));
    assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: HTTP 403: no entry");
    assert!(!error.is_retryable());
    let error = refused("401 Unauthorized", r#"{"message":"Unauthenticated.","auth":"canary"}"#);
    assert_eq!(
        text_of(&error),
        "authorization at 127.0.0.1:PORT: HTTP 401: Unauthenticated.; check the credentials in the request's headers"
    );
    let error = refused("500 Internal Server Error", "");
    assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: HTTP 500");
    assert!(error.is_retryable());
}

#[test]
fn retry_after_is_kept() {
    let error = refused("429 Too Many Requests\r\nretry-after: 7", "");
    assert!(error.is_retryable());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(refused("503 Unavailable", "").retry_after(), None);
    assert_eq!(refused("403 Forbidden\r\nretry-after: 7", "").retry_after(), None);
    // In the future and in the past of every clock.
    let error = refused("503 x\r\nretry-after: Fri, 31 Dec 9999 23:59:59 GMT", "");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    let error = refused("429 x\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT", "");
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
}

#[test]
fn redirect_is_not_followed() {
    let (target, seen) = server("200 OK", GOOD);
    let url = peer(move |mut stream| {
        read_request(&mut stream);
        reply(&mut stream, &format!("302 Found\r\nlocation: {target}"), "");
    });
    for http in [HttpAuthorizer::new(&url), HttpAuthorizer::new(&url).get()] {
        let error = authorize(&http).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(302)));
    }
    assert!(seen.try_recv().is_err());
}

#[test]
fn invalid_responses_are_errors() {
    for body in ["", "nonsense", "[]", "{}", r#"{"auth":7}"#, r#"{"auth":"a","channel_data":{}}"#] {
        let error = refused("200 OK", body);
        assert!(!error.is_retryable(), "{body}: {error:?}");
        assert_eq!(error.http_status(), None);
    }
    let url = peer(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe").unwrap();
    });
    let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
    assert_eq!(text_of(&error), "authorization at 127.0.0.1:PORT: the response is not UTF-8 text");
    let url = peer(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").unwrap();
    });
    let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert!(error.source().is_some());
}

#[test]
fn response_longer_than_the_limit_is_an_error() {
    let url = peer(|mut stream| {
        read_request(&mut stream);
        reply(&mut stream, "200 OK", &"x".repeat(10 * 1024 * 1024));
    });
    let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(error.to_string().contains("262144 bytes"), "{error}");

    let (url, _seen) = server("200 OK", GOOD);
    assert!(authorize(&HttpAuthorizer::new(&url).max_body(GOOD.len())).is_ok());
    let error = authorize(&HttpAuthorizer::new(&url).max_body(GOOD.len() - 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(authorize(&HttpAuthorizer::new(&url).max_body(usize::MAX)).is_ok());

    let url = peer(|mut stream| {
        read_request(&mut stream);
        reply(&mut stream, "403 Forbidden", &"x".repeat(10 * 1024 * 1024));
    });
    let error = authorize(&HttpAuthorizer::new(&url)).unwrap_err();
    assert_eq!(error.http_status(), Some(403));
    assert!(error.to_string().len() < 250, "{error}");
}

#[test]
fn excerpt_is_short_and_shows_no_secret() {
    let show = |body| excerpt(body, &["Bearer seekrit", "seekrit", "no"]);
    assert_eq!(show("a\u{7}b\u{1b}[0m  c"), "a b [0m c");
    assert_eq!(
        show("the word no is no secret, seekrit is"),
        "the word no is no secret, [redacted] is"
    );
    assert_eq!(show(r#"{"error":"expired","message":"other"}"#), "expired");
    assert_eq!(show(r#"{"error":{"message":"nested"}}"#), "nested");
    assert_eq!(show(r#"{"error":{"code":1},"message":"beside"}"#), "beside");
    assert_eq!(show("bad token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30"), "bad token [redacted]");
    for body in [
        r#"{"auth":"k:s"}"#,
        r#"{"auth":"k:s""#,
        "[1]",
        "\"text\"",
        "<html>",
        "7",
        r#"x {"auth":"k:s"}"#,
        r#"{"message":"the shared_secret is abc"}"#,
        "",
    ] {
        assert_eq!(show(body), "", "{body}");
    }
    assert_eq!(show(&"ä ".repeat(500)).chars().count(), 200);
}
