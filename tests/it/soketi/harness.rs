//! The harness that starts the server for the other tests.

use super::support::{self, Soketi};

/// If the harness is broken, no other test here means anything.
fn starts_publishes_and_restarts(tls: bool) {
    let Some(mut soketi) = Soketi::start(tls) else {
        return;
    };
    assert!(soketi.is_ready());
    assert_eq!(soketi.ca_pem().contains("BEGIN CERTIFICATE"), tls);
    soketi.publish("news", "headline", r#"{"title":"\u00fc"}"#);

    let port = soketi.port();
    soketi.terminate();
    assert!(!soketi.is_ready());
    soketi.restart();
    assert_eq!(soketi.port(), port);
    soketi.publish("news", "headline", "{}");
    soketi.terminate_user("nobody");
}

#[test]
fn harness_works_in_plain_text() {
    starts_publishes_and_restarts(false);
}

#[test]
fn harness_works_over_tls() {
    starts_publishes_and_restarts(true);
}

#[test]
fn wrongly_signed_publish_is_refused() {
    let Some(soketi) = Soketi::start(false) else {
        return;
    };
    let body = r#"{"name":"headline","channel":"news","data":"{}"}"#;
    let (status, reply) = soketi.post_signed_with("not the secret", "/events", body).unwrap();
    assert!(!support::accepted(status, &reply), "{status} {reply}");
}

#[test]
fn two_servers_run_side_by_side() {
    let (Some(one), Some(two)) = (Soketi::start(false), Soketi::start(false)) else {
        return;
    };
    assert_ne!(one.port(), two.port());
    drop(one);
    assert!(two.is_ready());
}
