//! What the timer thread sleeps for, and how often it wakes up.

use super::threads::{ESTABLISHED, Peer, in_memory};
use super::*;
use crate::protocol::{Alarm, Cause};

/// Waits until the timer thread sleeps for the next heartbeat and for nothing else. Returns how often it has begun its
/// loop.
fn rests(client: &Client) -> u64 {
    let limit = crate::util::clock::now() + 10 * AT_ONCE;
    loop {
        let (slept_for, next, turns) = client
            .shared()
            .with_core(|core| (core.timer.slept_for, core.machine.alarm(), core.timer.turns));
        let is_heartbeat = matches!(next, Some(Alarm { cause: Cause::Heartbeat, .. }));
        if is_heartbeat && slept_for == next {
            return turns;
        }
        assert!(crate::util::clock::now() < limit, "it sleeps for {slept_for:?}, not for {next:?}");
        std::thread::yield_now();
    }
}

fn connected() -> (Client, Peer) {
    let (client, dialled) = in_memory(Duration::ZERO);
    client.connect();
    let peer = dialled.recv_timeout(10 * AT_ONCE).unwrap();
    peer.send(ESTABLISHED);
    client.wait_connected(10 * AT_ONCE).unwrap();
    (client, peer)
}

fn cause(client: &Client) -> Option<Cause> {
    client.shared().with_core(|core| core.timer.alarm.map(|alarm| alarm.cause))
}

/// Sets one deadline of each sort and meets it: of the dial, of a subscription, of a ping.
fn deadlines_pass(client: &Client, peer: &Peer) {
    rests(client);
    let room = client.public_channel("room").unwrap();
    room.subscribe();
    assert_eq!(cause(client), Some(Cause::Step));
    peer.send(r#"{"event":"pusher_internal:subscription_succeeded","channel":"room"}"#);
    room.wait_subscribed(10 * AT_ONCE).unwrap();
    rests(client);
    client.network_changed();
    assert_eq!(cause(client), Some(Cause::Pong));
    peer.send(r#"{"event":"pusher:pong"}"#);
    rests(client);
}

#[test]
fn the_timer_sleeps_for_no_deadline_that_was_met() {
    let (client, peer) = connected();
    deadlines_pass(&client, &peer);
    client.disconnect();
    assert_eq!(cause(&client), None);
    client.close(10 * AT_ONCE).unwrap();
}

#[test]
fn events_do_not_wake_the_timer() {
    let (client, peer) = connected();
    let before = rests(&client);
    let events = client.bind("event");
    for _ in 0..100 {
        peer.send(r#"{"event":"event","channel":"room","data":""}"#);
        events.recv_timeout(10 * AT_ONCE).unwrap();
    }
    let after = client.shared().with_core(|core| core.timer.turns);
    assert_eq!(after, before);
    client.close(10 * AT_ONCE).unwrap();
}
