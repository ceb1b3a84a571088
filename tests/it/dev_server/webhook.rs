//! Webhooks, received by a scripted backend.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use pusher_channels::testing::{Server, Settings};
use serde_json::{Value, json};

use crate::server::raw::Raw;
use crate::server_channels::{Signed, signature};
use crate::support::{AT_ONCE, SOON, listen, now, spawn};

struct Hook {
    head: String,
    body: String,
}

/// Accepts requests, and responds with these statuses, then with 200. Ends with the server that sends them.
fn backend(statuses: &[u16]) -> (String, Receiver<Hook>) {
    let (listener, _) = listen();
    let url = format!("http://{}/hooks?a=b", listener.local_addr().unwrap());
    let (received, hooks) = channel();
    let statuses = statuses.to_vec();
    let _done = spawn(move || {
        for status in statuses.into_iter().chain(std::iter::repeat(200)) {
            let Some(hook) = accept(&listener, status) else { return };
            if received.send(hook).is_err() {
                return;
            }
        }
    });
    (url, hooks)
}

fn accept(listener: &TcpListener, status: u16) -> Option<Hook> {
    let (stream, _) = listener.accept().ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    reader.get_mut().write_all(response.as_bytes()).ok()?;
    Some(Hook { head, body: String::from_utf8(body).unwrap() })
}

/// Takes events until there are as many, and checks their signatures.
fn events(hooks: &Receiver<Hook>, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while events.len() < count {
        let Hook { head, body } = hooks.recv_timeout(SOON).unwrap();
        assert!(head.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Content-Type: application/json\r\nX-Pusher-Key: app-key\r\n"));
        let signature = signature("app-secret", &body);
        assert!(head.contains(&format!("X-Pusher-Signature: {signature}\r\n")), "{head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["time_ms"].as_u64().unwrap() > 1_600_000_000_000);
        events.extend(body["events"].as_array().unwrap().iter().cloned());
    }
    events
}

fn start(url: &str) -> Server {
    let settings = Settings::default().webhook(url).subscription_counts(true);
    Server::start_with(settings).unwrap()
}

#[test]
fn every_kind_of_event_is_reported_in_order() {
    let (url, hooks) = backend(&[]);
    let server = start(&url);
    let mut raw = Raw::established(&server);
    raw.subscribe("cache-a");
    // By another connection than the next request.
    assert!(server.wait_for(SOON, |server| server.subscribers("cache-a") == 1));
    let mut ann = Signed::new(&server);
    ann.subscribe("presence-a", Some(r#"{"user_id":7}"#));
    assert_eq!(
        events(&hooks, 5),
        [
            json!({"name": "channel_occupied", "channel": "cache-a"}),
            json!({"name": "cache_miss", "channel": "cache-a"}),
            json!({"name": "subscription_count", "channel": "cache-a", "subscription_count": 1}),
            json!({"name": "channel_occupied", "channel": "presence-a"}),
            json!({"name": "member_added", "channel": "presence-a", "user_id": "7"}),
        ]
    );
    // The second connection of a member is no new member, and the channel is occupied already.
    let mut again = Signed::new(&server);
    again.subscribe("presence-a", Some(r#"{"user_id":7}"#));
    for data in ["{\"a\":1}", "\"b\""] {
        let frame = format!(r#"{{"event":"client-e","channel":"presence-a","data":{data}}}"#);
        again.raw.send(&frame);
    }
    let client_event = |data: &str| {
        json!({
            "name": "client_event", "channel": "presence-a", "event": "client-e", "data": data,
            "socket_id": again.socket_id, "user_id": "7",
        })
    };
    assert_eq!(events(&hooks, 2), [client_event("{\"a\":1}"), client_event("b")]);
    drop(again);
    drop(ann);
    assert_eq!(
        events(&hooks, 2),
        [
            json!({"name": "member_removed", "channel": "presence-a", "user_id": "7"}),
            json!({"name": "channel_vacated", "channel": "presence-a"}),
        ]
    );
    drop(raw);
    assert_eq!(
        events(&hooks, 2),
        [
            json!({"name": "channel_vacated", "channel": "cache-a"}),
            json!({"name": "subscription_count", "channel": "cache-a", "subscription_count": 0}),
        ]
    );
}

#[test]
fn request_that_is_not_accepted_is_sent_again_and_then_dropped() {
    let (url, hooks) = backend(&[500, 302, 200, 500, 500, 404]);
    let server = start(&url);
    let mut raw = Raw::established(&server);
    let mut subscribe = |channel: &str| {
        raw.subscribe(channel);
        raw.read();
    };
    let requests = |count: usize| -> Vec<String> {
        (0..count).map(|_| hooks.recv_timeout(SOON).unwrap().body).collect()
    };
    subscribe("a");
    let bodies = requests(3);
    assert!(bodies[0].contains("channel_occupied") && bodies.iter().all(|body| *body == bodies[0]));
    subscribe("b");
    requests(3);
    // The next comes without the one that was dropped.
    subscribe("c");
    let last = requests(1).remove(0);
    assert!(last.contains("\"c\"") && !last.contains("\"b\""), "{last}");
}

#[test]
fn dropping_the_server_does_not_wait_for_the_backend() {
    let (listener, _) = listen();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = start(&url);
    let mut raw = Raw::established(&server);
    raw.subscribe("a");
    // It has the request, and never responds.
    let (mut silent, _) = listener.accept().unwrap();
    silent.read_exact(&mut [0]).unwrap();
    let start = now();
    drop(server);
    assert!(now().duration_since(start) < AT_ONCE);

    // Nor for the pause before the next attempt.
    let (url, hooks) = backend(&[500, 500, 500]);
    let server = self::start(&url);
    let mut raw = Raw::established(&server);
    raw.subscribe("a");
    hooks.recv_timeout(SOON).unwrap();
    hooks.recv_timeout(SOON).unwrap();
    let start = now();
    drop(server);
    assert!(now().duration_since(start) < AT_ONCE * 4 / 5);
}
