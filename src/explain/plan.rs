//! The coming transitions of declarations, and what applying them would close.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use rules::decide::Decision;
use rules::gates::Gate;
use rules::inputs::Meta;
use rules::kinds::{DialerCampaignStateSpec, Effective, Mode, Observed, Target};
use rules::plan::{Plan, Question, ideal_site, plan};
use rules::policies::{Knowledge, Policies};
use rules::reasons::conditions;
use rules::zones;

use super::args::PlanArgs;
use super::bars;
use super::concern::Concern;
use super::subjects::{Subject, Subjects, gather};
use super::views::{Holding, PlanReport, PlannedCampaign, Running, Transition};
use super::when::Zone;

/// What a tenant's requests may take where none is known.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// What is closed by applying is closed in the first moment of a plan.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);
/// What a plan can't know.
const ASSUMPTIONS: [&str; 4] = [
    "few enough calls are active when a start is due",
    "nobody changes the declaration, a policy, or the campaign in CXone",
    "CXone, the tenant and the operator work",
    "a start that a freeze held comes up to 10 s after it",
];

/// Plans what the arguments name.
///
/// # Errors
/// Where a manifest is wrong, or the cluster does not give what is needed.
pub async fn report(args: &PlanArgs) -> Result<PlanReport> {
    let from = args.from.unwrap_or_else(Timestamp::now);
    let Subjects { all, others, concern, before, mut notes } = gather(args).await?;
    let campaigns = all.iter().map(|subject| planned(args, subject, &concern, &before, from));
    let campaigns = campaigns.collect::<Result<_>>()?;
    let warnings = others.iter().flat_map(|other| warned(other, &concern, &before, from, &mut notes));
    let warnings = warnings.collect();
    let looked_at = all.iter().chain(&others).map(|subject| subject.namespace.as_str()).collect();
    notes.extend(concern.unheeded(&looked_at));
    if !others.is_empty() {
        let namespaces: BTreeSet<_> = others.iter().map(|other| &other.namespace).collect();
        notes.push(format!(
            "{} more live campaigns of {} namespaces are not shown; only whether applying this closes them was looked at",
            others.len(),
            namespaces.len()
        ));
    }
    Ok(PlanReport {
        from,
        zone_database: zones::version(),
        campaigns,
        warnings,
        assumptions: ASSUMPTIONS.to_vec(),
        notes,
    })
}

fn planned(
    args: &PlanArgs,
    subject: &Subject,
    concern: &Concern,
    before: &Concern,
    from: Timestamp,
) -> Result<PlannedCampaign> {
    let (spec, policies, meta) = (&subject.object.spec, concern.about(&subject.namespace), subject.meta());
    let zone = zone_of(args.show.zone.as_deref(), spec, &policies)?;
    let until = bars::midnight(&zone, from, i64::from(args.days))
        .ok_or_else(|| anyhow!("{} days from {from} on are out of range", args.days))?;
    let plan = rehearse(subject, spec, &meta, &policies, from, until);
    let (_, observed, observed_by) = subject.known();
    let name = subject.object.name_any();
    let holding = |decision: &Decision| {
        // What is declared not to run, or runs, is held by nothing.
        let wanted = decision.effective == Effective::Held
            || (decision.effective == Effective::Running && !decision.satisfied);
        let obstacles = decision.gates.iter().filter(|_| wanted).filter_map(Gate::obstacle);
        obstacles.map(|o| Holding::of(o, &policies, &subject.namespace, &name)).collect()
    };
    let mut days = bars::days(&zone, from, args.days, &plan.running);
    bars::name_closed_dates(&mut days, &policies);
    Ok(PlannedCampaign {
        campaign_id: spec.campaign_id.clone(),
        source: subject.source.clone(),
        declared: spec.state,
        effective: plan.first.effective,
        observed,
        observed_by,
        until,
        transitions: plan.changes.iter().map(|change| Transition::of(change, &zone, &policies)).collect(),
        running: plan.running.iter().map(|span| Running { from: span.from, until: span.until }).collect(),
        days,
        held_now: holding(&plan.first),
        held_at_end: holding(&plan.last),
        policies: policies.references(),
        warnings: warnings(subject, &plan, before, from, until),
        notes: notes(subject, concern, &policies, &meta, &plan),
        zone: zone.name,
        namespace: subject.namespace.clone(),
        name,
    })
}

