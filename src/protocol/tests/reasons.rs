//! What is remembered of the failures of an outage, and what the end of a connection is called.

use serde_json::json;

use super::desk::{Desk, io, status};
use super::sim::{SUBSCRIBE, secs};
use crate::{Auth, Error, ErrorKind, State};

/// Dialing for the first time.
fn dialing() -> Desk {
    let mut desk = Desk::new();
    desk.input(|machine, now| machine.connect(now));
    desk
}

fn opened(desk: &mut Desk) {
    let generation = desk.generation();
    desk.input(|machine, now| machine.handle_opened(generation, now));
}

fn fail(desk: &mut Desk, error: Error) {
    let generation = desk.generation();
    desk.input(|machine, now| machine.handle_lost(generation, error, now));
}

fn close(desk: &mut Desk, code: Option<u16>, reason: &str) {
    let generation = desk.generation();
    desk.input(|machine, now| machine.handle_closed(generation, code, reason, now));
}

fn last(desk: &Desk) -> String {
    desk.machine.last_failure().map(|error| format!("{error:#}")).unwrap_or_default()
}

#[test]
fn the_last_failure_is_kept_until_connected() {
    let mut desk = dialing();
    assert_eq!(last(&desk), "");
    fail(&mut desk, Error::new(ErrorKind::Io, "first"));
    desk.advance(secs(2));
    assert_eq!(last(&desk), "first", "the next dial is under way");
    fail(&mut desk, Error::new(ErrorKind::Tls, "second"));
    assert_eq!(last(&desk), "second");
    desk.reconnect();
    assert_eq!(desk.machine.state(), State::Connected);
    assert_eq!(last(&desk), "");
    fail(&mut desk, Error::new(ErrorKind::Io, "lost"));
    assert_eq!(last(&desk), "lost");
}

#[test]
fn the_user_begins_anew_without_the_last_failure() {
    let ends: [fn(&mut Desk); 2] =
        [Desk::disconnect, |desk| desk.input(|machine, now| machine.switch(now))];
    for end in ends {
        let mut desk = dialing();
        fail(&mut desk, io());
        end(&mut desk);
        assert_eq!(last(&desk), "");
    }
    let mut desk = dialing();
    close(&mut desk, Some(4001), "");
    assert_eq!(desk.machine.state(), State::Failed);
    assert_ne!(last(&desk), "");
    desk.input(|machine, now| machine.connect(now));
    assert_eq!(last(&desk), "");
}

#[test]
fn the_last_failure_of_the_sign_in_is_that_of_this_connection() {
    let mut desk = Desk::connected();
    let failure = |desk: &Desk| desk.machine.last_signin_failure().and_then(Error::http_status);
    desk.signin();
    assert_eq!(failure(&desk), None);
    desk.answer_user(Err(status(503)));
    assert_eq!(failure(&desk), Some(503));
    desk.advance(secs(2));
    assert_eq!(failure(&desk), Some(503), "it is asked again");
    desk.present("ann");
    desk.confirm_user("ann");
    assert_eq!(failure(&desk), None);

    let mut desk = Desk::connected();
    desk.signin();
    desk.answer_user(Err(status(403)));
    assert_eq!(failure(&desk), Some(403));
    desk.lose();
    assert_eq!(failure(&desk), None);
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
        let mut desk = Desk::connected();
        close(&mut desk, code, reason);
        assert!(last(&desk).ends_with(expected), "{}", last(&desk));
        assert_eq!(desk.machine.last_failure().unwrap().close_code(), code);
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
        let mut desk = dialing();
        opened(&mut desk);
        close(&mut desk, code, "");
        assert_eq!(last(&desk), format!("{text}{cause}; check the app key"));
        assert_eq!(desk.machine.state(), State::Reconnecting);
    }
    for (error, cause) in [(cut(), ": cut"), (by_user(), ": gone")] {
        let mut desk = dialing();
        opened(&mut desk);
        fail(&mut desk, error);
        assert_eq!(last(&desk), format!("{text}{cause}; check the app key"));
        assert!(desk.machine.last_failure().unwrap().is_retryable());
    }
    // What says more stays as it is.
    for error in [Error::new(ErrorKind::Timeout, "late"), Error::new(ErrorKind::TooLarge, "big")] {
        let mut desk = dialing();
        opened(&mut desk);
        fail(&mut desk, error.clone());
        assert_eq!(last(&desk), error.to_string());
    }
    let mut desk = dialing();
    opened(&mut desk);
    close(&mut desk, Some(1000), "bye");
    assert_eq!(last(&desk), "the server closed the connection (1000): bye");
    // So does what fails before the upgrade, and after the establishment.
    for mut desk in [dialing(), Desk::connected()] {
        fail(&mut desk, cut());
        assert_eq!(last(&desk), "cut");
    }
}

#[test]
fn a_refusal_before_the_establishment_has_its_hint() {
    let mut desk = dialing();
    opened(&mut desk);
    desk.error(4001, "App key x not in this cluster");
    let expected = "the server refused the connection (4001): App key x not in this cluster; \
                    check the app key, the cluster and the host";
    assert_eq!(last(&desk), expected);
    assert_eq!(desk.errors[0].to_string(), expected);
}

#[test]
fn who_waits_for_the_sign_in_learns_why_it_is_not_done() {
    let mut desk = Desk::connected();
    desk.signin();
    let ticket = desk.user_asks[0];
    desk.input(|machine, now| machine.begin_authentication(ticket, now));
    let down = || Error::new(ErrorKind::Io, "the endpoint is down");
    desk.input(|machine, now| machine.handle_authentication(ticket, Err(down()), now));
    desk.subscribe("presence-a");
    desk.answer("presence-a", Ok(Auth::new("key:signature")));
    let cause = desk.machine.pending_cause("presence-a").unwrap();
    assert_eq!(cause.to_string(), "the endpoint is down");
    desk.advance(SUBSCRIBE);
    let error = desk.machine.channel_failure("presence-a").unwrap();
    let text = "the authorizer gave no channel_data, and the sign-in is not done yet \
                (channel presence-a): the endpoint is down";
    assert_eq!(format!("{error:#}"), text);

    let mut desk = Desk::connected();
    desk.signin();
    desk.present("9");
    desk.error(json!(4200), "no such event");
    let cause = desk.machine.last_signin_failure().unwrap().to_string();
    assert!(cause.ends_with("no such event"), "{cause}");
}
