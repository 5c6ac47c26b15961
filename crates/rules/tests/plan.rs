//! A plan and the loop agree: what is foretold is what then happens, were nobody to change anything.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::world::World;
use common::{NOON, Sim, at, green, window};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};
use rules::inputs::{Claim, Meta, Site, Tenant};
use rules::kinds::{
    CampaignStatus, Cause, Day, DeclaredState, DialerCampaignStateSpec, DialingPolicySpec, Effective,
    Observed, ResumeMode, Target,
};
use rules::plan::{Change, Plan, Question, plan};
use rules::policies::{Policies, Policy};
use rules::reasons::Reason;
use serde_json::json;

use DeclaredState as D;
use Observed as O;

/// What is foretold of a simulated campaign, as it stands now.
fn foretold(sim: &Sim, hours: i64) -> Plan {
    let from = sim.now().wall;
    plan(&Question {
        spec: &sim.spec,
        meta: &sim.meta,
        site: &sim.site,
        policies: &sim.policies,
        status: &sim.campaign.status,
        observed: sim.world.state,
        from,
        until: from + SignedDuration::from_hours(hours),
        at_most: usize::MAX,
    })
}

fn policy(name: &str, spec: serde_json::Value) -> Arc<Policy> {
    let spec: DialingPolicySpec = serde_json::from_value(spec).unwrap();
    Arc::new(Policy { name: name.into(), generation: 1, spec })
}

fn by(policies: impl IntoIterator<Item = Arc<Policy>>) -> Policies {
    Policies { matching: policies.into_iter().collect(), ..Policies::default() }
}

fn sent(plan: &Plan) -> Vec<(Timestamp, Target)> {
    plan.changes.iter().filter_map(|c| Some((c.at, c.to?))).collect()
}

/// When, where it leads, and by whose rule.
fn rows(plan: &Plan) -> Vec<(String, Effective, String)> {
    let policy = |c: &Change| c.policy.as_ref().map_or_else(String::new, |p| p.name.clone());
    plan.changes.iter().map(|c| (c.at.to_string(), c.effective, policy(c))).collect()
}

#[test]
fn the_hours_of_a_week_are_foretold_with_the_lead_taken_off() {
    let sim = Sim::new("2026-11-20T12:00:00Z", D::Running, O::Paused);
    let plan = foretold(&sim, 4 * 24);
    let expected = [
        ("2026-11-20T12:00:00Z", Target::Running),
        ("2026-11-20T19:59:30Z", Target::Paused),
        ("2026-11-23T08:00:00Z", Target::Running),
        ("2026-11-23T19:59:30Z", Target::Paused),
        ("2026-11-24T08:00:00Z", Target::Running),
    ];
    assert_eq!(sent(&plan), expected.map(|(when, to)| (at(when), to)));
    let seconds: i64 = plan.running.iter().map(|s| s.until.duration_since(s.from).as_secs()).sum();
    assert_eq!(seconds, (8 * 3600 - 30) + (12 * 3600 - 30) + 4 * 3600);
    assert_eq!(plan.changes[1].cause, Some(Cause::OutsideWindow));
    assert!(plan.changes[1].why.starts_with("Mon-Fri 08:00-20:00 in UTC"), "{}", plan.changes[1].why);
}

#[test]
fn each_edge_is_told_with_the_rule_that_makes_it_and_no_other() {
    let mut sim = Sim::new("2026-11-23T00:00:00Z", D::Running, O::Paused);
    sim.spec.compliance_window = Some(window(&["UTC"], &Day::WEEK, "10:00", "20:00", 0));
    let early = json!({"timeZones": ["UTC"], "citation": "Law 1",
                       "hours": [{"days": ["Mon", "Tue"], "from": "08:00", "to": "18:00"}]});
    sim.policies = by([policy("early", early)]);
    let plan = foretold(&sim, 20);
    assert_eq!(
        rows(&plan),
        [
            ("2026-11-23T10:00:00Z".into(), Effective::Running, String::new()),
            ("2026-11-23T18:00:00Z".into(), Effective::Held, "early".into()),
        ]
    );
    assert_eq!(plan.changes[0].why, "Mon-Sun 10:00-20:00 in UTC");
    assert_eq!(plan.changes[1].why, "policy early: Mon+Tue 08:00-18:00 in UTC [Law 1]");
}

