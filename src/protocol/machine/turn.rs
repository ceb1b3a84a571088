//! One call at a time of user code, which may not return.

use std::time::Duration;

use crate::util::units;

/// After this the log says that something waits for the call to return.
const UNNOTICED: Duration = Duration::from_secs(1);

/// The call that has not returned. The next one waits for it.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<Call>);

#[derive(Debug)]
struct Call {
    number: u64,
    /// The code that is called.
    code: &'static str,
    since: Duration,
    noticed: bool,
}

impl Turn {
    pub(super) fn is_free(&self) -> bool {
        self.0.is_none()
    }

    /// Returns `true` if the call with this number has not returned.
    pub(super) fn is(&self, number: u64) -> bool {
        self.0.as_ref().is_some_and(|call| call.number == number)
    }

    pub(super) fn begin(&mut self, number: u64, code: &'static str, now: Duration) {
        self.0 = Some(Call { number, code, since: now, noticed: false });
    }

    /// The call with this number now calls other code.
    pub(super) fn go_on(&mut self, number: u64, code: &'static str, now: Duration) {
        if let Some(call) = self.0.as_mut().filter(|call| call.number == number) {
            (call.code, call.since) = (code, now);
        }
    }

    /// The call with this number has returned. Returns `true` if it was running.
    pub(super) fn end(&mut self, number: u64) -> bool {
        self.0.take_if(|call| call.number == number).is_some()
    }

    /// Returns when [`Self::report`] is due, if something waits.
    pub(super) fn report_at(&self) -> Option<Duration> {
        let call = self.0.as_ref().filter(|call| !call.noticed)?;
        Some(call.since.saturating_add(UNNOTICED))
    }

    /// Returns what to log, once per call, if something waits.
    pub(super) fn report(&mut self, now: Duration) -> Option<String> {
        if self.report_at()? > now {
            return None;
        }
        self.0.as_mut()?.noticed = true;
        self.describe(now)
    }

    pub(super) fn describe(&self, now: Duration) -> Option<String> {
        let Call { code, since, .. } = self.0.as_ref()?;
        Some(format!("{code} has not returned for {}", units::words(now.saturating_sub(*since))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_turn_ends_with_the_one_whose_it_is() {
        let mut turn = Turn::default();
        assert!(turn.is_free() && !turn.is(1) && !turn.end(1));
        turn.begin(1, "the connector", SECOND);
        assert!(!turn.is_free() && turn.is(1) && !turn.is(2));
        assert!(!turn.end(2) && !turn.is_free());
        assert!(turn.end(1) && turn.is_free());
    }

    #[test]
    fn that_something_waits_is_noticed_once_for_each_call_and_not_at_once() {
        let mut turn = Turn::default();
        for number in 1..3 {
            turn.begin(number, "the resolver", SECOND);
            assert_eq!(turn.report_at(), Some(2 * SECOND));
            assert_eq!(turn.report(2 * SECOND - Duration::from_nanos(1)), None);
            let text = turn.report(5 * SECOND).unwrap();
            assert_eq!(text, "the resolver has not returned for 4 s");
            assert_eq!((turn.report_at(), turn.report(100 * SECOND)), (None, None));
            assert!(turn.end(number));
        }
        assert_eq!((turn.report_at(), turn.describe(SECOND)), (None, None));
    }

    #[test]
    fn only_the_one_whose_turn_it_is_goes_on() {
        let mut turn = Turn::default();
        turn.begin(1, "the resolver", SECOND);
        turn.go_on(2, "another", 9 * SECOND);
        turn.go_on(1, "the connector", 2 * SECOND);
        let text = turn.describe(3 * SECOND).unwrap();
        assert_eq!(text, "the connector has not returned for 1 s");
    }
}
