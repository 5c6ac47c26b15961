//! Pauses that somebody else makes: respected or reverted, contested, released.

// Helpers of tests may fail as tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::world::{Read, Write};
use common::{NOON, Sim};
use rules::campaign::Note;
use rules::kinds::{Cause, DeclaredState, Observed, OnExternalPause, Target};
use rules::trouble::Trouble;

use DeclaredState as D;
use Observed as O;

fn paused_by_another(policy: OnExternalPause) -> Sim {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.spec.on_external_pause = policy;
    sim.run(61);
    sim.hand(O::Paused);
    sim.run(61);
    assert!(sim.notes.contains(&Note::PausedByAnother(O::Paused)));
    sim
}

#[test]
fn an_external_pause_is_respected_across_restarts_edges_and_edits() {
    let mut sim = paused_by_another(OnExternalPause::Respect);
    for _ in 0..3 {
        sim.restart();
        sim.edit(|s| s.max_active_calls += 1);
        sim.run(24 * 3600);
    }
    assert_eq!(sim.world.puts(0.0), []);
    assert_eq!(sim.ready(), "True ExternalPause");
}

#[test]
fn an_external_pause_ends_by_a_new_release_by_another_state_or_by_a_start_in_cxone() {
    let mut sim = paused_by_another(OnExternalPause::Respect);
    sim.meta.release = Some("1".into());
    sim.run(10);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
    sim.run(60);
    sim.hand(O::Paused);
    sim.run(300);
    // The same value releases once.
    assert_eq!((sim.world.targets(0.0).len(), sim.ready()), (1, "True ExternalPause".into()));
    sim.meta.release = None;
    sim.run(100);
    assert_eq!((sim.world.targets(0.0).len(), sim.ready()), (1, "True ExternalPause".into()));

    let mut sim = paused_by_another(OnExternalPause::Respect);
    sim.edit(|s| s.state = D::Paused);
    sim.run(30);
    sim.edit(|s| s.state = D::Running);
    sim.run(30);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);

    let mut sim = paused_by_another(OnExternalPause::Respect);
    sim.hand(O::Running);
    sim.run(100);
    assert_eq!(sim.notes.last(), Some(&Note::StartedByAnother { allowed: true }));
    assert_eq!((sim.world.puts(0.0), sim.ready()), (vec![], "True Running".into()));
}

#[test]
fn a_long_release_is_one_release_and_a_long_request_for_a_look_is_one_look() {
    let mut sim = paused_by_another(OnExternalPause::Respect);
    sim.meta.release = Some("r".repeat(300));
    sim.run(60);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
    sim.hand(O::Paused);
    sim.run(600);
    assert_eq!((sim.world.targets(0.0).len(), sim.ready()), (1, "True ExternalPause".into()));

    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(5);
    sim.meta.reconcile = Some("t".repeat(300));
    let reads = sim.world.log.len();
    sim.run(30);
    assert_eq!(sim.world.log.len() - reads, 1);
}

#[test]
fn an_external_start_outside_the_hours_is_closed_and_does_not_end_the_pause() {
    let mut sim = paused_by_another(OnExternalPause::Respect);
    sim.run(10 * 3600);
    sim.hand(O::Running);
    sim.run(60);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    sim.run(12 * 3600);
    assert_eq!(sim.world.targets(0.0), [Target::Paused]);
    assert_eq!(sim.ready(), "True ExternalPause");
}

#[test]
fn a_revert_starts_it_again_and_is_nobody_elses_start() {
    let mut sim = paused_by_another(OnExternalPause::Revert);
    sim.run(10);
    assert_eq!(sim.world.targets(0.0), [Target::Running]);
    assert_eq!(sim.ended()[0].cause, Cause::Revert);
    assert!(!sim.notes.iter().any(|n| matches!(n, Note::StartedByAnother { .. })), "{:?}", sim.notes);
    assert_eq!(sim.campaign.status.external_pause, None);
}

#[test]
fn the_fourth_pause_within_fifteen_minutes_is_contested_until_it_is_released() {
    for restarting in [false, true] {
        let mut sim = Sim::new(NOON, D::Running, O::Running);
        sim.spec.on_external_pause = OnExternalPause::Revert;
        sim.run(61);
        for n in 1..=4 {
            sim.hand(O::Paused);
            sim.run(90);
            if restarting {
                sim.restart();
            }
            assert_eq!(sim.world.puts(0.0).len(), n.min(3), "{n} {restarting}");
        }
        sim.run(7200);
        assert_eq!((sim.world.puts(0.0).len(), sim.ready()), (3, "True Contested".into()));
        sim.meta.release = Some("now".into());
        sim.run(60);
        assert_eq!((sim.world.puts(0.0).len(), sim.ready()), (4, "True Running".into()));
    }
}

#[test]
fn a_pause_that_comes_while_the_campaign_cannot_be_found_is_somebody_elses_all_the_same() {
    for restarts in [false, true] {
        let mut sim = Sim::new(NOON, D::Running, O::Paused);
        sim.run(61);
        assert_eq!(sim.world.targets(0.0), [Target::Running]);
        sim.world.reads = vec![(61, 300, Read::Fails(Trouble::NotFound))];
        sim.run(120);
        sim.hand(O::Paused);
        if restarts {
            sim.restart();
        }
        sim.run(600);
        assert_eq!((sim.world.puts(10.0), sim.ready()), (vec![], "True ExternalPause".into()), "{restarts}");
    }
    // Not so where a close of ours was on its way when it could no longer be found.
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.run(61);
    sim.world.reads = vec![(62, 300, Read::Fails(Trouble::NotFound))];
    sim.world.writes = vec![(61, 62, Write::Late(3)), (62, 70, Write::Lies)];
    sim.meta.hold = Some("stop".into());
    sim.run(30);
    sim.meta.hold = None;
    sim.run(600);
    assert!(!sim.blamed());
    assert_eq!(sim.world.state, O::Running);
}

#[test]
fn a_revert_that_was_refused_counts_as_none() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.spec.on_external_pause = OnExternalPause::Revert;
    sim.run(61);
    sim.world.writes = vec![(0, 128, Write::Fails(Trouble::Throttled(None)))];
    sim.hand(O::Paused);
    sim.run(100);
    assert!(sim.world.puts(0.0).len() > 3);
    for _ in 0..2 {
        sim.hand(O::Paused);
        sim.run(90);
    }
    assert_eq!((sim.world.state, sim.campaign.status.reverts.len()), (O::Running, 3));
}

#[test]
fn pauses_further_apart_are_never_contested() {
    let mut sim = Sim::new(NOON, D::Running, O::Running);
    sim.spec.on_external_pause = OnExternalPause::Revert;
    sim.run(61);
    for n in 1..=6 {
        sim.hand(O::Paused);
        sim.run(360);
        assert_eq!(sim.world.puts(0.0).len(), n);
    }
}
