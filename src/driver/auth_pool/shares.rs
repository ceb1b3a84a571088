//! Limits how many workers each endpoint may use, so that one that hangs leaves some to the others.
//!
//! It knows no thread and no clock.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// An endpoint whose last response took longer than this counts as slow.
const QUICK: Duration = Duration::from_secs(1);

/// The number of endpoints that are remembered. Others count as new.
const REMEMBERED: usize = 64;

/// Identifies an endpoint.
pub(super) type EndpointId = u64;

/// The same name is the same endpoint. A source that names none is an endpoint of its own, by its address.
pub(super) fn endpoint_id(name: Option<String>, address: *const ()) -> EndpointId {
    let mut hasher = DefaultHasher::new();
    match name {
        Some(name) => name.hash(&mut hasher),
        None => address.hash(&mut hasher),
    }
    hasher.finish()
}

/// Identifies one use of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn(u64);

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// No request was made.
    NotRequested,
    /// It responded after this time, with an error or without.
    Responded(Duration),
    /// It timed out.
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its last response was quick, so it may use all workers if it is the only endpoint.
    Quick,
    /// It was not, so it shares half of the workers with all other slow endpoints.
    Slow,
}

/// Tracks which endpoints use the workers.
///
/// An endpoint that has not responded yet may use half of the workers. So may one that is not the client's only
/// one, since it may have begun to hang since its last response.
pub(super) struct Shares {
    half: usize,
    /// How many sources of the client name each endpoint.
    members: HashMap<EndpointId, usize>,
    /// The turns that have not ended.
    turns: Vec<(Turn, EndpointId)>,
    last: u64,
    /// The one whose turn ended last is at the end.
    standings: VecDeque<(EndpointId, Standing)>,
}

