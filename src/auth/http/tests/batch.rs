//! Many channels in one HTTP request.

use super::*;

fn auth_requests(channels: &[&str]) -> Vec<AuthRequest> {
    channels.iter().map(|channel| AuthRequest::new("1.2", channel)).collect()
}

fn batched(url: &str) -> HttpAuthorizer {
    HttpAuthorizer::new(url).batched(Duration::from_millis(10))
}

#[test]
fn batch_is_one_http_request() {
    let (url, seen) = server(
        "200 OK",
        r#"{"private-a":{"status":200,"data":{"auth":"k:a"}},
            "presence-b":{"data":{"auth":"k:b","channel_data":"{\"user_id\":\"1\"}"}},
            "private-c":{"status":403,"data":{"message":"not you","auth":"canary"}},
            "private-e":{"status":500},
            "private-f":{"status":200},
            "private-g":{"status":"x"},
            "private-h":7,
            "private-i":{"status":201,"data":"{\"auth\":\"k:i\"}"}}"#,
    );
    let http = batched(&url).param("p", "1");
    assert_eq!(http.batch_window(), Some(Duration::from_millis(10)));
    let names = ["private-a", "presence-b", "private-c", "private-d", "private-e", "private-f"];
    let names = [&names[..], &["private-g", "private-h", "private-i"]].concat();
    let responses = http.authorize_many(&auth_requests(&names));
    let body = seen.recv_timeout(LONG).unwrap().body;
    let start =
        "socket_id=1.2&channel_name[0]=private-a&channel_name[1]=presence-b&channel_name[2]=";
    assert!(body.starts_with(start) && body.ends_with("[8]=private-i&p=1"), "{body}");
    assert!(seen.try_recv().is_err());

    let [a, b, c, d, e, f, g, h, i] = &responses[..] else { panic!("{responses:?}") };
    assert_eq!(a.as_ref().unwrap().auth, "k:a");
    assert_eq!(b.as_ref().unwrap().channel_data.as_deref(), Some(r#"{"user_id":"1"}"#));
    assert_eq!(i.as_ref().unwrap().auth, "k:i");
    let refused = c.as_ref().unwrap_err();
    assert_eq!((refused.kind(), refused.http_status()), (ErrorKind::Auth, Some(403)));
    assert_eq!(text_of(refused), "authorization at 127.0.0.1:PORT: HTTP 403: not you");
    assert!(e.as_ref().unwrap_err().is_retryable());
    for wrong in [d, f, g, h] {
        let error = wrong.as_ref().unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, None));
        assert!(!error.is_retryable());
    }
}

#[test]
fn batch_may_be_json_a_query_and_in_the_first_format() {
    let (url, seen) = server("200 OK", r#"{"1.2":{"private-a":{"data":{"auth":"k:a"}}}}"#);
    let responses = batched(&url).json().authorize_many(&auth_requests(&["private-a"]));
    assert!(responses[0].is_ok());
    let body = seen.recv_timeout(LONG).unwrap().body;
    assert_eq!(body, r#"{"channel_name":["private-a"],"socket_id":"1.2"}"#);
    let responses = batched(&url).get().authorize_many(&auth_requests(&["private-a"]));
    assert!(responses[0].is_ok());
    let line = "GET /auth?socket_id=1.2&channel_name%5B0%5D=private-a HTTP/1.1";
    assert_eq!(seen.recv_timeout(LONG).unwrap().line, line);
}

#[test]
fn failed_http_request_fails_every_channel() {
    for (status, body, code) in [
        ("503 Busy\r\nretry-after: 3", "", Some(503)),
        ("200 OK", "[]", None),
        ("200 OK", "x", None),
    ] {
        let (url, _seen) = server(status, body);
        let responses = batched(&url).authorize_many(&auth_requests(&["private-a", "private-b"]));
        assert_eq!(responses.len(), 2);
        for response in responses {
            let error = response.unwrap_err();
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, code));
            assert_eq!(error.retry_after(), code.map(|_| Duration::from_secs(3)));
        }
    }
}

#[test]
fn channels_are_grouped_by_url_and_responses_keep_their_order() {
    let (one, one_seen) = server(
        "200 OK",
        r#"{"private-a":{"data":{"auth":"1"}},"private-c":{"data":{"auth":"3"}}}"#,
    );
    let (two, two_seen) = server("200 OK", r#"{"private-b":{"data":{"auth":"2"}}}"#);
    let http = batched("").url_with(move |request| {
        if request.channel() == "private-b" { two.clone() } else { one.clone() }
    });
    let responses = http.authorize_many(&auth_requests(&["private-a", "private-b", "private-c"]));
    let auths: Vec<_> = responses.into_iter().map(|response| response.unwrap().auth).collect();
    assert_eq!(auths, ["1", "2", "3"]);
    let body = "socket_id=1.2&channel_name[0]=private-a&channel_name[1]=private-c";
    assert_eq!(one_seen.recv_timeout(LONG).unwrap().body, body);
    assert_eq!(
        two_seen.recv_timeout(LONG).unwrap().body,
        "socket_id=1.2&channel_name[0]=private-b"
    );
    assert!(http.authorize_many(&[]).is_empty());
}

#[test]
fn without_a_window_each_channel_has_its_own_http_request() {
    let (url, seen) = server("200 OK", GOOD);
    let http = HttpAuthorizer::new(&url);
    assert_eq!(http.batch_window(), None);
    assert!(
        http.authorize_many(&auth_requests(&["private-a", "private-b"])).iter().all(Result::is_ok)
    );
    let bodies: Vec<_> = seen.iter().take(2).map(|seen| seen.body).collect();
    assert_eq!(bodies[1], "socket_id=1.2&channel_name=private-b");
}
