//! An endpoint that hangs, beside one that does not.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::support::{SOON, now};

/// Connects, and asks for 8 channels by `hanging` and for one of the server's own.
fn good_beside<A: Authorizer + 'static>(hanging: impl Fn(&str) -> A) {
    let server = Server::start().unwrap();
    // Never accepted.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/auth", silent.local_addr().unwrap());
    let client = connected(&server, http(&server));
    let start = now();
    let stuck: Vec<_> = (0..8)
        .map(|index| {
            let name = format!("private-stuck-{index}");
            let channel = client.private_channel_with(&name, hanging(&url)).unwrap();
            channel.subscribe();
            channel
        })
        .collect();
    join(&client.private_channel("private-good").unwrap());
    let took = now() - start;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(stuck.iter().all(|channel| channel.status() == ChannelStatus::Pending));
    client.close(SOON).unwrap();
}

#[test]
fn a_good_endpoint_does_not_wait_for_one_that_hangs() {
    good_beside(|url| HttpAuthorizer::new(url).timeout(SOON));
}

#[test]
fn nor_for_one_that_many_channels_share() {
    let shared = OnceLock::new();
    good_beside(|url| {
        let url = url.to_owned();
        let make = || {
            let http = HttpAuthorizer::new("").endpoint_with(move |_| url.clone());
            Arc::new(http.timeout(SOON))
        };
        Arc::clone(shared.get_or_init(make))
    });
}
