//! May it run? Where the answer is no, it is closed, whoever started it; where it is closed already, nothing is sent.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::What;
use common::{NOON, Sim, at, office, window};
use rules::campaign::Note;
use rules::decide::Step;
use rules::inputs::{Claim, Tenant};
use rules::kinds::{
    Cause, Day, DeclaredState, DeletionPolicy, Effective, Instant, Mode, Observed, ResumeMode, Target,
};
use rules::reasons::Reason;

use DeclaredState as D;
use Observed as O;

fn resume_at(sim: &mut Sim, text: &str) {
    let value = serde_json::json!({"mode": text});
    let instant: Instant = serde_json::from_value(value["mode"].clone()).unwrap();
    sim.edit(|s| {
        s.resume_mode = ResumeMode::Scheduled;
        s.resume_at = Some(instant);
    });
}

type Change = fn(&mut Sim);

/// Every gate of the first question, closed alone.
fn closed_alone() -> Vec<(&'static str, Change, Reason, Cause)> {
    vec![
        ("hold", |s| s.meta.hold = Some("bad list".into()), Reason::Manual, Cause::Manual),
        ("hold without a word", |s| s.meta.hold = Some(String::new()), Reason::Manual, Cause::Manual),
        (
            "window closed",
            |s| s.began = at("2026-11-22T12:00:00Z"),
            Reason::OutsideWindow,
            Cause::OutsideWindow,
        ),
        (
            "within the lead",
            |s| s.began = at("2026-11-23T19:59:30Z"),
            Reason::OutsideWindow,
            Cause::OutsideWindow,
        ),
        (
            "zones that are never open together",
            |s| {
                s.spec.compliance_window =
                    Some(window(&["UTC", "Pacific/Auckland"], &Day::WEEK, "08:00", "10:00", 30));
            },
            Reason::NeverOpen,
            Cause::OutsideWindow,
        ),
        ("no window", |s| s.spec.compliance_window = None, Reason::NoWindow, Cause::NoWindow),
        (
            "a window without hours",
            |s| s.spec.compliance_window.as_mut().unwrap().hours = None,
            Reason::NoWindow,
            Cause::NoWindow,
        ),
        (
            "unknown zone",
            |s| {
                s.spec.compliance_window =
                    Some(window(&["UTC", "Mars/Phobos"], &Day::WEEK, "00:00", "24:00", 0));
            },
            Reason::UnknownZone,
            Cause::UnknownZone,
        ),
        (
            "resumeAt in the future",
            |s| resume_at(s, "2026-11-23T14:00:00+01:00"),
            Reason::ScheduledResume,
            Cause::ScheduledResume,
        ),
    ]
}

#[test]
fn each_gate_of_the_first_row_alone_closes_what_runs_and_names_itself() {
    for (name, close, reason, cause) in closed_alone() {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        close(&mut sim);
        sim.run(5);
        assert_eq!(sim.world.targets(0.0), [Target::Paused], "{name}");
        assert!(sim.world.puts(0.0)[0].0 < 1.0, "{name}");
        assert_eq!(sim.ended()[0].cause, cause, "{name}");
        assert_eq!(sim.obstacles().0, [reason], "{name}");
        assert_eq!(sim.campaign.status.effective, Some(Effective::Held), "{name}");
        assert_eq!(sim.ready(), format!("True {reason}"), "{name}");
    }
}

#[test]
fn each_gate_of_the_first_row_alone_keeps_what_is_closed_closed_without_a_write() {
    for (name, close, reason, _) in closed_alone() {
        for observed in [O::Paused, O::Stopped] {
            let mut sim = Sim::new(NOON, D::Running, observed);
            close(&mut sim);
            sim.run(300);
            assert_eq!(sim.world.puts(0.0), [], "{name} {observed}");
            assert!(!sim.world.log.iter().any(|r| r.what == What::Stats), "{name} {observed}");
            assert_eq!(sim.ready(), format!("True {reason}"), "{name} {observed}");
        }
    }
}

