//! May it start? Every gate alone makes a start wait, says why, and closes nothing that runs.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::{Read, What};
use common::{NOON, Sim, at, secs};
use jiff::SignedDuration;
use rules::decide::Step;
use rules::inputs::{Claim, Tenant};
use rules::kinds::{DeclaredState, Effective, ExternalPause, Observed, OnExternalPause, Target, stamp};
use rules::reasons::Reason;
use rules::trouble::Trouble;

use DeclaredState as D;
use Observed as O;

type Change = fn(&mut Sim);

fn external_pause(sim: &mut Sim, contested: bool) {
    let since = stamp(at("2026-11-23T11:00:00Z"));
    sim.campaign.status.declared = Some(D::Running);
    sim.campaign.status.external_pause = Some(ExternalPause { since, observed: O::Paused, contested });
}

/// Every gate of the second question, closed alone: what closes it, what opens it again, the reason of Ready, and whether it
/// counts as held rather than as work under way.
fn closed_alone() -> Vec<(&'static str, Change, Change, &'static str)> {
    vec![
        ("not listed", |s| s.site.listed = false, |s| s.site.listed = true, "Unknown NotListed"),
        (
            "tenant missing",
            |s| s.site.tenant = Tenant::NotFound,
            |s| s.site.tenant = Tenant::Usable,
            "False TenantNotFound",
        ),
        (
            "tenant gone",
            |s| s.site.tenant = Tenant::Gone,
            |s| s.site.tenant = Tenant::Usable,
            "False TenantNotFound",
        ),
        (
            "Secret gone",
            |s| s.site.tenant = Tenant::WithoutCredentials,
            |s| s.site.tenant = Tenant::Usable,
            "False CredentialsMissing",
        ),
        (
            "Secret refused",
            |s| s.site.tenant = Tenant::Refused,
            |s| s.site.tenant = Tenant::Usable,
            "False Unauthorized",
        ),
        (
            "tenant not allowed",
            |s| s.site.tenant = Tenant::NotAllowed,
            |s| s.site.tenant = Tenant::Usable,
            "False EndpointNotAllowed",
        ),
        (
            "claim pending",
            |s| s.site.claim = Claim::Pending,
            |s| s.site.claim = Claim::Held,
            "Unknown ClaimPending",
        ),
        (
            "claim lost",
            |s| s.site.claim = Claim::Lost { winner: Some("older".into()) },
            |s| s.site.claim = Claim::Held,
            "False DuplicateClaim",
        ),
        (
            "external pause",
            |s| external_pause(s, false),
            |s| s.meta.release = Some("1".into()),
            "True ExternalPause",
        ),
        (
            "contested",
            |s| {
                s.spec.on_external_pause = OnExternalPause::Revert;
                external_pause(s, true);
            },
            |s| s.meta.release = Some("1".into()),
            "True Contested",
        ),
        (
            "audit",
            |s| s.site.audit_writable = false,
            |s| s.site.audit_writable = true,
            "True AuditUnavailable",
        ),
        (
            "platform's clock ahead",
            |s| s.ahead = Some(SignedDuration::from_secs(31)),
            |s| s.ahead = Some(SignedDuration::from_secs(30)),
            "True ClockSkew",
        ),
        (
            "platform's clock behind",
            |s| s.ahead = Some(SignedDuration::from_secs(-31)),
            |s| s.ahead = Some(SignedDuration::from_secs(-30)),
            "True ClockSkew",
        ),
        ("calls over the cap", |s| s.world.calls = 151, |s| s.world.calls = 150, "Unknown TooManyCalls"),
        (
            "state unreadable",
            |s| s.world.reads = vec![(0, 300, Read::Fails(Trouble::Unreadable))],
            |_| {},
            "Unknown StateUnreadable",
        ),
        (
            "state refused",
            |s| s.world.reads = vec![(0, 300, Read::Fails(Trouble::Unauthorized))],
            |_| {},
            "False Unauthorized",
        ),
        ("state hangs", |s| s.world.reads = vec![(0, 300, Read::Hangs)], |_| {}, "Unknown Unavailable"),
        (
            "no such campaign",
            |s| s.world.reads = vec![(0, 300, Read::Fails(Trouble::NotFound))],
            |_| {},
            "False CampaignNotFound",
        ),
        (
            "statistics unreadable",
            |s| s.world.stats = vec![(0, 300, Read::Fails(Trouble::Unreadable))],
            |_| {},
            "Unknown StatsUnreadable",
        ),
        ("statistics hang", |s| s.world.stats = vec![(0, 300, Read::Hangs)], |_| {}, "Unknown Unavailable"),
        (
            "tenant asked to wait",
            |s| s.site.hold = Some(secs(100_000)),
            |s| s.site.hold = None,
            "Unknown NotYetObserved",
        ),
        ("suspended", |s| s.spec.suspend = true, |s| s.spec.suspend = false, "True Suspended"),
    ]
}

