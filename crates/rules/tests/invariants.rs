//! What holds in every world: random declarations, hours, faults, outside hands and restarts, judged by a naive reading.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

#[path = "common/any.rs"]
mod any;
#[path = "common/law.rs"]
mod law;
#[path = "common/naive.rs"]
mod naive;

use any::{Change, Scenario, scenario};
use common::{Sim, Snapshot, freeze, policy, secs, window_at};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};
use rules::decide::{Decision, Step, decide};
use rules::inputs::Inputs;
use rules::kinds::Day;
use rules::policies::{Knowledge, Policy};
use std::sync::Arc;

/// The same worlds each time, unless `PROPTEST_RNG_SEED` or `PROPTEST_CASES` ask for others.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let seeded = std::env::var("PROPTEST_RNG_SEED").is_ok();
    ProptestConfig {
        cases: if std::env::var("PROPTEST_CASES").is_ok() { default.cases } else { cases },
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: if seeded { default.rng_seed } else { RngSeed::Fixed(20_261_123) },
        failure_persistence: None,
        ..default
    }
}

fn apply(sim: &mut Sim, change: &Change) {
    match change.clone() {
        Change::State(state) => sim.edit(|s| s.state = state),
        Change::Hours(hours) => sim.edit(|s| s.compliance_window = hours),
        Change::Policies(policies) => sim.policies = policies,
        Change::Hold(hold) => sim.meta.hold = hold.then(|| "held".into()),
        Change::Suspend(suspend) => sim.edit(|s| s.suspend = suspend),
        Change::Hand(state) => sim.hand(state),
        Change::Calls(calls) => sim.world.calls = calls,
        Change::Ahead(seconds) => sim.ahead = seconds.map(SignedDuration::from_secs),
        Change::Release => sim.meta.release = Some(format!("{}", sim.passes)),
        Change::Reconcile => sim.meta.reconcile = Some(format!("{}", sim.passes)),
        Change::Site(site) => sim.site = site,
        Change::Mode(mode) => sim.edit(|s| s.mode = mode),
        Change::Delete => (sim.meta.deleting, sim.meta.finalizer) = (true, true),
        Change::Restart => sim.restart(),
        Change::Kill(points) => sim.files.kills.push(sim.files.points + points),
    }
}

/// Runs the scenario, calling `each` before every pass with the world as it then is.
fn play(scenario: &Scenario, mut each: impl FnMut(&Sim)) -> Sim {
    let mut sim = scenario.sim();
    for (wait, change) in &scenario.changes {
        let end = sim.world.mono + secs(*wait);
        sim.until = end;
        while sim.world.mono < end {
            each(&sim);
            let decision = sim.pass();
            let sleep = decision.wake_in.min(secs(15)).max(std::time::Duration::from_millis(1));
            sim.world.advance(sleep.min(end.saturating_sub(sim.world.mono)));
        }
        apply(&mut sim, change);
    }
    sim
}

