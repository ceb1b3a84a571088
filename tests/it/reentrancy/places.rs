//! Where the user's code runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pusher_channels::crossbeam_channel::{Receiver, Sender, bounded};
use pusher_channels::testing::Server;
use pusher_channels::{
    Auth, AuthRequest, Authorizer, Client, ClientBuilder, Connection, Connector, Error,
    HttpAuthorizer, Message, Options, Reconnect, UserAuth, UserAuthRequest, UserAuthenticator,
};

use super::{room, secret};
use crate::support::memory::Loopback;
use crate::support::{SOON, quick};

pub(super) type Hook = Arc<dyn Fn() + Send + Sync>;

/// Brings the client to where it calls the hook.
type Go = Box<dyn FnOnce(&Client)>;

type Start = Box<dyn Fn(&Server, Hook) -> (ClientBuilder, Go)>;

/// A place where a hook is called, as often as the client likes.
pub(super) struct Place {
    pub(super) name: &'static str,
    /// Whether it is on a thread of the client's; else it is inside a call of the user's.
    pub(super) is_the_clients: bool,
    start: Start,
}

impl Place {
    /// A client that has not begun, and what begins it.
    pub(super) fn start(
        &self,
        server: &Server,
        hook: impl Fn() + Send + Sync + 'static,
    ) -> (Client, Go) {
        let (builder, go) = (self.start)(server, Arc::new(hook));
        (builder.build().unwrap(), go)
    }
}

fn clients_own(
    name: &'static str,
    start: impl Fn(&Server, Hook) -> (ClientBuilder, Go) + 'static,
) -> Place {
    Place { name, is_the_clients: true, start: Box::new(start) }
}

fn users(
    name: &'static str,
    start: impl Fn(&Server, Hook) -> (ClientBuilder, Go) + 'static,
) -> Place {
    Place { name, is_the_clients: false, start: Box::new(start) }
}

fn begin(client: &Client) {
    client.private_channel("private-first").unwrap().subscribe();
    client.connect();
}

fn begin_signed_in(client: &Client) {
    client.signin();
    client.connect();
}

// ---- callbacks

pub(super) fn authorizer() -> Place {
    clients_own("an authorizer", |server, hook| {
        let signs = secret(server);
        let authorizer = move |request: &AuthRequest| {
            hook();
            signs.authorize(request)
        };
        (quick(server.options()).authorizer(authorizer), Box::new(begin))
    })
}

struct Many<A>(A, Hook);

impl<A: Authorizer> Authorizer for Many<A> {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.0.authorize(request)
    }

    fn batch_window(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }

    fn authorize_many(&self, requests: &[AuthRequest]) -> Vec<Result<Auth, Error>> {
        (self.1)();
        self.0.authorize_many(requests)
    }
}

pub(super) fn authorizer_of_many() -> Place {
    clients_own("an authorizer of many", |server, hook| {
        (quick(server.options()).authorizer(Many(secret(server), hook)), Box::new(begin))
    })
}

pub(super) fn authenticator() -> Place {
    clients_own("an authenticator", |server, hook| {
        let signs = secret(server);
        let authenticator = move |request: &UserAuthRequest| {
            hook();
            signs.authenticate(request)
        };
        (quick(server.options()).user_authenticator(authenticator), Box::new(begin_signed_in))
    })
}

pub(super) fn headers_closure() -> Place {
    clients_own("a closure for headers and parameters", |server, hook| {
        let (headers, params) = (Arc::clone(&hook), hook);
        let authorizer = HttpAuthorizer::new(&server.auth_url())
            .headers_with(move || {
                headers();
                Vec::new()
            })
            .params_with(move || {
                params();
                Vec::new()
            });
        (quick(server.options()).authorizer(authorizer), Box::new(begin))
    })
}

pub(super) fn parser_closure() -> Place {
    clients_own("a closure that parses", |server, hook| {
        let authorizer = HttpAuthorizer::new(&server.auth_url()).parser(move |text| {
            hook();
            Auth::from_json(text)
        });
        (quick(server.options()).authorizer(authorizer), Box::new(begin))
    })
}

/// The first dial fails.
pub(super) fn policy() -> Place {
    clients_own("a reconnect policy", |server, hook| {
        let (url, dialled) = (server.url(), AtomicBool::new(false));
        let options = Options::custom(move |_| match dialled.swap(true, Ordering::Relaxed) {
            false => "no URL".to_owned(),
            true => url.clone(),
        });
        let policy = Reconnect::with(move |_| {
            hook();
            Some(Duration::ZERO)
        });
        (Client::builder(options).reconnect(policy), Box::new(begin))
    })
}

pub(super) fn resolver() -> Place {
    clients_own("Options::custom", |server, hook| {
        let url = server.url();
        let options = Options::custom(move |_| {
            hook();
            url.clone()
        });
        (quick(options), Box::new(begin))
    })
}

// ---- a custom connection

#[derive(Clone, Copy, PartialEq)]
enum Spot {
    Connect,
    Recv,
    Send,
    Close,
    Drop,
}

#[derive(Clone)]
struct Own {
    spot: Spot,
    hook: Hook,
    /// Disconnected when `connect()` has returned; until then the user's thread may carry out actions.
    begun: Receiver<()>,
}

impl Own {
    fn at(&self, spot: Spot) {
        if self.spot == spot {
            (self.hook)();
        }
    }
}

struct OwnConnection {
    own: Own,
    loopback: Loopback,
}