#[test]
fn what_opens_last_is_told_behind_a_start_though_another_rule_had_closed() {
    let mut sim = Sim::new("2026-11-23T18:00:00Z", D::Running, O::Running);
    sim.policies =
        by([policy("late", json!({"hours": [{"days": Day::WEEK, "from": "10:00", "to": "21:00"}]}))]);
    let day = |when: &str, to, by: &str| (when.to_owned(), to, by.to_owned());
    let expected = [
        day("2026-11-23T19:59:30Z", Effective::Held, ""),
        day("2026-11-24T10:00:00Z", Effective::Running, "late"),
    ];
    assert_eq!(rows(&foretold(&sim, 24)), expected);
}

#[test]
fn what_runs_outside_hours_is_closed_by_the_rule_that_closes_and_not_by_the_one_that_opens_last() {
    let mut sim = Sim::new("2026-11-23T22:00:00Z", D::Running, O::Running);
    sim.policies =
        by([policy("late", json!({"hours": [{"days": Day::WEEK, "from": "10:00", "to": "21:00"}]}))]);
    let plan = foretold(&sim, 20);
    let expected = [
        ("2026-11-23T22:00:00Z".to_owned(), Effective::Held, String::new()),
        ("2026-11-24T10:00:00Z".to_owned(), Effective::Running, "late".to_owned()),
    ];
    assert_eq!(rows(&plan), expected);
    assert!(plan.changes[0].why.starts_with("Mon-Fri 08:00-20:00 in UTC"), "{}", plan.changes[0].why);
}

#[test]
fn the_hour_that_comes_twice_is_foretold_twice() {
    let mut sim = Sim::new("2026-11-01T04:00:00Z", D::Running, O::Paused);
    sim.spec.compliance_window = Some(window(&["America/New_York"], &Day::WEEK, "01:15", "01:45", 0));
    let times: Vec<_> = sent(&foretold(&sim, 6)).iter().map(|(at, _)| at.to_string()).collect();
    let twice =
        ["2026-11-01T05:15:00Z", "2026-11-01T05:45:00Z", "2026-11-01T06:15:00Z", "2026-11-01T06:45:00Z"];
    assert_eq!(times, twice);
}

#[test]
fn a_freeze_closes_now_and_its_end_opens_only_where_the_hours_do() {
    let frozen = |until: &str| {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.policies = by([policy("brake", json!({"freeze": {"reason": "outage", "until": until}}))]);
        sim
    };
    let plan = foretold(&frozen("2026-11-23T15:00:00Z"), 6);
    assert_eq!(
        rows(&plan),
        [
            (NOON.into(), Effective::Held, "brake".into()),
            ("2026-11-23T15:00:00Z".into(), Effective::Running, "brake".into()),
        ]
    );
    assert!(plan.changes[0].why.contains("outage"), "{:?}", plan.changes[0]);
    assert_eq!(plan.changes[1].why, "the freeze of policy brake ends");
    // Over night the hours have ended meanwhile.
    let plan = foretold(&frozen("2026-11-23T21:00:00Z"), 24);
    assert_eq!(plan.changes[1].at, at("2026-11-24T08:00:00Z"));
    assert_eq!(plan.changes[1].policy, None);
}

#[test]
fn a_timed_pause_is_foretold_to_end_and_what_is_kept_paused_is_told_as_held() {
    let mut sim = Sim::new(NOON, D::Paused, O::Running);
    sim.spec.pause_duration_seconds = 1800;
    let plan = foretold(&sim, 2);
    let expected = [(at(NOON), Target::Paused), (at("2026-11-23T12:30:00Z"), Target::Running)];
    assert_eq!(sent(&plan), expected);
    assert_eq!(plan.changes[1].why, "the timed pause is over");

    sim.spec.pause_expiry = rules::kinds::PauseExpiry::Hold;
    let plan = foretold(&sim, 2);
    assert_eq!(sent(&plan), [expected[0]]);
    assert_eq!((plan.changes[1].effective, plan.changes[1].to), (Effective::Held, None));
}