proptest! {
    #![proptest_config(config(80))]

    #[test]
    fn i1_every_start_agrees_with_a_naive_reading_of_every_gate_on_facts_of_its_own_pass(s in scenario()) {
        let mut tracker = naive::Pauses::default();
        let mut frames = Vec::new();
        let sim = play(&s, |sim| {
            tracker.follow(sim);
            frames.push(naive::Frame::of(sim, &tracker));
        });
        for pair in frames.windows(2) {
            for request in &sim.world.log[pair[0].sent..pair[1].sent] {
                if let Err(why) = naive::start_is_right(&pair[0], request, &sim.world.log[..pair[1].sent]) {
                    prop_assert!(false, "{why} at {:?}", request.at);
                }
            }
        }
    }

    #[test]
    fn i2_whatever_may_not_run_is_closed_within_a_bound_of_the_platforms_return(s in scenario()) {
        let mut late = naive::Overdue::default();
        let sim = play(&s, |sim| late.look(sim));

        prop_assert!(late.worst <= naive::BOUND, "dialed {:?} too long: {:?}", late.worst, sim.world.past);
    }

    #[test]
    fn i4_every_transition_is_announced_and_has_one_outcome_wherever_processes_end(s in scenario()) {
        let sim = play(&s, |_| {});
        sim.assert_outcomes();
        for (_, to, id, _) in sim.world.puts(0.0) {
            prop_assert!(sim.files.announced.iter().any(|intent| (intent.id, intent.to) == (id, to)), "{id}");
        }
    }

    #[test]
    fn i8_an_unknown_fact_a_hold_a_suspension_fewer_hours_and_skew_never_make_a_start(s in scenario()) {
        let mut s = s;
        s.watch = true;
        let mut sim = play(&s, |_| {});
        for snapshot in sim.watch.take().unwrap() {
            let base = matches!(snapshot.decision.step, Step::Start { .. });
            // Before the statistics are read nothing starts, whatever else holds.
        let near = snapshot.campaign.pass.active_calls.is_some();
        prop_assert!(near || !base);
        for (name, tighter) in near.then(|| tighter(&snapshot)).into_iter().flatten() {
                let then = matches!(again(&tighter).step, Step::Start { .. });
                prop_assert!(!then || (base && name == "fewer hours"), "{name}");
            }
            let closing = snapshot.decision.closing.is_some();
            let held = again(&with(&snapshot, |s| s.meta.hold = Some("held".into())));
            prop_assert!(!closing || held.closing.is_some());
            prop_assert!(held.closing.is_some() && !held.may_run());
        }
    }

    #[test]
    fn i8_one_more_policy_a_freeze_or_less_knowledge_never_allows_more((s, extra) in (scenario(), any::policies())) {
        let mut s = s;
        s.watch = true;
        let mut sim = play(&s, |_| {});
        for snapshot in sim.watch.take().unwrap().iter().step_by(3) {
            let base = &snapshot.decision;
            // Hours of a policy allow more where there were none: that is what gives hours, not what lifts a rule.
            let own = !snapshot.policies.required
                && snapshot.spec.compliance_window.as_ref().is_some_and(|w| w.hours.is_some());
            let others = extra.matching.iter().map(|policy| if own { policy.clone() } else { hourless(policy) });
            let more = with(snapshot, |s| s.policies.matching.extend(others));
            for (name, tighter) in more_policies(snapshot).into_iter().chain([("random", more)]) {
                let then = again(&tighter);
                prop_assert!(!then.may_run() || base.may_run(), "{} lets it run", name);
                prop_assert!(then.closing.is_some() || base.closing.is_none(), "{} takes a close away", name);
                let starts = |d: &Decision| matches!(d.step, Step::Start { .. });
                prop_assert!(!starts(&then) || starts(base), "{} lets it start", name);
                let closes = ["frozen", "an unknown zone", "missing"].contains(&name);
                prop_assert!(!closes || !then.may_run(), "{} lets it run", name);
                let held = ["starts frozen", "in doubt", "awaited"].contains(&name);
                prop_assert!(!held || !starts(&then), "{} lets it start", name);
            }
        }
    }

    #[test]
    fn i5_the_same_facts_give_the_same_status_to_the_byte_and_the_schema_admits_it(s in scenario()) {
        let schema = naive::status_schema();
        let mut sim = play(&s, |sim| {
            let status = serde_json::to_value(&sim.campaign.status).unwrap();
            naive::admits(&schema, &status, "status").unwrap();
        });
        sim.pass();
        let decision = sim.decision();
        let once = sim.report(&decision);
        sim.campaign.status = once.0.clone();
        sim.campaign.working_since = once.1;
        let twice = sim.report(&sim.decision());
        prop_assert_eq!(serde_json::to_string(&once.0).unwrap(), serde_json::to_string(&twice.0).unwrap());
        let back: rules::kinds::CampaignStatus =
            serde_json::from_str(&serde_json::to_string(&once.0).unwrap()).unwrap();
        prop_assert_eq!(&serde_json::to_value(&back).unwrap(), &serde_json::to_value(&once.0).unwrap());
    }
}

