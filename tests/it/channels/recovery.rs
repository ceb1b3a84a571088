//! Many channels at once, after a lost connection.

use std::sync::mpsc;
use std::time::Duration;

use pusher_channels::testing::Server;
use pusher_channels::{AuthRequest, Authorizer};

use super::{join, secret};
use crate::process::threads;
use crate::support::{AT_ONCE, SOON, alone, next, now, quick, scaled};

/// What the user is promised.
const PROMISED: Duration = scaled(Duration::from_secs(5));

#[test]
fn two_hundred_channels_resubscribe_within_five_seconds() {
    alone(|| {
        let server = Server::start().unwrap();
        let signs = secret(&server);
        let authorizer = move |request: &AuthRequest| {
            let (_keep, nothing) = mpsc::channel::<()>();
            assert!(nothing.recv_timeout(Duration::from_millis(50)).is_err());
            signs.authorize(request)
        };
        let client = quick(server.options()).authorizer(authorizer).build().unwrap();
        let public = client.public_channel("public").unwrap();
        let ticks = public.bind("tick");
        let rooms: Vec<_> = (0..200)
            .map(|index| client.private_channel(&format!("private-{index}")).unwrap())
            .collect();
        client.connect();
        join(&public);
        rooms.iter().for_each(|room| room.subscribe());
        rooms.iter().for_each(|room| room.wait_subscribed(SOON).unwrap());

        let confirmed = public.bind_subscription_succeeded();
        let start = now();
        server.drop_connections();
        next(&confirmed);
        let mut heard = 0;
        let mut slowest = Duration::ZERO;
        while !rooms.iter().all(|room| room.is_subscribed()) {
            let sent = now();
            assert_eq!(server.publish("public", "tick", &heard), 1);
            assert_eq!(next(&ticks).json::<u32>().unwrap(), heard);
            slowest = slowest.max(now() - sent);
            heard += 1;
            assert!(now() - start < SOON);
        }
        let took = now() - start;
        println!("200 channels were subscribed again after {took:?}");
        println!("meanwhile {heard} events arrived, the slowest after {slowest:?}");
        assert!(took <= PROMISED, "{took:?}");
        assert!(heard > 10 && slowest < AT_ONCE, "{heard}, {slowest:?}");
        for room in &rooms {
            assert_eq!(server.subscribers(room.name()), 1);
        }
        let deadline = now() + SOON;
        while threads().iter().any(|name| name == "pusher-auth") {
            assert!(now() < deadline, "{:?}", threads());
            std::thread::yield_now();
        }
        client.close(SOON).unwrap();
    });
}
