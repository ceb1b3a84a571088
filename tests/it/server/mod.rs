//! The in-process server, mostly seen by the client.

mod faults;
pub(crate) mod raw;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use pusher_channels::testing::{ChannelRefusal, CloseStyle, DataStyle, Server, Settings};
use pusher_channels::{
    Binding, ChannelStatus, Client, ClientBuilder, Error, ErrorKind, PublicChannel, Queue,
    Reconnect, State, StateChange,
};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{SOON, next};
#[cfg(target_os = "linux")]
use crate::support::{alone, now};
use raw::Raw;

/// For waits that must time out.
const SHORT: Duration = Duration::from_millis(500);

fn quick(server: &Server) -> ClientBuilder {
    let policy =
        Reconnect::default().initial(Duration::from_millis(10)).max(Duration::from_millis(50));
    Client::builder(server.options()).reconnect(policy)
}

fn connected(server: &Server) -> Client {
    let client = quick(server).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    client
}

fn subscribed(client: &Client, name: &str) -> PublicChannel {
    let channel = client.public_channel(name).unwrap();
    channel.subscribe();
    channel.wait_subscribed(SOON).unwrap();
    channel
}

fn until(states: &Binding<StateChange>, state: State) -> StateChange {
    loop {
        let change = next(states);
        if change.current == state {
            return change;
        }
    }
}

#[test]
fn events_arrive_in_order_and_only_while_subscribed() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    assert_eq!(server.connections(), 1);
    let chat = subscribed(&client, "chat");
    let messages = chat.bind("message");
    assert_eq!(server.subscribers("chat"), 1);
    for number in 0..1000 {
        assert_eq!(server.publish("chat", "message", &number), 1);
    }
    for number in 0..1000 {
        assert_eq!(next(&messages).json::<u32>().unwrap(), number);
    }
    assert_eq!(server.publish("other", "message", "nobody"), 0);

    chat.unsubscribe();
    assert!(server.wait_for(SOON, |server| server.subscribers("chat") == 0));
    assert_eq!(server.publish("chat", "message", "lost"), 0);
    chat.subscribe();
    chat.wait_subscribed(SOON).unwrap();
    server.publish("chat", "message", "found");
    assert_eq!(next(&messages).data(), "found");

    client.close(SOON).unwrap();
    assert!(server.wait_for(SOON, |server| server.connections() == 0));
    assert_eq!(server.subscribers("chat"), 0);
}

#[test]
fn strings_are_published_as_they_are_and_other_values_as_json() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    let events = subscribed(&client, "c").bind("e");
    let mut sent = 0;
    let mut published = |count: usize| sent += count;
    published(server.publish("c", "e", "plain \"text\" é\n"));
    published(server.publish("c", "e", &String::from("{\"a\":1}")));
    published(server.publish("c", "e", &json!({"b": [1, "two"]})));
    published(server.publish("c", "e", &[1, 2]));
    published(server.publish("c", "e", &None::<u8>));
    published(server.publish("c", "e", ""));
    assert_eq!(sent, 6);
    for expected in ["plain \"text\" é\n", "{\"a\":1}", r#"{"b":[1,"two"]}"#, "[1,2]", "null", ""]
    {
        let event = next(&events);
        assert_eq!(event.data(), expected);
        let frame: Value = serde_json::from_str(event.raw()).unwrap();
        assert_eq!(frame["data"], expected, "always a string");
    }
    let no_json = std::collections::HashMap::from([(vec![1], 2)]);
    assert_eq!(server.publish("c", "e", &no_json), 0);
}

#[test]
fn all_clients_receive_concurrent_events_in_the_same_order() {
    const EACH: u32 = 500;
    let server = Server::start().unwrap();
    let clients: Vec<Client> = (0..3).map(|_| connected(&server)).collect();
    let bindings: Vec<_> = clients
        .iter()
        .map(|client| subscribed(client, "c").bind_with("e", Queue::unbounded()))
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..EACH {
                    assert_eq!(server.publish("c", "e", &(thread, number)), 3);
                }
            });
        }
    });
    let received: Vec<Vec<(u32, u32)>> = bindings
        .iter()
        .map(|binding| (0..8 * EACH).map(|_| next(binding).json().unwrap()).collect())
        .collect();
    assert!(received.iter().all(|order| *order == received[0]));
    for thread in 0..8 {
        let own = received[0].iter().filter(|(from, _)| *from == thread);
        assert!(own.map(|(_, number)| *number).eq(0..EACH));
    }
}