fn with(snapshot: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut changed = snapshot.clone();
    change(&mut changed);
    changed
}

fn again(s: &Snapshot) -> Decision {
    let window = window_at(&s.spec, &s.policies, s.now.wall);
    decide(&Inputs {
        spec: &s.spec,
        meta: &s.meta,
        site: &s.site,
        policies: &s.policies,
        window: &window,
        campaign: &s.campaign,
        now: s.now,
    })
}

fn hourless(policy: &Policy) -> Arc<Policy> {
    let mut policy = policy.clone();
    policy.spec.hours = None;
    Arc::new(policy)
}

/// One more policy, or less knowledge of them.
fn more_policies(s: &Snapshot) -> Vec<(&'static str, Snapshot)> {
    let one = |policy: Arc<Policy>| with(s, |s| s.policies.matching.push(policy));
    let shut = serde_json::json!({"closedDates": [{"date": "2026-11-23", "reason": "closed"}]});
    let known = |knowledge: Knowledge| {
        with(s, |s| {
            // Of what is missing less can't be known.
            if !matches!(s.policies.knowledge, Knowledge::Missing(_)) {
                s.policies.knowledge = knowledge;
            }
        })
    };
    vec![
        ("frozen", one(freeze("more", None, true))),
        ("starts frozen", one(freeze("more", None, false))),
        ("a closed date", one(policy("more", shut))),
        ("a lead", one(policy("more", serde_json::json!({"closeLeadSeconds": 3000})))),
        ("a cap", one(policy("more", serde_json::json!({"maxActiveCalls": 0})))),
        ("an unknown zone", one(policy("more", serde_json::json!({"timeZones": ["Mars/Phobos"]})))),
        ("in doubt", known(Knowledge::InDoubt("no".into()))),
        ("awaited", known(Knowledge::Awaited)),
        ("missing", known(Knowledge::Missing("no".into()))),
        ("required", with(s, |s| s.policies.required = true)),
    ]
}

fn tighter(s: &Snapshot) -> Vec<(&'static str, Snapshot)> {
    let mut narrow = s.spec.compliance_window.clone();
    for hours in narrow.iter_mut().filter_map(|w| w.hours.as_mut()).flatten() {
        hours.days.retain(|d| !matches!(d, Day::Mon | Day::Tue));
    }
    vec![
        ("hold", with(s, |s| s.meta.hold = Some(String::new()))),
        ("suspend", with(s, |s| s.spec.suspend = true)),
        ("fewer hours", with(s, |s| s.spec.compliance_window = narrow)),
        (
            "no hours",
            with(s, |s| {
                s.spec.compliance_window = None;
                s.policies.matching = s.policies.matching.iter().map(|policy| hourless(policy)).collect();
            }),
        ),
        ("skew", with(s, |s| s.campaign.skew = Some(SignedDuration::from_secs(31)))),
        ("state unread", with(s, |s| s.campaign.pass.state = None)),
        ("statistics unread", with(s, |s| s.campaign.pass.active_calls = None)),
        ("one call too many", {
            let cap = u32::try_from(law::Law(&s.spec, &s.policies).cap(s.now.wall)).unwrap();
            with(s, |s| s.campaign.pass.active_calls = Some(cap + 1))
        }),
        ("not listed", with(s, |s| s.site.listed = false)),
        ("no audit", with(s, |s| s.site.audit_writable = false)),
        ("in doubt", {
            with(s, |s| {
                let pending = rules::campaign::transition(
                    uuid::Uuid::nil(),
                    rules::kinds::Observed::Paused,
                    rules::kinds::Target::Running,
                    rules::kinds::Cause::Declared,
                    1,
                    false,
                    s.now,
                );
                s.campaign.status.pending_transition = Some(pending);
            })
        }),
    ]
}
