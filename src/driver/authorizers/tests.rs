//! Who is asked next, without a thread.

use super::*;

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

/// A pool of these workers, with a question for each of the authorizers.
fn pool(workers: usize, hosts: &[&'static str]) -> Authorizers {
    let mut pool = Authorizers::new(None, None, workers);
    for (ticket, host) in hosts.iter().enumerate() {
        let channel = ChannelName::from(format!("private-{ticket}"));
        let answerer = Answerer::authorizer(Arc::new(At(host)), &Tls::default(), &Proxy::none());
        pool.by_channel.insert(channel.clone(), answerer);
        let subject = Subject::Channel(channel);
        let job = Job { ticket: ticket as u64, subject, socket_id: "1.2".to_owned(), attempt: 1 };
        assert!(pool.submit(job).is_ok());
    }
    pool
}

/// The tickets of the questions that are asked now, and their turns.
fn asked(pool: &mut Authorizers) -> Vec<(u64, Turn)> {
    let mut asked = Vec::new();
    while asked.len() < pool.max_workers {
        let Some((_, job, turn, _)) = pool.next() else { break };
        asked.push((job.ticket, turn));
    }
    asked
}

fn tickets(asked: &[(u64, Turn)]) -> Vec<u64> {
    asked.iter().map(|(ticket, _)| *ticket).collect()
}

#[test]
fn channels_of_one_host_leave_half_of_the_workers_to_others() {
    let mut hosts = vec!["hangs:80"; 8];
    hosts.push("good:80");
    let mut pool = pool(4, &hosts);
    assert_eq!(tickets(&asked(&mut pool)), [0, 1, 8]);
}

#[test]
fn authorizers_that_name_no_host_count_by_themselves() {
    let mut pool = pool(4, &["", "", "", "", ""]);
    assert_eq!(tickets(&asked(&mut pool)), [0, 1, 2, 3]);
}

#[test]
fn a_quick_response_gets_more_workers_started() {
    let mut pool = pool(4, &["good:80"; 8]);
    let first = asked(&mut pool);
    assert_eq!(tickets(&first), [0, 1]);
    // The two that found nothing to ask have left.
    pool.workers = 2;
    pool.asking.push((first[0].1, vec![0]));
    assert!(!pool.came_back(first[0].1, End::Responded(Duration::ZERO)));
    let mut started = 0;
    for ticket in 2..5 {
        let (_, job, _, more) = pool.next().unwrap();
        assert_eq!(job.ticket, ticket);
        started += usize::from(more && pool.enter());
    }
    assert_eq!((started, pool.workers), (2, 4));
}

#[test]
fn a_question_for_a_full_endpoint_starts_no_worker() {
    let mut pool = pool(4, &["hangs:80", "hangs:80", "hangs:80"]);
    asked(&mut pool);
    pool.workers = 2;
    let subject = Subject::Channel("private-0".into());
    let job = Job { ticket: 9, subject, socket_id: "1.2".to_owned(), attempt: 1 };
    assert!(matches!(pool.submit(job), Ok(false)));
    assert_eq!(pool.workers, 2);
}

#[test]
fn an_endpoint_that_is_given_up_is_slow_and_its_turn_over() {
    let mut pool = pool(4, &["hangs:80"; 4]);
    let first = asked(&mut pool);
    pool.workers = 2;
    for (ticket, turn) in &first {
        pool.asking.push((*turn, vec![*ticket]));
    }
    assert!(pool.abandon(0), "another worker takes the next question");
    assert_eq!(pool.hanging, 1);
    assert_eq!(tickets(&asked(&mut pool)), [2]);
    // It comes back at last, which neither ends a turn nor clears its name.
    assert!(pool.came_back(first[0].1, End::Responded(Duration::ZERO)));
    assert_eq!((pool.hanging, tickets(&asked(&mut pool)).len()), (0, 0));
}

#[test]
fn all_who_may_be_asked_count_until_they_are_replaced_or_gone() {
    let at = |host| Answerer::authorizer(Arc::new(At(host)), &Tls::default(), &Proxy::none());
    let mut pool = Authorizers::new(Some(at("a:80")), None, 4);
    let quick = pool.shares.begin(at("a:80").endpoint());
    pool.shares.end(quick, End::Responded(Duration::ZERO));
    // With one worker taken, only an endpoint that may use all of four takes a third and a fourth.
    let may_use_all = |pool: &mut Authorizers| {
        let endpoint = at("a:80").endpoint();
        let turns = [pool.shares.begin(endpoint), pool.shares.begin(endpoint)];
        let admitted = pool.shares.admits(endpoint);
        turns.into_iter().for_each(|turn| pool.shares.end(turn, End::NotAsked));
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
