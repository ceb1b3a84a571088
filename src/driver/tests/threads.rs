//! Threads that cannot be started, without a limit on the whole process.

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::protocol::Backoff;
use crate::{Connection, Error, ErrorKind, Message, StateChange};

pub(in crate::driver) const ESTABLISHED: &str =
    r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\"}"}"#;

/// Connects to a peer in memory: whoever holds the other ends of what is sent here.
pub(in crate::driver) struct Memory(pub(in crate::driver) Sender<Peer>);

pub(in crate::driver) struct Peer {
    pub(super) to_client: Sender<Message>,
    pub(super) from_client: Receiver<String>,
}

struct Pipe(Receiver<Message>, Sender<Message>, Sender<String>);

impl Connector for Memory {
    fn connect(&self, _: &str, _: std::time::Instant) -> Result<Box<dyn Connection>, Error> {
        let ((to_client, received), (sent, from_client)) = (unbounded(), unbounded());
        let pipe = Pipe(received, to_client.clone(), sent);
        let _ = self.0.send(Peer { to_client, from_client });
        Ok(Box::new(pipe))
    }
}

impl Connection for Pipe {
    fn recv(&self) -> Result<Message, Error> {
        self.0.recv().map_err(|_| Error::new(ErrorKind::Closed, "closed"))
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        let _ = self.2.send(text.to_owned());
        Ok(())
    }

    fn close(&self, code: u16) {
        let _ = self.1.send(Message::Close(Some(code), String::new()));
    }
}

impl Peer {
    pub(super) fn send(&self, frame: &str) {
        self.to_client.send(Message::Text(frame.to_owned())).unwrap();
    }
}

/// A client with peers in memory, whose waits between dials are this long.
pub(super) fn in_memory(wait: Duration) -> (Client, Receiver<Peer>) {
    let (dials, dialled) = unbounded();
    let backoff = Backoff { initial: wait, min: wait, max: wait, max_attempts: None };
    let settings = settings(Arc::new(Memory(dials)), Policy::Backoff(backoff));
    (start(Options::url("ws://memory/app"), settings), dialled)
}

fn refuse(client: &Client, threads: Option<&'static str>) {
    client.shared().with_core(|core| core.threads.refused = threads);
}

fn failure(states: &Receiver<StateChange>) -> (State, Error) {
    loop {
        let change = states.recv_timeout(10 * AT_ONCE).unwrap();
        if let Some(cause) = change.cause {
            return (change.current, cause);
        }
    }
}

fn connects(client: &Client, dialled: &Receiver<Peer>) {
    let peer = dialled.recv_timeout(10 * AT_ONCE).unwrap();
    peer.send(ESTABLISHED);
    client.wait_connected(10 * AT_ONCE).unwrap();
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn without_any_thread_the_client_fails_until_it_is_called_again() {
    let again: [fn(&Client); 3] = [Client::connect, Client::network_changed, Client::reconnect];
    for again in again {
        let (client, dialled) = in_memory(Duration::ZERO);
        let states = client.bind_states();
        refuse(&client, Some("pusher-"));
        client.connect();
        // Until that changes it fails again, and no thread counts that does not run.
        for _ in 0..2 {
            let (state, cause) = failure(&states);
            assert_eq!((state, cause.kind()), (State::Failed, ErrorKind::Io));
            let text = cause.to_string();
            assert!(text.starts_with("starting the thread pusher-timer failed: "), "{text}");
            assert_eq!(client.wait_connected(MINUTE).unwrap_err().kind(), ErrorKind::Io);
            again(&client);
        }
        assert_eq!(failure(&states).0, State::Failed);
        refuse(&client, None);
        again(&client);
        connects(&client, &dialled);
    }
}

#[test]
fn a_network_change_does_not_connect_a_disconnected_client() {
    let (client, dialled) = in_memory(Duration::ZERO);
    refuse(&client, Some("pusher-"));
    client.connect();
    assert_eq!(client.state(), State::Failed);
    refuse(&client, None);
    client.disconnect();
    client.network_changed();
    assert_eq!((client.state(), dialled.len()), (State::Disconnected, 0));
}

#[test]
fn without_a_reader_thread_the_dial_is_repeated() {
    let (client, dialled) = in_memory(Duration::from_millis(5));
    let states = client.bind_states();
    refuse(&client, Some("pusher-reader"));
    client.connect();
    for _ in 0..3 {
        assert_eq!(failure(&states).0, State::Reconnecting);
    }
    refuse(&client, None);
    connects(&client, &dialled);
}

#[test]
fn a_worker_that_cannot_be_started_does_not_count() {
    let (client, dialled) = in_memory(Duration::ZERO);
    let grants = |_: &crate::AuthRequest| Ok(crate::Auth::new("key:signature"));
    let room = client.private_channel_with("private-room", grants).unwrap();
    let errors = room.bind_subscription_error();
    client.connect();
    let peer = dialled.recv_timeout(10 * AT_ONCE).unwrap();
    peer.send(ESTABLISHED);
    client.wait_connected(10 * AT_ONCE).unwrap();
    for _ in 0..3 {
        refuse(&client, Some("pusher-auth"));
        room.subscribe();
        let error = errors.recv_timeout(10 * AT_ONCE).unwrap();
        assert!(error.to_string().contains("pusher-auth"), "{error}");
        room.unsubscribe();
    }
    refuse(&client, None);
    room.subscribe();
    let frame = peer.from_client.recv_timeout(10 * AT_ONCE).unwrap();
    assert!(frame.contains("pusher:subscribe"), "{frame}");
    client.close(10 * AT_ONCE).unwrap();
}
