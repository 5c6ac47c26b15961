//! `us-strictest` is what all US policies allow together, and no state is looser than the federal rule.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rules::calendar::Calendar;
use rules::kinds::{ComplianceWindow, Zone};
use rules::policies::Policy;

use crate::folder;

const STRICTEST: &str = "us-strictest";

/// A week before Pennsylvania's change and one after it, and one in which the clocks go forward.
const WEEKS: [&str; 3] =
    ["2026-10-05T00:00:00-04:00", "2026-11-30T00:00:00-05:00", "2027-03-08T00:00:00-05:00"];

fn minutes() -> impl Iterator<Item = Timestamp> {
    WEEKS.into_iter().flat_map(|start| {
        let start: Timestamp = start.parse().unwrap();
        (0..7 * 24 * 60).map(move |minute| start + SignedDuration::from_mins(minute))
    })
}

/// All US policies but the one that is made of them.
fn others() -> Vec<Policy> {
    let files = folder::all().into_iter().filter(|file| file.stem.starts_with("us-"));
    let policies: Vec<_> =
        files.map(|file| file.policy()).filter(|policy| policy.name != STRICTEST).collect();
    assert!(policies.len() > 20, "{}", policies.len());
    policies
}

fn strictest() -> Policy {
    folder::named(STRICTEST).policy()
}

/// Without zones of its own, so that it is read in those of the campaign.
fn anywhere(mut policy: Policy) -> Policy {
    policy.spec.time_zones = None;
    policy
}

fn calendar(policies: impl IntoIterator<Item = Policy>, campaign: &[Zone]) -> Calendar {
    let window = ComplianceWindow { time_zones: campaign.to_vec(), hours: None, close_lead_seconds: 0 };
    let policies: Vec<_> = policies.into_iter().map(Arc::new).collect();
    Calendar::new(Some(&window), &policies, true).unwrap()
}

fn new_york() -> [Zone; 1] {
    [Zone("America/New_York".into())]
}

#[test]
fn read_in_one_zone_the_strictest_is_the_intersection_of_the_others_to_the_minute() {
    let all = calendar(others().into_iter().map(anywhere), &new_york());
    let strictest = calendar([strictest()], &new_york());
    let mut open = 0;
    for at in minutes() {
        assert_eq!(strictest.allowed(at), all.allowed(at), "{at}");
        open += u32::from(strictest.allowed(at));
    }
    assert!(open > 0, "it is never open");
}

#[test]
fn read_where_the_states_are_the_strictest_is_no_looser_than_any_of_them() {
    let mut zones: Vec<Zone> = others().iter().flat_map(|it| it.spec.time_zones.clone()).flatten().collect();
    zones.sort();
    zones.dedup();
    let strictest = calendar([strictest()], &zones);
    let each: Vec<_> = others().into_iter().map(|it| (it.name.clone(), calendar([it], &zones))).collect();
    let mut open = 0;
    for at in minutes().filter(|at| strictest.allowed(*at)) {
        open += 1;
        // Of Pennsylvania's two policies only one applies.
        let mut closed = each.iter().filter(|(_, it)| !it.allowed(at)).map(|(name, _)| name.as_str());
        assert!(closed.all(|name| name.starts_with("us-pa")), "{at}");
    }
    assert!(open > 0, "it is never open");
    let pennsylvania = others().into_iter().filter(|it| it.name.starts_with("us-pa"));
    let pennsylvania = calendar(pennsylvania, &zones);
    assert!(minutes().filter(|at| strictest.allowed(*at)).all(|at| pennsylvania.allowed(at)));
}

#[test]
fn no_state_is_looser_than_the_federal_rule() {
    let federal = calendar([folder::named("us-federal").policy()], &new_york());
    for policy in others() {
        let name = policy.name.clone();
        let state = calendar([anywhere(policy)], &new_york());
        for at in minutes() {
            assert!(federal.allowed(at) || !state.allowed(at), "{name} at {at}");
        }
    }
}
