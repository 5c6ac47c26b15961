//! How often a tenant may be asked.
//!
//! The generic cell rate algorithm with reservations: who comes too early gets the instant of his own slot and comes
//! back then. Nothing waits in here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{NotNow, Why};

/// A slot that its campaign has not come back for is forgotten this long after it was due.
const UNUSED: Duration = Duration::from_secs(60);

/// Debt is forgiven beyond this: else an hour of repeated closes would blind the open lane for hours.
const MOST_DEBT: Duration = Duration::from_secs(60);

pub(crate) struct Budget {
    /// The time one request is worth.
    interval: Duration,
    /// How far ahead of time a request may come: the burst, but for the request itself.
    slack: Duration,
    state: Mutex<State>,
}

struct State {
    /// All requests up to here are paid for (the algorithm's theoretical arrival time).
    paid_until: Instant,
    hold: Option<Instant>,
    slots: HashMap<String, Instant>,
}

impl Budget {
    pub(crate) fn new(requests_per_second: u32, burst: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        let state = State { paid_until: now, hold: None, slots: HashMap::new() };
        Self { interval, slack: interval * (burst.max(1) - 1), state: Mutex::new(state) }
    }

    /// Pays for one request of this campaign, or says when its slot is.
    pub(crate) fn admit(&self, campaign: &str, now: Instant) -> Result<(), NotNow> {
        let mut state = self.state();
        state.slots.retain(|_, slot| *slot + UNUSED > now);
        let held = state.hold.filter(|hold| *hold > now);
        // Slots are dealt out from the end of the hold on, so that not all come back at that one instant.
        let earliest = held.unwrap_or(now);
        let kept = state.slots.remove(campaign).filter(|slot| held.is_none_or(|hold| *slot >= hold));
        let slot = kept.unwrap_or_else(|| self.next_slot(&mut state, earliest));
        if slot <= now {
            return Ok(());
        }
        state.slots.insert(campaign.to_owned(), slot);
        Err(NotNow { until: slot, why: if held.is_some() { Why::Hold } else { Why::Budget } })
    }

    /// Books one request that is not asked for in advance; the open lane repays it.
    pub(crate) fn pay(&self, now: Instant) {
        let mut state = self.state();
        if state.paid_until < now + MOST_DEBT {
            state.paid_until = state.paid_until.max(now) + self.interval;
        }
    }

    /// Holds the open lane; a hold in force is never shortened.
    pub(crate) fn hold_for(&self, wait: Duration, now: Instant) {
        let mut state = self.state();
        state.hold = state.hold.max(Some(now + wait));
    }

    /// Until when the open lane is held, if it is.
    pub(crate) fn hold(&self, now: Instant) -> Option<Instant> {
        self.state().hold.filter(|hold| *hold > now)
    }

