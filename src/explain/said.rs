//! What only the running operator can know is taken as it last said, and told in its words.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use rules::decide::Decision;
use rules::gates::{Gate, Verdict};
use rules::inputs::{Claim, Site};
use rules::kinds::{CampaignStatus, Cause, Observed};
use rules::policies::{Knowledge, Policies};
use rules::reasons::{Reason, conditions};

/// Where reasons are told, the plainest words first.
const TOLD_BY: [&str; 4] =
    [conditions::HELD, conditions::STALLED, conditions::RECONCILING, conditions::READY];
/// What the operator knows of the gates of these reasons is more than can be asked from here.
const IN_ITS_WORDS: [Reason; 4] =
    [Reason::DuplicateClaim, Reason::ClaimPending, Reason::NotListed, Reason::PolicyUnreadable];

/// The condition with this reason.
pub fn condition(status: &CampaignStatus, reason: Reason) -> Option<&Condition> {
    let of = |type_| status.condition(type_).filter(|c: &&Condition| c.reason == reason.as_str());
    TOLD_BY.into_iter().find_map(of)
}

/// Whether it gives this reason for anything.
pub fn gives(status: &CampaignStatus, reason: Reason) -> bool {
    status.conditions.iter().any(|c| c.reason == reason.as_str())
}

/// The policies that concern a campaign: as they are read from here, but where the operator can't read them, and acts on that.
pub fn policies(read: Policies, status: &CampaignStatus) -> Policies {
    if read.knowledge != Knowledge::Full {
        return read;
    }
    let awaited = condition(status, Reason::NotListed).filter(|c| c.message.contains("policies"));
    let knowledge = match condition(status, Reason::PolicyUnreadable) {
        Some(told) if closes(status) => Knowledge::Missing(told.message.clone()),
        // That nothing starts holds in either case, and more is not known.
        Some(told) => Knowledge::InDoubt(told.message.clone()),
        None if awaited.is_some() => Knowledge::Awaited,
        None => Knowledge::Full,
    };
    Policies { knowledge, ..read }
}

/// Whether what is held now is also closed for it: a running campaign is only held where it is.
fn closes(status: &CampaignStatus) -> bool {
    let last = status.history.first().map(|record| record.cause);
    status.observed == Some(Observed::Running) || last == Some(Cause::PolicyUnreadable)
}

/// What the operator says of the site.
pub fn site(status: &CampaignStatus, site: Site) -> Site {
    let listed = match condition(status, Reason::NotListed) {
        // The policies' gate tells of it.
        Some(told) => told.message.contains("policies"),
        None => true,
    };
    Site {
        claim: match (gives(status, Reason::DuplicateClaim), gives(status, Reason::ClaimPending)) {
            (true, _) => Claim::Lost { winner: None },
            (_, true) => Claim::Pending,
            _ => Claim::Held,
        },
        listed,
        audit_writable: !gives(status, Reason::AuditUnavailable),
        ..site
    }
}

/// Puts the operator's words in the place of ours, where it knows more: who has the campaign, what can't be read.
pub fn retell(decision: &mut Decision, status: &CampaignStatus) {
    let details: Vec<String> =
        decision.gates.iter().filter_map(Gate::obstacle).map(|obstacle| obstacle.detail.clone()).collect();
    for gate in &mut decision.gates {
        let Verdict::Closed(obstacle) = &mut gate.verdict else { continue };
        let told = IN_ITS_WORDS.contains(&obstacle.reason).then(|| condition(status, obstacle.reason));
        // Where it can't be decoded here either, our own words name it.
        let Some(told) = told.flatten().filter(|_| obstacle.policy.is_none()) else { continue };
        let mut words = told.message.as_str();
        // What holds besides is told by its own gate.
        while let Some(rest) = details.iter().find_map(|d| words.strip_suffix(d.as_str())?.strip_suffix("; "))
        {
            words = rest;
        }
        obstacle.detail = words.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(observed: &str, conditions: &[(&str, Reason, &str)]) -> CampaignStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, reason, message)| {
                json!({"type": type_, "status": "True", "reason": reason.as_str(), "message": message,
                       "lastTransitionTime": "2026-11-24T13:00:00Z"})
            })
            .collect();
        serde_json::from_value(
            json!({"observedGeneration": 1, "observed": observed, "conditions": conditions}),
        )
        .unwrap()
    }

    #[test]
    fn what_the_operator_can_not_read_is_not_read_by_whoever_asks() {
        let unreadable = |observed| status(observed, &[("Held", Reason::PolicyUnreadable, "no right")]);
        let of = |status: &CampaignStatus| policies(Policies::default(), status).knowledge;
        assert_eq!(of(&status("Paused", &[])), Knowledge::Full);
        assert_eq!(of(&unreadable("Paused")), Knowledge::InDoubt("no right".into()));
        assert_eq!(of(&unreadable("Running")), Knowledge::Missing("no right".into()));
        let list = |what| status("Paused", &[("Reconciling", Reason::NotListed, what)]);
        assert_eq!(of(&list("the policies have not been listed yet")), Knowledge::Awaited);
        assert_eq!(of(&list("not all declarations have been listed yet")), Knowledge::Full);
        // What can't be read from here either is known better here.
        let bad = Policies { knowledge: Knowledge::Missing("bad".into()), ..Policies::default() };
        assert_eq!(policies(bad.clone(), &unreadable("Paused")), bad);
    }
}
