//! What a policy says by itself, as far as that does not depend on a campaign.

use std::sync::Arc;

use jiff::Timestamp;

use crate::calendar::Calendar;
use crate::kinds::{
    ClosesAt, ComplianceWindow, Day, DialingPolicySpec, Freeze, Hours, OpensAt, PolicyState, Zone,
};
use crate::policies::{ActiveFreeze, Policy};

/// What a policy says at one instant, and when that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it says.
    pub state: PolicyState,
    /// When that changes next, where it does within 400 days.
    pub next_change: Option<Timestamp>,
    /// The same in words.
    pub message: String,
}

/// What this policy says at this instant.
pub fn standing(policy: &Arc<Policy>, at: Timestamp) -> Standing {
    // For a campaign that may run around the clock what is left is what the policy says.
    let calendar = match Calendar::new(Some(&around_the_clock()), &[Arc::clone(policy)], false) {
        Ok(calendar) => calendar,
        Err(why) => {
            let message = why.to_string();
            return Standing { state: PolicyState::Unreadable, next_change: None, message };
        }
    };
    if let Some(freeze) = policy.freeze(at) {
        return frozen(&freeze);
    }
    let message = match &policy.spec.freeze {
        Some(Freeze { until: Some(until), .. }) => {
            format!("its freeze has ended at {} and holds nothing any more", until.timestamp())
        }
        _ => "it applies to the campaigns of the namespaces that it selects".to_owned(),
    };
    if is_read_in_the_campaigns_zones(&policy.spec) {
        return Standing { state: PolicyState::PerCampaign, next_change: None, message };
    }
    let turn = calendar.next_turn_of_policies(at);
    if !calendar.policies_apply(at) {
        return Standing { state: PolicyState::Inactive, next_change: turn, message };
    }
    let view = calendar.view(at);
    let state = if view.open { PolicyState::Open } else { PolicyState::Closed };
    Standing { state, next_change: view.next_edge().into_iter().chain(turn).min(), message }
}

fn frozen(freeze: &ActiveFreeze<'_>) -> Standing {
    let state = if freeze.pauses { PolicyState::Frozen } else { PolicyState::StartsFrozen };
    let what = if freeze.pauses { "frozen" } else { "starts are frozen" };
    let end = freeze.until.map_or_else(|| "until it is lifted".to_owned(), |until| format!("until {until}"));
    Standing { state, next_change: freeze.until, message: format!("{what} {end}: {}", freeze.reason) }
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
    fn a_freeze_that_has_ended_or_holds_starts_alone_is_not_taken_for_a_brake() {
        let with = |freeze: serde_json::Value| serde_json::json!({ "freeze": freeze });
        let at = "2026-11-23T12:00:00Z";
        let ended = with(serde_json::json!({"reason": "x", "until": "2026-11-23T11:00:00Z"}));
        assert_eq!(told(ended.clone(), at), (PolicyState::Open, None));
        let message = standing(&policy(ended), at.parse().unwrap()).message;
        assert_eq!(message, "its freeze has ended at 2026-11-23T11:00:00Z and holds nothing any more");
        let starts = with(serde_json::json!({"reason": "x", "pauseRunning": false}));
        assert_eq!(told(starts, at), (PolicyState::StartsFrozen, None));
    }

    #[test]
    fn the_largest_policy_that_never_opens_is_soon_judged() {
        let zones: Vec<_> = crate::zones::names().filter(|name| name.contains('/')).take(32).collect();
        let closed: Vec<_> = (0..400)
            .map(|day| jiff::civil::date(2026, 11, 1) + jiff::Span::new().days(day))
            .map(|date| serde_json::json!({"date": date.to_string(), "reason": "x"}))
            .collect();
        let hours = serde_json::json!([{"days": ["Mon"], "from": "08:00", "to": "08:01"}]);
        let spec = serde_json::json!({"hours": hours, "timeZones": zones, "closedDates": closed});
        crate::calendar::work::take();
        assert_eq!(told(spec, "2026-11-23T12:00:00Z"), (PolicyState::Closed, None));
        let asked = crate::calendar::work::take();
        assert!(asked < 1_000_000, "asked {asked} times");
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