    fn next_slot(&self, state: &mut State, earliest: Instant) -> Instant {
        let due = state.paid_until.max(earliest);
        state.paid_until = due + self.interval;
        due.checked_sub(self.slack).map_or(earliest, |slot| slot.max(earliest))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn budget(burst: u32) -> (Budget, Instant) {
        let now = Instant::now();
        (Budget::new(10, burst, now), now)
    }

    fn refused(budget: &Budget, campaign: &str, now: Instant) -> NotNow {
        budget.admit(campaign, now).unwrap_err()
    }

    #[test]
    fn a_burst_passes_and_then_one_request_each_interval() {
        let (budget, now) = budget(3);
        for campaign in ["a", "b", "c"] {
            assert_eq!(budget.admit(campaign, now), Ok(()));
        }
        for (n, campaign) in (1..).zip(["d", "e", "f"]) {
            assert_eq!(
                refused(&budget, campaign, now),
                NotNow { until: now + 100 * n * MS, why: Why::Budget }
            );
        }
    }

    #[test]
    fn who_comes_back_at_his_slot_finds_it_in_the_order_of_asking() {
        let (budget, now) = budget(1);
        assert_eq!(budget.admit("a", now), Ok(()));
        let (first, second) = (refused(&budget, "b", now).until, refused(&budget, "c", now).until);
        assert!(first < second);
        assert_eq!(refused(&budget, "b", now + 50 * MS).until, first, "asking early changes nothing");
        assert_eq!(refused(&budget, "late", first).until, second + 100 * MS, "no overtaking");
        assert_eq!(budget.admit("c", second), Ok(()));
        assert_eq!(budget.admit("b", second), Ok(()));
        assert!(budget.admit("b", second).is_err(), "a slot is used once");
    }

    #[test]
    fn a_slot_that_is_not_used_for_a_minute_is_dropped() {
        let (budget, now) = budget(1);
        assert_eq!(budget.admit("a", now), Ok(()));
        let slot = refused(&budget, "b", now).until;
        assert_eq!(budget.admit("c", slot + UNUSED), Ok(()));
        assert!(budget.admit("b", slot + UNUSED).is_err());
        assert_eq!(budget.state().slots.len(), 1);
    }

    #[test]
    fn debt_is_repaid_by_who_asks_and_is_bounded() {
        let (budget, now) = budget(1);
        for _ in 0..5 {
            budget.pay(now);
        }
        assert_eq!(refused(&budget, "a", now).until, now + 500 * MS);
        for _ in 0..10_000 {
            budget.pay(now);
        }
        assert!(refused(&budget, "b", now).until <= now + MOST_DEBT + 2 * budget.interval);
    }

    #[test]
    fn a_hold_refuses_all_until_it_ends_and_then_lets_them_in_at_the_rate() {
        let (budget, now) = budget(2);
        budget.hold_for(5 * SECOND, now);
        let end = now + 5 * SECOND;
        assert_eq!(budget.hold(now), Some(end));
        let slots = ["a", "b", "c", "d"].map(|campaign| refused(&budget, campaign, now));
        assert!(slots.iter().all(|slot| slot.why == Why::Hold));
        assert_eq!(slots.map(|slot| slot.until), [end, end, end + 100 * MS, end + 200 * MS]);
        assert_eq!(budget.hold(end), None);
        assert_eq!(budget.admit("a", end), Ok(()));
        assert_eq!(refused(&budget, "d", end).why, Why::Budget);
    }

    #[test]
    fn a_hold_is_never_shortened_and_zero_holds_nothing() {
        let (budget, now) = budget(1);
        budget.hold_for(Duration::ZERO, now);
        assert_eq!(budget.hold(now), None);
        budget.hold_for(9 * SECOND, now);
        budget.hold_for(SECOND, now);
        assert_eq!(budget.hold(now), Some(now + 9 * SECOND));
    }

    #[test]
    fn slots_that_fell_into_a_hold_are_dealt_anew_behind_it() {
        let (budget, now) = budget(1);
        for campaign in ["a", "b", "c"] {
            let _ = budget.admit(campaign, now);
        }
        budget.hold_for(5 * SECOND, now);
        let end = now + 5 * SECOND;
        assert_eq!(refused(&budget, "b", now + SECOND).until, end);
        assert_eq!(refused(&budget, "c", now + SECOND).until, end + 100 * MS);
        assert_eq!(refused(&budget, "b", now + 2 * SECOND).until, end, "dealt once");
    }

    #[test]
    fn a_rate_or_burst_of_zero_counts_as_one() {
        let now = Instant::now();
        let budget = Budget::new(0, 0, now);
        assert_eq!(budget.admit("a", now), Ok(()));
        assert_eq!(refused(&budget, "b", now).until, now + SECOND);
    }

    proptest! {
        #[test]
        fn whoever_keeps_his_appointments_never_exceeds_rate_and_burst(
            rate in 1_u32..50, burst in 1_u32..50, arrivals in prop::collection::vec(0_u64..2_000, 1..100)
        ) {
            let start = Instant::now();
            let budget = Budget::new(rate, burst, start);
            let mut arrivals: Vec<_> = arrivals.into_iter().map(|ms| start + MS * ms as u32).collect();
            arrivals.sort();
            let mut sent: Vec<_> = arrivals.iter().enumerate().map(|(n, at)| {
                match budget.admit(&n.to_string(), *at) { Ok(()) => *at, Err(not_now) => not_now.until }
            }).collect();
            sent.sort();
            for (n, first) in sent.iter().enumerate() {
                let within = sent[n..].iter().filter(|at| **at < *first + SECOND).count();
                prop_assert!(within <= (rate + burst) as usize);
            }
        }
    }
}
