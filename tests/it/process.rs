//! What a whole process shows: threads, descriptors, wake-ups. Each test runs alone in a child
//! process, since the other tests of this binary have threads and descriptors of their own.

use std::fs;
use std::time::Duration;

use crate::support::{
    SOON, alone, confirm_room, establish, listen, now, quick, scaled, spawn, wait_for,
    wait_for_close,
};

pub(crate) fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        // A thread that has just ended has no name any more.
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until the process is back to what it was.
pub(crate) fn settles(threads_before: usize, descriptors_before: usize) {
    let deadline = now() + SOON;
    while threads().len() > threads_before || descriptors() > descriptors_before {
        let (threads, descriptors) = (threads(), descriptors());
        assert!(now() < deadline, "{threads:?}, {descriptors} > {descriptors_before}");
        std::thread::yield_now();
    }
}

#[test]
fn clients_leave_no_thread_and_no_descriptor() {
    alone(|| {
        let (threads_before, descriptors_before) = (threads().len(), descriptors());
        for round in 0..100 {
            let (listener, options) = listen();
            let client = quick(options).build().unwrap();
            let room = client.public_channel("room").unwrap();
            let events = room.bind_all();
            room.subscribe();
            client.connect();
            let mut socket = establish(&listener);
            wait_for(&mut socket, "pusher:subscribe");
            match round % 4 {
                0 => client.close(SOON).unwrap(),
                1 => drop(client),
                2 => drop(socket.get_ref().shutdown(std::net::Shutdown::Both)),
                _ => client.disconnect(),
            }
            drop(room);
            drop(events);
        }
        settles(threads_before, descriptors_before);
    });
}

/// How often each thread of the client has gone to sleep, by name.
fn sleeps() -> Vec<(String, u64)> {
    let mut sleeps = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().to_owned()
        };
        let name = field("Name:");
        if name.starts_with("pusher-") {
            let voluntary: u64 = field("voluntary_ctxt_switches:").parse().unwrap();
            let forced: u64 = field("nonvoluntary_ctxt_switches:").parse().unwrap();
            sleeps.push((name, voluntary + forced));
        }
    }
    sleeps.sort();
    sleeps
}

/// Waits until the threads are idle, then observes them for a while.
fn idles(wait: Duration) {
    let (_keep, nothing) = std::sync::mpsc::channel::<()>();
    let deadline = now() + SOON;
    let mut before = sleeps();
    loop {
        // The time is what is measured here.
        assert!(nothing.recv_timeout(wait).is_err());
        let after = sleeps();
        if before == after {
            let names: Vec<_> = after.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["pusher-reader", "pusher-timer"]);
            return;
        }
        assert!(now() < deadline, "it does not rest: {before:?}, then {after:?}");
        before = after;
    }
}

#[test]
fn idle_client_does_not_wake_up() {
    alone(|| {
        let (listener, options) = listen();
        let client =
            quick(options).subscribe_timeout(scaled(Duration::from_millis(100))).build().unwrap();
        let room = client.public_channel("room").unwrap();
        room.subscribe();
        client.connect();
        let mut socket = establish(&listener);
        confirm_room(&mut socket);
        room.wait_subscribed(SOON).unwrap();
        idles(Duration::from_secs(1));
    });
}

#[test]
fn unused_channels_are_freed_with_their_handles() {
    alone(|| {
        let (listener, options) = listen();
        let client = quick(options).build().unwrap();
        client.connect();
        let socket = establish(&listener);
        client.wait_connected(SOON).unwrap();
        let far = spawn(move || wait_for_close(socket));
        let round = |number: usize| {
            for index in 0..1000 {
                let name = format!("room-{number}-{index}");
                let room = client.public_channel(&name).unwrap();
                let (_events, _errors) = (room.bind("event"), room.bind_subscription_error());
                room.subscribe();
                room.unsubscribe();
            }
        };
        for number in 0..3 {
            round(number);
        }
        let before = resident_kib();
        for number in 3..30 {
            round(number);
        }
        let grown = resident_kib().saturating_sub(before);
        // 27,000 channels that are kept would take more than 10 MiB.
        assert!(grown < 5 * 1024, "grown by {grown} KiB");
        client.close(SOON).unwrap();
        far.recv_timeout(SOON).unwrap();
    });
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
