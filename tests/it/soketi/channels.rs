//! The client on the channels that need an authorization, over `ws` and over `wss`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use hmac::{Hmac, KeyInit, Mac};
use pusher_channels::{
    Channel, ChannelStatus, Client, ErrorKind, HttpAuthorizer, PresenceChannel, SecretAuthorizer,
    State,
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::public::{client, connect, over_both};
use super::support::Soketi;
use crate::support::{SOON, spawn};

fn secret(soketi: &Soketi) -> SecretAuthorizer {
    SecretAuthorizer::new(soketi.key(), soketi.secret())
}

/// One more client, which is this user on presence channels.
fn user(soketi: &Soketi, id: &str) -> Client {
    let builder = client(soketi, soketi.key(), !soketi.ca_pem().is_empty());
    connect(builder.authorizer(secret(soketi).member(id, &json!({ "name": id.to_uppercase() }))))
}

fn subscribe(channel: &impl Channel) {
    channel.subscribe();
    channel.wait_subscribed(SOON).unwrap();
}

fn ids(channel: &PresenceChannel) -> Vec<String> {
    channel.members().iter().map(|member| member.id().to_owned()).collect()
}

/// A subscription without and one with an event to repeat; `packed` returns the published text.
fn misses_then_hits(soketi: &Soketi, channel: &impl Channel, packed: impl Fn(&str) -> String) {
    let (miss, events) = (channel.bind_cache_miss(), channel.bind("event"));
    subscribe(channel);
    assert_eq!(miss.recv_timeout(SOON).unwrap().channel(), Some(channel.name()));
    for number in ["1", "2"] {
        soketi.publish(channel.name(), "event", &packed(number));
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), number);
    }
    channel.unsubscribe();
    subscribe(channel);
    assert_eq!(events.recv_timeout(SOON).unwrap().data(), "2");
    assert!(miss.is_empty() && events.is_empty());
}

#[test]
fn private_channel_delivers_events_and_client_events() {
    over_both(|soketi, _| {
        let (ann, bob) = (user(soketi, "ann"), user(soketi, "bob"));
        let rooms = [&ann, &bob].map(|client| client.private_channel("private-room").unwrap());
        let events = rooms.each_ref().map(|room| room.bind("event"));
        let typed = rooms.each_ref().map(|room| room.bind("client-typed"));
        rooms.iter().for_each(subscribe);
        soketi.publish("private-room", "event", "17");
        for events in &events {
            assert_eq!(events.recv_timeout(SOON).unwrap().data(), "17");
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let data = json!({ "from": from, "text": "\u{fc} \"\n" });
            rooms[from].trigger("client-typed", &data).unwrap();
            let event = typed[to].recv_timeout(SOON).unwrap();
            assert_eq!((event.json::<Value>().unwrap(), event.user_id()), (data, None));
        }
        assert!(typed.iter().all(|typed| typed.is_empty()), "a client event came back");
    });
}

#[test]
fn authorized_cache_channels_repeat_the_last_event() {
    over_both(|soketi, _| {
        let ann = user(soketi, "ann");
        let as_it_is = str::to_owned;
        misses_then_hits(soketi, &ann.private_channel("private-cache-room").unwrap(), as_it_is);
        let room = ann.presence_channel("presence-cache-room").unwrap();
        misses_then_hits(soketi, &room, as_it_is);
        assert_eq!(room.members().me().unwrap().id(), "ann");
    });
}