#[test]
fn each_gate_of_the_second_row_alone_makes_a_start_wait_says_so_and_lets_it_start_once_open() {
    for (name, close, open, ready) in closed_alone() {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        close(&mut sim);
        sim.run(300);
        assert_eq!(sim.world.puts(0.0), [], "{name}");
        assert_eq!(sim.ready(), ready, "{name}");
        open(&mut sim);
        sim.run(600);
        assert_eq!(sim.world.targets(0.0), [Target::Running], "{name}");
    }
}

#[test]
fn each_gate_of_the_second_row_alone_leaves_what_runs_running() {
    for (name, close, _, _) in closed_alone() {
        // A pause of somebody else is not closed alone while it runs: that it runs ends it.
        if name == "external pause" || name == "contested" {
            continue;
        }
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        close(&mut sim);
        sim.run(300);
        assert_eq!((sim.world.puts(0.0), sim.world.state), (vec![], O::Running), "{name}");
    }
}

#[test]
fn held_is_healthy_and_effective_while_work_under_way_is_not_held() {
    for (name, close, _, ready) in closed_alone() {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        close(&mut sim);
        sim.run(100);
        let held = sim.campaign.status.effective == Some(Effective::Held);
        assert_eq!(held, ready.starts_with("True") && name != "suspended", "{name}");
        assert_eq!(sim.condition("Held").unwrap().0 == "True", held, "{name}");
    }
}

#[test]
fn a_start_that_the_hours_would_overtake_waits_for_the_next_opening() {
    // The hours end 19:59:30; a timeout of 15 s and 5 s more must be left.
    let starts = |when: &str| {
        let mut sim = Sim::new(when, D::Running, O::Paused);
        sim.run(10);
        (sim.world.targets(0.0), sim.ready())
    };
    assert_eq!(starts("2026-11-23T19:59:10Z"), (vec![], "True ClosingSoon".into()));
    assert_eq!(starts("2026-11-23T19:59:09Z").0, [Target::Running]);

    let mut sim = Sim::new("2026-11-23T19:59:10Z", D::Running, O::Paused);
    sim.run(12 * 3600 + 60);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.len(), 1);
    // 08:00 the next morning, and no later than a second after it.
    let opens = (12 * 3600 + 50) as f64;
    assert!((opens..opens + 1.0).contains(&puts[0].0), "{puts:?}");
}

#[test]
fn a_start_reads_state_and_statistics_in_its_own_pass_each_time() {
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.world.calls = 500;
    sim.run(100);
    sim.world.calls = 0;
    sim.run(100);
    let start = sim.world.log.iter().position(|r| matches!(r.what, What::Put { .. })).unwrap();
    let put = &sim.world.log[start];
    let same = |r: &&common::world::Request| r.pass == put.pass;
    let before: Vec<_> = sim.world.log[..start].iter().filter(same).map(|r| r.what).collect();
    assert_eq!(before, [What::State { urgent: false }, What::Stats]);
}

#[test]
fn a_platform_that_tells_no_time_passes_the_clock_gate() {
    let mut sim = Sim::new(NOON, D::Running, O::Paused);
    sim.ahead = None;
    sim.run(5);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
}

#[test]
fn a_state_that_was_answered_and_is_not_known_starts_nothing() {
    let mut sim = Sim::new(NOON, D::Running, O::Unknown);
    sim.run(120);
    assert_eq!(sim.world.puts(0.0), []);
    assert!(!matches!(sim.decision().step, Step::Start { .. }));
}

#[test]
fn several_closed_gates_are_all_named_and_the_first_is_the_reason() {
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Paused);
    sim.meta.hold = Some("bad list".into());
    sim.site.audit_writable = false;
    sim.run(5);
    let held = sim.campaign.status.condition("Held").unwrap();
    assert_eq!(held.reason, "Manual");
    assert!(held.message.contains("bad list"), "{}", held.message);
    assert!(held.message.contains("opens 2026-11-23T08:00:00Z"), "{}", held.message);
    assert!(held.message.contains("audit log"), "{}", held.message);
    assert_eq!(sim.obstacles().0, [Reason::Manual, Reason::OutsideWindow]);
}

#[test]
fn while_a_held_start_waits_only_planned_reads_are_sent() {
    for (name, close, _, _) in closed_alone() {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        close(&mut sim);
        // What is waited for by asking is not held.
        let asked = ["calls over the cap", "statistics", "state", "no such campaign"];
        if asked.iter().any(|a| name.starts_with(a)) {
            continue;
        }
        sim.run(600);
        let reads = sim.world.log.len();
        assert!(reads <= 13, "{name}: {reads} requests in ten minutes");
    }
}
