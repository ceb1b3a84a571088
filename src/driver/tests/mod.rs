//! Tests that need the state inside: a lookup that does not end, threads that cannot be started, what the timer
//! thread sleeps for. The others are in `tests/it`.

mod destructors;
pub(super) mod threads;
mod timer;

use std::sync::Arc;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::actions::Action;
use super::reader::target;
use super::{Initial, Settings, Shared};
use crate::protocol::{Config, Policy};
use crate::transport::WebSocketConnector;
pub(super) use crate::util::testing::AT_ONCE;
use crate::{
    Client, ClientSettings, Connection, Connector, Error, ErrorKind, Options, Queue, Reconnect,
    State,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn settings(connector: Arc<dyn Connector>, policy: Policy) -> Settings {
    Settings {
        machine: Config {
            activity_timeout: 2 * MINUTE,
            override_activity_timeout: None,
            pong_timeout: MINUTE,
            connect_timeout: MINUTE,
            subscribe_timeout: MINUTE,
            signin_timeout: MINUTE,
            policy,
            client_event_limit: None,
            outbox: None,
            max_members_bytes: 16 * 1024 * 1024,
            max_held: Queue::default().limits(),
            seed: 0,
        },
        reconnect: Reconnect::never(),
        connector,
        queue: Queue::default(),
        stack_size: None,
        max_authorizations: 1,
        client: ClientSettings::default(),
        check_names: true,
        built_in: true,
        dial_code: None,
    }
}

fn start(options: Options, settings: Settings) -> Client {
    let initial = Initial { options, authorizer: None, authenticator: None };
    Client::start(Shared::new(initial, settings))
}

/// A client whose lookup hangs until the sender is dropped.
fn looking_up() -> (Client, mpsc::Sender<()>) {
    let (release, held) = mpsc::channel::<()>();
    let (started, wait) = mpsc::channel();
    let held = Mutex::new(held);
    let connector = WebSocketConnector::new(Arc::default(), 1024).unwrap();
    let connector = connector.with_lookup(Arc::new(move |_, _| {
        started.send(()).unwrap();
        let _ = held.lock().unwrap().recv();
        Err(std::io::ErrorKind::NotFound.into())
    }));
    let options = Options::host("name.example", "key").tls(false);
    let client = start(options, settings(Arc::new(connector), Policy::Never));
    client.connect();
    wait.recv_timeout(10 * AT_ONCE).unwrap();
    (client, release)
}

#[test]
fn disconnect_and_close_do_not_wait_for_a_lookup() {
    let (client, _release) = looking_up();
    let states = client.bind_states();
    client.disconnect();
    assert_eq!(client.state(), State::Disconnected);
    client.close(AT_ONCE).unwrap();
    assert_eq!(states.iter().count(), 1, "the lookup's end changes nothing");
}

#[test]
fn drop_does_not_wait_for_a_lookup() {
    let (client, _release) = looking_up();
    let states = client.bind_states();
    drop(client);
    assert_eq!(states.recv_timeout(AT_ONCE).unwrap().current, State::Disconnected);
    assert!(states.recv_timeout(AT_ONCE).unwrap_err().is_disconnected());
}

#[test]
fn options_are_dropped_when_the_client_is_closed_for_they_may_hold_it() {
    struct Dropped(mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (send, dropped) = mpsc::channel();
    let options = |send| {
        let held = Dropped(send);
        Options::custom(move |_| {
            let _ = &held;
            "ws://memory/app".to_owned()
        })
    };
    let connector = Arc::new(Counted(mpsc::channel().0));
    let client = start(options(send.clone()), settings(connector, Policy::Never));
    client.close(10 * AT_ONCE).unwrap();
    dropped.recv_timeout(AT_ONCE).unwrap();
    client.shared().switch(options(send));
    dropped.recv_timeout(AT_ONCE).unwrap();
}

/// Reports each call, and fails.
struct Counted(mpsc::Sender<()>);

impl Connector for Counted {
    fn connect(&self, _: &str, _: std::time::Instant) -> Result<Box<dyn Connection>, Error> {
        self.0.send(()).unwrap();
        Err(Error::message(ErrorKind::Io, "refused"))
    }
}

#[test]
fn dial_that_was_given_up_calls_no_connector_even_if_its_interruption_waits() {
    let ((call, calls), (resolve, resolved)) = (mpsc::channel(), mpsc::channel());
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let options = Options::custom(move |_| {
        resolve.send(()).unwrap();
        let _ = held.lock().unwrap().recv();
        "ws://memory/app".to_owned()
    });
    let client = start(options, settings(Arc::new(Counted(call)), Policy::Never));
    client.connect();
    resolved.recv_timeout(10 * AT_ONCE).unwrap();
    // From now on this thread carries actions out, or rather does not.
    let begin = |core: &mut super::Core| {
        core.actions.push(Action::Log(log::Level::Trace, "something to do".to_owned().into()));
        core.actions.begin().map(Ok)
    };
    let performer = client.shared().wait(10 * AT_ONCE, begin, |_| unreachable!()).unwrap();
    client.reconnect();
    drop(release);
    let next = |core: &mut super::Core| (core.machine.dials() == 2).then_some(Ok(()));
    client.shared().wait(10 * AT_ONCE, next, |_| unreachable!()).unwrap();
    assert!(calls.try_recv().is_err(), "the first dial has returned");
    client.shared().carry_on(performer, None);
    calls.recv_timeout(10 * AT_ONCE).unwrap();
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn messages_hold_host_and_port_of_a_url_only() {
    for (url, expected) in [
        ("wss://ws-eu.pusher.com/app/canary?x=canary", Some("ws-eu.pusher.com:443")),
        ("ws://h", Some("h:80")),
        ("ws://canary:canary@h:6001/app/canary", Some("h:6001")),
        ("ws://[::1]/app/canary", Some("[::1]:80")),
        ("ws://[::1]:6001?canary", Some("[::1]:6001")),
        ("own://h#canary", Some("h")),
        ("unix:///run/canary.sock", None),
        ("ws://h canary/", None),
        ("canary", None),
        ("", None),
    ] {
        assert_eq!(target(url).as_deref(), expected, "{url}");
    }
    assert_eq!(target(&format!("ws://{}", "a".repeat(301))), None);
}