#[test]
fn members_come_and_go() {
    over_both(|soketi, _| {
        let clients = ["ann", "bob"].map(|id| user(soketi, id));
        let [ann, bob] = clients.each_ref().map(|c| c.presence_channel("presence-room").unwrap());
        let (joined, left) = (ann.bind_member_added(), ann.bind_member_removed());
        assert!(ann.members().is_empty());
        subscribe(&ann);
        assert_eq!(ids(&ann), ["ann"]);
        assert_eq!(ann.members().me().unwrap().json::<Value>().unwrap(), json!({ "name": "ANN" }));

        subscribe(&bob);
        assert_eq!(ids(&bob), ["ann", "bob"]);
        assert_eq!(bob.members().me().unwrap().id(), "bob");
        assert_eq!(bob.members().get("ann").unwrap().info(), r#"{"name":"ANN"}"#);
        let member = joined.recv_timeout(SOON).unwrap();
        assert_eq!((member.id(), member.info()), ("bob", r#"{"name":"BOB"}"#));
        assert_eq!(ids(&ann), ["ann", "bob"]);

        bob.unsubscribe();
        let member = left.recv_timeout(SOON).unwrap();
        assert_eq!((member.id(), member.info()), ("bob", r#"{"name":"BOB"}"#));
        assert_eq!(ids(&ann), ["ann"]);
        subscribe(&bob);
        assert_eq!(joined.recv_timeout(SOON).unwrap().id(), "bob");
        clients[1].close(SOON).unwrap();
        assert_eq!(left.recv_timeout(SOON).unwrap().id(), "bob");
    });
}

#[test]
fn member_with_two_connections_comes_and_goes_once() {
    over_both(|soketi, _| {
        let clients = ["zoe", "ann", "ann", "bob"].map(|id| user(soketi, id));
        let [zoe, first, second, bob] =
            clients.each_ref().map(|c| c.presence_channel("presence-room").unwrap());
        let (joined, left) = (zoe.bind_member_added(), zoe.bind_member_removed());
        for room in [&zoe, &first, &second, &bob] {
            subscribe(room);
        }
        assert_eq!(ids(&bob), ["ann", "bob", "zoe"]);
        assert_eq!(
            ["ann", "bob"],
            [(); 2].map(|()| joined.recv_timeout(SOON).unwrap().id().to_owned())[..]
        );

        first.unsubscribe();
        clients[1].ping(SOON).unwrap();
        bob.unsubscribe();
        assert_eq!(left.recv_timeout(SOON).unwrap().id(), "bob");
        assert_eq!(ids(&zoe), ["ann", "zoe"]);
        second.unsubscribe();
        assert_eq!(left.recv_timeout(SOON).unwrap().id(), "ann");
        assert!(joined.is_empty() && left.is_empty());
    });
}

#[test]
fn client_events_on_a_presence_channel_have_a_user_id() {
    over_both(|soketi, _| {
        let clients = ["ann", "bob"].map(|id| user(soketi, id));
        let rooms = clients.each_ref().map(|c| c.presence_channel("presence-room").unwrap());
        let typed = rooms.each_ref().map(|room| room.bind("client-typed"));
        rooms.iter().for_each(subscribe);
        for (from, to, id) in [(0, 1, "ann"), (1, 0, "bob")] {
            rooms[from].trigger("client-typed", &[1, 2]).unwrap();
            let event = typed[to].recv_timeout(SOON).unwrap();
            assert_eq!((event.data(), event.user_id()), ("[1,2]", Some(id)));
        }
    });
}

#[test]
fn members_are_replaced_after_a_restart() {
    for tls in [false, cfg!(tls)] {
        let Some(mut soketi) = Soketi::start(tls) else {
            return;
        };
        let clients = ["ann", "bob"].map(|id| user(&soketi, id));
        let rooms = clients.each_ref().map(|c| c.presence_channel("presence-room").unwrap());
        let resumed = rooms.each_ref().map(|room| room.bind_resumed());
        let lost = clients[0].bind_states();
        rooms.iter().for_each(subscribe);
        soketi.terminate();
        assert_eq!(lost.recv_timeout(SOON).unwrap().current, State::Reconnecting);
        assert!(rooms[0].members().is_empty());
        let typed = rooms[1].bind("client-typed");
        soketi.restart();
        for resumed in &resumed {
            resumed.recv_timeout(3 * SOON).unwrap();
        }
        rooms[0].trigger("client-typed", "again").unwrap();
        assert_eq!(typed.recv_timeout(SOON).unwrap().user_id(), Some("ann"));
        // Whoever was first had the other announced.
        let both = |room| ids(room) == ["ann", "bob"];
        clients[0].ping(SOON).unwrap();
        assert!(rooms.iter().all(both), "{rooms:?}");
    }
}

#[test]
fn wrong_signature_fails_that_channel_only() {
    over_both(|soketi, _| {
        let ann = user(soketi, "ann");
        let wrong = SecretAuthorizer::new(soketi.key(), "not the secret").member("ann", "");
        let good = ann.private_channel("private-good").unwrap();
        let bad = ann.private_channel_with("private-bad", wrong.clone()).unwrap();
        let worse = ann.presence_channel_with("presence-bad", wrong).unwrap();
        let errors = bad.bind_subscription_error();
        good.subscribe();
        bad.subscribe();
        worse.subscribe();
        let error = errors.recv_timeout(SOON).unwrap();
        for (channel, error) in [
            ("private-bad", error),
            ("private-bad", bad.wait_subscribed(SOON).unwrap_err()),
            ("presence-bad", worse.wait_subscribed(SOON).unwrap_err()),
        ] {
            assert_eq!((error.http_status(), error.channel()), (Some(401), Some(channel)));
            assert!(!error.is_retryable(), "{error}");
        }
        assert_eq!([bad.status(), worse.status()], [ChannelStatus::Failed; 2]);

        good.wait_subscribed(SOON).unwrap();
        let events = good.bind("event");
        soketi.publish("private-good", "event", "1");
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), "1");
        assert_eq!(ann.state(), State::Connected);

        let repaired = ann.private_channel_with("private-bad", secret(soketi)).unwrap();
        repaired.wait_subscribed(SOON).unwrap();
    });
}

/// An app's endpoint: it authorizes requests with this token.
fn response(mut stream: TcpStream, key: &str, secret: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut known) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        known |= line == "authorization: bearer good";
        if line.is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    reader.read_exact(&mut form).unwrap();
    let form = String::from_utf8(form).unwrap();
    let field = |name: &str| {
        form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap()
    };
    let (status, body) = if known {
        let channel = field("channel_name");
        let mut signed = format!("{}:{channel}", field("socket_id"));
        let mut body = json!({});
        if channel.starts_with("presence-") {
            let member = format!(r#"{{"user_id":"{}","user_info":[7]}}"#, field("user"));
            signed.push_str(&format!(":{member}"));
            body["channel_data"] = member.into();
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        body["auth"] = format!("{key}:{hex}").into();
        ("200 OK", body.to_string())
    } else {
        ("403 Forbidden", "who are you?".to_owned())
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
}

#[test]
fn http_endpoint_authorizes() {
    over_both(|soketi, builder| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/auth", listener.local_addr().unwrap());
        let (key, app_secret) = (soketi.key(), soketi.secret());
        let answered = spawn(move || {
            for stream in listener.incoming().take(3) {
                response(stream.unwrap(), key, app_secret);
            }
        });
        let endpoint = || HttpAuthorizer::new(&url).param("user", "ann");
        let ann = connect(builder.authorizer(endpoint().header("authorization", "Bearer good")));
        let room = ann.private_channel("private-room").unwrap();
        let lobby = ann.presence_channel("presence-lobby").unwrap();
        let events = room.bind("event");
        subscribe(&room);
        subscribe(&lobby);
        soketi.publish("private-room", "event", "1");
        assert_eq!(events.recv_timeout(SOON).unwrap().data(), "1");
        let members = lobby.members();
        let me = members.me().unwrap();
        assert_eq!((me.id(), me.info()), ("ann", "[7]"));

        let other = ann.private_channel_with("private-other", endpoint()).unwrap();
        other.subscribe();
        let error = other.wait_subscribed(SOON).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Auth, Some(403)));
        answered.recv_timeout(SOON).unwrap();
    });
}

#[cfg(feature = "encrypted")]
mod encrypted {
    use std::sync::{Arc, Mutex};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use crypto_secretbox::aead::{Aead as _, KeyInit as _};
    use crypto_secretbox::{Nonce, XSalsa20Poly1305};
    use pusher_channels::{AuthRequest, Authorizer as _};
    use sha2::Digest as _;

    use super::*;

    /// What an app's server publishes, with the key that follows from its master key.
    fn sealed(master: [u8; 32], channel: &str, nonce: u8, text: &str) -> String {
        let key = Sha256::new().chain_update(channel).chain_update(master).finalize();
        let cipher = XSalsa20Poly1305::new_from_slice(&key).unwrap();
        let nonce = [nonce; 24];
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), text.as_bytes()).unwrap();
        json!({ "nonce": STANDARD.encode(nonce), "ciphertext": STANDARD.encode(ciphertext) })
            .to_string()
    }

    fn holder(soketi: &Soketi, master: [u8; 32]) -> SecretAuthorizer {
        secret(soketi).encryption_master_key(&STANDARD.encode(master))
    }

    #[test]
    fn encrypted_channel_decrypts_with_its_key() {
        const ROOM: &str = "private-encrypted-room";
        let (old, new, foreign) = ([1; 32], [2; 32], [3; 32]);
        over_both(|soketi, builder| {
            let current = Arc::new(Mutex::new(holder(soketi, old)));
            let asked = Arc::clone(&current);
            let ann =
                connect(builder.authorizer(move |request: &AuthRequest| {
                    asked.lock().unwrap().authorize(request)
                }));
            let room = ann.private_encrypted_channel(ROOM).unwrap();
            let (events, lost) = (room.bind("event"), room.bind_decryption_error());
            subscribe(&room);
            let text = json!({ "text": "\u{fc} \u{1f600} \"\n" });
            soketi.publish(ROOM, "event", &sealed(old, ROOM, 1, &text.to_string()));
            assert_eq!(events.recv_timeout(SOON).unwrap().json::<Value>().unwrap(), text);

            *current.lock().unwrap() = holder(soketi, new);
            soketi.publish(ROOM, "event", &sealed(new, ROOM, 2, "rotated"));
            assert_eq!(events.recv_timeout(SOON).unwrap().data(), "rotated");

            soketi.publish(ROOM, "event", &sealed(foreign, ROOM, 3, "foreign"));
            soketi.publish(ROOM, "event", r#"{"text":"plain"}"#);
            soketi.publish(ROOM, "event", &sealed(new, ROOM, 4, "last"));
            assert_eq!(events.recv_timeout(SOON).unwrap().data(), "last");
            for _ in 0..2 {
                assert_eq!(lost.recv_timeout(SOON).unwrap().channel(), Some(ROOM));
            }
            assert!(events.is_empty() && lost.is_empty());
        });
    }

    #[test]
    fn encrypted_cache_channel_repeats_the_last_event() {
        const ROOM: &str = "private-encrypted-cache-room";
        let master = [4; 32];
        over_both(|soketi, builder| {
            let ann = connect(builder.authorizer(holder(soketi, master)));
            let room = ann.private_encrypted_channel(ROOM).unwrap();
            misses_then_hits(soketi, &room, |text| sealed(master, ROOM, text.as_bytes()[0], text));
        });
    }
}