#[test]
fn what_no_clock_lifts_is_foretold_to_stay_and_named() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.meta.hold = Some("bad list".into());
    let plan = foretold(&sim, 48);
    assert_eq!(sent(&plan), [(at(NOON), Target::Paused)]);
    let held: Vec<_> = plan.last.gates.iter().filter_map(|g| g.obstacle()).map(|o| o.reason).collect();
    assert_eq!(held, [Reason::Manual]);

    let mut never = Sim::new(NOON, D::Running, O::Paused);
    never.spec.compliance_window =
        Some(window(&["UTC", "Pacific/Auckland"], &Day::WEEK, "08:00", "10:00", 0));
    let plan = foretold(&never, 48);
    assert_eq!(plan.changes, []);
    assert_eq!(plan.last.gates.iter().find_map(|g| g.obstacle()).unwrap().reason, Reason::NeverOpen);
}

#[test]
fn what_the_operator_can_not_reach_or_does_not_own_is_not_foretold_to_change() {
    for site in [
        Site { tenant: Tenant::NotFound, ..green() },
        Site { claim: Claim::Lost { winner: None }, ..green() },
    ] {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        sim.site = site;
        assert_eq!(sent(&foretold(&sim, 24)), []);
    }
}

#[test]
fn a_plan_ends_after_as_many_changes_as_were_asked_for_and_a_year_is_soon_told() {
    let sim = Sim::new(NOON, D::Running, O::Paused);
    let (meta, status) = (Meta { generation: 1, ..Meta::default() }, CampaignStatus::default());
    let mut question = Question {
        spec: &sim.spec,
        meta: &meta,
        site: &sim.site,
        policies: &sim.policies,
        status: &status,
        observed: O::Unknown,
        from: at(NOON),
        until: at("2027-11-23T12:00:00Z"),
        at_most: 3,
    };
    assert_eq!(plan(&question).changes.len(), 3);
    question.at_most = usize::MAX;
    // 261 working days, the first of them begun.
    assert_eq!(plan(&question).changes.len(), 2 * 261 + 1);
}

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

fn clock() -> impl Strategy<Value = String> {
    (0..24_u8, prop_oneof![Just(0_u8), Just(15), Just(30)]).prop_map(|(h, m)| format!("{h:02}:{m:02}"))
}

fn declaration() -> impl Strategy<Value = DialerCampaignStateSpec> {
    let zones = prop_oneof![
        2 => Just(vec!["UTC"]),
        2 => Just(vec!["America/New_York"]),
        1 => Just(vec!["Europe/Paris", "Australia/Lord_Howe"]),
    ];
    let state = prop_oneof![6 => Just(D::Running), 2 => Just(D::Paused), 1 => Just(D::Stopped)];
    let pause = prop_oneof![Just(0), Just(600), Just(7200)];
    let resume = prop_oneof![4 => Just(None), 1 => Just(Some("2026-11-01T12:00:00-05:00"))];
    (state, zones, clock(), clock(), 0..10_i32, pause, resume, any::<bool>()).prop_map(
        |(state, zones, from, to, lead, pause, resume, suspend)| {
            let mut spec = common::spec(state);
            let to = if from == to { "24:00".to_owned() } else { to };
            spec.compliance_window = Some(window(&zones, &Day::WEEK, &from, &to, lead * 60));
            spec.pause_duration_seconds = pause;
            spec.suspend = suspend && pause == 0 && state != D::Running;
            if let Some(at) = resume {
                spec.resume_mode = ResumeMode::Scheduled;
                spec.resume_at = serde_json::from_value(at.into()).unwrap();
            }
            spec
        },
    )
}