#[test]
fn with_every_gate_open_what_runs_is_left_running_and_what_does_not_is_started_once() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(3600);
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True Running".into()));

    for closed in [O::Paused, O::Stopped] {
        let mut sim = Sim::new(NOON, D::Running, closed);
        sim.run(3600);
        assert_eq!(sim.world.targets(0.0), [Target::Running], "{closed}");
        assert_eq!(sim.ready(), "True Running");
    }
}

#[test]
fn a_declared_close_sends_only_what_the_observed_state_lacks() {
    let cases = [
        (D::Paused, O::Running, vec![Target::Paused], O::Paused),
        (D::Paused, O::Paused, vec![], O::Paused),
        (D::Paused, O::Stopped, vec![], O::Stopped),
        (D::Stopped, O::Running, vec![Target::Stopped], O::Stopped),
        (D::Stopped, O::Paused, vec![Target::Stopped], O::Stopped),
        (D::Stopped, O::Stopped, vec![], O::Stopped),
    ];
    for (declared, observed, puts, after) in cases {
        for when in [NOON, "2026-11-22T03:00:00Z"] {
            let mut sim = Sim::new(when, declared, observed);
            sim.run(200);
            assert_eq!(sim.world.targets(0.0), puts, "{declared} {observed} {when}");
            assert_eq!(sim.world.state, after, "{declared} {observed} {when}");
            assert_eq!(sim.ready(), format!("True {after}"), "{declared} {observed} {when}");
        }
    }
    let mut sim = Sim::new(NOON, D::Paused, O::Stopped);
    sim.run(1);
    let message = &sim.campaign.status.condition("Ready").unwrap().message;
    assert_eq!(message, "stopped, which satisfies the declared Paused");
}

#[test]
fn what_another_starts_outside_the_hours_is_closed_within_half_a_minute() {
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Paused);
    sim.edit(|s| s.check_interval_seconds = 600);
    sim.run(100);
    sim.hand(O::Running);
    let since = sim.world.mono.as_secs_f64();
    sim.run(60);
    let puts = sim.world.puts(0.0);
    assert_eq!(puts.len(), 1);
    assert!(puts[0].0 - since <= 31.0, "{puts:?} {since}");
    assert!(!sim.blamed());
    let told = sim.notes.iter().filter(|n| **n == Note::StartedByAnother { allowed: false }).count();
    assert_eq!(told, 1, "{:?}", sim.notes);
}

#[test]
fn a_suspended_campaign_is_neither_started_nor_brought_to_its_declaration_but_still_closed() {
    for declared in [D::Running, D::Paused, D::Stopped] {
        for observed in [O::Running, O::Paused, O::Stopped] {
            let mut sim = Sim::new(NOON, declared, observed);
            sim.edit(|s| s.suspend = true);
            sim.run(300);
            assert_eq!((sim.world.puts(0.0), sim.world.state), (vec![], observed), "{declared}");
            assert_eq!(sim.ready(), "True Suspended", "{declared} {observed}");
        }
    }
    for (name, close, _, cause) in closed_alone() {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.edit(|s| s.suspend = true);
        close(&mut sim);
        sim.run(5);
        assert_eq!(sim.world.targets(0.0), [Target::Paused], "{name}");
        assert_eq!(sim.ended()[0].cause, cause, "{name}");
    }
}

#[test]
fn observing_nothing_is_ever_written_and_running_outside_the_hours_is_a_violation() {
    for (declared, observed) in [(D::Running, O::Paused), (D::Paused, O::Running), (D::Stopped, O::Running)] {
        let mut sim = Sim::new(NOON, declared, observed);
        sim.edit(|s| s.mode = Mode::Observe);
        sim.run(300);
        assert_eq!(sim.world.puts(0.0), [], "{declared} {observed}");
    }
    let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Running);
    sim.edit(|s| s.mode = Mode::Observe);
    sim.run(300);
    assert_eq!(sim.world.puts(0.0), []);
    assert_eq!(sim.ready(), "False OutsideWindow");
    assert!(sim.condition("Violation").is_some());
}