#[test]
fn cache_channel_repeats_its_last_event_or_sends_cache_miss() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    let prices = client.public_channel("cache-prices").unwrap();
    let (missed, updates) = (prices.bind_cache_miss(), prices.bind("update"));
    prices.subscribe();
    assert_eq!(next(&missed).channel(), Some("cache-prices"));

    server.publish("cache-prices", "update", "1");
    server.publish("cache-prices", "update", "2");
    assert_eq!((next(&updates).data(), next(&updates).data()), ("1", "2"));
    let mut later = Raw::established(&server);
    later.subscribe("cache-prices");
    assert_eq!(later.read()["event"], "pusher_internal:subscription_succeeded");
    assert_eq!(later.read_text(), r#"{"event":"update","channel":"cache-prices","data":"2"}"#);
    assert!(missed.is_empty());

    // Also to a client that was away.
    server.drop_connections();
    assert_eq!(next(&updates).data(), "2");
}

#[test]
fn subscription_counts_follow_every_change() {
    let server = Server::start_with(Settings::default().subscription_counts(true)).unwrap();
    let client = connected(&server);
    let chat = client.public_channel("chat").unwrap();
    let counts = chat.bind_subscription_count();
    chat.subscribe();
    assert_eq!(next(&counts), 1);
    let other = connected(&server);
    let others = subscribed(&other, "chat");
    assert_eq!(next(&counts), 2);
    others.unsubscribe();
    assert_eq!(next(&counts), 1);
    others.subscribe();
    assert_eq!(next(&counts), 2);
    other.close(SOON).unwrap();
    assert_eq!(next(&counts), 1);
    assert_eq!(chat.subscription_count(), Some(1));
    server.set_subscription_count("chat", 4711);
    assert_eq!(next(&counts), 4711);
}

