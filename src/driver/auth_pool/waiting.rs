//! The requests that wait for a worker. The work under the lock does not grow with their number.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::shares::EndpointId;
use super::source::{AuthSource, Request};

/// The largest number of requests in a batch.
pub(super) const MAX_BATCH: usize = 100;

/// The largest number of requests that are considered for a batch.
const MAX_LOOK: usize = 10 * MAX_BATCH;

type Queue = VecDeque<(AuthSource, Request)>;

/// One queue for each endpoint.
#[derive(Default)]
pub(in crate::driver) struct Waiting {
    queues: HashMap<EndpointId, Queue>,
    /// The endpoint of each queue, by the id of its first request.
    first: BTreeMap<u64, EndpointId>,
}

impl Waiting {
    pub(super) fn push(&mut self, source: AuthSource, request: Request) {
        self.edit(source.endpoint(), |queue| queue.push_back((source, request)));
    }

    /// Returns the endpoint of the oldest request whose endpoint is admitted.
    pub(super) fn next(&self, admits: impl Fn(EndpointId) -> bool) -> Option<EndpointId> {
        self.first.values().copied().find(|endpoint| admits(*endpoint))
    }

    pub(super) fn pop(&mut self, endpoint: EndpointId) -> Option<(AuthSource, Request)> {
        self.edit(endpoint, Queue::pop_front)
    }

    /// Adds requests to the same source and of the same connection, up to the limits.
    pub(super) fn fill(&mut self, source: &AuthSource, batch: &mut Vec<Request>) {
        self.edit(source.endpoint(), |queue| {
            let mut passed = Vec::new();
            for _ in 0..MAX_LOOK.min(queue.len()) {
                let Some((other, request)) = queue.pop_front() else { break };
                if other.is(source) && fits(batch, &request) {
                    batch.push(request);
                } else {
                    passed.push((other, request));
                }
                if batch.len() >= MAX_BATCH {
                    break;
                }
            }
            passed.into_iter().rev().for_each(|passed| queue.push_front(passed));
        });
    }

    pub(in crate::driver) fn into_iter(self) -> impl Iterator<Item = (AuthSource, Request)> {
        self.queues.into_values().flatten()
    }

    fn edit<R>(&mut self, endpoint: EndpointId, edit: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queues.remove(&endpoint).unwrap_or_default();
        if let Some((_, request)) = queue.front() {
            self.first.remove(&request.id);
        }
        let result = edit(&mut queue);
        if let Some((_, request)) = queue.front() {
            self.first.insert(request.id, endpoint);
            self.queues.insert(endpoint, queue);
        }
        result
    }
}

/// Returns `true` if the request may join the batch: all are of one connection.
pub(super) fn fits(batch: &[Request], request: &Request) -> bool {
    batch.len() < MAX_BATCH
        && batch.first().is_none_or(|first| first.socket_id == request.socket_id)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::driver::auth_pool::Subject;
    use crate::{Auth, AuthRequest, Authorizer, ClientSettings, Error};

    /// Names its number as the endpoint.
    struct Numbered(u64);

    impl Authorizer for Numbered {
        fn authorize(&self, _: &AuthRequest) -> Result<Auth, Error> {
            Ok(Auth::new("key:signature"))
        }

        fn endpoint(&self) -> Option<String> {
            Some(self.0.to_string())
        }
    }

    fn source(endpoint: u64) -> AuthSource {
        AuthSource::new(Arc::new(Numbered(endpoint)), &ClientSettings::default())
    }

    fn request(id: u64) -> Request {
        let subject = Subject::Channel("private-a".into());
        Request { id, subject, socket_id: "1.2".to_owned(), attempt: 1 }
    }

    /// Counts the endpoints that are considered while 60,000 requests to these sources are pushed and popped, with
    /// two calls of `next` for each.
    fn looks(sources: &[AuthSource], admits: impl Fn(EndpointId) -> bool) -> u32 {
        let looks = Cell::new(0);
        let counted = |endpoint| {
            looks.set(looks.get() + 1);
            admits(endpoint)
        };
        let mut waiting = Waiting::default();
        for (id, source) in (0..60_000).zip(sources.iter().cycle()) {
            waiting.push(source.clone(), request(id));
        }
        for _ in 0..60_000 {
            let _ = waiting.next(counted);
            if let Some(endpoint) = waiting.next(counted) {
                assert!(waiting.pop(endpoint).is_some());
            }
        }
        looks.get()
    }

    #[test]
    fn next_does_not_scan_the_requests() {
        let one = [source(1)];
        assert_eq!(looks(&one, |_| true), 120_000);
        assert_eq!(looks(&one, |_| false), 120_000);
        // The same endpoint for each channel's own authorizer.
        let own: Vec<_> = (0..1000).map(|_| source(1)).collect();
        assert_eq!(looks(&own, |_| false), 120_000);
        let endpoints: Vec<_> = (0..60_000).map(source).collect();
        let refused = endpoints[0].endpoint();
        assert!(looks(&endpoints, |endpoint| endpoint != refused) < 4 * 60_000 + 2);
    }

    #[test]
    fn the_oldest_admitted_request_is_first() {
        let sources = [source(1), source(2)];
        let mut waiting = Waiting::default();
        for (id, of) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
            waiting.push(sources[of].clone(), request(id));
        }
        let next = |waiting: &mut Waiting, refused: Option<EndpointId>| {
            let endpoint = waiting.next(|endpoint| Some(endpoint) != refused)?;
            waiting.pop(endpoint).map(|(_, request)| request.id)
        };
        let first = Some(sources[0].endpoint());
        assert_eq!(next(&mut waiting, first), Some(2));
        assert_eq!(next(&mut waiting, None), Some(1));
        assert_eq!(next(&mut waiting, None), Some(3));
        assert_eq!(next(&mut waiting, None), Some(4));
        assert_eq!(next(&mut waiting, None), None);
        assert_eq!((waiting.queues.len(), waiting.first.len()), (0, 0));
    }

    #[test]
    fn a_batch_considers_a_bounded_number_of_requests() {
        let (mine, others) = (source(1), source(1));
        let mut waiting = Waiting::default();
        for id in 1..=MAX_LOOK as u64 {
            waiting.push(others.clone(), request(id));
        }
        waiting.push(mine.clone(), request(9999));
        let mut batch = vec![request(0)];
        waiting.fill(&mine, &mut batch);
        assert_eq!(batch.len(), 1);
        assert_eq!(waiting.pop(mine.endpoint()).map(|(_, request)| request.id), Some(1));
        waiting.fill(&mine, &mut batch);
        assert_eq!(batch.iter().map(|request| request.id).collect::<Vec<_>>(), [0, 9999]);
        assert_eq!(waiting.pop(mine.endpoint()).map(|(_, request)| request.id), Some(2));
    }
}
