//! Members of presence channels.

use pusher_channels::testing::{DataStyle, PresenceStyle, Server, Settings};
use pusher_channels::{Client, ErrorKind, PresenceChannel, Reconnect, SecretAuthorizer};
use serde_json::{Value, json};

use super::{as_member, connected, fails, http, join};
use crate::support::{SOON, next, quick};

const ROOM: &str = "presence-room";

fn enter(server: &Server, id: &str) -> (Client, PresenceChannel) {
    let data = json!({"user_id": id, "user_info": {"name": id.to_uppercase()}});
    let client = connected(server, as_member(server, &data));
    let room = client.presence_channel(ROOM).unwrap();
    join(&room);
    (client, room)
}

fn ids(room: &PresenceChannel) -> Vec<String> {
    room.members().iter().map(|member| member.id().to_owned()).collect()
}

#[test]
fn members_come_and_go_once_per_user() {
    let server = Server::start().unwrap();
    let (_ann, room) = enter(&server, "ann");
    let (added, removed) = (room.bind_member_added(), room.bind_member_removed());
    let barriers = room.bind("barrier");
    let barrier = || {
        server.publish(ROOM, "barrier", "");
        next(&barriers);
    };
    let members = room.members();
    assert_eq!((members.len(), ids(&room)), (1, vec!["ann".to_owned()]));
    let me = members.me().unwrap();
    assert_eq!((me.id(), me.json::<Value>().unwrap()), ("ann", json!({"name": "ANN"})));

    let (bob, bobs) = enter(&server, "bob");
    let joined = next(&added);
    assert_eq!((joined.id(), joined.info()), ("bob", r#"{"name":"BOB"}"#));
    assert_eq!(ids(&room), ["ann", "bob"]);
    assert_eq!(ids(&bobs), ["ann", "bob"]);
    assert_eq!(bobs.members().me().unwrap().id(), "bob");
    assert!(bobs.members().get("ann").is_some() && members.get("bob").is_none());

    // A second connection of a user, and the end of the first.
    let (again, agains) = enter(&server, "bob");
    bob.close(SOON).unwrap();
    assert!(server.wait_for(SOON, |server| server.subscribers(ROOM) == 2));
    barrier();
    assert!(added.is_empty() && removed.is_empty());
    assert_eq!(ids(&room), ["ann", "bob"]);
    assert!(bobs.members().is_empty());

    agains.unsubscribe();
    let left = next(&removed);
    assert_eq!((left.id(), left.info()), ("bob", r#"{"name":"BOB"}"#));
    assert_eq!(ids(&room), ["ann"]);
    barrier();
    assert!(added.is_empty() && removed.is_empty());
    again.close(SOON).unwrap();
}

#[test]
fn members_are_replaced_after_a_lost_connection() {
    let server = Server::start().unwrap();
    let (_ann, room) = enter(&server, "ann");
    let data = json!({"user_id": "bob"});
    let bob = Client::builder(server.options())
        .reconnect(Reconnect::never())
        .authorizer(as_member(&server, &data))
        .build()
        .unwrap();
    bob.connect();
    join(&bob.presence_channel(ROOM).unwrap());
    let (_cid, _cids) = enter(&server, "cid");
    assert!(server.wait_for(SOON, |_| room.members().len() == 3));
    // Not before: the first arrival of cid is not the expected one.
    let added = room.bind_member_added();
    let confirmed = room.bind_subscription_succeeded();
    let barriers = room.bind("barrier");
    server.drop_connections();
    next(&confirmed);
    assert!(server.wait_for(SOON, |server| server.subscribers(ROOM) == 2));
    server.publish(ROOM, "barrier", "");
    next(&barriers);
    assert_eq!(ids(&room), ["ann", "cid"]);
    assert_eq!(room.members().me().unwrap().id(), "ann");
    assert!(added.len() <= 1, "only cid can come after ann");
}

#[test]
fn every_presence_style_is_understood() {
    for (presence, data) in [
        (PresenceStyle::Documented, DataStyle::Text),
        (PresenceStyle::Documented, DataStyle::Object),
        (PresenceStyle::NoIds, DataStyle::Text),
        (PresenceStyle::NumericIds, DataStyle::Text),
        (PresenceStyle::NumericIds, DataStyle::Object),
        (PresenceStyle::EmptyHash, DataStyle::Text),
    ] {
        let settings =
            Settings::default().presence_style(presence).data_style(data).repeat_member_added(true);
        let server = Server::start_with(settings).unwrap();
        let enter = |id: u32| {
            let data = json!({"user_id": id, "user_info": {"n": id}});
            let client = connected(&server, as_member(&server, &data));
            let room = client.presence_channel(ROOM).unwrap();
            join(&room);
            (client, room)
        };
        let (_seven, room) = enter(7);
        let (added, removed) = (room.bind_member_added(), room.bind_member_removed());
        let (eight, eights) = enter(8);
        assert_eq!(next(&added).id(), "8", "{presence:?}");
        assert_eq!(ids(&eights), ["7", "8"], "{presence:?}");
        assert_eq!(eights.members().me().unwrap().id(), "8");
        let info = eights.members().get("7").unwrap().info().to_owned();
        let expected = if presence == PresenceStyle::EmptyHash { "null" } else { r#"{"n":7}"# };
        assert_eq!(info, expected, "{presence:?}");
        let (_again, agains) = enter(8);
        eight.close(SOON).unwrap();
        agains.unsubscribe();
        assert_eq!(next(&removed).id(), "8", "{presence:?}");
        assert!(added.is_empty() && removed.is_empty());
        assert_eq!(ids(&room), ["7"]);
    }
}

#[test]
fn endpoint_decides_the_member() {
    let server = Server::start().unwrap();
    let authorizer = http(&server).param("user_id", "dee").param("user_info", r#"{"age":7}"#);
    let client = connected(&server, authorizer);
    let room = client.presence_channel(ROOM).unwrap();
    join(&room);
    let members = room.members();
    let me = members.me().unwrap();
    assert_eq!((me.id(), me.info()), ("dee", r#"{"age":7}"#));
}

#[test]
fn authorization_without_member_is_an_error() {
    let server = Server::start().unwrap();
    let authorizer = SecretAuthorizer::new(server.key(), server.secret());
    let client = quick(server.options()).authorizer(authorizer).build().unwrap();
    client.connect();
    let room = client.presence_channel(ROOM).unwrap();
    room.subscribe();
    assert_eq!(fails(&room).kind(), ErrorKind::Config);
    assert!(room.members().is_empty() && room.members().me().is_none());
}
