//! Responses that are not the expected JSON.

use super::super::response::coding;
use super::*;
use crate::{UserAuthRequest, UserAuthenticator as _};

const AT: &str = "authorization at 127.0.0.1:PORT: ";

/// A server that always sends these bytes; `status` may have headers after it.
fn bytes(status: &'static str, body: Vec<u8>) -> String {
    peer(move |mut stream| {
        read_request(&mut stream);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    })
}

fn error_of(status: &'static str, body: &[u8]) -> Error {
    let error = authorize(&HttpAuthorizer::new(&bytes(status, body.to_vec()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert!(!error.is_retryable());
    error
}

fn batch_error(status: &'static str, body: &[u8]) -> Error {
    let http = HttpAuthorizer::new(&bytes(status, body.to_vec())).batched(Duration::ZERO);
    http.authorize_many(&[auth_request()]).remove(0).unwrap_err()
}

fn user_error(status: &'static str, body: &[u8]) -> Error {
    let http = HttpUserAuthenticator::new(&bytes(status, body.to_vec()));
    http.authenticate(&UserAuthRequest::new("1.2")).unwrap_err()
}

#[test]
fn byte_order_mark_is_skipped() {
    let marked = |json: &str| bytes("200 OK", format!("\u{feff}{json}").into_bytes());
    let auth = authorize(&HttpAuthorizer::new(&marked(GOOD))).unwrap();
    assert_eq!(auth.auth, "key:signature");

    let batch = marked(r#"{"private-a":{"data":{"auth":"k:s"}}}"#);
    let responses =
        HttpAuthorizer::new(&batch).batched(Duration::ZERO).authorize_many(&[auth_request()]);
    assert_eq!(responses[0].as_ref().unwrap().auth, "k:s");

    let user = HttpUserAuthenticator::new(&marked(r#"{"auth":"k:s","user_data":"{}"}"#));
    assert_eq!(user.authenticate(&UserAuthRequest::new("1.2")).unwrap().auth, "k:s");

    let own = HttpAuthorizer::new(&marked("own")).parser(|text| Ok(Auth::new(text)));
    assert_eq!(authorize(&own).unwrap().auth, "own");

    let refusal = format!("\u{feff}{}", r#"{"message":"not you"}"#);
    let error = error_of("403 Forbidden", refusal.as_bytes());
    assert_eq!(text_of(&error), format!("{AT}HTTP 403: not you"));
}

#[test]
fn response_that_is_not_json_is_named() {
    for (status, body, words) in [
        ("200 OK", &b""[..], "is empty"),
        ("200 OK", b" \r\n\t", "is empty"),
        ("204 No Content", b"", "is empty"),
        ("200 OK", b"\xef\xbb\xbf", "is empty"),
        ("200 OK", b"<html></html>", "is an HTML page"),
        ("200 OK", b"<!DOCTYPE html>\n<html lang=en>", "is an HTML page"),
        (
            "200 OK",
            b"\xef\xbb\xbf\n<!-- proxy --> <!-- 7 -->\n<!doctype HTML><HEAD><TITLE lang=en> Sign\n in </TITLE>",
            "is an HTML page: `Sign in`",
        ),
        ("200 OK", b"<html><title>&laquo;Log in&raquo;</title>", "is an HTML page: `&laquo;Log in&raquo;`"),
        ("200 OK", b"<html><title>no end", "is an HTML page"),
        (
            "200 OK",
            b"<?xml version=\"1.0\"?>\n<!-- x -->\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\"><title>In</title>",
            "is an HTML page: `In`",
        ),
        ("200 OK", b"<?xml version=\"1.0\"?><answer/>", "is not JSON"),
        ("200 OK", b"\x1f\x8b\x08\0\0\0\0\0", "is compressed (gzip), which was not requested"),
        ("200 OK", b"\x28\xb5\x2f\xfd\x04", "is compressed (zstd), which was not requested"),
        (
            "200 OK\r\ncontent-encoding: br",
            b"\x0b\x02\x80{}\x03",
            "is compressed (br), which was not requested",
        ),
        (
            "200 OK\r\ncontent-encoding: identity, X-GZIP",
            b"text by chance",
            "is compressed (gzip), which was not requested",
        ),
        ("200 OK", b"\xff\xfe{\0}\0", "is not UTF-8 text"),
        ("200 OK", b"nonsense", "is not JSON"),
    ] {
        let expected = format!("{AT}the response {words}");
        assert_eq!(text_of(&error_of(status, body)), expected);
        assert_eq!(text_of(&batch_error(status, body)), expected);
        assert_eq!(text_of(&user_error(status, body)), format!("user {}", expected.replacen("authorization", "authentication", 1)));
    }
    // A body that is not compressed is read despite its header.
    let url = bytes("200 OK\r\ncontent-encoding: gzip", GOOD.into());
    authorize(&HttpAuthorizer::new(&url)).unwrap();
    let status = "200 OK\r\ncontent-encoding: gzip";
    assert_eq!(text_of(&error_of(status, b"{}")), format!("{AT}the response has no `auth`"));
    let part = br#"{"private-a":{"data":"nonsense"}}"#;
    assert_eq!(text_of(&batch_error(status, part)), format!("{AT}the response is not JSON"));
}

#[test]
fn channels_part_of_a_batch_that_is_not_json_is_named() {
    for (part, words) in [
        (r#""data":"""#, "the response is empty"),
        (r#""data":"<html><title>Sign in</title>""#, "the response is an HTML page: `Sign in`"),
        (r#""data":{}"#, "the response has no `auth`"),
        (r#""status":403,"data":"<html><title>No</title>""#, "HTTP 403: No"),
        (r#""status":"x""#, "the channel has a `status` that is not a number"),
    ] {
        let body = format!(r#"{{"private-a":{{{part}}}}}"#);
        assert_eq!(text_of(&batch_error("200 OK", body.as_bytes())), format!("{AT}{words}"));
    }
    assert_eq!(
        text_of(&batch_error("200 OK", b"{}")),
        format!("{AT}the response does not have the channel")
    );
    let words = "the response is not a JSON object by channel";
    assert_eq!(text_of(&batch_error("200 OK", b"[]")), format!("{AT}{words}"));
}

#[test]
fn parser_decides_what_is_valid() {
    let own = |body: &[u8]| {
        let http = HttpAuthorizer::new(&bytes("200 OK", body.to_vec())).parser(|text| match text {
            "" => Ok(Auth::new("empty is fine")),
            _ => Err(Error::new(ErrorKind::RateLimited, "too many")),
        });
        authorize(&http)
    };
    assert_eq!(own(b"").unwrap().auth, "empty is fine");
    let error = own(b"<html>").unwrap_err();
    assert_eq!(text_of(&error), format!("{AT}too many"));
    assert_eq!(error.kind(), ErrorKind::RateLimited);
}

#[test]
fn redirect_error_shows_the_target_without_secrets() {
    for (location, target) in [
        ("https://login.test:8443/sign-in?next=canary#canary", "https://login.test:8443/sign-in"),
        ("https://user:canary@login.test", "https://login.test"),
        ("https://a@canary@login.test/x", "https://login.test/x"),
        ("//user:canary@login.test/x", "//login.test/x"),
        ("/login?canary", "/login"),
        ("login#canary", "login"),
        ("/a//b@c", "/a//b@c"),
        ("/t/0123456789abcdef0123456789-canary", "/t/[redacted]"),
        ("/t/my-secret", "/t/[redacted]"),
    ] {
        let url = peer(move |mut stream| {
            read_request(&mut stream);
            reply(&mut stream, &format!("302 Found\r\nlocation: {location}"), "<html>");
        });
        let error = authorize(&HttpAuthorizer::new(&url).header("x", "my-secret")).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(302)));
        let words = format!("{AT}HTTP 302 to {target}; redirects are not followed");
        assert_eq!(text_of(&error), words);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(text_of(&error_of("304 Not Modified", b"")), format!("{AT}HTTP 304"));
    let nowhere = format!("{AT}HTTP 307; redirects are not followed");
    assert_eq!(text_of(&error_of("307 Temporary Redirect", b"")), nowhere);
    // There the location is not a redirect.
    let created = error_of("201 Created\r\nlocation: /x", b"x");
    assert_eq!(text_of(&created), format!("{AT}the response is not JSON"));
}

#[test]
fn refusal_that_is_a_page_or_compressed_is_named() {
    for (status, body, words) in [
        (
            "419 unknown",
            &b"<html><title>Page Expired</title>"[..],
            "HTTP 419: Page Expired; if it is Laravel, its CSRF token is missing or has expired",
        ),
        ("401 No", b"", "HTTP 401; check the credentials in the request's headers"),
        ("403 No", b"<?xml version='1'?><title>canary</title>", "HTTP 403"),
        ("403 No", b"\x1f\x8b\x08\0canary", "HTTP 403"),
        ("403 No\r\ncontent-encoding: br", b"canary", "HTTP 403"),
    ] {
        assert_eq!(text_of(&error_of(status, body)), format!("{AT}{words}"));
    }
}

#[test]
fn title_is_short_and_shows_no_secret() {
    let body = |title: &str| format!("<html><title>{title}</title>").into_bytes();
    let error_of = |title: &str| {
        let http = HttpAuthorizer::new(&bytes("200 OK", body(title)));
        text_of(&authorize(&http.header("x", "canary-h")).unwrap_err())
    };
    let named = |title: &str| format!("{AT}the response is an HTML page: `{title}`");
    assert_eq!(error_of("for canary-h"), named("for [redacted]"));
    assert_eq!(error_of("eyJhbGciOiJIUzI1NiIsInR5cCI6"), named("[redacted]"));
    assert_eq!(error_of("the password is x"), format!("{AT}the response is an HTML page"));
    assert_eq!(error_of(&"ä ".repeat(500)).matches('ä').count(), 100);
}

#[test]
fn last_coding_of_the_header_is_used() {
    for (header, expected) in [
        ("gzip", Some("gzip")),
        ("GZIP", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("gzip, br", Some("br")),
        ("deflate", Some("deflate")),
        ("zstd ", Some("zstd")),
        ("compress", Some("compress")),
        ("identity", None),
        ("", None),
        ("brr", None),
    ] {
        assert_eq!(coding(header), expected, "{header}");
    }
}