fn policies() -> impl Strategy<Value = Policies> {
    let hours = (clock(), clock()).prop_filter("differ", |(from, to)| from != to);
    let ruled =
        (hours, 0..5_i32, any::<bool>(), any::<bool>()).prop_map(|((from, to), lead, dated, shut)| {
            let mut spec = json!({"hours": [{"days": Day::WEEK, "from": from, "to": to}],
                              "closeLeadSeconds": lead * 60});
            if dated {
                spec["effectiveFrom"] = "2026-11-01".into();
            }
            if shut {
                spec["closedDates"] = json!([{"date": "2026-11-02", "reason": "holiday"}]);
            }
            policy("ruled", spec)
        });
    let freeze = (0..30_u8, any::<bool>()).prop_map(|(hour, pauses)| {
        let (day, hour) = (1 + hour / 24, hour % 24);
        let until = format!("2026-11-{day:02}T{hour:02}:00:00Z");
        policy("frozen", json!({"freeze": {"reason": "x", "until": until, "pauseRunning": pauses}}))
    });
    (prop::option::weighted(0.5, ruled), prop::option::weighted(0.4, freeze))
        .prop_map(|(ruled, freeze)| by(ruled.into_iter().chain(freeze)))
}

fn observed() -> impl Strategy<Value = O> {
    prop_oneof![Just(O::Running), Just(O::Paused), Just(O::Stopped)]
}

/// Between an instant and what a real loop does about it: its slowest answers, and what a freeze held starts within 10 s.
const BEHIND: SignedDuration = SignedDuration::from_millis(11_500);

fn told(puts: &[(f64, Target, uuid::Uuid, bool)], sim: &Sim) -> Vec<(Timestamp, Target)> {
    let wall = |seconds: f64| sim.began + SignedDuration::try_from_secs_f64(seconds).unwrap();
    puts.iter().map(|put| (wall(put.0), put.1)).collect()
}

fn agree(foretold: &[(Timestamp, Target)], done: &[(Timestamp, Target)]) -> Result<(), String> {
    let targets = |rows: &[(Timestamp, Target)]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
    let late = |(plan, real): (&(Timestamp, Target), &(Timestamp, Target))| {
        let behind = real.0.duration_since(plan.0);
        // A pause that is timed is told in whole seconds.
        !(SignedDuration::from_secs(-2)..=BEHIND).contains(&behind)
    };
    if targets(foretold) == targets(done) && !foretold.iter().zip(done).any(late) {
        return Ok(());
    }
    Err(format!("foretold {foretold:?}\ndone {done:?}"))
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn what_is_foretold_is_what_the_loop_then_does(
        spec in declaration(), policies in policies(), observed in observed(), begin in 0..12_u64, split in 0..24_u64,
    ) {
        // Across the night in which New York changes its clocks.
        let mut sim = Sim::new("2026-10-31T22:00:00Z", spec.state, observed);
        sim.world = World::new(observed);
        (sim.spec, sim.policies) = (spec, policies);
        sim.began += SignedDuration::from_hours(begin as i64);
        let plan = foretold(&sim, 48);
        sim.run(split * 3600);
        // Half way, the plan is made anew from what is written down by then.
        let (later, already) = (foretold(&sim, 48 - split as i64), sim.world.puts(0.0).len());
        sim.run((48 - split) * 3600);
        let done = told(&sim.world.puts(0.0), &sim);
        prop_assert!(agree(&sent(&plan), &done).is_ok(), "{}", agree(&sent(&plan), &done).unwrap_err());
        let rest = agree(&sent(&later), &done[already..]);
        prop_assert!(rest.is_ok(), "after {split} h: {}", rest.unwrap_err());
    }
}

#[test]
fn what_runs_when_a_plan_is_made_is_told_to_run_until_it_is_closed() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(60);
    let plan = foretold(&sim, 12);
    assert_eq!(plan.running.len(), 1);
    assert_eq!((plan.running[0].from, plan.running[0].until), (sim.now().wall, at("2026-11-23T19:59:30Z")));
    assert!(!plan.first.must_close());
    // With other hours it would be closed at once, and the plan says so before anything is applied.
    let mut other = sim.clone();
    other.edit(|s| s.compliance_window = Some(window(&["UTC"], &Day::WEEK, "13:00", "14:00", 0)));
    assert!(foretold(&other, 12).first.must_close());
}
