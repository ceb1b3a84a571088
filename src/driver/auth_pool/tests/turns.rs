//! From the begin of a turn to its end, and what is under way when a deadline passes or the client is closed.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::driver::routes::Delivered;
use crate::driver::tests::threads::{ESTABLISHED, Memory};
use crate::driver::tests::{AT_ONCE, MINUTE, settings};
use crate::driver::{Initial, Shared};
use crate::protocol::Policy;
use crate::{
    ChannelStatus, Client, Connection, Connector, Event, Message, Options, UserAuth,
    UserAuthRequest,
};

type Responses = fn(&AuthRequest) -> Result<Auth, Error>;

fn grants(_: &AuthRequest) -> Result<Auth, Error> {
    Ok(Auth::new("key:signature"))
}

fn refuse(_: &UserAuthRequest) -> Result<UserAuth, Error> {
    Err(Error::message(ErrorKind::Auth, "refused"))
}

fn shared(
    authorizer: impl Authorizer + 'static,
    connector: impl Connector + 'static,
) -> Arc<Shared> {
    let client = ClientSettings::default();
    let initial = Initial {
        options: Options::url("ws://memory/app"),
        authorizer: Some(AuthSource::new(Arc::new(authorizer), &client)),
        authenticator: Some(AuthSource::of_user(Arc::new(refuse), &client)),
    };
    Shared::new(initial, settings(Arc::new(connector), Policy::Never))
}

/// The protocol's time, so long after the start.
fn at_time(mono: Duration) -> Now {
    Now { mono, suspended: Duration::ZERO, wall: Duration::ZERO }
}

impl Core {
    fn input(&mut self, mono: Duration, input: impl FnOnce(&mut Self, Now)) {
        input(self, at_time(mono));
        self.route_outputs(&mut Delivered::default(), at_time(mono));
    }

    /// Without a thread: nothing of what the machine wants is performed.
    fn connect(&mut self) {
        self.input(MINUTE, |core, now| core.machine.connect(now));
        let generation = self.active.as_ref().unwrap().generation;
        let established = Event::parse(ESTABLISHED.to_owned()).unwrap();
        self.input(MINUTE, |core, now| core.machine.handle_event(generation, established, now));
    }

    /// A worker takes the next request and begins with it.
    fn begin_next(&mut self) -> (Turn, AuthSource, Vec<Request>) {
        assert!(self.auth_pool.enter());
        let (source, request, turn, _) = self.auth_pool.next().unwrap();
        let mut requests = vec![request];
        self.input(MINUTE, |core, now| core.begin(turn, &source, &mut requests, now));
        (turn, source, requests)
    }
}

#[test]
fn a_deadline_right_after_begin_finds_the_worker() {
    let wanted: [fn(&mut Core, Now); 2] = [
        |core, now| core.machine.subscribe("private-a", now),
        |core, now| core.machine.signin(now),
    ];
    for wanted in wanted {
        let (dials, _) = unbounded();
        shared(grants as Responses, Memory(dials)).with_core(|core| {
            core.connect();
            core.input(MINUTE, wanted);
            let (turn, source, requests) = core.begin_next();
            assert_eq!(requests.len(), 1);
            core.input(2 * MINUTE, |core, now| core.machine.handle_timeout(now));
            assert_eq!((core.auth_pool.hanging(), core.auth_pool.workers), (1, 0));
            // It comes back at last.
            let end = End::Responded(2 * MINUTE);
            let responses = requests.into_iter().map(|it| (it, Ok(Auth::new("k:s")))).collect();
            core.finish(turn, end, responses, at_time(3 * MINUTE));
            assert!(core.auth_pool.came_back(turn));
            assert_eq!((core.auth_pool.hanging(), core.auth_pool.running.len()), (0, 0));
            drop(source);
        });
    }
}

#[test]
fn an_abandoned_request_begins_no_turn() {
    let (dials, _) = unbounded();
    shared(grants as Responses, Memory(dials)).with_core(|core| {
        core.connect();
        core.input(MINUTE, |core, now| core.machine.subscribe("private-a", now));
        core.input(MINUTE, |core, now| core.machine.unsubscribe("private-a", now));
        let (_, _, requests) = core.begin_next();
        assert_eq!((requests.len(), core.auth_pool.running.len()), (0, 0));
    });
}

#[test]
fn closing_returns_a_replaced_source_that_is_still_waited_for() {
    let (dials, _) = unbounded();
    shared(grants as Responses, Memory(dials)).with_core(|core| {
        core.connect();
        assert!(core.auth_pool.set_of_channel("private-a".into(), at("a:80")).is_none());
        core.input(MINUTE, |core, now| core.machine.subscribe("private-a", now));
        let (_, first, _) = core.begin_next();
        assert!(core.auth_pool.set_of_channel("private-a".into(), at("b:80")).is_some());
        let (sources, _waiting) = core.auth_pool.close();
        // The client's own two, and both of the channel.
        assert_eq!(sources.len(), 4);
        assert_eq!(sources.iter().filter(|source| source.is(&first)).count(), 1);
    });
}

/// Grants the first of each batch and refuses the others, once the connection is read for the second time: the
/// reader then performs nothing.
struct First(Receiver<()>);

impl Authorizer for First {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        grants(request)
    }

    fn batch_window(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        for _ in 0..2 {
            self.0.recv_timeout(10 * AT_ONCE).unwrap();
        }
        let refused = |_: &AuthRequest| Err(Error::message(ErrorKind::Auth, "refused"));
        requests.iter().take(1).map(grants).chain(requests.iter().skip(1).map(refused)).collect()
    }
}

/// A connection whose `send` waits until the frame is received.
struct Rendezvous(Receiver<Message>, Sender<String>, Sender<()>);

impl Connector for Rendezvous {
    fn connect(&self, _: &str, _: std::time::Instant) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(Self(self.0.clone(), self.1.clone(), self.2.clone())))
    }
}

impl Connection for Rendezvous {
    fn recv(&self) -> Result<Message, Error> {
        let _ = self.2.send(());
        self.0.recv().map_err(|_| Error::new(ErrorKind::Closed, "closed"))
    }

    fn send(&self, text: &str) -> Result<(), Error> {
        let _ = self.1.send(text.to_owned());
        Ok(())
    }

    fn close(&self, _: u16) {}
}

#[test]
fn all_responses_of_a_batch_are_handled_before_the_first_frame_is_sent() {
    let ((to_client, received), (sent, frames)) = (unbounded(), bounded(0));
    let (reads, read) = unbounded();
    let client = Client::start(shared(First(read), Rendezvous(received, sent, reads)));
    let [granted, refused] =
        ["private-a", "private-b"].map(|name| client.private_channel(name).unwrap());
    granted.subscribe();
    refused.subscribe();
    client.connect();
    to_client.send(Message::Text(ESTABLISHED.to_owned())).unwrap();
    let error = refused.wait_subscribed(10 * AT_ONCE).unwrap_err();
    assert_eq!((error.kind(), error.is_timeout()), (ErrorKind::Auth, false), "{error:?}");
    assert_eq!(granted.status(), ChannelStatus::Pending);
    assert!(frames.recv_timeout(10 * AT_ONCE).unwrap().contains("private-a"));
    drop((frames, to_client));
    client.close(10 * AT_ONCE).unwrap();
}
