//! Which request is next, without a thread.

mod turns;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{AuthRequest, Authorizer, ClientSettings};

/// Whose host is this.
struct At(&'static str);

impl Authorizer for At {
    fn authorize(&self, _: &AuthRequest) -> Result<Auth, Error> {
        Ok(Auth::new("key:signature"))
    }

    fn endpoint(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.to_owned())
    }
}

fn at(host: &'static str) -> AuthSource {
    AuthSource::new(Arc::new(At(host)), &ClientSettings::default())
}

fn request(id: u64, channel: &str) -> Request {
    let subject = Subject::Channel(channel.into());
    Request { id, subject, socket_id: "1.2".to_owned(), attempt: 1 }
}

/// A pool of these workers, with a request to each of the authorizers.
fn pool(workers: usize, hosts: &[&'static str]) -> AuthPool {
    let mut pool = AuthPool::new(None, None, workers);
    for (id, host) in hosts.iter().enumerate() {
        let channel = format!("private-{id}");
        pool.by_channel.insert(channel.as_str().into(), at(host));
        assert!(pool.submit(request(id as u64, &channel)).is_ok());
    }
    pool
}

/// The requests that are made now, and their turns.
fn requested(pool: &mut AuthPool) -> Vec<(u64, Turn)> {
    let mut requested = Vec::new();
    while requested.len() < pool.max_workers {
        let Some((source, request, turn, _)) = pool.next() else { break };
        pool.running.push(Running { turn, source, ids: vec![request.id], given_up: false });
        requested.push((request.id, turn));
    }
    requested
}

fn ids(requested: &[(u64, Turn)]) -> Vec<u64> {
    requested.iter().map(|(id, _)| *id).collect()
}

#[test]
fn one_endpoint_leaves_half_of_the_workers_to_others() {
    let mut hosts = vec!["hangs:80"; 8];
    hosts.push("good:80");
    let mut pool = pool(4, &hosts);
    assert_eq!(ids(&requested(&mut pool)), [0, 1, 8]);
}

#[test]
fn authorizers_without_an_endpoint_count_by_themselves() {
    let mut pool = pool(4, &["", "", "", "", ""]);
    assert_eq!(ids(&requested(&mut pool)), [0, 1, 2, 3]);
}

#[test]
fn a_quick_response_gets_more_workers_started() {
    let mut pool = pool(4, &["good:80"; 8]);
    let first = requested(&mut pool);
    assert_eq!(ids(&first), [0, 1]);
    // The two that found no request have ended.
    pool.workers = 2;
    pool.shares.end(first[0].1, End::Responded(Duration::ZERO));
    assert!(!pool.came_back(first[0].1));
    let mut started = 0;
    for id in 2..5 {
        let (_, request, _, more) = pool.next().unwrap();
        assert_eq!(request.id, id);
        started += usize::from(more && pool.enter());
    }
    assert_eq!((started, pool.workers), (2, 4));
}

#[test]
fn a_request_for_a_full_endpoint_starts_no_worker() {
    let mut pool = pool(4, &["hangs:80", "hangs:80", "hangs:80"]);
    requested(&mut pool);
    pool.workers = 2;
    assert!(matches!(pool.submit(request(9, "private-0")), Ok(false)));
    assert_eq!(pool.workers, 2);
}

#[test]
fn giving_a_worker_up_ends_its_turn_and_makes_its_endpoint_slow() {
    let mut pool = pool(4, &["hangs:80"; 4]);
    let first = requested(&mut pool);
    pool.workers = 2;
    assert!(pool.abandon(0), "another worker takes the next request");
    assert_eq!(pool.hanging(), 1);
    assert_eq!(ids(&requested(&mut pool)), [2]);
    // It comes back at last, which neither ends a turn nor clears its name.
    pool.shares.end(first[0].1, End::Responded(Duration::ZERO));
    assert!(pool.came_back(first[0].1));
    assert_eq!((pool.hanging(), ids(&requested(&mut pool)).len()), (0, 0));
}

#[test]
fn sources_count_until_they_are_replaced_or_removed() {
    let mut pool = AuthPool::new(Some(at("a:80")), None, 4);
    let quick = pool.shares.begin(at("a:80").endpoint());
    pool.shares.end(quick, End::Responded(Duration::ZERO));
    // With one worker taken, only an endpoint that may use all of four takes a third and a fourth.
    let may_use_all = |pool: &mut AuthPool| {
        let endpoint = at("a:80").endpoint();
        let turns = [pool.shares.begin(endpoint), pool.shares.begin(endpoint)];
        let admitted = pool.shares.admits(endpoint);
        turns.into_iter().for_each(|turn| pool.shares.end(turn, End::NotRequested));
        admitted
    };
    assert!(may_use_all(&mut pool));
    pool.set_of_channel("private-a".into(), at("a:80"));
    assert!(may_use_all(&mut pool), "the same host");
    pool.set_of_channel("private-a".into(), at("b:80"));
    assert!(!may_use_all(&mut pool));
    assert!(pool.remove("private-a").is_some());
    assert!(may_use_all(&mut pool));
    assert!(pool.set_of_user(at("b:80")).is_ok());
    assert!(!may_use_all(&mut pool));
    assert!(pool.set_of_user(at("a:80")).is_ok());
    assert!(may_use_all(&mut pool));
}

/// The ids of the batch that is collected with this turn.
fn batch(pool: &mut AuthPool, turn: Turn) -> Vec<u64> {
    pool.take_batch(turn).into_iter().map(|request| request.id).collect()
}

#[test]
fn a_batch_takes_all_requests_for_its_source_and_connection() {
    let mut pool = AuthPool::new(Some(at("a:80")), None, 4);
    pool.by_channel.insert("private-own".into(), at("a:80"));
    let other = |id| Request { socket_id: "3.4".to_owned(), ..request(id, "private-a") };
    for id in 0..3 {
        assert!(pool.submit(request(id, "private-a")).is_ok());
    }
    assert!(pool.submit(request(3, "private-own")).is_ok());
    assert!(pool.submit(other(4)).is_ok());
    let (source, first, turn, more) = pool.next().unwrap();
    assert!(more, "another worker is for the other requests");
    pool.collect(turn, &source, first);
    for id in 5..7 {
        assert!(matches!(pool.submit(request(id, "private-a")), Ok(false)), "it is collected");
    }
    assert!(matches!(pool.submit(request(7, "private-own")), Ok(true)));
    assert!(!pool.is_collected(turn));
    assert_eq!(batch(&mut pool, turn), [0, 1, 2, 5, 6]);
    pool.shares.end(turn, End::Responded(Duration::ZERO));
    // The order of the others is kept.
    let next = |pool: &mut AuthPool| {
        let (_, request, turn, _) = pool.next().unwrap();
        pool.shares.end(turn, End::NotRequested);
        request.id
    };
    assert_eq!([(); 3].map(|()| next(&mut pool)), [3, 4, 7]);
}

#[test]
fn a_full_batch_leaves_the_rest_to_another_worker() {
    let mut pool = AuthPool::new(Some(at("a:80")), None, 4);
    let limit = waiting::MAX_BATCH as u64;
    assert!(pool.submit(request(0, "private-a")).is_ok());
    let (source, first, turn, _) = pool.next().unwrap();
    pool.collect(turn, &source, first);
    for id in 1..limit {
        assert!(matches!(pool.submit(request(id, "private-a")), Ok(false)));
    }
    assert!(pool.is_collected(turn));
    assert!(matches!(pool.submit(request(limit, "private-a")), Ok(true)));
    assert_eq!(batch(&mut pool, turn).len() as u64, limit);
    assert_eq!(pool.next().unwrap().1.id, limit);
}

#[test]
fn closing_ends_the_collection() {
    let mut pool = pool(4, &["a:80"]);
    let (source, first, turn, _) = pool.next().unwrap();
    pool.collect(turn, &source, first);
    assert!(!pool.is_collected(turn));
    drop(pool.close());
    assert!(pool.is_collected(turn));
}