/// What applying would do to a campaign that is not planned. Where nothing changes for its namespace nothing is asked.
fn warned(
    other: &Subject,
    concern: &Concern,
    before: &Concern,
    from: Timestamp,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let policies = concern.about(&other.namespace);
    if policies == before.about(&other.namespace) {
        return Vec::new();
    }
    let until = from.checked_add(AT_ONCE).unwrap_or(Timestamp::MAX);
    let plan = rehearse(other, &other.object.spec, &other.meta(), &policies, from, until);
    let told = warnings(other, &plan, before, from, until);
    let note = concern.note(&other.namespace).filter(|note| !told.is_empty() && !notes.contains(note));
    notes.extend(note);
    told
}

/// The plan of what is enforced: in mode Observe it is what would be done.
fn rehearse(
    subject: &Subject,
    spec: &DialerCampaignStateSpec,
    meta: &Meta,
    policies: &Policies,
    from: Timestamp,
    until: Timestamp,
) -> Plan {
    let (status, observed, _) = subject.known();
    let spec = &DialerCampaignStateSpec { mode: Mode::Enforce, ..spec.clone() };
    let (site, status) = (&ideal_site(TIMEOUT), &status);
    plan(&Question { spec, meta, site, policies, status, observed, from, until, at_most: usize::MAX })
}

/// The zone of display: the one that was asked for, or where the called people are.
pub fn zone_of(asked: Option<&str>, spec: &DialerCampaignStateSpec, policies: &Policies) -> Result<Zone> {
    if let Some(name) = asked {
        return Zone::named(name).context("the zone of display");
    }
    let own = spec.compliance_window.iter().flat_map(|window| &window.time_zones);
    let theirs = policies.matching.iter().flat_map(|policy| policy.spec.time_zones.iter().flatten());
    Ok(Zone::first_of(own.chain(theirs).map(|zone| zone.0.as_str())))
}

/// What applying would do to a campaign that runs.
fn warnings(
    subject: &Subject,
    plan: &Plan,
    before: &Concern,
    from: Timestamp,
    until: Timestamp,
) -> Vec<String> {
    let Some(live) = &subject.live else { return Vec::new() };
    let (spec, name) = (&subject.object.spec, format!("{}/{}", subject.namespace, subject.object.name_any()));
    let mut told = Vec::new();
    for (field, differs) in [
        ("campaignId", live.spec.campaign_id != spec.campaign_id),
        ("tenantRef", live.spec.tenant_ref != spec.tenant_ref),
    ] {
        if differs {
            told.push(format!(
                "{name}: {field} is immutable and differs from the live object's: it would be refused"
            ));
        }
    }
    let (_, observed, _) = subject.known();
    let closes =
        plan.changes.first().filter(|first| first.at == from && first.to.is_some_and(Target::is_close));
    if observed == Observed::Running
        && spec.mode == Mode::Enforce
        && let Some(first) = closes
    {
        let policies = before.about(&subject.namespace);
        let as_is = rehearse(subject, &live.spec, &Meta::of(live), &policies, from, until);
        let anyway = as_is.first.must_close() && live.spec.mode == Mode::Enforce;
        if !anyway {
            told.push(format!("applying this closes {name} at once, which runs now: {}", first.why));
        }
    }
    told
}

fn notes(subject: &Subject, concern: &Concern, policies: &Policies, meta: &Meta, plan: &Plan) -> Vec<String> {
    let spec = &subject.object.spec;
    let mut notes = subject.notes.clone();
    notes.extend(concern.note(&subject.namespace));
    if let Knowledge::Missing(why) | Knowledge::InDoubt(why) = &policies.knowledge {
        notes.push(why.clone());
    }
    if spec.mode == Mode::Observe {
        notes.push(
            "mode Observe: nothing of this is sent to CXone; it is what mode Enforce would do".to_owned(),
        );
    }
    if spec.suspend {
        notes.push("suspended: nothing is started, and the declared state is not applied".to_owned());
    }
    if meta.hold.is_some() && subject.is_new && Meta::of(&subject.object).hold.is_none() {
        notes
            .push("the hold annotation of the live object is not in the file: applying leaves it".to_owned());
    }
    if meta.deleting {
        notes.push("the live object is being deleted".to_owned());
    }
    let known = subject.known().0.observed.is_some_and(|observed| observed != Observed::Unknown);
    if !known && plan.first.closing.is_some() && spec.mode == Mode::Enforce {
        notes.push("should it run in CXone now, it is closed at once".to_owned());
    }
    notes.extend(last_said(subject));
    notes
}

/// What keeps the live object from being as declared: a violation by its own name, though it is `Stalled` too.
fn last_said(subject: &Subject) -> Option<String> {
    let status = subject.live.as_ref()?.status.as_ref()?;
    let condition =
        status.condition(conditions::VIOLATION).or_else(|| status.condition(conditions::STALLED))?;
    Some(format!("the operator last said {}, {}: {}", condition.type_, condition.reason, condition.message))
}