impl Shares {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            half: (workers / 2).max(1),
            members: HashMap::new(),
            turns: Vec::new(),
            last: 0,
            standings: VecDeque::new(),
        }
    }

    /// Adds a source of this endpoint.
    pub(super) fn enter(&mut self, endpoint: EndpointId) {
        *self.members.entry(endpoint).or_default() += 1;
    }

    /// Removes a source of this endpoint.
    pub(super) fn leave(&mut self, endpoint: EndpointId) {
        if let Some(count) = self.members.get_mut(&endpoint) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.members.remove(&endpoint);
            }
        }
    }

    fn is_only(&self, endpoint: EndpointId) -> bool {
        self.members.len() == usize::from(self.members.contains_key(&endpoint))
    }

    /// Returns `true` if the endpoint may use another worker.
    pub(super) fn admits(&self, endpoint: EndpointId) -> bool {
        let counts = |other| match self.standing(endpoint) {
            Some(Standing::Slow) => self.standing(other) == Some(Standing::Slow),
            _ => other == endpoint,
        };
        let used = || self.turns.iter().filter(|(_, other)| counts(*other)).count();
        let takes_all = self.is_only(endpoint) && self.standing(endpoint) == Some(Standing::Quick);
        takes_all || used() < self.half
    }

    pub(super) fn begin(&mut self, endpoint: EndpointId) -> Turn {
        self.last += 1;
        let turn = Turn(self.last);
        self.turns.push((turn, endpoint));
        turn
    }

    /// Ends a turn, unless it has ended already.
    pub(super) fn end(&mut self, turn: Turn, end: End) {
        let Some(position) = self.turns.iter().position(|(other, _)| *other == turn) else {
            return;
        };
        let (_, endpoint) = self.turns.swap_remove(position);
        let standing = match end {
            End::NotRequested => return,
            End::Responded(took) if took <= QUICK => Standing::Quick,
            End::Responded(_) | End::TimedOut => Standing::Slow,
        };
        self.standings.retain(|(other, _)| *other != endpoint);
        self.standings.push_back((endpoint, standing));
        if self.standings.len() > REMEMBERED {
            self.standings.pop_front();
        }
    }

    fn standing(&self, endpoint: EndpointId) -> Option<Standing> {
        let known = self.standings.iter().find(|(other, _)| *other == endpoint);
        known.map(|(_, standing)| *standing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: EndpointId = 1;
    const B: EndpointId = 2;
    const C: EndpointId = 3;

    /// How many workers the endpoint gets when it takes as many as it can, of those that are free.
    fn taken(shares: &mut Shares, endpoint: EndpointId, free: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        while turns.len() < free && shares.admits(endpoint) {
            turns.push(shares.begin(endpoint));
        }
        turns
    }

    fn responded(shares: &mut Shares, endpoint: EndpointId, took: Duration) {
        let turn = shares.begin(endpoint);
        shares.end(turn, End::Responded(took));
    }

    #[test]
    fn an_endpoint_that_has_not_responded_gets_half() {
        for (workers, half) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (200, 100)] {
            let mut shares = Shares::new(workers);
            assert_eq!(taken(&mut shares, A, workers).len(), half, "of {workers}");
            // Another one gets its own.
            assert_eq!(taken(&mut shares, B, workers).len(), half, "of {workers}");
        }
    }

    #[test]
    fn one_that_responds_quickly_gets_all_and_loses_them_when_it_does_not() {
        let mut shares = Shares::new(4);
        responded(&mut shares, A, QUICK);
        let turns = taken(&mut shares, A, 4);
        assert_eq!(turns.len(), 4);
        for (turn, end) in turns.into_iter().zip([
            End::NotRequested,
            End::Responded(Duration::ZERO),
            End::NotRequested,
            End::Responded(QUICK + Duration::from_millis(1)),
        ]) {
            assert!(shares.admits(A));
            shares.end(turn, end);
        }
        assert_eq!(taken(&mut shares, A, 4).len(), 2);
        let turn = shares.turns[0].0;
        shares.end(turn, End::Responded(Duration::ZERO));
        assert_eq!(taken(&mut shares, A, 3).len(), 3);
        let turn = shares.turns[0].0;
        shares.end(turn, End::TimedOut);
        assert!(!shares.admits(A));
    }

    #[test]
    fn one_of_several_gets_half_since_it_may_have_begun_to_hang() {
        let mut shares = Shares::new(4);
        let limit = |shares: &mut Shares| {
            let turns = taken(shares, A, 4);
            turns.iter().for_each(|turn| shares.end(*turn, End::NotRequested));
            turns.len()
        };
        responded(&mut shares, A, Duration::ZERO);
        for _ in 0..2 {
            shares.enter(A);
            assert_eq!(limit(&mut shares), 4, "it is the only one");
        }
        shares.enter(B);
        assert_eq!(limit(&mut shares), 2);
        shares.leave(A);
        assert_eq!(limit(&mut shares), 2);
        shares.leave(B);
        assert_eq!(limit(&mut shares), 4);
        shares.leave(A);
        assert!(shares.members.is_empty());
    }

    #[test]
    fn slow_ones_share_half() {
        let mut shares = Shares::new(4);
        for endpoint in [A, B] {
            responded(&mut shares, endpoint, 2 * QUICK);
        }
        let turns = [shares.begin(A), shares.begin(B)];
        assert!(!shares.admits(A) && !shares.admits(B));
        // Neither takes anything from one that is new or quick.
        assert_eq!(taken(&mut shares, C, 2).len(), 2);
        shares.end(turns[0], End::NotRequested);
        assert!(shares.admits(A) && shares.admits(B));
    }

    #[test]
    fn a_turn_ends_once() {
        let mut shares = Shares::new(2);
        let (given_up, next) = (shares.begin(A), shares.begin(A));
        shares.end(given_up, End::TimedOut);
        // It comes back at last.
        shares.end(given_up, End::Responded(Duration::ZERO));
        assert!(!shares.admits(A), "the other one is not over");
        shares.end(next, End::NotRequested);
        assert!(shares.admits(A));
    }

    #[test]
    fn no_more_than_the_last_ones_are_remembered() {
        let mut shares = Shares::new(2);
        for endpoint in 0..1000 {
            responded(&mut shares, endpoint, Duration::ZERO);
        }
        assert_eq!(shares.standings.len(), REMEMBERED);
        assert_eq!(shares.standing(999), Some(Standing::Quick));
        assert_eq!(shares.standing(0), None);
    }
}
