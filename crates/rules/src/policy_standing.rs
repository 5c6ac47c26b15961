//! What a policy says by itself, as far as that does not depend on a campaign.

use std::sync::Arc;

use jiff::Timestamp;

use crate::calendar::{Calendar, HORIZON};
use crate::kinds::{ClosesAt, ComplianceWindow, Day, DialingPolicySpec, Hours, OpensAt, PolicyState, Zone};
use crate::policies::Policy;

/// What a policy says at one instant, and when that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it says.
    pub state: PolicyState,
    /// When that changes next, where it does within 400 days.
    pub next_change: Option<Timestamp>,
    /// What is wrong with it, where it can't be read.
    pub trouble: Option<String>,
}

/// Changes that are no change of the state are followed so far.
const STRETCHES: usize = 2000;

/// What this policy says at this instant.
pub fn standing(policy: &Arc<Policy>, at: Timestamp) -> Standing {
    // For a campaign that may run around the clock what is left is what the policy says.
    let calendar = match Calendar::new(Some(&around_the_clock()), &[Arc::clone(policy)], false) {
        Ok(calendar) => calendar,
        Err(why) => {
            let trouble = Some(why.to_string());
            return Standing { state: PolicyState::Unreadable, next_change: None, trouble };
        }
    };
    let told = |state, next_change| Standing { state, next_change, trouble: None };
    if let Some(freeze) = policy.freeze(at).filter(|freeze| freeze.pauses) {
        return told(PolicyState::Frozen, freeze.until);
    }
    if is_read_in_the_campaigns_zones(&policy.spec) {
        return told(PolicyState::PerCampaign, None);
    }
    let state = |at| match (calendar.policies_apply(at), calendar.view(at).open) {
        (false, _) => PolicyState::Inactive,
        (true, true) => PolicyState::Open,
        (true, false) => PolicyState::Closed,
    };
    let now = state(at);
    let end = at.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    let edges = std::iter::successors(calendar.next_turn(at), |at| calendar.next_turn(*at));
    let mut edges = edges.take_while(|edge| *edge < end).take(STRETCHES);
    told(now, edges.find(|edge| state(*edge) != now))
}

fn is_read_in_the_campaigns_zones(spec: &DialingPolicySpec) -> bool {
    let speaks_of_time = spec.hours.is_some()
        || !spec.closed_dates.is_empty()
        || spec.effective_from.is_some()
        || spec.effective_until.is_some();
    spec.time_zones.is_none() && speaks_of_time
}

fn around_the_clock() -> ComplianceWindow {
    let all_day =
        Hours { days: Day::WEEK.to_vec(), from: OpensAt("00:00".into()), to: ClosesAt("24:00".into()) };
    ComplianceWindow {
        time_zones: vec![Zone("UTC".into())],
        hours: Some(vec![all_day]),
        close_lead_seconds: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: serde_json::Value) -> Arc<Policy> {
        let spec = serde_json::from_value(spec).unwrap();
        Arc::new(Policy { name: "p".into(), generation: 1, spec })
    }

    fn told(spec: serde_json::Value, at: &str) -> (PolicyState, Option<String>) {
        let standing = standing(&policy(spec), at.parse().unwrap());
        (standing.state, standing.next_change.map(|at| at.to_string()))
    }

    fn weekdays() -> serde_json::Value {
        serde_json::json!([{"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "08:00", "to": "20:00"}])
    }

    #[test]
    fn a_policy_with_zones_of_its_own_is_open_or_closed_until_its_next_edge() {
        let spec = serde_json::json!({"hours": weekdays(), "timeZones": ["UTC"]});
        assert_eq!(
            told(spec.clone(), "2026-11-23T12:00:00Z"),
            (PolicyState::Open, Some("2026-11-23T20:00:00Z".into()))
        );
        assert_eq!(
            told(spec, "2026-11-21T12:00:00Z"),
            (PolicyState::Closed, Some("2026-11-23T08:00:00Z".into()))
        );
    }

    #[test]
    fn a_policy_that_is_not_in_effect_yet_is_inactive_until_its_first_day() {
        let spec =
            serde_json::json!({"hours": weekdays(), "timeZones": ["UTC"], "effectiveFrom": "2026-12-05"});
        assert_eq!(
            told(spec, "2026-11-23T12:00:00Z"),
            (PolicyState::Inactive, Some("2026-12-05T00:00:00Z".into()))
        );
    }

    #[test]
    fn a_freeze_goes_before_everything_else_and_tells_its_end() {
        let freeze = serde_json::json!({"reason": "x", "until": "2026-11-23T13:00:00+01:00"});
        let spec = serde_json::json!({"hours": weekdays(), "freeze": freeze});
        assert_eq!(
            told(spec.clone(), "2026-11-23T11:59:59Z"),
            (PolicyState::Frozen, Some("2026-11-23T12:00:00Z".into()))
        );
        assert_eq!(told(spec, "2026-11-23T12:00:00Z"), (PolicyState::PerCampaign, None));
    }

    #[test]
    fn a_policy_that_says_nothing_of_time_is_open_for_good() {
        assert_eq!(
            told(serde_json::json!({"maxActiveCalls": 5}), "2026-11-23T12:00:00Z"),
            (PolicyState::Open, None)
        );
    }

    #[test]
    fn a_policy_with_an_unknown_zone_is_unreadable() {
        let spec = serde_json::json!({"hours": weekdays(), "timeZones": ["Mars/Phobos"]});
        assert_eq!(told(spec, "2026-11-23T12:00:00Z"), (PolicyState::Unreadable, None));
    }
}
