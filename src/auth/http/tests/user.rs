//! User authentication by an endpoint. All but its requests and responses is shared with authorization.

use super::*;
use crate::{UserAuth, UserAuthRequest, UserAuthenticator};

const USER: &str = r#"{"auth":"key:signature","user_data":"{\"id\":\"7\"}"}"#;

fn authenticate(http: &HttpUserAuthenticator) -> Result<UserAuth, Error> {
    http.authenticate(&UserAuthRequest::new("1234.5678"))
}

#[test]
fn socket_id_is_posted_as_a_form() {
    let (url, seen) = server("200 OK", USER);
    let auth = authenticate(&HttpUserAuthenticator::new(&url).param("a[] b", "ä&=")).unwrap();
    assert_eq!((&*auth.auth, &*auth.user_data), ("key:signature", r#"{"id":"7"}"#));
    let seen = seen.recv_timeout(LONG).unwrap();
    assert_eq!(seen.line, "POST /auth HTTP/1.1");
    assert_eq!(seen.body, "socket_id=1234.5678&a%5B%5D%20b=%C3%A4%26%3D");
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("accept"), Some("application/json"));
}

#[test]
fn socket_id_may_be_json_or_in_the_query() {
    let (url, seen) = server("200 OK", USER);
    authenticate(&HttpUserAuthenticator::new(&url).json().param("p", "1")).unwrap();
    let first = seen.recv_timeout(LONG).unwrap();
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.body, r#"{"p":"1","socket_id":"1234.5678"}"#);

    authenticate(&HttpUserAuthenticator::new(&format!("{url}?app=2")).get().param("p", "1"))
        .unwrap();
    let second = seen.recv_timeout(LONG).unwrap();
    assert_eq!(second.line, "GET /auth?app=2&socket_id=1234.5678&p=1 HTTP/1.1");
    assert_eq!(second.body, "");
}

#[test]
fn headers_and_params_are_constant_or_made_by_functions() {
    let (url, seen) = server("200 OK", USER);
    let calls = Arc::new(AtomicU32::new(0));
    let number = move || calls.fetch_add(1, Ordering::SeqCst).to_string();
    let header_number = number.clone();
    let http = HttpUserAuthenticator::new(&url)
        .header("x-fixed", "one")
        .header("authorization", "old")
        .headers_with(move || vec![("Authorization".into(), format!("Bearer {}", header_number()))])
        .param("fixed", "f")
        .params_with(move || vec![("fresh".into(), number())]);
    for (header, param) in [("Bearer 0", 1), ("Bearer 2", 3)] {
        authenticate(&http).unwrap();
        let seen = seen.recv_timeout(LONG).unwrap();
        assert_eq!(seen.header("authorization"), Some(header));
        assert_eq!(seen.header("x-fixed"), Some("one"));
        assert_eq!(seen.body, format!("socket_id=1234.5678&fixed=f&fresh={param}"));
    }
}

#[test]
fn url_and_parser_may_be_functions() {
    let (url, seen) = server("200 OK", "k:s of 7");
    let http = HttpUserAuthenticator::new("")
        .url_with(move |request| format!("{url}/{}/{}", request.socket_id(), request.attempt()))
        .parser(|text| match text.split_once(" of ") {
            Some((auth, id)) => Ok(UserAuth::new(auth, format!(r#"{{"id":"{id}"}}"#))),
            None => Err(Error::new(ErrorKind::Auth, "not signed")),
        });
    http.check().unwrap();
    let auth = http.authenticate(&UserAuthRequest::attempt_number("1.2", 3)).unwrap();
    assert_eq!((&*auth.auth, &*auth.user_data), ("k:s", r#"{"id":"7"}"#));
    assert_eq!(seen.recv_timeout(LONG).unwrap().line, "POST /auth/1.2/3 HTTP/1.1");
}

#[test]
fn text_of_a_user_data_object_is_not_changed() {
    let body = r#"{"user_data":{ "id":"7", "b" : 1.0,"a":"\u00e4\/" } , "auth":"k:s"}"#;
    let (url, _seen) = server("200 OK", body);
    let auth = authenticate(&HttpUserAuthenticator::new(&url)).unwrap();
    assert_eq!(auth.user_data, r#"{ "id":"7", "b" : 1.0,"a":"\u00e4\/" }"#);
    assert_eq!(auth.auth, "k:s");
}

#[test]
fn refusal_error_has_the_status_the_servers_text_and_retry_after() {
    let refused = |status, body| {
        let (url, _seen) = server(status, body);
        authenticate(&HttpUserAuthenticator::new(&url)).unwrap_err()
    };
    let error = refused("403 Forbidden", "no entry");
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(403)));
    assert_eq!(text_of(&error), "user authentication at 127.0.0.1:PORT: HTTP 403: no entry");
    assert!(!error.is_retryable());
    for status in ["429 Too Many Requests\r\nretry-after: 7", "503 Busy\r\nretry-after: 7"] {
        let error = refused(status, "");
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
    assert_eq!(refused("302 Found\r\nlocation: /login", "").http_status(), Some(302));

    let error = refused("200 OK", r#"{"auth":"k:s"}"#);
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, None));
    assert!(error.to_string().contains("user_data") && !error.is_retryable(), "{error}");
}

#[test]
fn response_longer_than_the_limit_is_an_error() {
    let (url, _seen) = server("200 OK", USER);
    assert!(authenticate(&HttpUserAuthenticator::new(&url).max_body(USER.len())).is_ok());
    let error =
        authenticate(&HttpUserAuthenticator::new(&url).max_body(USER.len() - 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(error.to_string().starts_with("user authentication at 127.0.0.1:"), "{error}");
}

#[test]
fn invalid_settings_are_config_errors() {
    let url = "http://127.0.0.1:1/";
    for (http, what) in [
        (HttpUserAuthenticator::new("canary"), "the URL of the user authentication endpoint"),
        (HttpUserAuthenticator::new("http://canary:0/"), "the URL of the user authentication"),
        (HttpUserAuthenticator::new(url).header("a b", "canary"), "a header of the user auth"),
        (HttpUserAuthenticator::new(url).header("a", "canary\n"), "a header of the user auth"),
    ] {
        for error in [http.check().unwrap_err(), authenticate(&http).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(error.to_string().starts_with(what), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
    HttpUserAuthenticator::new(url).check().unwrap();
}

#[test]
fn silent_endpoint_times_out() {
    // Never accepted.
    let (_listener, address) = listen();
    let http = HttpUserAuthenticator::new(&format!("http://{address}"))
        .timeout(Duration::from_millis(300));
    let error = spawn(move || authenticate(&http).unwrap_err()).recv_timeout(LONG / 2).unwrap();
    assert!(error.is_timeout() && error.is_retryable(), "{error:?}");
    assert_eq!(text_of(&error), "user authentication at 127.0.0.1:PORT: the request timed out");
}

#[test]
fn interruption_ends_running_requests_only() {
    let (requested, wait) = mpsc::channel();
    let first = std::sync::atomic::AtomicBool::new(true);
    let url = peer(move |mut stream| {
        read_request(&mut stream);
        if first.swap(false, Ordering::SeqCst) {
            requested.send(()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        } else {
            reply(&mut stream, "200 OK", USER);
        }
    });
    let http: Arc<dyn UserAuthenticator> = Arc::new(HttpUserAuthenticator::new(&url));
    let result = {
        let http = Arc::clone(&http);
        spawn(move || http.authenticate(&UserAuthRequest::new("1.2")))
    };
    wait.recv_timeout(LONG).unwrap();
    // Through the implementation for `Arc`.
    UserAuthenticator::interrupt(&http);
    let error = result.recv_timeout(LONG / 2).unwrap().unwrap_err();
    assert_eq!(text_of(&error), "user authentication at 127.0.0.1:PORT: interrupted");
    assert!(error.is_retryable());
    assert!(http.authenticate(&UserAuthRequest::new("1.2")).is_ok());
}

#[test]
fn secrets_are_never_shown() {
    let echo = peer(|mut stream| {
        let request = read_request(&mut stream);
        let token = request.header("authorization").unwrap();
        let body = format!("bad {token} for {}", request.body);
        reply(&mut stream, "403 Forbidden", &body);
    });
    let http = HttpUserAuthenticator::new(&format!("{echo}?key=canary-u"))
        .header("authorization", "Bearer canary-h")
        .headers_with(|| vec![("x-token".into(), "canary-f".into())])
        .param("p", "canary-p");
    let error = authenticate(&http).unwrap_err();
    let shown = format!("{http:?} {error:?} {error}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.starts_with(r#"HttpUserAuthenticator { host: Some("127.0.0.1")"#), "{shown}");
    assert!(error.to_string().contains("HTTP 403: bad"), "{error}");
}