#[test]
fn a_close_needs_no_listing_no_audit_log_no_tenant_object_and_no_quiet_platform() {
    let spoils: [(&str, Change); 9] = [
        ("not listed", |s| s.site.listed = false),
        ("audit", |s| s.site.audit_writable = false),
        ("tenant gone, client at hand", |s| s.site.tenant = Tenant::Gone),
        ("Secret gone", |s| s.site.tenant = Tenant::WithoutCredentials),
        ("Secret refused", |s| s.site.tenant = Tenant::Refused),
        ("tenant held", |s| s.site.hold = Some(common::secs(100_000))),
        ("skew", |s| s.ahead = Some(jiff::SignedDuration::from_secs(3600))),
        ("calls", |s| s.world.calls = 99_999),
        ("suspended", |s| s.spec.suspend = true),
    ];
    for (name, spoil) in spoils {
        let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Running);
        spoil(&mut sim);
        sim.run(5);
        assert_eq!(sim.world.targets(0.0), [Target::Paused], "{name}");
        assert!(sim.world.puts(0.0)[0].0 < 1.0, "{name}");
    }
}

#[test]
fn without_a_client_or_without_the_claim_nothing_is_written() {
    let cases: [(&str, Change, &str); 4] = [
        ("no tenant", |s| s.site.tenant = Tenant::NotFound, "False TenantNotFound"),
        ("not allowed", |s| s.site.tenant = Tenant::NotAllowed, "False EndpointNotAllowed"),
        ("lost", |s| s.site.claim = Claim::Lost { winner: None }, "False DuplicateClaim"),
        // While the older one is examined, it is the older one that guards the campaign.
        ("pending", |s| s.site.claim = Claim::Pending, "False OutsideWindow"),
    ];
    for (name, spoil, ready) in cases {
        let mut sim = Sim::new("2026-11-22T12:00:00Z", D::Running, O::Running);
        spoil(&mut sim);
        sim.run(300);
        assert_eq!(sim.world.puts(0.0), [], "{name}");
        assert_eq!(sim.ready(), ready, "{name}");
    }
}

#[test]
fn deleting_closes_what_runs_only_with_the_policy_pause_and_while_the_finalizer_stands() {
    let cases = [
        (DeletionPolicy::Pause, true, vec![Target::Paused]),
        (DeletionPolicy::Pause, false, vec![]),
        (DeletionPolicy::Retain, true, vec![]),
    ];
    for (policy, finalizer, puts) in cases {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.spec.deletion_policy = policy;
        sim.run(5);
        (sim.meta.deleting, sim.meta.finalizer) = (true, finalizer);
        sim.run(60);
        assert_eq!(sim.world.targets(0.0), puts, "{policy} {finalizer}");
    }
    // Suspended or held, the deletion closes all the same; a start under way elsewhere never follows.
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.spec.suspend = true;
    (sim.meta.deleting, sim.meta.finalizer) = (true, true);
    sim.run(60);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ended()[0].cause, Cause::Deleted);
    let status = &sim.campaign.status;
    assert_eq!((status.next_transition.clone(), sim.decision().step), (None, Step::Rest));
}

#[test]
fn deleting_during_a_timed_pause_promises_no_resume() {
    let mut sim = Sim::new(NOON, D::Paused, O::Running);
    sim.edit(|s| s.pause_duration_seconds = 600);
    sim.run(5);
    assert!(sim.campaign.status.next_transition.is_some());
    (sim.meta.deleting, sim.meta.finalizer) = (true, true);
    sim.run(900);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.campaign.status.next_transition, None);
}

#[test]
fn a_change_of_the_window_that_shuts_it_closes_at_once() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(30);
    sim.edit(|s| s.compliance_window = Some(window(&["UTC"], &Day::WEEK, "13:00", "14:00", 0)));
    sim.run(1);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    sim.edit(|s| s.compliance_window = Some(office()));
    sim.run(5);
    assert_eq!(sim.world.targets(0.0), [Target::Paused, Target::Running]);
}
