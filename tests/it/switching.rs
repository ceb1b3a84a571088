//! Moving between servers, by `switch` and by `Options::custom`.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use pusher_channels::testing::{Server, Settings};
use pusher_channels::{
    AuthRequest, Authorizer, Client, ErrorKind, Options, SecretAuthorizer, State,
};

use crate::support::{SOON, establish, listen, quick, refusing, spawn, wait_for_close};

fn two() -> (Server, Server) {
    let other = Settings::default().key("other-key").secret("other-secret");
    (Server::start().unwrap(), Server::start_with(other).unwrap())
}

/// Signs for whichever of the two the app key of the connection's server belongs to.
fn signs_for(server: &Server) -> SecretAuthorizer {
    SecretAuthorizer::new(server.key(), server.secret())
}

#[test]
fn switch_moves_channels_and_bindings_and_sends_nothing_to_the_old_server() {
    let (first, second) = two();
    let client = quick(first.options()).authorizer(signs_for(&first)).build().unwrap();
    let public = client.public_channel("public").unwrap();
    let private = client.private_channel("private-room").unwrap();
    let (events, gaps) = (public.bind("event"), public.bind_resumed());
    let states = client.bind_states();
    public.subscribe();
    private.subscribe();
    client.connect();
    private.wait_subscribed(SOON).unwrap();
    public.wait_subscribed(SOON).unwrap();
    let socket_id = client.socket_id();
    let heard_by_first = first.recorded().len();

    let private = client.private_channel_with(private.name(), signs_for(&second)).unwrap();
    client.switch(second.options()).unwrap();
    let late = client.public_channel("late").unwrap();
    late.subscribe();
    late.wait_subscribed(SOON).unwrap();
    private.wait_subscribed(SOON).unwrap();
    public.wait_subscribed(SOON).unwrap();
    assert_ne!(client.socket_id(), socket_id);
    assert!(first.wait_for(SOON, |first| first.connections() == 0));
    assert_eq!((first.dials(), second.dials()), (1, 1));
    assert_eq!(first.recorded().len(), heard_by_first, "{:?}", first.recorded());
    gaps.recv_timeout(SOON).unwrap();

    first.publish("public", "event", "wrong");
    second.publish("public", "event", "right");
    assert_eq!(events.recv_timeout(SOON).unwrap().data(), "right");
    let seen: Vec<_> = states.try_iter().map(|change| change.current).collect();
    use State::{Connected, Connecting, Reconnecting};
    assert_eq!(seen, [Connecting, Connected, Reconnecting, Connected]);
}

#[test]
fn switch_with_invalid_options_changes_nothing() {
    let (first, second) = two();
    let client = quick(first.options()).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let error = client.switch(Options::host("", "key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(client.state(), State::Connected);
    first.drop_connections();
    assert!(first.wait_for(SOON, |first| first.dials() == 2), "it comes back to the first");
    client.close(SOON).unwrap();
    let error = client.switch(second.options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(second.dials(), 0);
}

#[test]
fn switch_while_disconnected_applies_to_the_next_connection() {
    let (first, second) = two();
    let client = quick(first.options()).build().unwrap();
    client.switch(second.options()).unwrap();
    assert_eq!(client.state(), State::Initialized);
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.disconnect();
    client.switch(first.options()).unwrap();
    assert_eq!(client.state(), State::Disconnected);
    client.connect();
    client.wait_connected(SOON).unwrap();
    assert_eq!((first.dials(), second.dials()), (1, 1));
}

#[test]
fn switch_abandons_a_hanging_dial() {
    // It accepts connections and stays silent.
    let (_silent, options) = listen();
    let (first, _) = two();
    let client = quick(options).build().unwrap();
    client.connect();
    client.switch(first.options()).unwrap();
    client.wait_connected(SOON).unwrap();
    client.close(SOON).unwrap();
}

#[test]
fn authorization_for_the_old_server_is_not_sent_to_the_new_one() {
    let (first, second) = two();
    let (old, new) = (signs_for(&first), signs_for(&second));
    // It switches from within the request about the old connection.
    let place: Arc<OnceLock<Client>> = Arc::default();
    let called = Arc::new(AtomicUsize::new(0));
    let authorizer = {
        let (place, called, options) = (Arc::clone(&place), Arc::clone(&called), second.options());
        move |request: &AuthRequest| match called.fetch_add(1, Ordering::Relaxed) {
            0 => {
                place.get().expect("set before connecting").switch(options.clone())?;
                old.authorize(request)
            }
            _ => new.authorize(request),
        }
    };
    let client = quick(first.options()).authorizer(authorizer).build().unwrap();
    place.set(client.clone()).unwrap();
    let room = client.private_channel("private-room").unwrap();
    room.subscribe();
    client.connect();
    room.wait_subscribed(SOON).unwrap();
    assert_eq!(called.load(Ordering::Relaxed), 2);
    assert_eq!((first.recorded().len(), second.subscribers("private-room")), (0, 1));
    assert_eq!(second.recorded().len(), 1, "{:?}", second.recorded());
    // The closure holds a client.
    client.close(SOON).unwrap();
}

#[test]
fn options_custom_can_fail_over_between_servers() {
    let (first, second) = two();
    let urls = [refusing().to_url().unwrap(), first.url(), second.url()];
    let next = AtomicUsize::new(0);
    let options = Options::custom(move |_| {
        let index = next.fetch_add(1, Ordering::Relaxed);
        urls[index % urls.len()].clone()
    });
    let client = quick(options).build().unwrap();
    let room = client.public_channel("room").unwrap();
    room.subscribe();
    client.connect();
    assert!(first.wait_for(SOON, |first| first.subscribers("room") == 1));
    first.refuse(1);
    first.drop_connections();
    assert!(second.wait_for(SOON, |second| second.subscribers("room") == 1));
    second.drop_connections();
    // Past the dead one, and the first one which refuses once, around again.
    assert!(second.wait_for(SOON, |second| second.dials() == 2));
    assert_eq!(first.dials(), 2);
}

#[test]
fn connect_after_a_failure_dials_the_new_server() {
    let (first, second) = two();
    let client = quick(first.options()).build().unwrap();
    client.connect();
    client.wait_connected(SOON).unwrap();
    let states = client.bind_states();
    first.close_all(4001, "no such app");
    assert_eq!(states.recv_timeout(SOON).unwrap().current, State::Failed);
    client.switch(second.options()).unwrap();
    assert_eq!((client.state(), second.dials()), (State::Failed, 0));
    client.connect();
    client.wait_connected(SOON).unwrap();
    assert_eq!(second.connections(), 1);
}

#[test]
fn options_custom_is_called_for_every_dial_and_may_fail() {
    let (listener, _) = listen();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let options = Options::custom(move |metadata| {
        assert_eq!(metadata.protocol, 7);
        match count.fetch_add(1, Ordering::Relaxed) + 1 {
            1 => "no URL".to_owned(),
            2 => panic!("on purpose"),
            _ => format!("ws://127.0.0.1:{port}/app/key"),
        }
    });
    let client = quick(options).build().unwrap();
    let states = client.bind_states();
    let ended = spawn(move || {
        let socket = establish(&listener);
        wait_for_close(socket)
    });
    client.connect();
    client.wait_connected(SOON).unwrap();
    client.close(SOON).unwrap();
    assert_eq!(ended.recv_timeout(SOON).unwrap(), Some(1000));
    let causes: Vec<_> =
        states.try_iter().filter_map(|change| change.cause).map(|cause| cause.kind()).collect();
    assert_eq!(causes, [ErrorKind::Config, ErrorKind::Config]);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
