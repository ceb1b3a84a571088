//! An endpoint that hangs beside one that does not.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};

use super::*;
use crate::support::{AT_ONCE, SOON, now};

/// Connects, and subscribes to 8 channels with `hanging` and to one with the server's own endpoint.
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
    assert!(took < 5 * AT_ONCE, "{took:?}");
    assert!(stuck.iter().all(|channel| channel.status() == ChannelStatus::Pending));
    client.close(SOON).unwrap();
}

#[test]
fn hanging_endpoint_does_not_delay_another() {
    good_beside(|url| HttpAuthorizer::new(url).timeout(SOON));
}

#[test]
fn hanging_endpoint_shared_by_many_channels_does_not_delay_another() {
    let shared = OnceLock::new();
    good_beside(|url| {
        let url = url.to_owned();
        let make = || {
            let http = HttpAuthorizer::new("").url_with(move |_| url.clone());
            Arc::new(http.timeout(SOON))
        };
        Arc::clone(shared.get_or_init(make))
    });
}