impl Connector for Own {
    fn connect(&self, _: &str, _: Instant) -> Result<Box<dyn Connection>, Error> {
        let _ = self.begun.recv_timeout(SOON);
        self.at(Spot::Connect);
        Ok(Box::new(OwnConnection { own: self.clone(), loopback: Loopback::established() }))
    }
}

impl Connection for OwnConnection {
    fn recv(&self) -> Result<Message, Error> {
        self.own.at(Spot::Recv);
        self.loopback.recv()
    }

    fn send(&self, _: &str) -> Result<(), Error> {
        self.own.at(Spot::Send);
        Ok(())
    }

    fn close(&self, code: u16) {
        self.own.at(Spot::Close);
        self.loopback.close(code);
    }
}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        self.own.at(Spot::Drop);
    }
}

/// A client that connects by [`Own`], and then does something more.
fn over_own(
    server: &Server,
    spot: Spot,
    hook: Hook,
    and_then: impl FnOnce(&Client) + Send + 'static,
) -> (ClientBuilder, Go) {
    let (begins, begun) = bounded(0);
    let builder = quick(server.options()).connector(Own { spot, hook, begun });
    let go = move |client: &Client| {
        client.connect();
        drop::<Sender<()>>(begins);
        and_then(client);
    };
    (builder, Box::new(go))
}

fn nothing(_: &Client) {}

/// Makes the timer thread ping immediately.
const AT_ONCE: Duration = Duration::from_millis(5);

pub(super) fn connector() -> Place {
    clients_own("Connector::connect", |server, hook| over_own(server, Spot::Connect, hook, nothing))
}

pub(super) fn own_recv() -> Place {
    clients_own("Connection::recv", |server, hook| over_own(server, Spot::Recv, hook, nothing))
}

pub(super) fn own_send_on_the_reader() -> Place {
    clients_own("Connection::send on the reader thread", |server, hook| {
        let (builder, connect) = over_own(server, Spot::Send, hook, nothing);
        let go = |client: &Client| {
            room(client).subscribe();
            connect(client);
        };
        (builder, Box::new(go))
    })
}

pub(super) fn own_send_on_the_timer() -> Place {
    clients_own("Connection::send on the timer thread", |server, hook| {
        let (builder, go) = over_own(server, Spot::Send, hook, nothing);
        (builder.activity_timeout(AT_ONCE), go)
    })
}

pub(super) fn own_send_on_a_users_thread() -> Place {
    users("Connection::send on a user's thread", |server, hook| {
        over_own(server, Spot::Send, hook, |client| {
            client.wait_connected(SOON).unwrap();
            room(client).subscribe();
        })
    })
}

pub(super) fn own_close_on_the_timer() -> Place {
    clients_own("Connection::close on the timer thread", |server, hook| {
        let (builder, go) = over_own(server, Spot::Close, hook, nothing);
        (builder.activity_timeout(AT_ONCE).pong_timeout(AT_ONCE), go)
    })
}

pub(super) fn own_close_on_a_users_thread() -> Place {
    users("Connection::close on a user's thread", |server, hook| {
        over_own(server, Spot::Close, hook, |client| {
            client.wait_connected(SOON).unwrap();
            client.disconnect();
        })
    })
}

pub(super) fn drop_of_own_connection() -> Place {
    clients_own("the drop of a Connection", |server, hook| {
        let (builder, go) = over_own(server, Spot::Drop, hook, nothing);
        (builder.activity_timeout(AT_ONCE).pong_timeout(AT_ONCE), go)
    })
}

// ---- destructors and interrupts

struct Dropped<A>(A, Hook);

impl<A> Drop for Dropped<A> {
    fn drop(&mut self) {
        (self.1)();
    }
}

impl<A: Authorizer> Authorizer for Dropped<A> {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.0.authorize(request)
    }
}

impl<A: UserAuthenticator> UserAuthenticator for Dropped<A> {
    fn authenticate(&self, request: &UserAuthRequest) -> Result<UserAuth, Error> {
        self.0.authenticate(request)
    }
}

/// The authorizer of a channel without handles.
pub(super) fn drop_of_an_authorizer() -> Place {
    users("the drop of an authorizer", |server, hook| {
        let authorizer = Dropped(secret(server), hook);
        let go = move |client: &Client| {
            drop(client.private_channel_with("private-once", authorizer).unwrap());
        };
        (quick(server.options()), Box::new(go))
    })
}

pub(super) fn drop_of_an_authenticator() -> Place {
    users("the drop of an authenticator", |server, hook| {
        let (first, second) = (Dropped(secret(server), hook), secret(server));
        let go = move |client: &Client| {
            client.signin_with(first);
            client.signin_with(second);
        };
        (quick(server.options()), Box::new(go))
    })
}

pub(super) fn drop_of_options() -> Place {
    users("the drop of options", |server, hook| {
        let (url, options) = (Dropped(server.url(), hook), server.options());
        let go = move |client: &Client| client.switch(options).unwrap();
        let resolve = Options::custom(move |_| url.0.clone());
        (quick(resolve), Box::new(go))
    })
}

struct Interrupted<A>(A, Hook);

impl<A: Authorizer> Authorizer for Interrupted<A> {
    fn authorize(&self, request: &AuthRequest) -> Result<Auth, Error> {
        self.0.authorize(request)
    }

    fn interrupt(&self) {
        (self.1)();
    }
}

pub(super) fn interrupt() -> Place {
    users("an authorizer's interrupt", |server, hook| {
        let builder = quick(server.options()).authorizer(Interrupted(secret(server), hook));
        (builder, Box::new(|client| _ = client.close(SOON)))
    })
}
