//! What is remembered of the failures of an outage, and what the end of a connection is called.

use serde_json::json;

use super::harness::{Harness, SUBSCRIBE, io, secs, status};
use crate::{Auth, Error, ErrorKind, State};

/// Dialing for the first time.
fn dialing() -> Harness {
    let mut harness = Harness::new();
    harness.connect();
    harness
}

fn opened(harness: &mut Harness) {
    harness.opened();
}

fn fail(harness: &mut Harness, error: Error) {
    harness.lose_with(error);
}

fn close(harness: &mut Harness, code: Option<u16>, reason: &str) {
    harness.closed_with(code, reason);
}

fn last(harness: &Harness) -> String {
    harness.machine.last_failure().map(|error| format!("{error:#}")).unwrap_or_default()
}

#[test]
fn the_last_failure_is_kept_until_connected() {
    let mut harness = dialing();
    assert_eq!(last(&harness), "");
    fail(&mut harness, Error::new(ErrorKind::Io, "first"));
    harness.advance(secs(2));
    assert_eq!(last(&harness), "first", "the next dial is under way");
    fail(&mut harness, Error::new(ErrorKind::Tls, "second"));
    assert_eq!(last(&harness), "second");
    harness.reestablish();
    assert_eq!(harness.machine.state(), State::Connected);
    assert_eq!(last(&harness), "");
    fail(&mut harness, Error::new(ErrorKind::Io, "lost"));
    assert_eq!(last(&harness), "lost");
}

#[test]
fn the_user_begins_anew_without_the_last_failure() {
    let ends: [fn(&mut Harness); 2] = [Harness::disconnect, |harness| harness.switch()];
    for end in ends {
        let mut harness = dialing();
        fail(&mut harness, io());
        end(&mut harness);
        assert_eq!(last(&harness), "");
    }
    let mut harness = dialing();
    close(&mut harness, Some(4001), "");
    assert_eq!(harness.machine.state(), State::Failed);
    assert_ne!(last(&harness), "");
    harness.connect();
    assert_eq!(last(&harness), "");
}

#[test]
fn the_last_failure_of_the_sign_in_is_that_of_this_connection() {
    let mut harness = Harness::connected();
    let failure =
        |harness: &Harness| harness.machine.last_signin_failure().and_then(Error::http_status);
    harness.signin();
    assert_eq!(failure(&harness), None);
    harness.respond_user(Err(status(503)));
    assert_eq!(failure(&harness), Some(503));
    harness.advance(secs(2));
    assert_eq!(failure(&harness), Some(503), "it is requested again");
    harness.present("ann");
    harness.confirm_user("ann");
    assert_eq!(failure(&harness), None);

    let mut harness = Harness::connected();
    harness.signin();
    harness.respond_user(Err(status(403)));
    assert_eq!(failure(&harness), Some(403));
    harness.lose();
    assert_eq!(failure(&harness), None);
}

#[test]
fn a_close_says_whether_it_had_a_code() {
    for (code, reason, expected) in [
        (None, "", "the server closed the connection without a code"),
        (Some(1005), "", "the server closed the connection without a code"),
        (Some(1006), "", "the connection ended without a close frame"),
        (Some(1001), " bye ", "the server closed the connection (1001): bye"),
        (Some(4000), "", "(4000); the app takes TLS connections only: connect with `wss`"),
        (Some(4009), "no", "(4009): no; check the origins that the app allows, and the sign-in"),
        (Some(4200), "", "the server closed the connection (4200)"),
    ] {
        let mut harness = Harness::connected();
        close(&mut harness, code, reason);
        assert!(last(&harness).ends_with(expected), "{}", last(&harness));
        assert_eq!(harness.machine.last_failure().unwrap().close_code(), code);
    }
}

#[test]
fn an_end_before_the_establishment_says_to_check_the_key() {
    let text = "the connection closed before `pusher:connection_established`";
    let cut = || Error::new(ErrorKind::Io, "cut");
    let by_user = || Error::new(ErrorKind::Closed, "gone");
    for (code, cause) in [
        (None, ": the server closed the connection without a code"),
        (Some(1005), ": the server closed the connection without a code"),
        (Some(1006), ": the connection ended without a close frame"),
    ] {
        let mut harness = dialing();
        opened(&mut harness);
        close(&mut harness, code, "");
        assert_eq!(last(&harness), format!("{text}{cause}; check the app key"));
        assert_eq!(harness.machine.state(), State::Reconnecting);
    }
    for (error, cause) in [(cut(), ": cut"), (by_user(), ": gone")] {
        let mut harness = dialing();
        opened(&mut harness);
        fail(&mut harness, error);
        assert_eq!(last(&harness), format!("{text}{cause}; check the app key"));
        assert!(harness.machine.last_failure().unwrap().is_retryable());
    }
    // What says more stays as it is.
    for error in [Error::new(ErrorKind::Timeout, "late"), Error::new(ErrorKind::TooLarge, "big")] {
        let mut harness = dialing();
        opened(&mut harness);
        fail(&mut harness, error.clone());
        assert_eq!(last(&harness), error.to_string());
    }
    let mut harness = dialing();
    opened(&mut harness);
    close(&mut harness, Some(1000), "bye");
    assert_eq!(last(&harness), "the server closed the connection (1000): bye");
    // So does what fails before the upgrade, and after the establishment.
    for mut harness in [dialing(), Harness::connected()] {
        fail(&mut harness, cut());
        assert_eq!(last(&harness), "cut");
    }
}

#[test]
fn a_refusal_before_the_establishment_has_its_hint() {
    let mut harness = dialing();
    opened(&mut harness);
    harness.error(4001, "App key x not in this cluster");
    let expected = "the server refused the connection (4001): App key x not in this cluster; \
                    check the app key, the cluster and the host";
    assert_eq!(last(&harness), expected);
    assert_eq!(harness.errors[0].to_string(), expected);
}

#[test]
fn who_waits_for_the_sign_in_learns_why_it_is_not_done() {
    let mut harness = Harness::connected();
    harness.signin();
    let down = || Error::new(ErrorKind::Io, "the endpoint is down");
    harness.respond_user(Err(down()));
    harness.subscribe("presence-a");
    harness.respond("presence-a", Ok(Auth::new("key:signature")));
    let cause = harness.machine.pending_cause("presence-a").unwrap();
    assert_eq!(cause.to_string(), "the endpoint is down");
    harness.advance(SUBSCRIBE);
    let error = harness.machine.channel_failure("presence-a").unwrap();
    let text = "the authorizer returned no channel_data, and the sign-in is not done yet \
                (channel presence-a): the endpoint is down";
    assert_eq!(format!("{error:#}"), text);

    let mut harness = Harness::connected();
    harness.signin();
    harness.present("9");
    harness.error(json!(4200), "no such event");
    let cause = harness.machine.last_signin_failure().unwrap().to_string();
    assert!(cause.ends_with("no such event"), "{cause}");
}