#[test]
fn subscription_counts_are_off_by_default() {
    let server = Server::start().unwrap();
    let mut raw = Raw::established(&server);
    raw.subscribe("chat");
    let succeeded =
        r#"{"event":"pusher_internal:subscription_succeeded","channel":"chat","data":"{}"}"#;
    assert_eq!(raw.read_text(), succeeded);
    assert_eq!(raw.exchange(r#"{"event":"pusher:ping"}"#)["event"], "pusher:pong");
}

#[test]
fn client_and_server_respond_to_pings() {
    let server = Server::start().unwrap();
    let client = connected(&server);
    assert!(client.ping(SOON).unwrap() < SOON);
    server.ping_clients();
    let ponged = |server: &Server| server.recorded().iter().any(|f| f.contains("pusher:pong"));
    assert!(server.wait_for(SOON, ponged));
    let recorded = server.recorded();
    assert!(recorded[0].contains("pusher:ping") && recorded.len() == 2, "{recorded:?}");
}

#[test]
fn client_understands_every_data_style() {
    for style in [DataStyle::Text, DataStyle::Object, DataStyle::Absent] {
        let settings = Settings::default()
            .data_style(style)
            .error_data(style)
            .activity_timeout(None)
            .subscription_counts(true);
        let server = Server::start_with(settings).unwrap();
        let client = connected(&server);
        let chat = client.public_channel("cache-chat").unwrap();
        let (missed, counts, messages, errors) = (
            chat.bind_cache_miss(),
            chat.bind_subscription_count(),
            chat.bind("message"),
            client.bind_errors(),
        );
        chat.subscribe();
        chat.wait_subscribed(SOON).unwrap();
        next(&missed);
        assert_eq!(next(&counts), 1, "{style:?}");
        client.ping(SOON).unwrap();
        server.publish("cache-chat", "message", &json!({"a": 1}));
        assert_eq!(next(&messages).data(), r#"{"a":1}"#);
        server.refuse_channel("secret", ChannelRefusal::ErrorFrame(Some(4009)));
        client.public_channel("secret").unwrap().subscribe();
        let error = next(&errors);
        assert_eq!(error.close_code(), Some(4009), "{style:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[test]
fn server_can_reuse_the_port_of_a_dropped_one() {
    let server = Server::start().unwrap();
    let port = server.port();
    let client = connected(&server);
    let chat = subscribed(&client, "chat");
    let (messages, resumed) = (chat.bind("message"), chat.bind_resumed());
    assert!(Server::start_with(Settings::default().port(port)).is_err(), "the port is taken");
    drop(server);
    let server = Server::start_with(Settings::default().port(port)).unwrap();
    next(&resumed);
    server.publish("chat", "message", "from the second");
    assert_eq!(next(&messages).data(), "from the second");
}

#[test]
fn invalid_frames_get_an_error_frame() {
    let server = Server::start().unwrap();
    let mut raw = Raw::established(&server);
    let long =
        format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{}"}}}}"#, "x".repeat(200));
    for (frame, code, part) in [
        ("no json", None, "JSON"),
        ("7", None, "no event"),
        (r#"{"event":{}}"#, None, "no event"),
        (r#"{"event":"pusher:nonsense"}"#, None, "pusher:nonsense"),
        (r#"{"event":"mine","channel":"c","data":{}}"#, None, "mine"),
        (r#"{"event":"pusher:subscribe"}"#, None, "no channel"),
        (r#"{"event":"pusher:subscribe","data":"{\"channel\":\"c\"}"}"#, None, "no channel"),
        (r#"{"event":"pusher:subscribe","data":{"channel":"a b"}}"#, None, "a b"),
        (r#"{"event":"pusher:subscribe","data":{"channel":""}}"#, None, "Invalid"),
        (&long, None, "Invalid"),
        (r#"{"event":"pusher:subscribe","data":{"channel":"private-c"}}"#, None, "Invalid key"),
        (r#"{"event":"pusher:unsubscribe","data":{"channel":"c"}}"#, None, "No current"),
        (r#"{"event":"client-e","channel":"c","data":{}}"#, Some(4301), "rejected"),
    ] {
        let response = raw.exchange(frame);
        assert_eq!(response["event"], "pusher:error", "{frame}");
        assert_eq!(response["data"]["code"], json!(code), "{frame}");
        let message = response["data"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{frame}: {message}");
    }
    raw.subscribe("c");
    assert_eq!(raw.read()["event"], "pusher_internal:subscription_succeeded");
    raw.subscribe("c");
    assert_eq!(
        raw.read_text(),
        r#"{"event":"pusher:error","data":{"code":null,"message":"Existing subscription to channel c"}}"#
    );
    assert_eq!(server.subscribers("c"), 1);
    raw.send(r#"{"event":"pusher:unsubscribe","data":{"channel":"c"}}"#);
    // Neither gets a response, so the server's pong comes next.
    raw.send(r#"{"event":"pusher:pong","data":{}}"#);
    assert_eq!(raw.exchange(r#"{"event":"pusher:ping","data":{}}"#)["event"], "pusher:pong");
    assert_eq!((server.subscribers("c"), server.connections()), (0, 1));
}

#[test]
fn connection_established_follows_the_settings() {
    let server =
        Server::start_with(Settings::default().key("k/ä").activity_timeout(Some(7))).unwrap();
    let data = Raw::connect(&server).read()["data"].clone();
    let data: Value = serde_json::from_str(data.as_str().unwrap()).unwrap();
    assert_eq!(data["activity_timeout"], 7);
    let socket_id = data["socket_id"].as_str().unwrap();
    let numbers: Vec<u64> = socket_id.split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 2);
    assert!(server.url().starts_with("ws://127.0.0.1:"));

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
    let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    let refused = tungstenite::client("ws://localhost/elsewhere", stream).unwrap_err();
    assert!(refused.to_string().contains("404"), "{refused}");
}

#[test]
fn server_is_sync_and_its_debug_output_has_no_secret() {
    fn shared<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    let settings = Settings::default().secret("canary").key("mine");
    assert!(!format!("{settings:?}").contains("canary"));
    let server = Server::start_with(settings).unwrap();
    shared(&server);
    assert!(!format!("{server:?}").contains("canary"));
    assert_eq!((server.key(), server.secret()), ("mine", "canary"));
    assert!(!server.wait_for(Duration::ZERO, |_| false));
    // It ends, although each check is a change.
    let mut looks = 0;
    assert!(!server.wait_for(Duration::from_millis(20), |server| {
        looks += 1;
        server.silence(false);
        false
    }));
    assert!(looks > 0);
}

/// How many threads of this process have names that start like this.
#[cfg(target_os = "linux")]
fn threads(prefix: &str) -> usize {
    crate::process::threads().iter().filter(|name| name.starts_with(prefix)).count()
}

/// In a process of its own, since the other tests have servers too.
#[cfg(target_os = "linux")]
#[test]
fn dropping_the_server_ends_its_threads() {
    alone(|| {
        let server = Server::start().unwrap();
        let port = server.port();
        let clients: Vec<Client> = (0..5).map(|_| connected(&server)).collect();
        let _reads_nothing = Raw::connect(&server);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Its handshake would take ten seconds to be given up.
        let _says_nothing = TcpStream::connect_timeout(&address, SOON).unwrap();
        assert!(server.wait_for(SOON, |server| server.connections() == 6));
        let _last = connected(&server);
        assert_eq!(threads("testing-"), 9);
        let states = clients[0].bind_states();
        let start = now();
        drop(server);
        assert!(now().duration_since(start) < SOON / 2, "it waited for a connection");
        until(&states, State::Reconnecting);
        // A thread that was joined may be listed a moment longer.
        let mut rounds = 0..1_000_000;
        while threads("testing-") > 0 {
            rounds.next().expect("threads are left");
            std::thread::yield_now();
        }
        assert!(std::net::TcpListener::bind(address).is_ok());
    });
}
