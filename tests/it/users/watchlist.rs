//! Watchlist events.

use pusher_channels::testing::{Server, Settings, WatchlistStyle};
use pusher_channels::{Binding, Client, WatchlistEvent};

use super::{connected, secret, signed_in};
use crate::support::{SOON, next};

fn watching(server: &Server, users: &[&str]) -> (Client, Binding<WatchlistEvent>) {
    let client = connected(server, secret(server, "1").watchlist(users));
    let watchlist = client.user().bind_watchlist();
    client.signin();
    client.wait_signed_in(SOON).unwrap();
    (client, watchlist)
}

fn notified(watchlist: &Binding<WatchlistEvent>) -> (String, Vec<String>) {
    let event = next(watchlist);
    (event.name().to_owned(), event.user_ids().to_vec())
}

fn expected(name: &str, users: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), users.iter().map(|&user| user.to_owned()).collect())
}

#[test]
fn watchlist_events_arrive_in_both_styles() {
    for style in [WatchlistStyle::Documented, WatchlistStyle::Bare] {
        let server = Server::start_with(Settings::default().watchlist_style(style)).unwrap();
        let second = signed_in(&server, "2");
        let (_client, watchlist) = watching(&server, &["2", "3"]);
        assert_eq!(notified(&watchlist), expected("online", &["2"]));
        assert_eq!(notified(&watchlist), expected("offline", &["3"]));
        let third = signed_in(&server, "3");
        assert_eq!(notified(&watchlist), expected("online", &["3"]));
        second.disconnect();
        assert_eq!(notified(&watchlist), expected("offline", &["2"]));
        third.signout();
        assert_eq!(notified(&watchlist), expected("offline", &["3"]));
    }
}

#[test]
fn unknown_watchlist_event_names_are_delivered() {
    let server = Server::start().unwrap();
    let (_client, watchlist) = watching(&server, &[]);
    server.send_raw(
        r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"away\",\"user_ids\":[\"2\",7]}]}"}"#,
    );
    assert_eq!(notified(&watchlist), expected("away", &["2", "7"]));
}

#[test]
fn too_long_watchlist_is_an_error_beside_the_sign_in() {
    let server = Server::start().unwrap();
    let users: Vec<String> = (100..300).map(|user| user.to_string()).collect();
    let client = connected(&server, secret(&server, "1").watchlist(&users));
    let (errors, watchlist) = (client.bind_errors(), client.user().bind_watchlist());
    client.signin();
    assert_eq!(client.wait_signed_in(SOON).unwrap().id(), "1");
    assert_eq!(next(&errors).close_code(), Some(4302));
    assert_eq!(notified(&watchlist).1.len(), 100);
    assert!(client.user().current().is_some());
}
